#include "engine/plan/syntax_tree.h"

#include <pg_query.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <utility>

namespace millrace {
namespace {

using Named = std::pair<std::string_view, std::string_view>;

// Fields of the grammar that are clauses of their own, by what a user calls them.
constexpr std::array kClauses = std::to_array<Named>({
    {"distinctClause", "DISTINCT"},
    {"fromClause", "FROM here"},
    {"whereClause", "WHERE here"},
    {"groupClause", "GROUP BY here"},
    {"havingClause", "HAVING here"},
    {"intoClause", "INTO"},
    {"groupDistinct", "GROUP BY DISTINCT"},
    {"windowClause", "WINDOW"},
    {"valuesLists", "VALUES"},
    {"sortClause", "ORDER BY"},
    {"limitOffset", "OFFSET"},
    {"limitCount", "LIMIT"},
    {"lockingClause", "FOR UPDATE"},
    {"withClause", "WITH (a common table expression)"},
    {"over", "OVER (a window function)"},
    {"func_variadic", "VARIADIC"},
    {"agg_order", "ORDER BY in an argument list"},
    {"agg_within_group", "WITHIN GROUP here"},
    {"agg_filter", "FILTER here"},
    {"agg_distinct", "DISTINCT in an argument list"},
    {"agg_star", "* as an argument here"},
    {"typmods", "a type modifier such as (10, 2)"},
    {"arrayBounds", "an array type"},
    {"setof", "SETOF"},
    {"pct_type", "%TYPE"},
    {"indirection", "a subscript or field selection"},
    {"schemaname", "a schema name"},
    {"catalogname", "a database name"},
    {"colnames", "an alias with column names"},
    {"coldeflist", "a column definition list"},
    {"ordinality", "WITH ORDINALITY"},
    {"lateral", "LATERAL"},
    {"is_rowsfrom", "ROWS FROM"},
    {"useOp", "ORDER BY ... USING"},
    {"argisrow", "a row test"},
    {"bsval", "a bit string"},
});

constexpr std::array kConstructs = std::to_array<Named>({
    {"SubLink", "a subquery"},
    {"RangeSubselect", "a subquery in FROM"},
    {"JoinExpr", "JOIN"},
    {"RangeTableSample", "TABLESAMPLE"},
    {"RangeTableFunc", "XMLTABLE"},
    {"A_ArrayExpr", "ARRAY"},
    {"RowExpr", "ROW"},
    {"ParamRef", "a parameter such as $1"},
    {"A_Indirection", "a subscript or field selection"},
    {"CollateClause", "COLLATE"},
    {"GroupingFunc", "GROUPING"},
    {"GroupingSet", "ROLLUP, CUBE or GROUPING SETS"},
    {"XmlExpr", "XML"},
    {"XmlSerialize", "XML"},
    {"SetToDefault", "DEFAULT"},
    {"NamedArgExpr", "a named argument here"},
    {"SQLValueFunction", "CURRENT_TIMESTAMP or another value of the session"},
    {"CurrentOfExpr", "CURRENT OF"},
    {"A_Star", "* here"},
});

std::string_view NameIn(std::span<const Named> names, std::string_view key) {
  for (const auto& [known, name] : names) {
    if (known == key) return name;
  }
  return "";
}

bool IsTag(std::string_view key) { return !key.empty() && key[0] >= 'A' && key[0] <= 'Z'; }

// Copies libpg_query's JSON into Syntax nodes.
class TreeReader {
 public:
  bool too_deep() const { return too_deep_; }

  Syntax Read(simdjson::dom::element element, int depth) {
    Syntax node;
    if (depth > kSqlDepthMax) {
      too_deep_ = true;
      return node;
    }
    switch (element.type()) {
      case simdjson::dom::element_type::OBJECT:
        ReadObject(element.get_object().value_unsafe(), depth, &node);
        break;
      case simdjson::dom::element_type::ARRAY: {
        const simdjson::dom::array items = element.get_array().value_unsafe();
        for (const auto item : items) Append("", item, depth, &node);
        break;
      }
      case simdjson::dom::element_type::STRING:
        node.scalar = std::string(element.get_string().value_unsafe());
        break;
      case simdjson::dom::element_type::BOOL:
        node.scalar = element.get_bool().value_unsafe();
        break;
      case simdjson::dom::element_type::INT64:
        node.scalar = element.get_int64().value_unsafe();
        break;
      default:
        break;
    }
    return node;
  }

 private:
  void ReadObject(simdjson::dom::object object, int depth, Syntax* node) {
    if (object.size() == 1) {
      const auto only = *object.begin();
      if (IsTag(only.key) && only.value.is_object()) {
        node->tag = std::string(only.key);
        ReadFields(only.value.get_object().value_unsafe(), depth + 1, node);
        return;
      }
    }
    ReadFields(object, depth, node);
  }

  void ReadFields(simdjson::dom::object object, int depth, Syntax* node) {
    int64_t own = -1;
    for (const auto field : object) {
      if (field.key == "location") {
        int64_t location = -1;
        if (field.value.get(location) == simdjson::SUCCESS) own = location;
      }
      Append(std::string(field.key), field.value, depth, node);
    }
    if (own >= 0) node->offset = own;
  }

  // A node without a place of its own stands where its first part does.
  void Append(std::string name, simdjson::dom::element element, int depth, Syntax* node) {
    if (!name.empty()) node->names.push_back(std::move(name));
    node->values.push_back(Read(element, depth));
    const int64_t part = node->values.back().offset;
    if (part >= 0 && (node->offset < 0 || part < node->offset)) node->offset = part;
  }

  bool too_deep_ = false;
};

void InheritOffsets(Syntax* node, int64_t inherited) {
  if (node->offset < 0) node->offset = inherited;
  for (Syntax& value : node->values) InheritOffsets(&value, node->offset);
}

// Past what may stand between a minus and its number: space, parentheses, comments, more signs.
size_t SkipToDigit(std::string_view text, size_t at) {
  while (at < text.size() && !(text[at] >= '0' && text[at] <= '9')) {
    if (text.substr(at, 2) == "--") {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      int depth = 0;
      do {
        const std::string_view pair = text.substr(at, 2);
        depth += int(pair == "/*") - int(pair == "*/");
        at += pair == "/*" || pair == "*/" ? 2 : 1;
      } while (depth > 0 && at < text.size());
    } else {
      ++at;
    }
  }
  return at;
}

// libpg_query 15 leaves negative integers out of its JSON, as if they were 0 (it folds the minus
// into the constant, and writes only what is > 0): they are read from the text again.
void RestoreNegatives(std::string_view text, Syntax* node) {
  for (Syntax& value : node->values) RestoreNegatives(text, &value);
  if (node->tag != "A_Const" || node->offset < 0 || size_t(node->offset) >= text.size()) return;
  const auto field = std::ranges::find(node->names, "ival");
  if (field == node->names.end()) return;
  Syntax& integer = node->values[size_t(field - node->names.begin())];
  if (integer.Find("ival") != nullptr || text[size_t(node->offset)] != '-') return;
  const size_t digits = SkipToDigit(text, size_t(node->offset));
  size_t end = digits;
  int64_t magnitude = 0;  // at most 10 digits: the parser took it for 32 bits
  for (; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end) {
    magnitude = magnitude * 10 + (text[end] - '0');
  }
  Syntax number;
  number.offset = node->offset;
  number.scalar = -magnitude;
  integer.names.push_back("ival");
  integer.values.push_back(std::move(number));
}

// The byte at which character `position` (from 1, as PostgreSQL counts) begins; at most just after
// the last word. Without a position (0), the start.
int64_t ByteOfCharacter(std::string_view text, int position) {
  if (position <= 0) return 0;
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  int seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++seen;
    if (seen == position) return int64_t(i);
  }
  return int64_t(text.size());
}

struct ResultDeleter {
  void operator()(PgQueryParseResult* result) const {
    pg_query_free_parse_result(*result);
    delete result;
  }
};

std::string TooDeep() {
  return "the SQL is nested too deeply; at most " + std::to_string(kSqlDepthMax) +
         " levels are allowed";
}

// The parser's message, with no more of the text near the mistake than what ends its line.
std::string ShownError(std::string message) {
  constexpr size_t kNearBytesMax = 64;
  if (message.starts_with("memory exhausted")) return TooDeep();
  constexpr std::string_view kNear = "at or near \"";
  const size_t quote = message.find(kNear);
  if (quote == std::string::npos) return message;
  const size_t start = quote + kNear.size();
  size_t end = std::min(message.find_first_of("\r\n", start), message.size() - 1);
  if (end > start + kNearBytesMax) {
    end = start + kNearBytesMax;
    while ((static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  }
  return message.substr(0, end) + '"';
}

std::string NotSupported(std::string_view construct) {
  return std::string(construct) + " is not supported";
}

std::optional<Syntax> ReadTree(const SqlText& sql, std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  TreeReader reader;
  const auto code = parser.parse(json.data(), json.size()).get(root);
  Syntax tree;
  if (code == simdjson::SUCCESS) tree = reader.Read(root, 0);
  if (code == simdjson::DEPTH_ERROR || reader.too_deep()) {
    sql.Error(0, TooDeep());
    return std::nullopt;
  }
  if (code != simdjson::SUCCESS) {
    sql.Error(
        0, std::string("the SQL parser's answer can't be read: ") + simdjson::error_message(code));
    return std::nullopt;
  }
  InheritOffsets(&tree, 0);
  return tree;
}

}  // namespace

const Syntax* Syntax::Find(std::string_view name) const {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &values[i];
  }
  return nullptr;
}

const std::vector<Syntax>& Syntax::List(std::string_view name) const {
  static const std::vector<Syntax> none;
  const Syntax* list = Find(name);
  return list == nullptr ? none : list->values;
}

bool Syntax::Flag(std::string_view name) const {
  const Syntax* value = Find(name);
  const bool* flag = value == nullptr ? nullptr : std::get_if<bool>(&value->scalar);
  return flag != nullptr && *flag;
}

std::string Syntax::Text(std::string_view name) const {
  const Syntax* value = Find(name);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(&value->scalar);
  return text == nullptr ? "" : *text;
}

int64_t Syntax::Integer(std::string_view name) const {
  const Syntax* value = Find(name);
  const auto* number = value == nullptr ? nullptr : std::get_if<int64_t>(&value->scalar);
  return number == nullptr ? 0 : *number;
}

std::string StringOf(const Syntax& node) { return node.tag == "String" ? node.Text("sval") : ""; }

void SqlText::Error(int64_t offset, const std::string& message, const std::string& hint) const {
  const int64_t in_text = std::max<int64_t>(0, offset - int64_t(prefix_.size()));
  const SourcePlace place = text_.PlaceAt(size_t(in_text));
  for (const Diagnostic& item : diagnostics_->items()) {
    if (item.severity == Severity::kError && item.place == place) return;
  }
  diagnostics_->Error(place, message, hint);
}

std::optional<Syntax> ParseSelect(const SqlText& sql) {
  if (sql.bytes() > kSqlBytesMax) {
    sql.Error(0, "the SQL is longer than " + std::to_string(kSqlBytesMax) + " bytes");
    return std::nullopt;
  }
  const std::string text = sql.Parsed();
  if (text.find('\0') != std::string::npos) {
    sql.Error(int64_t(text.find('\0')), "the SQL holds a null character");
    return std::nullopt;
  }
  // libpg_query writes its JSON by recursion: 64 KiB of `1+1+...` take about 5 MB of stack.
  const std::unique_ptr<PgQueryParseResult, ResultDeleter> result(
      new PgQueryParseResult(pg_query_parse(text.c_str())));
  if (result->error != nullptr) {
    sql.Error(ByteOfCharacter(text, result->error->cursorpos), ShownError(result->error->message));
    return std::nullopt;
  }
  std::optional<Syntax> tree = ReadTree(sql, result->parse_tree);
  if (!tree.has_value()) return std::nullopt;
  RestoreNegatives(text, &*tree);
  const std::vector<Syntax>& statements = tree->List("stmts");
  if (statements.size() != 1) {
    sql.Error(statements.size() > 1 ? statements[1].offset : 0, "expected one SELECT statement");
    return std::nullopt;
  }
  const Syntax* statement = statements[0].Find("stmt");
  if (statement == nullptr || statement->tag != "SelectStmt") {
    sql.Error(0, "expected a SELECT statement");
    return std::nullopt;
  }
  return *statement;
}

bool RefuseOtherFields(const SqlText& sql, const Syntax& node,
                       std::initializer_list<std::string_view> known) {
  bool all_known = true;
  for (size_t i = 0; i < node.names.size(); ++i) {
    const std::string& name = node.names[i];
    if (name == "location" || std::ranges::find(known, name) != known.end()) continue;
    const std::string_view clause = NameIn(kClauses, name);
    const std::string named =
        clause.empty() ? "'" + name + "' of " + ConstructName(node) : std::string(clause);
    sql.Error(node.values[i], NotSupported(named));
    all_known = false;
  }
  return all_known;
}

std::string ConstructName(const Syntax& node) {
  const std::string_view name = NameIn(kConstructs, node.tag);
  if (!name.empty()) return std::string(name);
  return node.tag.empty() ? "this construct" : "the construct " + node.tag;
}

}  // namespace millrace
