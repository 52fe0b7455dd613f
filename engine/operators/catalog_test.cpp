// Every entry of the catalogue runs: over nulls and values, over batches of 0, 1 and 1000 rows, and
// over slices whose offsets fall between bytes of the bitmaps, with the same result row by row.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <gtest/gtest.h>

#include "engine/operators/evaluator.h"
#include "engine/operators/kernels.h"
#include "engine/plan/functions.h"

namespace millrace {
namespace {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Filled(Builder builder, int64_t rows, bool nulls, Value value) {
  for (int64_t row = 0; row < rows; ++row) {
    EXPECT_TRUE((nulls && row % 3 == 1 ? builder.AppendNull() : builder.Append(value(row))).ok());
  }
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Values(Type type, int64_t rows, bool nulls) {
  switch (type) {
    case Type::kBoolean:
      return Filled(arrow::BooleanBuilder(), rows, nulls, [](int64_t r) { return r % 2 == 0; });
    case Type::kInteger:
      return Filled(arrow::Int32Builder(), rows, nulls,
                    [](int64_t r) { return int32_t(r % 9) - 4; });
    case Type::kBigint:
      return Filled(arrow::Int64Builder(), rows, nulls, [](int64_t r) { return r % 9 - 4; });
    case Type::kReal:
      return Filled(arrow::FloatBuilder(), rows, nulls,
                    [](int64_t r) { return float(r % 9) / 2 - 1; });
    case Type::kDate:
      return Filled(arrow::Date32Builder(), rows, nulls,
                    [](int64_t r) { return int32_t(r * 41 - 10'000); });
    case Type::kDouble:
      return Filled(arrow::DoubleBuilder(), rows, nulls,
                    [](int64_t r) { return double(r % 9) / 2 - 1; });
    case Type::kTimestamp:
      return Filled(arrow::TimestampBuilder(ArrowType(type), arrow::default_memory_pool()), rows,
                    nulls, [](int64_t r) { return r * 3'600'123'456 - 1'000'000'000'000; });
    case Type::kJson:
      return Filled(arrow::StringBuilder(), rows, nulls, [](int64_t r) {
        return std::vector<std::string>{"{\"hour\":\"a\\n\",\"a\":[1]}", "[1, null]", "\"q\"",
                                        "5"}[size_t(r % 4)];
      });
    default:
      return Filled(arrow::StringBuilder(), rows, nulls, [](int64_t r) {
        return std::vector<std::string>{"hour", "", "a%", "day"}[size_t(r % 4)];
      });
  }
}

// The type of a column that holds the signature's result: an interval as its text.
Type ColumnTypeOf(const FunctionSignature& signature) {
  return signature.result == Type::kInterval ? Type::kText : signature.result;
}

Expr AsColumn(Expr call) {
  if (call.type != Type::kInterval) return call;
  Expr cast;
  cast.kind = Expr::Kind::kCast;
  cast.type = Type::kText;
  cast.args = {std::move(call)};
  return cast;
}

// A call of the signature over columns 0, 1, ...; intervals are literals.
Expr CallOf(int function, Schema* schema) {
  const FunctionSignature& signature = FunctionCatalog()[size_t(function)];
  Expr call;
  call.kind = Expr::Kind::kCall;
  call.function = function;
  call.type = signature.result;
  call.text = signature.name;
  std::vector<Type> types = signature.args;
  if (signature.variadic) types.push_back(types.back());
  for (const Type type : types) {
    Expr arg;
    arg.type = type;
    if (type == Type::kInterval) {
      arg.literal = Interval{1, 2, 3};
    } else {
      arg.kind = Expr::Kind::kColumn;
      arg.column = int(schema->fields.size());
      schema->fields.push_back({"c" + std::to_string(arg.column), type, "", false});
    }
    call.args.push_back(arg);
  }
  return call;
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const Schema& schema, int64_t rows, bool nulls) {
  arrow::ArrayVector arrays;
  for (const Field& field : schema.fields) arrays.push_back(Values(field.type, rows, nulls));
  return arrow::RecordBatch::Make(schema.ToArrow(), rows, arrays);
}

class CatalogTest : public testing::TestWithParam<int> {};

TEST_P(CatalogTest, HasAKernelThatRunsOverEveryShapeOfBatch) {
  const FunctionSignature& signature = FunctionCatalog()[size_t(GetParam())];
  ASSERT_NE(FindKernel(signature), nullptr) << signature.name;
  Schema schema;
  const Expr call = CallOf(GetParam(), &schema);
  const std::unique_ptr<Evaluator> evaluator = Evaluator::Make(AsColumn(call), schema).ValueOrDie();
  for (const bool nulls : {false, true}) {
    for (const int64_t rows : {0, 1, 1000}) {
      const auto batch = BatchOf(schema, rows, nulls);
      const Evaluated all = evaluator->Evaluate(*batch).ValueOrDie();
      ASSERT_TRUE(all.values->ValidateFull().ok());
      ASSERT_EQ(all.values->length(), rows);
      ASSERT_TRUE(all.values->type()->Equals(ArrowType(ColumnTypeOf(signature))));
      if (!signature.fallible) {
        EXPECT_TRUE(all.errors.empty());
      }
      if (signature.strict && nulls && !schema.fields.empty() && rows > 1) {
        EXPECT_TRUE(all.values->IsNull(1));
      }
      for (const int64_t offset : {1, 7, 9}) {
        if (offset > rows) continue;
        const auto slice = batch->Slice(offset, rows - offset - rows / 5);
        const Evaluated part = evaluator->Evaluate(*slice).ValueOrDie();
        ASSERT_TRUE(part.values->ValidateFull().ok());
        EXPECT_TRUE(part.values->Equals(all.values->Slice(offset, slice->num_rows()),
                                        arrow::EqualOptions().nans_equal(true)))
            << signature.name << " at " << offset;
        for (const RowError& error : part.errors) EXPECT_TRUE(part.values->IsNull(error.row));
      }
    }
  }
}

TEST_P(CatalogTest, GivesNullForNullArguments) {
  const FunctionSignature& signature = FunctionCatalog()[size_t(GetParam())];
  if (!signature.strict || signature.args.empty()) return;
  Schema schema;
  Expr call = CallOf(GetParam(), &schema);
  for (size_t i = 0; i < call.args.size(); ++i) {
    if (call.args[i].type == Type::kInterval) continue;
    Expr with_null = call;
    with_null.args[i] = Expr();
    with_null.args[i].type = call.args[i].type;
    const auto evaluator = Evaluator::Make(AsColumn(with_null), schema).ValueOrDie();
    const Evaluated result = evaluator->Evaluate(*BatchOf(schema, 10, false)).ValueOrDie();
    EXPECT_EQ(result.values->null_count(), 10) << signature.name;
    EXPECT_TRUE(result.errors.empty());
  }
}

std::string TestName(const testing::TestParamInfo<int>& info) {
  std::string name = std::to_string(info.param);
  for (const char c : FunctionCatalog()[size_t(info.param)].name) {
    if (std::isalnum(uint8_t(c)) != 0) name.push_back(c);
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Functions, CatalogTest, testing::Range(0, int(FunctionCatalog().size())),
                         TestName);

}  // namespace
}  // namespace millrace
