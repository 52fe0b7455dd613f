// Copies what the actors of a job in this process have done into the job's metrics, now and then:
// nothing on the way of rows touches a metric. One for each start of the job, with accounts that
// begin where the last ended or at zero: counters get what came since the last call, so that they
// only rise, whoever else adds to them. Used by one thread at a time.
#pragma once

#include <map>
#include <string>

#include "engine/base/time.h"
#include "engine/lookups/lookup.h"
#include "engine/metrics/job_metric_families.h"
#include "worker/account.h"
#include "worker/run_figures.h"

namespace millrace {

class JobMetrics {
 public:
  explicit JobMetrics(JobMetricFamilies families) : families_(std::move(families)) {}

  void UpdateCounters(const JobAccount& account, const RunFigures& figures,
                      const LookupTables& lookups);
  // `wall`: now.
  void UpdateGauges(const JobAccount& account, const RunFigures& figures,
                    const LookupTables& lookups, EventTime wall);
  // The start is over: what it held is not there any more.
  void RemoveGauges() { families_.RemoveGauges(); }

 private:
  // Adds what came since the last call.
  void Raise(const std::string& key, prometheus::Counter& counter, double value);
  void CountStream(const std::string& name, const StreamAccount& stream);
  void CountTasks(const RunFigures& figures);
  void CountSinks(const RunFigures& figures);
  void CountLookups(const LookupTables& lookups);

  JobMetricFamilies families_;
  std::map<std::string, double> exported_;
};

}  // namespace millrace
