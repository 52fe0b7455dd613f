// The types of columns and their Arrow forms. PostgreSQL's names; numeric is kept as double.
#pragma once

#include <arrow/type.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

enum class Type {
  kNull,       // a bare NULL literal, before it takes the type of what it meets
  kBoolean,    // arrow boolean
  kInteger,    // 32 bits, arrow int32
  kBigint,     // 64 bits, arrow int64
  kDouble,     // double precision, arrow float64
  kText,       // UTF-8, arrow utf8
  kTimestamp,  // microseconds UTC, arrow timestamp(us, "UTC")
  kInterval,   // of expressions only; never a column
  kReal,       // 32 bits, arrow float32
  kDate,       // days since 1970-01-01, arrow date32
  kJson,       // one JSON value as it is written, arrow utf8
};

// "boolean", "integer", "bigint", "real", "double precision", "text", "date", "timestamp",
// "interval", "json".
std::string_view TypeName(Type type);
// From a type name in a job file or a cast, in any letter case, with PostgreSQL's and the job
// file's synonyms (int, int4, int8, float8, double, numeric, varchar, timestamptz, bool, ...).
std::optional<Type> TypeFromName(std::string_view name);
// Names a job file may give a column, for suggestions.
std::span<const std::string> ColumnTypeNames();
// Not for kInterval. kNull gives arrow::null().
std::shared_ptr<arrow::DataType> ArrowType(Type type);

constexpr bool IsNumeric(Type type) {
  return type == Type::kInteger || type == Type::kBigint || type == Type::kReal ||
         type == Type::kDouble;
}

// UTF-8 in arrow utf8.
constexpr bool IsTextual(Type type) { return type == Type::kText || type == Type::kJson; }

struct Field {
  std::string name;
  Type type = Type::kText;
  std::string unit;      // UCUM code ("Cel", "%", "[ppb]"); may be empty
  bool is_json = false;  // text that holds one JSON value; JSON output embeds it as it is
  friend bool operator==(const Field&, const Field&) = default;
};

struct Schema {
  std::vector<Field> fields;

  // -1 where there is none. Exact match (SQL folds unquoted names to lower case before).
  int IndexOf(std::string_view name) const;
  std::vector<std::string> Names() const;
  // Every field nullable; the unit is field metadata "unit".
  std::shared_ptr<arrow::Schema> ToArrow() const;
  friend bool operator==(const Schema&, const Schema&) = default;
};

}  // namespace millrace
