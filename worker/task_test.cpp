// A task: frames in barrier order, and how its state gets into a checkpoint and out of one.
#include "worker/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/state/memory_state_store.h"
#include "engine/windows/key_hash.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

constexpr EventTime Event(int64_t seconds) { return EventTime(std::chrono::seconds(seconds)); }

using Lines = std::vector<std::string>;

// Writes down what a task says. GatherState keeps what the store holds at that moment.
class Script final : public TaskHost, public Outlet {
 public:
  Lines lines;
  Lines windows;  // "window end, key, records, sum"
  bool credit = true;
  MonotonicTime fetched{0};
  int64_t returned = 0;
  MemoryStateStore* store = nullptr;
  std::map<Epoch, std::string> gathered;
  std::map<Epoch, proto::Acknowledgement> acknowledged;
  Lines Take() { return std::exchange(lines, {}); }

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return credit; }
  void SetFetched(MonotonicTime time) override { fetched = time; }
  void Broadcast(const FrameBody& body) override {
    const auto* barrier = std::get_if<BarrierFrame>(&body);
    lines.push_back(barrier == nullptr ? "end"
                                       : "barrier " + std::to_string(barrier->epoch.value()));
  }
  void ForwardWatermark(EventTime watermark, MonotonicTime) override {
    lines.push_back("forward " + std::to_string(watermark.time_since_epoch().count() / 1'000'000));
  }
  void ReturnCredit(size_t, const Frame& frame) override { returned += frame.bytes; }
  void GatherState(Epoch epoch) override {
    lines.push_back("gather " + std::to_string(epoch.value()));
    gathered[epoch] = store->Serialise();
  }
  void Acknowledge(Epoch epoch, proto::Acknowledgement what) override {
    lines.push_back("acknowledge " + std::to_string(epoch.value()));
    acknowledged[epoch] = std::move(what);
  }
  void Done() override { lines.push_back("done"); }

  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows& rows) override {
    const auto& ends = static_cast<const arrow::TimestampArray&>(*rows.batch->column(1));
    const auto& keys = static_cast<const arrow::StringArray&>(*rows.batch->column(2));
    const auto& records = static_cast<const arrow::Int64Array&>(*rows.batch->column(3));
    const auto& totals = static_cast<const arrow::DoubleArray&>(*rows.batch->column(4));
    lines.push_back("window " + std::to_string(ends.Value(0) / 1'000'000) + " fetched " +
                    std::to_string(fetched.count()));
    for (int64_t row = 0; row < rows.size(); ++row) {
      windows.push_back(std::to_string(ends.Value(row) / 1'000'000) + " " + keys.GetString(row) +
                        " " + std::to_string(records.Value(row)) + " " +
                        std::to_string(totals.Value(row)));
    }
  }
  void ToDeadLetters(std::vector<DeadLetter> told) override {
    for (DeadLetter& letter : told) letters.push_back(std::move(letter));
  }
  std::vector<DeadLetter> letters;
};

std::shared_ptr<const Frame> Data(const std::vector<Reading>& readings) {
  const Rows rows = RowsOf(readings);
  auto hashes = std::make_shared<std::vector<uint64_t>>();
  const std::vector<int> columns = {0};
  EXPECT_TRUE(HashKeys(*rows.batch, columns, hashes.get()).ok());
  std::vector<uint32_t> selection(readings.size());
  for (size_t i = 0; i < selection.size(); ++i) selection[i] = uint32_t(i);
  return FrameOf(DataFrame{kWindow, rows, hashes, selection, -1, MonotonicTime(0)}, 100);
}
std::shared_ptr<const Frame> Row(int64_t seconds) { return Data({{"a", seconds, 1}}); }

// A row of each of `count` keys.
std::shared_ptr<const Frame> ManyKeys(int count, int64_t seconds) {
  std::vector<Reading> readings;
  readings.reserve(size_t(count));
  for (int i = 0; i < count; ++i) readings.push_back({"k" + std::to_string(i), seconds, 1});
  return Data(readings);
}

std::shared_ptr<const Frame> Watermark(int64_t seconds, int64_t fetched = 0) {
  return FrameOf(WatermarkFrame{Event(seconds), MonotonicTime(fetched)});
}
std::shared_ptr<const Frame> Barrier(int64_t epoch) { return FrameOf(BarrierFrame{Epoch(epoch)}); }

class TaskTest : public testing::Test {
 public:
  TaskTest() : TaskTest(MakePlan()) {}

 protected:
  explicit TaskTest(JobPlan plan) : plan_(std::move(plan)) {}
  void Begin(TaskOptions options) {
    options.node = kWindow;
    script_.store = store_.get();
    task_ = Task::Make(plan_, options, store_.get(), account_.get()).ValueOrDie();
  }
  void Begin(size_t inputs = 1) {
    TaskOptions options;
    options.inputs = inputs;
    Begin(options);
  }
  // The next life: from what was in the store when `epoch` was gathered.
  void Restore(int64_t epoch, EventTime watermark) {
    task_.reset();
    const std::string state = script_.gathered.at(Epoch(epoch));
    script_ = Script();
    store_ = std::make_unique<MemoryStateStore>();
    ASSERT_TRUE(store_->Restore(state).ok());
    account_ = std::make_unique<JobAccount>(plan_);
    TaskOptions options;
    options.watermark = watermark;
    Begin(options);
  }
  void Push(std::shared_ptr<const Frame> frame) { task_->Push(0, std::move(frame)); }
  Lines Run(int frames_max = 1000) {
    EXPECT_TRUE(task_->Run(&script_, frames_max).ok());
    return script_.Take();
  }
  Lines Gathered(int64_t epoch, const std::string& path = "") {
    proto::TaskState state;
    if (!path.empty()) state.add_files()->set_path(path);
    EXPECT_TRUE(task_->OnGathered(Epoch(epoch), state, &script_).ok());
    return script_.Take();
  }
  Lines Windows() {
    std::ranges::sort(script_.windows);
    return std::exchange(script_.windows, {});
  }

  const JobPlan plan_;
  std::unique_ptr<JobAccount> account_ = std::make_unique<JobAccount>(plan_);
  std::unique_ptr<MemoryStateStore> store_ = std::make_unique<MemoryStateStore>();
  std::unique_ptr<Task> task_;
  Script script_;
};

// Windows of 60 s every 20 s: a reading at 10 is in those that end at 20, 40 and 60.
TEST_F(TaskTest, GivesOutWindowsBeforeTheWatermarkThatMadeThemDue) {
  Begin(2);
  Push(Row(10));
  Push(Watermark(45, 7));
  EXPECT_EQ(Run(), Lines{});
  task_->Push(1, Watermark(100, 9));
  EXPECT_EQ(Run(), (Lines{"window 20 fetched 9", "window 40 fetched 9", "forward 45"}));
}

// Watermarks cost no credit: a task that waits for an hour must not gather them.
TEST_F(TaskTest, WithoutCreditItHoldsOneWatermarkBetweenRowsAndBarriers) {
  Begin();
  script_.credit = false;
  Push(Row(10));
  for (int i = 1; i <= 1000; ++i) Push(Watermark(20 + i % 7, i));
  Push(Barrier(1));
  for (int i = 1; i <= 1000; ++i) Push(Watermark(40, i));
  EXPECT_EQ(task_->frames_held(), 4u);
  EXPECT_EQ(Run(), Lines{});
  EXPECT_EQ(script_.returned, 0);
  script_.credit = true;
  // The largest of them, and the fetch that has waited longest.
  EXPECT_EQ(Run(), (Lines{"window 20 fetched 1", "forward 26", "barrier 1", "gather 1",
                          "window 40 fetched 1", "forward 40"}));
  EXPECT_EQ(script_.returned, 100);
}

TEST_F(TaskTest, AStopLeavesWindowsOpenAndCountsThem) {
  Begin();
  Push(Row(10));
  Push(Barrier(1));
  Push(FrameOf(EndFrame{}));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "gather 1", "end", "done"}));
  EXPECT_EQ(account_->stream("metrics").open, 1);
  EXPECT_EQ(account_->stream("metrics").counted, 0);
  EXPECT_EQ(Gathered(1), Lines{"acknowledge 1"});
}

TEST_F(TaskTest, ATaskThatFailsHasCountedWhatItTook) {
  Begin();
  Push(Row(10));
  Push(FrameOf(DeadLetterFrame{}));  // meant for an outbox
  EXPECT_FALSE(task_->Run(&script_, 1000).ok());
  EXPECT_EQ(account_->stream("metrics").open, 1);
}

TEST_F(TaskTest, KnowsWhichRecordsWereAtHandWhenItFailed) {
  Begin();
  Push(Row(10));
  Run();
  EXPECT_EQ(task_->Place(), "");
  // Its values are text.
  DataFrame data = std::get<DataFrame>(Data({{"a", 11, 1}, {"b", 12, 1}})->body);
  data.rows.batch = *data.rows.batch->SetColumn(2, arrow::field("value", arrow::utf8()),
                                                data.rows.batch->column(0));
  data.rows.origins = std::make_shared<const Origins>(Origins{{"sensors", 3}, {1200, 1234}});
  Push(FrameOf(data));
  EXPECT_FALSE(task_->Run(&script_, 1000).ok());
  EXPECT_EQ(task_->Place(), "sensors/3 offsets 1200 to 1234");
}

// The acknowledgement waits for the files; the rows that come meanwhile are not in it.
TEST_F(TaskTest, AcknowledgesWhenItsFilesAreSafeWithTheAccountOfTheBarrier) {
  Begin();
  Push(Row(10));
  Push(Barrier(3));
  Push(Row(11));
  Push(Watermark(20));
  EXPECT_EQ(Run(), (Lines{"barrier 3", "gather 3", "window 20 fetched 0", "forward 20"}));
  EXPECT_EQ(account_->stream("metrics").open, 2);
  EXPECT_EQ(Gathered(3, "state/1"), Lines{"acknowledge 3"});
  const proto::Acknowledgement& what = script_.acknowledged.at(Epoch(3));
  ASSERT_EQ(what.task().files_size(), 1);
  EXPECT_EQ(what.task().files(0).path(), "state/1");
  JobAccount at_barrier(plan_);
  at_barrier.Add(what.account());
  EXPECT_EQ(at_barrier.stream("metrics").open, 1);
  EXPECT_EQ(at_barrier.stream("metrics").windows_fired, 0);
}

TEST_F(TaskTest, FilesOfAnEpochThatWasGivenUpAreNotAcknowledged) {
  Begin();
  Push(Row(10));
  Push(Barrier(1));
  Push(Row(11));
  Push(Barrier(2));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "gather 1", "barrier 2", "gather 2"}));
  EXPECT_EQ(Gathered(1, "stale"), Lines{});
  EXPECT_EQ(Gathered(2, "fresh"), Lines{"acknowledge 2"});
  EXPECT_EQ(script_.acknowledged.at(Epoch(2)).task().files(0).path(), "fresh");
}

TEST_F(TaskTest, AFailedUploadFailsTheTask) {
  Begin();
  Push(Barrier(1));
  Run();
  const Status failure = ExternalError("disk_full", "no space", Retry::kNo);
  EXPECT_EQ(task_->OnGathered(Epoch(1), failure, &script_), failure);
  EXPECT_EQ(script_.Take(), Lines{});
}

// A large state is written while rows go on; the epoch holds none of them.
TEST_F(TaskTest, WritesWhatIsSealedInSlicesBetweenFrames) {
  constexpr int kKeys = 2000;
  Begin();
  Push(ManyKeys(kKeys, 10));
  Push(Barrier(1));
  Run(2);
  for (int i = 0; i < 10; ++i) Push(Row(10));
  script_.returned = 0;
  int64_t rows_before_gather = -1;
  while (rows_before_gather < 0) {
    const Lines said = Run(1);
    if (said == Lines{"gather 1"}) rows_before_gather = script_.returned / 100;
    ASSERT_LE(script_.returned, 1000);
  }
  EXPECT_GT(rows_before_gather, 1);
  EXPECT_LT(rows_before_gather, 10);
  Run();
  Push(Watermark(20));
  Run();
  EXPECT_EQ(std::ranges::count(script_.windows, "20 a 10 10.000000"), 1);

  Restore(1, kEventTimeMin);
  Push(Watermark(20));
  Run();
  EXPECT_EQ(script_.windows.size(), size_t(kKeys));
  EXPECT_EQ(std::ranges::count(script_.windows, "20 k7 1 1.000000"), 1);
}

// Those who take the output may hold it up for an hour; the epoch must not wait for them.
TEST_F(TaskTest, WritesWhatIsSealedWithoutCreditToo) {
  Begin();
  Push(ManyKeys(2000, 10));
  Push(Barrier(1));
  EXPECT_EQ(Run(2), Lines{"barrier 1"});
  script_.credit = false;
  Push(Row(10));
  script_.returned = 0;
  EXPECT_EQ(Run(), Lines{"gather 1"});
  EXPECT_EQ(script_.returned, 0);
}

TEST_F(TaskTest, ABarrierWaitsUntilTheLastOneIsWritten) {
  Begin();
  Push(ManyKeys(2000, 10));
  Push(Barrier(1));
  Push(Row(10));
  Push(Barrier(2));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "gather 1", "barrier 2", "gather 2"}));
}

TEST_F(TaskTest, TheLastEpochIsWrittenAfterTheEnd) {
  Begin();
  Push(ManyKeys(2000, 10));
  Push(Barrier(1));
  Push(FrameOf(EndFrame{}));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "end", "done", "gather 1"}));
}

TEST_F(TaskTest, GoesOnFromACheckpoint) {
  Begin();
  Push(Data({{"a", 10, 1}, {"a", 30, 2}, {"b", 50, 4}}));
  Push(Watermark(40));
  Push(Barrier(1));
  Push(Row(55));  // after the barrier: comes again
  Run();
  EXPECT_EQ(Windows(), (Lines{"20 a 1 1.000000", "40 a 2 3.000000"}));

  Restore(1, Event(40));
  EXPECT_EQ(Run(), Lines{});
  Push(Watermark(40));  // told before
  EXPECT_EQ(Run(), Lines{});
  Push(Data({{"a", 55, 8}}));
  Push(Watermark(80));
  EXPECT_EQ(Run(), (Lines{"window 60 fetched 0", "window 80 fetched 0", "forward 80"}));
  EXPECT_EQ(Windows(),
            (Lines{"60 a 3 11.000000", "60 b 1 4.000000", "80 a 2 10.000000", "80 b 1 4.000000"}));
  // Of this life alone: the checkpoint's account has the rest. Two of the three panes have closed.
  EXPECT_EQ(account_->stream("metrics").counted + account_->stream("metrics").open, 1);
  EXPECT_EQ(account_->stream("metrics").windows_fired, 4);
}

// Two more windows: one is put together from the panes of the first, the last from those of it.
JobPlan ChainOfPanes() {
  JobPlan plan = MakePlan();
  const auto window_of = [&plan](NodeId id) -> WindowAggregateNode& {
    return std::get<WindowAggregateNode>(plan.nodes[size_t(id.value())].kind);
  };
  NodeId giver = kWindow;
  for (const char* stream : {"longer", "longest"}) {
    PlanNode taker = plan.node(kWindow);
    taker.id = NodeId(int32_t(plan.nodes.size()));
    taker.name = std::string(stream) + ".window";
    taker.stream = stream;
    plan.nodes.push_back(std::move(taker));
    window_of(plan.nodes.back().id).panes_of = giver;
    window_of(giver).gives_panes = true;
    giver = plan.nodes.back().id;
  }
  return plan;
}

TEST_F(TaskTest, WhatWaitsForItsPaneToEndIsOpenInAllThatComesOfThePane) {
  const JobPlan plan = ChainOfPanes();
  JobAccount account(plan);
  TaskOptions options;
  options.node = kWindow;
  task_ = Task::Make(plan, options, store_.get(), &account).ValueOrDie();
  script_.store = store_.get();
  Push(Data({{"a", 10, 1}, {"a", 15, 2}, {"b", 30, 4}}));
  Push(Barrier(1));
  Run();
  EXPECT_EQ(account.stream("longer").open, 3);
  EXPECT_EQ(account.stream("longest").open, 3);
  // The pane that ends at 20 is handed on.
  Push(Watermark(20));
  Run();
  EXPECT_EQ(account.stream("longer").open, 1);
  EXPECT_EQ(account.stream("longest").open, 1);
}

TEST_F(TaskTest, RefusesTheStateOfAnotherQuery) {
  Begin();
  Push(Row(10));
  Push(Barrier(1));
  Run();
  JobPlan other = MakePlan();
  auto& window = std::get<WindowAggregateNode>(other.nodes[size_t(kWindow.value())].kind);
  window.size = std::chrono::seconds(80);
  TaskOptions options;
  options.node = kWindow;
  JobAccount account(other);
  const auto refused = Task::Make(other, options, store_.get(), &account);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(ErrorDetail::Of(refused.status())->code(), "state_of_another_query");
}

// What a run gives out, with so much memory for open windows; barriers and new lives on the way.
class EvictionTest : public TaskTest {
 protected:
  void Live(int64_t state_bytes_max, Lines* windows) {
    std::mt19937 random(7);
    TaskOptions options;
    options.state_bytes_max = state_bytes_max;
    Begin(options);
    int64_t epoch = 0;
    for (int64_t second = 0; second < 600; second += 5) {
      std::vector<Reading> readings;
      readings.reserve(40);
      for (int i = 0; i < 40; ++i) {
        readings.push_back({"k" + std::to_string(random() % 200), second + int64_t(random() % 60),
                            double(random() % 1000)});
      }
      Push(Data(readings));
      Push(Watermark(second));
      if (second % 50 == 0) Push(Barrier(++epoch));
      Run(int(1 + random() % 5));
      memory_most_ = std::max(memory_most_, task_->stats().state_bytes);
    }
    Push(FrameOf(WatermarkFrame{kEventTimeMax, MonotonicTime(0)}));
    Run();
    *windows = Windows();
    EXPECT_EQ(account_->stream("metrics").counted, 120 * 40);
    EXPECT_EQ(account_->stream("metrics").open, 0);
  }
  int64_t memory_most_ = 0;
};

TEST_F(EvictionTest, WithLittleMemoryTheWindowsAreTheSame) {
  Lines expected;
  Live(INT64_MAX, &expected);
  const int64_t unbounded = std::exchange(memory_most_, 0);
  EXPECT_GT(expected.size(), 1000u);
  for (const int64_t state_bytes_max : {int64_t(1), unbounded / 4}) {
    store_ = std::make_unique<MemoryStateStore>();
    account_ = std::make_unique<JobAccount>(plan_);
    script_ = Script();
    Lines windows;
    Live(state_bytes_max, &windows);
    EXPECT_TRUE(windows == expected) << state_bytes_max;
    EXPECT_LT(memory_most_, unbounded) << state_bytes_max;
    memory_most_ = 0;
  }
}

// What is written out between two barriers is in the store, but in no epoch before the next.
TEST_F(EvictionTest, WhatWasEvictedComesBackWithTheNextEpoch) {
  TaskOptions options;
  options.state_bytes_max = 1;
  Begin(options);
  Push(Row(10));
  Push(Barrier(1));
  Push(Data({{"a", 10, 2}, {"b", 10, 4}}));
  Push(Data({{"a", 15, 8}}));
  Push(Barrier(2));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "gather 1", "barrier 2", "gather 2"}));
  EXPECT_EQ(task_->stats().open_panes, 0);
  const std::string first = script_.gathered.at(Epoch(1));
  Restore(2, kEventTimeMin);
  Push(Watermark(20));
  Run();
  EXPECT_EQ(Windows(), (Lines{"20 a 3 11.000000", "20 b 1 4.000000"}));

  script_.gathered[Epoch(1)] = first;
  Restore(1, kEventTimeMin);
  Push(Watermark(20));
  Run();
  EXPECT_EQ(Windows(), Lines{"20 a 1 1.000000"});
}

// ---- Rows that are not final ------------------------------------------------------------------

// Windows of 60 s that are final 30 s later; sink 0 takes changes, sink 2 final rows.
JobPlan ChangingPlan() {
  JobPlan plan = MakePlan();
  auto& window = std::get<WindowAggregateNode>(plan.nodes[size_t(kWindow.value())].kind);
  window.slide = window.pane = window.size;
  window.allowed_lateness = std::chrono::seconds(30);
  window.gives_changes = true;
  window.changes_every = std::chrono::seconds(5);
  PlanNode& changes = plan.nodes[size_t(kSink.value())];
  PlanNode last = changes;
  std::get<SinkNode>(changes.kind).spec.rows = SinkRows::kChanges;
  last.id = NodeId(int32_t(plan.nodes.size()));
  last.name = "sink.2";
  std::get<SinkNode>(last.kind).sink_index = 2;
  plan.nodes.push_back(std::move(last));
  return plan;
}

class ChangesScript final : public TaskHost, public Outlet {
 public:
  Lines lines;
  MonotonicTime now{0};
  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override {
    if (std::holds_alternative<BarrierFrame>(body)) lines.push_back("barrier");
  }
  void ForwardWatermark(EventTime watermark, MonotonicTime) override {
    lines.push_back("forward " + std::to_string(watermark.time_since_epoch().count() / 1'000'000));
  }
  void ReturnCredit(size_t, const Frame&) override {}
  MonotonicTime Now() override { return now; }
  void RunAfter(MonotonicTime wait) override {
    lines.push_back("after " + std::to_string(wait / std::chrono::milliseconds(1)) + " ms");
  }
  void GatherState(Epoch) override {}
  void Acknowledge(Epoch, proto::Acknowledgement) override {}
  void Done() override {}
  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int sink, const Rows& rows) override {
    const auto& ends = static_cast<const arrow::TimestampArray&>(*rows.batch->column(1));
    const auto& keys = static_cast<const arrow::StringArray&>(*rows.batch->column(2));
    const auto& records = static_cast<const arrow::Int64Array&>(*rows.batch->column(3));
    for (int64_t row = 0; row < rows.size(); ++row) {
      lines.push_back("sink " + std::to_string(sink) + ": " + std::string(RowKindName(rows.kind)) +
                      " " + std::to_string(ends.Value(row) / 1'000'000) + " " +
                      keys.GetString(row) + " " + std::to_string(records.Value(row)));
    }
  }
  void ToDeadLetters(std::vector<DeadLetter>) override {}
};

class ChangingTaskTest : public testing::Test {
 protected:
  void Begin(TaskOptions options = {}) {
    options.node = kWindow;
    task_ = Task::Make(plan_, options, &store_, &account_).ValueOrDie();
  }
  Lines Run(std::shared_ptr<const Frame> frame) {
    if (frame != nullptr) task_->Push(0, std::move(frame));
    EXPECT_TRUE(task_->Run(&script_, 1000).ok());
    return std::exchange(script_.lines, {});
  }

  const JobPlan plan_ = ChangingPlan();
  JobAccount account_{plan_};
  MemoryStateStore store_;
  std::unique_ptr<Task> task_;
  ChangesScript script_;
};

TEST_F(ChangingTaskTest, GivesChangesToThoseWhoTakeThemAndFinalRowsToTheOthers) {
  Begin();
  EXPECT_EQ(Run(Row(10)), (Lines{"after 5000 ms"}));
  script_.now = std::chrono::milliseconds(4999);
  EXPECT_EQ(Run(nullptr), (Lines{"after 1 ms"}));
  script_.now = std::chrono::seconds(5);
  EXPECT_EQ(Run(nullptr), (Lines{"sink 0: running 60 a 1"}));
  EXPECT_EQ(Run(nullptr), Lines{});
  EXPECT_EQ(Run(Watermark(60)), (Lines{"sink 0: on_time 60 a 1", "forward 30"}));
  // What corrects it comes with the checkpoint, before the barrier.
  EXPECT_EQ(Run(Row(20)), (Lines{"after 5000 ms"}));
  EXPECT_EQ(Run(Barrier(1)), (Lines{"after 5000 ms", "sink 0: correction 60 a 2", "barrier"}));
  EXPECT_EQ(account_.stream("metrics").rows_out, 0);
  EXPECT_EQ(Run(Watermark(90)), (Lines{"sink 2: on_time 60 a 2", "forward 60"}));
  EXPECT_EQ(account_.stream("metrics").rows_out, 1);
  EXPECT_EQ(account_.stream("metrics").windows_fired, 1);
  EXPECT_EQ(account_.stream("metrics").counted, 2);
}

TEST_F(ChangingTaskTest, WhatHasChangedIsGivenOutBeforeItIsPushedOut) {
  TaskOptions options;
  options.state_bytes_max = 1;
  Begin(options);
  EXPECT_EQ(Run(Row(10)), (Lines{"after 5000 ms", "sink 0: running 60 a 1"}));
  EXPECT_EQ(task_->stats().open_panes, 0);
  EXPECT_EQ(Run(Watermark(60)), (Lines{"sink 0: on_time 60 a 1", "forward 30"}));
  EXPECT_EQ(Run(Row(20)), (Lines{"after 5000 ms", "sink 0: correction 60 a 2"}));
  EXPECT_EQ(Run(Watermark(90)), (Lines{"sink 2: on_time 60 a 2", "forward 60"}));
}

// ---- keys with a watermark each (event_time.per_key) -------------------------------------------

JobPlan ClockedPlan() {
  JobPlan plan = MakePlan();
  auto& window = std::get<WindowAggregateNode>(plan.nodes[size_t(kWindow.value())].kind);
  window.size = window.slide = window.pane = std::chrono::seconds(60);
  KeyClock clock;
  clock.keys = {0};
  clock.max_delay = std::chrono::seconds(10);
  clock.offline_for = std::chrono::seconds(1000);
  window.clock = clock;
  return plan;
}

class ClockedTaskTest : public TaskTest {
 protected:
  ClockedTaskTest() : TaskTest(ClockedPlan()) {}
  // As a reader sends them: with their records, of which these are the later half.
  void Read(const std::vector<Reading>& readings, int64_t fetched = 0) {
    DataFrame data = std::get<DataFrame>(Data(readings)->body);
    auto originals = std::make_shared<Originals>();
    auto rows = std::make_shared<std::vector<int32_t>>();
    auto origins = std::make_shared<Origins>();
    origins->source = {"topic", 3};
    for (size_t i = 0; i < readings.size(); ++i) {
      originals->values.push_back("not this one");
      rows->push_back(int32_t(readings.size() + i));
      origins->offsets.push_back(int64_t(100 + i));
    }
    for (size_t i = 0; i < readings.size(); ++i) {
      originals->values.push_back("record " + std::to_string(i));
    }
    data.rows.originals = originals;
    data.rows.original_rows = rows;
    data.rows.origins = origins;
    data.fetched = MonotonicTime(fetched);
    Push(FrameOf(std::move(data), 100));
  }
};

TEST_F(ClockedTaskTest, RowsCloseTheWindowsOfTheirKeyAndTheFleetComesLater) {
  Begin();
  Read({{"a", 5, 1}, {"b", 6, 1}});
  Read({{"a", 70, 1}}, 8);
  EXPECT_EQ(Run(), (Lines{"window 60 fetched 8"}));
  EXPECT_EQ(Windows(), (Lines{"60 a 1 1.000000"}));
  Push(Watermark(60, 9));
  EXPECT_EQ(Run(), (Lines{"forward -940"}));
  Push(Watermark(1060, 10));
  EXPECT_EQ(Run(), (Lines{"window 60 fetched 10", "forward 60"}));
  EXPECT_EQ(Windows(), (Lines{"60 b 1 1.000000"}));
}

TEST_F(ClockedTaskTest, LateRowsOfAKeyAreDeadLettersOfTheirRecordsAndTheAccountBalances) {
  Begin();
  Read({{"a", 71, 1}, {"a", 59, 2}, {"b", 59, 4}, {"a", 60, 8}});
  Push(Barrier(1));
  EXPECT_EQ(Run(), (Lines{"barrier 1", "gather 1"}));
  ASSERT_EQ(script_.letters.size(), 1u);
  const DeadLetter& letter = script_.letters.front();
  EXPECT_EQ(letter.reason, "late");
  EXPECT_EQ(letter.value, "record 1");
  EXPECT_EQ(letter.key, "key");
  EXPECT_EQ(letter.stream, "metrics");
  EXPECT_EQ(letter.source, (TopicPartition{"topic", 3}));
  EXPECT_EQ(letter.offset, 101);
  EXPECT_EQ(letter.message,
            "event time 1970-01-01T00:00:59.000000Z is behind the watermark of its key, "
            "1970-01-01T00:01:01.000000Z");
  const StreamAccount& account = account_->stream("metrics");
  EXPECT_EQ(account.late, 1);
  EXPECT_EQ(account.open, 3);
  EXPECT_EQ(account_->DeadLettersOf("metrics"), 1);
}

TEST_F(ClockedTaskTest, ClocksGoOnFromACheckpoint) {
  Begin();
  Read({{"a", 71, 1}, {"b", 5, 1}});
  Push(Watermark(300));
  Push(Barrier(1));
  Run();
  Restore(1, Event(300));
  Read({{"a", 59, 2}, {"b", 6, 1}});
  EXPECT_EQ(Run(), (Lines{}));
  EXPECT_EQ(script_.letters.size(), 1u);
  Push(FrameOf(WatermarkFrame{kEventTimeMax, MonotonicTime(0)}));
  Run();
  EXPECT_EQ(Windows(), (Lines{"120 a 1 1.000000", "60 b 2 2.000000"}));
}

}  // namespace
}  // namespace millrace
