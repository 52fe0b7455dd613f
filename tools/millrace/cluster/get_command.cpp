#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/output_form.h"
#include "tools/millrace/cluster/savepoint_commands.h"
#include "tools/millrace/cluster/status_tables.h"
#include "tools/millrace/cluster/waiting.h"

namespace millrace {
namespace {

struct GetOptions {
  ConnectionOptions connection;
  OutputForm form = OutputForm::kTable;
  bool watch = false;
  std::string name;  // of a job, where the command takes one
};

// How a message of the API is shown: it is, or has, items that are rows.
template <typename Message, typename Item>
struct Shown {
  std::vector<TableColumn> (*columns)(bool wide);
  TableCells (*cells)(const Item& item, bool wide);
  std::vector<const Item*> (*items)(const Message& message);
  const char* none;  // what is told where there are no items
};

template <typename Message, typename Item>
std::vector<const Item*> ItemsOf(const google::protobuf::RepeatedPtrField<Item>& items) {
  std::vector<const Item*> pointers;
  for (const Item& item : items) pointers.push_back(&item);
  return pointers;
}

const Shown<proto::JobList, proto::JobStatus> kJobs = {
    JobColumns, JobCells,
    [](const proto::JobList& list) {
      return ItemsOf<proto::JobList, proto::JobStatus>(list.jobs());
    },
    "there are no jobs"};

const Shown<proto::JobStatus, proto::JobStatus> kJob = {
    JobColumns, JobCells,
    [](const proto::JobStatus& job) { return std::vector<const proto::JobStatus*>{&job}; }, ""};

const Shown<proto::WorkerList, proto::WorkerStatus> kWorkers = {
    WorkerColumns, WorkerCells,
    [](const proto::WorkerList& list) {
      return ItemsOf<proto::WorkerList, proto::WorkerStatus>(list.workers());
    },
    "there are no workers"};

const Shown<proto::SavepointList, proto::SavepointStatus> kSavepoints = {
    SavepointColumns, SavepointCells,
    [](const proto::SavepointList& list) {
      return ItemsOf<proto::SavepointList, proto::SavepointStatus>(list.savepoints());
    },
    "there are no savepoints"};

// All of it, once.
template <typename Message, typename Item>
Status ShowAll(const Shown<Message, Item>& shown, const Message& message, OutputForm form) {
  if (form == OutputForm::kJson) return WriteOutput(ToJson(message));
  if (form == OutputForm::kYaml) return WriteOutput(ToYaml(message));
  const auto items = shown.items(message);
  if (items.empty()) Tell(shown.none);
  if (items.empty()) return Status::OK();
  const bool wide = form == OutputForm::kWide;
  TextTable table(shown.columns(wide));
  std::vector<TableCells> rows;
  std::string names;
  for (const Item* const item : items) {
    rows.push_back(shown.cells(*item, wide));
    names += item->name() + "\n";
  }
  return WriteOutput(form == OutputForm::kName ? names : table.Format(rows));
}

// What has changed since the last time, but for measurements; at first, all of it.
template <typename Message, typename Item>
class Changes {
 public:
  Changes(const Shown<Message, Item>& shown, OutputForm form)
      : shown_(shown), form_(form), table_(shown.columns(IsWide())) {}

  Status Show(const Message& message) {
    std::map<std::string, std::string> seen;
    std::vector<TableCells> rows;
    std::string text;
    for (const Item* const item : shown_.items(message)) {
      const TableCells cells = shown_.cells(*item, IsWide());
      const std::string key = table_.Unmeasured(cells);
      seen[item->name()] = key;
      const auto before = seen_.find(item->name());
      if (before != seen_.end() && before->second == key) continue;
      rows.push_back(cells);
      text += Format(*item);
    }
    for (const auto& [name, key] : seen_) {
      if (!seen.contains(name)) AddGone(name, &rows, &text);
    }
    seen_ = std::move(seen);
    if (form_ == OutputForm::kTable || form_ == OutputForm::kWide) {
      text = table_.Rows(rows);
      if (!has_header_) text = table_.Header() + text;
      has_header_ = true;
    }
    return text.empty() ? Status::OK() : WriteOutput(text);
  }

 private:
  bool IsWide() const { return form_ == OutputForm::kWide; }

  std::string Format(const Item& item) const {
    if (form_ == OutputForm::kJson) return ToJsonLine(item) + "\n";
    if (form_ == OutputForm::kYaml) return "---\n" + ToYaml(item);
    return item.name() + "\n";
  }

  // It is no longer there: a row of that state.
  void AddGone(const std::string& name, std::vector<TableCells>* rows, std::string* text) const {
    Item gone;
    gone.set_name(name);
    gone.set_state("deleted");
    *text += Format(gone);
    TableCells cells(shown_.columns(IsWide()).size());
    cells[0] = name;
    cells[1] = gone.state();
    rows->push_back(std::move(cells));
  }

  const Shown<Message, Item>& shown_;
  const OutputForm form_;
  TextTable table_;
  bool has_header_ = false;
  std::map<std::string, std::string> seen_;  // by name
};

template <typename Message, typename Item>
Status Get(const GetOptions& options, const std::string& path, const Shown<Message, Item>& shown) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection connection, ClusterConnection::Open(options.connection));
  Message message;
  if (options.watch) {
    Changes<Message, Item> changes(shown, options.form);
    return Watch(connection.api(), path, &message, [&] { return changes.Show(message); });
  }
  ARROW_RETURN_NOT_OK(connection.api()->Get(path, &message));
  return ShowAll(shown, message, options.form);
}

template <typename Run>
void AddKind(CLI::App* get, const char* kind, const char* what, bool named, int* exit_code,
             Run run) {
  CLI::App* const command = get->add_subcommand(kind, what);
  const auto options = std::make_shared<GetOptions>();
  if (named) AddJobName(command, &options->name);
  AddOutputFlag(command, &options->form);
  command->add_flag("-w,--watch", options->watch,
                    "Goes on: rows that change, once a second; measurements alone (lag, delays, "
                    "ages) are no change");
  AddConnectionFlags(command, &options->connection);
  command->callback([options, named, exit_code, run] {
    const Status name = named ? CheckJobName(options->name) : Status::OK();
    *exit_code = Conclude(name.ok() ? run(*options) : name);
  });
}

}  // namespace

void AddGetCommand(CLI::App* app, int* exit_code) {
  CLI::App* const get = app->add_subcommand("get", "Show jobs, workers or savepoints of a cluster");
  get->require_subcommand(1);
  AddKind(get, "jobs", "All jobs", false, exit_code,
          [](const GetOptions& options) { return Get(options, "/jobs", kJobs); });
  AddKind(get, "job", "One job", true, exit_code,
          [](const GetOptions& options) { return Get(options, JobPath(options.name), kJob); });
  AddKind(get, "workers", "Who runs jobs", false, exit_code,
          [](const GetOptions& options) { return Get(options, "/workers", kWorkers); });
  AddKind(get, "savepoints", "A job's savepoints", true, exit_code, [](const GetOptions& options) {
    return Get(options, JobPath(options.name, "/savepoints"), kSavepoints);
  });
}

int ListClusterSavepoints(const ConnectionOptions& connection, const std::string& job,
                          OutputForm form) {
  GetOptions options;
  options.connection = connection;
  options.form = form;
  return Conclude(Get(options, JobPath(job, "/savepoints"), kSavepoints));
}

}  // namespace millrace
