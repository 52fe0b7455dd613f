// Binds one expression's syntax to columns, functions and types, by PostgreSQL's rules: literals
// take the type they meet, numbers widen (integer to bigint to double precision), and every such
// cast becomes a node of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/plan/expression.h"
#include "engine/plan/functions.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

struct Bound {
  Expr expr;
  bool open_text = false;  // a plain string literal: its type is still open
};

// A plain string literal or NULL: what it meets decides its type.
inline bool IsOpen(const Bound& bound) { return bound.open_text || bound.expr.type == Type::kNull; }

// Takes the aggregate calls of a grouped query.
class AggregateBinder {
 public:
  virtual ~AggregateBinder() = default;
  // Nothing after an error.
  virtual std::optional<Bound> BindAggregate(const Syntax& call, const std::string& name) = 0;
};

// Columns of a scope that may be named with a qualifier: those of a stream, a table or unnest() in
// FROM.
struct RelationScope {
  std::string qualifier;
  int first = 0;  // of its columns
  int count = 0;
  // PostgreSQL takes the alias of a function that gives single values for the value itself.
  bool qualifier_is_value = false;
  // By the offset from `first`: names of columns, where those of the schema had to be made unique.
  std::vector<std::string> names = {};
  // Columns that stand for those of the relation before it (USING): only named with the qualifier.
  std::vector<bool> merged = {};

  bool is_merged(int column) const { return !merged.empty() && merged[size_t(column - first)]; }
};

// Takes the calls with OVER of a query.
class OverBinder {
 public:
  virtual ~OverBinder() = default;
  // Nothing after an error.
  virtual std::optional<Bound> BindOver(const Syntax& call, const std::string& name) = 0;
};

// What an expression may name. Pseudo-columns follow the input's own: window_start, window_end,
// then the aggregates; without a window the calls with OVER (see query_binder.h).
struct BindScope {
  const Schema* columns = nullptr;
  // Together they have all columns, in order; `stream.column`, `alias.column`.
  std::vector<RelationScope> relations;
  bool window_columns = false;            // window_start and window_end may be named
  std::string no_window_columns;          // why they may not be, where they would exist
  AggregateBinder* aggregates = nullptr;  // null: aggregates are refused,
  std::string no_aggregates;              //   with this message
  std::string no_aggregates_hint;
  OverBinder* over = nullptr;                                            // null: OVER is refused,
  std::string no_over = "window functions (OVER) are not allowed here";  //   with this message
  std::string no_over_hint;
  // Nodes that BETWEEN, IN and CASE may still copy; shared by a whole query.
  int64_t* copies_left = nullptr;
};

inline constexpr int64_t kCopiedNodesMax = 20'000;

// The name that a function call is known by, or "" after an error (schema-qualified names).
std::string FunctionNameOf(const SqlText& sql, const Syntax& call);

class ExpressionBinder {
 public:
  // Both must outlive it.
  ExpressionBinder(const SqlText& sql, const BindScope& scope) : sql_(sql), scope_(scope) {}

  // Nothing after an error, which has been reported.
  std::optional<Bound> Bind(const Syntax& node);
  // A boolean; `clause` names it in errors: "WHERE".
  std::optional<Expr> BindCondition(const Syntax& node, const std::string& clause);
  // A value of its own: what is still open is text. Intervals are refused.
  std::optional<Expr> BindValue(const Syntax& node);

  // `bound` as `type`: a literal is read as it, another type is cast. Only for casts that exist.
  std::optional<Expr> Coerce(const Syntax& node, Bound bound, Type type);

  // Columns of the input that were named, with the place of each (aggregates' arguments not).
  struct Reference {
    int column;
    int64_t offset;
  };
  const std::vector<Reference>& references() const { return references_; }

 private:
  struct Operand {
    const Syntax* node;
    Bound bound;
  };

  std::optional<Bound> BindColumn(const Syntax& node);
  std::optional<Bound> ColumnNamed(const Syntax& node, const std::string& name);
  std::optional<Bound> ColumnOf(const Syntax& node, const std::string& qualifier,
                                const std::string& name);
  std::optional<Bound> UnqualifiedColumn(const Syntax& node, const std::string& name);
  const std::string& NameOf(const RelationScope& relation, int column) const;
  Bound Named(const Syntax& node, int index);
  std::optional<Bound> BindConstant(const Syntax& node);
  std::optional<Bound> BindOperator(const Syntax& node);
  std::optional<Bound> BindIn(const Syntax& node);
  std::optional<Bound> BindBetween(const Syntax& node, bool negated, bool symmetric);
  std::optional<Bound> BindRange(const Syntax& node, const Syntax& left, const Syntax& low_node,
                                 const Syntax& high_node, bool negated);
  std::optional<Bound> BindOutOfRange(const Syntax& node);
  std::optional<Bound> BindSimilar(const Syntax& node);
  std::optional<Bound> BindDistinct(const Syntax& node, bool negated);
  std::optional<Bound> BindLogic(const Syntax& node);
  std::optional<Bound> BindNullTest(const Syntax& node);
  std::optional<Bound> BindBooleanTest(const Syntax& node);
  std::optional<Bound> BindCase(const Syntax& node);
  std::optional<Bound> BindCoalesce(const Syntax& node);
  std::optional<Bound> BindMinMax(const Syntax& node);
  std::optional<Bound> BindCast(const Syntax& node);
  std::optional<Bound> BindTryCast(const Syntax& node);
  bool CheckCast(const Syntax& node, const Bound& value, Type type) const;
  std::optional<Bound> BindFunction(const Syntax& node);
  std::optional<Bound> BindMakeInterval(const Syntax& node);
  std::optional<Bound> BindNullIf(const Syntax& node, std::vector<Operand> operands);
  std::optional<Bound> BindNullCount(const Syntax& node, const std::string& name);

  std::optional<Operand> BindOperand(const Syntax& node);
  std::optional<std::vector<Operand>> BindAll(const std::vector<Syntax>& nodes);
  std::optional<Operand> Copy(const Operand& operand);
  std::optional<Bound> Compare(const Syntax& node, const std::string& symbol, Operand left,
                               Operand right);
  std::optional<Bound> Call(const Syntax& node, const std::string& name,
                            std::vector<Operand> operands);
  bool CheckTimeUnit(const std::string& name, const std::vector<Operand>& operands);
  bool CheckExtract(const std::vector<Operand>& operands);
  bool CheckPath(const std::string& name, const std::vector<Operand>& operands);
  bool CheckTimeZone(const std::string& name, const std::vector<Operand>& operands);
  static bool GivesLocalTime(std::string_view name, const FunctionSignature& signature,
                             const std::vector<Operand>& operands);
  // Whether what is chosen from these is a local time: all timestamps are whose type is settled.
  static bool AllLocalTimes(const std::vector<Operand>& operands);
  bool CheckNumberTemplate(const std::string& name, const std::vector<Operand>& operands);
  bool CheckPattern(const std::string& name, const std::vector<Operand>& operands);
  void NoSuchCall(const Syntax& node, const std::string& name,
                  const std::vector<Operand>& operands);
  Bound Not(Expr expr);
  // The one type of CASE's, COALESCE's results; kNull after an error.
  Type CommonType(const Syntax& node, const std::string& what,
                  const std::vector<Operand>& operands);

  const SqlText& sql_;
  const BindScope& scope_;
  std::vector<Reference> references_;
};

}  // namespace millrace
