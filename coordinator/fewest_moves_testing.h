// The fewest moves after which slots are spread to within one, in all and of each job: by a flow of
// least cost, which has nothing in common with what it is to check. For workers that offer the same
// and jobs that keep their number of slots, and only small ones: it takes its time.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "coordinator/assignment.h"

namespace millrace::test {

class FlowOfLeastCost {
 public:
  explicit FlowOfLeastCost(int32_t nodes) : edges_(size_t(nodes)) {}

  void AddEdge(int32_t from, int32_t to, int32_t room, int64_t cost) {
    edges_[size_t(from)].push_back({to, room, cost, edges_[size_t(to)].size()});
    edges_[size_t(to)].push_back({from, 0, -cost, edges_[size_t(from)].size() - 1});
  }

  // As much as goes from one node to the other: how much that is, and what it costs.
  std::pair<int64_t, int64_t> Flow(int32_t from, int32_t to) {
    std::pair<int64_t, int64_t> sum;
    while (true) {
      const std::vector<Edge*> way = CheapestWay(from, to);
      if (way.empty()) return sum;
      for (Edge* edge : way) {
        --edge->room;
        ++edges_[size_t(edge->to)][edge->back].room;
        sum.second += edge->cost;
      }
      ++sum.first;
    }
  }

 private:
  struct Edge {
    int32_t to;
    int32_t room;
    int64_t cost;
    size_t back;  // index of its opposite among those of `to`
  };

  std::vector<Edge*> CheapestWay(int32_t from, int32_t to) {
    constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
    std::vector<int64_t> cost(edges_.size(), kFar);
    std::vector<Edge*> last(edges_.size());
    std::queue<int32_t> open;
    std::vector<bool> is_open(edges_.size());
    cost[size_t(from)] = 0;
    open.push(from);
    while (!open.empty()) {
      const int32_t node = open.front();
      open.pop();
      is_open[size_t(node)] = false;
      for (Edge& edge : edges_[size_t(node)]) {
        const int64_t through = cost[size_t(node)] + edge.cost;
        if (edge.room == 0 || through >= cost[size_t(edge.to)]) continue;
        cost[size_t(edge.to)] = through;
        last[size_t(edge.to)] = &edge;
        if (!is_open[size_t(edge.to)]) open.push(edge.to);
        is_open[size_t(edge.to)] = true;
      }
    }
    std::vector<Edge*> way;
    if (cost[size_t(to)] == kFar) return way;
    for (int32_t node = to; node != from;) {
      Edge* const edge = last[size_t(node)];
      way.push_back(edge);
      node = edges_[size_t(edge->to)][edge->back].to;
    }
    return way;
  }

  std::vector<std::vector<Edge>> edges_;
};

inline int64_t FewestMoves(std::span<const WorkerCapacity> workers,
                           std::span<const JobDemand> jobs) {
  // Makes the flow fill what must be there at least: a job's share on a worker, rounded down.
  constexpr int64_t kMust = -1'000'000;
  std::map<std::string, int32_t> index;
  for (const WorkerCapacity& worker : workers) index.emplace(worker.name, int32_t(index.size()));
  const auto count = int32_t(workers.size());
  const int32_t first_worker = int32_t(jobs.size());
  const int32_t source = first_worker + count;
  const int32_t sink = source + 1;
  FlowOfLeastCost flow(sink + 1);
  int32_t in_all = 0;
  int64_t musts = 0;
  for (int32_t job = 0; job < first_worker; ++job) {
    const SlotWorkers& before = jobs[size_t(job)].before;
    const auto slots = int32_t(before.size());
    std::vector<int32_t> had(workers.size());
    for (const std::string& worker : before) {
      if (const auto at = index.find(worker); at != index.end()) ++had[size_t(at->second)];
    }
    in_all += slots;
    flow.AddEdge(source, job, slots, 0);
    for (int32_t worker = 0; worker < count; ++worker) {
      for (int32_t slot = 0; slot < (slots + count - 1) / count; ++slot) {
        const bool must = slot < slots / count;
        const bool moves = slot >= had[size_t(worker)];
        musts += must;
        flow.AddEdge(job, first_worker + worker, 1, (must ? kMust : 0) + int64_t(moves));
      }
    }
  }
  for (int32_t worker = 0; worker < count; ++worker) {
    musts += in_all / count;
    flow.AddEdge(first_worker + worker, sink, in_all / count, kMust);
    if (in_all % count > 0) flow.AddEdge(first_worker + worker, sink, 1, 0);
  }
  const auto [flown, cost] = flow.Flow(source, sink);
  return flown == in_all ? cost - musts * kMust : -1;
}

}  // namespace millrace::test
