#include "engine/connectors/json/row_encoder.h"

#include <arrow/builder.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/base/time.h"

namespace millrace {
namespace {

Field MakeField(std::string name, Type type, bool is_json = false) {
  Field field;
  field.name = std::move(name);
  field.type = type;
  field.is_json = is_json;
  return field;
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(const std::vector<std::optional<Value>>& in) {
  Builder builder;
  for (const auto& value : in) {
    EXPECT_TRUE((value.has_value() ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

std::vector<std::string> EncodeRows(JsonRowEncoder* encoder, const arrow::RecordBatch& batch) {
  std::string buffer = "kept|";
  std::vector<size_t> ends;
  EXPECT_TRUE(encoder->Encode(batch, &buffer, &ends).ok());
  std::vector<std::string> rows;
  size_t begin = 5;
  for (const size_t end : ends) {
    rows.push_back(buffer.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, buffer.size());
  EXPECT_EQ(buffer.substr(0, 5), "kept|");
  return rows;
}

std::vector<std::string> EncodeDoubles(const std::vector<std::optional<double>>& values,
                                       int64_t* non_finite) {
  const Schema schema{{MakeField("x", Type::kDouble)}};
  const auto batch = arrow::RecordBatch::Make(schema.ToArrow(), int64_t(values.size()),
                                              {Column<arrow::DoubleBuilder, double>(values)});
  JsonRowEncoder encoder(schema);
  auto rows = EncodeRows(&encoder, *batch);
  *non_finite = encoder.non_finite_values();
  return rows;
}

TEST(JsonRowEncoder, WritesEveryTypeInColumnOrder) {
  const Schema schema{{MakeField("at", Type::kTimestamp), MakeField("ok", Type::kBoolean),
                       MakeField("n", Type::kInteger), MakeField("big", Type::kBigint),
                       MakeField("a \"b\"", Type::kText), MakeField("raw", Type::kText, true)}};
  arrow::TimestampBuilder at(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  ASSERT_TRUE(at.Append(1'655'129'685'000'001).ok());
  ASSERT_TRUE(at.Append(-1).ok());
  ASSERT_TRUE(at.AppendNull().ok());
  const auto batch = arrow::RecordBatch::Make(
      schema.ToArrow(), 3,
      {at.Finish().ValueOrDie(), Column<arrow::BooleanBuilder, bool>({true, false, std::nullopt}),
       Column<arrow::Int32Builder, int32_t>({INT32_MIN, 7, std::nullopt}),
       Column<arrow::Int64Builder, int64_t>({INT64_MIN, 1'000'000'000'000'000'000, std::nullopt}),
       Column<arrow::StringBuilder, std::string>({"q\"\\/\n\x01\xc3\xa9", "", std::nullopt}),
       Column<arrow::StringBuilder, std::string>({"{\"k\":[1,2]}", "3.50", std::nullopt})});
  JsonRowEncoder encoder(schema);
  const auto rows = EncodeRows(&encoder, *batch);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0],
            "{\"at\":\"2022-06-13T14:14:45.000001Z\",\"ok\":true,\"n\":-2147483648,"
            "\"big\":-9223372036854775808,\"a \\\"b\\\"\":\"q\\\"\\\\/\\n\\u0001\xc3\xa9\","
            "\"raw\":{\"k\":[1,2]}}");
  EXPECT_EQ(rows[1],
            "{\"at\":\"1969-12-31T23:59:59.999999Z\",\"ok\":false,\"n\":7,"
            "\"big\":1000000000000000000,\"a \\\"b\\\"\":\"\",\"raw\":3.50}");
  EXPECT_EQ(rows[2],
            "{\"at\":null,\"ok\":null,\"n\":null,\"big\":null,\"a \\\"b\\\"\":null,\"raw\":null}");
}

TEST(JsonRowEncoder, WritesDoublesShortAndExact) {
  int64_t non_finite = 0;
  const auto rows = EncodeDoubles({21.0, 0.1, -0.5, 100000.0, 0.1 + 0.2, 123456789012345.0, 1e15,
                                   1e21, 0.00001, 0.000001, 5e-324, 1.7976931348623157e308, 0.0},
                                  &non_finite);
  const std::vector<std::string> expected = {"{\"x\":21}",
                                             "{\"x\":0.1}",
                                             "{\"x\":-0.5}",
                                             "{\"x\":100000}",
                                             "{\"x\":0.30000000000000004}",
                                             "{\"x\":123456789012345}",
                                             "{\"x\":1e+15}",
                                             "{\"x\":1e+21}",
                                             "{\"x\":0.00001}",
                                             "{\"x\":1e-06}",
                                             "{\"x\":5e-324}",
                                             "{\"x\":1.7976931348623157e+308}",
                                             "{\"x\":0}"};
  EXPECT_EQ(rows, expected);
  EXPECT_EQ(non_finite, 0);
}

TEST(JsonRowEncoder, NonFiniteValuesBecomeNullAndAreCounted) {
  int64_t non_finite = 0;
  const double infinity = std::numeric_limits<double>::infinity();
  const auto rows = EncodeDoubles({std::nan(""), infinity, -infinity, std::nullopt}, &non_finite);
  EXPECT_EQ(rows, std::vector<std::string>(4, "{\"x\":null}"));
  EXPECT_EQ(non_finite, 3);
}

TEST(JsonRowEncoder, EncodesSomeColumnsAndSlices) {
  const Schema schema{{MakeField("a", Type::kBigint), MakeField("b", Type::kText)}};
  const auto batch =
      arrow::RecordBatch::Make(schema.ToArrow(), 3,
                               {Column<arrow::Int64Builder, int64_t>({1, 2, 3}),
                                Column<arrow::StringBuilder, std::string>({"x", "y", "z"})});
  JsonRowEncoder keys(schema, {1, 0});
  EXPECT_EQ(EncodeRows(&keys, *batch->Slice(1, 2)),
            (std::vector<std::string>{"{\"b\":\"y\",\"a\":2}", "{\"b\":\"z\",\"a\":3}"}));
  JsonRowEncoder none(schema, {});
  EXPECT_EQ(EncodeRows(&none, *batch), std::vector<std::string>(3, "{}"));
}

TEST(JsonRowEncoder, RefusesABatchOfAnotherSchema) {
  const Schema schema{{MakeField("a", Type::kBigint)}};
  const auto batch = arrow::RecordBatch::Make(Schema{{MakeField("a", Type::kDouble)}}.ToArrow(), 1,
                                              {Column<arrow::DoubleBuilder, double>({1.0})});
  JsonRowEncoder encoder(schema);
  std::string buffer;
  std::vector<size_t> ends;
  const Status status = encoder.Encode(*batch, &buffer, &ends);
  ASSERT_NE(ErrorDetail::Of(status), nullptr);
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "schema_mismatch");
}

}  // namespace
}  // namespace millrace
