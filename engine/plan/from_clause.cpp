// FROM: a stream, or a window function over one; a stream's arrays unfolded beside it.
#include <array>

#include "engine/plan/expression_binder.h"
#include "engine/plan/literals.h"
#include "engine/plan/query_binder.h"
#include "engine/plan/unnest.h"

namespace millrace {
namespace {

constexpr int64_t kWindowDaysMax = 36'525;

const std::vector<std::string> kWindows = {"tumble", "hop", "cumulate", "session"};

struct WindowArguments {
  std::optional<Micros> size, slide, offset, gap;
  const Syntax* slide_node = nullptr;
};

bool ReadAlias(const SqlText& sql, const Syntax& item, FromClause* from) {
  const Syntax* alias = item.Find("alias");
  if (alias == nullptr) return true;
  if (!RefuseOtherFields(sql, *alias, {"aliasname"})) return false;
  from->qualifier = alias->Text("aliasname");
  return true;
}

std::optional<Micros> ReadLength(const SqlText& sql, const Syntax& node, const std::string& name) {
  const Schema nothing;
  int64_t copies = 0;
  BindScope scope;
  scope.columns = &nothing;
  scope.copies_left = &copies;
  scope.no_aggregates = "a window's " + name + " must be a literal";
  std::optional<Bound> bound;
  if (node.tag != "ColumnRef") {
    bound = ExpressionBinder(sql, scope).Bind(node);
    if (!bound.has_value()) return std::nullopt;
  }
  const auto* interval = bound ? std::get_if<Interval>(&bound->expr.literal) : nullptr;
  if (interval == nullptr) {
    sql.Error(node, "a window's " + name + " must be an interval", "write INTERVAL '5 minutes'");
    return std::nullopt;
  }
  if (interval->months != 0) {
    sql.Error(node, "a window's " + name + " must have a fixed length",
              "months and years differ in length; write days");
    return std::nullopt;
  }
  const std::optional<Micros> length = FixedLength(*interval);
  if (!length.has_value() || std::chrono::abs(*length) > std::chrono::days(kWindowDaysMax)) {
    sql.Error(node, "a window's " + name + " is too long");
    return std::nullopt;
  }
  if (name != "offset" && *length <= Micros(0)) {
    sql.Error(node, "a window's " + name + " must be more than zero");
    return std::nullopt;
  }
  return length;
}

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
  const std::vector<Syntax>& args = call.List("args");
  bool good = true;
  for (size_t i = 1; i < args.size(); ++i) {
    const Syntax* value = &args[i];
    std::string name = i - 1 < names.size() ? names[i - 1] : "";
    if (args[i].tag == "NamedArgExpr") {
      if (!RefuseOtherFields(sql, args[i], {"arg", "name", "argnumber"})) return false;
      name = args[i].Text("name");
      value = args[i].Find("arg");
    }
    if (name.empty() || std::ranges::find(names, name) == names.end()) {
      sql.Error(args[i],
                name.empty() ? function + "() has too many arguments"
                             : function + "() has no argument '" + name + "'",
                SuggestName(name, names));
      good = false;
      continue;
    }
    const bool is_slide = name == "slide" || name == "step";
    std::optional<Micros>& slot = name == "size"  ? window->size
                                  : name == "gap" ? window->gap
                                  : is_slide      ? window->slide
                                                  : window->offset;
    if (slot.has_value()) {
      sql.Error(args[i], "argument '" + name + "' of " + function + "() is given twice");
      good = false;
      continue;
    }
    slot = ReadLength(sql, *value, name);
    good = good && slot.has_value();
    if (is_slide) window->slide_node = value;
  }
  return good;
}

bool CheckWindow(const SqlText& sql, const Syntax& call, const std::string& function,
                 const WindowArguments& window, FromClause* from) {
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

std::optional<FromClause> ReadWindow(const SqlText& sql, const Syntax& item) {
  FromClause from;
  from.windowed = true;
  if (!RefuseOtherFields(sql, item, {"functions", "alias"})) return std::nullopt;
  const std::vector<Syntax>& functions = item.List("functions");
  if (functions.size() != 1 || functions[0].List("items").empty() ||
      functions[0].List("items")[0].tag != "FuncCall") {
    sql.Error(item, "expected one window function in FROM");
    return std::nullopt;
  }
  const Syntax& call = functions[0].List("items")[0];
  const std::string function = FunctionNameOf(sql, call);
  if (function.empty()) return std::nullopt;
  if (std::ranges::find(kWindows, function) == kWindows.end()) {
    static constexpr std::array kLater = {"asof_join", "pivot"};
    const bool later = std::ranges::find(kLater, function) != kLater.end();
    std::vector<std::string> known = kWindows;
    known.insert(known.end(), UnnestNames().begin(), UnnestNames().end());
    sql.Error(call,
              later ? function + "() in FROM is not supported by this version"
                    : "unknown function '" + function + "' in FROM",
              SuggestName(function, later ? kWindows : known));
    return std::nullopt;
  }
  if (!RefuseOtherFields(sql, call, {"funcname", "args", "funcformat"})) return std::nullopt;
  const std::vector<Syntax>& args = call.List("args");
  if (args.empty() || args[0].tag != "ColumnRef" || args[0].List("fields").size() != 1 ||
      StringOf(args[0].List("fields")[0]).empty()) {
    sql.Error(args.empty() ? call : args[0],
              "the first argument of " + function + "() is the name of a stream");
    return std::nullopt;
  }
  from.stream = from.qualifier = StringOf(args[0].List("fields")[0]);
  from.offset = args[0].offset;
  WindowArguments window;
  const bool good = ReadArguments(sql, call, function, &window);
  if (!good || !CheckWindow(sql, call, function, window, &from)) return std::nullopt;
  if (!ReadAlias(sql, item, &from)) return std::nullopt;
  return from;
}

// A stream by its name.
std::optional<FromClause> ReadStream(const SqlText& sql, const Syntax& item) {
  if (!RefuseOtherFields(sql, item, {"relname", "inh", "relpersistence", "alias"})) {
    return std::nullopt;
  }
  if (!item.Flag("inh")) {
    sql.Error(item, "ONLY is not supported");
    return std::nullopt;
  }
  FromClause from;
  from.stream = from.qualifier = item.Text("relname");
  from.offset = item.offset;
  if (!ReadAlias(sql, item, &from)) return std::nullopt;
  return from;
}

void TellOneUnnest(const SqlText& sql, const Syntax& item) {
  if (IsUnnest(item)) {
    sql.Error(item, "FROM unfolds one array", "unfold the other one in a stream over this one");
  } else {
    sql.Error(item, "JOIN is not supported by this version", "name one stream in FROM");
  }
}

void TellStreamFirst(const SqlText& sql, const Syntax& item) {
  sql.Error(item, "the stream that an array is of stands before it",
            "write FROM stream, unnest(x) AS s");
}

// The stream that stands before `beside`, which is to be an array of it.
std::optional<FromClause> ReadStreamBeside(const SqlText& sql, const Syntax& item,
                                           const Syntax& beside) {
  if (!IsUnnest(beside)) {
    const std::string function = TableFunctionName(beside);
    if (IsUnnest(item)) {
      TellStreamFirst(sql, item);
    } else if (!function.empty() && std::ranges::find(kWindows, function) == kWindows.end()) {
      sql.Error(beside, "unknown function '" + function + "' in FROM",
                SuggestName(function, UnnestNames()));
    } else {
      sql.Error(beside, "JOIN is not supported by this version", "name one stream in FROM");
    }
    return std::nullopt;
  }
  if (IsUnnest(item)) {
    TellStreamFirst(sql, item);
    return std::nullopt;
  }
  if (item.tag == "JoinExpr") {
    TellOneUnnest(sql, beside);
    return std::nullopt;
  }
  if (item.tag == "RangeVar") return ReadStream(sql, item);
  if (item.tag == "RangeFunction") {
    sql.Error(beside, "unfolding and a window do not go together in one query",
              "unfold in a stream of its own, and put the window over that");
  } else {
    sql.Error(item, ConstructName(item) + " is not supported by this version");
  }
  return std::nullopt;
}

bool AddUnnest(const SqlText& sql, const Syntax& item, FromClause* from) {
  std::optional<UnnestClause> unnest = ReadUnnest(sql, item);
  if (!unnest.has_value()) return false;
  if (unnest->qualifier == from->qualifier) {
    const Syntax* alias = item.Find("alias");
    sql.Error(alias == nullptr ? item : *alias,
              "table name '" + from->qualifier + "' is there twice", "give one another alias");
    return false;
  }
  from->unnest = std::move(unnest);
  return true;
}

bool IsTrueLiteral(const Syntax& node) {
  const Syntax* value = node.tag == "A_Const" ? node.Find("boolval") : nullptr;
  return value != nullptr && value->Flag("boolval");
}

// stream CROSS JOIN unnest(x), stream [LEFT] JOIN unnest(x) ON true.
std::optional<FromClause> ReadJoin(const SqlText& sql, const Syntax& join) {
  const Syntax* left = join.Find("larg");
  const Syntax* right = join.Find("rarg");
  if (left == nullptr || right == nullptr) return std::nullopt;
  if (!IsUnnest(*left) && right->tag != "RangeFunction") {
    sql.Error(join, ConstructName(join) + " is not supported by this version");
    return std::nullopt;
  }
  std::optional<FromClause> from = ReadStreamBeside(sql, *left, *right);
  if (!from.has_value() || !RefuseOtherFields(sql, join, {"jointype", "larg", "rarg", "quals"}) ||
      !AddUnnest(sql, *right, &*from)) {
    return std::nullopt;
  }
  const std::string kind = join.Text("jointype");
  if (kind != "JOIN_INNER" && kind != "JOIN_LEFT") {
    sql.Error(*right, "an array is unfolded by CROSS JOIN or LEFT JOIN",
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

std::optional<FromClause> ReadItem(const SqlText& sql, const Syntax& item) {
  if (item.tag == "RangeVar") return ReadStream(sql, item);
  if (item.tag == "JoinExpr") return ReadJoin(sql, item);
  if (item.tag != "RangeFunction") {
    sql.Error(item, ConstructName(item) + " is not supported by this version");
    return std::nullopt;
  }
  if (!IsUnnest(item)) return ReadWindow(sql, item);
  TellStreamFirst(sql, item);
  return std::nullopt;
}

}  // namespace

std::optional<FromClause> ReadFrom(const SqlText& sql, const Syntax& select) {
  if (const Syntax* with = select.Find("withClause")) {
    sql.Error(*with, "WITH (a common table expression) is not supported",
              "give the inner query a stream of its own");
    return std::nullopt;
  }
  if (select.Text("op") != "SETOP_NONE") {
    sql.Error(select, "UNION, INTERSECT and EXCEPT are not supported");
    return std::nullopt;
  }
  const std::vector<Syntax>& items = select.List("fromClause");
  if (items.empty()) {
    if (const Syntax* values = select.Find("valuesLists")) {
      sql.Error(*values, "VALUES is not supported");
    } else {
      sql.Error(select, "a stream's SELECT needs FROM", "add FROM and the name of a stream");
    }
    return std::nullopt;
  }
  if (items.size() == 1) return ReadItem(sql, items[0]);
  std::optional<FromClause> from = ReadStreamBeside(sql, items[0], items[1]);
  if (!from.has_value() || !AddUnnest(sql, items[1], &*from)) return std::nullopt;
  if (items.size() == 2) return from;
  TellOneUnnest(sql, items[2]);
  return std::nullopt;
}

}  // namespace millrace
