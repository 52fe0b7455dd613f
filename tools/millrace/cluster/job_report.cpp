#include "tools/millrace/cluster/job_report.h"

#include <spdlog/fmt/fmt.h>

#include <string_view>
#include <vector>

#include "tools/millrace/cluster/log_text.h"
#include "tools/millrace/cluster/quantities.h"
#include "tools/millrace/cluster/status_tables.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/text_table.h"

namespace millrace {
namespace {

constexpr std::string_view kIndent = "  ";
constexpr int kNameWidth = 12;
const std::string kValueIndent(kNameWidth, ' ');

// "Name        value", where there is a value.
void AddFact(std::string_view name, std::string_view value, std::string* report) {
  if (value.empty()) return;
  *report += fmt::format("{:<{}}{}\n", name, kNameWidth, EscapeLines(value, kValueIndent));
}

void AddStatus(const proto::JobDescription& description, std::string* report) {
  const proto::JobStatus& job = description.status();
  AddFact("Job", job.name(), report);
  std::string state = job.state() + " for " + FormatSeconds(job.seconds_in_state());
  if (job.desired() != job.state()) state += ", shall be " + job.desired();
  if (!job.why().empty()) state += ": " + job.why();
  AddFact("State", state, report);
  AddFact("Failure", job.last_failure(), report);
  AddFact("Attempt",
          fmt::format("{}; {} restart{} since this coordinator leads", job.attempt(),
                      job.restarts(), job.restarts() == 1 ? "" : "s"),
          report);
  std::string slots = ParallelismText(job);
  if (job.slot_workers_size() > 0) slots += ": " + SlotsByWorker(job);
  AddFact("Slots", slots, report);
  std::string checkpoint = "none yet of this attempt";
  if (job.seconds_since_checkpoint() >= 0) {
    checkpoint = fmt::format("epoch {}, {} ago; {} of this attempt; state {}", job.last_epoch(),
                             FormatSeconds(job.seconds_since_checkpoint()), job.checkpoints(),
                             FormatBytes(job.state_bytes()));
  }
  AddFact("Checkpoint", checkpoint, report);
  if (job.unpublished_epochs() > 0) {
    AddFact("Unpublished", fmt::format("output of {} epochs", job.unpublished_epochs()), report);
  }
  AddFact("Records",
          fmt::format("{} in, {} out, of this attempt; lag {}", FormatCount(job.records_in()),
                      FormatCount(job.records_out()), FormatCount(job.lag_records())),
          report);
  AddFact("File", description.file_name(), report);
  AddFact("Age", job.age(), report);
}

template <typename Lines>
void AddList(std::string_view title, const Lines& lines, std::string* report) {
  if (lines.empty()) return;
  *report += fmt::format("\n{}\n", title);
  for (const std::string& line : lines) {
    *report += fmt::format("{}- {}\n", kIndent, EscapeLines(line, "    "));
  }
}

void AddTable(std::string_view title, const std::vector<TableColumn>& columns,
              const std::vector<TableCells>& rows, std::string* report) {
  if (rows.empty()) return;
  *report += fmt::format("\n{}\n", title);
  *report += std::string(kIndent) + EscapeLines(TextTable(columns).Format(rows), kIndent) + "\n";
}

// "readings/3, 12m0s behind the next one"
std::string HeldBy(const proto::SourceStatus& source) {
  if (source.held_by().empty()) return "";
  if (source.held_for_seconds() <= 0) return source.held_by();
  return source.held_by() + ", " + FormatSeconds(source.held_for_seconds()) +
         " behind the next one";
}

void AddSources(const proto::JobDescription& description, std::string* report) {
  std::vector<TableCells> rows;
  for (const proto::SourceStatus& source : description.sources()) {
    std::string idle;
    for (const std::string& partition : source.idle_partitions()) {
      idle += (idle.empty() ? "" : " ") + partition;
    }
    rows.push_back({source.stream(), source.watermark(),
                    FormatSeconds(source.watermark_delay_seconds()),
                    FormatCount(source.lag_records()), std::to_string(source.partitions()),
                    HeldBy(source), idle});
  }
  AddTable("Sources",
           {{"STREAM"},
            {"WATERMARK"},
            {"DELAY", true},
            {"LAG", true},
            {"PARTITIONS", true},
            {"HELD-BY"},
            {"IDLE"}},
           rows, report);
}

// "3 behind, 1 offline; device-7 by 40m, device-9 by 12m"
std::string KeysText(const proto::StreamStatus& stream) {
  std::string text;
  if (stream.keys_behind() > 0 || stream.keys_offline() > 0) {
    text = fmt::format("{} behind, {} offline", stream.keys_behind(), stream.keys_offline());
  }
  if (stream.furthest_behind().empty()) return text;
  return text + (text.empty() ? "" : "; ") + stream.furthest_behind();
}

void AddStreams(const proto::JobDescription& description, std::string* report) {
  std::vector<TableCells> rows;
  for (const proto::StreamStatus& stream : description.streams()) {
    rows.push_back({stream.name(), FormatCount(stream.records_in()), FormatCount(stream.filtered()),
                    FormatCount(stream.late()), FormatCount(stream.dead_letters()),
                    FormatCount(stream.windows_fired()), stream.watermark(), KeysText(stream)});
  }
  AddTable("Streams",
           {{"STREAM"},
            {"IN", true},
            {"FILTERED", true},
            {"LATE", true},
            {"DEAD", true},
            {"WINDOWS", true},
            {"WATERMARK"},
            {"KEYS"}},
           rows, report);
}

void AddSinks(const proto::JobDescription& description, std::string* report) {
  std::vector<TableCells> rows;
  std::vector<std::string> warnings;
  for (const proto::SinkStatus& sink : description.sinks()) {
    rows.push_back({sink.name(), sink.target(), FormatCount(sink.records_out()),
                    FormatSeconds(sink.latency_seconds())});
    if (!sink.last_warning().empty()) warnings.push_back(sink.name() + ": " + sink.last_warning());
  }
  AddTable("Sinks", {{"SINK"}, {"TARGET"}, {"OUT", true}, {"LATENCY", true}}, rows, report);
  AddList("Warnings of sinks", warnings, report);
}

}  // namespace

std::string FormatJobReport(const proto::JobDescription& description) {
  std::string report;
  AddStatus(description, &report);
  if (description.findings().empty() && description.status().state() == "running") {
    report += "\nFindings\n  none: nothing is known that holds its output back\n";
  }
  AddList("Findings", description.findings(), &report);
  AddList("Limits", description.status().notes(), &report);
  AddSources(description, &report);
  AddStreams(description, &report);
  AddSinks(description, &report);
  if (!description.log().empty()) {
    report += "\nLog\n";
    for (const proto::LogLine& line : description.log()) {
      report += std::string(kIndent) + EscapeLines(FormatLogLine(line), kIndent) + "\n";
    }
  }
  return report;
}

}  // namespace millrace
