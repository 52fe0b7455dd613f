// The whole of a small job over pure cores, killed and started again: what is published must be
// what a run without a fault publishes, except that the last moments may repeat.
#include <gtest/gtest.h>

#include <random>

#include "engine/event_time/stream_watermark.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

const TopicPartition kP0{"t", 0}, kP1{"t", 1};
using Window = std::tuple<int64_t, std::string>;                           // end in seconds, key
using Published = std::map<Window, std::set<std::pair<int64_t, double>>>;  // all values seen

// What is kept outside the process: topics and files.
struct World {
  Published windows;
  std::map<Window, int> times_published;
  std::multiset<std::string> hot;      // "partition/offset" is not in rows: key, time, value
  std::multiset<std::string> letters;  // "partition/offset reason"
  std::map<TopicPartition, CommittedPosition> committed;
};

// One life of the process: one reader, one task, synchronous channels.
class Process final : public ReaderHost, public TaskHost, public Outlet {
 public:
  Process(const std::map<TopicPartition, std::vector<Reading>>& records, int64_t batch_rows,
          World* world)
      : plan_(MakePlan()), account_(plan_), world_(world) {
    auto input = std::make_unique<ReplaySource>();
    input->records = records;
    input->batch_rows = batch_rows;
    source_ = input.get();
    reader_ =
        Reader::Make(plan_, {kSource, 100, std::nullopt}, std::move(input), &account_).ValueOrDie();
    StartReading start;
    EventTime horizon = kEventTimeMin;
    for (const auto& [partition, all] : records) {
      StartReading::Partition from;
      from.start.partition = partition;
      stream_.AddPartition(partition);
      if (const auto found = world->committed.find(partition); found != world->committed.end()) {
        const auto metadata = *DecodePositionMetadata(found->second.metadata);
        from.start.offset = found->second.offset;
        from.watermark = metadata.watermark;
        from.published_before = metadata.published_before;
        from.floor = metadata.floor;
        horizon = std::max(horizon, metadata.horizon);
      }
      start.partitions.push_back(from);
    }
    start.horizon = horizon;
    task_ = Task::Make(plan_, kWindow, 1, horizon, &account_).ValueOrDie();
    EXPECT_TRUE(reader_->Start(start).ok());
  }

  // Returns whether anything is left to read.
  bool Step() {
    const auto more = reader_->Step(MonotonicTime(1), static_cast<ReaderHost*>(this));
    EXPECT_TRUE(more.ok()) << more.status().ToString();
    const bool waited = !asked_.empty();
    Deliver();
    return *more || waited;
  }

  // `torn`: the process dies between the commits of its partitions.
  void Checkpoint(bool torn = false) {
    ++epoch_;
    reader_->OnOpenEpoch(Epoch(epoch_), this);
    RunTask();
    EXPECT_TRUE(reader_->OnCommit({Epoch(epoch_), at_barrier_}).ok());
    for (const auto& [partition, position] : source_->committed) {
      world_->committed[partition] = position;
      if (torn) return;
    }
  }

  void Drain() {
    reader_->OnFinish({Epoch(++epoch_), true}, this);
    RunTask();
  }

  const JobAccount& account() const { return account_; }

  // Hosts
  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody& body) override {
    if (from_task_) return;
    Frame frame;
    frame.body = body;
    task_->Push(0, std::make_shared<Frame>(std::move(frame)));
  }
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched) override {
    Broadcast(WatermarkFrame{watermark, fetched});
  }
  void Report(WatermarkReport report) override {
    for (const auto& [partition, watermark] : report.partitions) {
      stream_.Report(partition, watermark);
    }
  }
  void Report(PartitionIdle) override {}
  void Report(PartitionActive active) override { asked_.push_back(active.partition); }
  void Report(PartitionEnded) override {}
  void Report(PartitionFound) override {}
  void AtBarrier(Epoch, EventTime forwarded) override { at_barrier_ = forwarded; }
  void Warn(const std::string&) override {}
  void Done() override {}
  void ReturnCredit(size_t, const Frame&) override {}
  void AcknowledgeBarrier(Epoch) override {}

  // Outlet
  void ToWindow(NodeId node, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>> hashes,
                std::span<const uint32_t> selection) override {
    Frame frame;
    frame.body =
        DataFrame{node, rows, hashes, {selection.begin(), selection.end()}, MonotonicTime(0)};
    task_->Push(0, std::make_shared<Frame>(std::move(frame)));
  }
  void ToSink(NodeId, int sink, const Rows& rows) override {
    for (int64_t row = 0; row < rows.size(); ++row) {
      const auto text = [&](int column) {
        return rows.batch->column(column)->GetScalar(row).ValueOrDie()->ToString();
      };
      if (sink == 1) {
        world_->hot.insert(text(0) + " " + text(1) + " " + text(2));
        continue;
      }
      const auto& ends = static_cast<const arrow::TimestampArray&>(*rows.batch->column(1));
      const auto& counts = static_cast<const arrow::Int64Array&>(*rows.batch->column(3));
      const auto& sums = static_cast<const arrow::DoubleArray&>(*rows.batch->column(4));
      const Window window{ends.Value(row) / 1'000'000, text(2)};
      world_->windows[window].insert({counts.Value(row), sums.Value(row)});
      ++world_->times_published[window];
    }
  }
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    for (const DeadLetter& letter : letters) {
      world_->letters.insert(std::to_string(letter.source.partition) + "/" +
                             std::to_string(letter.offset) + " " + letter.reason + " " +
                             letter.value);
    }
  }

 private:
  // Answers of the coordinator, then the task's turn.
  void Deliver() {
    for (const TopicPartition& partition : std::exchange(asked_, {})) {
      const EventTime floor = stream_.SetActive(partition, MonotonicTime(1));
      EXPECT_TRUE(reader_->OnFloor({partition, floor}, this).ok());
    }
    const EventTime watermark = stream_.Advance(MonotonicTime(1));
    reader_->OnStreamWatermark({watermark, MonotonicTime(1)}, this);
    RunTask();
  }
  void RunTask() {
    from_task_ = true;
    while (true) {
      const auto more = task_->Run(this, 1000);
      EXPECT_TRUE(more.ok()) << more.status().ToString();
      if (!*more) break;
    }
    from_task_ = false;
  }

  JobPlan plan_;
  JobAccount account_;
  World* world_;
  ReplaySource* source_ = nullptr;
  StreamWatermark stream_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Task> task_;
  std::vector<TopicPartition> asked_;
  EventTime at_barrier_ = kEventTimeMin;
  int64_t epoch_ = 0;
  bool from_task_ = false;
};

std::map<TopicPartition, std::vector<Reading>> RandomRecords(uint32_t seed) {
  std::mt19937 random(seed);
  std::map<TopicPartition, std::vector<Reading>> records;
  for (const TopicPartition& partition : {kP0, kP1}) {
    int64_t now = 1000 + int64_t(random() % 50);
    for (int i = 0; i < 150; ++i) {
      now += random() % 8;
      Reading reading;
      reading.key = "device-" + std::to_string(random() % 3);
      reading.value = double(random() % 1000) / 10;
      reading.seconds = now - int64_t(random() % 25);
      reading.record_seconds = now;
      if (random() % 20 == 0) reading.seconds = now - 60 - int64_t(random() % 100);  // late
      if (random() % 30 == 0) reading.malformed = true;
      if (random() % 40 == 0) reading.seconds = now + 1000;  // future
      records[partition].push_back(reading);
    }
  }
  return records;
}

World RunThrough(const std::map<TopicPartition, std::vector<Reading>>& records,
                 int64_t batch_rows) {
  World world;
  Process process(records, batch_rows, &world);
  while (process.Step()) {
  }
  process.Step();
  process.Drain();
  for (const char* stream : {"readings", "hot", "metrics"}) {
    EXPECT_EQ(process.account().Difference(stream), 0) << stream;
  }
  return world;
}

TEST(Restart, WithoutFaultEveryWindowOnceAndTheAccountHolds) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const World world = RunThrough(RandomRecords(seed), 7);
    EXPECT_GT(world.windows.size(), 20u);
    EXPECT_GT(world.letters.size(), 5u);
    for (const auto& [window, times] : world.times_published) EXPECT_EQ(times, 1);
  }
}

TEST(Restart, BatchSizesChangeNothing) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto records = RandomRecords(seed);
    const World a = RunThrough(records, 1), b = RunThrough(records, 100);
    EXPECT_EQ(a.windows, b.windows);
    EXPECT_EQ(a.letters, b.letters);
    EXPECT_EQ(a.hot, b.hot);
  }
}

// Killed anywhere, several times: no window is lost, none has another value, and rows and dead
// letters are there at least as often as without a fault.
TEST(Restart, KilledAnywhereNothingIsLostAndNoWindowIsPartial) {
  int repeats = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const auto records = RandomRecords(seed);
    const World expected = RunThrough(records, 7);
    std::mt19937 random(seed + 1);
    World world;
    bool finished = false;
    for (int life = 0; !finished; ++life) {
      Process process(records, 1 + int64_t(random() % 12), &world);
      const int steps = life < 4 ? int(random() % 25) : 100000;
      bool more = true;
      for (int step = 0; step < steps && more; ++step) {
        more = process.Step();
        if (random() % 4 == 0) process.Checkpoint();
      }
      if (more && random() % 2 == 0) process.Checkpoint(/*torn=*/true);
      if (!more) {
        process.Step();
        process.Drain();
        finished = true;
      }
    }
    ASSERT_EQ(world.windows, expected.windows) << "seed " << seed;
    ASSERT_TRUE(std::includes(world.letters.begin(), world.letters.end(), expected.letters.begin(),
                              expected.letters.end()));
    ASSERT_TRUE(std::includes(world.hot.begin(), world.hot.end(), expected.hot.begin(),
                              expected.hot.end()));
    for (const auto& [window, times] : world.times_published) repeats += times - 1;
  }
  EXPECT_GT(repeats, 0) << "no run was killed between publishing and committing";
}

// Killed right after a checkpoint nothing repeats: what was published is not published again.
TEST(Restart, KilledAtACheckpointNothingRepeats) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const auto records = RandomRecords(seed);
    const World expected = RunThrough(records, 7);
    std::mt19937 random(seed + 1);
    World world;
    {
      Process process(records, 5, &world);
      for (int step = 0; step < 10 + int(random() % 15); ++step) process.Step();
      process.Checkpoint();
    }
    Process process(records, 5, &world);
    while (process.Step()) {
    }
    process.Step();
    process.Drain();
    ASSERT_EQ(world.windows, expected.windows) << "seed " << seed;
    ASSERT_EQ(world.times_published, expected.times_published) << "seed " << seed;
    ASSERT_EQ(world.letters, expected.letters) << "seed " << seed;
    ASSERT_EQ(world.hot, expected.hot) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace
