#include "coordinator/assignment.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "coordinator/slot_board.h"
#include "coordinator/slot_moves.h"
#include "engine/base/ids.h"
#include "engine/base/natural_order.h"

namespace millrace {
namespace {

// A running slot leaves its worker only for one whose load is less by this part of the mean: what
// is measured differs from minute to minute, and a move costs its job a pause.
constexpr double kWorthwhile = 0.2;
// What a slot costs that has nothing to do, in cores: its threads, its part in checkpoints. Keeps
// the noise of idle jobs from looking like a difference.
constexpr double kIdleCores = 0.05;

int64_t OfferedBy(std::span<const WorkerCapacity> workers) {
  int64_t offered = 0;
  for (const WorkerCapacity& worker : workers) offered += worker.slots;
  return offered;
}

// The first key group of a slot's range (engine/base/ids.h, TaskOf).
int32_t FirstKeyGroup(size_t slot, size_t slots) {
  return int32_t((slot * size_t(kKeyGroupCount) + slots - 1) / slots);
}

size_t SlotOf(int32_t group, size_t slots) {
  return size_t(TaskOf(KeyGroup(group), int32_t(slots)).value());
}

// ---- notes --------------------------------------------------------------------------------------

std::string CountOf(int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::vector<std::string> NotesOf(const JobDemand& job, std::span<const WorkerCapacity> workers) {
  const int32_t slots = ParallelismOf(job.wanted, job.partitions, workers, job.kept);
  const int64_t offered = OfferedBy(workers);
  std::string there = CountOf(int64_t(workers.size()), "worker");
  if (offered != int64_t(workers.size())) there += " with " + CountOf(offered, "slot");
  const std::string parallelism = ", job parallelism " + std::to_string(slots) + ": ";
  const int64_t wanted = job.wanted > 0 ? job.wanted : offered;
  if (slots < wanted) {
    if (job.wanted > 0) there = "parallelism " + std::to_string(job.wanted) + " asked for";
    const bool by_topic = slots == job.partitions;
    return {there + parallelism +
            (by_topic ? "the topic has " + CountOf(job.partitions, "partition")
                      : "a job has " + CountOf(kKeyGroupCount, "key group"))};
  }
  // Workers are left over, or share their cores among more slots than they offer.
  if (slots < int32_t(workers.size()) || slots > offered) {
    return {there + parallelism +
            (job.wanted > 0 ? "as was asked for" : "kept while workers are missing")};
  }
  return {};
}

// ---- what is put on the board -------------------------------------------------------------------

using WorkerIndexes = std::map<std::string, int32_t, std::less<>>;

// New slots have their home where most of their key groups were.
void FindHomes(const SlotWorkers& before, const WorkerIndexes& index_of,
               std::vector<SlotBoard::Slot>* slots) {
  if (before.empty()) return;
  for (size_t i = 0; i < slots->size(); ++i) {
    SlotBoard::Slot& slot = (*slots)[i];
    std::map<int32_t, int32_t> had;  // key groups of the slot, by worker
    for (int32_t group = FirstKeyGroup(i, slots->size());
         group < FirstKeyGroup(i + 1, slots->size()); ++group) {
      const auto worker = index_of.find(before[SlotOf(group, before.size())]);
      if (worker != index_of.end()) ++had[worker->second];
    }
    for (const auto& [worker, groups] : had) {
      if (groups <= slot.kept) continue;
      slot.home = worker;
      slot.kept = groups;
    }
  }
}

// What each slot weighs, as its key groups did. `mean`: of all slots that were measured, in cores.
void Weigh(const JobDemand& job, double mean, std::vector<SlotBoard::Slot>* slots) {
  if (job.cores.empty()) return;
  const size_t measured = job.cores.size();
  std::vector<double> cores(slots->size(), kIdleCores);
  for (int32_t group = 0; group < kKeyGroupCount; ++group) {
    const size_t slot = SlotOf(group, measured);
    const int32_t groups = FirstKeyGroup(slot + 1, measured) - FirstKeyGroup(slot, measured);
    cores[SlotOf(group, slots->size())] += job.cores[slot] / groups;
  }
  const double of_job = std::reduce(cores.begin(), cores.end()) / double(cores.size());
  const auto units = [](double means) {
    return std::max<int64_t>(1, std::llround(means * double(SlotBoard::kLoadUnit)));
  };
  for (size_t i = 0; i < slots->size(); ++i) {
    (*slots)[i].load = units(cores[i] / mean);
    (*slots)[i].part = units(cores[i] / of_job);
  }
}

// Of a slot that was measured, in cores; 0: none was.
double MeanOf(std::span<const JobDemand> jobs) {
  double sum = 0;
  size_t measured = 0;
  for (const JobDemand& job : jobs) {
    for (const double cores : job.cores) sum += cores + kIdleCores;
    measured += job.cores.size();
  }
  return measured == 0 ? 0 : sum / double(measured);
}

template <typename Named>
std::vector<size_t> InNaturalOrder(std::span<const Named> named) {
  std::vector<size_t> order(named.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, NaturalLess,
                    [&](size_t i) -> std::string_view { return named[i].name; });
  return order;
}

}  // namespace

int32_t ParallelismOf(int32_t wanted, int32_t partitions, std::span<const WorkerCapacity> workers,
                      int32_t kept) {
  const int64_t most = partitions > 0 ? std::min(partitions, kKeyGroupCount) : kKeyGroupCount;
  const int64_t slots = wanted > 0 ? wanted : std::max<int64_t>(OfferedBy(workers), kept);
  return int32_t(std::clamp<int64_t>(slots, 1, most));
}

Assignment Assign(std::span<const WorkerCapacity> workers, std::span<const JobDemand> jobs) {
  const std::vector<size_t> order = InNaturalOrder(workers);
  WorkerIndexes index_of;
  std::vector<int32_t> offered;
  for (const size_t worker : order) {
    index_of[workers[worker].name] = int32_t(offered.size());
    offered.push_back(workers[worker].slots);
  }
  const double mean = MeanOf(jobs);

  SlotBoard board(offered);
  const std::vector<size_t> job_order = InNaturalOrder(jobs);
  for (const size_t number : job_order) {
    const JobDemand& job = jobs[number];
    std::vector<SlotBoard::Slot> slots(
        job.fixed ? job.before.size()
                  : size_t(ParallelismOf(job.wanted, job.partitions, workers, job.kept)));
    Weigh(job, mean, &slots);
    FindHomes(job.before, index_of, &slots);
    board.AddJob(std::move(slots), job.fixed);
  }
  SettleSlots(&board, mean > 0 ? kWorthwhile : 0);

  Assignment assignment;
  assignment.jobs.resize(jobs.size());
  assignment.looks = board.looks();
  for (size_t i = 0; i < job_order.size(); ++i) {
    const JobDemand& job = jobs[job_order[i]];
    JobPlacement& placement = assignment.jobs[job_order[i]];
    if (job.fixed) {
      placement.slots = job.before;
      continue;
    }
    for (const SlotBoard::Slot& slot : board.jobs()[i].slots) {
      placement.slots.push_back(workers[order[size_t(slot.worker)]].name);
    }
    placement.notes = NotesOf(job, workers);
  }
  return assignment;
}

}  // namespace millrace
