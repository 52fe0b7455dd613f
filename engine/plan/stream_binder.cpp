#include "engine/plan/stream_binder.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/functions.h"
#include "engine/plan/join_binder.h"
#include "engine/plan/query_binder.h"
#include "engine/plan/resample.h"
#include "engine/plan/stream_clock.h"
#include "engine/plan/stream_reader.h"
#include "engine/plan/type_syntax.h"

namespace millrace {
namespace {

using Kind = BoundStream::Kind;

constexpr size_t kJoinColumnsMax = 4000;
// A reader or task runs what follows once for each.
constexpr int64_t kUnionWaysMax = 1000;

// What a column of one branch of UNION ALL and one of another have in common; kNull: nothing.
Type CommonType(Type a, Type b) {
  if (a == b || IsImplicitCast(b, a)) return a;
  return IsImplicitCast(a, b) ? b : Type::kNull;
}

bool IsNullLiteral(const Expr& expr) {
  return expr.kind == Expr::Kind::kLiteral && std::holds_alternative<std::monostate>(expr.literal);
}

Expr IntervalExpr(Micros length) {
  return LiteralExpr(Literal(Interval{0, 0, length.count()}), Type::kInterval);
}

class StreamBinder {
 public:
  StreamBinder(const JobSpec& job, const PlanMistakes& mistakes, BoundJob* bound)
      : job_(job), mistakes_(mistakes), bound_(*bound) {}

  void Bind() {
    for (const int index : bound_.order) BindStream(index);
    for (const int index : bound_.order) BindPanes(index);
  }

 private:
  BoundStream& At(int index) { return bound_.streams[size_t(index)]; }
  void Error(SourcePlace place, const std::string& message, const std::string& hint = "") {
    mistakes_.Error(place, message, hint);
  }

  void BindStream(int index) {
    BoundStream& stream = At(index);
    if (stream.kind == Kind::kSource) {
      BindSource(&stream);
      return;
    }
    const bool reads = !stream.inputs.empty() && std::ranges::all_of(stream.inputs, [&](int input) {
      return At(input).bound;
    });
    if (!reads) return;
    const SqlText sql(stream.sql(), "", mistakes_.diagnostics());
    switch (stream.kind) {
      case Kind::kSource:
        break;
      case Kind::kQuery:
        stream.bound = BindOne(sql, &stream);
        break;
      case Kind::kUnion:
        stream.bound = BindUnion(sql, &stream);
        break;
      case Kind::kJoin:
        stream.bound = BindJoinOf(sql, &stream);
        break;
      case Kind::kLookup:
        stream.bound = BindLookupOf(sql, &stream);
        break;
      case Kind::kPivot:
        stream.bound = BindPivot(sql, &stream);
        break;
      case Kind::kWindowRows:
        stream.bound = BindWindowRows(sql, &stream);
        break;
      case Kind::kNeighbours:
        stream.bound = BindNeighbours(sql, &stream);
        break;
      case Kind::kResample:
        stream.bound = BindResample(&stream);
        break;
    }
    if (stream.bound) stream.bound = RenameColumns(sql, &stream);
  }

  void BindSource(BoundStream* stream) {
    const auto& source = std::get<SourceStreamSpec>(stream->spec->kind);
    for (const SourceColumn& column : source.columns) stream->schema.fields.push_back(column.field);
    if (source.event_time.has_value()) {
      stream->event_time = stream->schema.IndexOf(source.event_time->column);
      if (!CheckEventTime(*source.event_time, *stream)) return;
    }
    stream->bound = BindSourceClock(source, mistakes_, stream);
  }

  bool BindOne(const SqlText& sql, BoundStream* stream) {
    BoundStream& input = At(stream->input());
    const bool timed = !stream->from.windowed || CheckTime(sql, "a window", *stream, input);
    stream->from.names_columns = stream->names_columns && stream->column_names.empty();
    JoinColumns columns = ColumnsOf(stream->from.table, input);
    stream->from.relations = std::move(columns.relations);
    stream->from.star = std::move(columns.star);
    stream->from.time_column = input.time_column();
    if (stream->from.time_column < 0) stream->from.no_time_hint = HintForTime(input);
    std::optional<BoundQuery> query = BindQuery(sql, *stream->select, stream->from, input.schema);
    if (!query.has_value() || !timed) return false;
    stream->query = std::move(*query);
    if (stream->query.unnest.has_value()) {
      stream->query.unnest->filter = Both(input.rest, std::move(stream->query.unnest->filter));
    } else {
      stream->query.where = Both(input.rest, std::move(stream->query.where));
    }
    if (input.kind == Kind::kJoin) SettleJoinTime(stream, &input);
    const bool is_keyed = stream->from.windowed || !stream->query.over.calls.empty();
    stream->ways = is_keyed ? 1 : input.ways;
    stream->windowed = input.windowed || stream->from.windowed;
    stream->known_by_row =
        !stream->from.windowed &&
        (input.known_by_row || (!stream->windowed && !stream->query.over.calls.empty()));
    if (!CheckEmission(*stream) || !BindClock(sql, mistakes_, bound_, stream)) return false;
    if (stream->from.windowed) {
      DescribeWindowed(input, stream);
    } else {
      DescribePlain(input, stream);
    }
    return true;
  }

  // WITH q(a, b), (SELECT ...) AS q(a, b): the first columns have these names.
  static bool RenameColumns(const SqlText& sql, BoundStream* stream) {
    const std::vector<PlacedName>& names = stream->column_names;
    std::vector<Field>& fields = stream->schema.fields;
    if (names.size() > fields.size()) {
      sql.Error(names[fields.size()].offset,
                "the query has " + std::to_string(fields.size()) + " columns");
      return false;
    }
    for (size_t i = 0; i < names.size(); ++i) fields[i].name = names[i].name;
    for (size_t i = 0; i < names.size(); ++i) {
      if (std::ranges::count(fields, names[i].name, &Field::name) == 1) continue;
      sql.Error(names[i].offset, "column '" + names[i].name + "' is there twice");
      return false;
    }
    return true;
  }

  // ---- UNION ALL ----
  bool BindUnion(const SqlText& sql, BoundStream* stream) {
    const BoundStream& first = At(stream->inputs[0]);
    if (!CheckEmission(*stream) || !CheckFleetClock(sql, "UNION ALL", "goes by", bound_, *stream))
      return false;
    stream->schema = first.schema;
    const size_t columns = first.schema.fields.size();
    for (size_t i = 1; i < stream->inputs.size(); ++i) {
      const Schema& other = At(stream->inputs[i]).schema;
      if (other.fields.size() == columns) continue;
      sql.Error(stream->input_offsets[i],
                "each query of UNION ALL must have the same number of columns: the first has " +
                    std::to_string(columns) + ", this one " + std::to_string(other.fields.size()));
      return false;
    }
    stream->ways = 0;
    for (const int input : stream->inputs) stream->ways += At(input).ways;
    if (stream->ways > kUnionWaysMax) {
      sql.Error(stream->input_offsets.front(),
                "rows come here in " + std::to_string(stream->ways) + " ways, at most " +
                    std::to_string(kUnionWaysMax) + " are allowed",
                "each query of a UNION ALL brings rows of its stream once more");
      return false;
    }
    for (size_t column = 0; column < columns; ++column) {
      if (!SettleColumn(sql, column, stream)) return false;
    }
    stream->event_time = CommonColumn(*stream, &BoundStream::event_time);
    stream->window_end = CommonColumn(*stream, &BoundStream::window_end);
    stream->windowed = All(*stream, [](const BoundStream& s) { return s.windowed; });
    // Rows of windows are known by window and key; but here may be two of the same.
    stream->known_by_row = stream->windowed || !All(*stream, [](const BoundStream& s) {
                             return !s.windowed && !s.known_by_row;
                           });
    if (!stream->windowed && !All(*stream, [](const BoundStream& s) { return !s.windowed; })) {
      // A row stands for a moment in some branches, and for the end of a window in others.
      stream->event_time = stream->window_end = -1;
    }
    const std::vector<int> keys = KeyColumnsOf(first);
    if (All(*stream, [&](const BoundStream& s) { return KeyColumnsOf(s) == keys; })) {
      stream->grouping = first.grouping;
    }
    if (All(*stream,
            [&](const BoundStream& s) { return s.window_columns == first.window_columns; })) {
      stream->window_columns = first.window_columns;
    }
    return true;
  }

  template <typename Predicate>
  bool All(const BoundStream& stream, Predicate predicate) {
    return std::ranges::all_of(stream.inputs, [&](int input) { return predicate(At(input)); });
  }

  int CommonColumn(const BoundStream& stream, int BoundStream::*column) {
    const int first = At(stream.inputs[0]).*column;
    return All(stream, [&](const BoundStream& s) { return s.*column == first; }) ? first : -1;
  }

  static std::vector<int> KeyColumnsOf(const BoundStream& stream) {
    std::vector<int> columns;
    columns.reserve(stream.grouping.size());
    for (const GroupingColumn& key : stream.grouping) columns.push_back(key.column);
    return columns;
  }

  // One type for the column of all branches; a NULL has any.
  bool SettleColumn(const SqlText& sql, size_t column, BoundStream* stream) {
    const auto null_of = [&](BoundStream* branch) -> Expr* {
      if (branch->kind != Kind::kQuery || column >= branch->query.columns.size()) return nullptr;
      Expr* const expr = &branch->query.columns[column].expr;
      return IsNullLiteral(*expr) ? expr : nullptr;
    };
    Field& field = stream->schema.fields[column];
    Type type = Type::kNull;
    for (size_t i = 0; i < stream->inputs.size(); ++i) {
      BoundStream& branch = At(stream->inputs[i]);
      if (null_of(&branch) != nullptr) continue;
      const Field& other = branch.schema.fields[column];
      const Type common = type == Type::kNull ? other.type : CommonType(type, other.type);
      if (common == Type::kNull) {
        sql.Error(stream->input_offsets[i],
                  "UNION types " + std::string(TypeName(type)) + " and " +
                      std::string(TypeName(other.type)) + " cannot be matched, of column '" +
                      field.name + "'",
                  "a cast may be needed");
        return false;
      }
      type = common;
      if (other.unit != field.unit) field.unit = "";
      field.is_json = field.is_json && other.is_json;
    }
    if (type == Type::kNull) type = field.type;
    field.type = type;
    for (const int input : stream->inputs) {
      BoundStream& branch = At(input);
      Expr* const null = null_of(&branch);
      if (null == nullptr) continue;
      null->type = type;
      branch.schema.fields[column].type = type;
    }
    return true;
  }

  // ---- joins ----
  bool BindJoinOf(const SqlText& sql, BoundStream* stream) {
    const BoundStream& left = At(stream->inputs[0]);
    const BoundStream& right = At(stream->inputs[1]);
    const TableRef& table = stream->from.table;
    JoinColumns columns =
        ColumnsOfJoin(table, ColumnsOf(table.inputs[0], left), ColumnsOf(table.inputs[1], right));
    if (!CheckColumnCount(sql, table, columns) ||
        !CheckFleetClock(sql, "a join", "goes by", bound_, *stream)) {
      return false;
    }
    std::optional<BoundJoin> join = BindJoin(sql, table, left, right, &columns);
    if (!join.has_value()) return false;
    stream->join = std::move(*join);
    stream->join.left_filter = Both(left.rest, std::move(stream->join.left_filter));
    stream->join.right_filter = Both(right.rest, std::move(stream->join.right_filter));
    stream->schema = std::move(columns.schema);
    stream->relations = std::move(columns.relations);
    stream->star = std::move(columns.star);
    stream->known_by_row = true;
    stream->windowed = left.windowed && right.windowed;
    const int left_columns = int(left.schema.fields.size());
    const bool of_right = stream->join.time_is_right;
    const BoundStream& timed = of_right ? right : left;
    TakeTimeOf(timed, of_right ? left_columns : 0, stream);
    TakeWindowColumnsOf(timed, of_right ? left_columns : 0, stream);
    for (const GroupingColumn& key : left.grouping) stream->grouping.push_back(key);
    for (const GroupingColumn& key : right.grouping) {
      if (IsEqualToLeft(stream->join, key.column)) continue;
      stream->grouping.push_back({key.name, Moved(key.column, left_columns)});
    }
    if (stream->join.keeps_left && stream->join.keeps_right) AddTimeOfEither(stream);
    return true;
  }

  static bool CheckColumnCount(const SqlText& sql, const TableRef& join,
                               const JoinColumns& columns) {
    if (columns.schema.fields.size() <= kJoinColumnsMax) return true;
    sql.Error(join.offset, "a join has at most " + std::to_string(kJoinColumnsMax) + " columns",
              "join queries that select what is needed");
    return false;
  }

  static int Moved(int column, int by) { return column < 0 ? -1 : column + by; }

  // The times of a join's rows are those of its side whose columns begin at `first`.
  static void TakeTimeOf(const BoundStream& side, int first, BoundStream* join) {
    join->event_time = Moved(side.event_time, first);
    if (!join->windowed) return;
    join->window_end = Moved(side.window_end, first);
    join->window_start = Moved(side.window_start, first);
    join->window_size = side.window_size;
  }
  static void TakeWindowColumnsOf(const BoundStream& side, int first, BoundStream* join) {
    join->window_columns.clear();
    for (const int column : side.window_columns) {
      join->window_columns.push_back(Moved(column, first));
    }
  }

  // Whether a key column of the right side has the value of one of the left side.
  static bool IsEqualToLeft(const BoundJoin& join, int column) {
    for (size_t i = 0; i < join.right_keys.size(); ++i) {
      if (join.right_keys[i].kind == Expr::Kind::kColumn && join.right_keys[i].column == column &&
          join.left_keys[i].kind == Expr::Kind::kColumn) {
        return true;
      }
    }
    return false;
  }

  // Of FULL JOIN: the time of the side that is there, which COALESCE(a.t, b.t) names.
  static void AddTimeOfEither(BoundStream* stream) {
    stream->event_time = int(stream->schema.fields.size());
    stream->window_end = stream->windowed ? stream->event_time : -1;
    stream->window_start = -1;
    stream->window_columns.clear();
    stream->grouping.clear();
    stream->schema.fields.push_back({"time#", Type::kTimestamp, "", false});
  }

  // Which of the two times the rows of a join have: that which is selected; the left one, where
  // both are or none.
  void SettleJoinTime(BoundStream* stream, BoundStream* join) {
    const BoundStream& left = At(join->inputs[0]);
    const BoundStream& right = At(join->inputs[1]);
    const int left_columns = int(left.schema.fields.size());
    const bool windowed = join->windowed;
    const int left_time = windowed ? left.window_end : left.event_time;
    const int right_time = left_columns + (windowed ? right.window_end : right.event_time);
    if (join->join.keeps_left && join->join.keeps_right) {
      const int either = join->event_time;
      for (BoundColumn& column : stream->query.columns) {
        if (!IsEither(column.expr, left_time, right_time)) continue;
        column.expr = ColumnExpr(either, Type::kTimestamp);
      }
      return;
    }
    if (join->join.keeps_left || join->join.keeps_right || stream->from.windowed) return;
    if (Selected(stream->query, left_time) >= 0 || Selected(stream->query, right_time) < 0) return;
    join->join.time_is_right = true;
    TakeTimeOf(right, left_columns, join);
    if (windowed) TakeWindowColumnsOf(right, left_columns, join);
  }

  static bool IsEither(const Expr& expr, int a, int b) {
    if (expr.kind != Expr::Kind::kCoalesce || expr.args.size() != 2) return false;
    const auto is = [&](size_t arg, int column) {
      return expr.args[arg].kind == Expr::Kind::kColumn && expr.args[arg].column == column;
    };
    return (is(0, a) && is(1, b)) || (is(0, b) && is(1, a));
  }

  bool BindLookupOf(const SqlText& sql, BoundStream* stream) {
    const BoundStream& input = At(stream->input());
    const LookupSpec& lookup = job_.lookups[size_t(stream->lookup.lookup)];
    const TableRef& table = stream->from.table;
    BoundStream of_table;
    for (const SourceColumn& column : lookup.columns) {
      of_table.schema.fields.push_back(column.field);
    }
    JoinColumns columns = ColumnsOfJoin(table, ColumnsOf(table.inputs[0], input),
                                        ColumnsOf(table.inputs[1], of_table));
    if (!CheckColumnCount(sql, table, columns)) return false;
    std::optional<Expr> rest;
    std::optional<BoundLookup> bound = BindLookupJoin(sql, table, input, lookup, &columns, &rest);
    if (!bound.has_value()) return false;
    bound->lookup = stream->lookup.lookup;
    stream->lookup = std::move(*bound);
    stream->rest = std::move(rest);
    CopyNature(input, stream);
    stream->schema = std::move(columns.schema);
    stream->relations = std::move(columns.relations);
    stream->star = std::move(columns.star);
    return true;
  }

  // Of rows that are those of `input`, with the same columns first.
  static void CopyNature(const BoundStream& input, BoundStream* stream) {
    stream->event_time = input.event_time;
    stream->window_end = input.window_end;
    stream->window_start = input.window_start;
    stream->window_size = input.window_size;
    stream->windowed = input.windowed;
    stream->known_by_row = input.known_by_row;
    stream->grouping = input.grouping;
    stream->window_columns = input.window_columns;
    stream->clock = input.clock;
    stream->ways = input.ways;
  }

  // ---- pivot() ----
  bool BindPivot(const SqlText& sql, BoundStream* stream) {
    const BoundStream& input = At(stream->input());
    const TableRef& table = stream->from.table;
    const auto column_of = [&](const PlacedName& name) {
      const int column = input.schema.IndexOf(name.name);
      if (column < 0) {
        sql.Error(name.offset, "unknown column '" + name.name + "'",
                  SuggestName(name.name, input.schema.Names()));
      }
      return column;
    };
    const int pivoted = column_of(table.pivoted);
    bool good = pivoted >= 0;
    if (good && input.schema.fields[size_t(pivoted)].type != Type::kText) {
      sql.Error(table.pivoted.offset, "the column that pivot() makes columns of is a text",
                "it compares it with texts; cast it in a query before");
      good = false;
    }
    std::vector<int> values;
    for (const PlacedName& value : table.values) {
      values.push_back(column_of(value));
      good = good && values.back() >= 0;
    }
    if (!good) return false;
    std::vector<int> place(input.schema.fields.size(), -1);
    for (size_t i = 0; i < place.size(); ++i) {
      const int column = int(i);
      if (column == pivoted || std::ranges::find(values, column) != values.end()) continue;
      place[i] = int(stream->exprs.size());
      stream->exprs.push_back(ColumnExpr(column, input.schema.fields[i].type));
      stream->schema.fields.push_back(input.schema.fields[i]);
    }
    for (const PlacedName& category : table.categories) {
      for (size_t i = 0; i < values.size(); ++i) {
        const Field& value = input.schema.fields[size_t(values[i])];
        const std::string name =
            table.has_value_list ? category.name + "_" + value.name : category.name;
        if (stream->schema.IndexOf(name) >= 0) {
          sql.Error(category.offset, "column '" + name + "' is there twice");
          return false;
        }
        Field field = value;
        field.name = name;
        stream->schema.fields.push_back(std::move(field));
        stream->exprs.push_back(
            MakeExpr(Expr::Kind::kCase, value.type,
                     {CallExpr("=", {ColumnExpr(pivoted, Type::kText),
                                     LiteralExpr(Literal(category.name), Type::kText)}),
                      ColumnExpr(values[i], value.type), LiteralExpr(Literal(), value.type)}));
      }
    }
    CopyNature(input, stream);
    // What rows were about is in the names of columns now.
    stream->known_by_row =
        input.known_by_row ||
        std::ranges::find(input.grouping, pivoted, &GroupingColumn::column) != input.grouping.end();
    MoveColumns(place, stream);
    return true;
  }

  // ---- resample() ----
  // Both of its parts are queries that are written here.
  bool BindWritten(const std::string& text, BoundStream* stream) {
    const SqlText sql(written_.emplace_back(PlacedText{text, {}}), "", mistakes_.diagnostics());
    std::optional<Syntax> select = ParseSelect(sql);
    std::optional<FromClause> from;
    if (select.has_value()) from = ReadFrom(sql, *select);
    if (!from.has_value()) return false;
    from->stream = stream->from.stream;
    stream->from = std::move(*from);
    stream->select = std::move(select);
    stream->kind = Kind::kQuery;
    return BindOne(sql, stream);
  }

  bool BindNeighbours(const SqlText& sql, BoundStream* stream) {
    const BoundStream& input = At(stream->input());
    const int time = input.time_column();
    if (!CheckTime(sql, "resample()", *stream, input) ||
        !CheckFleetClock(sql, "resample()", "goes by", bound_, *stream) ||
        !CheckResampled(sql, stream->from.table, input.schema, time)) {
      return false;
    }
    return BindWritten(NeighboursSql(stream->from.table, input.schema.fields[size_t(time)].name),
                       stream);
  }

  bool BindResample(BoundStream* stream) {
    const BoundStream& rows = At(stream->input());
    const TableRef table = stream->from.table;
    if (!BindWritten(ResampleSql(table, rows.schema), stream)) return false;
    stream->event_time = int(table.keys.size());
    stream->windowed = false;
    stream->window_end = stream->window_start = -1;
    stream->window_columns.clear();
    stream->known_by_row = true;
    return true;
  }

  // `place`: where columns of the input are, -1: nowhere.
  static void MoveColumns(const std::vector<int>& place, BoundStream* stream) {
    const auto move = [&](int* column) { *column = *column < 0 ? -1 : place[size_t(*column)]; };
    move(&stream->event_time);
    move(&stream->window_end);
    move(&stream->window_start);
    for (GroupingColumn& key : stream->grouping) move(&key.column);
    if (stream->clock.has_value()) {
      for (GroupingColumn& key : stream->clock->key) move(&key.column);
    }
    for (int& column : stream->window_columns) move(&column);
    std::erase(stream->window_columns, -1);
  }

  // ---- rows with their windows ----
  bool BindWindowRows(const SqlText& sql, BoundStream* stream) {
    const BoundStream& input = At(stream->input());
    const WindowClause& window = stream->from.table.window;
    if (!CheckTime(sql, "a window", *stream, input) ||
        !CheckFleetClock(sql, "a join", "goes by", bound_, *stream)) {
      return false;
    }
    for (const char* name : {"window_start", "window_end"}) {
      if (input.schema.IndexOf(name) < 0) continue;
      sql.Error(stream->from.table.offset,
                "'" + input.spec->name + "' has a column '" + std::string(name) + "' already",
                "its rows are of windows: join by those");
      return false;
    }
    const int count = int(input.schema.fields.size());
    stream->schema = input.schema;
    for (int i = 0; i < count; ++i) {
      stream->exprs.push_back(ColumnExpr(i, input.schema.fields[size_t(i)].type));
    }
    Expr start = CallExpr("date_bin",
                          {IntervalExpr(window.size), TimeOf(input),
                           LiteralExpr(Literal(window.window_offset.count()), Type::kTimestamp)});
    stream->exprs.push_back(start);
    stream->exprs.push_back(CallExpr("+", {std::move(start), IntervalExpr(window.size)}));
    for (const char* name : {"window_start", "window_end"}) {
      stream->schema.fields.push_back({name, Type::kTimestamp, "", false});
    }
    stream->windowed = true;
    stream->known_by_row = true;
    stream->window_start = count;
    stream->window_end = stream->event_time = count + 1;
    stream->window_size = window.size;
    stream->window_columns = {count, count + 1};
    stream->ways = input.ways;
    return true;
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
    if (spec == nullptr || stream.kind != Kind::kQuery || !spec->panes_of.has_value() ||
        !stream.bound)
      return;
    const std::string& name = spec->panes_of->text;
    const std::optional<int> giver = StreamNamed(job_, name);
    if (!giver.has_value()) {
      Error(spec->panes_of->place, "unknown stream '" + name + "'", SuggestStream(job_, name));
      return;
    }
    if (!At(*giver).bound) return;
    const auto is_clocked = [](const BoundStream& of) {
      return of.window_clock.has_value() || of.waits > Micros(0);
    };
    if (is_clocked(stream) || is_clocked(At(*giver))) {
      Error(spec->panes_of->place, "panes_of does not go with event_time.per_key");
      return;
    }
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
    if (!giver.from.windowed || giver.input() != taker.input() || giver.from.gap > Micros(0)) {
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

  bool CheckTime(const SqlText& sql, const std::string& what, const BoundStream& stream,
                 const BoundStream& input) {
    if (input.time_column() >= 0) return true;
    sql.Error(stream.input_offsets.front(),
              what + " needs an event time, and '" + input.spec->name + "' has none",
              HintForTime(input));
    return false;
  }

  // What to add where the time of a stream's rows is not known.
  std::string HintForTime(const BoundStream& input) {
    const std::string& name = input.spec->name;
    const BoundStream* const above = input.input() < 0 ? nullptr : &At(input.input());
    if (above != nullptr && above->join.keeps_left && above->join.keeps_right) {
      return "of a FULL JOIN it is COALESCE(a.time, b.time): select that in '" + name + "'";
    }
    if (input.windowed) return "select window_end in '" + name + "'";
    if (input.kind == Kind::kUnion) {
      return "select the event time of all queries of UNION ALL there";
    }
    if (above != nullptr && above->event_time >= 0) {
      return "select " + above->schema.fields[size_t(above->event_time)].name + " in '" + name +
             "'";
    }
    if (input.input() >= 0) return "add event_time to the source and select it in '" + name + "'";
    return "add event_time to '" + name + "'";
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
    stream->window_start = Selected(stream->query, input.window_start);
    stream->window_size = input.window_size;
    for (const GroupingColumn& key : input.grouping) {
      stream->grouping.push_back({key.name, Selected(stream->query, key.column)});
    }
    if (stream->known_by_row && input.grouping.empty()) {
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
    if (!stream->from.cumulates && stream->from.gap == Micros(0)) {
      stream->window_start = Selected(query, 0);
      stream->window_size = stream->from.size;
    }
    for (int i = 0; i < key_count; ++i) {
      stream->grouping.push_back({query.keys[size_t(i)].name, Selected(query, 2 + i)});
    }
    const std::array<bool, 2> grouped = {query.groups_by_start, query.groups_by_end};
    for (const int column : {0, 1}) {
      const int selected = grouped[size_t(column)] ? Selected(query, column) : -1;
      if (selected >= 0) stream->window_columns.push_back(selected);
    }
  }

  const JobSpec& job_;
  const PlanMistakes& mistakes_;
  BoundJob& bound_;
  std::deque<PlacedText> written_;  // queries that are not the user's
};

}  // namespace

void BindStreams(const JobSpec& job, const PlanMistakes& mistakes, BoundJob* bound) {
  StreamBinder(job, mistakes, bound).Bind();
}

}  // namespace millrace
