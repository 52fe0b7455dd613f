#include "engine/plan/over_collector.h"

#include <algorithm>
#include <utility>

#include "engine/plan/aggregate_collector.h"
#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/literals.h"
#include "engine/plan/type_syntax.h"

namespace millrace {
namespace {

// Of PostgreSQL's frameOptions (nodes/parsenodes.h).
enum FrameOption : int64_t {
  kNonDefault = 0x1,
  kRange = 0x2,
  kGroups = 0x8,
  kStartUnboundedPreceding = 0x20,
  kEndUnboundedFollowing = 0x100,
  kStartCurrentRow = 0x200,
  kEndCurrentRow = 0x400,
  kStartOffsetPreceding = 0x800,
  kEndOffsetPreceding = 0x1000,
  kExclusion = 0x8000 | 0x10000 | 0x20000,
};

constexpr int64_t kRangeDaysMax = 36'525;

// The call without its OVER, as aggregates are bound.
Syntax WithoutOver(const Syntax& call) {
  Syntax copy;
  copy.tag = call.tag;
  copy.offset = call.offset;
  for (size_t i = 0; i < call.names.size(); ++i) {
    if (call.names[i] == "over") continue;
    copy.names.push_back(call.names[i]);
    copy.values.push_back(call.values[i]);
  }
  return copy;
}

bool IsPlainCall(const SqlText& sql, const Syntax& call, const std::string& name) {
  if (const Syntax* filter = call.Find("agg_filter")) {
    sql.Error(*filter, "FILTER does not go with " + name + "()", "it is for aggregates");
    return false;
  }
  return RefuseOtherFields(sql, call, {"funcname", "args", "funcformat", "over"});
}

}  // namespace

// ---- Windows -----------------------------------------------------------------------------------

bool OverCollector::ReadWindows() {
  bool good = true;
  for (const Syntax& syntax : select_.List("windowClause")) {
    const std::string name = syntax.Text("name");
    std::optional<Window> window = ReadWindow(syntax);
    good = good && window.has_value();
    if (!windows_.emplace(name, std::move(window)).second) {
      sql_.Error(syntax, "window '" + name + "' is already defined");
      good = false;
    }
  }
  return good;
}

std::optional<OverCollector::Window> OverCollector::ReadWindow(const Syntax& syntax) {
  if (!RefuseOtherFields(sql_, syntax,
                         {"name", "refname", "partitionClause", "orderClause", "frameOptions",
                          "startOffset", "endOffset"})) {
    return std::nullopt;
  }
  Window window;
  if (const std::string base = syntax.Text("refname"); !base.empty()) {
    const auto found = windows_.find(base);
    if (found == windows_.end()) {
      NoSuchWindow(syntax, base);
      return std::nullopt;
    }
    if (!found->second.has_value()) return std::nullopt;  // told already
    window = *found->second;
    const std::string what = " of window '" + base + "'";
    std::string mistake;
    if (!syntax.List("partitionClause").empty()) {
      mistake = "cannot override PARTITION BY" + what;
    } else if (window.is_ordered && !syntax.List("orderClause").empty()) {
      mistake = "cannot override ORDER BY" + what;
    } else if (window.is_framed) {
      mistake = "cannot copy window '" + base + "' because it has a frame";
    }
    if (!mistake.empty()) {
      sql_.Error(syntax, mistake, window.is_framed ? "write OVER " + base : "");
      return std::nullopt;
    }
  }
  bool good = ReadPartition(syntax, &window);
  const std::vector<Syntax>& order = syntax.List("orderClause");
  if (!order.empty()) {
    good = ReadOrder(order[0]) && good;
    if (order.size() > 1) {
      sql_.Error(order[1], "OVER is ordered by the event time alone",
                 "rows of one time are in the order of all columns that the query uses");
      good = false;
    }
    window.is_ordered = true;
  }
  good = ReadFrame(syntax, &window) && good;
  if (!good) return std::nullopt;
  return window;
}

void OverCollector::NoSuchWindow(const Syntax& syntax, const std::string& name) const {
  std::vector<std::string> names;
  names.reserve(windows_.size());
  for (const auto& [known, window] : windows_) names.push_back(known);
  sql_.Error(syntax, "window '" + name + "' does not exist", SuggestName(name, names));
}

bool OverCollector::ReadPartition(const Syntax& syntax, Window* window) {
  bool good = true;
  for (const Syntax& item : syntax.List("partitionClause")) {
    window->is_partitioned = true;
    std::optional<Expr> key = ExpressionBinder(sql_, row_scope_).BindValue(item);
    if (key.has_value() && key->type == Type::kJson) {
      sql_.Error(item, "could not identify an equality operator for type json",
                 "take a part of it as text: x->>'key'");
      key.reset();
    }
    good = good && key.has_value();
    if (!key.has_value()) continue;
    if (std::ranges::find(window->partition, *key) == window->partition.end()) {
      window->partition.push_back(std::move(*key));
    }
  }
  return good;
}

// The event time, ascending.
bool OverCollector::ReadOrder(const Syntax& item) {
  const Syntax* node = item.Find("node");
  if (!RefuseOtherFields(sql_, item, {"node", "sortby_dir", "sortby_nulls"}) || node == nullptr) {
    return false;
  }
  if (from_.time_column < 0) {
    sql_.Error(item, "OVER needs an event time, and '" + from_.stream + "' has none",
               from_.no_time_hint);
    return false;
  }
  const Field& time = row_scope_.columns->fields[size_t(from_.time_column)];
  const std::optional<Expr> expr = ExpressionBinder(sql_, row_scope_).BindValue(*node);
  if (!expr.has_value()) return false;
  const std::string direction = item.Text("sortby_dir");
  if (direction == "SORTBY_DESC" || direction == "SORTBY_USING") {
    sql_.Error(item, "rows come in ascending order of event time only",
               "write ORDER BY " + time.name);
    return false;
  }
  if (*expr == ColumnExpr(from_.time_column, time.type)) return true;
  sql_.Error(item, "OVER orders rows by their event time, '" + time.name + "'",
             "write ORDER BY " + time.name);
  return false;
}

bool OverCollector::ReadFrame(const Syntax& syntax, Window* window) {
  const int64_t options = syntax.Integer("frameOptions");
  if ((options & kNonDefault) == 0) return true;
  window->is_framed = true;
  if ((options & kGroups) != 0) {
    sql_.Error(syntax, "GROUPS in OVER is not supported", "write ROWS or RANGE");
    return false;
  }
  if ((options & kExclusion) != 0) {
    sql_.Error(syntax, "EXCLUDE in OVER is not supported");
    return false;
  }
  if ((options & kEndUnboundedFollowing) != 0) {
    sql_.Error(syntax, "a frame cannot end at UNBOUNDED FOLLOWING: a stream has no end",
               "end it at CURRENT ROW, or so many rows or so much time later");
    return false;
  }
  OverFrame& frame = window->frame;
  frame.is_range = (options & kRange) != 0;
  frame.from_first = (options & kStartUnboundedPreceding) != 0;
  bool good = true;
  const auto read = [&](const char* field, bool preceding, int64_t* place) {
    const Syntax* node = syntax.Find(field);
    if (node == nullptr) return;
    const std::optional<int64_t> offset = ReadOffset(*node, frame.is_range);
    good = good && offset.has_value();
    if (offset.has_value()) *place = preceding ? -*offset : *offset;
  };
  if (!frame.from_first && (options & kStartCurrentRow) == 0) {
    read("startOffset", (options & kStartOffsetPreceding) != 0, &frame.first);
  }
  if ((options & kEndCurrentRow) == 0) {
    read("endOffset", (options & kEndOffsetPreceding) != 0, &frame.last);
  }
  if (good && !frame.from_first && frame.last < frame.first) {
    sql_.Error(syntax, "a frame cannot end before it begins");
    return false;
  }
  return good;
}

std::optional<int64_t> OverCollector::ReadOffset(const Syntax& node, bool is_range) {
  if (!is_range) return ReadRows(node, "ROWS", 0, kOverRowsMax);
  return ReadLength(node, "the length of a RANGE");
}

std::optional<int64_t> OverCollector::ReadLength(const Syntax& node, const std::string& what) {
  std::optional<Bound> bound;
  if (node.tag != "ColumnRef") {
    BindScope scope;
    const Schema nothing;
    int64_t copies = 0;
    scope.columns = &nothing;
    scope.copies_left = &copies;
    scope.no_aggregates = scope.no_over = what + " must be a literal";
    bound = ExpressionBinder(sql_, scope).Bind(node);
    if (!bound.has_value()) return std::nullopt;
    if (bound->open_text) {
      std::optional<Expr> read =
          ExpressionBinder(sql_, scope).Coerce(node, std::move(*bound), Type::kInterval);
      if (!read.has_value()) return std::nullopt;
      bound = Bound{std::move(*read)};
    }
  }
  const auto* interval = bound ? std::get_if<Interval>(&bound->expr.literal) : nullptr;
  if (interval == nullptr) {
    sql_.Error(node, what + " must be an interval", "write INTERVAL '5 minutes'");
    return std::nullopt;
  }
  if (interval->months != 0) {
    sql_.Error(node, what + " must be fixed", "months and years differ in length; write days");
    return std::nullopt;
  }
  const std::optional<Micros> length = FixedLength(*interval);
  if (!length.has_value() || *length > std::chrono::days(kRangeDaysMax)) {
    sql_.Error(node, what + " is too long");
    return std::nullopt;
  }
  if (*length < Micros(0)) {
    sql_.Error(node, what + " must not be negative");
    return std::nullopt;
  }
  return length->count();
}

std::optional<int64_t> OverCollector::ReadRows(const Syntax& node, const std::string& what,
                                               int64_t least, int64_t most) {
  const Syntax* number = node.tag == "A_Const" ? node.Find("ival") : nullptr;
  if (number != nullptr && number->Integer("ival") >= least && number->Integer("ival") <= most) {
    return number->Integer("ival");
  }
  sql_.Error(node, "the number of " + what + " is a whole number from " + std::to_string(least) +
                       " to " + std::to_string(most));
  return std::nullopt;
}

// One query puts its rows in order once.
bool OverCollector::TakePartition(const Syntax& over, const Window& window) {
  if (!std::exchange(has_partition_, true)) {
    over_->partition = window.partition;
    return true;
  }
  if (std::ranges::is_permutation(over_->partition, window.partition)) return true;
  sql_.Error(over, "a query has one PARTITION BY in all of its windows",
             "compute what has another one in a query over this stream");
  return false;
}

// ---- Calls -------------------------------------------------------------------------------------

std::optional<Bound> OverCollector::BindOver(const Syntax& call, const std::string& name) {
  const Syntax& over = *call.Find("over");
  static constexpr std::array kWhole =
      std::to_array<std::string_view>({"percent_rank", "cume_dist", "ntile"});
  if (std::ranges::find(kWhole, name) != kWhole.end()) {
    sql_.Error(call, name + "() is not supported: it needs all rows of a partition",
               "a stream has no end");
    return std::nullopt;
  }
  const OverFunctionInfo* const info = FindOverFunction(name);
  if (info == nullptr && FindAggregate(name) == nullptr) {
    const std::vector<std::string>& known = FunctionNames();
    if (std::ranges::find(known, name) != known.end()) {
      sql_.Error(over, "OVER does not go with " + name + "(): it is no window function");
      return std::nullopt;
    }
    std::vector<std::string> all = OverFunctionNames();
    all.insert(all.end(), AggregateNames().begin(), AggregateNames().end());
    sql_.Error(call, "unknown function '" + name + "'", SuggestName(name, all));
    return std::nullopt;
  }
  std::optional<Window> window;
  if (const std::string named = over.Text("name"); !named.empty()) {
    const auto found = windows_.find(named);
    if (found == windows_.end()) {
      NoSuchWindow(over, named);
      return std::nullopt;
    }
    window = found->second;
  } else {
    window = ReadWindow(over);
  }
  if (!window.has_value()) return std::nullopt;
  if (!window->is_ordered) {
    const std::string time =
        from_.time_column < 0
            ? ""
            : "write ORDER BY " + row_scope_.columns->fields[size_t(from_.time_column)].name;
    sql_.Error(over, "OVER needs ORDER BY and the event time", time);
    return std::nullopt;
  }
  if (info != nullptr && info->form != OverForm::kFunction) {
    if (!TakePartition(over, *window)) return std::nullopt;
    return BindForm(call, *info);
  }
  BoundOverCall bound;
  bound.frame = window->frame;
  Expr shape;
  if (info != nullptr) {
    bound.function = info->function;
    if (!info->is_framed()) bound.frame = OverFrame();
    if (!BindArguments(call, *info, &bound)) return std::nullopt;
    shape = ColumnExpr(0, bound.result);
    shape.is_local_time =
        !info->is_of_health() && bound.argument.has_value() && bound.argument->is_local_time;
  } else if (!BindAggregate(call, name, &bound, &shape)) {
    return std::nullopt;
  }
  if (!TakePartition(over, *window)) return std::nullopt;
  // Behind a cast, where a real is aggregated as double precision.
  Expr* column = shape.kind == Expr::Kind::kCast ? &shape.args[0] : &shape;
  column->column = Add(std::move(bound));
  return Bound{std::move(shape)};
}

int OverCollector::Add(BoundOverCall bound) {
  const auto same = std::ranges::find_if(
      over_->calls, [&](const BoundOverCall& other) { return other.SameAs(bound); });
  const int index = int(same - over_->calls.begin());
  if (same == over_->calls.end()) over_->calls.push_back(std::move(bound));
  return int(row_scope_.columns->fields.size()) + index;
}

bool OverCollector::BindAggregate(const Syntax& call, const std::string& name, BoundOverCall* bound,
                                  Expr* shape) {
  if (call.Flag("agg_distinct")) {
    sql_.Error(call, "DISTINCT does not go with OVER");
    return false;
  }
  const AggregateFunction function = FindAggregate(name)->function;
  const bool needs_order = NeedsOrder(function);
  if (!call.List("agg_order").empty() && !needs_order) {
    sql_.Error(call, call.Flag("agg_within_group") ? "WITHIN GROUP does not go with OVER"
                                                   : "ORDER BY in an aggregate does not go with "
                                                     "OVER");
    return false;
  }
  AggregateSpec spec;
  spec.function = function;
  if (!FollowsFrames(spec) && !needs_order) {
    sql_.Error(call, name + "() does not go with OVER",
               "it needs all rows of its frame again and again: use a window in FROM");
    return false;
  }
  if (needs_order && bound->frame.from_first) {
    sql_.Error(call, name + "() needs all values of its frame, and this one only grows",
               "begin the frame so many rows or so much time before, as ROWS 99 PRECEDING");
    return false;
  }
  std::vector<BoundAggregate> aggregates;
  std::optional<Bound> aggregate =
      AggregateCollector(sql_, row_scope_, &aggregates).BindAggregate(WithoutOver(call), name);
  if (!aggregate.has_value()) return false;
  bound->function = OverFunction::kAggregate;
  bound->aggregate = std::move(aggregates[0]);
  bound->result = bound->aggregate.result;
  bound->unit = bound->aggregate.unit;
  bound->is_json = bound->aggregate.is_json;
  bound->name = bound->aggregate.name + " OVER (" + FrameText(bound->frame) + ")";
  *shape = std::move(aggregate->expr);
  return true;
}

bool OverCollector::CheckArguments(const Syntax& call, const OverFunctionInfo& info) const {
  const std::string name(info.name);
  if (!IsPlainCall(sql_, call, name)) return false;
  const int count = int(call.List("args").size());
  if (count >= info.arguments_min && count <= info.arguments_max) return true;
  sql_.Error(call,
             name + "() does not take " + std::to_string(count) +
                 (count == 1 ? " argument" : " arguments"),
             "write " + std::string(info.call));
  return false;
}

bool OverCollector::BindArguments(const Syntax& call, const OverFunctionInfo& info,
                                  BoundOverCall* bound) {
  const std::string name(info.name);
  if (!CheckArguments(call, info)) return false;
  const std::vector<Syntax>& args = call.List("args");
  const int count = int(args.size());
  if (count == 0) {
    bound->name = name + "()";
    return true;
  }
  bound->argument = info.is_of_health() ? BindComparable(args[0])
                                        : ExpressionBinder(sql_, row_scope_).BindValue(args[0]);
  bool good = bound->argument.has_value();
  if (info.function == OverFunction::kLag || info.function == OverFunction::kLead ||
      info.function == OverFunction::kNthValue) {
    bound->rows = 1;
    if (count > 1) {
      const int64_t least = info.function == OverFunction::kNthValue ? 1 : 0;
      const std::optional<int64_t> rows =
          ReadRows(args[1], "rows in " + name + "()", least, kOverRowsMax);
      good = good && rows.has_value();
      if (good) bound->rows = *rows;
    }
  }
  if (good && count > 2) good = BindOtherwise(args[2], name, bound);
  if (!good) return false;
  bound->result = bound->argument->type;
  if (info.function == OverFunction::kUnchangedRows) bound->result = Type::kBigint;
  if (info.function == OverFunction::kUnchangedSince) bound->result = Type::kTimestamp;
  if (bound->argument->kind == Expr::Kind::kColumn && !info.is_of_health()) {
    const Field& field = row_scope_.columns->fields[size_t(bound->argument->column)];
    bound->unit = field.unit;
    bound->is_json = field.is_json;
  }
  bound->name = name + "(" + FormatExpr(*bound->argument, *row_scope_.columns);
  if (count > 1) bound->name += ", " + std::to_string(bound->rows);
  if (bound->otherwise.has_value()) {
    bound->name += ", " + FormatExpr(*bound->otherwise, *row_scope_.columns);
  }
  bound->name += ")";
  if (info.is_framed()) bound->name += " OVER (" + FrameText(bound->frame) + ")";
  return true;
}

// As the argument, or both as the wider type.
bool OverCollector::BindOtherwise(const Syntax& node, const std::string& name,
                                  BoundOverCall* bound) {
  ExpressionBinder binder(sql_, row_scope_);
  std::optional<Bound> other = binder.Bind(node);
  if (!other.has_value()) return false;
  const Type type = bound->argument->type;
  const Type from = other->expr.type;
  if (!IsOpen(*other) && from != type && IsImplicitCast(type, from)) {
    bound->argument = MakeExpr(Expr::Kind::kCast, from, {std::move(*bound->argument)});
    bound->otherwise = std::move(other->expr);
    return true;
  }
  if (!IsOpen(*other) && from != type && !IsImplicitCast(from, type)) {
    sql_.Error(node, name + "() of " + std::string(TypeName(type)) + " cannot give " +
                         std::string(TypeName(from)));
    return false;
  }
  bound->otherwise = binder.Coerce(node, std::move(*other), type);
  return bound->otherwise.has_value();
}

// "ROWS BETWEEN 9 PRECEDING AND CURRENT ROW"
std::string OverCollector::FrameText(const OverFrame& frame) const {
  const auto bound = [&](int64_t offset) -> std::string {
    if (offset == 0) return "CURRENT ROW";
    const int64_t distance = offset < 0 ? -offset : offset;
    const std::string length =
        frame.is_range ? FormatDuration(Micros(distance)) : std::to_string(distance);
    return length + (offset < 0 ? " PRECEDING" : " FOLLOWING");
  };
  return std::string(frame.is_range ? "RANGE" : "ROWS") + " BETWEEN " +
         (frame.from_first ? "UNBOUNDED PRECEDING" : bound(frame.first)) + " AND " +
         bound(frame.last);
}

}  // namespace millrace
