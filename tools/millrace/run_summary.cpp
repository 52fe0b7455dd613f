#include "tools/millrace/run_summary.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>

#include "engine/connectors/json/row_encoder.h"

namespace millrace {
namespace {

// The severity label of each alert, where it is a plain text.
std::map<std::string, std::string> Severities(const JobPlan& plan) {
  std::map<std::string, std::string> severities;
  for (const PlanNode& node : plan.nodes) {
    const auto* alerts = std::get_if<AlertNode>(&node.kind);
    if (alerts == nullptr) continue;
    for (const AlertRule& rule : alerts->rules) {
      for (const auto& [label, text] : rule.labels) {
        if (label == "severity" && text.columns.empty()) severities[rule.alert] = text.literals[0];
      }
    }
  }
  return severities;
}

std::string Quoted(const std::string& text) {
  std::string quoted;
  AppendJsonText(text, &quoted);
  return quoted;
}

std::string JsonObject(const std::map<std::string, int64_t>& counts) {
  std::string text = "{";
  for (const auto& [name, count] : counts) {
    if (text.size() > 1) text += ",";
    text += Quoted(name) + ":" + std::to_string(count);
  }
  return text + "}";
}

std::string Listed(const std::map<std::string, int64_t>& counts) {
  if (counts.empty()) return "none";
  std::string text;
  for (const auto& [name, count] : counts) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", count, name);
  }
  return text;
}

// A job that failed stopped in the middle: what a stream has received and not accounted for was on
// its way.
std::string Verdict(const RunSummary& summary, const RunSummary::Stream& stream) {
  if (stream.difference == 0) return "balanced";
  if (!summary.ok) return fmt::format("{} on their way", stream.difference);
  return fmt::format("DIFFERS by {}", stream.difference);
}

}  // namespace

RunSummary Summarize(const JobPlan& plan, const JobAccount& account, const RunFigures& figures,
                     const Status& status, MonotonicTime elapsed) {
  RunSummary summary;
  summary.ok = status.ok();
  if (!status.ok()) summary.error = status.message();
  summary.seconds = std::chrono::duration<double>(elapsed).count();
  summary.checkpoints = figures.checkpoints;
  summary.checkpoint_stall_p99_seconds =
      std::chrono::duration<double>(figures.stalls.Quantile(0.99)).count();
  summary.latency_p50_seconds =
      std::chrono::duration<double>(figures.latency.Quantile(0.5)).count();
  summary.latency_p99_seconds =
      std::chrono::duration<double>(figures.latency.Quantile(0.99)).count();
  summary.keys = figures.KeysByStream();
  for (const auto& [sink, stats] : figures.sinks) summary.rows_by_sink[sink] = stats.rows_written;
  for (const auto& [key, count] : account.DeadLetters()) {
    summary.dead_letters_by_reason[key.second] += count;
  }
  const auto severities = Severities(plan);
  for (const auto& [alert, count] : account.Alerts()) {
    summary.alerts_by_name[alert] = count;
    const auto severity = severities.find(alert);
    summary.alerts_by_severity[severity == severities.end() ? "none" : severity->second] += count;
  }
  std::map<std::string, bool> is_source, is_windowed;
  for (const PlanNode& node : plan.nodes) {
    is_source[node.stream] |= std::holds_alternative<SourceNode>(node.kind);
    is_windowed[node.stream] |= std::holds_alternative<WindowAggregateNode>(node.kind);
  }
  for (const auto& [name, stream] : account.streams()) {
    RunSummary::Stream row{name,
                           stream->rows_in,
                           stream->filtered,
                           stream->counted,
                           stream->open,
                           account.DeadLettersOf(name),
                           stream->rows_out,
                           account.Difference(name)};
    if (is_source[name]) summary.readings_in += row.rows_in;
    if (is_windowed[name]) summary.windows_out += row.rows_out;
    summary.lost += stream->lost;
    summary.empty_records += stream->empty_records;
    summary.balanced = summary.balanced && row.difference == 0;
    summary.streams.push_back(std::move(row));
  }
  // A failed job stops in the middle: what was on its way counts nowhere.
  if (!status.ok()) summary.balanced = true;
  return summary;
}

std::string FormatSummary(const RunSummary& summary, bool colour) {
  const char* bold = colour ? "\033[1m" : "";
  const char* plain = colour ? "\033[0m" : "";
  std::string text = fmt::format("\n{}Summary{} after {:.1f} s\n", bold, plain, summary.seconds);
  text += fmt::format("  readings in   {}\n", summary.readings_in);
  text += fmt::format("  windows out   {}\n", summary.windows_out);
  text += fmt::format("  alerts        {}\n", Listed(summary.alerts_by_severity));
  text += fmt::format("  dead letters  {}\n", Listed(summary.dead_letters_by_reason));
  if (summary.lost > 0) text += fmt::format("  lost          {} offsets\n", summary.lost);
  if (summary.empty_records > 0) {
    text += fmt::format("  empty         {} records without a reading\n", summary.empty_records);
  }
  text += fmt::format("  latency       p50 {:.0f} ms, p99 {:.0f} ms (fetched to delivered)\n",
                      summary.latency_p50_seconds * 1e3, summary.latency_p99_seconds * 1e3);
  text += fmt::format("  checkpoints   {}\n", summary.checkpoints);
  for (const auto& [stream, census] : summary.keys) {
    if (census.behind == 0 && census.offline == 0) continue;
    text += fmt::format("  keys          {}: {} live, {} behind, {} offline\n", stream, census.live,
                        census.behind, census.offline);
    if (!census.furthest.empty()) {
      text += fmt::format("                furthest behind: {}\n", FurthestBehind(census));
    }
  }
  text += "  account       in = counted + filtered + open + dead letters\n";
  for (const RunSummary::Stream& stream : summary.streams) {
    text += fmt::format("    {:<16} {} = {} + {} + {} + {}  {}\n", stream.name, stream.rows_in,
                        stream.counted, stream.filtered, stream.open, stream.dead_letters,
                        Verdict(summary, stream));
  }
  return text;
}

std::string SummaryJson(const RunSummary& summary) {
  std::string streams;
  for (const RunSummary::Stream& stream : summary.streams) {
    if (!streams.empty()) streams += ",";
    streams += fmt::format(
        "{}:{{\"rows_in\":{},\"filtered\":{},\"counted\":{},\"open\":{},\"dead_letters\":{},"
        "\"rows_out\":{},\"difference\":{}}}",
        Quoted(stream.name), stream.rows_in, stream.filtered, stream.counted, stream.open,
        stream.dead_letters, stream.rows_out, stream.difference);
  }
  std::string keys;
  for (const auto& [stream, census] : summary.keys) {
    if (!keys.empty()) keys += ",";
    keys += fmt::format("{}:{{\"live\":{},\"behind\":{},\"offline\":{}}}", Quoted(stream),
                        census.live, census.behind, census.offline);
  }
  return fmt::format(
      "{{\"ok\":{},\"error\":{},\"seconds\":{:.3f},\"readings_in\":{},\"windows_out\":{},"
      "\"lost\":{},\"empty_records\":{},\"checkpoints\":{},\"checkpoint_stall_p99_seconds\":{:.6f},"
      "\"alerts_by_"
      "severity\":{},\"alerts_by_name\":{},"
      "\"dead_letters_by_reason\":{},\"rows_by_sink\":{},\"latency_p50_seconds\":{:.6f},"
      "\"latency_p99_seconds\":{:.6f},\"balanced\":{},\"keys\":{{{}}},\"streams\":{{{}}}}}\n",
      summary.ok, Quoted(summary.error), summary.seconds, summary.readings_in, summary.windows_out,
      summary.lost, summary.empty_records, summary.checkpoints,
      summary.checkpoint_stall_p99_seconds, JsonObject(summary.alerts_by_severity),
      JsonObject(summary.alerts_by_name), JsonObject(summary.dead_letters_by_reason),
      JsonObject(summary.rows_by_sink), summary.latency_p50_seconds, summary.latency_p99_seconds,
      summary.balanced, keys, streams);
}

Status WriteSummary(const RunSummary& summary, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  file << SummaryJson(summary);
  file.close();
  if (!file) return ExternalError("unwritable_path", "cannot write '" + path + "'", Retry::kNo);
  return Status::OK();
}

}  // namespace millrace
