// Jobs, workers and savepoints in the form that -o asks for: all of them once, or what changes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/output_form.h"
#include "tools/millrace/cluster/status_tables.h"
#include "tools/millrace/cluster/terminal_text.h"

namespace millrace {

// How a message of the API is shown: it is, or holds, items that are rows.
template <typename Message, typename Item>
struct Resource {
  std::vector<TableColumn> (*columns)(bool wide);
  TableCells (*cells)(const Item& item, bool wide);
  std::vector<const Item*> (*items)(const Message& message);
  const char* none;  // what is told where there are no items
};

template <typename Item>
std::vector<const Item*> PointersTo(const google::protobuf::RepeatedPtrField<Item>& items) {
  std::vector<const Item*> pointers;
  for (const Item& item : items) pointers.push_back(&item);
  return pointers;
}

inline constexpr Resource<proto::JobList, proto::JobStatus> kJobs = {
    JobColumns, JobCells, [](const proto::JobList& list) { return PointersTo(list.jobs()); },
    "there are no jobs"};

inline constexpr Resource<proto::JobStatus, proto::JobStatus> kJob = {
    JobColumns, JobCells,
    [](const proto::JobStatus& job) { return std::vector<const proto::JobStatus*>{&job}; }, ""};

inline constexpr Resource<proto::WorkerList, proto::WorkerStatus> kWorkers = {
    WorkerColumns, WorkerCells,
    [](const proto::WorkerList& list) { return PointersTo(list.workers()); },
    "there are no workers"};

inline constexpr Resource<proto::SavepointList, proto::SavepointStatus> kSavepoints = {
    SavepointColumns, SavepointCells,
    [](const proto::SavepointList& list) { return PointersTo(list.savepoints()); },
    "there are no savepoints"};

// All of it.
template <typename Message, typename Item>
Status ShowAll(const Resource<Message, Item>& resource, const Message& message, OutputForm form) {
  if (form == OutputForm::kJson) return WriteOutput(ToJson(message));
  if (form == OutputForm::kYaml) return WriteOutput(ToYaml(message));
  const auto items = resource.items(message);
  if (items.empty()) {
    Tell(resource.none);
    return Status::OK();
  }
  const bool wide = form == OutputForm::kWide;
  std::vector<TableCells> rows;
  std::string names;
  for (const Item* const item : items) {
    rows.push_back(resource.cells(*item, wide));
    names += EscapeLine(item->name()) + "\n";
  }
  if (form == OutputForm::kName) return WriteOutput(names);
  return WriteOutput(TextTable(resource.columns(wide)).Format(rows));
}

// What has changed since the last time, but for measurements; at first, all of it. In JSON an
// object a line, in YAML a document an item.
template <typename Message, typename Item>
class Changes {
 public:
  // `resource` outlives it.
  Changes(const Resource<Message, Item>& resource, OutputForm form)
      : resource_(resource), form_(form), table_(resource.columns(form == OutputForm::kWide)) {}

  Status Show(const Message& message) {
    std::map<std::string, std::string> seen;
    std::vector<TableCells> rows;
    std::string text;
    for (const Item* const item : resource_.items(message)) {
      const TableCells cells = resource_.cells(*item, form_ == OutputForm::kWide);
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
    if (form_ == OutputForm::kTable || form_ == OutputForm::kWide) text = FormatRows(rows);
    return text.empty() ? Status::OK() : WriteOutput(text);
  }

 private:
  std::string FormatRows(const std::vector<TableCells>& rows) {
    const bool first = !has_header_;
    has_header_ = true;
    return first ? table_.Format(rows) : table_.Rows(rows);
  }

  std::string Format(const Item& item) const {
    if (form_ == OutputForm::kJson) return ToJsonLine(item) + "\n";
    if (form_ == OutputForm::kYaml) return "---\n" + ToYaml(item);
    return EscapeLine(item.name()) + "\n";
  }

  // It is no longer there: a row of that state.
  void AddGone(const std::string& name, std::vector<TableCells>* rows, std::string* text) const {
    Item gone;
    gone.set_name(name);
    gone.set_state("deleted");
    *text += Format(gone);
    TableCells cells(resource_.columns(form_ == OutputForm::kWide).size());
    cells[0] = name;
    cells[1] = gone.state();
    rows->push_back(std::move(cells));
  }

  const Resource<Message, Item>& resource_;
  const OutputForm form_;
  TextTable table_;
  bool has_header_ = false;
  std::map<std::string, std::string> seen_;  // name -> what is not measured
};

}  // namespace millrace
