#include "worker/worker_report.h"

#include <algorithm>
#include <utility>

#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr auto kKeysToldEvery = std::chrono::minutes(1);

}  // namespace

RunFigures WorkerReport::figures() const {
  const std::lock_guard lock(mutex_);
  RunFigures figures = figures_;
  for (const auto& [reader, records] : lag_) {
    if (records >= 0) figures.lag[reader.substr(0, reader.find('.'))] += records;
  }
  for (const auto& [task, stats] : task_stats_) {
    figures.state_bytes += stats.state_bytes;
    figures.keys += stats.keys;
  }
  return figures;
}

WorkerReport::News WorkerReport::TakeNews() {
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, News());
}

void WorkerReport::OnWarning(const std::string& who, const std::string& message) {
  LogWarn(message, {{"who", who}});
  const std::lock_guard lock(mutex_);
  if (news_.warnings.size() < kWarningsMax) {
    news_.warnings.push_back({clock_->Wall(), who, message});
  } else {
    ++news_.dropped_warnings;
  }
}

void WorkerReport::OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) {
  families_.EndToEndLatencySeconds().Observe(std::chrono::duration<double>(after).count());
  const std::lock_guard lock(mutex_);
  figures_.latency.Record(std::chrono::duration_cast<Micros>(after), rows);
  MonotonicTime& longest = news_.latencies[sink];
  longest = std::max(longest, after);
}

void WorkerReport::OnSinkStats(const std::string& sink, const SinkStats& stats) {
  const std::lock_guard lock(mutex_);
  figures_.sinks[sink] = stats;
}

void WorkerReport::OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) {
  for (const DeadLetter& letter : letters) {
    LogDebug("a row was refused by its target", {{"sink", sink}, {"reason", letter.reason}});
  }
}

void WorkerReport::OnTaskStats(const std::string& task, const KeyedOperatorStats& stats,
                               const TaskTimes& times) {
  const std::lock_guard lock(mutex_);
  task_stats_[task] = stats;
  figures_.task_times[task] = times;
}

void WorkerReport::OnKeys(const std::string& stream, const std::string& task,
                          const KeyCensus& census) {
  const MonotonicTime now = clock_->Monotonic();
  KeyCensus all;
  {
    const std::lock_guard lock(mutex_);
    figures_.censuses[stream][task] = census;
    MonotonicTime& told = keys_told_.try_emplace(stream, now).first->second;
    if (now - told < kKeysToldEvery) return;
    told = now;
    all = figures_.KeysByStream()[stream];
  }
  if (all.moved > 0) {
    LogWarn(
        "a key has readings in several partitions: in which order they come, and so what is "
        "late, may differ from run to run",
        {{"stream", stream}, {"key", all.moved_key}, {"times", all.moved}});
  }
  if (all.behind == 0 && all.offline == 0) return;
  LogInfo("keys are behind the fleet: their windows wait for them, or they are offline",
          {{"stream", stream},
           {"behind", all.behind},
           {"offline", all.offline},
           {"furthest", FurthestBehind(all)}});
}

void WorkerReport::OnAligned(const std::string& task, MonotonicTime took) {
  families_.CheckpointAlignmentSeconds().Observe(std::chrono::duration<double>(took).count());
}

void WorkerReport::OnCheckpointStall(const std::string& task, MonotonicTime took) {
  families_.CheckpointStallSeconds().Observe(std::chrono::duration<double>(took).count());
  const std::lock_guard lock(mutex_);
  figures_.stalls.Record(std::chrono::duration_cast<Micros>(took), 1);
}

void WorkerReport::OnLag(const std::string& reader, int64_t records) {
  const std::lock_guard lock(mutex_);
  lag_[reader] = records;
}

void WorkerReport::OnCpuTime(const std::string& actor, MonotonicTime used) {
  const std::lock_guard lock(mutex_);
  figures_.cpu_times[actor] = used;
}

void WorkerReport::OnPublished(const std::string& sink, int64_t rows, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  figures_.sinks[sink].rows_written += rows;
  figures_.sinks[sink].bytes_written += bytes;
}

void WorkerReport::OnStateStored(const std::string& task, const TaskState::Figures& figures) {
  const std::lock_guard lock(mutex_);
  figures_.stored_state_bytes[task] = figures.bytes;
}

void WorkerReport::OnNonFinite(const std::string& outbox, int64_t values) {
  const std::lock_guard lock(mutex_);
  figures_.non_finite_values[outbox] = values;
}

}  // namespace millrace
