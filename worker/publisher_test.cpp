#include "worker/publisher.h"

#include <gtest/gtest.h>

#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

// Rows stand in an open file until Flush(true).
class FileWriter final : public SinkWriter {
 public:
  int closed = 0;
  bool open = false;
  Status Open() override { return Status::OK(); }
  Status Write(const Rows&, std::vector<DeadLetter>*) override {
    open = true;
    return Status::OK();
  }
  Status Flush(bool close_files) override {
    if (close_files && open) ++closed;
    if (close_files) open = false;
    return Status::OK();
  }
  bool HasUnfinishedFiles() const override { return open; }
  SinkStats stats() const override { return {}; }
  std::string description() const override { return "files"; }
};

class Script final : public PublisherHost {
 public:
  std::vector<std::string> lines;
  int64_t returned = 0;
  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return nullptr; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody&) override {}
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t, const Frame& frame) override { returned += frame.bytes; }
  void AcknowledgeBarrier(Epoch) override {}
  void Done() override { lines.push_back("done"); }
  void EpochIsSafe(Epoch epoch) override {
    lines.push_back("safe " + std::to_string(epoch.value()));
  }
  void Delivered(int64_t rows, MonotonicTime after) override {
    lines.push_back("delivered " + std::to_string(rows) + " after " +
                    std::to_string(after.count() / 1'000'000'000));
  }
};

using Lines = std::vector<std::string>;

std::shared_ptr<const Frame> Data(MonotonicTime fetched) {
  auto frame = std::make_shared<Frame>();
  Rows rows;
  rows.batch = arrow::RecordBatch::Make(arrow::schema({}), 3, arrow::ArrayVector());
  frame->body = DataFrame{NodeId(0), rows, nullptr, {}, fetched};
  frame->bytes = 100;
  return frame;
}
template <typename Body>
std::shared_ptr<const Frame> Control(Body body) {
  auto frame = std::make_shared<Frame>();
  frame->body = body;
  return frame;
}

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() {
    auto writer = std::make_unique<FileWriter>();
    writer_ = writer.get();
    publisher_ = std::make_unique<Publisher>(std::move(writer), nullptr, 1, std::chrono::minutes(1),
                                             &clock_);
    clock_.Advance(std::chrono::seconds(100));
  }
  Lines Send(std::shared_ptr<const Frame> frame) {
    publisher_->Push(0, std::move(frame));
    EXPECT_EQ(publisher_->Run(&script_, 100).ValueOrDie(), false);
    return script_.Take();
  }
  Lines Barrier(int64_t epoch) { return Send(Control(BarrierFrame{Epoch(epoch)})); }
  Lines Roll() {
    EXPECT_TRUE(publisher_->RollIfDue(&script_).ok());
    return script_.Take();
  }

  ManualClock clock_;
  FileWriter* writer_;
  std::unique_ptr<Publisher> publisher_;
  Script script_;
};

TEST_F(PublisherTest, AnOpenFileHoldsEpochsBackUntilItIsRolled) {
  EXPECT_EQ(Barrier(1), Lines{"safe 1"});
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(script_.returned, 100);
  EXPECT_EQ(Barrier(2), Lines{});
  clock_.Advance(std::chrono::seconds(61));
  EXPECT_EQ(Barrier(3), Lines{"safe 3"});
  EXPECT_EQ(writer_->closed, 1);
}

// Once too many epochs wait no barrier comes, and none would ever come if only barriers rolled.
TEST_F(PublisherTest, RollsWithoutABarrierToo) {
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(Roll(), Lines{});  // nothing waits for it yet
  Barrier(1);
  EXPECT_EQ(Roll(), Lines{});
  clock_.Advance(std::chrono::seconds(61));
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(Roll(), Lines{"safe 1"});
  EXPECT_EQ(Roll(), Lines{});
  EXPECT_EQ(writer_->closed, 1);
  // The next file has its own interval.
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(Barrier(2), Lines{});
}

TEST_F(PublisherTest, TheEndClosesFilesAndMakesTheLastEpochSafe) {
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(Barrier(1), Lines{});
  EXPECT_EQ(Send(Control(EndFrame{})), (Lines{"safe 1", "done"}));
  EXPECT_EQ(writer_->closed, 1);
  EXPECT_EQ(Roll(), Lines{});
}

TEST_F(PublisherTest, MeasuresLatencyOnlyOfWhatWasFetched) {
  Send(Data(MonotonicTime(0)));
  Send(Data(std::chrono::seconds(98)));
  ASSERT_TRUE(publisher_->FlushWritten(&script_).ok());
  EXPECT_EQ(script_.Take(), Lines{"delivered 3 after 2"});
}

}  // namespace
}  // namespace millrace
