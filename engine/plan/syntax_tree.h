// SQL text as a syntax tree: PostgreSQL's own grammar (libpg_query), as small plain nodes. Every
// node knows its byte offset in the text, so that every mistake can be told with its place.
//
// The tree is read from libpg_query's JSON form, not its protobuf one: that header is 4.5 MB, and
// the JSON holds the same fields. Fields with a default value (0, false, empty) are absent.
//
// Nothing of a statement may be ignored silently: whoever reads a node names the fields it knows
// (RefuseOtherFields) and every other one is refused by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"

namespace millrace {

inline constexpr size_t kSqlBytesMax = 64 << 10;
// Levels of expressions in each other. Bounds every recursion over the tree and what is bound
// from it.
inline constexpr int kSqlDepthMax = 200;

struct Syntax {
  std::string tag;                 // "FuncCall"; empty for lists, scalars and untagged objects
  std::vector<std::string> names;  // of `values`; empty for lists
  std::vector<Syntax> values;
  std::variant<std::monostate, bool, int64_t, std::string> scalar;
  int64_t offset = -1;  // bytes from the start of the parsed text; always there after ParseSql

  const Syntax* Find(std::string_view name) const;
  // The list under `name`; empty where there is none.
  const std::vector<Syntax>& List(std::string_view name) const;
  bool Flag(std::string_view name) const;
  std::string Text(std::string_view name) const;
  int64_t Integer(std::string_view name) const;
};

// A `String` node's text, or "" for another node.
std::string StringOf(const Syntax& node);

// SQL text under way: reports mistakes at offsets of what the parser was given, which is `text`
// after `prefix` bytes of our own. `text` and `diagnostics` must outlive it.
class SqlText {
 public:
  SqlText(const PlacedText& text, std::string prefix, Diagnostics* diagnostics)
      : text_(text), prefix_(std::move(prefix)), diagnostics_(diagnostics) {}

  std::string Parsed() const { return prefix_ + text_.text; }
  size_t bytes() const { return text_.text.size(); }
  // Where there is an error at this very place already, that one stays alone.
  void Error(int64_t offset, const std::string& message, const std::string& hint = "") const;
  void Error(const Syntax& node, const std::string& message, const std::string& hint = "") const {
    Error(node.offset, message, hint);
  }

 private:
  const PlacedText& text_;
  std::string prefix_;
  Diagnostics* diagnostics_;
};

// The one SELECT statement of `sql` (a `SelectStmt` node), or nothing after an error.
std::optional<Syntax> ParseSelect(const SqlText& sql);

// False, with an error a field, where `node` has fields that are not `known`.
bool RefuseOtherFields(const SqlText& sql, const Syntax& node,
                       std::initializer_list<std::string_view> known);

// What a user calls the construct of this tag: "a subquery", "ROLLUP, CUBE or GROUPING SETS".
std::string ConstructName(const Syntax& node);

}  // namespace millrace
