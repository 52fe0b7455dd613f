// Which worker has which slots of which jobs. Pure: the same workers and jobs give the same
// assignment, in whatever order they are given. docs/cluster.md, "Assignment".
//
// Slot i of a job is reader i of each of its sources, with its partitions, and task i of each of
// its keyed nodes, with its range of key groups: so both move together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace millrace {

// Each slot's worker, by name.
using SlotWorkers = std::vector<std::string>;

struct WorkerCapacity {
  std::string name;
  int32_t slots = 1;  // a weight: it may get more
};

struct JobDemand {
  std::string name;
  int32_t wanted = 0;  // its parallelism; 0: as many slots as the workers offer
  // How many slots its state is cut into, where workers have gone out of order: at another
  // parallelism all of it would be cut anew while its output waits. 0: nothing is kept.
  int32_t kept = 0;
  int32_t partitions = 0;  // of its largest source; 0: not known
  SlotWorkers before;      // of its last attempt, or empty; may name workers that are gone
  // How many cores each slot of an attempt kept busy; empty: not measured. May be of another
  // parallelism than `before`.
  std::vector<double> cores;
  // It stays as it was, and counts only as load on those who have it.
  bool fixed = false;
};

struct JobPlacement {
  SlotWorkers slots;
  // For people: what keeps the job from using all that the workers offer.
  std::vector<std::string> notes;
};

struct Assignment {
  std::vector<JobPlacement> jobs;  // in the order in which they were given
  int64_t looks = 0;               // a measure of the work that it took
};

// How many slots a job has: what it wants, else what the workers offer and at least `kept`; never
// more than partitions or key groups.
int32_t ParallelismOf(int32_t wanted, int32_t partitions, std::span<const WorkerCapacity> workers,
                      int32_t kept = 0);

// `workers`: those that stay, at least one; names are unique.
Assignment Assign(std::span<const WorkerCapacity> workers, std::span<const JobDemand> jobs);

}  // namespace millrace
