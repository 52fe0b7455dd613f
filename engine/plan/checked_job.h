// A job file read, checked and planned.
#pragma once

#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/model/job.h"
#include "engine/model/job_file.h"
#include "engine/plan/plan.h"

namespace millrace {

struct CheckedJob {
  JobSpec spec;
  JobPlan plan;
};

// Fails with every mistake at once; `warnings` is what else is to be told, as text. `file_name` is
// for people.
Result<std::unique_ptr<CheckedJob>> CheckJobText(const std::string& file_name, std::string text,
                                                 const SecretLookup& secrets,
                                                 std::string* warnings);

}  // namespace millrace
