#include "worker/publisher.h"

#include <gtest/gtest.h>

#include "engine/env/clock.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

using Lines = std::vector<std::string>;

// Refuses rows with the key "refused".
class FakeWriter final : public SinkWriter {
 public:
  explicit FakeWriter(Lines* lines) : lines_(lines) {}
  Status fails;
  Status Open() override { return Status::OK(); }
  Status Write(const Rows& rows, std::vector<DeadLetter>* rejected) override {
    ARROW_RETURN_NOT_OK(fails);
    const auto& keys = static_cast<const arrow::StringArray&>(*rows.batch->column(0));
    for (int64_t row = 0; row < rows.size(); ++row) {
      if (keys.GetView(row) != "refused") continue;
      DeadLetter letter;
      letter.reason = "too_large";
      rejected->push_back(letter);
    }
    lines_->push_back("write " + std::to_string(rows.size()));
    return Status::OK();
  }
  Status Flush() override {
    lines_->push_back("flush");
    return Status::OK();
  }
  Status Finish() override {
    lines_->push_back("finish");
    return Status::OK();
  }
  SinkStats stats() const override { return {}; }
  std::string description() const override { return "a test"; }

 private:
  Lines* lines_;
};

class Script final : public PublisherHost, public Outlet {
 public:
  Lines lines;
  bool credit = true;
  int64_t returned = 0;
  Lines Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return credit; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override {
    lines.push_back(std::holds_alternative<EndFrame>(body) ? "end" : "barrier");
  }
  void ForwardWatermark(EventTime, MonotonicTime) override {}
  void ReturnCredit(size_t, const Frame& frame) override { returned += frame.bytes; }
  void Acknowledge(Epoch epoch, proto::Acknowledgement) override {
    lines.push_back("acknowledge " + std::to_string(epoch.value()));
  }
  void Done() override { lines.push_back("done"); }
  void Rejected(const std::vector<DeadLetter>& letters) override {
    lines.push_back("rejected " + std::to_string(letters.size()));
  }
  void Delivered(int64_t rows, MonotonicTime after) override {
    lines.push_back("delivered " + std::to_string(rows) + " after " +
                    std::to_string(after.count() / 1'000'000'000));
  }

  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows&) override {}
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    lines.push_back("letters " + std::to_string(letters.size()));
  }
};

std::shared_ptr<const Frame> Data(MonotonicTime fetched, const std::string& key = "a") {
  return FrameOf(DataFrame{kSink, RowsOf({{key}, {key}, {"b"}}), nullptr, {}, 0, fetched}, 100);
}

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() {
    auto writer = std::make_unique<FakeWriter>(&script_.lines);
    writer_ = writer.get();
    publisher_ = std::make_unique<Publisher>(std::move(writer), 1, &clock_);
    clock_.Advance(std::chrono::seconds(100));
  }
  Lines Send(std::shared_ptr<const Frame> frame) {
    publisher_->Push(0, std::move(frame));
    EXPECT_EQ(publisher_->Run(&script_, 100).ValueOrDie(), false);
    return script_.Take();
  }

  ManualClock clock_;
  FakeWriter* writer_;
  std::unique_ptr<Publisher> publisher_;
  Script script_;
};

TEST_F(PublisherTest, AcknowledgesABarrierOnceEverythingBeforeItIsDelivered) {
  EXPECT_EQ(Send(Data(MonotonicTime(0))), Lines{"write 3"});
  EXPECT_EQ(script_.returned, 100);
  EXPECT_EQ(Send(FrameOf(BarrierFrame{Epoch(1)})), (Lines{"flush", "barrier", "acknowledge 1"}));
  EXPECT_EQ(Send(FrameOf(BarrierFrame{Epoch(2)})), (Lines{"barrier", "acknowledge 2"}));
}

TEST_F(PublisherTest, TheEndDeliversWhatIsLeft) {
  Send(Data(MonotonicTime(0)));
  EXPECT_EQ(Send(FrameOf(EndFrame{})), (Lines{"flush", "finish", "end", "done"}));
  EXPECT_EQ(Send(Data(MonotonicTime(0))), Lines{});
}

TEST_F(PublisherTest, MeasuresLatencyOnlyOfWhatWasFetched) {
  Send(Data(MonotonicTime(0)));
  Send(Data(std::chrono::seconds(98)));
  ASSERT_TRUE(publisher_->FlushWritten(&script_).ok());
  EXPECT_EQ(script_.Take(), (Lines{"flush", "delivered 3 after 2"}));
  ASSERT_TRUE(publisher_->FlushWritten(&script_).ok());
  EXPECT_EQ(script_.Take(), Lines{});
}

TEST_F(PublisherTest, RowsThatTheTargetRefusesBecomeDeadLettersBeforeTheBarrier) {
  publisher_->Push(0, Data(MonotonicTime(0), "refused"));
  EXPECT_EQ(Send(FrameOf(BarrierFrame{Epoch(1)})),
            (Lines{"write 3", "rejected 2", "letters 2", "flush", "barrier", "acknowledge 1"}));
}

TEST_F(PublisherTest, WaitsForCreditForItsDeadLetters) {
  script_.credit = false;
  EXPECT_EQ(Send(Data(MonotonicTime(0))), Lines{});
  script_.credit = true;
  EXPECT_EQ(Send(FrameOf(EndFrame{})), (Lines{"write 3", "flush", "finish", "end", "done"}));
}

TEST_F(PublisherTest, ATargetThatFailsFailsIt) {
  writer_->fails = ExternalError("disk_full", "no space", Retry::kNo);
  publisher_->Push(0, Data(MonotonicTime(0)));
  EXPECT_EQ(publisher_->Run(&script_, 100).status().message(), "no space");
}

}  // namespace
}  // namespace millrace
