// The metrics of a job: each has the label `job`, whichever process shows it, so that a process may
// have those of several. What each means is its help text (job_metric_families.cpp) and
// docs/metrics.md.
//
// A view of the process's Metrics, and as cheap to copy as the job's name. The methods find or make
// a child, as Metrics says.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "engine/metrics/metrics.h"

namespace millrace {

class JobMetricFamilies {
 public:
  // `metrics` outlives it.
  JobMetricFamilies(Metrics* metrics, std::string job) : metrics_(metrics), job_(std::move(job)) {}

  // Streams: a stream's account is records_in = counted + filtered + late + dead letters.
  prometheus::Counter& RecordsIn(std::string_view stream) const;
  prometheus::Counter& CountedRecords(std::string_view stream) const;
  prometheus::Counter& FilteredRecords(std::string_view stream) const;
  prometheus::Counter& LateRecords(std::string_view stream) const;
  prometheus::Counter& DeadLetterRecords(std::string_view stream, std::string_view reason) const;
  prometheus::Counter& SourceBytes(std::string_view stream) const;
  prometheus::Counter& EmptyRecords(std::string_view stream) const;
  prometheus::Counter& LostOffsets(std::string_view topic) const;
  prometheus::Gauge& SourceLagRecords(std::string_view stream) const;
  prometheus::Gauge& WatermarkDelaySeconds(std::string_view stream) const;

  prometheus::Gauge& LookupRows(std::string_view lookup) const;
  prometheus::Gauge& LookupRowsWithoutKey(std::string_view lookup) const;
  prometheus::Gauge& LookupBytes(std::string_view lookup) const;
  prometheus::Counter& LookupRefreshes(std::string_view lookup, std::string_view result) const;
  prometheus::Gauge& LookupLastRefreshTimestampSeconds(std::string_view lookup) const;
  prometheus::Counter& LookupMisses(std::string_view lookup) const;

  // Keys with a watermark each: "live", "behind", "offline".
  prometheus::Gauge& Keys(std::string_view stream, std::string_view state) const;

  prometheus::Counter& RecordsOut(std::string_view sink) const;
  prometheus::Counter& NonFiniteValues(std::string_view sink) const;
  prometheus::Histogram& EndToEndLatencySeconds() const;

  prometheus::Histogram& CheckpointDurationSeconds() const;
  prometheus::Histogram& CheckpointAlignmentSeconds() const;
  prometheus::Histogram& CheckpointStallSeconds() const;
  prometheus::Gauge& CheckpointSizeBytes() const;
  prometheus::Counter& Checkpoints(std::string_view result) const;  // "completed", "abandoned"
  prometheus::Gauge& LastCheckpointTimestampSeconds() const;
  prometheus::Gauge& UnpublishedEpochs() const;
  prometheus::Gauge& UnpublishedBytes() const;
  prometheus::Gauge& CheckpointDelaySeconds() const;

  prometheus::Counter& TaskTimeSeconds(std::string_view task, std::string_view state) const;
  prometheus::Gauge& StateSizeBytes() const;
  // 1 for the job's state, 0 for its others.
  prometheus::Gauge& JobState(std::string_view state) const;
  prometheus::Counter& JobRestarts(std::string_view reason) const;

  // Takes the job's gauges, or all that there is of it, from what this process shows; nobody may
  // hold any of them. What is set afterwards is there again.
  void RemoveGauges() const;
  void Remove() const;

 private:
  // Besides the job's.
  using MoreLabels = std::initializer_list<std::pair<const char*, std::string_view>>;
  prometheus::Labels Labels(MoreLabels more) const;
  prometheus::Counter& Counter(const char* name, const char* help, MoreLabels more) const;
  prometheus::Gauge& Gauge(const char* name, const char* help, MoreLabels more) const;
  prometheus::Histogram& Histogram(const char* name, const char* help,
                                   const prometheus::Histogram::BucketBoundaries& buckets) const;

  Metrics* metrics_;
  std::string job_;
};

}  // namespace millrace
