// The process's metrics in Prometheus' conventions, served at /metrics: base units, `_total` for
// counters, prefix `millrace_`. What each means is its
// help text (metrics.cpp).
//
// A family exists from its first use on, so that what the process never sets is not shown. The
// methods find or make a child under a lock: call them once and keep the reference, which lives as
// long as the Metrics; counters, gauges and histograms themselves may be used from any thread. A
// family has at most 10,000 children; what comes beyond counts under the label value "other".
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace millrace {

class Metrics {
 public:
  static constexpr size_t kChildrenMax = 10'000;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Streams: a stream's account is records_in = counted + filtered + late + dead letters.
  prometheus::Counter& RecordsIn(std::string_view stream);
  prometheus::Counter& CountedRecords(std::string_view stream);
  prometheus::Counter& FilteredRecords(std::string_view stream);
  prometheus::Counter& LateRecords(std::string_view stream);
  prometheus::Counter& DeadLetterRecords(std::string_view stream, std::string_view reason);
  prometheus::Counter& SourceBytes(std::string_view stream);
  prometheus::Counter& EmptyRecords(std::string_view stream);
  prometheus::Counter& LostOffsets(std::string_view topic);
  prometheus::Gauge& SourceLagRecords(std::string_view stream);
  prometheus::Gauge& WatermarkDelaySeconds(std::string_view stream);

  prometheus::Gauge& LookupRows(std::string_view lookup);
  prometheus::Gauge& LookupRowsWithoutKey(std::string_view lookup);
  prometheus::Gauge& LookupBytes(std::string_view lookup);
  prometheus::Counter& LookupRefreshes(std::string_view lookup, std::string_view result);
  prometheus::Gauge& LookupLastRefreshTimestampSeconds(std::string_view lookup);
  prometheus::Counter& LookupMisses(std::string_view lookup);

  // Keys with a watermark each: "live", "behind", "offline".
  prometheus::Gauge& Keys(std::string_view stream, std::string_view state);

  prometheus::Counter& RecordsOut(std::string_view sink);
  prometheus::Counter& NonFiniteValues(std::string_view sink);
  prometheus::Histogram& EndToEndLatencySeconds();

  prometheus::Histogram& CheckpointDurationSeconds();
  prometheus::Histogram& CheckpointAlignmentSeconds();
  prometheus::Histogram& CheckpointStallSeconds();
  prometheus::Gauge& CheckpointSizeBytes();
  prometheus::Counter& Checkpoints(std::string_view result);  // "completed", "abandoned"
  prometheus::Gauge& LastCheckpointTimestampSeconds();
  prometheus::Gauge& UnpublishedEpochs();
  prometheus::Gauge& UnpublishedBytes();
  prometheus::Gauge& CheckpointDelaySeconds();

  prometheus::Counter& TaskTimeSeconds(std::string_view task, std::string_view state);
  prometheus::Gauge& StateSizeBytes();
  // 1 for the job's state, 0 for its others.
  prometheus::Gauge& JobState(std::string_view state);

  prometheus::Gauge& CoordinatorTerm();
  // Sets millrace_build_info{version} to 1.
  void SetBuildInfo(std::string_view version);

  // Prometheus' text format 0.0.4, families by name and children by labels.
  std::string Text() const;

 private:
  struct Families;

  prometheus::Counter& CounterChild(const char* name, const char* help, prometheus::Labels labels);
  prometheus::Gauge& GaugeChild(const char* name, const char* help, prometheus::Labels labels);
  prometheus::Histogram& HistogramChild(const char* name, const char* help,
                                        prometheus::Labels labels,
                                        const prometheus::Histogram::BucketBoundaries& buckets);

  prometheus::Registry registry_;
  mutable std::mutex mutex_;
  std::unique_ptr<Families> families_;  // by mutex_
};

}  // namespace millrace
