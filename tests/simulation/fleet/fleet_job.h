// What is true of one job of a simulated fleet, whoever leads it: its log, its checkpoints, how far
// its sources go, and what its sinks have taken. The rows of a key group are numbered, so that each
// must come out once and in order. Looks at everything that attempts do to it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/fleet/fleet_store.h"

namespace millrace::simulation {

inline constexpr int kGroups = 12;
inline constexpr int32_t kPartitions = 6;  // a job has no more slots

// What a job file says; a job's "file" is its text.
struct FleetJobFile {
  int32_t parallelism = 0;
  int64_t attempts = 0;  // restarts
  int version = 0;       // tells files apart
  std::string Text() const;
  static FleetJobFile Read(const std::string& text);
};

// By key group: rows that are read, or published.
using Positions = std::vector<int64_t>;

struct FleetManifest {
  int64_t attempt = 0;
  int64_t epoch = 0;
  bool finished = false;
  int32_t slots = 0;  // that its state is cut into
  Positions rows = Positions(kGroups, 0);
};

// A task's part of a checkpoint.
struct FleetShare {
  int64_t attempt = 0;  // of the task
  std::string worker;   // its incarnation
  std::map<int, int64_t> rows;
};

// A reading that a task fails at, or that ends its process.
struct FleetPoison {
  int group = 0;
  int64_t row = 0;
  bool ends_process = false;
  std::string Text() const {
    return "key group " + std::to_string(group) + " row " + std::to_string(row);
  }
};

class FleetJob {
 public:
  // `rows`: of each key group; 0: no end.
  FleetJob(FleetWorld* world, std::string name, int64_t rows)
      : world_(world), name_(std::move(name)), rows_(rows), log(world) {}

  const std::string& name() const { return name_; }
  // How far a source of the job can be read now.
  int64_t Limit() const { return rows_ == 0 ? INT64_MAX : rows_; }

  // An attempt has begun; `by`: who leads it.
  void OnClaimed(int64_t attempt, const std::string& by);
  // Nobody leads it any more.
  void OnGivenUp(int64_t attempt) { led_.erase(attempt); }
  // Empty: nobody.
  std::string LeaderOf(int64_t attempt) const {
    return led_.contains(attempt) ? leaders_.at(attempt) : "";
  }
  // The checkpoint that an attempt goes on from, by what was in the log when it claimed it.
  FleetManifest Restored(const ClaimedTerm& claimed) const;
  // Adds a checkpoint to the log.
  AppendResult Commit(int64_t index, const FleetManifest& manifest,
                      const std::vector<FleetShare>& shares);
  // Whether an attempt leads still.
  bool Leads(int64_t attempt) const { return log.term() == attempt; }

  // A worker begins to publish some key groups: fences those of older attempts. False: it is
  // fenced itself. `rows`: what was published.
  bool BeginPublishing(int64_t attempt, const std::string& worker, const std::vector<int>& groups,
                       std::map<int, int64_t>* rows);
  // False: it is fenced.
  bool Publish(int64_t attempt, const std::string& worker, int group, int64_t from, int64_t to);

  std::optional<FleetPoison> poison;

  const FleetManifest& newest() const { return newest_; }
  const Positions& published() const { return published_; }
  int64_t attempts() const { return int64_t(leaders_.size()); }
  int64_t commits() const { return commits_; }
  int64_t refused() const { return refused_; }

 private:
  void Fail(const std::string& what) { world_->Fail("job " + name_ + ": " + what); }

  FleetWorld* const world_;
  const std::string name_;
  const int64_t rows_;
  std::map<int64_t, std::string> leaders_;      // by attempt
  std::set<int64_t> led_;                       // now
  std::map<std::string, FleetManifest> files_;  // by path
  FleetManifest newest_;
  Positions published_ = Positions(kGroups, 0);
  std::vector<int64_t> fences_ = std::vector<int64_t>(kGroups, 0);  // the attempt that publishes
  std::vector<std::string> publishers_ = std::vector<std::string>(kGroups);
  int64_t commits_ = 0;
  int64_t refused_ = 0;  // publishing of attempts that others have followed

 public:
  SharedLog log;
};

}  // namespace millrace::simulation
