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

// The order of label sets in memory is not the exposition's business; text is sorted by it.
bool LabelsBefore(const prometheus::ClientMetric& a, const prometheus::ClientMetric& b) {
  return std::lexicographical_compare(a.label.begin(), a.label.end(), b.label.begin(),
                                      b.label.end(), [](const auto& x, const auto& y) {
                                        return std::tie(x.name, x.value) <
                                               std::tie(y.name, y.value);
                                      });
}

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

  void Remove(const std::string& label, const std::string& value) {
    std::erase_if(children, [&](const auto& child) {
      const auto found = child.first.find(label);
      if (found == child.first.end() || found->second != value) return false;
      family->Remove(child.second);
      return true;
    });
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

prometheus::Gauge& Metrics::CoordinatorTerm() {
  return GaugeChild("millrace_coordinator_term", "The coordinator's term", {});
}

prometheus::Gauge& Metrics::Workers(std::string_view state) {
  return GaugeChild("millrace_workers",
                    "Workers of the cluster: active, leaving, or lost within the last hour",
                    {{"state", std::string(state)}});
}

void Metrics::SetBuildInfo(std::string_view version) {
  GaugeChild("millrace_build_info", "1, labelled with the version of this program",
             {{"version", std::string(version)}})
      .Set(1);
}

void Metrics::RemoveGauges(const std::string& label, const std::string& value) {
  std::lock_guard lock(mutex_);
  for (auto& [name, family] : families_->gauges) family.Remove(label, value);
}

void Metrics::Remove(const std::string& label, const std::string& value) {
  RemoveGauges(label, value);
  std::lock_guard lock(mutex_);
  for (auto& [name, family] : families_->counters) family.Remove(label, value);
  for (auto& [name, family] : families_->histograms) family.Remove(label, value);
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
