// A task of an OVER: when rows come out, what the account and the watermark say, what a checkpoint
// holds, and that memory is bounded.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/windows/key_hash.h"
#include "worker/task_host_testing.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

using Lines = std::vector<std::string>;

inline constexpr NodeId kOverInput(1), kOver(2);

constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

// readings -> steps: key, time, row_number, lag(value), `third`, by key.
JobPlan OverPlan(OverFunction third) {
  JobPlan plan;
  plan.job = "test";
  const Schema readings = MakePlan().node(kSource).output;
  AddNode(&plan, "readings", "readings", NodeId(-1), readings, SourceNode{});
  ProjectNode input;
  for (int column = 0; column < 3; ++column) {
    input.columns.push_back(Column(column, readings.fields[size_t(column)].type));
  }
  AddNode(&plan, "steps.input", "steps", kSource, readings, input);
  OverNode over;
  over.event_time = 1;
  over.keys = {0};
  over.carried = {0, 1};
  OverCall lag;
  lag.function = OverFunction::kLag;
  lag.argument = 2;
  lag.rows = 1;
  lag.result = Type::kDouble;
  OverCall last = lag;
  last.function = third;
  over.calls = {OverCall(), lag, last};
  const Schema steps{{readings.fields[0],
                      readings.fields[1],
                      {"n", Type::kBigint, "", false},
                      {"before", Type::kDouble, "", false},
                      {"third", Type::kDouble, "", false}}};
  AddNode(&plan, "steps.over", "steps", kOverInput, steps, over);
  ProjectNode output;
  for (size_t i = 0; i < steps.fields.size(); ++i) {
    output.columns.push_back(Column(int(i), steps.fields[i].type));
  }
  AddNode(&plan, "steps.output", "steps", kOver, steps, output);
  AddNode(&plan, "sink.0", "steps", NodeId(3), steps, SinkNode{});
  return plan;
}

class OverTaskTest : public testing::Test {
 protected:
  void Begin(OverFunction third, int64_t state_bytes_max = INT64_MAX) {
    plan_ = OverPlan(third);
    account_ = std::make_unique<JobAccount>(plan_);
    TaskOptions options;
    options.node = kOver;
    options.state_bytes_max = state_bytes_max;
    host_.store = store_.get();
    task_ = Task::Make(plan_, options, store_.get(), account_.get()).ValueOrDie();
  }
  void Restore(OverFunction third, int64_t epoch) {
    task_.reset();
    const std::string state = host_.gathered.at(Epoch(epoch));
    host_ = RowsHost();
    store_ = std::make_unique<MemoryStateStore>();
    ASSERT_TRUE(store_->Restore(state).ok());
    Begin(third);
  }
  void Add(const std::vector<Reading>& readings) {
    const Rows rows = RowsOf(readings);
    auto hashes = std::make_shared<std::vector<uint64_t>>();
    const std::vector<int> columns = {0};
    EXPECT_TRUE(HashKeys(*rows.batch, columns, hashes.get()).ok());
    std::vector<uint32_t> selection(readings.size());
    for (size_t i = 0; i < selection.size(); ++i) selection[i] = uint32_t(i);
    task_->Push(0, FrameOf(DataFrame{kOver, rows, hashes, selection, -1, MonotonicTime(0)}, 100));
  }
  void Watermark(int64_t seconds) {
    task_->Push(0, FrameOf(WatermarkFrame{Event(seconds), MonotonicTime(0)}));
  }
  void Barrier(int64_t epoch) { task_->Push(0, FrameOf(BarrierFrame{Epoch(epoch)})); }
  // What came out, in order.
  Lines Run() {
    const auto more = task_->Run(&host_, 1'000'000);
    EXPECT_TRUE(more.ok()) << more.status();
    return std::exchange(host_.rows, {});
  }
  StreamAccount& steps() { return account_->stream("steps"); }

  JobPlan plan_;
  std::unique_ptr<JobAccount> account_;
  std::unique_ptr<MemoryStateStore> store_ = std::make_unique<MemoryStateStore>();
  std::unique_ptr<Task> task_;
  RowsHost host_;
};

TEST_F(OverTaskTest, RowsComeOutInOrderOnceTheWatermarkIsBeyondThem) {
  Begin(OverFunction::kLastValue);
  Add({{"a", 20, 2}, {"a", 10, 1}, {"b", 15, 7}});
  Watermark(20);
  EXPECT_EQ(Run(), (Lines{"a 10 1 null 1", "b 15 1 null 7"}));
  EXPECT_EQ(host_.lines, Lines{"forward 20"});
  EXPECT_EQ(steps().counted, 2);
  EXPECT_EQ(steps().open, 1);
  EXPECT_EQ(steps().rows_out, 2);
  EXPECT_EQ(steps().windows_fired, 0);
  Watermark(21);
  EXPECT_EQ(Run(), Lines{"a 20 2 1 2"});
  EXPECT_EQ(steps().open, 0);
}

// A row that waits for the next one holds the watermark, and is open.
TEST_F(OverTaskTest, LeadHoldsTheWatermark) {
  Begin(OverFunction::kLead);
  Add({{"a", 10, 1}, {"b", 15, 7}, {"a", 20, 2}});
  Watermark(30);
  EXPECT_EQ(Run(), Lines{"a 10 1 null 2"});
  EXPECT_EQ(host_.lines, Lines{"forward 15"});
  EXPECT_EQ(steps().open, 2);
  task_->Push(0, FrameOf(WatermarkFrame{kEventTimeMax, MonotonicTime(0)}));
  task_->Push(0, FrameOf(EndFrame{}));
  Lines rows = Run();
  std::ranges::sort(rows);
  EXPECT_EQ(rows, (Lines{"a 20 2 1 null", "b 15 1 null null"}));
  EXPECT_EQ(steps().open, 0);
  EXPECT_EQ(steps().counted, 3);
}

TEST_F(OverTaskTest, ACheckpointHoldsWhatWaitsAndWhatIsLookedBackAt) {
  Begin(OverFunction::kLastValue);
  Add({{"a", 10, 1}, {"a", 20, 2}});
  Watermark(15);
  Barrier(1);
  Add({{"a", 17, 9}});
  Watermark(40);
  EXPECT_EQ(Run(), (Lines{"a 10 1 null 1", "a 17 2 1 9", "a 20 3 9 2"}));
  Restore(OverFunction::kLastValue, 1);
  Add({{"a", 18, 5}});
  Watermark(40);
  EXPECT_EQ(Run(), (Lines{"a 18 2 1 5", "a 20 3 5 2"}));
  EXPECT_EQ(steps().counted, 2);
}

// Though nothing of it is gone, and none of it is due.
TEST_F(OverTaskTest, MemoryIsBounded) {
  constexpr int64_t kBytesMax = 2'000'000;
  Begin(OverFunction::kLastValue, kBytesMax);
  constexpr int kKeys = 2000;
  for (int64_t second = 0; second < 30; ++second) {
    std::vector<Reading> readings;
    readings.reserve(kKeys);
    for (int key = 0; key < kKeys; ++key) {
      readings.push_back({"k" + std::to_string(key), 100 + second, double(second)});
    }
    Add(readings);
    EXPECT_EQ(Run().size(), 0u);
    EXPECT_LE(task_->stats().state_bytes - task_->stats().index_bytes, kBytesMax);
  }
  EXPECT_EQ(steps().open, 0);  // told with the next watermark
  Watermark(115);
  EXPECT_EQ(Run().size(), size_t(kKeys) * 15);
  EXPECT_LE(task_->stats().state_bytes - task_->stats().index_bytes, kBytesMax);
  Watermark(1000);
  const Lines rows = Run();
  EXPECT_EQ(rows.size(), size_t(kKeys) * 15);
  EXPECT_EQ(std::ranges::count(rows, "k17 129 30 28 29"), 1);
  EXPECT_EQ(steps().open, 0);
  EXPECT_EQ(steps().counted, kKeys * 30);
}

}  // namespace
}  // namespace millrace
