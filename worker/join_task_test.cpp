// A task of a join: when pairs come out, what the account and the watermark say, what a checkpoint
// holds, and that memory is bounded.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/windows/key_hash.h"
#include "worker/task_host_testing.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

using Lines = std::vector<std::string>;

inline constexpr NodeId kLeftInput(1), kRightInput(2), kBoth(3), kJoin(4);

constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

Expr Null(Type type) {
  Expr expr;
  expr.kind = Expr::Kind::kLiteral;
  expr.type = type;
  return expr;
}

Expr Boolean(bool value) {
  Expr expr = Null(Type::kBoolean);
  expr.literal = value;
  return expr;
}

// readings, as both sides -> near: of pairs the key, both times, both values.
JobPlan JoinPlan(int64_t lower_seconds, int64_t upper_seconds, bool keeps_left) {
  JobPlan plan;
  plan.job = "test";
  const Schema readings = MakePlan().node(kSource).output;
  AddNode(&plan, "readings", "readings", NodeId(-1), readings, SourceNode{});
  const Schema sides{{{"is_right", Type::kBoolean, "", false},
                      readings.fields[0],
                      readings.fields[1],
                      {"left_value", Type::kDouble, "", false},
                      {"right_value", Type::kDouble, "", false}}};
  for (const bool is_right : {false, true}) {
    ProjectNode side;
    const Expr value = Column(2, Type::kDouble);
    side.columns = {Boolean(is_right), Column(0, Type::kText), Column(1, Type::kTimestamp),
                    is_right ? Null(Type::kDouble) : value, is_right ? value : Null(Type::kDouble)};
    AddNode(&plan, is_right ? "near.right" : "near.left", "near", kSource, sides, side);
  }
  AddNode(&plan, "near.sides", "near", kLeftInput, sides, UnionNode{})
      .inputs.push_back(kRightInput);
  JoinNode join;
  join.is_right = 0;
  join.event_time = 2;
  join.keys = {1};
  join.left = {1, 2, 3};
  join.right = {2, 4};
  join.lower = std::chrono::seconds(lower_seconds);
  join.upper = std::chrono::seconds(upper_seconds);
  join.keeps_left = keeps_left;
  const Schema pairs{{readings.fields[0],
                      readings.fields[1],
                      {"left_value", Type::kDouble, "", false},
                      {"right_time", Type::kTimestamp, "", false},
                      {"right_value", Type::kDouble, "", false}}};
  AddNode(&plan, "near.join", "near", kBoth, pairs, join);
  ProjectNode output;
  for (size_t i = 0; i < pairs.fields.size(); ++i) {
    output.columns.push_back(Column(int(i), pairs.fields[i].type));
  }
  AddNode(&plan, "near.output", "near", kJoin, pairs, output);
  AddNode(&plan, "sink.0", "near", NodeId(5), pairs, SinkNode{});
  return plan;
}

// Two inputs, one a side.
class JoinTaskTest : public testing::Test {
 protected:
  void Begin(const JobPlan& plan, int64_t state_bytes_max = INT64_MAX) {
    plan_ = plan;
    account_ = std::make_unique<JobAccount>(plan_);
    TaskOptions options;
    options.node = kJoin;
    options.inputs = 2;
    options.state_bytes_max = state_bytes_max;
    host_.store = store_.get();
    task_ = Task::Make(plan_, options, store_.get(), account_.get()).ValueOrDie();
  }
  void Restore(int64_t epoch) {
    task_.reset();
    const std::string state = host_.gathered.at(Epoch(epoch));
    host_ = RowsHost();
    store_ = std::make_unique<MemoryStateStore>();
    ASSERT_TRUE(store_->Restore(state).ok());
    Begin(JobPlan(plan_));
  }
  void Add(bool is_right, const std::vector<Reading>& readings) {
    const Rows from = RowsOf(readings);
    const int64_t count = from.size();
    const auto& columns = from.batch->columns();
    arrow::BooleanBuilder sides;
    for (int64_t i = 0; i < count; ++i) EXPECT_TRUE(sides.Append(is_right).ok());
    const auto nulls = arrow::MakeArrayOfNull(arrow::float64(), count).ValueOrDie();
    Rows rows;
    rows.batch =
        arrow::RecordBatch::Make(plan_.node(kBoth).output.ToArrow(), count,
                                 {*sides.Finish(), columns[0], columns[1],
                                  is_right ? nulls : columns[2], is_right ? columns[2] : nulls});
    auto hashes = std::make_shared<std::vector<uint64_t>>();
    EXPECT_TRUE(HashKeys(*rows.batch, {1}, hashes.get()).ok());
    std::vector<uint32_t> selection(readings.size());
    for (size_t i = 0; i < selection.size(); ++i) selection[i] = uint32_t(i);
    task_->Push(is_right ? 1 : 0,
                FrameOf(DataFrame{kJoin, rows, hashes, selection, -1, MonotonicTime(0)}, 100));
  }
  void Watermark(size_t input, EventTime time) {
    task_->Push(input, FrameOf(WatermarkFrame{time, MonotonicTime(0)}));
  }
  void Watermark(int64_t seconds) {
    for (const size_t input : {0, 1}) Watermark(input, Event(seconds));
  }
  void Barrier(int64_t epoch) {
    for (const size_t input : {0, 1}) task_->Push(input, FrameOf(BarrierFrame{Epoch(epoch)}));
  }
  // What came out, in order.
  Lines Run() {
    const auto more = task_->Run(&host_, 1'000'000);
    EXPECT_TRUE(more.ok()) << more.status();
    return std::exchange(host_.rows, {});
  }
  StreamAccount& near() { return account_->stream("near"); }

  JobPlan plan_;
  std::unique_ptr<JobAccount> account_;
  std::unique_ptr<MemoryStateStore> store_ = std::make_unique<MemoryStateStore>();
  std::unique_ptr<Task> task_;
  RowsHost host_;
};

TEST_F(JoinTaskTest, PairsComeOnceBothSidesArePast) {
  Begin(JoinPlan(-5, 10, true));
  Add(false, {{"a", 20, 1}, {"b", 20, 2}});
  Add(true, {{"a", 15, 3}, {"a", 30, 4}, {"a", 31, 5}});
  Watermark(0, Event(60));
  EXPECT_EQ(Run(), Lines());
  Watermark(1, Event(21));
  EXPECT_EQ(Run(), Lines{"a 20 1 15 3"});
  EXPECT_EQ(host_.lines, Lines{"forward 11"});
  // The right row of 15 is near no left one of 21 or later.
  EXPECT_EQ(near().counted, 1);
  EXPECT_EQ(near().open, 4);
  EXPECT_EQ(near().rows_out, 1);
  Watermark(1, Event(31));
  Lines rows = Run();
  std::ranges::sort(rows);
  EXPECT_EQ(rows, (Lines{"a 20 1 30 4", "b 20 2 null null"}));
  for (const size_t input : {0, 1}) {
    Watermark(input, kEventTimeMax);
    task_->Push(input, FrameOf(EndFrame{}));
  }
  EXPECT_EQ(Run(), Lines());
  EXPECT_EQ(near().open, 0);
  EXPECT_EQ(near().counted, 5);
  EXPECT_EQ(host_.lines.back(), "done");
}

TEST_F(JoinTaskTest, ACheckpointHoldsBothSides) {
  Begin(JoinPlan(-5, 10, true));
  Add(false, {{"a", 20, 1}, {"b", 20, 2}});
  Add(true, {{"a", 22, 3}});
  Watermark(23);
  Barrier(1);
  Add(true, {{"a", 25, 9}});
  Watermark(40);
  Lines rows = Run();
  std::ranges::sort(rows);
  EXPECT_EQ(rows, (Lines{"a 20 1 22 3", "a 20 1 25 9", "b 20 2 null null"}));
  Restore(1);
  Add(true, {{"b", 24, 8}});
  Watermark(24);
  EXPECT_EQ(Run(), Lines());
  Watermark(40);
  // "a" is in a pair that came before.
  EXPECT_EQ(Run(), Lines{"b 20 2 24 8"});
}

// Though nothing of it is gone, and none of it is due.
TEST_F(JoinTaskTest, MemoryIsBounded) {
  constexpr int64_t kBytesMax = 2'000'000;
  Begin(JoinPlan(-3, 0, false), kBytesMax);
  constexpr int kKeys = 1000;
  for (int64_t second = 0; second < 20; ++second) {
    std::vector<Reading> readings;
    readings.reserve(kKeys);
    for (int key = 0; key < kKeys; ++key) {
      readings.push_back({"k" + std::to_string(key), 100 + second, double(second)});
    }
    Add(false, readings);
    Add(true, readings);
    EXPECT_EQ(Run().size(), 0u);
    EXPECT_LE(task_->stats().state_bytes - task_->stats().index_bytes, kBytesMax);
  }
  // 1 + 2 + 3 pairs of the first seconds, 4 of every later one.
  Watermark(110);
  EXPECT_EQ(Run().size(), size_t(kKeys) * (6 + 7 * 4));
  EXPECT_LE(task_->stats().state_bytes - task_->stats().index_bytes, kBytesMax);
  Watermark(1000);
  const Lines rows = Run();
  EXPECT_EQ(rows.size(), size_t(kKeys) * 10 * 4);
  EXPECT_EQ(std::ranges::count(rows, "k17 119 19 116 16"), 1);
  EXPECT_EQ(near().open, 0);
  EXPECT_EQ(near().counted, kKeys * 40);
}

}  // namespace
}  // namespace millrace
