// `logs` and `tail`: what happened to a job, and what it gives.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/log_text.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/paged_reader.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

constexpr int kPageItems = 500;
constexpr int kTailRows = 10;
constexpr int kForever = INT32_MAX;  // rows: years of them
constexpr int kLinesMax = 1'000'000;
// What is kept is the leader's.
constexpr const char* kAnotherLeads = "another coordinator leads: what it keeps begins anew";

// ---- logs

struct LogsOptions {
  ConnectionOptions connection;
  std::string job;
  std::string level = "info";
  std::optional<int> tail;
  bool follow = false;
  bool json = false;
};

class Logs {
 public:
  Logs(const LogsOptions& options, ApiClient* api)
      : options_(options),
        level_(JobLogLevelFromName(options.level).value_or(JobLogLevel::kInfo)),
        reader_(api, JobPath(options.job, fmt::format("/logs?limit={}", kPageItems))) {}

  // What there is.
  Status ShowKept() {
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const bool more, reader_.Read());
      TellDropped("older lines are no longer kept");
      if (!more) break;
      Take();
      if (!options_.tail.has_value()) ARROW_RETURN_NOT_OK(Flush());
    }
    return Flush();
  }

  Status Follow(ApiClient* api) {
    Absence absence;
    while (true) {
      const Result<bool> more = reader_.Read();
      if (more.ok()) {
        absence.OnAnswer();
        TellDropped("lines came faster than they are kept");
        Take();
        ARROW_RETURN_NOT_OK(Flush());
      } else if (!absence.GoOnAfter(more.status())) {
        return more.status();
      }
      if (!more.ok() || !*more) api->Pause(kPollEvery);
    }
  }

 private:
  void TellDropped(const char* what) const {
    if (reader_.began_anew()) Tell(kAnotherLeads);
    if (reader_.page().dropped() > 0) Tell(fmt::format("{} {}", reader_.page().dropped(), what));
  }

  void Take() {
    for (const proto::LogLine& line : reader_.page().lines()) {
      if (LevelOf(line) < level_) continue;
      lines_.push_back(options_.json ? ToJsonLine(line) + "\n" : FormatLogLine(line));
      if (options_.tail.has_value() && int64_t(lines_.size()) > *options_.tail) lines_.pop_front();
    }
  }

  Status Flush() {
    std::string text;
    for (const std::string& line : lines_) text += line;
    lines_.clear();
    return text.empty() ? Status::OK() : WriteOutput(text);
  }

  const LogsOptions& options_;
  const JobLogLevel level_;
  PagedReader<proto::LogPage> reader_;
  std::deque<std::string> lines_;  // formatted, not yet shown
};

Status RunLogs(LogsOptions options) {
  ARROW_RETURN_NOT_OK(CheckJobName(options.job));
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::Open(options.connection));
  Logs logs(options, cluster.api());
  ARROW_RETURN_NOT_OK(logs.ShowKept());
  options.tail.reset();  // it was about those
  return options.follow ? logs.Follow(cluster.api()) : Status::OK();
}

// ---- tail

struct TailOptions {
  ConnectionOptions connection = PatientConnection();
  std::string job;
  std::string sink;
  std::optional<int> limit;
  bool follow = false;
};

class Tail {
 public:
  // `timeout`: how long to wait for rows, without -f.
  Tail(const TailOptions& options, ApiClient* api, Micros timeout)
      : api_(api),
        timeout_(timeout),
        follow_(options.follow),
        limit_(options.limit.value_or(options.follow ? kForever : kTailRows)),
        reader_(api, Path(options)) {}

  Status Show() {
    const MonotonicTime deadline = api_->clock().Monotonic() + timeout_;
    Absence absence;
    bool answered = false;
    while (true) {
      const Result<bool> more = reader_.Read();
      if (more.ok()) {
        answered = true;
        absence.OnAnswer();
        ARROW_RETURN_NOT_OK(ShowPage());
        if (shown_ == limit_) return Status::OK();
      } else if (!answered || !absence.GoOnAfter(more.status())) {
        return more.status();
      }
      if (more.ok() && *more) continue;
      if (!follow_ && api_->clock().Monotonic() >= deadline) {
        return ExternalError(
            "timeout",
            fmt::format("{} of {} rows came in {}", shown_, limit_, FormatDuration(timeout_)),
            Retry::kYes);
      }
      api_->Pause(kPollEvery);
    }
  }

 private:
  static std::string Path(const TailOptions& options) {
    const std::string path = JobPath(options.job, fmt::format("/tail?limit={}", kPageItems));
    return options.sink.empty() ? path : path + "&sink=" + PathPart(options.sink);
  }

  Status ShowPage() {
    const proto::TailPage& page = reader_.page();
    if (reader_.began_anew()) Tell(kAnotherLeads);
    if (page.dropped() > 0) Tell(fmt::format("{} rows are left out", page.dropped()));
    std::string text;
    for (const proto::TailRow& row : page.rows()) {
      if (shown_ == limit_) break;
      text += EscapeJson(row.row()) + "\n";
      ++shown_;
    }
    return text.empty() ? Status::OK() : WriteOutput(text);
  }

  ApiClient* const api_;
  const Micros timeout_;
  const bool follow_;
  const int limit_;
  PagedReader<proto::TailPage> reader_;
  int shown_ = 0;
};

Status RunTail(const TailOptions& options) {
  ARROW_RETURN_NOT_OK(CheckJobName(options.job));
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster,
                        ClusterConnection::OpenToWait(options.connection));
  return Tail(options, cluster.api(), cluster.timeout()).Show();
}

}  // namespace

void AddLogsCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command = app->add_subcommand("logs", "What happened to a job of a cluster");
  const auto options = std::make_shared<LogsOptions>();
  AddJobName(command, &options->job);
  command->add_flag("-f,--follow", options->follow, "Goes on with lines as they come");
  command->add_option("--level", options->level, "Lines of this level and above")
      ->check(CLI::IsMember({"info", "warn", "error"}))
      ->capture_default_str();
  command->add_option("--tail", options->tail, "Only the last N of those that are there")
      ->type_name("N")
      ->check(CLI::Range(0, kLinesMax));
  command->add_flag("--json", options->json, "An object a line");
  AddConnectionFlags(command, &options->connection);
  command->callback([options, exit_code] { *exit_code = Conclude(RunLogs(*options)); });
}

void AddTailCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command = app->add_subcommand(
      "tail", "Rows of a job of a cluster on their way to its sinks, a JSON object a line");
  const auto options = std::make_shared<TailOptions>();
  AddJobName(command, &options->job);
  command->add_option("--sink", options->sink, "Only rows of this sink")->type_name("SINK");
  command->add_option("--limit", options->limit, "Ends after N rows; default: 10, or none with -f")
      ->type_name("N")
      ->check(CLI::Range(1, kLinesMax));
  command->add_flag("-f,--follow", options->follow, "Goes on for as long as it takes");
  AddConnectionFlags(command, &options->connection, "How long to wait for rows, without -f");
  command->callback([options, exit_code] { *exit_code = Conclude(RunTail(*options)); });
}

}  // namespace millrace
