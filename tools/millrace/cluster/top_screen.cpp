#include "tools/millrace/cluster/top_screen.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "tools/millrace/cluster/quantities.h"
#include "tools/millrace/cluster/status_tables.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/text_table.h"

namespace millrace {
namespace {

std::string FormatRate(double a_second) { return FormatCount(std::llround(a_second)); }

std::string JobsTable(const proto::JobList& list, const JobRates& rates) {
  std::vector<const proto::JobStatus*> jobs;
  for (const proto::JobStatus& job : list.jobs()) jobs.push_back(&job);
  std::ranges::sort(jobs, {}, [](const proto::JobStatus* job) {
    return std::tuple(job->state() == "running", -job->lag_records(), job->name());
  });
  std::vector<TableCells> rows;
  for (const proto::JobStatus* const job : jobs) {
    const auto rate = rates.Of(job->name());
    rows.push_back({job->name(), job->state(), ParallelismText(*job),
                    rate ? FormatRate(rate->in) : "", rate ? FormatRate(rate->out) : "",
                    FormatCount(job->lag_records()), FormatSeconds(job->watermark_delay_seconds()),
                    FormatSeconds(job->seconds_since_checkpoint()), FormatBytes(job->state_bytes()),
                    std::to_string(job->restarts())});
  }
  return TextTable({{"JOB"},
                    {"STATE"},
                    {"PAR", true},
                    {"IN/S", true},
                    {"OUT/S", true},
                    {"LAG", true},
                    {"WM-DELAY", true},
                    {"LAST-CKPT", true},
                    {"STATE-SIZE", true},
                    {"RESTARTS", true}})
      .Format(rows);
}

std::string WorkersTable(const proto::WorkerList& list, const proto::JobList& jobs) {
  std::map<std::string, int> used;
  for (const proto::JobStatus& job : jobs.jobs()) {
    for (const std::string& worker : job.slot_workers()) ++used[worker];
  }
  std::vector<TableCells> rows;
  for (const proto::WorkerStatus& worker : list.workers()) {
    rows.push_back({worker.name(), worker.state(), std::to_string(worker.slots()),
                    std::to_string(used[worker.name()]), std::to_string(worker.jobs_size()),
                    FormatSeconds(worker.seconds_since_beat())});
  }
  return TextTable({{"WORKER"},
                    {"STATE"},
                    {"SLOTS", true},
                    {"USED", true},
                    {"JOBS", true},
                    {"BEAT", true}})
      .Format(rows);
}

}  // namespace

void JobRates::Update(const proto::JobList& jobs, MonotonicTime now) {
  std::map<std::string, Seen> seen;
  for (const proto::JobStatus& job : jobs.jobs()) {
    Seen& one = seen[job.name()];
    one = {job.attempt(), job.records_in(), job.records_out(), now, std::nullopt};
    const auto found = seen_.find(job.name());
    if (found == seen_.end()) continue;
    const Seen& before = found->second;
    const double seconds = std::chrono::duration<double>(now - before.at).count();
    const bool comparable =
        before.attempt == one.attempt && before.in <= one.in && before.out <= one.out;
    if (!comparable || seconds <= 0) continue;
    one.rate = Rate{double(one.in - before.in) / seconds, double(one.out - before.out) / seconds};
  }
  seen_ = std::move(seen);
}

std::optional<JobRates::Rate> JobRates::Of(const std::string& job) const {
  const auto found = seen_.find(job);
  return found == seen_.end() ? std::nullopt : found->second.rate;
}

std::string FormatTop(const ClusterSight& sight, const JobRates& rates) {
  const proto::ClusterStatus& cluster = sight.cluster;
  return EscapeLine(fmt::format("cluster {}: {} leads (term {}), {} jobs, {} workers",
                                cluster.cluster(), cluster.coordinator(), cluster.term(),
                                sight.jobs.jobs_size(), sight.workers.workers_size())) +
         "\n\n" + JobsTable(sight.jobs, rates) + "\n" + WorkersTable(sight.workers, sight.jobs);
}

std::string CutToScreen(const std::string& text, size_t columns, size_t lines) {
  std::string cut;
  std::string_view rest = text;
  for (size_t line = 0; line < lines && !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (line > 0) cut += '\n';
    cut += CutToWidth(rest.substr(0, end), columns);
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return cut;
}

}  // namespace millrace
