// An outbox: what reaches it between two barriers, in which segment, and what it acknowledges.
#include "worker/outbox.h"

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>

#include "engine/connectors/files/roll_writer.h"
#include "engine/env/clock.h"
#include "engine/outbox/segment.h"
#include "engine/storage/storage_testing.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

using Lines = std::vector<std::string>;

constexpr int32_t kTopic = 0, kFiles = 1;  // sink indexes

DeadLetter LetterOf(const std::string& reason, const std::string& value = "") {
  DeadLetter letter;
  letter.reason = reason;
  letter.value = value;
  return letter;
}

// A row's key is its record; "refused" is too large.
class FakeEncoder final : public RecordEncoder {
 public:
  Status Encode(const Rows& rows, EventTime, std::vector<DeadLetter>* rejected,
                const VisitRecord& visit) override {
    const auto& keys = static_cast<const arrow::StringArray&>(*rows.batch->column(0));
    for (int64_t row = 0; row < rows.size(); ++row) {
      if (keys.GetView(row) == "refused") {
        rejected->push_back(LetterOf("too_large"));
        continue;
      }
      OutboxRecord record;
      record.topic = "rows";
      record.value = keys.GetView(row);
      ARROW_RETURN_NOT_OK(visit(record));
    }
    return Status::OK();
  }
  int64_t non_finite_values() const override { return 3; }
};

class FakeLetterEncoder final : public DeadLetterEncoder {
 public:
  Status Encode(const DeadLetter& letter, const VisitRecord& visit) override {
    OutboxRecord record;
    record.topic = "letters";
    record.value = letter.reason;
    return visit(record);
  }
};

class FakeChecker final : public RollWriter {
 public:
  Status Open() override { return Status::OK(); }
  Status Check(const Rows& rows, std::vector<uint32_t>* refused,
               std::vector<DeadLetter>* letters) override {
    const auto& keys = static_cast<const arrow::StringArray&>(*rows.batch->column(0));
    for (int64_t row = 0; row < rows.size(); ++row) {
      if (keys.GetView(row) != "refused") continue;
      refused->push_back(uint32_t(row));
      letters->push_back(LetterOf("bad_partition_value"));
    }
    return Status::OK();
  }
  Result<RollResult> Write(const RollName&, const std::function<Status(const Visit&)>&) override {
    return RollResult();
  }
  Result<std::optional<std::string>> ReadRegister() override {
    return std::optional<std::string>();
  }
  Status WriteRegister(std::string_view) override { return Status::OK(); }
  std::string description() const override { return "a test"; }
};

class Script final : public OutboxHost, public Outlet {
 public:
  Lines lines;
  std::map<Epoch, proto::Acknowledgement> acknowledged;
  std::vector<SealedRows> sealed;
  std::vector<int64_t> grew;
  int64_t returned = 0;
  Lines Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override {
    lines.push_back(std::holds_alternative<EndFrame>(body) ? "end" : "barrier");
  }
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t, const Frame& frame) override { returned += frame.bytes; }
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    lines.push_back("acknowledge " + std::to_string(epoch.value()));
    acknowledged[epoch] = std::move(what);
  }
  void Done() override { lines.push_back("done"); }
  void Sealed(SealedRows rows) override { sealed.push_back(std::move(rows)); }
  void Rejected(const std::string& sink, const std::vector<DeadLetter>& letters) override {
    for (const DeadLetter& letter : letters) lines.push_back(sink + " " + letter.reason);
  }
  void Grew(int64_t unsealed_bytes) override { grew.push_back(unsealed_bytes); }

  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows&) override {}
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    for (const DeadLetter& letter : letters) lines.push_back("sent on " + letter.reason);
  }
};

std::shared_ptr<const Frame> Data(int32_t sink, const Lines& keys, int64_t fetched = 0) {
  std::vector<Reading> readings;
  for (const std::string& key : keys) readings.push_back({key, 10, 1});
  return FrameOf(DataFrame{kSink, RowsOf(readings), nullptr, {}, sink, MonotonicTime(fetched)},
                 100);
}

class OutboxTest : public testing::Test {
 protected:
  void Begin(OutboxOptions options) {
    options.file_prefix = "9-2";
    options.shard = 2;
    outbox_ = std::make_unique<Outbox>(std::move(options), storage_.get(), &clock_, &account_);
  }
  OutboxOptions Records() {
    OutboxOptions options;
    options.records[kTopic] = std::make_unique<FakeEncoder>();
    options.letter_records = std::make_unique<FakeLetterEncoder>();
    return options;
  }
  OutboxOptions FileSink(int64_t roll_bytes, MonotonicTime roll_interval) {
    OutboxOptions options = Records();
    OutboxFileSink sink;
    sink.id = "hot>files:out";
    sink.schema = plan_.node(kSource).output.ToArrow();
    sink.checker = &checker_;
    sink.roll_bytes = roll_bytes;
    sink.roll_interval = roll_interval;
    options.files[kFiles] = sink;
    return options;
  }

  void Push(std::shared_ptr<const Frame> frame, size_t input = 0) {
    outbox_->Push(input, std::move(frame));
  }
  Lines Run() {
    EXPECT_EQ(outbox_->Run(&script_, 1000).ValueOrDie(), false);
    return script_.Take();
  }
  // What is acknowledged at the barrier of `epoch`.
  proto::ShardState Barrier(int64_t epoch) {
    Push(FrameOf(BarrierFrame{Epoch(epoch)}));
    Run();
    return script_.acknowledged.at(Epoch(epoch)).shard();
  }
  // "topic value" of each record.
  Lines RecordsOf(const proto::Segment& segment) {
    Lines lines;
    auto reader = RecordSegmentReader::Open(storage_.get(), segment).ValueOrDie();
    while (const auto record = reader->Next().ValueOrDie()) {
      lines.push_back(std::string(record->topic) + " " + std::string(record->value));
    }
    return lines;
  }
  // The first column of each row.
  Lines RowsIn(const proto::Segment& segment) {
    Lines lines;
    EXPECT_TRUE(ReadRowSegment(storage_.get(), segment, [&](const auto& batch) {
                  const auto& column = static_cast<const arrow::StringArray&>(*batch->column(0));
                  for (int64_t row = 0; row < batch->num_rows(); ++row) {
                    lines.push_back(column.GetString(row));
                  }
                  return Status::OK();
                }).ok());
    return lines;
  }

  const JobPlan plan_ = MakePlan();
  JobAccount account_{plan_};
  StorageTestFolder folder_;
  std::unique_ptr<CheckpointStorage> storage_ =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder_.path())
          .ValueOrDie();
  ManualClock clock_;
  FakeChecker checker_;
  std::unique_ptr<Outbox> outbox_;
  Script script_;
};

TEST_F(OutboxTest, TheRecordsOfAnEpochAreOneSegment) {
  OutboxOptions options = Records();
  options.inputs = 2;
  options.next_row = 10;
  Begin(std::move(options));
  Push(Data(kTopic, {"a", "b"}, 7));
  Push(FrameOf(BarrierFrame{Epoch(4)}));
  Push(Data(kTopic, {"later"}));
  EXPECT_EQ(Run(), Lines{});
  Push(Data(kTopic, {"c"}, 8), 1);
  Push(FrameOf(DeadLetterFrame{{LetterOf("late")}}, 50), 1);
  Push(FrameOf(BarrierFrame{Epoch(4)}), 1);
  EXPECT_EQ(Run(), (Lines{"barrier", "acknowledge 4"}));
  EXPECT_EQ(script_.returned, 350);

  const proto::ShardState state = script_.acknowledged.at(Epoch(4)).shard();
  EXPECT_EQ(state.shard(), 2);
  EXPECT_EQ(state.next_row(), 14);
  ASSERT_EQ(state.segments_size(), 1);
  EXPECT_EQ(state.segments(0).epoch(), 4);
  EXPECT_EQ(state.segments(0).first_row(), 10);
  EXPECT_EQ(state.segments(0).rows(), 4);
  EXPECT_EQ(RecordsOf(state.segments(0)), (Lines{"rows a", "rows b", "rows c", "letters late"}));
  EXPECT_TRUE(storage_->Verify(state.segments(0).file()).ok());
  EXPECT_EQ(state.files_size(), 0);
}

TEST_F(OutboxTest, EachEpochGoesOnInTheRowSequenceAndHasItsOwnFile) {
  Begin(Records());
  Push(Data(kTopic, {"a", "b"}));
  const proto::ShardState first = Barrier(1);
  const proto::ShardState second = Barrier(2);
  EXPECT_EQ(second.segments_size(), 0);
  EXPECT_EQ(second.next_row(), 2);
  Push(Data(kTopic, {"c"}));
  const proto::ShardState third = Barrier(3);
  ASSERT_EQ(third.segments_size(), 1);
  EXPECT_EQ(third.segments(0).first_row(), 2);
  EXPECT_EQ(third.next_row(), 3);
  EXPECT_EQ(first.segments(0).file().path(), "outbox/9-2-0.records");
  EXPECT_EQ(third.segments(0).file().path(), "outbox/9-2-1.records");
  EXPECT_EQ(RecordsOf(third.segments(0)), Lines{"rows c"});
}

TEST_F(OutboxTest, RowsThatAreRefusedBecomeDeadLettersOfTheSameEpoch) {
  Begin(Records());
  Push(Data(kTopic, {"a", "refused", "b"}));
  Push(FrameOf(BarrierFrame{Epoch(1)}));
  EXPECT_EQ(Run(), (Lines{"sink.0 too_large", "barrier", "acknowledge 1"}));
  const proto::Acknowledgement& what = script_.acknowledged.at(Epoch(1));
  ASSERT_EQ(what.shard().segments_size(), 1);
  EXPECT_EQ(RecordsOf(what.shard().segments(0)), (Lines{"rows a", "rows b", "letters too_large"}));
  EXPECT_EQ(what.shard().next_row(), 3);
  JobAccount sealed(plan_);
  sealed.Add(what.account());
  EXPECT_EQ(sealed.SinkRows(),
            (std::map<std::string, int64_t>{{"sink.0", 2}, {"dead_letters", 1}}));
  EXPECT_EQ(sealed.DeadLetters().at({"sink.0", "too_large"}), 1);
}

// Its barrier follows them on the same channel, so they are of the same epoch there.
TEST_F(OutboxTest, DeadLettersThatAnotherShardHasGoThereBeforeTheBarrier) {
  OutboxOptions options = Records();
  options.letter_records.reset();
  Begin(std::move(options));
  Push(Data(kTopic, {"refused", "a"}));
  Push(FrameOf(BarrierFrame{Epoch(1)}));
  EXPECT_EQ(Run(), (Lines{"sink.0 too_large", "sent on too_large", "barrier", "acknowledge 1"}));
  EXPECT_EQ(RecordsOf(script_.acknowledged.at(Epoch(1)).shard().segments(0)), Lines{"rows a"});
  EXPECT_FALSE(account_.SinkRows().contains("dead_letters"));

  Push(FrameOf(DeadLetterFrame{{LetterOf("late")}}));
  EXPECT_EQ(CodeOf(outbox_->Run(&script_, 10).status()), "unexpected_frame");
}

TEST_F(OutboxTest, DeadLettersInFilesAreLines) {
  OutboxOptions options = Records();
  options.letter_records.reset();
  options.letter_files = OutboxFileSink();
  options.letter_files->id = "dead_letters>files:dead";
  options.letter_files->schema = LineSchema();
  Begin(std::move(options));
  Push(FrameOf(DeadLetterFrame{{LetterOf("late", "x"), LetterOf("malformed", "y")}}));
  Push(Data(kTopic, {"refused"}));
  const proto::ShardState state = Barrier(1);
  EXPECT_EQ(state.segments_size(), 0);
  ASSERT_EQ(state.files_size(), 1);
  EXPECT_EQ(state.files(0).sink(), "dead_letters>files:dead");
  EXPECT_EQ(state.files(0).rolls_size(), 0);
  ASSERT_EQ(state.files(0).open_size(), 1);
  EXPECT_EQ(state.files(0).open(0).rows(), 3);
  EXPECT_EQ(RowsIn(state.files(0).open(0)), (Lines{DeadLetterLine(LetterOf("late", "x")),
                                                   DeadLetterLine(LetterOf("malformed", "y")),
                                                   DeadLetterLine(LetterOf("too_large"))}));
}

TEST_F(OutboxTest, AFileSinkIsRolledOnceItIsLargeEnough) {
  Begin(FileSink(1 << 20, std::chrono::hours(1)));
  Push(Data(kFiles, {"a", "refused", "b"}));
  const proto::ShardState first = Barrier(1);
  ASSERT_EQ(first.files_size(), 1);
  EXPECT_EQ(first.files(0).sink(), "hot>files:out");
  EXPECT_EQ(first.files(0).rolls_size(), 0);
  ASSERT_EQ(first.files(0).open_size(), 1);
  EXPECT_EQ(first.files(0).open(0).epoch(), 1);
  EXPECT_EQ(RowsIn(first.files(0).open(0)), (Lines{"a", "b"}));
  EXPECT_EQ(first.segments_size(), 1);  // the letter
  EXPECT_EQ(first.next_row(), 1);       // rows of files are in no sequence

  Push(Data(kFiles, {std::string(700'000, 'c')}));
  EXPECT_EQ(Barrier(2).files(0).rolls_size(), 0);
  Push(Data(kFiles, {std::string(700'000, 'd')}));
  const proto::ShardState third = Barrier(3);
  EXPECT_EQ(third.files(0).open_size(), 1);  // the ledger knows the earlier ones
  ASSERT_EQ(third.files(0).rolls_size(), 1);
  EXPECT_EQ(third.files(0).rolls(0).epoch(), 3);
  EXPECT_EQ(third.files(0).rolls(0).segments_size(), 0);
  // What follows is gathered anew.
  EXPECT_EQ(Barrier(4).files_size(), 0);
  Push(Data(kFiles, {"e"}));
  EXPECT_EQ(Barrier(5).files(0).rolls_size(), 0);
}

TEST_F(OutboxTest, AFileSinkIsRolledOnceItsFirstRowIsOldEnough) {
  Begin(FileSink(1 << 30, std::chrono::seconds(60)));
  clock_.Advance(std::chrono::hours(1));
  Push(Data(kFiles, {"a"}));
  EXPECT_EQ(Barrier(1).files(0).rolls_size(), 0);
  clock_.Advance(std::chrono::seconds(59));
  Push(Data(kFiles, {"b"}));
  EXPECT_EQ(Barrier(2).files(0).rolls_size(), 0);
  clock_.Advance(std::chrono::seconds(1));
  const proto::ShardState rolled = Barrier(3);  // without a row of its own
  ASSERT_EQ(rolled.files_size(), 1);
  EXPECT_EQ(rolled.files(0).open_size(), 0);
  EXPECT_EQ(rolled.files(0).rolls(0).epoch(), 3);
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(Barrier(4).files_size(), 0);
  Push(Data(kFiles, {"c"}));
  EXPECT_EQ(Barrier(5).files(0).rolls_size(), 0);
}

TEST_F(OutboxTest, RowsThatWereRestoredCountForTheNextRoll) {
  OutboxOptions options = FileSink(1 << 20, std::chrono::seconds(60));
  options.files[kFiles].restored_bytes = 1 << 20;
  Begin(std::move(options));
  EXPECT_EQ(Barrier(1).files(0).rolls_size(), 1);
  EXPECT_EQ(Barrier(2).files_size(), 0);

  clock_.Advance(std::chrono::hours(1));
  options = FileSink(1 << 20, std::chrono::seconds(60));
  options.files[kFiles].restored_bytes = 1;
  Begin(std::move(options));
  EXPECT_EQ(Barrier(1).files(0).rolls_size(), 0);  // its age is counted from the start
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_EQ(Barrier(2).files(0).rolls_size(), 1);
}

TEST_F(OutboxTest, AnEpochOfRefusedRowsHasNoSegmentOfRows) {
  OutboxOptions options = FileSink(1, std::chrono::seconds(60));
  options.letter_records.reset();
  Begin(std::move(options));
  Push(Data(kFiles, {"refused", "refused"}));
  const proto::ShardState state = Barrier(1);
  EXPECT_EQ(state.segments_size(), 0);
  EXPECT_EQ(state.files_size(), 0);
  EXPECT_TRUE(storage_->List().ValueOrDie().empty());
}

TEST_F(OutboxTest, TellsWhatTheEpochHoldsForLatency) {
  Begin(FileSink(1 << 20, std::chrono::hours(1)));
  Push(Data(kTopic, {"a", "refused"}, 7));
  Push(Data(kFiles, {"b", "c"}, 8));
  Barrier(3);
  Barrier(4);
  ASSERT_EQ(script_.sealed.size(), 2u);
  EXPECT_EQ(script_.sealed[0].epoch, Epoch(3));
  ASSERT_EQ(script_.sealed[0].runs.size(), 1u);  // of records: whoever writes files tells of them
  EXPECT_EQ(script_.sealed[0].runs[0].sink, "sink.0");
  EXPECT_EQ(script_.sealed[0].runs[0].rows, 1);
  EXPECT_EQ(script_.sealed[0].runs[0].fetched, MonotonicTime(7));
  EXPECT_GT(script_.sealed[0].runs[0].bytes, 0);
  EXPECT_TRUE(script_.sealed[1].runs.empty());
  EXPECT_EQ(outbox_->non_finite_values(), 3);
}

TEST_F(OutboxTest, TellsThatItGrows) {
  Begin(Records());
  const std::string mebibyte(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) {
    Push(Data(kTopic, {mebibyte}));
    Run();
  }
  ASSERT_EQ(script_.grew.size(), 2u);
  EXPECT_GE(script_.grew[0], Outbox::kGrowthTold);
  EXPECT_GE(script_.grew[1], 2 * Outbox::kGrowthTold);
  Barrier(1);
  for (int i = 0; i < 10; ++i) Push(Data(kTopic, {mebibyte}));
  Run();
  EXPECT_EQ(script_.grew.size(), 2u);
}

TEST_F(OutboxTest, EndsWhenEveryInputHas) {
  OutboxOptions options = Records();
  options.inputs = 2;
  Begin(std::move(options));
  Push(FrameOf(EndFrame{}));
  Push(FrameOf(BarrierFrame{Epoch(1)}), 1);
  EXPECT_EQ(Run(), (Lines{"barrier", "acknowledge 1"}));
  Push(FrameOf(EndFrame{}), 1);
  EXPECT_EQ(Run(), (Lines{"end", "done"}));
  EXPECT_EQ(Run(), Lines{});
}

TEST_F(OutboxTest, FramesThatAreNotMeantForItFailIt) {
  Begin(Records());
  Push(Data(17, {"a"}));
  EXPECT_EQ(CodeOf(outbox_->Run(&script_, 10).status()), "unexpected_frame");
  Push(FrameOf(WatermarkFrame{}));
  EXPECT_EQ(CodeOf(outbox_->Run(&script_, 10).status()), "unexpected_frame");
}

}  // namespace
}  // namespace millrace
