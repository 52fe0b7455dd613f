// Fleets and jobs made of a seed, for the tests and the benchmark of assignments.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "coordinator/assignment.h"

namespace millrace::test {

struct FleetShape {
  int32_t workers = 1;
  int32_t jobs = 1;
  int32_t slots_max = 1;  // of a job
  bool uneven = false;    // workers offer different numbers of slots
  bool measured = false;  // jobs and their slots differ in load, by two decades and by one
};

// A cluster whose workers and jobs a test changes.
class RandomFleet {
 public:
  RandomFleet(const FleetShape& shape, uint32_t seed) : shape_(shape), chance_(seed) {
    for (int32_t i = 0; i < shape.workers; ++i) AddWorker();
    for (int32_t i = 0; i < shape.jobs; ++i) AddJob();
  }

  std::vector<WorkerCapacity> workers;
  std::vector<JobDemand> jobs;

  int32_t Below(int32_t bound) {
    return std::uniform_int_distribution<int32_t>(0, bound - 1)(chance_);
  }
  double Between(double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(chance_);
  }

  void AddWorker() {
    workers.push_back({"worker-" + std::to_string(added_++), shape_.uneven ? 1 + Below(8) : 4});
  }
  void LoseWorker() { workers.erase(workers.begin() + Below(int32_t(workers.size()))); }
  void AddJob() {
    JobDemand job;
    job.name = "job-" + std::to_string(added_++);
    Rescale(&job);
    jobs.push_back(std::move(job));
    Measure(&jobs.back());
  }
  void Rescale(JobDemand* job) {
    job->wanted = Below(4) == 0 ? 0 : 1 + Below(shape_.slots_max);
    job->partitions = 1 + Below(shape_.slots_max);
    if (Below(4) != 0) job->partitions = std::max(job->partitions, job->wanted);
  }
  void Measure(JobDemand* job) {
    job->cores.clear();
    if (!shape_.measured) return;
    const double of_job = std::pow(10, Between(-2, 0));
    const int32_t slots = ParallelismOf(job->wanted, job->partitions, workers);
    for (int32_t i = 0; i < slots; ++i) {
      job->cores.push_back(of_job * std::pow(10, Between(-0.5, 0.5)));
    }
  }
  // Each slot has its load times something up to 1 ± `part`.
  void Disturb(double part) {
    for (JobDemand& job : jobs) {
      for (double& cores : job.cores) cores *= Between(1 - part, 1 + part);
    }
  }

  // Has everything run where it is assigned.
  Assignment Apply() {
    Assignment assignment = Assign(workers, jobs);
    for (size_t i = 0; i < jobs.size(); ++i) jobs[i].before = assignment.jobs[i].slots;
    return assignment;
  }

 private:
  const FleetShape shape_;
  std::mt19937 chance_;
  int32_t added_ = 0;
};

// Slots that are not where they were, of jobs that have as many as before.
inline int64_t MovesOf(std::span<const JobDemand> jobs, const Assignment& assignment) {
  int64_t moves = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const SlotWorkers& before = jobs[i].before;
    const SlotWorkers& after = assignment.jobs[i].slots;
    if (before.size() != after.size()) continue;
    for (size_t slot = 0; slot < after.size(); ++slot) moves += before[slot] != after[slot];
  }
  return moves;
}

}  // namespace millrace::test
