#include "engine/plan/planner.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "engine/plan/bound_job.h"
#include "engine/plan/expression_binder.h"
#include "engine/plan/key_placement.h"
#include "engine/plan/plan_mistakes.h"
#include "engine/plan/query_binder.h"
#include "engine/plan/stream_binder.h"
#include "engine/plan/stream_reader.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {
namespace {

constexpr std::string_view kAlertPrefix = "SELECT ";

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

class Planner {
 public:
  Planner(const JobSpec& job, Diagnostics* diagnostics)
      : job_(job),
        diagnostics_(diagnostics),
        mistakes_(diagnostics),
        whole_(!diagnostics->has_errors()) {}

  JobPlan Plan() {
    ReadStreams(job_, diagnostics_, &bound_);
    BindStreams(job_, mistakes_, &bound_);
    for (const AlertSpec& alert : job_.alerts) BindAlert(alert);
    for (size_t i = 0; i < job_.sinks.size(); ++i) BindSink(int(i));
    if (job_.sinks.empty() && whole_) {
      Error(SourcePlace{}, "the job has no sinks", "add spec.sinks");
    }
    if (whole_) WarnOfUnused();
    JobPlan empty;
    empty.job = job_.name;
    if (diagnostics_->has_errors()) return empty;
    JobPlan plan = LayOutPlan(job_, bound_);
    PlaceKeys(&plan);
    return plan;
  }

 private:
  BoundStream& At(int index) { return bound_.streams[size_t(index)]; }

  void Error(SourcePlace place, const std::string& message, const std::string& hint = "") {
    mistakes_.Error(place, message, hint);
  }

  void BindAlert(const AlertSpec& alert) {
    const std::optional<int> index = StreamNamed(job_, alert.stream.text);
    if (!index.has_value()) {
      Error(alert.stream.place, "unknown stream '" + alert.stream.text + "'",
            SuggestStream(job_, alert.stream.text));
      return;
    }
    MarkUsed(*index);
    const SqlText sql(alert.expr, std::string(kAlertPrefix), diagnostics_);
    const std::optional<Syntax> select = ParseSelect(sql);
    const Syntax* condition = select.has_value() ? AlertCondition(sql, *select) : nullptr;
    if (condition == nullptr || !At(*index).bound) return;
    CheckAlertIdentity(alert, At(*index));
    AlertRule rule;
    rule.alert = alert.alert;
    BindScope scope;
    int64_t copies_left = kCopiedNodesMax;
    scope.columns = &At(*index).schema;
    scope.relations = {{At(*index).spec->name, 0, int(At(*index).schema.fields.size())}};
    scope.copies_left = &copies_left;
    scope.no_aggregates = "aggregate functions are not allowed in an alert";
    scope.no_aggregates_hint = "compute the aggregate in the stream";
    scope.no_over = "window functions are not allowed in an alert";
    scope.no_over_hint = "compute it in the stream";
    std::optional<Expr> expr = ExpressionBinder(sql, scope).BindCondition(*condition, "expr");
    rule.labels = BindTemplates(alert.labels, At(*index).schema);
    rule.annotations = BindTemplates(alert.annotations, At(*index).schema);
    if (!expr.has_value()) return;
    rule.condition = std::move(*expr);
    const auto known = std::ranges::find_if(
        bound_.alerts, [&](const BoundAlerts& alerts) { return alerts.stream == *index; });
    BoundAlerts& alerts =
        known != bound_.alerts.end() ? *known : bound_.alerts.emplace_back(BoundAlerts{*index, {}});
    alerts.rules.push_back(std::move(rule));
  }

  // `expr` is parsed as the one item of a select list; whatever else the text holds is refused.
  static const Syntax* AlertCondition(const SqlText& sql, const Syntax& select) {
    if (select.Text("op") != "SETOP_NONE") {
      sql.Error(0, "expected one expression");
      return nullptr;
    }
    if (!RefuseOtherFields(sql, select, {"targetList", "limitOption", "op"})) return nullptr;
    const std::vector<Syntax>& targets = select.List("targetList");
    if (targets.size() != 1 || targets[0].Find("name") != nullptr) {
      const size_t odd = targets.size() > 1 ? 1 : 0;
      sql.Error(targets.empty() ? 0 : targets[odd].offset, "expected one expression");
      return nullptr;
    }
    if (!RefuseOtherFields(sql, targets[0], {"val"})) return nullptr;
    return targets[0].Find("val");
  }

  // An alert on windows is known by its key and window: rows must carry both.
  void CheckAlertIdentity(const AlertSpec& alert, const BoundStream& stream) {
    if (!stream.windowed || stream.known_by_row) return;
    std::string missing = stream.window_end < 0 ? "window_end" : "";
    for (const GroupingColumn& key : stream.grouping) {
      if (key.column < 0) missing += (missing.empty() ? "" : ", ") + key.name;
    }
    if (missing.empty()) return;
    Error(alert.stream.place,
          "an alert needs to know the window and the key of '" + stream.spec->name + "'",
          "select " + missing + " there");
  }

  std::vector<std::pair<std::string, Template>> BindTemplates(
      const std::map<std::string, PlacedText>& texts, const Schema& schema) {
    std::vector<std::pair<std::string, Template>> templates;
    templates.reserve(texts.size());
    for (const auto& [name, text] : texts) {
      templates.emplace_back(name, BindTemplate(text, schema));
    }
    return templates;
  }

  Template BindTemplate(const PlacedText& placed, const Schema& schema) {
    Template result;
    const std::string_view text = placed.text;
    size_t at = 0;
    for (;;) {
      const size_t open = text.find("{{", at);
      if (open == std::string_view::npos) break;
      const size_t close = text.find("}}", open);
      if (close == std::string_view::npos) {
        Error(placed.PlaceAt(open), "'{{' without '}}'");
        break;
      }
      const std::string name(TrimSpaces(text.substr(open + 2, close - open - 2)));
      const int column = schema.IndexOf(name);
      if (column < 0) {
        Error(placed.PlaceAt(open),
              name.empty() ? "expected a column between '{{' and '}}'"
                           : "unknown column '" + name + "'",
              SuggestName(name, schema.Names()));
      }
      result.literals.emplace_back(text.substr(at, open - at));
      result.columns.push_back(std::max(column, 0));
      at = close + 2;
    }
    result.literals.emplace_back(text.substr(std::min(at, text.size())));
    return result;
  }

  void BindSink(int index) {
    const SinkSpec& sink = job_.sinks[size_t(index)];
    if (!sink.stream.has_value()) {
      if (job_.alerts.empty() && whole_) Error(sink.place, "there are no alerts for this sink");
      CheckPartitions(sink, AlertSchema(), AllAlertsHaveTime());
      bound_.sinks.push_back({index, -1});
      return;
    }
    const std::optional<int> stream = StreamNamed(job_, sink.stream->text);
    if (!stream.has_value()) {
      Error(sink.stream->place, "unknown stream '" + sink.stream->text + "'",
            SuggestStream(job_, sink.stream->text));
      return;
    }
    MarkUsed(*stream);
    if (!At(*stream).bound) return;
    CheckPartitions(sink, At(*stream).schema,
                    At(*stream).window_end >= 0 || At(*stream).event_time >= 0);
    CheckRecordKey(sink, At(*stream));
    if (sink.rows == SinkRows::kChanges) CheckChanges(sink, At(*stream));
    bound_.sinks.push_back({index, *stream});
  }

  // Rows that change replace each other: who takes them needs what they are known by.
  void CheckChanges(const SinkSpec& sink, const BoundStream& stream) {
    const std::string& name = stream.spec->name;
    const auto* spec = std::get_if<QueryStreamSpec>(&stream.spec->kind);
    if (stream.window_clock.has_value()) {
      Error(sink.rows_place,
            "rows: changes does not go with windows that close a key at a time, as those of '" +
                name + "' do (per_key)",
            "take final rows");
      return;
    }
    const bool changes = spec != nullptr && (spec->allowed_lateness || spec->changes_every);
    if (!stream.from.windowed || stream.from.gap > Micros(0) || !changes) {
      Error(sink.rows_place, "rows of '" + name + "' do not change",
            stream.from.gap > Micros(0)
                ? "sessions are given out once, when they are final"
                : "add allowed_lateness or emit to a stream with tumble(...) or hop(...), and "
                  "take its rows");
      return;
    }
    if (stream.query.having.has_value() || stream.query.top.has_value()) {
      Error(sink.rows_place,
            std::string("rows: changes does not go with ") +
                (stream.query.top.has_value() ? "ORDER BY and LIMIT" : "HAVING") + " in '" + name +
                "': a row that was given out and then left out could not be taken back",
            "filter in a stream over '" + name + "', or take final rows");
      return;
    }
    if (spec->panes_of.has_value()) {
      Error(sink.rows_place, "rows: changes does not go with panes_of in '" + name + "'",
            "its readings come a pane at a time: take the rows of '" + spec->panes_of->text + "'");
      return;
    }
    // Windows that cumulate have their start in common.
    const bool known =
        stream.from.cumulates ? stream.window_end >= 0 : !stream.window_columns.empty();
    std::string missing = known ? "" : "window_end";
    for (const GroupingColumn& key : stream.grouping) {
      if (key.column < 0) missing += (missing.empty() ? "" : ", ") + key.name;
    }
    if (missing.empty()) {
      CheckKeyOfChanges(sink, stream);
      return;
    }
    Error(sink.rows_place, "rows: changes needs to know the window and the key of '" + name + "'",
          "select " + missing + " there");
  }

  // A record replaces the one before it that has the same key: it must be of the same window and
  // group.
  void CheckKeyOfChanges(const SinkSpec& sink, const BoundStream& stream) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.target);
    if (kafka == nullptr || kafka->key.empty()) return;
    const auto name = [&](int column) { return stream.schema.fields[size_t(column)].name; };
    const auto in_key = [&](int column) {
      return std::ranges::any_of(kafka->key,
                                 [&](const PlacedText& key) { return key.text == name(column); });
    };
    // Windows of one size are known by either; those that cumulate have their start in common.
    std::vector<int> window = {stream.window_end, stream.window_start};
    std::erase(window, -1);
    std::string missing = std::ranges::any_of(window, in_key) ? "" : name(window.front());
    for (const GroupingColumn& key : stream.grouping) {
      if (in_key(key.column)) continue;
      missing += (missing.empty() ? "" : ", ") + name(key.column);
    }
    if (missing.empty()) return;
    Error(kafka->key.front().place,
          "with rows: changes the key holds the window and the grouping columns, so that a row "
          "replaces no other one's",
          "add " + missing);
  }

  void CheckRecordKey(const SinkSpec& sink, const BoundStream& stream) {
    const auto* kafka = std::get_if<KafkaSinkSpec>(&sink.target);
    if (kafka == nullptr) return;
    for (const PlacedText& key : kafka->key) {
      const int column = stream.schema.IndexOf(key.text);
      if (column < 0) {
        Error(key.place, "'" + stream.spec->name + "' has no column '" + key.text + "'",
              SuggestName(key.text, stream.schema.Names()));
      } else if (stream.schema.fields[size_t(column)].type == Type::kJson) {
        Error(key.place, "the column '" + key.text + "' is json, which is not compared",
              "select the part of it that is the key");
      }
    }
  }

  bool AllAlertsHaveTime() {
    return std::ranges::all_of(bound_.alerts, [&](const BoundAlerts& alerts) {
      return At(alerts.stream).event_time >= 0 || At(alerts.stream).window_end >= 0;
    });
  }

  void CheckPartitions(const SinkSpec& sink, const Schema& schema, bool timed) {
    const auto* parquet = std::get_if<ParquetSinkSpec>(&sink.target);
    if (parquet == nullptr) return;
    for (const std::string& name : parquet->partition_by) {
      if (schema.IndexOf(name) >= 0) continue;
      if (name != "date") {
        std::vector<std::string> known = schema.Names();
        known.push_back("date");
        Error(sink.place, "unknown column '" + name + "' in partition_by",
              SuggestName(name, known));
      } else if (!timed) {
        Error(sink.place, "partition_by date needs a time",
              "select window_end or the event time in the stream");
      }
    }
  }

  void MarkUsed(int index) {
    std::vector<int> next = {index};
    while (!next.empty()) {
      BoundStream& stream = At(next.back());
      next.pop_back();
      if (std::exchange(stream.used, true)) continue;
      next.insert(next.end(), stream.inputs.begin(), stream.inputs.end());
      if (stream.panes_of >= 0) next.push_back(stream.panes_of);
    }
  }

  void WarnOfUnused() {
    std::vector<bool> read(bound_.streams.size(), false);
    std::vector<bool> looked_up(job_.lookups.size(), false);
    for (const BoundStream& stream : bound_.streams) {
      for (const int input : stream.inputs) read[size_t(input)] = true;
      if (stream.lookup.lookup >= 0) looked_up[size_t(stream.lookup.lookup)] = true;
      // Though it may be no stream whose panes fit.
      const auto* query = std::get_if<QueryStreamSpec>(&stream.spec->kind);
      if (query == nullptr || !query->panes_of.has_value()) continue;
      const std::optional<int> giver = StreamNamed(job_, query->panes_of->text);
      if (giver.has_value()) read[size_t(*giver)] = true;
    }
    // A query that could not be read may have named any stream.
    const bool all_read = std::ranges::all_of(bound_.streams, [](const BoundStream& stream) {
      return !stream.inputs.empty() || stream.kind == BoundStream::Kind::kSource;
    });
    for (size_t i = 0; all_read && i < looked_up.size(); ++i) {
      if (looked_up[i]) continue;
      diagnostics_->Warning(job_.lookups[i].place,
                            "nothing uses lookup '" + job_.lookups[i].name + "'",
                            "join a stream with it");
    }
    for (size_t i = 0; all_read && i < job_.streams.size(); ++i) {
      if (bound_.streams[i].used || read[i]) continue;
      diagnostics_->Warning(job_.streams[i].place,
                            "nothing uses stream '" + job_.streams[i].name + "'",
                            "add a sink, an alert or a query that reads it");
    }
    for (const StreamSpec& stream : job_.streams) WarnOfChangesUnused(stream);
    const bool alert_sink = std::ranges::any_of(
        job_.sinks, [](const SinkSpec& sink) { return !sink.stream.has_value(); });
    if (!job_.alerts.empty() && !alert_sink) {
      diagnostics_->Warning(job_.alerts[0].place, "no sink takes the alerts",
                            "add a sink with alerts: all");
    }
  }

  void WarnOfChangesUnused(const StreamSpec& stream) {
    const auto* query = std::get_if<QueryStreamSpec>(&stream.kind);
    if (query == nullptr || !query->changes_every.has_value()) return;
    const bool taken = std::ranges::any_of(job_.sinks, [&](const SinkSpec& sink) {
      return sink.rows == SinkRows::kChanges && sink.stream.has_value() &&
             sink.stream->text == stream.name;
    });
    if (taken) return;
    diagnostics_->Warning(query->changes_every->place,
                          "no sink takes the running rows of '" + stream.name + "'",
                          "say rows: changes in a kafka or console sink of it");
  }

  const JobSpec& job_;
  Diagnostics* diagnostics_;
  const PlanMistakes mistakes_;
  const bool whole_;  // it found none: what is missing is missing in the file
  BoundJob bound_;
};

}  // namespace

JobPlan PlanJob(const JobSpec& job, Diagnostics* diagnostics) {
  return Planner(job, diagnostics).Plan();
}

}  // namespace millrace
