#include "worker/job_metrics.h"

#include <algorithm>

namespace millrace {
namespace {

double Seconds(MonotonicTime time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

void JobMetrics::Raise(const std::string& key, prometheus::Counter& counter, double value) {
  double& exported = exported_[key];
  if (value > exported) counter.Increment(value - exported);
  exported = std::max(exported, value);
}

void JobMetrics::UpdateStream(const std::string& name, const StreamAccount& stream,
                              EventTime wall) {
  Raise("in." + name, metrics_->RecordsIn(name), double(stream.rows_in));
  Raise("counted." + name, metrics_->CountedRecords(name), double(stream.counted));
  Raise("filtered." + name, metrics_->FilteredRecords(name), double(stream.filtered));
  Raise("late." + name, metrics_->LateRecords(name), double(stream.late));
  if (stream.bytes_in > 0) {
    Raise("bytes." + name, metrics_->SourceBytes(name), double(stream.bytes_in));
  }
  if (stream.lost > 0) Raise("lost." + name, metrics_->LostOffsets(name), double(stream.lost));
  if (stream.empty_records > 0) {
    Raise("empty." + name, metrics_->EmptyRecords(name), double(stream.empty_records));
  }
  const int64_t watermark = stream.watermark;
  if (watermark != INT64_MIN && watermark != INT64_MAX) {
    const double now = double(wall.time_since_epoch().count());
    metrics_->WatermarkDelaySeconds(name).Set((now - double(watermark)) * 1e-6);
  }
}

void JobMetrics::Update(const JobAccount& account, const RunFigures& figures,
                        const std::string& state, EventTime wall) {
  for (const auto& [name, stream] : account.streams()) UpdateStream(name, *stream, wall);
  for (const auto& [key, count] : account.DeadLetters()) {
    Raise("dead." + key.first + "." + key.second,
          metrics_->DeadLetterRecords(key.first, key.second), double(count));
  }
  for (const auto& [sink, stats] : figures.sinks) {
    Raise("out." + sink, metrics_->RecordsOut(sink), double(stats.rows_written));
    if (stats.non_finite_values > 0) {
      Raise("nonfinite." + sink, metrics_->NonFiniteValues(sink), double(stats.non_finite_values));
    }
  }
  for (const auto& [outbox, values] : figures.non_finite_values) {
    Raise("nonfinite." + outbox, metrics_->NonFiniteValues(outbox), double(values));
  }
  for (const auto& [task, times] : figures.task_times) {
    Raise("busy." + task, metrics_->TaskTimeSeconds(task, "busy"), Seconds(times.busy));
    Raise("idle." + task, metrics_->TaskTimeSeconds(task, "idle"), Seconds(times.idle));
    Raise("backpressured." + task, metrics_->TaskTimeSeconds(task, "backpressured"),
          Seconds(times.backpressured));
  }
  for (const auto& [stream, records] : figures.lag) {
    metrics_->SourceLagRecords(stream).Set(double(records));
  }
  for (const auto& [stream, census] : figures.KeysByStream()) {
    metrics_->Keys(stream, "live").Set(double(census.live));
    metrics_->Keys(stream, "behind").Set(double(census.behind));
    metrics_->Keys(stream, "offline").Set(double(census.offline));
  }
  metrics_->StateSizeBytes().Set(double(figures.state_bytes));
  metrics_->UnpublishedBytes().Set(double(figures.unpublished_bytes));
  metrics_->CheckpointDelaySeconds().Set(figures.stretched_seconds);
  metrics_->UnpublishedEpochs().Set(double(figures.unpublished_epochs));
  for (const char* each : {"running", "finished", "failed"}) {
    metrics_->JobState(each).Set(state == each ? 1 : 0);
  }
}

void JobMetrics::UpdateLookups(const LookupTables& lookups) {
  for (const auto& [name, lookup] : lookups) {
    const LookupFigures figures = lookup->figures();
    metrics_->LookupRows(name).Set(double(figures.rows));
    metrics_->LookupRowsWithoutKey(name).Set(double(figures.rows_without_key));
    metrics_->LookupBytes(name).Set(double(figures.bytes));
    metrics_->LookupLastRefreshTimestampSeconds(name).Set(
        double(figures.last_refresh.time_since_epoch().count()) * 1e-6);
    Raise("lookup.misses." + name, metrics_->LookupMisses(name), double(figures.misses));
    Raise("lookup.completed." + name, metrics_->LookupRefreshes(name, "completed"),
          double(figures.refreshes));
    Raise("lookup.failed." + name, metrics_->LookupRefreshes(name, "failed"),
          double(figures.failures));
  }
}

}  // namespace millrace
