// A bound SQL expression: names resolved to columns of one input schema, types settled, casts
// explicit. Pure data; engine/operators/evaluator.h runs it over batches. Meaning is PostgreSQL's:
// three-valued logic, integer division, NaN greater than every number and equal to itself, errors
// a row (division by zero, overflow, bad casts), and CASE and COALESCE that guard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/model/types.h"

namespace millrace {

// Months and days are kept apart from time as PostgreSQL does; windows take only fixed ones.
struct Interval {
  int32_t months = 0;
  int32_t days = 0;
  int64_t micros = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

// monostate is NULL. Integers, timestamps (microseconds) and dates (days) are int64_t; a real is a
// double that float holds.
using Literal = std::variant<std::monostate, bool, int64_t, double, std::string, Interval>;

struct Expr {
  enum class Kind {
    kColumn,    // column
    kLiteral,   // literal
    kCall,      // function (an id of the catalog in functions.h) over args
    kCast,      // args[0] to `type`
    kTryCast,   // the same, but null where the cast itself fails
    kCase,      // args: condition, value, condition, value, ..., else (always there)
    kCoalesce,  // args, all of `type`; evaluated left to right only for rows still null
    kAnd,       // args, boolean; Kleene logic; the right side is evaluated only for rows not
    kOr,        //   already settled by the left (PostgreSQL leaves the order open; guards guard)
    kIsNull,    // args[0]
    kIsNotNull,
  };

  Kind kind = Kind::kLiteral;
  Type type = Type::kNull;
  int column = -1;
  Literal literal;
  int function = -1;
  // A timestamp that is the wall clock of some zone (PostgreSQL's timestamp without time zone), as
  // far as the expression shows it: AT TIME ZONE turns such a one back to UTC.
  bool is_local_time = false;
  std::vector<Expr> args;
  std::string text;  // as the user wrote it, for errors and plans; may be empty

  friend bool operator==(const Expr&, const Expr&) = default;
};

// SQL-like text with columns by name, for plans and dead letters: `(temperature + 1) > 80`.
std::string FormatExpr(const Expr& expr, const Schema& input);
// The same, in parentheses where it would not stand alone beside an operator.
std::string FormatOperand(const Expr& expr, const Schema& input);

}  // namespace millrace
