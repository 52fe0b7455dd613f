#include "tools/millrace/cluster/job_name.h"

#include <CLI/CLI.hpp>

namespace millrace {

bool IsJobFile(std::string_view job) { return job.find_first_of("./") != std::string_view::npos; }

Status CheckJobName(std::string_view job) {
  if (job.empty()) return UserError("usage", "the job's name is empty");
  if (!IsJobFile(job)) return Status::OK();
  return UserError("usage", "'" + std::string(job) +
                                "' is a file: on a cluster, a job is named by the metadata.name of "
                                "its file (millrace get jobs lists them)");
}

void AddJobName(CLI::App* command, std::string* job) {
  command->add_option("job", *job, "The job's name")->type_name("JOB")->required();
}

}  // namespace millrace
