#include "engine/operators/project.h"

#include <gtest/gtest.h>

#include "engine/operators/expression_test_batch.h"

namespace millrace {
namespace {

using namespace testing_batch;  // NOLINT: a vocabulary for this file

Rows WithOrigins(const TestBatch& input) {
  auto origins = std::make_shared<Origins>();
  origins->source = {"readings", 3};
  for (int64_t row = 0; row < input.batch->num_rows(); ++row) {
    origins->offsets.push_back(100 + row);
  }
  return {input.batch, origins, RowKind::kRunning};
}

Projected Project(const ProjectNode& node, const TestBatch& input, const Schema& output) {
  return ProjectOperator::Make(node, input.schema, output)
      .ValueOrDie()
      ->Apply(WithOrigins(input))
      .ValueOrDie();
}

TestBatch Readings() {
  return TestBatch({{"id", Type::kText, Texts({"a", "b", "c", "d", "e"})},
                    {"x", Type::kInteger, Integers({5, 0, std::nullopt, 8, 2})}});
}

TEST(ProjectTest, IdentityPassesTheBatchOn) {
  const TestBatch input = Readings();
  const Projected result = Project({std::nullopt, {input["id"], input["x"]}}, input, input.schema);
  EXPECT_EQ(result.rows.batch.get(), input.batch.get());
  EXPECT_TRUE(result.source_rows.empty());
}

TEST(ProjectTest, RenamingAndReorderingCopyNothing) {
  const TestBatch input = Readings();
  const Schema output{{{"y", Type::kInteger, "", false}, {"name", Type::kText, "", false}}};
  const Projected result = Project({std::nullopt, {input["x"], input["id"]}}, input, output);
  EXPECT_EQ(result.rows.batch->column(0).get(), input.batch->column(1).get());
  EXPECT_EQ(result.rows.batch->column(1).get(), input.batch->column(0).get());
  EXPECT_EQ(result.rows.batch->schema()->field(0)->name(), "y");
  EXPECT_EQ(result.rows.origins->offsets.size(), 5u);
  EXPECT_EQ(result.rows.kind, RowKind::kRunning);
}

TEST(ProjectTest, FilterComesFirstAndTakesOriginsAlong) {
  const TestBatch input = Readings();
  const Schema output{{{"q", Type::kInteger, "", false}}};
  const Projected result =
      Project({Call(">", {input["x"], Int(0)}), {Call("/", {Int(40), input["x"]})}}, input, output);
  EXPECT_TRUE(result.rows.batch->column(0)->Equals(Integers({8, 5, 20})));
  EXPECT_EQ(result.rows.origins->offsets, (std::vector<int64_t>{100, 103, 104}));
  EXPECT_EQ(result.rows.origins->source.partition, 3);
  EXPECT_EQ(result.source_rows, (std::vector<int32_t>{0, 3, 4}));
  EXPECT_EQ(result.filtered_out, 2);
  EXPECT_TRUE(result.errors.empty());
}

TEST(ProjectTest, FailedRowsAreLeftOutByTheirInputRow) {
  const TestBatch input = Readings();
  const Schema output{{{"id", Type::kText, "", false}, {"q", Type::kInteger, "", false}}};
  // b fails in the projection, e in the filter (1 / (x - 2)), d is filtered out.
  const Expr filter = Call("<", {Call("/", {Int(10), Call("-", {input["x"], Int(2)})}), Int(9)});
  const Expr not_d = Call("<>", {input["id"], Text("d")});
  const Projected result = Project({Make(Expr::Kind::kAnd, Type::kBoolean, {not_d, filter}),
                                    {input["id"], Call("/", {Int(10), input["x"]})}},
                                   input, output);
  EXPECT_TRUE(result.rows.batch->column(0)->Equals(Texts({"a"})));
  EXPECT_TRUE(result.rows.batch->column(1)->Equals(Integers({2})));
  EXPECT_EQ(result.rows.origins->offsets, (std::vector<int64_t>{100}));
  EXPECT_EQ(result.source_rows, (std::vector<int32_t>{0}));
  EXPECT_EQ(result.filtered_out, 2);  // c is null, d
  ASSERT_EQ(result.errors.size(), 2u);
  EXPECT_EQ(result.errors[0].row, 1);
  EXPECT_EQ(result.errors[1].row, 4);
  // Every row has one fate.
  EXPECT_EQ(result.rows.size() + result.filtered_out + int64_t(result.errors.size()), 5);
}

TEST(ProjectTest, ARowThatFailsInTwoColumnsIsOneError) {
  const TestBatch input = Readings();
  const Schema output{{{"p", Type::kInteger, "", false}, {"q", Type::kInteger, "", false}}};
  const Expr quotient = Call("/", {Int(10), input["x"]});
  const Projected result = Project({std::nullopt, {quotient, quotient}}, input, output);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].row, 1);
  EXPECT_EQ(result.source_rows, (std::vector<int32_t>{0, 2, 3, 4}));
  EXPECT_TRUE(result.rows.batch->column(1)->Equals(Integers({2, std::nullopt, 1, 5})));
}

TEST(ProjectTest, WhatIsComputedOnceFailsARowOnceAndGuardsGoOnGuarding) {
  const TestBatch input = Readings();
  const Schema output{{{"p", Type::kInteger, "", false}, {"q", Type::kInteger, "", false}}};
  const Expr quotient = Call("/", {Int(10), input["x"]});
  const Expr guarded =
      Make(Expr::Kind::kCase, Type::kInteger,
           {Call(">", {input["x"], Int(2)}), Call("+", {quotient, Int(1)}), Int(-1)});
  // Behind the guard alone b does not fail.
  Projected result =
      Project({std::nullopt, {guarded, Call("-", {guarded, Int(1)})}}, input, output);
  EXPECT_TRUE(result.errors.empty());
  EXPECT_TRUE(result.rows.batch->column(0)->Equals(Integers({3, -1, -1, 2, -1})));
  EXPECT_TRUE(result.rows.batch->column(1)->Equals(Integers({2, -2, -2, 1, -2})));
  // Beside the guard it does, and says so as without sharing.
  result = Project({std::nullopt, {guarded, Call("*", {quotient, quotient})}}, input, output);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].row, 1);
  EXPECT_EQ(result.errors[0].message, "division by zero in 10 / x");
  EXPECT_TRUE(result.rows.batch->column(0)->Equals(Integers({3, -1, 2, -1})));
  EXPECT_TRUE(result.rows.batch->column(1)->Equals(Integers({4, std::nullopt, 1, 25})));
}

TEST(ProjectTest, NothingPasses) {
  const TestBatch input = Readings();
  const Projected result =
      Project({Value(Type::kBoolean, false), {input["id"], input["x"]}}, input, input.schema);
  EXPECT_EQ(result.rows.size(), 0);
  EXPECT_EQ(result.rows.batch->num_columns(), 2);
  EXPECT_EQ(result.filtered_out, 5);
  EXPECT_TRUE(result.rows.origins->offsets.empty());
}

TEST(ProjectTest, UntypedNullTakesTheFieldsType) {
  const TestBatch input = Readings();
  const Schema output{{{"n", Type::kDouble, "", false}}};
  const Projected result = Project({std::nullopt, {Value(Type::kNull, {})}}, input, output);
  EXPECT_TRUE(result.rows.batch->column(0)->type()->Equals(arrow::float64()));
  EXPECT_EQ(result.rows.batch->column(0)->null_count(), 5);
}

TEST(ProjectTest, SlicedInput) {
  TestBatch input = Readings();
  input.batch = input.batch->Slice(2, 3);
  const Projected result =
      Project({Call(">", {input["x"], Int(2)}), {input["id"], input["x"]}}, input, input.schema);
  EXPECT_TRUE(result.rows.batch->column(0)->Equals(Texts({"d"})));
  EXPECT_EQ(result.source_rows, (std::vector<int32_t>{1}));
}

}  // namespace
}  // namespace millrace
