#include "coordinator/job_coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

const NodeId kSource(0);
const ParticipantId kReader0(0), kReader1(1), kTask(2), kOutbox(3);
const TopicPartition kP0{"t", 0}, kP1{"t", 1};

constexpr MonotonicTime At(int ms) { return std::chrono::milliseconds(ms); }
constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }
const EventTime kWall = Event(9);

std::string SecondsOf(EventTime time) {
  return time == kEventTimeMax ? "max" : std::to_string(time.time_since_epoch().count() / 1000000);
}

// Writes down what the coordinator says.
class Script final : public CoordinatorHost {
 public:
  std::vector<std::string> lines;
  std::shared_ptr<const proto::Manifest> manifest;  // the last to be committed
  MonotonicTime fetched{0};                         // of the last watermark
  int64_t unpublished = 0;                          // epochs

  void Send(ParticipantId reader, StreamWatermarkMoved moved) override {
    fetched = moved.fetched;
    Say(reader, "watermark " + SecondsOf(moved.watermark));
  }
  void Send(ParticipantId reader, OpenEpoch open) override {
    Say(reader, "open " + std::to_string(open.epoch.value()));
  }
  void Send(ParticipantId reader, CheckpointCompleted completed) override {
    Say(reader, "completed " + std::to_string(completed.epoch.value()));
  }
  void Send(ParticipantId reader, PauseReading pause) override {
    Say(reader, pause.paused ? "pause" : "resume");
  }
  void Send(ParticipantId reader, FinishReading finish) override {
    Say(reader, "finish " + std::to_string(finish.epoch.value()) + (finish.drain ? " drain" : ""));
  }
  void Send(ParticipantId reader, PartitionFloor floor) override {
    Say(reader, "floor " + SecondsOf(floor.floor));
  }
  void Send(ParticipantId reader, AddPartition add) override {
    Say(reader, "add " + std::to_string(add.start.partition.partition));
  }
  void Commit(std::shared_ptr<const proto::Manifest> to_commit) override {
    manifest = std::move(to_commit);
    lines.push_back("commit " + std::to_string(manifest->epoch()));
  }
  void CheckLeadership(int32_t shard) override {
    lines.push_back("check " + std::to_string(shard));
  }
  void Permit(int32_t shard) override { lines.push_back("permit " + std::to_string(shard)); }
  void Release(ReleasedSegments released) override {
    std::string line =
        "release " + std::to_string(released.shard) + "@" + std::to_string(released.epoch.value());
    for (const proto::Segment& segment : released.segments) line += " " + segment.file().path();
    lines.push_back(line);
  }
  void Release(ReleasedRoll released) override {
    lines.push_back("roll " + released.sink + "@" + std::to_string(released.roll.epoch()));
  }
  void WriteSavepoint(std::shared_ptr<const proto::Manifest> written) override {
    lines.push_back("savepoint of " + std::to_string(written->epoch()));
  }
  void OnSavepoint(const std::string& name, const Status& status) override {
    lines.push_back("savepoint " + name + (status.ok() ? "" : ": " + status.message()));
  }
  void OnCompleted(const CompletedCheckpoint& checkpoint) override {
    lines.push_back("complete " + std::to_string(checkpoint.epoch.value()) + " of " +
                    std::to_string(checkpoint.bytes) + " bytes");
  }
  void OnAbandoned(Epoch epoch, const std::string& why) override {
    lines.push_back("abandoned " + std::to_string(epoch.value()) + ": " + why);
  }
  void OnUnpublished(int64_t epochs, int64_t) override { unpublished = epochs; }
  void OnBlocked(Blocked why, MonotonicTime) override {
    lines.push_back("blocked " + std::to_string(int(why)));
  }
  void Ended(const Status& status) override {
    lines.push_back(status.ok() ? "ended" : "failed: " + status.message());
  }

  // What was said since the last call.
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

 private:
  void Say(ParticipantId reader, const std::string& what) {
    lines.push_back("r" + std::to_string(reader.value()) + " " + what);
  }
};

using Lines = std::vector<std::string>;

proto::ShardState Rows(int64_t epoch, int64_t first_row, int64_t rows) {
  proto::ShardState shard;
  shard.set_next_row(first_row + rows);
  proto::Segment* const segment = shard.add_segments();
  segment->mutable_file()->set_path("s" + std::to_string(epoch));
  segment->mutable_file()->set_bytes(10);
  segment->set_epoch(epoch);
  segment->set_first_row(first_row);
  segment->set_rows(rows);
  return shard;
}

class JobCoordinatorTest : public testing::Test {
 protected:
  JobCoordinatorTest() {
    plan.sources.push_back(
        {kSource, false, {kReader0, kReader1}, {{kP0, kReader0}, {kP1, kReader1}}, kEventTimeMin});
    plan.participants = 4;
    plan.limits.interval = std::chrono::seconds(1);
    plan.identity = {"job", "g", {}, 1, 1};
  }
  void Begin() { job.emplace(plan); }
  void Acknowledge(ParticipantId participant, int64_t epoch, proto::ShardState shard = {}) {
    auto what = std::make_shared<proto::Acknowledgement>();
    if (participant == kOutbox) *what->mutable_shard() = std::move(shard);
    job->OnAcknowledge({participant, Epoch(epoch), what}, kWall, &script);
  }
  void AcknowledgeAll(int64_t epoch, proto::ShardState shard = {}) {
    for (const ParticipantId participant : {kReader0, kReader1, kTask}) {
      Acknowledge(participant, epoch);
    }
    Acknowledge(kOutbox, epoch, std::move(shard));
  }
  void Committed(int64_t epoch, Status failure = Status::OK()) {
    ManifestCommitted committed{Epoch(epoch), 100, 10, nullptr};
    if (!failure.ok()) committed.failure = std::make_shared<Status>(failure);
    job->OnCommitted(committed, At(2000), kWall, &script);
  }
  void Open(int64_t epoch, int ms) {
    job->OnTick(At(ms), &script);
    const std::string open = "open " + std::to_string(epoch);
    ASSERT_EQ(script.Take(), (Lines{"r0 " + open, "r1 " + open}));
  }

  CoordinatorPlan plan;
  std::optional<JobCoordinator> job;
  Script script;
};

TEST_F(JobCoordinatorTest, TellsEveryReaderTheLeastWatermark) {
  Begin();
  job->OnReport({kSource, {{kP0, Event(100)}}, At(1)}, At(1), &script);
  EXPECT_EQ(script.Take(), Lines{});
  job->OnReport({kSource, {{kP1, Event(50)}}, At(2)}, At(2), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 50", "r1 watermark 50"}));
  job->OnReport({kSource, {{kP0, Event(200)}}, At(3)}, At(3), &script);
  EXPECT_EQ(script.Take(), Lines{});
}

TEST_F(JobCoordinatorTest, AnIdlePartitionDoesNotHoldTheStreamAndIsJudgedAgainstItWhenItReturns) {
  Begin();
  job->OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  script.Take();
  job->OnIdle({kSource, kP1}, At(10), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 100", "r1 watermark 100"}));
  job->OnActive({kSource, kP1}, At(11), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 floor 100"});
}

TEST_F(JobCoordinatorTest, ReleasesOutputOnlyOnceTheManifestIsInTheLog) {
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  for (const ParticipantId participant : {kReader0, kReader1, kTask}) Acknowledge(participant, 1);
  EXPECT_EQ(script.Take(), Lines{});
  Acknowledge(kOutbox, 1, Rows(1, 0, 5));
  EXPECT_EQ(script.Take(), Lines{"commit 1"});
  EXPECT_EQ(script.manifest->shards(0).segments(0).file().path(), "s1");
  EXPECT_EQ(script.manifest->term(), 1);
  Committed(1);
  EXPECT_EQ(script.Take(), (Lines{"release 0@1 s1", "r0 completed 1", "r1 completed 1",
                                  "complete 1 of 100 bytes"}));
  EXPECT_EQ(script.unpublished, 1);
  job->OnPublished({0, Epoch(1), 5}, kWall, &script);
  EXPECT_EQ(script.unpublished, 0);
}

TEST_F(JobCoordinatorTest, DoubledAcknowledgementsCommitOnce) {
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  AcknowledgeAll(1, Rows(1, 0, 5));
  AcknowledgeAll(1, Rows(1, 0, 5));
  EXPECT_EQ(script.Take(), Lines{"commit 1"});
  EXPECT_EQ(script.manifest->shards(0).segments_size(), 1);
}

TEST_F(JobCoordinatorTest, AnAbandonedEpochsRowsGoWithTheNext) {
  plan.limits.timeout = std::chrono::seconds(5);
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  job->OnTick(At(6000), &script);
  EXPECT_EQ(script.Take(), (Lines{"abandoned 1: it was not acknowledged by everyone in time",
                                  "r0 open 2", "r1 open 2"}));
  AcknowledgeAll(1, Rows(1, 0, 5));
  EXPECT_EQ(script.Take(), Lines{});
  AcknowledgeAll(2, Rows(2, 5, 1));
  EXPECT_EQ(script.Take(), Lines{"commit 2"});
  EXPECT_EQ(script.manifest->shards(0).segments_size(), 2);
  EXPECT_EQ(script.manifest->shards(0).next_row(), 6);
}

TEST_F(JobCoordinatorTest, AFailureThatMayPassGivesTheEpochUpAndAnotherEndsTheJob) {
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  AcknowledgeAll(1, Rows(1, 0, 5));
  script.Take();
  Committed(1, ExternalError("checkpoint_damaged", "a file is missing", Retry::kYes));
  EXPECT_EQ(script.Take(), Lines{"abandoned 1: a file is missing"});
  Open(2, 2000);
  AcknowledgeAll(2, Rows(2, 5, 1));
  EXPECT_EQ(script.manifest->shards(0).segments_size(), 2);
  script.Take();
  Committed(2, ExternalError("superseded", "another leads", Retry::kNo));
  EXPECT_EQ(script.Take(), Lines{"failed: another leads"});
  EXPECT_TRUE(job->ended());
}

TEST_F(JobCoordinatorTest, ReadersPauseWhileTooMuchWaitsToBePublished) {
  plan.limits.unpublished_epochs_max = 0;
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  AcknowledgeAll(1, Rows(1, 0, 5));
  Committed(1);
  script.Take();
  job->OnTick(At(2000), &script);
  EXPECT_EQ(script.Take(), (Lines{"blocked 2", "r0 pause", "r1 pause"}));
  EXPECT_TRUE(job->paused());
  job->OnPublished({0, Epoch(1), 5}, kWall, &script);
  job->OnTick(At(2001), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 open 2", "r1 open 2", "r0 resume", "r1 resume"}));
}

// Waiting for its publication would be waiting for ever.
TEST_F(JobCoordinatorTest, OutputThatNoEpochHasReleasedPausesReadersAndOpensTheNext) {
  plan.limits.outbox_bytes_max = 9;
  plan.limits.timeout = std::chrono::seconds(5);
  Begin();
  job->OnTick(At(0), &script);
  job->OnOutboxGrew({0, 10});
  job->OnTick(At(500), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 pause", "r1 pause"}));
  job->OnTick(At(1000), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 open 1", "r1 open 1", "r0 resume", "r1 resume"}));
  Acknowledge(kOutbox, 1, Rows(1, 0, 5));
  job->OnTick(At(6000), &script);  // sealed, but of an epoch that is given up
  EXPECT_EQ(script.Take(), (Lines{"abandoned 1: it was not acknowledged by everyone in time",
                                  "r0 open 2", "r1 open 2", "r0 pause", "r1 pause"}));
  AcknowledgeAll(2);
  Committed(2);
  script.Take();
  job->OnTick(At(7000), &script);
  EXPECT_EQ(script.Take(), Lines{"blocked 3"});  // now it is to be published first
}

TEST_F(JobCoordinatorTest, PermissionIsGivenOnceLeadershipWasSeen) {
  Begin();
  job->OnAskPermission({0}, &script);
  EXPECT_EQ(script.Take(), Lines{"check 0"});
  job->OnLeadership({0, nullptr}, &script);
  EXPECT_EQ(script.Take(), Lines{"permit 0"});
  job->OnLeadership({0, std::make_shared<Status>(Status::IOError("another leads"))}, &script);
  EXPECT_EQ(script.Take(), Lines{"failed: another leads"});
}

TEST_F(JobCoordinatorTest, ARestoredJobReleasesWhatWasLeftAndNumbersOn) {
  proto::Manifest restored;
  restored.set_epoch(4);
  *restored.add_shards() = Rows(4, 10, 5);
  proto::StreamCounts* const counts = restored.mutable_account()->add_streams();
  counts->set_stream("s");
  counts->set_rows_in(7);
  plan.restored = restored;
  plan.last_epoch = Epoch(6);  // the checkpoints of 5 and 6 are damaged
  plan.sources[0].watermark = Event(50);
  Begin();
  job->Start(&script);
  EXPECT_EQ(script.Take(), Lines{"release 0@4 s4"});
  job->OnReport({kSource, {{kP0, Event(40)}, {kP1, Event(45)}}, At(1)}, At(1), &script);
  EXPECT_EQ(script.Take(), Lines{});  // told before
  job->OnTick(At(0), &script);
  job->OnTick(At(1000), &script);
  EXPECT_EQ(script.Take(), Lines{"blocked 4"});
  job->OnPublished({0, Epoch(4), 15}, kWall, &script);
  Open(7, 1001);
  AcknowledgeAll(7);
  EXPECT_EQ(script.manifest->account().streams(0).rows_in(), 7);
  EXPECT_EQ(script.manifest->shards(0).next_row(), 15);
  EXPECT_EQ(script.manifest->shards(0).segments_size(), 0);
  EXPECT_EQ(script.manifest->shards(0).published_row(), 15);
}

TEST_F(JobCoordinatorTest, WhatARestartFoundIsPublishedBeforeAnyEpochOpens) {
  proto::Manifest restored;
  restored.set_epoch(4);
  *restored.add_shards() = Rows(4, 10, 5);
  plan.restored = restored;
  plan.last_epoch = Epoch(4);
  Begin();
  job->Start(&script);
  script.Take();
  job->RequestSavepoint("early", At(10), &script);
  job->RequestStop(At(20), &script);
  job->OnTick(At(30), &script);
  EXPECT_EQ(script.Take(), Lines{});
  job->OnPublished({0, Epoch(4), 15}, kWall, &script);
  job->OnTick(At(40), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 open 5", "r1 open 5"}));  // the savepoint's
  AcknowledgeAll(5);
  Committed(5);
  script.Take();
  job->OnSavepointWritten({nullptr}, &script);
  EXPECT_EQ(script.Take(), Lines{"savepoint early"});
  job->OnTick(At(50), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 6", "r1 finish 6"}));
}

TEST_F(JobCoordinatorTest, ASavepointIsWrittenOnceAllItsOutputIsPublished) {
  Begin();
  job->RequestSavepoint("s", At(10), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 open 1", "r1 open 1"}));
  job->RequestSavepoint("t", At(11), &script);
  EXPECT_EQ(script.Take(), Lines{"savepoint t: savepoint 's' is being made; ask again"});
  AcknowledgeAll(1, Rows(1, 0, 5));
  Committed(1);
  EXPECT_EQ(script.Take(), (Lines{"commit 1", "release 0@1 s1", "r0 completed 1", "r1 completed 1",
                                  "complete 1 of 100 bytes"}));
  job->OnTick(At(5000), &script);  // no epoch adds to its output meanwhile
  EXPECT_EQ(script.Take(), Lines{});
  job->OnPublished({0, Epoch(1), 5}, kWall, &script);
  EXPECT_EQ(script.Take(), Lines{"savepoint of 1"});
  job->OnSavepointWritten({std::make_shared<Status>(Status::IOError("disk full"))}, &script);
  EXPECT_EQ(script.Take(), Lines{"savepoint s: disk full"});
  Open(2, 6000);
}

TEST_F(JobCoordinatorTest, ASavepointWhoseEpochIsGivenUpFails) {
  plan.limits.timeout = std::chrono::seconds(5);
  Begin();
  job->RequestSavepoint("s", At(0), &script);
  script.Take();
  job->OnTick(At(6000), &script);
  const Lines told = script.Take();
  ASSERT_GE(told.size(), 2u);
  EXPECT_EQ(
      told[1],
      "savepoint s: its checkpoint was given up: it was not acknowledged by everyone in time");
}

TEST_F(JobCoordinatorTest, ANewPartitionGoesToTheReaderWithTheFewest) {
  plan.sources[0].partitions[TopicPartition{"t", 2}] = kReader0;
  Begin();
  job->OnFound({kSource, {TopicPartition{"t", 3}, 0}}, &script);
  job->OnFound({kSource, {TopicPartition{"t", 3}, 0}}, &script);
  EXPECT_EQ(script.Take(), Lines{"r1 add 3"});
}

TEST_F(JobCoordinatorTest, EndsOnlyWhenEverythingIsPublishedAndACheckpointKnowsIt) {
  plan.sources[0].bounded = true;
  Begin();
  job->OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  job->OnEnded({kSource, kP0}, At(2), &script);
  script.Take();
  job->OnEnded({kSource, kP1}, At(3), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark max", "r1 watermark max", "r0 finish 1 drain",
                                  "r1 finish 1 drain"}));
  proto::ShardState rows = Rows(1, 0, 5);
  proto::FileSinkState* const file = rows.add_files();
  file->set_sink("f");
  file->add_open()->mutable_file()->set_path("open");
  AcknowledgeAll(1, rows);
  Committed(1);
  EXPECT_EQ(script.Take(), (Lines{"commit 1", "release 0@1 s1", "roll f@1", "r0 completed 1",
                                  "r1 completed 1", "complete 1 of 100 bytes"}));
  for (const ParticipantId participant : {kReader0, kReader1, kTask, kOutbox}) {
    job->OnDone({participant}, kWall, &script);
  }
  job->OnPublished({0, Epoch(1), 5}, kWall, &script);
  EXPECT_EQ(script.Take(), Lines{});
  job->OnRollPublished({0, "f", Epoch(1)}, kWall, &script);
  EXPECT_EQ(script.Take(), Lines{"commit 2"});
  EXPECT_TRUE(script.manifest->finished());
  EXPECT_EQ(script.manifest->shards(0).segments_size(), 0);
  EXPECT_EQ(script.manifest->shards(0).published_row(), 5);
  EXPECT_EQ(script.manifest->shards(0).files_size(), 0);
  Committed(2);
  EXPECT_EQ(script.Take(), Lines{"ended"});
}

// A topic that is only treated as ended must not leave "everything is published" behind.
TEST_F(JobCoordinatorTest, AnUnboundedSourcesEndIsNotToldAsItsWatermark) {
  Begin();
  job->OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(50)}}, At(1)}, At(1), &script);
  script.Take();
  job->OnEnded({kSource, kP0}, At(2), &script);
  script.Take();
  job->OnEnded({kSource, kP1}, At(3), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 1 drain", "r1 finish 1 drain"}));
}

TEST_F(JobCoordinatorTest, AStopLeavesWindowsOpenHappensOnceAndIsNotFinished) {
  Begin();
  job->RequestStop(At(1), &script);
  job->RequestStop(At(2), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 1", "r1 finish 1"}));
  job->OnTick(At(5000), &script);
  EXPECT_EQ(script.Take(), Lines{});
  AcknowledgeAll(1);
  Committed(1);
  for (const ParticipantId participant : {kReader0, kReader1, kTask, kOutbox}) {
    job->OnDone({participant}, kWall, &script);
  }
  EXPECT_EQ(script.Take().back(), "commit 2");
  EXPECT_FALSE(script.manifest->finished());
}

TEST_F(JobCoordinatorTest, AStopWaitsForThePendingEpoch) {
  Begin();
  job->OnTick(At(0), &script);
  Open(1, 1000);
  job->RequestStop(At(1001), &script);
  EXPECT_EQ(script.Take(), Lines{});
  AcknowledgeAll(1);
  Committed(1);
  script.Take();
  job->OnTick(At(1100), &script);
  EXPECT_EQ(script.Take(), (Lines{"r0 finish 2", "r1 finish 2"}));
}

TEST_F(JobCoordinatorTest, WhatIsOfNoSourceOrPartitionOfTheJobEndsIt) {
  for (const bool of_source : {true, false}) {
    Begin();
    script.Take();
    if (of_source) {
      job->OnReport({NodeId(77), {{kP0, Event(100)}}, At(1)}, At(1), &script);
      job->OnIdle({NodeId(77), kP0}, At(1), &script);
      job->OnEnded({NodeId(77), kP0}, At(1), &script);
      job->OnFound({NodeId(77), {kP0, 0}}, &script);
    } else {
      job->OnActive({kSource, {"readings", 77}}, At(1), &script);
    }
    EXPECT_EQ(script.Take(), Lines{"check -1"});
    job->OnLeadership({-1, nullptr}, &script);
    const Lines ended = script.Take();
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_THAT(ended[0], testing::HasSubstr(of_source ? "node 77, which is no source of the job"
                                                       : "partition 77 of topic 'readings'"));
  }
}

TEST_F(JobCoordinatorTest, AFailureEndsTheJobOnceWithItsReason) {
  Begin();
  job->OnFailed({"sink.0", std::make_shared<Status>(Status::IOError("disk full"))}, &script);
  job->OnFailed({"sink.1", std::make_shared<Status>(Status::IOError("other"))}, &script);
  EXPECT_EQ(script.Take(), Lines{"check -1"});
  EXPECT_FALSE(job->ended());
  job->OnLeadership({-1, nullptr}, &script);
  EXPECT_EQ(script.Take(), Lines{"failed: disk full"});
  EXPECT_TRUE(job->ended());
}

TEST_F(JobCoordinatorTest, AFailureAfterAnotherTookOverIsToldAsThat) {
  Begin();
  job->OnFailed({"sink.0", std::make_shared<Status>(Status::IOError("no such file"))}, &script);
  script.Take();
  job->OnLeadership({-1, std::make_shared<Status>(Status::IOError("superseded"))}, &script);
  EXPECT_EQ(script.Take(), Lines{"failed: superseded"});
}

TEST_F(JobCoordinatorTest, WhileAllAreIdleTimeMovesTheWatermarkInStepsAndAReturnHoldsIt) {
  Begin();
  job->OnReport({kSource, {{kP0, Event(100)}, {kP1, Event(100)}}, At(1)}, At(1), &script);
  job->OnIdle({kSource, kP0}, At(500), &script);
  job->OnIdle({kSource, kP1}, At(500), &script);
  script.Take();
  for (int ms = 520; ms < 700; ms += 20) job->OnTick(At(ms), &script);
  EXPECT_LE(script.Take().size(), 4u);  // two readers, every 100 ms
  job->OnTick(At(10'500), &script);
  EXPECT_EQ(script.fetched, At(10'500));
  script.Take();
  job->OnActive({kSource, kP1}, At(11'500), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 floor 111"});
  job->OnReport({kSource, {{kP1, Event(111)}}, At(11'501)}, At(11'501), &script);
  // Told at last what the partition was told.
  EXPECT_EQ(script.Take(), (Lines{"r0 watermark 111", "r1 watermark 111"}));
}

// Latency does not count the wait for a topic's end.
TEST_F(JobCoordinatorTest, WhatTheEndOfATopicMakesDueIsFetchedWhenTheEndIsKnown) {
  Begin();
  job->OnReport({kSource, {{kP0, Event(50)}, {kP1, Event(100)}}, At(1)}, At(1), &script);
  job->OnEnded({kSource, kP0}, At(3000), &script);
  EXPECT_EQ(script.Take().back(), "r1 watermark 100");
  EXPECT_EQ(script.fetched, At(3000));
}

TEST_F(JobCoordinatorTest, ABoundedSourceWithoutPartitionsIsAtItsEnd) {
  plan.sources[0] = {kSource, true, {kReader0}, {}, kEventTimeMin};
  Begin();
  job->OnTick(At(0), &script);
  EXPECT_EQ(script.Take(), Lines{"r0 finish 1 drain"});
}

TEST_F(JobCoordinatorTest, ATopicWithoutPartitionsWaitsForThem) {
  plan.sources[0] = {kSource, false, {kReader0}, {}, kEventTimeMin};
  plan.sources.push_back({NodeId(1), true, {kReader1}, {{kP1, kReader1}}, kEventTimeMin});
  Begin();
  job->OnTick(At(0), &script);
  job->OnEnded({NodeId(1), kP1}, At(1), &script);
  EXPECT_EQ(script.Take(), Lines{"r1 watermark max"});
}

TEST_F(JobCoordinatorTest, TwoSourcesEndTogether) {
  plan.sources[0] = {kSource, true, {kReader0}, {{kP0, kReader0}}, kEventTimeMin};
  plan.sources.push_back({NodeId(1), true, {kReader1}, {{kP1, kReader1}}, kEventTimeMin});
  Begin();
  job->OnEnded({kSource, kP0}, At(2), &script);
  EXPECT_EQ(script.Take(), Lines{"r0 watermark max"});
  job->OnEnded({NodeId(1), kP1}, At(3), &script);
  EXPECT_EQ(script.Take(), (Lines{"r1 watermark max", "r0 finish 1 drain", "r1 finish 1 drain"}));
}

}  // namespace
}  // namespace millrace
