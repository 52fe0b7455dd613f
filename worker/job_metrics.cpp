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

void JobMetrics::CountStream(const std::string& name, const StreamAccount& stream) {
  Raise("in." + name, families_.RecordsIn(name), double(stream.rows_in));
  Raise("counted." + name, families_.CountedRecords(name), double(stream.counted));
  Raise("filtered." + name, families_.FilteredRecords(name), double(stream.filtered));
  Raise("late." + name, families_.LateRecords(name), double(stream.late));
  if (stream.bytes_in > 0) {
    Raise("bytes." + name, families_.SourceBytes(name), double(stream.bytes_in));
  }
  if (stream.lost > 0) Raise("lost." + name, families_.LostOffsets(name), double(stream.lost));
  if (stream.empty_records > 0) {
    Raise("empty." + name, families_.EmptyRecords(name), double(stream.empty_records));
  }
}

void JobMetrics::CountSinks(const RunFigures& figures) {
  for (const auto& [sink, stats] : figures.sinks) {
    Raise("out." + sink, families_.RecordsOut(sink), double(stats.rows_written));
    if (stats.non_finite_values > 0) {
      Raise("nonfinite." + sink, families_.NonFiniteValues(sink), double(stats.non_finite_values));
    }
  }
  for (const auto& [outbox, values] : figures.non_finite_values) {
    Raise("nonfinite." + outbox, families_.NonFiniteValues(outbox), double(values));
  }
}

void JobMetrics::CountTasks(const RunFigures& figures) {
  for (const auto& [task, times] : figures.task_times) {
    Raise("busy." + task, families_.TaskTimeSeconds(task, "busy"), Seconds(times.busy));
    Raise("idle." + task, families_.TaskTimeSeconds(task, "idle"), Seconds(times.idle));
    Raise("backpressured." + task, families_.TaskTimeSeconds(task, "backpressured"),
          Seconds(times.backpressured));
  }
}

void JobMetrics::CountLookups(const LookupTables& lookups) {
  for (const auto& [name, lookup] : lookups) {
    const LookupFigures figures = lookup->figures();
    Raise("lookup.misses." + name, families_.LookupMisses(name), double(figures.misses));
    Raise("lookup.completed." + name, families_.LookupRefreshes(name, "completed"),
          double(figures.refreshes));
    Raise("lookup.failed." + name, families_.LookupRefreshes(name, "failed"),
          double(figures.failures));
  }
}

void JobMetrics::UpdateCounters(const JobAccount& account, const RunFigures& figures,
                                const LookupTables& lookups) {
  for (const auto& [name, stream] : account.streams()) CountStream(name, *stream);
  for (const auto& [key, count] : account.DeadLetters()) {
    Raise("dead." + key.first + "." + key.second,
          families_.DeadLetterRecords(key.first, key.second), double(count));
  }
  CountSinks(figures);
  CountTasks(figures);
  CountLookups(lookups);
}

void JobMetrics::UpdateGauges(const JobAccount& account, const RunFigures& figures,
                              const LookupTables& lookups, EventTime wall) {
  const double now = double(wall.time_since_epoch().count());
  for (const auto& [name, stream] : account.streams()) {
    const int64_t watermark = stream->watermark;
    if (watermark == INT64_MIN || watermark == INT64_MAX) continue;
    families_.WatermarkDelaySeconds(name).Set((now - double(watermark)) * 1e-6);
  }
  for (const auto& [stream, records] : figures.lag) {
    families_.SourceLagRecords(stream).Set(double(records));
  }
  for (const auto& [stream, census] : figures.KeysByStream()) {
    families_.Keys(stream, "live").Set(double(census.live));
    families_.Keys(stream, "behind").Set(double(census.behind));
    families_.Keys(stream, "offline").Set(double(census.offline));
  }
  families_.StateSizeBytes().Set(double(figures.state_bytes));
  for (const auto& [name, lookup] : lookups) {
    const LookupFigures of = lookup->figures();
    families_.LookupRows(name).Set(double(of.rows));
    families_.LookupRowsWithoutKey(name).Set(double(of.rows_without_key));
    families_.LookupBytes(name).Set(double(of.bytes));
    families_.LookupLastRefreshTimestampSeconds(name).Set(
        double(of.last_refresh.time_since_epoch().count()) * 1e-6);
  }
}

}  // namespace millrace
