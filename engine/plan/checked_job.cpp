#include "engine/plan/checked_job.h"

#include "engine/base/diagnostics.h"
#include "engine/plan/planner.h"

namespace millrace {

Result<std::unique_ptr<CheckedJob>> CheckJobText(const std::string& file_name, std::string text,
                                                 const SecretLookup& secrets,
                                                 std::string* warnings) {
  Diagnostics diagnostics(file_name, std::move(text));
  auto job = std::make_unique<CheckedJob>();
  job->spec = ReadJobFile(secrets, &diagnostics);
  // Mistakes in SQL are told together with mistakes of form elsewhere. Where a stream itself could
  // not be read, everything that reads it would only be blamed for that.
  if (job->spec.streams_complete) job->plan = PlanJob(job->spec, &diagnostics);
  ARROW_RETURN_NOT_OK(diagnostics.ToStatus());
  *warnings = diagnostics.Render();
  return job;
}

}  // namespace millrace
