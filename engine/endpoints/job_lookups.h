// The lookups of a job: read before it begins, and kept up to date until it ends.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/endpoints/connectors.h"
#include "engine/lookups/lookup_feed.h"
#include "engine/plan/plan.h"

namespace millrace {

class JobLookups {
 public:
  // Reads those that the plan joins with. Waits for brokers that are away until `stopping`. `clock`
  // outlives it.
  static Result<std::unique_ptr<JobLookups>> Open(const JobSpec& job, const JobPlan& plan,
                                                  const ConnectorOptions& options,
                                                  const Clock* clock,
                                                  const std::atomic<bool>& stopping);

  const LookupTables& tables() const { return tables_; }

 private:
  LookupTables tables_;
  std::vector<std::unique_ptr<LookupFeed>> feeds_;
};

}  // namespace millrace
