// FROM: what it may hold, and what is said where it holds something else.
#include "engine/plan/from_clause.h"

#include <set>

#include "engine/plan/literals.h"
#include "engine/plan/unnest.h"

namespace millrace {
namespace {

constexpr int64_t kWindowDaysMax = 36'525;

const std::vector<std::string> kWindows = {"tumble", "hop", "cumulate", "session"};
const std::vector<std::string> kTableFunctions = {"tumble", "hop",       "cumulate", "session",
                                                  "pivot",  "asof_join", "resample"};

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// `what`: "a window's size".
std::optional<Micros> ReadLength(const SqlText& sql, const Syntax& node, const std::string& what) {
  const Schema nothing;
  int64_t copies = 0;
  BindScope scope;
  scope.columns = &nothing;
  scope.copies_left = &copies;
  scope.no_aggregates = what + " must be a literal";
  std::optional<Bound> bound;
  if (node.tag != "ColumnRef") {
    bound = ExpressionBinder(sql, scope).Bind(node);
    if (!bound.has_value()) return std::nullopt;
  }
  const auto* interval = bound ? std::get_if<Interval>(&bound->expr.literal) : nullptr;
  if (interval == nullptr) {
    sql.Error(node, what + " must be an interval", "write INTERVAL '5 minutes'");
    return std::nullopt;
  }
  if (interval->months != 0) {
    sql.Error(node, what + " must have a fixed length",
              "months and years differ in length; write days");
    return std::nullopt;
  }
  const std::optional<Micros> length = FixedLength(*interval);
  if (!length.has_value() || std::chrono::abs(*length) > std::chrono::days(kWindowDaysMax)) {
    sql.Error(node, what + " is too long");
    return std::nullopt;
  }
  return length;
}

std::optional<Micros> ReadPositiveLength(const SqlText& sql, const Syntax& node,
                                         const std::string& what) {
  const std::optional<Micros> length = ReadLength(sql, node, what);
  if (!length.has_value() || *length > Micros(0)) return length;
  sql.Error(node, what + " must be more than zero");
  return std::nullopt;
}

// An argument that stands for itself or is given by name.
struct Argument {
  std::string name;
  const Syntax* value = nullptr;
};

// Reads the arguments of a function from `first` on: those of `names`, each once, the first
// `by_position` of them also in their order. Nothing after an error; the next may be read all the
// same.
class ArgumentReader {
 public:
  ArgumentReader(const SqlText& sql, std::string function, const std::vector<std::string>& names,
                 size_t first, size_t by_position)
      : sql_(sql),
        function_(std::move(function)),
        names_(names),
        first_(first),
        by_position_(by_position) {}

  std::optional<Argument> Read(const std::vector<Syntax>& args, size_t index) {
    const size_t place = index - first_;
    Argument argument{place < by_position_ ? names_[place] : "", &args[index]};
    if (args[index].tag == "NamedArgExpr") {
      if (!RefuseOtherFields(sql_, args[index], {"arg", "name", "argnumber"})) return std::nullopt;
      argument = {args[index].Text("name"), args[index].Find("arg")};
    }
    if (!Contains(names_, argument.name)) {
      sql_.Error(args[index],
                 argument.name.empty() ? function_ + "() has too many arguments"
                                       : function_ + "() has no argument '" + argument.name + "'",
                 SuggestName(argument.name, names_));
      return std::nullopt;
    }
    if (!given_.insert(argument.name).second) {
      sql_.Error(args[index],
                 "argument '" + argument.name + "' of " + function_ + "() is given twice");
      return std::nullopt;
    }
    return argument;
  }
  bool has(const std::string& name) const { return given_.contains(name); }

 private:
  const SqlText& sql_;
  const std::string function_;
  const std::vector<std::string>& names_;
  const size_t first_;
  const size_t by_position_;
  std::set<std::string> given_;
};

struct WindowArguments {
  std::optional<Micros> size, slide, offset, gap;
  const Syntax* slide_node = nullptr;
};

// Of each window function, the names of the arguments after the stream, in order.
const std::vector<std::string>& ArgumentsOf(const std::string& function) {
  static const std::vector<std::string> kTumble = {"size", "offset"};
  static const std::vector<std::string> kHop = {"size", "slide", "offset"};
  static const std::vector<std::string> kCumulate = {"size", "step", "offset"};
  static const std::vector<std::string> kSession = {"gap"};
  if (function == "session") return kSession;
  return function == "tumble" ? kTumble : function == "hop" ? kHop : kCumulate;
}

// Arguments after the stream: by position, or by name.
bool ReadArguments(const SqlText& sql, const Syntax& call, const std::string& function,
                   WindowArguments* window) {
  const std::vector<std::string>& names = ArgumentsOf(function);
  ArgumentReader reader(sql, function, names, 1, names.size());
  const std::vector<Syntax>& args = call.List("args");
  bool good = true;
  for (size_t i = 1; i < args.size(); ++i) {
    const std::optional<Argument> argument = reader.Read(args, i);
    if (!argument.has_value()) {
      good = false;
      continue;
    }
    const std::string& name = argument->name;
    const bool is_slide = name == "slide" || name == "step";
    std::optional<Micros>& slot = name == "size"  ? window->size
                                  : name == "gap" ? window->gap
                                  : is_slide      ? window->slide
                                                  : window->offset;
    slot = name == "offset" ? ReadLength(sql, *argument->value, "a window's offset")
                            : ReadPositiveLength(sql, *argument->value, "a window's " + name);
    good = good && slot.has_value();
    if (is_slide) window->slide_node = argument->value;
  }
  return good;
}

bool CheckWindow(const SqlText& sql, const Syntax& call, const std::string& function,
                 const WindowArguments& window, WindowClause* from) {
  if (function == "session") {
    if (!window.gap.has_value()) {
      sql.Error(call, "session() needs a gap", "write gap => INTERVAL '5 minutes'");
      return false;
    }
    from->gap = *window.gap;
    return true;
  }
  if (!window.size.has_value()) {
    sql.Error(call, function + "() needs a size", "write size => INTERVAL '5 minutes'");
    return false;
  }
  if (function == "hop" && !window.slide.has_value()) {
    sql.Error(call, "hop() needs a slide", "write slide => INTERVAL '1 minute'");
    return false;
  }
  from->cumulates = function == "cumulate";
  if (from->cumulates && !window.slide.has_value()) {
    sql.Error(call, "cumulate() needs a step", "write step => INTERVAL '1 minute'");
    return false;
  }
  from->size = *window.size;
  from->slide = window.slide.value_or(from->size);
  if (from->slide > from->size) {
    sql.Error(*window.slide_node,
              std::string("a window's ") + (from->cumulates ? "step" : "slide") +
                  " must not be longer than its size",
              from->cumulates ? "" : "readings between two windows would be in none");
    return false;
  }
  if (from->cumulates && from->size.count() % from->slide.count() != 0) {
    sql.Error(*window.slide_node, "a window's size must be a multiple of its step");
    return false;
  }
  if (from->size / from->pane() > kPanesMax) {
    sql.Error(*window.slide_node,
              "a window of " + FormatDuration(from->size) +
                  (from->cumulates ? " growing by " : " sliding by ") +
                  FormatDuration(from->slide) + " has more than " + std::to_string(kPanesMax) +
                  " panes",
              from->cumulates ? "choose a longer step" : "choose a slide that divides the size");
    return false;
  }
  const int64_t period = (from->cumulates ? from->size : from->slide).count();
  const int64_t offset = window.offset.value_or(Micros(0)).count() % period;
  from->window_offset = Micros(offset < 0 ? offset + period : offset);
  return true;
}

// The call in a RangeFunction, or null after an error.
const Syntax* CallIn(const SqlText& sql, const Syntax& item) {
  if (!RefuseOtherFields(sql, item, {"functions", "alias"})) return nullptr;
  const std::vector<Syntax>& functions = item.List("functions");
  if (functions.size() == 1 && !functions[0].List("items").empty() &&
      functions[0].List("items")[0].tag == "FuncCall") {
    return &functions[0].List("items")[0];
  }
  sql.Error(item, "expected one window function in FROM");
  return nullptr;
}

std::string NameIn(const Syntax& node) {
  return node.tag == "ColumnRef" && node.List("fields").size() == 1
             ? StringOf(node.List("fields")[0])
             : "";
}

std::optional<TableRef> ReadFunction(const SqlText& sql, const Syntax& call);

// An argument that is a stream: its name, or pivot() or asof_join() over one.
std::optional<TableRef> ReadStreamArgument(const SqlText& sql, const Syntax& call,
                                           const Syntax* argument, const std::string& what) {
  if (argument != nullptr && argument->tag == "FuncCall") {
    std::optional<TableRef> table = ReadFunction(sql, *argument);
    if (!table.has_value() || !table->window.windowed) return table;
    sql.Error(*argument, what + " is no window",
              "put the query over the window in parentheses, or in a stream of its own");
    return std::nullopt;
  }
  const std::string name = argument == nullptr ? "" : NameIn(*argument);
  if (name.empty()) {
    sql.Error(argument == nullptr ? call : *argument, what + " is the name of a stream");
    return std::nullopt;
  }
  TableRef table;
  table.name = table.qualifier = name;
  table.offset = argument->offset;
  return table;
}

const Syntax* ArgumentAt(const Syntax& call, size_t index) {
  const std::vector<Syntax>& args = call.List("args");
  return index < args.size() && args[index].tag != "NamedArgExpr" ? &args[index] : nullptr;
}

std::optional<TableRef> ReadWindow(const SqlText& sql, const Syntax& call,
                                   const std::string& function) {
  std::optional<TableRef> table = ReadStreamArgument(sql, call, ArgumentAt(call, 0),
                                                     "the first argument of " + function + "()");
  if (!table.has_value()) return std::nullopt;
  WindowArguments window;
  table->window.windowed = true;
  if (!ReadArguments(sql, call, function, &window) ||
      !CheckWindow(sql, call, function, window, &table->window)) {
    return std::nullopt;
  }
  return table;
}

// asof_join(a, b, a.k = b.k, within => INTERVAL '5 seconds').
std::optional<TableRef> ReadAsOf(const SqlText& sql, const Syntax& call) {
  TableRef join;
  join.kind = TableRef::Kind::kAsOf;
  join.type = JoinType::kLeft;
  join.offset = call.offset;
  for (size_t i = 0; i < 2; ++i) {
    std::optional<TableRef> input = ReadStreamArgument(
        sql, call, ArgumentAt(call, i),
        std::string("the ") + (i == 0 ? "first" : "second") + " argument of asof_join()");
    if (!input.has_value()) return std::nullopt;
    join.inputs.push_back(std::move(*input));
  }
  static const std::vector<std::string> kNames = {"condition", "within"};
  ArgumentReader reader(sql, "asof_join", kNames, 2, kNames.size());
  const std::vector<Syntax>& args = call.List("args");
  for (size_t i = 2; i < args.size(); ++i) {
    const std::optional<Argument> argument = reader.Read(args, i);
    if (!argument.has_value()) return std::nullopt;
    if (argument->name == "condition") {
      join.condition = *argument->value;
      continue;
    }
    const std::optional<Micros> within =
        ReadPositiveLength(sql, *argument->value, "'within' of asof_join()");
    if (!within.has_value()) return std::nullopt;
    join.within = *within;
  }
  if (!join.condition.has_value()) {
    sql.Error(call, "asof_join() needs a condition", "write condition => a.device = b.device");
    return std::nullopt;
  }
  if (join.within == Micros(0)) {
    sql.Error(call, "asof_join() needs to know how far to look back",
              "without it rows would be kept for ever: write within => INTERVAL '5 minutes'");
    return std::nullopt;
  }
  return join;
}

// An argument that is a column, or several: ARRAY[a, b].
bool ReadColumns(const SqlText& sql, const Syntax& node, const std::string& what,
                 std::vector<PlacedName>* columns) {
  const auto add = [&](const Syntax& value) {
    const std::string name = NameIn(value);
    if (name.empty()) {
      sql.Error(value, what + " is a column, or several: ARRAY[a, b]");
      return false;
    }
    columns->push_back({name, value.offset});
    return true;
  };
  return node.tag == "A_ArrayExpr" ? std::ranges::all_of(node.List("elements"), add) : add(node);
}

// pivot(stream, column, value, 'PS1', 'PS2').
std::optional<TableRef> ReadPivot(const SqlText& sql, const Syntax& call) {
  std::optional<TableRef> input =
      ReadStreamArgument(sql, call, ArgumentAt(call, 0), "the first argument of pivot()");
  if (!input.has_value()) return std::nullopt;
  TableRef pivot;
  pivot.kind = TableRef::Kind::kPivot;
  pivot.offset = call.offset;
  pivot.qualifier = input->qualifier;
  pivot.inputs.push_back(std::move(*input));
  const std::vector<Syntax>& args = call.List("args");
  for (const Syntax& arg : args) {
    if (arg.tag != "NamedArgExpr") continue;
    sql.Error(arg, "arguments of pivot() have no names");
    return std::nullopt;
  }
  if (args.size() < 4) {
    sql.Error(call, "pivot() needs a stream, a column, a value, and the texts that become columns",
              "write pivot(readings, sensor, value, 'PS1', 'PS2')");
    return std::nullopt;
  }
  pivot.pivoted = {NameIn(args[1]), args[1].offset};
  if (pivot.pivoted.name.empty()) {
    sql.Error(args[1], "the second argument of pivot() is a column");
    return std::nullopt;
  }
  pivot.has_value_list = args[2].tag == "A_ArrayExpr";
  if (!ReadColumns(sql, args[2], "the third argument of pivot()", &pivot.values)) {
    return std::nullopt;
  }
  std::set<std::string> names;
  for (size_t i = 3; i < args.size(); ++i) {
    const Syntax* text = args[i].tag == "A_Const" ? args[i].Find("sval") : nullptr;
    const std::string name = text == nullptr ? "" : text->Text("sval");
    if (name.empty()) {
      sql.Error(args[i], "what becomes a column of pivot() is a text", "write 'PS1'");
      return std::nullopt;
    }
    if (!names.insert(name).second) {
      sql.Error(args[i], "'" + name + "' is in pivot() twice");
      return std::nullopt;
    }
    pivot.categories.push_back({name, args[i].offset});
  }
  if (pivot.categories.size() * pivot.values.size() > kPivotColumnsMax) {
    sql.Error(call, "pivot() makes at most " + std::to_string(kPivotColumnsMax) + " columns");
    return std::nullopt;
  }
  return pivot;
}

// What resample() is told by name.
bool ReadResampleOption(const SqlText& sql, const Argument& option, TableRef* resample) {
  const Syntax& value = *option.value;
  if (option.name == "method") {
    const Syntax* text = value.tag == "A_Const" ? value.Find("sval") : nullptr;
    const std::string method = text == nullptr ? "" : text->Text("sval");
    resample->is_linear = method == "linear";
    if (method == "linear" || method == "last") return true;
    sql.Error(value, "the method of resample() is 'last' or 'linear'");
    return false;
  }
  const std::optional<Micros> length =
      ReadPositiveLength(sql, value, "'" + option.name + "' of resample()");
  if (!length.has_value()) return false;
  (option.name == "every" ? resample->every : resample->largest_gap) = *length;
  return true;
}

// resample(stream, key, value, every => INTERVAL '1 s', largest_gap => INTERVAL '10 s').
std::optional<TableRef> ReadResample(const SqlText& sql, const Syntax& call) {
  std::optional<TableRef> input =
      ReadStreamArgument(sql, call, ArgumentAt(call, 0), "the first argument of resample()");
  if (!input.has_value()) return std::nullopt;
  TableRef resample;
  resample.kind = TableRef::Kind::kResample;
  resample.offset = call.offset;
  resample.qualifier = input->qualifier;
  resample.inputs.push_back(std::move(*input));
  const Syntax* keys = ArgumentAt(call, 1);
  const Syntax* values = ArgumentAt(call, 2);
  if (keys == nullptr || values == nullptr) {
    sql.Error(call, "resample() needs a stream, its key, and the columns to resample",
              "write resample(readings, device, value, every => INTERVAL '1 second', largest_gap "
              "=> INTERVAL '10 seconds')");
    return std::nullopt;
  }
  if (!ReadColumns(sql, *keys, "the second argument of resample()", &resample.keys) ||
      !ReadColumns(sql, *values, "the third argument of resample()", &resample.values)) {
    return std::nullopt;
  }
  static const std::vector<std::string> kNames = {"every", "largest_gap", "method"};
  ArgumentReader reader(sql, "resample", kNames, 3, 0);
  const std::vector<Syntax>& args = call.List("args");
  for (size_t i = 3; i < args.size(); ++i) {
    const std::optional<Argument> option = reader.Read(args, i);
    if (!option.has_value() || !ReadResampleOption(sql, *option, &resample)) return std::nullopt;
  }
  for (const std::string& name : {std::string("every"), std::string("largest_gap")}) {
    if (reader.has(name)) continue;
    sql.Error(call, "resample() needs '" + name + "'",
              name == "every" ? "write every => INTERVAL '1 second'"
                              : "without it the last value would be given for ever: write "
                                "largest_gap => INTERVAL '10 seconds'");
    return std::nullopt;
  }
  return resample;
}

// A function in FROM that gives a table.
std::optional<TableRef> ReadFunction(const SqlText& sql, const Syntax& call) {
  const std::string function = FunctionNameOf(sql, call);
  if (function.empty()) return std::nullopt;
  if (!Contains(kTableFunctions, function)) {
    std::vector<std::string> known = kTableFunctions;
    known.insert(known.end(), UnnestNames().begin(), UnnestNames().end());
    sql.Error(call, "unknown function '" + function + "' in FROM", SuggestName(function, known));
    return std::nullopt;
  }
  if (!RefuseOtherFields(sql, call, {"funcname", "args", "funcformat"})) return std::nullopt;
  if (function == "asof_join") return ReadAsOf(sql, call);
  if (function == "pivot") return ReadPivot(sql, call);
  if (function == "resample") return ReadResample(sql, call);
  return ReadWindow(sql, call, function);
}

// The alias of what has columns of its own; `renames`: q(a, b) may name them.
bool ReadAlias(const SqlText& sql, const Syntax& item, bool renames, TableRef* table) {
  const Syntax* alias = item.Find("alias");
  if (alias == nullptr) return true;
  if (!RefuseOtherFields(sql, *alias, {"aliasname", renames ? "colnames" : "aliasname"})) {
    return false;
  }
  table->qualifier = alias->Text("aliasname");
  table->column_names = ReadColumnNames(alias->List("colnames"));
  return true;
}

// A stream by its name.
std::optional<TableRef> ReadNamed(const SqlText& sql, const Syntax& item) {
  if (!RefuseOtherFields(sql, item, {"relname", "inh", "relpersistence", "alias"})) {
    return std::nullopt;
  }
  if (!item.Flag("inh")) {
    sql.Error(item, "ONLY is not supported");
    return std::nullopt;
  }
  TableRef table;
  table.name = table.qualifier = item.Text("relname");
  table.offset = item.offset;
  if (!ReadAlias(sql, item, false, &table)) return std::nullopt;
  return table;
}

std::optional<TableRef> ReadQuery(const SqlText& sql, const Syntax& item) {
  if (item.Flag("lateral")) {
    sql.Error(item, "LATERAL is not supported");
    return std::nullopt;
  }
  const Syntax* query = item.Find("subquery");
  if (!RefuseOtherFields(sql, item, {"subquery", "alias"}) || query == nullptr) return std::nullopt;
  TableRef table;
  table.kind = TableRef::Kind::kQuery;
  table.offset = item.offset;
  table.query = *query;
  if (!ReadAlias(sql, item, true, &table)) return std::nullopt;
  return table;
}

void TellOneUnnest(const SqlText& sql, const Syntax& item) {
  sql.Error(item, "FROM unfolds one array", "unfold the other one in a stream over this one");
}

void TellStreamFirst(const SqlText& sql, const Syntax& item) {
  sql.Error(item, "the stream that an array is of stands before it",
            "write FROM stream, unnest(x) AS s");
}

std::optional<TableRef> ReadTable(const SqlText& sql, const Syntax& item);

std::optional<JoinType> ReadJoinType(const SqlText& sql, const Syntax& join) {
  const std::string type = join.Text("jointype");
  if (type == "JOIN_INNER") return JoinType::kInner;
  if (type == "JOIN_LEFT") return JoinType::kLeft;
  if (type == "JOIN_RIGHT") return JoinType::kRight;
  if (type == "JOIN_FULL") return JoinType::kFull;
  sql.Error(join, "this kind of join is not supported");
  return std::nullopt;
}

// PostgreSQL reads `a ASOF JOIN b` as an alias of a.
bool RefuseAsOfAlias(const SqlText& sql, const Syntax& table) {
  const Syntax* alias = table.Find("alias");
  if (alias == nullptr || alias->Text("aliasname") != "asof") return true;
  sql.Error(table, "ASOF JOIN is written as a function",
            "write asof_join(a, b, condition => a.device = b.device, within => INTERVAL '1 "
            "minute')");
  return false;
}

std::optional<TableRef> ReadJoin(const SqlText& sql, const Syntax& item) {
  const Syntax* left = item.Find("larg");
  const Syntax* right = item.Find("rarg");
  if (left == nullptr || right == nullptr) return std::nullopt;
  if (item.Flag("isNatural")) {
    sql.Error(*right, "NATURAL JOIN is not supported", "name the columns: JOIN ... USING (device)");
    return std::nullopt;
  }
  if (item.Find("alias") != nullptr) {
    sql.Error(item, "an alias of a join is not supported", "give its streams aliases");
    return std::nullopt;
  }
  if (!RefuseOtherFields(sql, item, {"jointype", "larg", "rarg", "quals", "usingClause"}) ||
      !RefuseAsOfAlias(sql, *left)) {
    return std::nullopt;
  }
  TableRef join;
  join.kind = TableRef::Kind::kJoin;
  for (const Syntax* side : {left, right}) {
    std::optional<TableRef> input = ReadTable(sql, *side);
    if (!input.has_value()) return std::nullopt;
    join.inputs.push_back(std::move(*input));
  }
  join.offset = join.inputs[1].offset;
  const std::optional<JoinType> type = ReadJoinType(sql, item);
  if (!type.has_value()) return std::nullopt;
  join.type = *type;
  if (const Syntax* condition = item.Find("quals")) join.condition = *condition;
  for (const Syntax& column : item.List("usingClause")) {
    join.using_columns.push_back({StringOf(column), column.offset});
  }
  if (!join.condition.has_value() && join.using_columns.empty()) {
    sql.Error(*right, "a join needs a condition", "write JOIN ... ON a.device = b.device");
    return std::nullopt;
  }
  return join;
}

std::optional<TableRef> ReadTable(const SqlText& sql, const Syntax& item) {
  if (item.tag == "RangeVar") return ReadNamed(sql, item);
  if (item.tag == "RangeSubselect") return ReadQuery(sql, item);
  if (item.tag == "JoinExpr") {
    const Syntax* right = item.Find("rarg");
    if (right != nullptr && IsUnnest(*right)) {
      TellOneUnnest(sql, *right);
      return std::nullopt;
    }
    return ReadJoin(sql, item);
  }
  if (item.tag != "RangeFunction") {
    sql.Error(item, ConstructName(item) + " is not supported by this version");
    return std::nullopt;
  }
  if (IsUnnest(item)) {
    TellStreamFirst(sql, item);
    return std::nullopt;
  }
  const Syntax* call = CallIn(sql, item);
  if (call == nullptr) return std::nullopt;
  std::optional<TableRef> table = ReadFunction(sql, *call);
  if (!table.has_value()) return std::nullopt;
  if (table->kind == TableRef::Kind::kAsOf) {
    const Syntax* alias = item.Find("alias");
    if (alias == nullptr) return table;
    sql.Error(*alias, "an alias of a join is not supported",
              "columns are named by the streams: a.x, b.x");
    return std::nullopt;
  }
  if (!ReadAlias(sql, item, false, &*table)) return std::nullopt;
  return table;
}

// Adds the names by which columns of a table are known; false, with an error, where one is there.
bool AddQualifiers(const SqlText& sql, const TableRef& table, std::set<std::string>* qualifiers) {
  if (table.is_join()) {
    return std::ranges::all_of(
        table.inputs, [&](const TableRef& input) { return AddQualifiers(sql, input, qualifiers); });
  }
  if (qualifiers->insert(table.qualifier).second) return true;
  sql.Error(table.offset, "table name '" + table.qualifier + "' is there twice",
            "give one another alias");
  return false;
}

bool AddUnnest(const SqlText& sql, const Syntax& item, std::set<std::string>* qualifiers,
               FromClause* from) {
  if (from->table.window.windowed) {
    sql.Error(item, "unfolding and a window do not go together in one query",
              "unfold in a stream of its own, and put the window over that");
    return false;
  }
  std::optional<UnnestClause> unnest = ReadUnnest(sql, item);
  if (!unnest.has_value()) return false;
  if (!qualifiers->insert(unnest->qualifier).second) {
    const Syntax* alias = item.Find("alias");
    sql.Error(alias == nullptr ? item : *alias,
              "table name '" + unnest->qualifier + "' is there twice", "give one another alias");
    return false;
  }
  from->unnest = std::move(unnest);
  return true;
}

bool IsTrueLiteral(const Syntax& node) {
  const Syntax* value = node.tag == "A_Const" ? node.Find("boolval") : nullptr;
  return value != nullptr && value->Flag("boolval");
}

std::optional<FromClause> ReadOnly(const SqlText& sql, const Syntax& item,
                                   std::set<std::string>* qualifiers) {
  std::optional<TableRef> table = ReadTable(sql, item);
  if (!table.has_value() || !AddQualifiers(sql, *table, qualifiers)) return std::nullopt;
  FromClause from;
  from.table = std::move(*table);
  return from;
}

// stream CROSS JOIN unnest(x), stream [LEFT] JOIN unnest(x) ON true.
std::optional<FromClause> ReadUnnestJoin(const SqlText& sql, const Syntax& join) {
  const Syntax& right = *join.Find("rarg");
  if (join.Find("larg") == nullptr) return std::nullopt;
  std::set<std::string> qualifiers;
  std::optional<FromClause> from = ReadOnly(sql, *join.Find("larg"), &qualifiers);
  if (!from.has_value() || !RefuseOtherFields(sql, join, {"jointype", "larg", "rarg", "quals"}) ||
      !AddUnnest(sql, right, &qualifiers, &*from)) {
    return std::nullopt;
  }
  const std::string kind = join.Text("jointype");
  if (kind != "JOIN_INNER" && kind != "JOIN_LEFT") {
    sql.Error(right, "an array is unfolded by CROSS JOIN or LEFT JOIN",
              "its elements are of the stream's rows: there are none without one");
    return std::nullopt;
  }
  const Syntax* condition = join.Find("quals");
  if (condition != nullptr && !IsTrueLiteral(*condition)) {
    sql.Error(*condition, "a join with an array's elements is ON true",
              "say in WHERE which elements are wanted");
    return std::nullopt;
  }
  from->unnest->keeps_empty = kind == "JOIN_LEFT";
  return from;
}

}  // namespace

std::vector<PlacedName> ReadColumnNames(const std::vector<Syntax>& names) {
  std::vector<PlacedName> read;
  read.reserve(names.size());
  for (const Syntax& name : names) read.push_back({StringOf(name), name.offset});
  return read;
}

std::optional<FromClause> ReadFrom(const SqlText& sql, const Syntax& select) {
  const std::vector<Syntax>& items = select.List("fromClause");
  if (items.empty()) {
    if (const Syntax* values = select.Find("valuesLists")) {
      sql.Error(*values, "VALUES is not supported");
    } else {
      sql.Error(select, "a stream's SELECT needs FROM", "add FROM and the name of a stream");
    }
    return std::nullopt;
  }
  std::set<std::string> qualifiers;
  if (items.size() == 1) {
    const Syntax* right = items[0].tag == "JoinExpr" ? items[0].Find("rarg") : nullptr;
    if (right != nullptr && IsUnnest(*right)) return ReadUnnestJoin(sql, items[0]);
    return ReadOnly(sql, items[0], &qualifiers);
  }
  if (IsUnnest(items[0])) {
    TellStreamFirst(sql, items[0]);
    return std::nullopt;
  }
  for (size_t i = 1; i < items.size(); ++i) {
    if (IsUnnest(items[i]) && i == 1) continue;
    if (IsUnnest(items[i])) {
      TellOneUnnest(sql, items[i]);
    } else if (items[i].tag != "RangeFunction" || ReadTable(sql, items[i]).has_value()) {
      sql.Error(items[i], "a join needs a condition", "write JOIN ... ON a.device = b.device");
    }
    return std::nullopt;
  }
  std::optional<FromClause> from = ReadOnly(sql, items[0], &qualifiers);
  if (!from.has_value() || !AddUnnest(sql, items[1], &qualifiers, &*from)) return std::nullopt;
  return from;
}

}  // namespace millrace
