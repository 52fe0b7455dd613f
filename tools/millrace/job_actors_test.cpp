// A job's actors together, on real threads, between sources and sinks that stand in for the world:
// many partitions, windows over windows, back-pressure, stops and failures.
#include "tools/millrace/job_actors.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "engine/checkpoint/position_metadata.h"
#include "engine/env/clock.h"
#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

constexpr int64_t kRowsPerPoll = 1000;
constexpr auto kTimeout = std::chrono::seconds(60);

class Originals final : public OriginalRecords {
 public:
  std::string_view ValueOfRow(int64_t) const override { return "record"; }
  std::string_view KeyOfRow(int64_t) const override { return "key"; }
};

// What a test sets and sees of its sources.
struct World {
  int64_t rows_per_partition = 0;     // INT64_MAX: endless
  int64_t rows_released = INT64_MAX;  // of them, those that may be read already
  Status poll_fails;                  // once half of the rows are read
  std::atomic<int64_t> rows_read{0};
  std::atomic<int64_t> bytes_per_row{0};
  std::mutex mutex;
  std::map<TopicPartition, CommittedPosition> committed;  // guarded by mutex

  // Whether every partition's committed position is behind `earlier`'s, and behind the first
  // record.
  bool HasCommitted(const std::map<TopicPartition, CommittedPosition>& earlier) {
    const std::lock_guard lock(mutex);
    return !committed.empty() && std::ranges::all_of(committed, [&](const auto& entry) {
      const auto found = earlier.find(entry.first);
      return entry.second.offset > (found == earlier.end() ? 0 : found->second.offset);
    });
  }
};

// Row i of every partition: a second after the one before; device "d<i % 10>"; its temperature
// rises from 0 to 99 and falls back.
class FakeReader final : public SourceReader {
 public:
  FakeReader(const Schema& schema, World* world) : schema_(schema), world_(world) {}

  Status Start(const std::vector<StartPosition>& positions) override {
    for (const StartPosition& position : positions) {
      next_[position.partition] = position.offset.value_or(0);
    }
    return Status::OK();
  }
  Result<Polled> Poll(int64_t) override {
    Polled polled;
    for (auto& [partition, next] : next_) {
      if (next < std::min(world_->rows_per_partition, world_->rows_released)) {
        ARROW_ASSIGN_OR_RAISE(SourceBatch batch, MakeBatch(partition, &next));
        polled.batches.push_back(std::move(batch));
      }
      if (next >= world_->rows_per_partition && ended_.insert(partition).second) {
        polled.events.push_back({SourceEvent::Kind::kPartitionEnded, partition, 0, 0, ""});
      }
      if (2 * next >= world_->rows_per_partition) ARROW_RETURN_NOT_OK(world_->poll_fails);
    }
    polled.more = !polled.batches.empty();
    return polled;
  }
  void SetWakeUp(std::function<void()>) override {}
  Status Commit(const std::vector<CommittedPosition>& positions) override {
    const std::lock_guard lock(world_->mutex);
    for (const CommittedPosition& position : positions) {
      world_->committed[position.partition] = position;
    }
    return Status::OK();
  }
  int64_t LagRecords() const override { return -1; }
  void Stop() override {}

 private:
  Result<SourceBatch> MakeBatch(const TopicPartition& partition, int64_t* next) {
    const int64_t first = *next;
    *next = std::min({first + kRowsPerPoll, world_->rows_per_partition, world_->rows_released});
    ARROW_ASSIGN_OR_RAISE(auto builder, arrow::RecordBatchBuilder::Make(
                                            schema_.ToArrow(), arrow::default_memory_pool()));
    auto origins = std::make_shared<Origins>();
    origins->source = partition;
    for (int64_t row = first; row < *next; ++row) {
      origins->offsets.push_back(row);
      for (int column = 0; column < builder->num_fields(); ++column) {
        ARROW_RETURN_NOT_OK(
            AppendCell(schema_.fields[size_t(column)].name, row, builder->GetField(column)));
      }
    }
    SourceBatch batch;
    batch.partition = partition;
    ARROW_ASSIGN_OR_RAISE(batch.rows.batch, builder->Flush());
    batch.rows.origins = std::move(origins);
    batch.originals = std::make_shared<Originals>();
    batch.next_offset = *next;
    world_->rows_read += batch.rows.size();
    world_->bytes_per_row = ApproximateBytes(batch.rows) / batch.rows.size();
    return batch;
  }
  static Status AppendCell(const std::string& name, int64_t row, arrow::ArrayBuilder* builder) {
    if (name == "device_id") {
      return static_cast<arrow::StringBuilder*>(builder)->Append("d" + std::to_string(row % 10));
    }
    if (name == "observed_at") {
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(row * 1'000'000);
    }
    if (name == "temperature") {
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(double(row % 100));
    }
    return builder->AppendNull();
  }

  const Schema schema_;
  World* world_;
  std::map<TopicPartition, int64_t> next_;
  std::set<TopicPartition> ended_;
};

class FakeSource final : public Source {
 public:
  FakeSource(const PlanNode& node, bool bounded, World* world)
      : node_(node), bounded_(bounded), world_(world) {}
  Result<Partitions> Discover(Micros) override { return Partitions(); }
  Result<std::unique_ptr<SourceReader>> MakeReader() override {
    return std::make_unique<FakeReader>(node_.output, world_);
  }
  bool bounded() const override { return bounded_; }

 private:
  const PlanNode& node_;
  bool bounded_;
  World* world_;
};

// What a test sets and sees of a sink.
struct Sink {
  std::chrono::microseconds pause{0};
  std::function<void()> before_write = [] {};
  int64_t fail_at = INT64_MAX;  // rows
  std::function<Status()> fail = [] { return Status::OK(); };
  World* world = nullptr;

  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> behind_most{0};  // rows read and not yet written
  std::atomic<int64_t> sum{0};          // of the column `records`, where there is one
  // Rows as text, and how often each was written; of the sink's thread until the job has ended.
  std::map<std::string, int> written;
};

class Writer final : public SinkWriter {
 public:
  explicit Writer(Sink* sink) : sink_(sink) {}
  Status Open() override { return Status::OK(); }
  Status Write(const Rows& rows, std::vector<DeadLetter>*) override {
    std::this_thread::sleep_for(sink_->pause);
    sink_->before_write();
    const int64_t behind = sink_->world->rows_read - sink_->rows;
    sink_->behind_most = std::max<int64_t>(sink_->behind_most, behind);
    sink_->rows += rows.size();
    if (const auto records = rows.batch->GetColumnByName("records")) {
      for (int64_t row = 0; row < rows.size(); ++row) {
        sink_->sum += static_cast<const arrow::Int64Array&>(*records).Value(row);
      }
    }
    for (int64_t row = 0; row < rows.size(); ++row) ++sink_->written[TextOf(rows, row)];
    return sink_->rows >= sink_->fail_at ? sink_->fail() : Status::OK();
  }
  Status Flush(bool) override { return Status::OK(); }
  SinkStats stats() const override { return {sink_->rows, 0, 0}; }
  std::string description() const override { return "a test"; }

 private:
  static std::string TextOf(const Rows& rows, int64_t row) {
    std::string text;
    for (const auto& column : rows.batch->columns()) {
      text += column->GetScalar(row).ValueOrDie()->ToString() + " ";
    }
    return text;
  }

  Sink* sink_;
};

class Letters final : public DeadLetterWriter {
 public:
  explicit Letters(Sink* sink) : sink_(sink) {}
  Status Open() override { return Status::OK(); }
  Status Write(const std::vector<DeadLetter>& letters) override {
    sink_->rows += int64_t(letters.size());
    return sink_->rows >= sink_->fail_at ? sink_->fail() : Status::OK();
  }
  Status Flush() override { return Status::OK(); }
  std::string description() const override { return "a test's dead letters"; }

 private:
  Sink* sink_;
};

class Observer final : public WorkerObserver, public JobObserver {
 public:
  void OnWarning(const std::string&, const std::string&) override {}
  void OnDelivered(const std::string&, int64_t, MonotonicTime) override {}
  void OnSinkStats(const std::string&, const SinkStats&) override {}
  void OnTaskStats(const std::string&, const WindowAggregateStats&, const TaskTimes&) override {}
  void OnAligned(const std::string&, MonotonicTime took) override {
    EXPECT_GE(took, MonotonicTime(0));
  }
  void OnLag(const std::string&, int64_t) override {}
  void OnCheckpoint(const CompletedCheckpoint&) override { ++checkpoints; }
  void OnPendingEpochs(size_t) override {}
  void OnCheckpointsBlocked(MonotonicTime) override {}
  void OnEnded(const Status& status) override {
    const std::lock_guard lock(mutex_);
    ended_ = status;
    changed_.notify_all();
  }
  std::optional<Status> Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kTimeout, [this] { return ended_.has_value(); });
    return ended_;
  }
  std::atomic<int> checkpoints{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Status> ended_;
};

// A job over fake sources of `partitions` partitions each.
class Running {
 public:
  // `committed`: where an earlier run got to.
  Running(TestJob job, int32_t parallelism, int32_t partitions, bool bounded = true,
          const std::map<TopicPartition, CommittedPosition>& committed = {})
      : job_(job.spec()), plan_(job.Plan()), account_(plan_), letters(), sinks(job_.sinks.size()) {
    EXPECT_FALSE(job.diagnostics().has_errors()) << job.diagnostics().Render();
    job_.checkpoint_interval = std::chrono::milliseconds(20);
    for (const PlanNode& node : plan_.nodes) {
      if (!std::holds_alternative<SourceNode>(node.kind)) continue;
      OpenedSource opened;
      opened.node = node.id;
      opened.source = std::make_unique<FakeSource>(node, bounded, &world);
      std::vector<TopicPartition> all;
      for (int32_t i = 0; i < partitions; ++i) all.push_back({node.stream, i});
      const size_t readers = size_t(std::min(parallelism, partitions));
      opened.spread = SpreadPartitions(all, readers);
      opened.starts.resize(readers);
      for (const auto& [partition, reader] : opened.spread) {
        StartReading::Partition start;
        start.start.partition = partition;
        if (const auto found = committed.find(partition); found != committed.end()) {
          const auto metadata = *DecodePositionMetadata(found->second.metadata);
          start.start.offset = found->second.offset;
          start.watermark = metadata.watermark;
          start.published_before = metadata.published_before;
          start.floor = metadata.floor;
          opened.horizon = std::max(opened.horizon, metadata.horizon);
        }
        opened.starts[reader].partitions.push_back(std::move(start));
      }
      for (StartReading& start : opened.starts) start.horizon = opened.horizon;
      sources_.push_back(std::move(opened));
    }
    for (Sink& sink : sinks) sink.world = &world;
    letters.world = &world;
    parallelism_ = parallelism;
  }

  void Start() {
    for (Sink& sink : sinks) writers_.push_back(std::make_unique<Writer>(&sink));
    dead_letters_ = std::make_unique<Letters>(&letters);
    JobParts parts;
    parts.job = &job_;
    parts.plan = &plan_;
    parts.account = &account_;
    parts.clock = &clock_;
    parts.worker_observer = &observer;
    parts.job_observer = &observer;
    parts.parallelism = parallelism_;
    parts.sources = &sources_;
    parts.sinks = &writers_;
    parts.dead_letters = &dead_letters_;
    actors_ = std::make_unique<JobActors>(parts);
    ASSERT_TRUE(actors_->Start().ok());
  }
  void RequestStop() { actors_->RequestStop(); }
  // The actors end where they stand, as in a crash.
  void Kill() { actors_.reset(); }
  // The job's status once it has ended and every actor is gone.
  Status Wait() {
    const auto ended = observer.Wait();
    if (!ended.has_value()) {
      ADD_FAILURE() << "the job hangs";
      std::abort();  // its actors would never let go
    }
    actors_.reset();
    return *ended;
  }
  void ExpectBalanced() const {
    for (const auto& [name, stream] : account_.streams()) {
      EXPECT_EQ(account_.Difference(name), 0) << name;
    }
  }
  const StreamAccount& stream(const std::string& name) { return account_.stream(name); }

 private:
  JobSpec job_;
  JobPlan plan_;
  JobAccount account_;
  SystemClock clock_;
  int32_t parallelism_ = 1;
  std::vector<OpenedSource> sources_;
  std::vector<std::unique_ptr<SinkWriter>> writers_;
  std::unique_ptr<DeadLetterWriter> dead_letters_;

 public:
  World world;
  Observer observer;
  Sink letters;
  std::deque<Sink> sinks;  // by index

 private:
  std::unique_ptr<JobActors> actors_;  // goes first
};

TestJob Stateless() {
  TestJob job;
  job.Readings().Query("hot", "SELECT device_id, observed_at, temperature FROM readings");
  job.Sink("hot");
  return job;
}

// Windows over windows, and alerts of single readings and of both windows in one sink.
TestJob Nested() {
  TestJob job;
  job.Readings();
  job.Query("minutes",
            "SELECT window_start, window_end, device_id, count(*) AS records, "
            "max(temperature) AS hottest FROM tumble(readings, size => INTERVAL '1 minute') "
            "GROUP BY window_start, window_end, device_id");
  job.Query("hours",
            "SELECT window_start, window_end, device_id, count(*) AS records, "
            "max(hottest) AS hottest FROM hop(minutes, size => INTERVAL '1 hour', "
            "slide => INTERVAL '1 hour') GROUP BY window_start, window_end, device_id");
  job.Alert("Reading", "readings", "temperature > 98").Alert("Minute", "minutes", "records > 0");
  job.Alert("Hour", "hours", "hottest > 0");
  job.Sink("minutes").Sink("hours").Sink("");
  return job;
}

TEST(JobActors, ManyPartitionsThroughWindowsOverWindowsWithNothingLost) {
  constexpr int32_t kPartitions = 64;
  constexpr int64_t kRows = 7200;  // two hours
  Running job(Nested(), 8, kPartitions);
  job.world.rows_per_partition = kRows;
  job.Start();
  EXPECT_EQ(job.Wait(), Status::OK());
  job.ExpectBalanced();
  EXPECT_EQ(job.stream("readings").rows_in, kPartitions * kRows);
  // Ten devices in each of 120 minutes, and in each of two hours.
  EXPECT_EQ(job.sinks[0].rows, 10 * 120);
  EXPECT_EQ(job.sinks[0].sum, kPartitions * kRows);
  EXPECT_EQ(job.sinks[1].rows, 10 * 2);
  EXPECT_EQ(job.sinks[1].sum, 10 * 120);
  // One reading in a hundred has 99.
  EXPECT_EQ(job.sinks[2].rows, kPartitions * kRows / 100 + 10 * 120 + 10 * 2);
  EXPECT_EQ(job.letters.rows, 0);
}

TEST(JobActors, TwoSourcesOfOneSinkEndTogether) {
  TestJob job;
  job.Readings();
  auto other = std::get<SourceStreamSpec>(job.spec().streams[0].kind);
  job.Stream("others", other);
  job.Alert("A", "readings", "temperature > 98").Alert("B", "others", "temperature > 97");
  job.Sink("");
  Running running(job, 2, 3);
  running.world.rows_per_partition = 10'000;
  running.Start();
  EXPECT_EQ(running.Wait(), Status::OK());
  running.ExpectBalanced();
  EXPECT_EQ(running.sinks[0].rows, 3 * 100 + 3 * 200);
}

// A sink that is slower than the source holds the source back: what is on its way is what the
// channel may carry, and what one poll adds to it.
TEST(JobActors, ASlowSinkKeepsWhatIsOnItsWayBounded) {
  Running job(Stateless(), 1, 1);
  job.world.rows_per_partition = 1'000'000;
  // The reader can always read until the channel is full.
  job.sinks[0].before_write = [&world = job.world] {
    while (world.rows_read * world.bytes_per_row < kChannelBytesMax) std::this_thread::yield();
  };
  job.Start();
  EXPECT_EQ(job.Wait(), Status::OK());
  EXPECT_EQ(job.sinks[0].rows, 1'000'000);
  const int64_t bytes_most = job.sinks[0].behind_most * job.world.bytes_per_row;
  EXPECT_GE(bytes_most, kChannelBytesMax);
  EXPECT_LT(bytes_most, 2 * kChannelBytesMax);
}

// Killed several times, windows over windows are what they are without a fault: none is lost, none
// is published in part, and alerts are known by their id.
TEST(JobActors, KilledAndStartedAgainWindowsOverWindowsAreTheSame) {
  constexpr int32_t kPartitions = 4;
  constexpr int64_t kRows = 40'000;
  Running whole(Nested(), 2, kPartitions);
  whole.world.rows_per_partition = kRows;
  whole.Start();
  ASSERT_EQ(whole.Wait(), Status::OK());

  std::map<TopicPartition, CommittedPosition> committed;
  std::vector<std::set<std::string>> written(3);
  for (int life = 0; life < 5; ++life) {
    Running job(Nested(), 1 + life % 3, kPartitions, true, committed);
    job.world.rows_per_partition = kRows;
    if (life < 4) {
      // Killed once every partition has got further than the life before.
      job.world.rows_released = kRows * (life + 1) / 6;
      job.Start();
      while (!job.world.HasCommitted(committed)) std::this_thread::yield();
      job.Kill();
    } else {
      job.Start();
      ASSERT_EQ(job.Wait(), Status::OK());
      job.ExpectBalanced();
    }
    for (const auto& [partition, position] : job.world.committed) {
      committed[partition] = position;
    }
    for (size_t sink = 0; sink < 3; ++sink) {
      for (const auto& [row, times] : job.sinks[sink].written) {
        EXPECT_EQ(times, 1) << "life " << life << ": " << row;
        written[sink].insert(row);
      }
    }
  }
  for (size_t sink = 0; sink < 3; ++sink) {
    std::set<std::string> expected;
    for (const auto& [row, times] : whole.sinks[sink].written) expected.insert(row);
    EXPECT_EQ(written[sink].size(), expected.size()) << "sink " << sink;
    EXPECT_TRUE(written[sink] == expected) << "sink " << sink;
  }
}

TEST(JobActors, AStopDuringBackPressureEndsWithEveryRowWritten) {
  Running job(Nested(), 2, 4, /*bounded=*/false);
  job.world.rows_per_partition = INT64_MAX;
  for (Sink& sink : job.sinks) sink.pause = std::chrono::milliseconds(2);
  job.Start();
  while (job.sinks[2].rows == 0) std::this_thread::yield();
  job.RequestStop();
  EXPECT_EQ(job.Wait(), Status::OK());
  job.ExpectBalanced();
  EXPECT_GT(job.stream("minutes").open, 0);
  EXPECT_GT(job.observer.checkpoints, 0);
}

TEST(JobActors, AStopBeforeAnythingWasReadEnds) {
  Running job(Nested(), 2, 4, /*bounded=*/false);
  job.world.rows_per_partition = INT64_MAX;
  job.Start();
  job.RequestStop();
  EXPECT_EQ(job.Wait(), Status::OK());
}

TEST(JobActors, ASinkThatFailsEndsTheJobWithItsReason) {
  Running job(Nested(), 2, 4, /*bounded=*/false);
  job.world.rows_per_partition = INT64_MAX;
  job.sinks[0].fail_at = 1;
  job.sinks[0].fail = [] { return ExternalError("disk_full", "no space", Retry::kNo); };
  job.Start();
  const Status status = job.Wait();
  EXPECT_EQ(status.message(), "sink.0: no space");
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
}

TEST(JobActors, AReaderThatFailsEndsTheJobWithItsReason) {
  Running job(Nested(), 2, 4);
  job.world.rows_per_partition = 10'000;
  job.world.poll_fails = ExternalError("topic_deleted", "gone", Retry::kNo);
  job.Start();
  const Status status = job.Wait();
  EXPECT_TRUE(status.message().ends_with("gone")) << status.message();
  EXPECT_TRUE(status.message().starts_with("readings")) << status.message();
}

TEST(JobActors, AnExceptionOfALibraryEndsTheJob) {
  Running job(Nested(), 2, 4, /*bounded=*/false);
  job.world.rows_per_partition = INT64_MAX;
  job.sinks[1].fail_at = 1;
  job.sinks[1].fail = []() -> Status { throw std::bad_alloc(); };
  job.Start();
  EXPECT_EQ(job.Wait().message(), "sink.1: out of memory");
}

TEST(JobActors, DeadLettersThatCannotBeWrittenEndTheJob) {
  TestJob test;
  test.Readings().Query("q", "SELECT 1 / (temperature - 5) AS x FROM readings").Sink("q");
  Running job(test, 2, 4, /*bounded=*/false);
  job.world.rows_per_partition = INT64_MAX;
  job.letters.fail_at = 1;
  job.letters.fail = [] { return ExternalError("disk_full", "no space", Retry::kNo); };
  job.Start();
  EXPECT_EQ(job.Wait().message(), "dead_letters: no space");
}

}  // namespace
}  // namespace millrace
