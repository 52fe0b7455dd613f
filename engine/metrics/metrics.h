// The process's metrics in Prometheus' conventions, served at /metrics: base units, `_total` for
// counters, prefix `millrace_`. Those of the process itself are named here, those of a job by
// JobMetricFamilies. What each means is its help text (metrics.cpp) and docs/metrics.md.
//
// A family exists from its first use on, so that what the process never sets is not shown. The
// methods find or make a child under a lock, from any thread; a child lives until it is removed,
// and may be used from any thread too. A family has at most 10,000 children; what comes beyond
// counts under the label value "other".
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

  // Of the process.
  prometheus::Gauge& CoordinatorTerm();
  prometheus::Gauge& Workers(std::string_view state);  // "active", "leaving", "lost"
  // Sets millrace_build_info{version} to 1.
  void SetBuildInfo(std::string_view version);

  // Of any family.
  prometheus::Counter& CounterChild(const char* name, const char* help, prometheus::Labels labels);
  prometheus::Gauge& GaugeChild(const char* name, const char* help, prometheus::Labels labels);
  prometheus::Histogram& HistogramChild(const char* name, const char* help,
                                        prometheus::Labels labels,
                                        const prometheus::Histogram::BucketBoundaries& buckets);
  // Takes away the gauges, or all children, that have this label. Nobody may hold one of them.
  void RemoveGauges(const std::string& label, const std::string& value);
  void Remove(const std::string& label, const std::string& value);

  // Prometheus' text format 0.0.4, families by name and children by labels.
  std::string Text() const;

 private:
  struct Families;

  prometheus::Registry registry_;
  mutable std::mutex mutex_;
  std::unique_ptr<Families> families_;  // by mutex_
};

}  // namespace millrace
