#include "engine/metrics/job_metric_families.h"

namespace millrace {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets& LatencyBuckets() {
  static const Buckets buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                  0.5,   1,      2.5,   5,    10,    30,   60,  300};
  return buckets;
}

constexpr const char* kJob = "job";

}  // namespace

prometheus::Labels JobMetricFamilies::Labels(MoreLabels more) const {
  prometheus::Labels labels = {{kJob, job_}};
  for (const auto& [name, value] : more) labels.emplace(name, value);
  return labels;
}

prometheus::Counter& JobMetricFamilies::Counter(const char* name, const char* help,
                                                MoreLabels more) const {
  return metrics_->CounterChild(name, help, Labels(more));
}

prometheus::Gauge& JobMetricFamilies::Gauge(const char* name, const char* help,
                                            MoreLabels more) const {
  return metrics_->GaugeChild(name, help, Labels(more));
}

prometheus::Histogram& JobMetricFamilies::Histogram(const char* name, const char* help,
                                                    const Buckets& buckets) const {
  return metrics_->HistogramChild(name, help, Labels({}), buckets);
}

void JobMetricFamilies::RemoveGauges() const { metrics_->RemoveGauges(kJob, job_); }

void JobMetricFamilies::Remove() const { metrics_->Remove(kJob, job_); }

prometheus::Counter& JobMetricFamilies::RecordsIn(std::string_view stream) const {
  return Counter("millrace_records_in_total", "Records read from a stream's source",
                 {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::CountedRecords(std::string_view stream) const {
  return Counter("millrace_counted_records_total", "Records of a stream that entered its results",
                 {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::FilteredRecords(std::string_view stream) const {
  return Counter("millrace_filtered_records_total",
                 "Records of a stream that no query's WHERE let through", {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::LateRecords(std::string_view stream) const {
  return Counter("millrace_late_records_total", "Records that came after their windows had closed",
                 {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::DeadLetterRecords(std::string_view stream,
                                                          std::string_view reason) const {
  return Counter("millrace_dead_letter_records_total",
                 "Records that were sent to the dead letters, by reason",
                 {{"stream", stream}, {"reason", reason}});
}

prometheus::Counter& JobMetricFamilies::SourceBytes(std::string_view stream) const {
  return Counter("millrace_source_bytes_total", "Bytes of the records' values that were read",
                 {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::EmptyRecords(std::string_view stream) const {
  return Counter("millrace_empty_records_total",
                 "Records of a stream's source that held no reading", {{"stream", stream}});
}

prometheus::Counter& JobMetricFamilies::LostOffsets(std::string_view topic) const {
  return Counter("millrace_lost_offsets_total",
                 "Offsets that were gone from a topic before they were read", {{"topic", topic}});
}

prometheus::Gauge& JobMetricFamilies::SourceLagRecords(std::string_view stream) const {
  return Gauge("millrace_source_lag_records", "Records behind the end of a stream's source",
               {{"stream", stream}});
}

prometheus::Gauge& JobMetricFamilies::WatermarkDelaySeconds(std::string_view stream) const {
  return Gauge("millrace_watermark_delay_seconds", "Wall time less the watermark of a stream",
               {{"stream", stream}});
}

prometheus::Gauge& JobMetricFamilies::LookupRows(std::string_view lookup) const {
  return Gauge("millrace_lookup_rows", "Rows of a lookup that can be found", {{"lookup", lookup}});
}

prometheus::Gauge& JobMetricFamilies::LookupRowsWithoutKey(std::string_view lookup) const {
  return Gauge("millrace_lookup_rows_without_key",
               "Rows of a lookup that have a null in their key and are never found",
               {{"lookup", lookup}});
}

prometheus::Gauge& JobMetricFamilies::LookupBytes(std::string_view lookup) const {
  return Gauge("millrace_lookup_bytes", "Memory of a lookup's rows and its index",
               {{"lookup", lookup}});
}

prometheus::Counter& JobMetricFamilies::LookupRefreshes(std::string_view lookup,
                                                        std::string_view result) const {
  return Counter("millrace_lookup_refreshes_total",
                 "Times that a lookup was read, or changes of its topic became visible; failed "
                 "ones left it as it was",
                 {{"lookup", lookup}, {"result", result}});
}

prometheus::Gauge& JobMetricFamilies::LookupLastRefreshTimestampSeconds(
    std::string_view lookup) const {
  return Gauge("millrace_lookup_last_refresh_timestamp_seconds",
               "When what a lookup holds became visible", {{"lookup", lookup}});
}

prometheus::Counter& JobMetricFamilies::LookupMisses(std::string_view lookup) const {
  return Counter("millrace_lookup_misses_total", "Rows of streams whose key a lookup did not have",
                 {{"lookup", lookup}});
}

prometheus::Gauge& JobMetricFamilies::Keys(std::string_view stream, std::string_view state) const {
  return Gauge("millrace_keys",
               "Keys with a watermark each: live, behind the fleet by more than max_delay, or "
               "offline for offline_for to twice that",
               {{"stream", stream}, {"state", state}});
}

prometheus::Counter& JobMetricFamilies::RecordsOut(std::string_view sink) const {
  return Counter("millrace_records_out_total", "Rows published, by sink", {{"sink", sink}});
}

prometheus::Counter& JobMetricFamilies::NonFiniteValues(std::string_view sink) const {
  return Counter("millrace_non_finite_values_total",
                 "NaN and infinite values that a sink has written as null", {{"sink", sink}});
}

prometheus::Histogram& JobMetricFamilies::EndToEndLatencySeconds() const {
  return Histogram("millrace_end_to_end_latency_seconds",
                   "From the fetch that made a row due to its delivery in an output",
                   LatencyBuckets());
}

prometheus::Histogram& JobMetricFamilies::CheckpointDurationSeconds() const {
  return Histogram("millrace_checkpoint_duration_seconds",
                   "From the opening of an epoch to its completion", LatencyBuckets());
}

prometheus::Histogram& JobMetricFamilies::CheckpointAlignmentSeconds() const {
  return Histogram("millrace_checkpoint_alignment_seconds",
                   "From a task's first barrier of an epoch to its last", LatencyBuckets());
}

prometheus::Histogram& JobMetricFamilies::CheckpointStallSeconds() const {
  return Histogram("millrace_checkpoint_stall_seconds",
                   "How long a task's rows waited for a piece of work for a checkpoint",
                   {0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1, 5});
}

prometheus::Gauge& JobMetricFamilies::CheckpointSizeBytes() const {
  return Gauge("millrace_checkpoint_size_bytes", "Size of the last completed checkpoint", {});
}

prometheus::Counter& JobMetricFamilies::Checkpoints(std::string_view result) const {
  return Counter("millrace_checkpoints_total", "Checkpoints by how they ended",
                 {{"result", result}});
}

prometheus::Gauge& JobMetricFamilies::LastCheckpointTimestampSeconds() const {
  return Gauge("millrace_last_checkpoint_timestamp_seconds",
               "Unix time at which the last checkpoint was completed", {});
}

prometheus::Gauge& JobMetricFamilies::UnpublishedEpochs() const {
  return Gauge("millrace_unpublished_epochs", "Completed epochs whose output is not yet published",
               {});
}

prometheus::Gauge& JobMetricFamilies::UnpublishedBytes() const {
  return Gauge("millrace_unpublished_bytes", "Output of completed epochs that is not yet published",
               {});
}

prometheus::Gauge& JobMetricFamilies::CheckpointDelaySeconds() const {
  return Gauge("millrace_checkpoint_delay_seconds",
               "How long the next checkpoint has been due and waits for the one before: the "
               "period stretches where more changes than it can write",
               {});
}

prometheus::Counter& JobMetricFamilies::TaskTimeSeconds(std::string_view task,
                                                        std::string_view state) const {
  return Counter("millrace_task_time_seconds_total",
                 "Time that a task has spent in a state: busy, idle, backpressured",
                 {{"task", task}, {"state", state}});
}

prometheus::Gauge& JobMetricFamilies::StateSizeBytes() const {
  return Gauge("millrace_state_size_bytes", "Memory held by window state", {});
}

prometheus::Gauge& JobMetricFamilies::JobState(std::string_view state) const {
  return Gauge("millrace_job_state", "1 for the state that the job is in, else 0",
               {{"state", state}});
}

prometheus::Counter& JobMetricFamilies::JobRestarts(std::string_view reason) const {
  return Counter("millrace_job_restarts_total",
                 "Attempts that ended before their job did, by what ended them",
                 {{"reason", reason}});
}

}  // namespace millrace
