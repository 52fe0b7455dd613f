#include "engine/metrics/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <tuple>

namespace millrace {
namespace {

using prometheus::Labels;
using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets& LatencyBuckets() {
  static const Buckets buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                  0.5,   1,      2.5,   5,    10,    30,   60,  300};
  return buckets;
}

// The order of label sets in memory is not the exposition's business; text is sorted by it.
bool LabelsBefore(const prometheus::ClientMetric& a, const prometheus::ClientMetric& b) {
  return std::lexicographical_compare(a.label.begin(), a.label.end(), b.label.begin(),
                                      b.label.end(), [](const auto& x, const auto& y) {
                                        return std::tie(x.name, x.value) <
                                               std::tie(y.name, y.value);
                                      });
}

std::string Label(std::string_view text) { return std::string(text); }

}  // namespace

// A family with the children made so far.
template <typename Metric>
struct FamilyOf {
  prometheus::Family<Metric>* family = nullptr;
  std::map<Labels, Metric*> children;

  template <typename... Args>
  Metric& Child(Labels labels, const Args&... args) {
    auto found = children.find(labels);
    if (found != children.end()) return *found->second;
    if (children.size() + 1 >= Metrics::kChildrenMax) {
      for (auto& [name, value] : labels) value = "other";
      found = children.find(labels);
      if (found != children.end()) return *found->second;
    }
    Metric& metric = family->Add(labels, args...);
    children.emplace(std::move(labels), &metric);
    return metric;
  }
};

struct Metrics::Families {
  std::map<std::string, FamilyOf<prometheus::Counter>> counters;
  std::map<std::string, FamilyOf<prometheus::Gauge>> gauges;
  std::map<std::string, FamilyOf<prometheus::Histogram>> histograms;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

prometheus::Counter& Metrics::CounterChild(const char* name, const char* help, Labels labels) {
  std::lock_guard lock(mutex_);
  auto& entry = families_->counters[name];
  if (entry.family == nullptr) {
    entry.family = &prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  return entry.Child(std::move(labels));
}

prometheus::Gauge& Metrics::GaugeChild(const char* name, const char* help, Labels labels) {
  std::lock_guard lock(mutex_);
  auto& entry = families_->gauges[name];
  if (entry.family == nullptr) {
    entry.family = &prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }
  return entry.Child(std::move(labels));
}

prometheus::Histogram& Metrics::HistogramChild(const char* name, const char* help, Labels labels,
                                               const Buckets& buckets) {
  std::lock_guard lock(mutex_);
  auto& entry = families_->histograms[name];
  if (entry.family == nullptr) {
    entry.family = &prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  }
  return entry.Child(std::move(labels), buckets);
}

prometheus::Counter& Metrics::RecordsIn(std::string_view stream) {
  return CounterChild("millrace_records_in_total", "Records read from a stream's source",
                      {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::CountedRecords(std::string_view stream) {
  return CounterChild("millrace_counted_records_total",
                      "Records of a stream that entered its results", {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::FilteredRecords(std::string_view stream) {
  return CounterChild("millrace_filtered_records_total",
                      "Records of a stream that no query's WHERE let through",
                      {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::LateRecords(std::string_view stream) {
  return CounterChild("millrace_late_records_total",
                      "Records that came after their windows had closed",
                      {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::DeadLetterRecords(std::string_view stream, std::string_view reason) {
  return CounterChild("millrace_dead_letter_records_total",
                      "Records that were sent to the dead letters, by reason",
                      {{"stream", Label(stream)}, {"reason", Label(reason)}});
}

prometheus::Counter& Metrics::SourceBytes(std::string_view stream) {
  return CounterChild("millrace_source_bytes_total", "Bytes of the records' values that were read",
                      {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::EmptyRecords(std::string_view stream) {
  return CounterChild("millrace_empty_records_total",
                      "Records of a stream's source that held no reading",
                      {{"stream", Label(stream)}});
}

prometheus::Counter& Metrics::LostOffsets(std::string_view topic) {
  return CounterChild("millrace_lost_offsets_total",
                      "Offsets that were gone from a topic before they were read",
                      {{"topic", Label(topic)}});
}

prometheus::Gauge& Metrics::SourceLagRecords(std::string_view stream) {
  return GaugeChild("millrace_source_lag_records", "Records behind the end of a stream's source",
                    {{"stream", Label(stream)}});
}

prometheus::Gauge& Metrics::WatermarkDelaySeconds(std::string_view stream) {
  return GaugeChild("millrace_watermark_delay_seconds", "Wall time less the watermark of a stream",
                    {{"stream", Label(stream)}});
}

prometheus::Gauge& Metrics::LookupRows(std::string_view lookup) {
  return GaugeChild("millrace_lookup_rows", "Rows of a lookup that can be found",
                    {{"lookup", Label(lookup)}});
}

prometheus::Gauge& Metrics::LookupRowsWithoutKey(std::string_view lookup) {
  return GaugeChild("millrace_lookup_rows_without_key",
                    "Rows of a lookup that have a null in their key and are never found",
                    {{"lookup", Label(lookup)}});
}

prometheus::Gauge& Metrics::LookupBytes(std::string_view lookup) {
  return GaugeChild("millrace_lookup_bytes", "Memory of a lookup's rows and its index",
                    {{"lookup", Label(lookup)}});
}

prometheus::Counter& Metrics::LookupRefreshes(std::string_view lookup, std::string_view result) {
  return CounterChild(
      "millrace_lookup_refreshes_total",
      "Times that a lookup was read, or changes of its topic became visible; failed "
      "ones left it as it was",
      {{"lookup", Label(lookup)}, {"result", Label(result)}});
}

prometheus::Gauge& Metrics::LookupLastRefreshTimestampSeconds(std::string_view lookup) {
  return GaugeChild("millrace_lookup_last_refresh_timestamp_seconds",
                    "When what a lookup holds became visible", {{"lookup", Label(lookup)}});
}

prometheus::Counter& Metrics::LookupMisses(std::string_view lookup) {
  return CounterChild("millrace_lookup_misses_total",
                      "Rows of streams whose key a lookup did not have",
                      {{"lookup", Label(lookup)}});
}

prometheus::Gauge& Metrics::Keys(std::string_view stream, std::string_view state) {
  return GaugeChild("millrace_keys",
                    "Keys with a watermark each: live, behind the fleet by more than max_delay, or "
                    "offline for offline_for to twice that",
                    {{"stream", Label(stream)}, {"state", Label(state)}});
}

prometheus::Counter& Metrics::RecordsOut(std::string_view sink) {
  return CounterChild("millrace_records_out_total", "Rows published, by sink",
                      {{"sink", Label(sink)}});
}

prometheus::Counter& Metrics::NonFiniteValues(std::string_view sink) {
  return CounterChild("millrace_non_finite_values_total",
                      "NaN and infinite values that a sink has written as null",
                      {{"sink", Label(sink)}});
}

prometheus::Histogram& Metrics::EndToEndLatencySeconds() {
  return HistogramChild("millrace_end_to_end_latency_seconds",
                        "From the fetch that made a row due to its delivery in an output", {},
                        LatencyBuckets());
}

prometheus::Histogram& Metrics::CheckpointDurationSeconds() {
  return HistogramChild("millrace_checkpoint_duration_seconds",
                        "From the opening of an epoch to its completion", {}, LatencyBuckets());
}

prometheus::Histogram& Metrics::CheckpointAlignmentSeconds() {
  return HistogramChild("millrace_checkpoint_alignment_seconds",
                        "From a task's first barrier of an epoch to its last", {},
                        LatencyBuckets());
}

prometheus::Histogram& Metrics::CheckpointStallSeconds() {
  return HistogramChild("millrace_checkpoint_stall_seconds",
                        "How long a task's rows waited for a piece of work for a checkpoint", {},
                        {0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1, 5});
}

prometheus::Gauge& Metrics::CheckpointSizeBytes() {
  return GaugeChild("millrace_checkpoint_size_bytes", "Size of the last completed checkpoint", {});
}

prometheus::Counter& Metrics::Checkpoints(std::string_view result) {
  return CounterChild("millrace_checkpoints_total", "Checkpoints by how they ended",
                      {{"result", Label(result)}});
}

prometheus::Gauge& Metrics::LastCheckpointTimestampSeconds() {
  return GaugeChild("millrace_last_checkpoint_timestamp_seconds",
                    "Unix time at which the last checkpoint was completed", {});
}

prometheus::Gauge& Metrics::UnpublishedEpochs() {
  return GaugeChild("millrace_unpublished_epochs",
                    "Completed epochs whose output is not yet published", {});
}

prometheus::Gauge& Metrics::UnpublishedBytes() {
  return GaugeChild("millrace_unpublished_bytes",
                    "Output of completed epochs that is not yet published", {});
}

prometheus::Gauge& Metrics::CheckpointDelaySeconds() {
  return GaugeChild("millrace_checkpoint_delay_seconds",
                    "How long the next checkpoint has been due and waits for the one before: the "
                    "period stretches where more changes than it can write",
                    {});
}

prometheus::Counter& Metrics::TaskTimeSeconds(std::string_view task, std::string_view state) {
  return CounterChild("millrace_task_time_seconds_total",
                      "Time that a task has spent in a state: busy, idle, backpressured",
                      {{"task", Label(task)}, {"state", Label(state)}});
}

prometheus::Gauge& Metrics::StateSizeBytes() {
  return GaugeChild("millrace_state_size_bytes", "Memory held by window state", {});
}

prometheus::Gauge& Metrics::JobState(std::string_view state) {
  return GaugeChild("millrace_job_state", "1 for the state that the job is in, else 0",
                    {{"state", Label(state)}});
}

prometheus::Gauge& Metrics::CoordinatorTerm() {
  return GaugeChild("millrace_coordinator_term", "The coordinator's term", {});
}

void Metrics::SetBuildInfo(std::string_view version) {
  GaugeChild("millrace_build_info", "1, labelled with the version of this program",
             {{"version", Label(version)}})
      .Set(1);
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  std::sort(families.begin(), families.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (auto& family : families) {
    std::sort(family.metric.begin(), family.metric.end(), LabelsBefore);
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace millrace
