#include "tools/millrace/cluster/status_tables.h"

#include <spdlog/fmt/fmt.h>

#include <map>

#include "tools/millrace/cluster/quantities.h"

namespace millrace {
namespace {

constexpr size_t kGenerationShown = 8;  // as `savepoint list` of a local run shows it

TableColumn Text(std::string title) { return {std::move(title), false, false}; }
TableColumn Number(std::string title) { return {std::move(title), true, false}; }
TableColumn Measured(std::string title) { return {std::move(title), true, true}; }

template <typename Names>
std::string Joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

}  // namespace

std::string SlotsByWorker(const proto::JobStatus& job) {
  std::map<std::string, int> slots;
  for (const std::string& worker : job.slot_workers()) ++slots[worker];
  std::string text;
  for (const auto& [worker, count] : slots) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, worker);
  }
  return text;
}

std::string ParallelismText(const proto::JobStatus& job) {
  const int32_t wanted = job.wanted_parallelism();
  if (wanted == 0 || wanted == job.parallelism()) return std::to_string(job.parallelism());
  return fmt::format("{} of {}", job.parallelism(), wanted);
}

std::vector<TableColumn> JobColumns(bool wide) {
  std::vector<TableColumn> columns = {
      Text("NAME"),          Text("STATE"),      Text("DESIRED"),
      Number("PAR"),         Measured("LAG"),    Measured("WM-DELAY"),
      Measured("LAST-CKPT"), Number("RESTARTS"), Measured("AGE")};
  if (wide) {
    columns.insert(columns.end(),
                   {Number("ATTEMPT"), Measured("EPOCH"), Measured("STATE-SIZE"), Measured("IN"),
                    Measured("OUT"), Measured("UNPUBLISHED"), Text("SLOTS"), Text("WHY")});
  }
  return columns;
}

TableCells JobCells(const proto::JobStatus& job, bool wide) {
  TableCells cells = {job.name(),
                      job.state(),
                      job.desired(),
                      ParallelismText(job),
                      FormatCount(job.lag_records()),
                      FormatSeconds(job.watermark_delay_seconds()),
                      FormatSeconds(job.seconds_since_checkpoint()),
                      std::to_string(job.restarts()),
                      job.age()};
  if (wide) {
    cells.insert(cells.end(),
                 {std::to_string(job.attempt()), std::to_string(job.last_epoch()),
                  FormatBytes(job.state_bytes()), FormatCount(job.records_in()),
                  FormatCount(job.records_out()), std::to_string(job.unpublished_epochs()),
                  SlotsByWorker(job), job.why()});
  }
  return cells;
}

std::vector<TableColumn> WorkerColumns(bool wide) {
  std::vector<TableColumn> columns = {Text("NAME"),   Text("STATE"),    Number("SLOTS"),
                                      Number("JOBS"), Measured("BEAT"), Text("BUILD")};
  if (wide) columns.insert(columns.end(), {Text("EXCHANGE"), Text("METRICS"), Text("JOB-NAMES")});
  return columns;
}

TableCells WorkerCells(const proto::WorkerStatus& worker, bool wide) {
  TableCells cells = {worker.name(),
                      worker.state(),
                      std::to_string(worker.slots()),
                      std::to_string(worker.jobs_size()),
                      FormatSeconds(worker.seconds_since_beat()),
                      worker.build()};
  if (wide) {
    cells.insert(cells.end(),
                 {worker.exchange_address(), worker.metrics_address(), Joined(worker.jobs())});
  }
  return cells;
}

std::vector<TableColumn> SavepointColumns(bool wide) {
  std::vector<TableColumn> columns = {Text("NAME"), Text("STATE"), Number("EPOCH"), Text("CREATED"),
                                      Text("GENERATION")};
  if (wide) columns.push_back(Text("WHY"));
  return columns;
}

TableCells SavepointCells(const proto::SavepointStatus& savepoint, bool wide) {
  TableCells cells = {savepoint.name(), savepoint.state(),
                      savepoint.epoch() > 0 ? std::to_string(savepoint.epoch()) : "",
                      savepoint.created(), savepoint.generation()};
  if (wide) {
    cells.push_back(savepoint.why());
  } else {
    cells.back() = cells.back().substr(0, kGenerationShown);
  }
  return cells;
}

}  // namespace millrace
