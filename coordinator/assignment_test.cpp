#include "coordinator/assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<WorkerCapacity> Workers(int32_t count, int32_t slots = 1) {
  std::vector<WorkerCapacity> workers;
  workers.reserve(size_t(count));
  for (int32_t i = 0; i < count; ++i) workers.push_back({"worker-" + std::to_string(i), slots});
  return workers;
}

JobDemand Job(int32_t wanted, SlotWorkers before = {}, const std::string& name = "job") {
  JobDemand job;
  job.name = name;
  job.wanted = wanted;
  job.before = std::move(before);
  return job;
}

SlotWorkers Place(const std::vector<WorkerCapacity>& workers, const JobDemand& job) {
  return Assign(workers, std::span(&job, 1)).jobs[0].slots;
}

std::map<std::string, int32_t> CountsOf(const SlotWorkers& slots) {
  std::map<std::string, int32_t> counts;
  for (const std::string& worker : slots) ++counts[worker];
  return counts;
}

using Counts = std::map<std::string, int32_t>;

// ---- parallelism --------------------------------------------------------------------------------

TEST(Parallelism, IsWhatIsWantedWithinPartitionsAndKeyGroups) {
  EXPECT_EQ(ParallelismOf(0, 0, Workers(3, 2)), 6);
  EXPECT_EQ(ParallelismOf(0, 4, Workers(3, 2)), 4);
  EXPECT_EQ(ParallelismOf(9, 0, Workers(3, 2)), 9);
  EXPECT_EQ(ParallelismOf(9, 4, Workers(3, 2)), 4);
  EXPECT_EQ(ParallelismOf(0, 0, Workers(1000)), 720);
  EXPECT_EQ(ParallelismOf(0, 10'000, Workers(1000)), 720);
  EXPECT_EQ(ParallelismOf(0, 0, Workers(3, 2), 8), 8) << "what is kept";
  EXPECT_EQ(ParallelismOf(0, 0, Workers(3, 2), 4), 6);
  EXPECT_EQ(ParallelismOf(5, 0, Workers(3, 2), 8), 5);
  EXPECT_EQ(ParallelismOf(0, 4, Workers(3, 2), 8), 4);
}

std::vector<std::string> NotesOf(int32_t wanted, int32_t partitions,
                                 const std::vector<WorkerCapacity>& workers) {
  JobDemand job = Job(wanted);
  job.partitions = partitions;
  return Assign(workers, std::span(&job, 1)).jobs[0].notes;
}

TEST(Parallelism, ANoteSaysWhatKeepsAJobFromUsingItsWorkers) {
  EXPECT_THAT(NotesOf(0, 6, Workers(8)),
              ElementsAre("8 workers, job parallelism 6: the topic has 6 partitions"));
  EXPECT_THAT(NotesOf(0, 1, Workers(1, 2)),
              ElementsAre("1 worker with 2 slots, job parallelism 1: the topic has 1 partition"));
  EXPECT_THAT(NotesOf(12, 6, Workers(8, 2)),
              ElementsAre("parallelism 12 asked for, job parallelism 6: the topic has 6 "
                          "partitions"));
  EXPECT_THAT(NotesOf(0, 10'000, Workers(1000)),
              ElementsAre("1000 workers, job parallelism 720: a job has 720 key groups"));
  EXPECT_THAT(NotesOf(2, 6, Workers(8)),
              ElementsAre("8 workers, job parallelism 2: as was asked for"));
  EXPECT_THAT(NotesOf(6, 6, Workers(2, 2)),
              ElementsAre("2 workers with 4 slots, job parallelism 6: as was asked for"));
}

TEST(Parallelism, NothingIsSaidWhereEveryWorkerIsUsed) {
  EXPECT_THAT(NotesOf(0, 8, Workers(8)), IsEmpty());
  EXPECT_THAT(NotesOf(0, 0, Workers(4, 2)), IsEmpty());
  EXPECT_THAT(NotesOf(8, 12, Workers(8, 2)), IsEmpty());
}

// ---- one job ------------------------------------------------------------------------------------

TEST(Assign, NeighboursShareAWorker) {
  EXPECT_THAT(Place(Workers(2), Job(4)),
              ElementsAre("worker-0", "worker-0", "worker-1", "worker-1"));
}

TEST(Assign, GoesByWhatWorkersOffer) {
  std::vector<WorkerCapacity> workers = Workers(2);
  workers[1].slots = 3;
  EXPECT_EQ(CountsOf(Place(workers, Job(8))), (Counts{{"worker-0", 2}, {"worker-1", 6}}));
}

TEST(Assign, WorkersComeInTheOrderOfTheirNumbers) {
  EXPECT_THAT(Place(Workers(12), Job(3)), ElementsAre("worker-0", "worker-1", "worker-2"));
}

TEST(Assign, StaysWhereItWas) {
  const SlotWorkers before = {"worker-2", "worker-0", "worker-1", "worker-0"};
  EXPECT_EQ(Place(Workers(3), Job(4, before)), before);
}

TEST(Assign, OnlySlotsOfALostWorkerMove) {
  EXPECT_THAT(Place(Workers(2), Job(4, {"worker-0", "gone", "worker-1", "gone"})),
              ElementsAre("worker-0", "worker-0", "worker-1", "worker-1"));
}

TEST(Assign, AWorkerThatComesGetsItsShare) {
  const SlotWorkers before = {"worker-0", "worker-0", "worker-0",
                              "worker-1", "worker-1", "worker-1"};
  const SlotWorkers after = Place(Workers(3), Job(6, before));
  EXPECT_EQ(CountsOf(after), (Counts{{"worker-0", 2}, {"worker-1", 2}, {"worker-2", 2}}));
  EXPECT_EQ(std::ranges::count(after, "worker-2"), 2);
  for (size_t i = 0; i < after.size(); ++i) {
    if (after[i] != "worker-2") {
      EXPECT_EQ(after[i], before[i]);
    }
  }
}

TEST(Assign, RescaledSlotsAreWhereMostOfTheirKeyGroupsWere) {
  EXPECT_THAT(Place(Workers(2), Job(4, {"worker-1", "worker-0"})),
              ElementsAre("worker-1", "worker-1", "worker-0", "worker-0"));
  EXPECT_THAT(Place(Workers(2), Job(2, {"worker-1", "worker-1", "worker-0", "worker-0"})),
              ElementsAre("worker-1", "worker-0"));
  // Slot 1 of 3 has the same of both halves; slots 0 and 2 are within one.
  EXPECT_THAT(Place(Workers(3), Job(3, {"worker-2", "worker-1"})),
              ElementsAre("worker-2", "worker-0", "worker-1"));
}

// ---- measured load ------------------------------------------------------------------------------

TEST(Assign, AHotSlotGetsAWorkerForItself) {
  JobDemand job = Job(6, {"worker-0", "worker-0", "worker-1", "worker-1", "worker-2", "worker-2"});
  job.cores = {0.9, 0.1, 0.1, 0.1, 0.1, 0.1};
  const SlotWorkers after = Place(Workers(3), job);
  EXPECT_EQ(after[0], "worker-0");
  EXPECT_EQ(CountsOf(after)["worker-0"], 1);
}

TEST(Assign, NoiseMovesNothing) {
  const SlotWorkers before = {"worker-0", "worker-0", "worker-1", "worker-1"};
  JobDemand job = Job(4, before);
  job.cores = {0.30, 0.34, 0.28, 0.29};
  EXPECT_EQ(Place(Workers(2), job), before);
  // Of jobs that have nothing to do, too.
  job.cores = {0.004, 0.001, 0.0, 0.001};
  EXPECT_EQ(Place(Workers(2), job), before);
}

TEST(Assign, WhatIsOffByMoreThanAFifthIsPutRight) {
  SlotWorkers before(20, "worker-0");
  std::fill(before.begin() + 10, before.end(), "worker-1");
  JobDemand job = Job(20, before);
  const auto load = [&](double of_first) {
    job.cores.assign(20, 2 - of_first);
    std::fill(job.cores.begin(), job.cores.begin() + 10, of_first);
    return Place(Workers(2), job);
  };
  EXPECT_EQ(load(1.05), before);
  EXPECT_EQ(CountsOf(load(1.3)), (Counts{{"worker-0", 8}, {"worker-1", 12}}));
}

TEST(Assign, LoadStaysWithItsKeyGroups) {
  // Measured at parallelism 2: the first half of the keys is what is hot.
  JobDemand job = Job(4);
  job.cores = {0.9, 0.1};
  EXPECT_EQ(CountsOf(Place(Workers(4), job)),
            (Counts{{"worker-0", 1}, {"worker-1", 1}, {"worker-2", 1}, {"worker-3", 1}}));
  const SlotWorkers two = Place(Workers(2), job);
  EXPECT_NE(two[0], two[1]);
  EXPECT_NE(two[2], two[3]);
}

// ---- several jobs -------------------------------------------------------------------------------

TEST(Assign, SmallJobsDoNotMeetOnOneWorker) {
  std::vector<JobDemand> jobs;
  jobs.reserve(4);
  for (int32_t i = 0; i < 4; ++i) jobs.push_back(Job(1, {}, "job-" + std::to_string(i)));
  Counts counts;
  for (const JobPlacement& job : Assign(Workers(4), jobs).jobs) ++counts[job.slots[0]];
  EXPECT_EQ(counts.size(), 4);
}

TEST(Assign, AJobGoesWhereTheFixedOnesAreNot) {
  std::vector<JobDemand> jobs = {Job(2, {"worker-0", "worker-1"}, "a"), Job(2, {}, "b")};
  jobs[0].fixed = true;
  const Assignment assignment = Assign(Workers(4), jobs);
  EXPECT_THAT(assignment.jobs[0].slots, ElementsAre("worker-0", "worker-1"));
  EXPECT_THAT(assignment.jobs[1].slots, ElementsAre("worker-2", "worker-3"));
}

TEST(Assign, FixedSlotsOfALostWorkerStayAsTheyWere) {
  std::vector<JobDemand> jobs = {Job(2, {"worker-0", "gone"}, "a"), Job(1, {}, "b")};
  jobs[0].fixed = true;
  const Assignment assignment = Assign(Workers(2), jobs);
  EXPECT_THAT(assignment.jobs[0].slots, ElementsAre("worker-0", "gone"));
  EXPECT_THAT(assignment.jobs[1].slots, ElementsAre("worker-1"));
}

TEST(Assign, EachJobIsSpreadThoughTheOthersWouldMakeUpForIt) {
  std::vector<JobDemand> jobs = {
      Job(4, {"worker-0", "worker-0", "worker-0", "worker-0"}, "a"),
      Job(4, {"worker-1", "worker-1", "worker-1", "worker-1"}, "b"),
  };
  for (const JobPlacement& job : Assign(Workers(2), jobs).jobs) {
    EXPECT_EQ(CountsOf(job.slots), (Counts{{"worker-0", 2}, {"worker-1", 2}}));
  }
}

TEST(Assign, LoadGoesByJobsThatWereMeasured) {
  // The busy job is on worker-0 alone; one that was never measured counts as the mean.
  std::vector<JobDemand> jobs = {Job(1, {"worker-0"}, "busy"), Job(1, {"worker-1"}, "idle"),
                                 Job(1, {}, "new")};
  jobs[0].cores = {0.95};
  jobs[1].cores = {0.01};
  EXPECT_THAT(Assign(Workers(2), jobs).jobs[2].slots, ElementsAre("worker-1"));
}

}  // namespace
}  // namespace millrace
