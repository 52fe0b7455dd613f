// For tests of a job's actors: input and targets that stand in for the world, and one start of a
// job between them, on real threads. State and files of sinks are real, in a temporary folder that
// outlives the starts. Nothing here sleeps: who waits, waits for a condition, until a deadline.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "engine/env/clock.h"
#include "engine/plan/plan_test_job.h"
#include "engine/storage/storage_testing.h"
#include "tools/millrace/job_actors.h"

namespace millrace::test {

inline constexpr int64_t kRowsPerPoll = 500;
inline constexpr auto kDeadline = std::chrono::seconds(60);

using Lines = std::vector<std::string>;

// What a test does to a sink, and what it sees of one that is written at once.
struct Target {
  bool paused = false;
  std::function<Status()> fails;    // asked before a write
  int64_t batches_max = INT64_MAX;  // a roll fails where it comes to more: it is cut short there
  std::map<std::string, int> rows;  // as text, and how often each was written
  int64_t rows_written = 0;
  int64_t first_rows = 0;  // of the first frame
  int64_t first_bytes = 0;
};

// A topic that takes transactions as Kafka does: each carries the register of its shard, and a new
// producer of a shard fences the one before.
struct Topic {
  Lines records;  // in order
  std::map<int32_t, proto::Register> registers;
  std::map<int32_t, int64_t> producers;  // by shard: the newest
};

// What the actors' threads tell of one start of the job.
struct Seen {
  std::map<TopicPartition, int64_t> started;    // where reading began
  std::map<TopicPartition, int64_t> read;       // the offset after the last row; -1: not started
  std::map<TopicPartition, int64_t> committed;  // shown to the source
  int64_t rows_read = 0;
  int64_t reader_ticks = 0;  // a reader tells its lag at each, then polls if it may
  int64_t checkpoints = 0;
  std::map<Blocked, int64_t> blocked;
  std::map<std::string, int64_t> published;  // rows in final files and in the topic, by sink
  int64_t unpublished_epochs = 0;
  std::map<std::string, Status> savepoints;
  std::optional<Status> ended;
};

// Everything outside of the job, for all of its starts. Members are guarded by its mutex once
// actors run: Look, Change and Await hold it.
class World {
 public:
  // Of the input: set before a start.
  int64_t rows_per_partition = 0;        // INT64_MAX: endless
  int64_t rows_per_poll = kRowsPerPoll;  // a partition
  // JSON lines of the partitions of a stream, to be read instead of made-up rows. Then
  // rows_per_partition is that of the longest.
  std::map<std::string, std::vector<Lines>> input;
  // JSON lines of the job's lookups, whatever the job says of where they are.
  std::map<std::string, Lines> lookups;
  int64_t poll_fails_at = INT64_MAX;
  Status poll_fails;

  std::deque<Target> sinks = std::deque<Target>(8);  // by index
  Target letters;
  Topic topic;
  Seen seen;
  bool killed = false;  // who waits at a target gives up

  const StorageTestFolder folder;

  template <typename Body>
  auto Look(Body body) {
    const std::lock_guard lock(mutex_);
    return body();
  }
  template <typename Body>
  void Change(Body body) {
    {
      const std::lock_guard lock(mutex_);
      body();
    }
    changed_.notify_all();
  }
  // False: not before the deadline.
  bool Await(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, condition);
  }

  // Rows of every partition that may be read.
  void Release(int64_t rows) {
    const std::lock_guard lock(mutex_);
    released_ = rows;
    for (const auto& [reader, wake_up] : wake_ups_) wake_up();
  }
  // What a reader may read up to now.
  int64_t released() {
    const std::lock_guard lock(mutex_);
    return std::min(released_, rows_per_partition);
  }
  // Null: no more.
  void SetWakeUp(const void* reader, std::function<void()> wake_up) {
    const std::lock_guard lock(mutex_);
    std::swap(wake_ups_[reader], wake_up);  // what there was goes without the lock
    if (!wake_ups_[reader]) wake_ups_.erase(reader);
  }
  bool AwaitRead(int64_t rows) {
    return Await([&] { return AllAt(seen.read, rows); });
  }
  bool AwaitCheckpoints(int64_t count) {
    return Await([&] { return seen.checkpoints >= count; });
  }
  // Of one reader: after two it has taken what it had been sent before.
  bool AwaitReaderTicks(int64_t more) {
    const int64_t before = Look([&] { return seen.reader_ticks; });
    return Await([&] { return seen.reader_ticks >= before + more; });
  }
  // A write's turn: waits while the target is paused.
  Status Enter(Target* target) {
    std::function<Status()> fails;
    {
      std::unique_lock lock(mutex_);
      const bool in_time =
          changed_.wait_for(lock, kDeadline, [&] { return !target->paused || killed; });
      if (killed || !in_time) return ExternalError("killed", "the test is over", Retry::kNo);
      fails = target->fails;
    }
    return fails ? fails() : Status::OK();
  }
  // The lines of a sink's final files, sorted.
  Lines LinesOf(const std::string& sink) const {
    Lines lines;
    std::error_code none;  // no folder, no lines
    for (const auto& entry :
         std::filesystem::directory_iterator(folder.Path("out/" + sink), none)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(".")) continue;
      std::istringstream text(folder.Get("out/" + sink + "/" + name));
      for (std::string line; std::getline(text, line);) lines.push_back(line);
    }
    std::ranges::sort(lines);
    return lines;
  }

 private:
  static bool AllAt(const std::map<TopicPartition, int64_t>& offsets, int64_t offset) {
    return !offsets.empty() &&
           std::ranges::all_of(offsets, [&](const auto& entry) { return entry.second == offset; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  int64_t released_ = INT64_MAX;
  std::map<const void*, std::function<void()>> wake_ups_;
};

struct LifeOptions {
  int32_t parallelism = 2;
  int32_t partitions = 4;
  bool bounded = true;
  std::optional<std::string> savepoint = {};  // to start from
  // Checkpoints are made one after the other; or, with a clock that the test moves, one each time
  // that it has moved by kEpochInterval (once the job reads: the first turn of the coordinator
  // begins to count).
  const ManualClock* clock = nullptr;
};
inline constexpr Micros kEpochInterval = std::chrono::hours(1);

// One start of a job between what the world has. One at a time in a world.
class Life final : private WorkerObserver, private JobObserver {
 public:
  Life(World* world, TestJob job, LifeOptions options);
  ~Life() override { Kill(); }

  Status Start();
  void RequestStop() { actors_->RequestStop(); }
  void RequestSavepoint(const std::string& name) { actors_->RequestSavepoint(name); }
  // The actors end where they stand, as in a crash.
  void Kill();
  // The job's status once it has ended and every actor is gone.
  Status Wait();

  // After Start: the checkpoint says that the job ended with every window closed; nothing runs.
  bool already_finished() const { return already_finished_; }
  // After Start: rows of a sink that the checkpoint it goes on from knows to be sealed.
  int64_t RestoredRows(const std::string& sink) const { return accounts_.front().SinkRows()[sink]; }
  // After Wait: since the job's first start.
  const JobAccount& account() const { return *account_; }
  void ExpectBalanced() const {
    for (const auto& [name, stream] : account_->streams()) {
      EXPECT_EQ(account_->Difference(name), 0) << name;
    }
  }

 private:
  Status OpenState();
  OpenedSource OpenSource(const PlanNode& node) const;
  Status OpenSinks();
  Status OpenLookups();
  Result<FileSinkParts> OpenFiles(const std::string& name, const FilesSinkSpec& spec,
                                  const Schema* schema, Target* target) const;
  void SumAccounts();

  // WorkerObserver
  void OnWarning(const std::string& who, const std::string& message) override {
    ADD_FAILURE() << who << ": " << message;
  }
  void OnDelivered(const std::string&, int64_t, MonotonicTime) override {}
  void OnPublished(const std::string& sink, int64_t rows, int64_t) override {
    world_->Change([&] { world_->seen.published[sink] += rows; });
  }
  void OnSinkStats(const std::string&, const SinkStats&) override {}
  void OnTaskStats(const std::string&, const KeyedOperatorStats&, const TaskTimes&) override {}
  void OnAligned(const std::string&, MonotonicTime took) override {
    EXPECT_GE(took, MonotonicTime(0));
  }
  void OnLag(const std::string&, int64_t) override {
    world_->Change([&] { ++world_->seen.reader_ticks; });
  }
  // JobObserver
  void OnCheckpoint(const CompletedCheckpoint&) override {
    world_->Change([&] { ++world_->seen.checkpoints; });
  }
  void OnAbandoned(Epoch epoch, const std::string& why) override {
    ADD_FAILURE() << "epoch " << epoch.value() << " was given up: " << why;
  }
  void OnSavepoint(const std::string& name, const Status& status) override {
    world_->Change([&] { world_->seen.savepoints[name] = status; });
  }
  void OnUnpublished(int64_t epochs, int64_t) override {
    world_->Change([&] { world_->seen.unpublished_epochs = epochs; });
  }
  void OnCheckpointsBlocked(Blocked why, MonotonicTime) override {
    world_->Change([&] { ++world_->seen.blocked[why]; });
  }
  void OnEnded(const Status& status) override {
    world_->Change([&] { world_->seen.ended = status; });
  }

  World* const world_;
  JobSpec job_;
  const JobPlan plan_;
  const LifeOptions options_;
  const SystemClock system_clock_;
  const std::atomic<bool> stopping_{false};
  bool already_finished_ = false;
  std::deque<JobAccount> accounts_;  // the restored one, then one a participant
  std::unique_ptr<JobAccount> account_;
  std::unique_ptr<JobClaim> claim_;
  std::vector<OpenedSource> sources_;
  LookupTables lookups_;
  std::unique_ptr<JobSinks> sinks_;
  std::unique_ptr<JobActors> actors_;
};

// The sink's rows go to files under its stream's name ("alerts"), rolled at each checkpoint at
// which they are `roll_interval` old.
inline void ToFiles(TestJob* job, size_t sink, Micros roll_interval) {
  SinkSpec& spec = job->spec().sinks.at(sink);
  FilesSinkSpec files;
  files.path = spec.stream.has_value() ? spec.stream->text : "alerts";
  files.roll_interval = roll_interval;
  spec.target = files;
}

// Windows over windows, each into files, and alerts of single readings and of both windows, into
// files, at once, and into a topic. Minutes and alerts are rolled at every checkpoint, hours at the
// end.
inline TestJob Nested() {
  TestJob job;
  job.Readings();
  job.Query("minutes",
            "SELECT window_start, window_end, device_id, count(*) AS records, "
            "max(temperature) AS hottest, sum(humidity) AS partitions "
            "FROM tumble(readings, size => INTERVAL '1 minute') "
            "GROUP BY window_start, window_end, device_id");
  job.Query("hours",
            "SELECT window_start, window_end, device_id, count(*) AS minutes, "
            "sum(records) AS records, max(hottest) AS hottest "
            "FROM tumble(minutes, size => INTERVAL '1 hour') "
            "GROUP BY window_start, window_end, device_id");
  job.Alert("Reading", "readings", "temperature > 98").Alert("Minute", "minutes", "records > 0");
  job.Alert("Hour", "hours", "hottest > 0");
  job.Sink("minutes").Sink("hours").Sink("").Sink("").Sink("");
  ToFiles(&job, 0, Micros(0));
  ToFiles(&job, 1, std::chrono::hours(24 * 365));
  ToFiles(&job, 2, Micros(0));
  job.spec().sinks.at(4).target = KafkaSinkSpec{"alerts", {}};
  return job;
}

}  // namespace millrace::test
