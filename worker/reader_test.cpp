// A reader at the edges of its life: partitions that idle and come back, restarts, lost records,
// the end.
#include "worker/reader.h"

#include <gtest/gtest.h>

#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

const TopicPartition kP0{"t", 0};
constexpr MonotonicTime At(int seconds) { return std::chrono::seconds(seconds); }
constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }
int64_t SecondsOf(EventTime time) { return time.time_since_epoch().count() / 1'000'000; }

// Writes down what a reader says; rows for the window as their event times.
class Script final : public ReaderHost, public Outlet {
 public:
  std::vector<std::string> lines;
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override {
    if (const auto* barrier = std::get_if<BarrierFrame>(&body)) {
      lines.push_back("barrier " + std::to_string(barrier->epoch.value()));
    } else {
      lines.push_back("end");
    }
  }
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched) override {
    lines.push_back("forward " +
                    (watermark == kEventTimeMax ? "max" : std::to_string(SecondsOf(watermark))) +
                    (fetched == MonotonicTime(0) ? " unmeasured" : ""));
  }
  void Report(WatermarkReport report) override {
    for (const auto& [partition, watermark] : report.partitions) {
      lines.push_back("watermark " + std::to_string(SecondsOf(watermark)));
    }
  }
  void Report(PartitionIdle) override { lines.push_back("idle"); }
  void Report(PartitionActive) override { lines.push_back("active"); }
  void Report(PartitionEnded) override { lines.push_back("partition ended"); }
  void Report(PartitionFound) override { lines.push_back("found"); }
  void AtBarrier(Epoch, EventTime) override {}
  void Warn(const std::string& message) override { lines.push_back("warn " + message); }
  void Done() override { lines.push_back("done"); }

  void ToWindow(NodeId, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t> selection) override {
    const auto& times = static_cast<const arrow::TimestampArray&>(*rows.batch->column(1));
    std::string text = "rows";
    for (uint32_t row : selection) text += " " + std::to_string(times.Value(row) / 1'000'000);
    lines.push_back(text);
  }
  void ToSink(NodeId, int, const Rows& rows) override {
    lines.push_back("hot " + std::to_string(rows.size()));
  }
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    for (const DeadLetter& letter : letters) {
      lines.push_back(letter.reason + " " + std::to_string(letter.offset));
    }
  }
};

using Lines = std::vector<std::string>;

class ReaderTest : public testing::Test {
 protected:
  // A run that begins as `from` says; `plan_` has max_delay 30 s, panes of 20 s, idle after 5 s.
  void Begin(StartReading::Partition from, EventTime horizon,
             std::optional<Micros> end_when_idle = std::nullopt) {
    auto input = std::make_unique<ReplaySource>();
    source_ = input.get();
    reader_ = Reader::Make(plan_, {kSource, 100, end_when_idle}, std::move(input), &account_)
                  .ValueOrDie();
    from.start.partition = kP0;
    ASSERT_TRUE(reader_->Start({{from}, horizon}).ok());
  }
  void Begin() { Begin({}, kEventTimeMin); }

  void Arrive(int64_t seconds, double value = 1) {
    source_->records[kP0].push_back({"a", seconds, value});
  }
  void Tell(SourceEvent::Kind kind, int64_t offset = 0, int64_t until = 0) {
    source_->events.push_back({kind, kP0, offset, until, "event"});
  }
  Lines Step(int now) {
    EXPECT_TRUE(reader_->Step(At(now), &script_).ok());
    return script_.Take();
  }
  Lines Floor(EventTime floor) {
    EXPECT_TRUE(reader_->OnFloor({kP0, floor}, &script_).ok());
    return script_.Take();
  }
  PositionMetadata Committed() {
    return *DecodePositionMetadata(source_->committed.at(kP0).metadata);
  }

  const JobPlan plan_ = MakePlan();
  JobAccount account_{plan_};
  ReplaySource* source_ = nullptr;
  std::unique_ptr<Reader> reader_;
  Script script_;
};

TEST_F(ReaderTest, HoldsRecordsUntilItKnowsTheFloorAndJudgesThemAgainstIt) {
  Begin();
  Arrive(100);
  Arrive(150);
  EXPECT_EQ(Step(1), Lines{"active"});
  EXPECT_EQ(Step(2), Lines{});  // nothing is polled meanwhile
  // 100 is in the pane that ends at 120.
  EXPECT_EQ(Floor(Event(120)), (Lines{"late 0", "rows 150", "watermark 120"}));
}

TEST_F(ReaderTest, AStopWhileRecordsAreHeldLeavesThemUncounted) {
  Begin();
  Arrive(100);
  Step(1);
  reader_->OnFinish({Epoch(1), false}, &script_);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 1", "end", "done"}));
  EXPECT_EQ(Floor(Event(0)), Lines{});
  EXPECT_EQ(account_.stream("readings").rows_in, 0);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), kEventTimeMin}).ok());
  EXPECT_TRUE(source_->committed.empty() || source_->committed.at(kP0).offset == 0);
}

// The wait for a topic's end is nobody's latency.
TEST_F(ReaderTest, ADrainIsNotMeasured) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  reader_->OnFinish({Epoch(1), true}, &script_);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 1", "forward max unmeasured", "end", "done"}));
}

TEST_F(ReaderTest, ABoundedPartitionMayEndWhileItsRecordsAreHeld) {
  Begin();
  Arrive(100);
  Tell(SourceEvent::Kind::kPartitionEnded);
  EXPECT_EQ(Step(1), (Lines{"active", "partition ended"}));
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"rows 100", "watermark 70"}));
}

TEST_F(ReaderTest, IdlesOnlyAfterConfirmedEndsAndAsksBeforeTheNextRecord) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  for (int now = 2; now < 7; ++now) {
    Tell(SourceEvent::Kind::kEndConfirmed);
    EXPECT_EQ(Step(now), Lines{}) << now;
  }
  Tell(SourceEvent::Kind::kEndConfirmed);
  EXPECT_EQ(Step(7), Lines{"idle"});
  Tell(SourceEvent::Kind::kEndConfirmed);
  EXPECT_EQ(Step(8), Lines{});
  Arrive(110);
  EXPECT_EQ(Step(9), Lines{"active"});
  EXPECT_EQ(Floor(Event(500)), (Lines{"late 1", "watermark 500"}));
}

// Transaction markers move the position. An idle partition stays idle.
TEST_F(ReaderTest, AnEmptyBatchMovesThePositionAndIsNoRecord) {
  Begin();
  source_->empty_batch_to = 7;
  EXPECT_EQ(Step(1), Lines{});
  reader_->OnOpenEpoch(Epoch(1), &script_);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), kEventTimeMin}).ok());
  EXPECT_EQ(source_->committed.at(kP0).offset, 7);
  script_.Take();
  for (int now = 2; now <= 7; ++now) {
    Tell(SourceEvent::Kind::kEndConfirmed);
    source_->empty_batch_to = 7 + now;
    EXPECT_EQ(Step(now), now < 7 ? Lines{} : Lines{"idle"}) << now;
  }
}

TEST_F(ReaderTest, EndWhenIdleEndsOnceAndLeavesWhatComesLater) {
  Begin({}, kEventTimeMin, std::chrono::seconds(2));
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  Lines said;
  for (int now = 2; now <= 4; ++now) {
    Tell(SourceEvent::Kind::kEndConfirmed);
    said = Step(now);
  }
  EXPECT_EQ(said, Lines{"partition ended"});
  Arrive(200);
  EXPECT_EQ(Step(5), Lines{});
  EXPECT_EQ(account_.stream("readings").rows_in, 1);
}

// A partition that idled when the process died had been told 500. What is new to this run must not
// fall silently into windows that were published.
TEST_F(ReaderTest, NewRecordsAfterARestartAreJudgedAgainstWhatTheEarlierRunWasTold) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  reader_->OnStreamWatermark({Event(500), At(1)}, &script_);
  reader_->OnOpenEpoch(Epoch(1), &script_);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), Event(500)}).ok());
  const PositionMetadata metadata = Committed();
  EXPECT_EQ(metadata.floor, Event(500));
  EXPECT_EQ(metadata.published_before, 1);
  script_.Take();

  StartReading::Partition from;
  from.start.offset = 0;
  from.published_before = 1;
  from.floor = Event(500);
  Begin(from, Event(500));
  source_->records[kP0] = {{"a", 100, 1}, {"a", 120, 1}, {"a", 600, 1}};
  Step(1);
  // The first was read before; the second is new, and its windows are out.
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"late 1", "rows 100 600", "watermark 570"}));
}

// While it reads again it may not pass on a floor for records that it has not reached.
TEST_F(ReaderTest, ARestartWithinARestartKeepsTheFloorOfWhatWasNew) {
  StartReading::Partition from;
  from.start.offset = 0;
  from.published_before = 50;
  from.floor = Event(90);
  Begin(from, Event(1000));
  source_->records[kP0].assign(7, {"a", 100, 1});
  Step(1);
  Floor(kEventTimeMin);
  reader_->OnStreamWatermark({Event(70), At(1)}, &script_);
  reader_->OnOpenEpoch(Epoch(1), &script_);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), Event(1000)}).ok());
  EXPECT_EQ(Committed().floor, Event(90));
  EXPECT_EQ(Committed().published_before, 50);
  EXPECT_EQ(Committed().horizon, Event(1000));
}

TEST_F(ReaderTest, LostOffsetsAreCountedAndDoNotMoveThePositionBack) {
  Begin();
  Step(1);
  Arrive(100);
  Arrive(101);
  Tell(SourceEvent::Kind::kDataLost, 0, 1);  // told after what was read behind the gap
  Step(2);
  Floor(kEventTimeMin);
  Tell(SourceEvent::Kind::kDataLost, 0, 1);
  Step(3);
  EXPECT_EQ(account_.stream("readings").lost, 2);
  reader_->OnOpenEpoch(Epoch(1), &script_);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), kEventTimeMin}).ok());
  EXPECT_EQ(Committed().published_before, 2);
}

// Offsets below which all was published mean nothing in a topic that was made again.
TEST_F(ReaderTest, ATopicThatWasMadeAgainIsPublishedFromItsStart) {
  StartReading::Partition from;
  from.start.offset = 0;
  from.published_before = 1000;
  Begin(from, kEventTimeMin);
  Tell(SourceEvent::Kind::kDataLost, 1000, 1000);
  EXPECT_EQ(Step(1), Lines{"warn event"});
  reader_->OnOpenEpoch(Epoch(1), &script_);
  ASSERT_TRUE(reader_->OnCommit({Epoch(1), kEventTimeMin}).ok());
  EXPECT_TRUE(source_->committed.empty());
  script_.Take();
  Arrive(100, 99);
  Step(2);
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"hot 1", "rows 100", "watermark 70"}));
}

TEST_F(ReaderTest, WaitingEpochsCostOneSnapshotEachAndGoWithTheFirstCommitThatCoversThem) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  for (int epoch = 1; epoch <= 5; ++epoch) reader_->OnOpenEpoch(Epoch(epoch), &script_);
  Arrive(200);
  Step(2);
  ASSERT_TRUE(reader_->OnCommit({Epoch(5), Event(60)}).ok());
  EXPECT_EQ(Committed().published_before, 1);
  source_->committed.clear();
  ASSERT_TRUE(reader_->OnCommit({Epoch(5), Event(60)}).ok());
  EXPECT_TRUE(source_->committed.empty());
}

}  // namespace
}  // namespace millrace
