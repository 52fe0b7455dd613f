// Copies a running job's account and figures into its metrics, now and then: nothing on the way of
// rows touches a metric. Used by one thread.
#pragma once

#include <map>
#include <string>

#include "engine/env/clock.h"
#include "engine/lookups/lookup.h"
#include "engine/metrics/metrics.h"
#include "worker/account.h"
#include "worker/run_figures.h"

namespace millrace {

class JobMetrics {
 public:
  // `metrics` outlives it.
  explicit JobMetrics(Metrics* metrics) : metrics_(metrics) {}
  // `state`: "running", "finished" or "failed".
  void Update(const JobAccount& account, const RunFigures& figures, const std::string& state,
              EventTime wall);
  void UpdateLookups(const LookupTables& lookups);

 private:
  // Counters only rise: adds what came since the last call.
  void Raise(const std::string& key, prometheus::Counter& counter, double value);
  void UpdateStream(const std::string& name, const StreamAccount& stream, EventTime wall);

  Metrics* metrics_;
  std::map<std::string, double> exported_;
};

}  // namespace millrace
