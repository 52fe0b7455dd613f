// Expressions and batches for tests, written short.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "engine/plan/expression.h"
#include "engine/plan/functions.h"

namespace millrace::testing_batch {

template <typename T>
using Cells = std::vector<std::optional<T>>;

template <typename Builder, typename T>
std::shared_ptr<arrow::Array> Array(Builder builder, const Cells<T>& cells) {
  for (const auto& cell : cells) {
    EXPECT_TRUE((cell.has_value() ? builder.Append(*cell) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}
inline std::shared_ptr<arrow::Array> Integers(const Cells<int32_t>& cells) {
  return Array(arrow::Int32Builder(), cells);
}
inline std::shared_ptr<arrow::Array> Bigints(const Cells<int64_t>& cells) {
  return Array(arrow::Int64Builder(), cells);
}
inline std::shared_ptr<arrow::Array> Doubles(const Cells<double>& cells) {
  return Array(arrow::DoubleBuilder(), cells);
}
inline std::shared_ptr<arrow::Array> Booleans(const Cells<bool>& cells) {
  return Array(arrow::BooleanBuilder(), cells);
}
inline std::shared_ptr<arrow::Array> Texts(const Cells<std::string>& cells) {
  return Array(arrow::StringBuilder(), cells);
}
inline std::shared_ptr<arrow::Array> Times(const Cells<int64_t>& cells) {
  return Array(arrow::TimestampBuilder(ArrowType(Type::kTimestamp), arrow::default_memory_pool()),
               cells);
}

struct NamedColumn {
  std::string name;
  Type type;
  std::shared_ptr<arrow::Array> values;
};

struct TestBatch {
  Schema schema;
  std::shared_ptr<arrow::RecordBatch> batch;

  TestBatch(std::initializer_list<NamedColumn> columns) {
    arrow::ArrayVector arrays;
    for (const NamedColumn& column : columns) {
      schema.fields.push_back({column.name, column.type, "", false});
      arrays.push_back(column.values);
    }
    batch = arrow::RecordBatch::Make(schema.ToArrow(), arrays[0]->length(), arrays);
  }

  Expr operator[](const std::string& name) const {
    Expr expr;
    expr.kind = Expr::Kind::kColumn;
    expr.column = schema.IndexOf(name);
    EXPECT_GE(expr.column, 0) << name;
    expr.type = schema.fields[size_t(expr.column)].type;
    return expr;
  }
};

inline Expr Value(Type type, Literal literal) {
  Expr expr;
  expr.type = type;
  expr.literal = std::move(literal);
  return expr;
}
inline Expr Int(int64_t value) { return Value(Type::kInteger, value); }
inline Expr Double(double value) { return Value(Type::kDouble, value); }
inline Expr Text(std::string value) { return Value(Type::kText, std::move(value)); }

inline Expr Make(Expr::Kind kind, Type type, std::vector<Expr> args) {
  Expr expr;
  expr.kind = kind;
  expr.type = type;
  expr.args = std::move(args);
  return expr;
}

// The overload for exactly these arguments.
inline Expr Call(const std::string& name, std::vector<Expr> args) {
  std::vector<Type> types;
  types.reserve(args.size());
  for (const Expr& arg : args) types.push_back(arg.type);
  const int function = ResolveFunction(name, types, std::vector<bool>(types.size(), false));
  EXPECT_GE(function, 0) << name;
  Expr expr = Make(Expr::Kind::kCall, FunctionCatalog()[size_t(function)].result, std::move(args));
  expr.function = function;
  return expr;
}

}  // namespace millrace::testing_batch
