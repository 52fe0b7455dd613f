// `pause`, `resume`, `cancel`, `delete`, `rescale`: what shall become of a job.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

constexpr int kParallelismMax = 720;

struct ChangeOptions {
  ConnectionOptions connection;
  std::string job;
  bool wait = false;
  int parallelism = 0;
};

Status Say(const std::string& job, const std::string& what) {
  return WriteOutput("job " + job + ": " + EscapeLine(what) + "\n");
}

// A change of what is wanted of a job.
struct Desire {
  const char* verb;                 // "pause"
  const char* in_progress;          // "pausing"
  std::vector<std::string> states;  // in one of which it ends
};

Status Change(const ChangeOptions& options, const Desire& desire) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster,
                        ClusterConnection::OpenToWait(options.connection));
  ApiClient* const api = cluster.api();
  proto::JobStatus job;
  ARROW_RETURN_NOT_OK(
      api->Post(JobPath(options.job, std::string("/") + desire.verb), nullptr, &job));
  const JobGoal goal{.states = desire.states};
  if (JudgeGoal(job, goal) == GoalVerdict::kReached) return Say(options.job, job.state());
  ARROW_RETURN_NOT_OK(Say(options.job, desire.in_progress));
  if (!options.wait) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(job, WaitForJob(api, options.job, goal, cluster.timeout()));
  return Say(options.job, job.state());
}

Status Delete(const ChangeOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster,
                        ClusterConnection::OpenToWait(options.connection));
  ARROW_RETURN_NOT_OK(cluster.api()->Delete(JobPath(options.job)));
  return Say(options.job, "deleted");
}

// Whether a job of this state goes on with another parallelism by itself.
bool WillRun(const proto::JobStatus& job) {
  return job.desired() == "running" && job.state() != "finished" && job.state() != "failed";
}

Status Rescale(const ChangeOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster,
                        ClusterConnection::OpenToWait(options.connection));
  ApiClient* const api = cluster.api();
  proto::JobStatus before;
  ARROW_RETURN_NOT_OK(api->Get(JobPath(options.job), &before));
  proto::RescaleRequest request;
  request.set_parallelism(options.parallelism);
  proto::JobStatus job;
  ARROW_RETURN_NOT_OK(api->Post(JobPath(options.job, "/rescale"), &request, &job));
  const std::string parallelism = options.parallelism == 0
                                      ? std::string("the parallelism of its file")
                                      : "parallelism " + std::to_string(options.parallelism);
  if (before.wanted_parallelism() == options.parallelism) {
    return Say(options.job, "has " + parallelism + " already");
  }
  if (!WillRun(job)) return Say(options.job, parallelism + ", when it runs again");
  ARROW_RETURN_NOT_OK(Say(options.job, "rescaling to " + parallelism));
  if (!options.wait) return Status::OK();
  const JobGoal goal{{"running", "finished"}, before.attempt(), /*rescaled=*/true};
  ARROW_ASSIGN_OR_RAISE(job, WaitForJob(api, options.job, goal, cluster.timeout()));
  if (job.wanted_parallelism() != options.parallelism) {
    // The last note says why; or somebody else has asked for another size meanwhile.
    return ExternalError("rescale_failed",
                         "job " + options.job + " does not run with " + parallelism +
                             (job.notes().empty() ? "" : ": " + *job.notes().rbegin()),
                         Retry::kNo);
  }
  return Say(options.job, job.state() + " with parallelism " + std::to_string(job.parallelism()));
}

std::shared_ptr<ChangeOptions> AddChange(CLI::App* app, const char* name, const char* what,
                                         const char* wait, int* exit_code,
                                         std::function<Status(const ChangeOptions&)> run) {
  CLI::App* const command = app->add_subcommand(name, what);
  const auto options = std::make_shared<ChangeOptions>();
  AddJobName(command, &options->job);
  if (wait != nullptr) {
    command->add_flag("--wait", options->wait, wait);
    options->connection = PatientConnection();
  }
  AddConnectionFlags(command, &options->connection,
                     wait == nullptr ? "How long a request may take" : "How long --wait may take");
  command->callback([options, exit_code, run = std::move(run)] {
    const Status name_status = CheckJobName(options->job);
    *exit_code = Conclude(name_status.ok() ? run(*options) : name_status);
  });
  return options;
}

}  // namespace

void AddChangeCommands(CLI::App* app, int* exit_code) {
  const auto add = [&](const char* name, const char* what, const char* wait, Desire desire) {
    AddChange(app, name, what, wait, exit_code,
              [desire = std::move(desire)](const ChangeOptions& options) {
                return Change(options, desire);
              });
  };
  add("pause", "Stop a job of a cluster at a checkpoint, until it is resumed", "Until it is paused",
      {"pause", "pausing", {"paused"}});
  add("resume", "Let a job of a cluster go on that was paused, or failed", "Until it runs",
      {"resume", "resuming", {"running", "finished"}});
  add("cancel", "End a job of a cluster; its state stays", "Until it is canceled",
      {"cancel", "canceling", {"canceled"}});
  AddChange(app, "delete", "Forget a job of a cluster that has ended; its state stays on disk",
            nullptr, exit_code, Delete);
  const auto rescale = AddChange(app, "rescale", "Run a job of a cluster in more or fewer slots",
                                 "Until a checkpoint of that size is complete", exit_code, Rescale);
  app->get_subcommand("rescale")
      ->add_option("--parallelism", rescale->parallelism, "Slots; 0: as its file says")
      ->type_name("N")
      ->check(CLI::Range(0, kParallelismMax))
      ->required();
}

}  // namespace millrace
