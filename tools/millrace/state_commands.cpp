#include "tools/millrace/state_commands.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>
#include <set>

#include "coordinator/job_files.h"
#include "engine/endpoints/job_sinks.h"
#include "engine/env/clock.h"
#include "tools/millrace/job_command.h"
#include "tools/millrace/savepoint_requests.h"
#include "worker/task.h"

namespace millrace {
namespace {

int Fail(const Status& status) {
  std::cerr << "error: " << status.message() << "\n";
  return kExitError;
}

Result<JobFiles> OpenState(const StateOptions& options, const std::string& job) {
  return JobFiles::Open(StateFolder(options.state_dir, options.data_dir), job);
}

Status CreateSavepoint(const StateOptions& options, const std::string& job) {
  ARROW_ASSIGN_OR_RAISE(const Micros timeout, ParseDuration(options.timeout));
  ARROW_ASSIGN_OR_RAISE(const JobFiles state, OpenState(options, job));
  const SystemClock clock;
  const Status made = state.MakeSavepoint(options.savepoint, clock);
  const ErrorDetail* const detail = ErrorDetail::Of(made);
  if (detail == nullptr || detail->code() != "job_is_running") return made;
  return AskForSavepoint(state.folder() + "/requests", options.savepoint, clock, timeout);
}

// ---- plan --from --------------------------------------------------------------------------------

struct Verdict {
  std::string name;
  std::string what;  // "kept", "dropped", "empty", "REFUSED"
  std::string why;
};

Result<std::string> FingerprintOf(const JobPlan& plan, const PlanNode& node) {
  ARROW_ASSIGN_OR_RAISE(const auto keyed, MakeKeyedOperator(plan, node));
  return StateFingerprint(plan, node, *keyed);
}

std::string SizeOf(const proto::Manifest& manifest, const std::string& operator_id) {
  int64_t bytes = 0;
  int tasks = 0;
  for (const proto::TaskState& task : manifest.tasks()) {
    if (task.operator_id() != operator_id) continue;
    ++tasks;
    for (const proto::StoredFile& file : task.files()) bytes += file.bytes();
  }
  return fmt::format("{} KiB of {} task{}", (bytes + 1023) / 1024, tasks, tasks == 1 ? "" : "s");
}

Result<std::vector<Verdict>> JudgeOperators(const JobPlan& plan, const proto::Manifest& manifest) {
  std::vector<Verdict> verdicts;
  std::map<std::string, std::string> saved;
  for (const proto::TaskState& task : manifest.tasks()) {
    saved[task.operator_id()] = task.fingerprint();
  }
  for (const PlanNode& node : plan.nodes) {
    if (!IsKeyed(node)) continue;
    const auto found = saved.find(node.name);
    if (found == saved.end()) {
      verdicts.push_back({node.name, "empty", "it is new"});
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(const std::string fingerprint, FingerprintOf(plan, node));
    if (fingerprint == found->second) {
      verdicts.push_back({node.name, "kept", SizeOf(manifest, node.name)});
    } else {
      verdicts.push_back({node.name, "REFUSED",
                          "its query changed, so what it has counted is of another one; "
                          "under another stream name it begins empty"});
    }
    saved.erase(found);
  }
  for (const auto& [name, fingerprint] : saved) {
    verdicts.push_back({name, "dropped", "the job no longer has it"});
  }
  return verdicts;
}

std::vector<Verdict> JudgeSources(const JobPlan& plan, const proto::Manifest& manifest) {
  std::vector<Verdict> verdicts;
  std::map<std::string, int> saved;
  for (const proto::ReaderState& reader : manifest.readers()) {
    saved[reader.source()] += reader.partitions_size();
  }
  for (const PlanNode& node : plan.nodes) {
    if (!std::holds_alternative<SourceNode>(node.kind)) continue;
    const auto found = saved.find(node.name);
    if (found == saved.end()) {
      verdicts.push_back({node.name, "empty", "it is new: read from start_from"});
    } else {
      verdicts.push_back(
          {node.name, "kept", fmt::format("positions of {} partitions", found->second)});
      saved.erase(found);
    }
  }
  for (const auto& [name, partitions] : saved) {
    verdicts.push_back({name, "dropped", "the job no longer reads it"});
  }
  return verdicts;
}

std::vector<Verdict> JudgeSinks(const JobSpec& job, const proto::Manifest& manifest) {
  std::vector<Verdict> verdicts;
  for (const std::string& sink : OrphanedSinks(job, manifest)) {
    verdicts.push_back({sink, "REFUSED",
                        "rows for it are not written yet: run the job as it was, once, or stop it "
                        "with a savepoint"});
  }
  return verdicts;
}

int RunPlanFrom(const StateOptions& options, const std::string& from) {
  const auto job = CheckJob(options.job_file);
  if (job == nullptr) return kExitError;
  std::cout << FormatPlan(job->plan);
  const auto state = OpenState(options, job->spec.name);
  if (!state.ok()) return Fail(state.status());
  const auto manifest =
      from == "latest" ? state->LastManifest() : state->storage()->ReadSavepoint(from);
  if (!manifest.ok()) return Fail(manifest.status());
  auto verdicts = JudgeOperators(job->plan, *manifest);
  if (!verdicts.ok()) return Fail(verdicts.status());
  for (const auto& more : {JudgeSources(job->plan, *manifest), JudgeSinks(job->spec, *manifest)}) {
    verdicts->insert(verdicts->end(), more.begin(), more.end());
  }
  std::cout << fmt::format("\nfrom {} of epoch {}, generation {}:\n",
                           from == "latest" ? std::string("the checkpoint") : "savepoint " + from,
                           manifest->epoch(), manifest->generation().substr(0, 8));
  bool refused = false;
  for (const Verdict& verdict : *verdicts) {
    std::cout << fmt::format("  {:<24} {:<8} {}\n", verdict.name, verdict.what, verdict.why);
    refused = refused || verdict.what == "REFUSED";
  }
  return refused ? kExitError : kExitOk;
}

}  // namespace

std::string StateFolder(const std::string& state_dir, const std::string& data_dir) {
  return state_dir.empty() ? data_dir + "/.millrace" : state_dir;
}

int RunSavepointCreate(const StateOptions& options) {
  const auto job = CheckJob(options.job_file);
  if (job == nullptr) return kExitError;
  const Status status = CreateSavepoint(options, job->spec.name);
  if (!status.ok()) return Fail(status);
  std::cout << "savepoint " << options.savepoint << " is complete\n";
  return kExitOk;
}

int RunSavepointList(const StateOptions& options) {
  const auto job = CheckJob(options.job_file);
  if (job == nullptr) return kExitError;
  const auto state = OpenState(options, job->spec.name);
  if (!state.ok()) return Fail(state.status());
  const auto names = state->storage()->ListSavepoints();
  if (!names.ok()) return Fail(names.status());
  for (const std::string& name : *names) {
    const auto manifest = state->storage()->ReadSavepoint(name);
    if (!manifest.ok()) {
      std::cout << fmt::format("{:<24} damaged: {}\n", name, manifest.status().message());
      continue;
    }
    std::cout << fmt::format("{:<24} epoch {:<8} {}  generation {}\n", name, manifest->epoch(),
                             FormatTimestamp(EventTime(Micros(manifest->created()))),
                             manifest->generation().substr(0, 8));
  }
  return kExitOk;
}

int RunSavepointDelete(const StateOptions& options) {
  const auto job = CheckJob(options.job_file);
  if (job == nullptr) return kExitError;
  const auto state = OpenState(options, job->spec.name);
  if (!state.ok()) return Fail(state.status());
  const Status removed = state->storage()->RemoveSavepoint(options.savepoint);
  return removed.ok() ? kExitOk : Fail(removed);
}

void AddStateFlags(CLI::App* command, StateOptions* options) {
  command->add_option("--data-dir", options->data_dir, "The data folder that the job runs with")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--state-dir", options->state_dir,
                   "Where its state is kept; default: .millrace in the data folder")
      ->type_name("DIR");
}

void AddPlanCommand(CLI::App* app, int* exit_code) {
  struct PlanOptions {
    StateOptions state;
    std::string from;
  };
  CLI::App* const plan =
      app->add_subcommand("plan", "Show what a job does: operators, keys, where data is exchanged");
  const auto options = std::make_shared<PlanOptions>();
  plan->add_option("job", options->state.job_file, "Job file")->type_name("FILE")->required();
  AddStateFlags(plan, &options->state);
  plan->add_option("--from", options->from,
                   "Say what a start would keep, drop, begin empty or refuse: 'latest' (the last "
                   "checkpoint) or a savepoint's name");
  plan->callback([options, exit_code] {
    *exit_code = options->from.empty() ? RunPlan(options->state.job_file)
                                       : RunPlanFrom(options->state, options->from);
  });
}

}  // namespace millrace
