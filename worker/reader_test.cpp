// A reader at the edges of its life: barriers, partitions that idle and come back, restarts, lost
// records, the end.
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
  bool credit = true;
  bool refuses_rows = false;  // throws
  std::map<Epoch, proto::Acknowledgement> acknowledged;
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return credit; }
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
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    lines.push_back("acknowledge " + std::to_string(epoch.value()));
    acknowledged[epoch] = std::move(what);
  }
  void Warn(const std::string& message) override { lines.push_back("warn " + message); }
  void Done() override { lines.push_back("done"); }

  void ToWindow(NodeId, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t> selection) override {
    if (refuses_rows) throw std::runtime_error("boom");
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
  void Begin(StartReading::Partition from, EventTime forwarded = kEventTimeMin,
             std::optional<Micros> end_when_idle = std::nullopt) {
    auto input = std::make_unique<ReplaySource>();
    source_ = input.get();
    reader_ = Reader::Make(plan_, {kSource, 100, end_when_idle}, std::move(input), &account_)
                  .ValueOrDie();
    from.start.partition = kP0;
    ASSERT_TRUE(reader_->Start({{from}, forwarded}).ok());
  }
  void Begin() { Begin(StartReading::Partition()); }

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
  // What the reader contributes to `epoch`.
  const proto::Acknowledgement& Barrier(int64_t epoch) {
    reader_->OnOpenEpoch(Epoch(epoch), &script_);
    return script_.acknowledged[Epoch(epoch)];
  }
  proto::PartitionPosition PositionAt(int64_t epoch) {
    const proto::ReaderState state = Barrier(epoch).reader();
    EXPECT_EQ(state.partitions_size(), 1);
    return state.partitions(0);
  }
  void Complete(int64_t epoch) { ASSERT_TRUE(reader_->OnCompleted({Epoch(epoch)}).ok()); }

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

TEST_F(ReaderTest, AFailureIsToldWithTheReadingThatDidIt) {
  Begin();
  Arrive(100);
  Arrive(101);
  source_->records[kP0].back().poisonous = true;
  Arrive(102);
  Arrive(150);
  EXPECT_EQ(Step(1), Lines{"active"});
  const Status boom = InternalError("exception", "boom");
  EXPECT_EQ(reader_->Locate(boom).message(), "boom") << "nothing is at hand";
  // What is late becomes a dead letter, of its original bytes.
  EXPECT_THROW(static_cast<void>(reader_->OnFloor({kP0, Event(120)}, &script_)),
               std::runtime_error);
  script_.Take();
  const Status located = reader_->Locate(boom);
  EXPECT_EQ(located.message(), "t/0 offset 1: boom");
  EXPECT_EQ(ErrorDetail::Of(located)->code(), "exception");
  EXPECT_EQ(script_.Take(), Lines{}) << "looking for it sends nothing";
}

TEST_F(ReaderTest, AFailureThatNoReadingHasByItselfIsToldWithAllThatWereAtHand) {
  Begin();
  for (const int64_t seconds : {150, 151, 152}) Arrive(seconds);
  source_->records[kP0][1].poisonous = true;
  EXPECT_EQ(Step(1), Lines{"active"});
  script_.refuses_rows = true;
  EXPECT_THROW(static_cast<void>(reader_->OnFloor({kP0, Event(120)}, &script_)),
               std::runtime_error);
  EXPECT_EQ(reader_->Locate(InternalError("exception", "boom")).message(),
            "t/0 offsets 0 to 2: boom");
}

TEST_F(ReaderTest, ABarrierHoldsThePositionWhatWasReadLastAndTheWatermarks) {
  Begin();
  Arrive(100);
  Arrive(150);
  source_->records[kP0].push_back({"a", 0, 0, /*malformed=*/true});
  Step(1);
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"malformed 2", "rows 100 150", "watermark 120"}));
  reader_->OnStreamWatermark({Event(110), At(1)}, &script_);
  script_.Take();
  const proto::Acknowledgement what = Barrier(7);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 7", "acknowledge 7"}));
  EXPECT_EQ(what.reader().source(), "readings");
  EXPECT_EQ(what.reader().forwarded(), 110'000'000);
  ASSERT_EQ(what.reader().partitions_size(), 1);
  const proto::PartitionPosition& position = what.reader().partitions(0);
  EXPECT_EQ(position.topic(), "t");
  EXPECT_EQ(position.partition(), 0);
  EXPECT_EQ(position.next_offset(), 3);
  EXPECT_EQ(position.watermark(), 120'000'000);
  EXPECT_EQ(position.last_offset(), 2);  // decoded or not
  EXPECT_EQ(position.last_hash(), ReplaySource::HashOf(2));
  EXPECT_FALSE(position.ended());
  JobAccount restored(plan_);
  restored.Add(what.account());
  EXPECT_EQ(restored.stream("readings").rows_in, 3);
  EXPECT_EQ(restored.DeadLettersOf("readings"), 1);
  EXPECT_FALSE(what.has_task());
  EXPECT_FALSE(what.has_shard());
}

// Records that wait for their floor are in no epoch yet.
TEST_F(ReaderTest, ABarrierWhileRecordsAreHeldStandsBeforeThem) {
  Begin();
  Arrive(100);
  Step(1);
  EXPECT_EQ(PositionAt(1).next_offset(), -1);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 1", "acknowledge 1"}));
  Floor(kEventTimeMin);
  EXPECT_EQ(PositionAt(2).next_offset(), 1);
}

TEST_F(ReaderTest, APartitionWithoutAWatermarkSaysSo) {
  Begin();
  const proto::PartitionPosition position = PositionAt(1);
  EXPECT_EQ(position.next_offset(), -1);
  EXPECT_EQ(position.watermark(), INT64_MIN);
  EXPECT_EQ(position.last_offset(), -1);
  EXPECT_EQ(script_.acknowledged[Epoch(1)].reader().forwarded(), INT64_MIN);
}

TEST_F(ReaderTest, AStopWhileRecordsAreHeldLeavesThemUncounted) {
  Begin();
  Arrive(100);
  Step(1);
  reader_->OnFinish({Epoch(1), false}, &script_);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 1", "acknowledge 1", "end", "done"}));
  EXPECT_EQ(Floor(Event(0)), Lines{});
  EXPECT_EQ(account_.stream("readings").rows_in, 0);
  EXPECT_EQ(script_.acknowledged[Epoch(1)].reader().partitions(0).next_offset(), -1);
  Complete(1);
  EXPECT_TRUE(source_->committed.empty());
}

// Windows close before the last barrier, so what they give out is of the last epoch; the wait for a
// topic's end is nobody's latency.
TEST_F(ReaderTest, ADrainClosesEveryWindowBeforeTheLastBarrierAndIsNotMeasured) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  reader_->OnFinish({Epoch(1), true}, &script_);
  EXPECT_EQ(script_.Take(),
            (Lines{"forward max unmeasured", "barrier 1", "acknowledge 1", "end", "done"}));
  EXPECT_EQ(script_.acknowledged[Epoch(1)].reader().forwarded(),
            kEventTimeMax.time_since_epoch().count());
}

TEST_F(ReaderTest, NothingFollowsTheEnd) {
  Begin();
  reader_->OnFinish({Epoch(1), false}, &script_);
  script_.Take();
  Arrive(100);
  EXPECT_EQ(Step(1), Lines{});
  reader_->OnOpenEpoch(Epoch(2), &script_);
  reader_->OnStreamWatermark({Event(500), At(1)}, &script_);
  reader_->OnFinish({Epoch(3), true}, &script_);
  EXPECT_EQ(script_.Take(), Lines{});
}

TEST_F(ReaderTest, ABoundedPartitionMayEndWhileItsRecordsAreHeld) {
  Begin();
  Arrive(100);
  Tell(SourceEvent::Kind::kPartitionEnded);
  EXPECT_EQ(Step(1), (Lines{"active", "partition ended"}));
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"rows 100", "watermark 70"}));
  EXPECT_TRUE(PositionAt(1).ended());
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
  const proto::PartitionPosition position = PositionAt(1);
  EXPECT_EQ(position.next_offset(), 7);
  EXPECT_EQ(position.last_offset(), -1);
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
  EXPECT_EQ(PositionAt(1).next_offset(), 1);
}

TEST_F(ReaderTest, WhilePausedNothingIsPolledAndBarriersAreAnswered) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  const int polls = source_->polls;
  reader_->OnPause({true});
  EXPECT_TRUE(reader_->paused());
  Arrive(200);
  EXPECT_EQ(Step(2), Lines{});
  EXPECT_EQ(source_->polls, polls);
  EXPECT_EQ(PositionAt(1).next_offset(), 1);
  reader_->OnStreamWatermark({Event(70), At(1)}, &script_);
  EXPECT_EQ(script_.Take(), (Lines{"barrier 1", "acknowledge 1", "forward 70"}));
  reader_->OnPause({false});
  EXPECT_EQ(Step(3), (Lines{"rows 200", "watermark 170"}));
}

TEST_F(ReaderTest, WithoutCreditNothingIsPolled) {
  Begin();
  Arrive(100);
  script_.credit = false;
  EXPECT_EQ(Step(1), Lines{});
  EXPECT_EQ(source_->polls, 0);
}

// What is read again is judged as it was: against the partition's watermark at the barrier.
TEST_F(ReaderTest, ARestoredPartitionGoesOnWhereTheBarrierStood) {
  StartReading::Partition from;
  from.start.offset = 2;
  from.watermark = Event(120);
  from.last_offset = 1;
  from.last_hash = ReplaySource::HashOf(1);
  Begin(from, Event(110));
  EXPECT_EQ(account_.stream("readings").watermark, 110'000'000);

  // Before anything is read it contributes what it was given.
  const proto::PartitionPosition position = PositionAt(8);
  EXPECT_EQ(position.next_offset(), 2);
  EXPECT_EQ(position.watermark(), 120'000'000);
  EXPECT_EQ(position.last_offset(), 1);
  EXPECT_EQ(position.last_hash(), ReplaySource::HashOf(1));
  EXPECT_EQ(script_.acknowledged[Epoch(8)].reader().forwarded(), 110'000'000);
  script_.Take();

  // It holds nobody back while it has nothing new.
  EXPECT_EQ(Step(1), Lines{"watermark 120"});
  source_->records[kP0] = {{"a", 1, 1}, {"a", 2, 1}, {"a", 105, 1}, {"a", 125, 1}};
  EXPECT_EQ(Step(2), Lines{"active"});
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"late 2", "rows 125"}));
  EXPECT_EQ(PositionAt(9).next_offset(), 4);
  script_.Take();
  // Tasks were told 110 before the checkpoint.
  reader_->OnStreamWatermark({Event(110), At(1)}, &script_);
  EXPECT_EQ(script_.Take(), Lines{});
  reader_->OnStreamWatermark({Event(111), At(1)}, &script_);
  EXPECT_EQ(script_.Take(), Lines{"forward 111"});
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
  EXPECT_EQ(PositionAt(1).next_offset(), 2);
}

// Offsets noted so far mean nothing in a topic that was made again.
TEST_F(ReaderTest, ATopicThatWasMadeAgainHasNoPositionUntilSomethingIsRead) {
  StartReading::Partition from;
  from.start.offset = 0;
  from.last_offset = 999;
  Begin(from);
  Barrier(1);
  script_.Take();
  Tell(SourceEvent::Kind::kDataLost, 1000, 1000);
  EXPECT_EQ(Step(1), Lines{"warn event"});
  Complete(1);
  EXPECT_TRUE(source_->committed.empty());
  const proto::PartitionPosition position = PositionAt(2);
  EXPECT_EQ(position.next_offset(), -1);
  EXPECT_EQ(position.last_offset(), -1);
  Complete(2);
  EXPECT_TRUE(source_->committed.empty());
  script_.Take();
  Arrive(100, 99);
  Step(2);
  EXPECT_EQ(Floor(kEventTimeMin), (Lines{"hot 1", "rows 100", "watermark 70"}));
}

// Kafka's tools see what is complete, not what was given up.
TEST_F(ReaderTest, CommitsThePositionOfTheEpochThatIsComplete) {
  Begin();
  Arrive(100);
  Step(1);
  Floor(kEventTimeMin);
  for (int epoch = 1; epoch <= 5; ++epoch) Barrier(epoch);  // 1 to 4 were given up
  Arrive(200);
  Step(2);
  Barrier(6);
  Complete(5);
  EXPECT_EQ(source_->committed.at(kP0).offset, 1);
  source_->committed.clear();
  Complete(5);
  EXPECT_TRUE(source_->committed.empty());
  Complete(6);
  EXPECT_EQ(source_->committed.at(kP0).offset, 2);
}

TEST_F(ReaderTest, APartitionThatIsAddedIsInTheNextEpoch) {
  Begin();
  source_->records[{"t", 1}].push_back({"b", 300, 1});
  source_->records[{"t", 1}].push_back({"b", 301, 1});
  StartPosition start;
  start.partition = {"t", 1};
  start.offset = 1;
  ASSERT_TRUE(reader_->Add({start}).ok());
  const proto::ReaderState before = Barrier(1).reader();
  ASSERT_EQ(before.partitions_size(), 2);
  EXPECT_EQ(before.partitions(1).partition(), 1);
  EXPECT_EQ(before.partitions(1).next_offset(), 1);
  script_.Take();
  EXPECT_EQ(Step(1), Lines{"active"});
  ASSERT_TRUE(reader_->OnFloor({{"t", 1}, kEventTimeMin}, &script_).ok());
  EXPECT_EQ(script_.Take(), (Lines{"rows 301", "watermark 271"}));
  EXPECT_EQ(Barrier(2).reader().partitions(1).next_offset(), 2);
}

}  // namespace
}  // namespace millrace
