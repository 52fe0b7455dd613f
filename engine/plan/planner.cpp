#include "engine/plan/planner.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "engine/plan/bound_job.h"
#include "engine/plan/expression_binder.h"
#include "engine/plan/query_binder.h"
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
        told_before_(diagnostics->items().size()),
        whole_(!diagnostics->has_errors()) {}

  JobPlan Plan() {
    ReadStreams();
    PutInOrder();
    for (const int index : bound_.order) BindStream(index);
    for (const int index : bound_.order) BindPanes(index);
    for (const AlertSpec& alert : job_.alerts) BindAlert(alert);
    for (size_t i = 0; i < job_.sinks.size(); ++i) BindSink(int(i));
    if (job_.sinks.empty() && whole_) {
      Error(SourcePlace{}, "the job has no sinks", "add spec.sinks");
    }
    if (whole_) WarnOfUnused();
    JobPlan empty;
    empty.job = job_.name;
    if (diagnostics_->has_errors()) return empty;
    return LayOutPlan(job_, bound_);
  }

 private:
  BoundStream& At(int index) { return bound_.streams[size_t(index)]; }

  // The job file's reader and the planner may find the same mistake: it is told once.
  void Error(SourcePlace place, const std::string& message, const std::string& hint = "") {
    for (size_t i = 0; i < told_before_; ++i) {
      const Diagnostic& item = diagnostics_->items()[i];
      if (item.severity == Severity::kError && item.place == place && place.line > 0) return;
    }
    diagnostics_->Error(place, message, hint);
  }

  std::optional<int> StreamNamed(const std::string& name) const {
    for (size_t i = 0; i < job_.streams.size(); ++i) {
      if (job_.streams[i].name == name) return int(i);
    }
    return std::nullopt;
  }

  std::string SuggestStream(const std::string& name) const {
    std::vector<std::string> names;
    names.reserve(job_.streams.size());
    for (const StreamSpec& stream : job_.streams) names.push_back(stream.name);
    return SuggestName(name, names);
  }

  // Parses every query and finds its input. `syntax_` stays empty where that failed.
  void ReadStreams() {
    bound_.streams.resize(job_.streams.size());
    syntax_.resize(job_.streams.size());
    for (size_t i = 0; i < job_.streams.size(); ++i) {
      BoundStream& stream = bound_.streams[i];
      stream.spec = &job_.streams[i];
      const auto* query = std::get_if<QueryStreamSpec>(&stream.spec->kind);
      if (query == nullptr) continue;
      const SqlText sql(query->sql, "", diagnostics_);
      std::optional<Syntax> select = ParseSelect(sql);
      std::optional<FromClause> from;
      if (select.has_value()) from = ReadFrom(sql, *select);
      if (!from.has_value()) continue;
      const std::optional<int> input = StreamNamed(from->stream);
      if (!input.has_value()) {
        sql.Error(from->offset, "unknown stream '" + from->stream + "'",
                  SuggestStream(from->stream));
        continue;
      }
      stream.from = std::move(*from);
      stream.input = *input;
      syntax_[i] = std::move(select);
    }
  }

  // Inputs before what reads them. What is left reads a broken stream, or itself.
  void PutInOrder() {
    enum class Visit { kNew, kOpen, kDone };
    std::vector<Visit> visits(job_.streams.size(), Visit::kNew);
    for (size_t i = 0; i < job_.streams.size(); ++i) {
      std::vector<int> path;
      int at = int(i);
      while (at >= 0 && visits[size_t(at)] == Visit::kNew) {
        visits[size_t(at)] = Visit::kOpen;
        path.push_back(at);
        at = At(at).input;
      }
      if (at >= 0 && visits[size_t(at)] == Visit::kOpen) ReportCycle(path, at);
      for (auto it = path.rbegin(); it != path.rend(); ++it) {
        visits[size_t(*it)] = Visit::kDone;
        bound_.order.push_back(*it);
      }
    }
  }

  void ReportCycle(const std::vector<int>& path, int first) {
    const auto start = std::ranges::find(path, first);
    std::string names;
    for (auto it = start; it != path.end(); ++it) names += At(*it).spec->name + " -> ";
    names += At(first).spec->name;
    const auto& query = std::get<QueryStreamSpec>(At(first).spec->kind);
    const SqlText sql(query.sql, "", diagnostics_);
    if (path.end() - start == 1) {
      sql.Error(At(first).from.offset, "stream '" + At(first).spec->name + "' reads itself");
    } else {
      sql.Error(At(first).from.offset, "streams read each other in a cycle: " + names);
    }
  }

  void BindStream(int index) {
    BoundStream& stream = At(index);
    if (const auto* source = std::get_if<SourceStreamSpec>(&stream.spec->kind)) {
      for (const SourceColumn& column : source->columns)
        stream.schema.fields.push_back(column.field);
      if (source->event_time.has_value()) {
        stream.event_time = stream.schema.IndexOf(source->event_time->column);
        if (!CheckEventTime(*source->event_time, stream)) return;
      }
      stream.bound = true;
      return;
    }
    if (!syntax_[size_t(index)].has_value() || !At(stream.input).bound) return;
    const SqlText sql(std::get<QueryStreamSpec>(stream.spec->kind).sql, "", diagnostics_);
    const BoundStream& input = At(stream.input);
    const bool timed = !stream.from.windowed || CheckWindowInput(sql, stream, input);
    stream.from.time_column = input.windowed ? input.window_end : input.event_time;
    if (stream.from.time_column < 0) stream.from.no_time_hint = HintForTime(input);
    std::optional<BoundQuery> query =
        BindQuery(sql, *syntax_[size_t(index)], stream.from, input.schema);
    if (!query.has_value() || !timed) return;
    stream.query = std::move(*query);
    stream.windowed = input.windowed || stream.from.windowed;
    stream.over = !stream.windowed && (input.over || !stream.query.over.calls.empty());
    if (!CheckEmission(stream)) return;
    if (stream.from.windowed) {
      DescribeWindowed(input, &stream);
    } else {
      DescribePlain(input, &stream);
    }
    stream.bound = true;
  }

  bool CheckEventTime(const EventTimeSpec& spec, const BoundStream& stream) {
    if (stream.event_time < 0) {
      Error(spec.place, "unknown column '" + spec.column + "'",
            SuggestName(spec.column, stream.schema.Names()));
      return false;
    }
    if (stream.schema.fields[size_t(stream.event_time)].type == Type::kTimestamp) return true;
    Error(spec.place, "the event time must be a timestamp column");
    return false;
  }

  // What is said of late readings and of rows that change needs a window.
  bool CheckEmission(const BoundStream& stream) {
    const auto& spec = std::get<QueryStreamSpec>(stream.spec->kind);
    const auto refuse = [&](const std::optional<PlacedDuration>& given, const std::string& what,
                            const std::string& hint) {
      if (given.has_value()) Error(given->place, what, hint);
      return !given.has_value();
    };
    if (!stream.from.windowed) {
      const std::string hint = "say it of the stream with tumble(...) or hop(...)";
      bool good =
          refuse(spec.allowed_lateness, "allowed_lateness needs a window in this query", hint);
      good = refuse(spec.changes_every, "emit needs a window in this query", hint) && good;
      return RefusePanes(spec, "panes_of needs a window in this query") && good;
    }
    if (stream.from.gap > Micros(0)) {
      const bool good =
          refuse(spec.changes_every, "emit does not go with session",
                 "what a session's row is known by, its start and end, changes as it grows");
      return RefusePanes(spec, "panes_of does not go with session: it has no panes") && good;
    }
    return true;
  }

  bool RefusePanes(const QueryStreamSpec& spec, const std::string& why) {
    if (spec.panes_of.has_value()) Error(spec.panes_of->place, why);
    return !spec.panes_of.has_value();
  }

  // Finds the stream whose panes another one takes, and whether they are what that one needs.
  void BindPanes(int index) {
    BoundStream& stream = At(index);
    const auto* spec = std::get_if<QueryStreamSpec>(&stream.spec->kind);
    if (spec == nullptr || !spec->panes_of.has_value() || !stream.bound) return;
    const std::string& name = spec->panes_of->text;
    const std::optional<int> giver = StreamNamed(name);
    if (!giver.has_value()) {
      Error(spec->panes_of->place, "unknown stream '" + name + "'", SuggestStream(name));
      return;
    }
    if (!At(*giver).bound) return;
    const std::string problem = WhyNotPanesOf(stream, At(*giver));
    if (!problem.empty()) {
      Error(spec->panes_of->place, problem);
      return;
    }
    int at = *giver;
    for (size_t steps = 0; at >= 0 && at != index && steps <= bound_.streams.size(); ++steps) {
      at = At(at).panes_of;
    }
    if (at == index) {
      Error(spec->panes_of->place, "streams take each other's panes in a cycle");
      return;
    }
    stream.panes_of = *giver;
  }

  static std::string WhyNotPanesOf(const BoundStream& taker, const BoundStream& giver) {
    const std::string& name = giver.spec->name;
    if (!giver.from.windowed || giver.input != taker.input || giver.from.gap > Micros(0)) {
      return "'" + name + "' is not a window over '" + taker.from.stream + "'";
    }
    if (giver.query.where != taker.query.where) return "'" + name + "' has another WHERE";
    const auto same_key = [](const BoundKey& a, const BoundKey& b) { return a.expr == b.expr; };
    if (!std::ranges::equal(giver.query.keys, taker.query.keys, same_key)) {
      return "'" + name + "' is grouped by other columns";
    }
    const auto same = [](const BoundAggregate& a, const BoundAggregate& b) { return a.SameAs(b); };
    if (!std::ranges::equal(giver.query.aggregates, taker.query.aggregates, same)) {
      return "'" + name + "' has other aggregates, or in another order";
    }
    for (const BoundAggregate& aggregate : taker.query.aggregates) {
      AggregateSpec spec;
      spec.function = aggregate.function;
      spec.distinct = aggregate.distinct;
      if (aggregate.argument.has_value()) spec.argument_type = aggregate.argument->type;
      if (aggregate.second.has_value()) spec.second_type = aggregate.second->type;
      if (HasFixedState(spec)) continue;
      return "what " + aggregate.name +
             " keeps of a pane has no fixed size: such panes are not handed on";
    }
    const auto& lateness = std::get<QueryStreamSpec>(giver.spec->kind).allowed_lateness;
    if (lateness.has_value() && lateness->value > Micros(0)) {
      return "panes of '" + name + "' change after their end: it has allowed_lateness";
    }
    const Micros pane = giver.from.pane();
    if (taker.from.pane() % pane == Micros(0) &&
        (taker.from.window_offset - giver.from.window_offset) % pane == Micros(0)) {
      return "";
    }
    return "its windows are not put together from panes of '" + name + "', " +
           FormatDuration(pane) + " long";
  }

  // Rows that change replace each other: who takes them needs what they are known by.
  void CheckChanges(const SinkSpec& sink, const BoundStream& stream) {
    const std::string& name = stream.spec->name;
    const auto* spec = std::get_if<QueryStreamSpec>(&stream.spec->kind);
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
    if (missing.empty()) return;
    Error(sink.rows_place, "rows: changes needs to know the window and the key of '" + name + "'",
          "select " + missing + " there");
  }

  // A window needs to know a row's time.
  bool CheckWindowInput(const SqlText& sql, const BoundStream& stream, const BoundStream& input) {
    if (input.windowed ? input.window_end >= 0 : input.event_time >= 0) return true;
    sql.Error(stream.from.offset,
              "a window needs an event time, and '" + input.spec->name + "' has none",
              HintForTime(input));
    return false;
  }

  // What to add where the time of a stream's rows is not known.
  std::string HintForTime(const BoundStream& input) {
    const std::string& name = input.spec->name;
    if (input.windowed) return "select window_end in '" + name + "'";
    if (input.input >= 0 && At(input.input).event_time >= 0) {
      const BoundStream& above = At(input.input);
      return "select " + above.schema.fields[size_t(above.event_time)].name + " in '" + name + "'";
    }
    if (input.input >= 0) return "add event_time to the source and select it in '" + name + "'";
    return "add event_time to '" + name + "'";
  }

  static int Selected(const BoundQuery& query, int column) {
    for (size_t i = 0; column >= 0 && i < query.columns.size(); ++i) {
      const Expr& expr = query.columns[i].expr;
      if (expr.kind == Expr::Kind::kColumn && expr.column == column) return int(i);
    }
    return -1;
  }

  // `input`: what the query reads, behind which the calls with OVER are.
  static Field FieldOf(const Schema& input, const BoundStream& stream, const Expr& column) {
    const size_t index = size_t(column.column);
    if (index < input.fields.size()) return input.fields[index];
    const BoundOverCall& call = stream.query.over.calls[index - input.fields.size()];
    return {"", call.result, call.unit, call.is_json};
  }

  static void DescribePlain(const BoundStream& input, BoundStream* stream) {
    const Schema columns = stream->query.unnest.has_value()
                               ? UnnestedSchema(*stream->query.unnest, input.schema)
                               : input.schema;
    for (const BoundColumn& column : stream->query.columns) {
      Field field;
      if (column.expr.kind == Expr::Kind::kColumn) field = FieldOf(columns, *stream, column.expr);
      field.name = column.name;
      field.type = column.expr.type;
      stream->schema.fields.push_back(std::move(field));
    }
    stream->event_time = Selected(stream->query, input.event_time);
    stream->window_end = Selected(stream->query, input.window_end);
    for (const GroupingColumn& key : input.grouping) {
      stream->grouping.push_back({key.name, Selected(stream->query, key.column)});
    }
    if (stream->over && input.grouping.empty()) {
      // What the rows are about: the columns by which they are partitioned.
      for (const Expr& key : stream->query.over.partition) {
        if (key.kind != Expr::Kind::kColumn) continue;
        const int selected = Selected(stream->query, key.column);
        if (selected < 0) continue;
        stream->grouping.push_back({stream->schema.fields[size_t(selected)].name, selected});
      }
    }
    for (const int column : input.window_columns) {
      const int selected = Selected(stream->query, column);
      if (selected >= 0) stream->window_columns.push_back(selected);
    }
  }

  static void DescribeWindowed(const BoundStream& input, BoundStream* stream) {
    const BoundQuery& query = stream->query;
    const int key_count = int(query.keys.size());
    for (const BoundColumn& column : query.columns) {
      Field field;
      const int of = column.expr.kind == Expr::Kind::kColumn ? column.expr.column - 2 : -1;
      if (of >= key_count) {
        field.unit = query.aggregates[size_t(of - key_count)].unit;
        field.is_json = query.aggregates[size_t(of - key_count)].is_json;
      } else if (of >= 0 && query.keys[size_t(of)].expr.kind == Expr::Kind::kColumn) {
        field = input.schema.fields[size_t(query.keys[size_t(of)].expr.column)];
      }
      field.name = column.name;
      field.type = column.expr.type;
      stream->schema.fields.push_back(std::move(field));
    }
    stream->window_end = stream->event_time = Selected(query, 1);
    for (int i = 0; i < key_count; ++i) {
      stream->grouping.push_back({query.keys[size_t(i)].name, Selected(query, 2 + i)});
    }
    const std::array<bool, 2> grouped = {query.groups_by_start, query.groups_by_end};
    for (const int column : {0, 1}) {
      const int selected = grouped[size_t(column)] ? Selected(query, column) : -1;
      if (selected >= 0) stream->window_columns.push_back(selected);
    }
  }

  void BindAlert(const AlertSpec& alert) {
    const std::optional<int> index = StreamNamed(alert.stream.text);
    if (!index.has_value()) {
      Error(alert.stream.place, "unknown stream '" + alert.stream.text + "'",
            SuggestStream(alert.stream.text));
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
    scope.qualifiers = {At(*index).spec->name};
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
    if (!stream.windowed) return;
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
    const std::optional<int> stream = StreamNamed(sink.stream->text);
    if (!stream.has_value()) {
      Error(sink.stream->place, "unknown stream '" + sink.stream->text + "'",
            SuggestStream(sink.stream->text));
      return;
    }
    MarkUsed(*stream);
    if (!At(*stream).bound) return;
    CheckPartitions(sink, At(*stream).schema,
                    At(*stream).window_end >= 0 || At(*stream).event_time >= 0);
    if (sink.rows == SinkRows::kChanges) CheckChanges(sink, At(*stream));
    bound_.sinks.push_back({index, *stream});
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
    while (index >= 0 && !At(index).used) {
      At(index).used = true;
      if (At(index).panes_of >= 0) MarkUsed(At(index).panes_of);
      index = At(index).input;
    }
  }

  void WarnOfUnused() {
    std::vector<bool> read(job_.streams.size(), false);
    for (const BoundStream& stream : bound_.streams) {
      if (stream.input >= 0) read[size_t(stream.input)] = true;
      // Though it may be no stream whose panes fit.
      const auto* query = std::get_if<QueryStreamSpec>(&stream.spec->kind);
      if (query == nullptr || !query->panes_of.has_value()) continue;
      const std::optional<int> giver = StreamNamed(query->panes_of->text);
      if (giver.has_value()) read[size_t(*giver)] = true;
    }
    // A query that could not be read may have named any stream.
    const bool all_read = std::ranges::all_of(bound_.streams, [](const BoundStream& stream) {
      return stream.input >= 0 || std::holds_alternative<SourceStreamSpec>(stream.spec->kind);
    });
    for (size_t i = 0; all_read && i < bound_.streams.size(); ++i) {
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
  const size_t told_before_;  // mistakes that the file's reader found
  const bool whole_;          // it found none: what is missing is missing in the file
  BoundJob bound_;
  std::vector<std::optional<Syntax>> syntax_;
};

}  // namespace

JobPlan PlanJob(const JobSpec& job, Diagnostics* diagnostics) {
  return Planner(job, diagnostics).Plan();
}

}  // namespace millrace
