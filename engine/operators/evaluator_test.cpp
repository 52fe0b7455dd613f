// How expressions run: guards, three-valued logic, errors a row, and arrays that are not copied.
#include "engine/operators/evaluator.h"

#include <gtest/gtest.h>

#include "engine/operators/expression_test_batch.h"

namespace millrace {
namespace {

using namespace testing_batch;  // NOLINT: a vocabulary for this file
using Kind = Expr::Kind;

Evaluated EvaluateAll(const Expr& expr, const TestBatch& input) {
  return Evaluator::Make(expr, input.schema).ValueOrDie()->Evaluate(*input.batch).ValueOrDie();
}

void ExpectValues(const Expr& expr, const TestBatch& input,
                  const std::shared_ptr<arrow::Array>& expected) {
  const Evaluated result = EvaluateAll(expr, input);
  EXPECT_TRUE(result.errors.empty()) << result.errors[0].message;
  ASSERT_TRUE(result.values->ValidateFull().ok());
  EXPECT_TRUE(result.values->Equals(expected)) << result.values->ToString();
}

TEST(EvaluatorTest, AColumnIsReturnedItself) {
  const TestBatch input({{"a", Type::kInteger, Integers({1, std::nullopt, 3})}});
  EXPECT_EQ(EvaluateAll(input["a"], input).values.get(), input.batch->column(0).get());
}

TEST(EvaluatorTest, CaseGuardsDivision) {
  const TestBatch input({{"a", Type::kInteger, Integers({6, 7, std::nullopt, 9})},
                         {"b", Type::kInteger, Integers({2, 0, 1, std::nullopt})}});
  const Expr guarded =
      Make(Kind::kCase, Type::kInteger,
           {Call("<>", {input["b"], Int(0)}), Call("/", {input["a"], input["b"]}), Int(-1)});
  ExpectValues(guarded, input, Integers({3, -1, std::nullopt, -1}));
}

TEST(EvaluatorTest, CaseTakesTheFirstBranchThatHolds) {
  const TestBatch input({{"x", Type::kDouble, Doubles({95, 85, 75, 5, std::nullopt})}});
  const Expr grade =
      Make(Kind::kCase, Type::kText,
           {Call(">", {input["x"], Double(90)}), Text("high"), Call(">", {input["x"], Double(80)}),
            Text("warm"), Call(">", {input["x"], Double(70)}), Text(""), Value(Type::kNull, {})});
  ExpectValues(grade, input, Texts({"high", "warm", "", std::nullopt, std::nullopt}));
}

TEST(EvaluatorTest, CaseWithManyBranchesKeepsRowsApart) {
  Cells<int32_t> cells, expected;
  for (int32_t i = 0; i < 500; ++i) cells.push_back(i % 7);
  for (int32_t i = 0; i < 500; ++i) expected.push_back(i % 7 < 5 ? 100 / (i % 7 + 1) : -1);
  const TestBatch input({{"x", Type::kInteger, Integers(cells)}});
  std::vector<Expr> args;
  for (int32_t k = 0; k < 5; ++k) {
    args.push_back(Call("=", {input["x"], Int(k)}));
    // Fails on every row that is not this branch's.
    const Expr one = Call("/", {Int(1), Call("-", {Int(k + 1), Call("-", {input["x"], Int(0)})})});
    args.push_back(Call("/", {Int(100), Call("*", {Int(k + 1), one})}));
  }
  args.push_back(Int(-1));
  ExpectValues(Make(Kind::kCase, Type::kInteger, args), input, Integers(expected));
}

TEST(EvaluatorTest, CoalesceEvaluatesOnlyWhatIsMissing) {
  const TestBatch input({{"a", Type::kInteger, Integers({1, std::nullopt, std::nullopt})},
                         {"b", Type::kInteger, Integers({0, 5, std::nullopt})}});
  const Expr expr =
      Make(Kind::kCoalesce, Type::kInteger, {input["a"], Call("/", {Int(10), input["b"]}), Int(7)});
  ExpectValues(expr, input, Integers({1, 2, 7}));
}

TEST(EvaluatorTest, LogicIsKleenes) {
  const std::optional<bool> null = std::nullopt;
  const TestBatch input(
      {{"a", Type::kBoolean, Booleans({true, true, true, false, false, false, null, null, null})},
       {"b", Type::kBoolean, Booleans({true, false, null, true, false, null, true, false, null})}});
  ExpectValues(Make(Kind::kAnd, Type::kBoolean, {input["a"], input["b"]}), input,
               Booleans({true, false, null, false, false, false, null, false, null}));
  ExpectValues(Make(Kind::kOr, Type::kBoolean, {input["a"], input["b"]}), input,
               Booleans({true, true, true, true, false, null, true, null, null}));
}

TEST(EvaluatorTest, LogicGuardsItsRightSide) {
  const TestBatch input({{"b", Type::kInteger, Integers({0, 5, 20, std::nullopt})}});
  const Expr quotient = Call(">", {Call("/", {Int(10), input["b"]}), Int(1)});
  ExpectValues(Make(Kind::kAnd, Type::kBoolean, {Call("<>", {input["b"], Int(0)}), quotient}),
               input, Booleans({false, true, false, std::nullopt}));
  ExpectValues(Make(Kind::kOr, Type::kBoolean, {Call("=", {input["b"], Int(0)}), quotient}), input,
               Booleans({true, true, false, std::nullopt}));
}

TEST(EvaluatorTest, NullTestsSeeThroughToNothing) {
  const TestBatch input({{"a", Type::kText, Texts({"", std::nullopt})}});
  ExpectValues(Make(Kind::kIsNull, Type::kBoolean, {input["a"]}), input, Booleans({false, true}));
  ExpectValues(Make(Kind::kIsNotNull, Type::kBoolean, {input["a"]}), input,
               Booleans({true, false}));
}

TEST(EvaluatorTest, ARowFailsOnceWithItsFirstError) {
  const TestBatch input({{"a", Type::kInteger, Integers({1, 2, INT32_MAX, 4})},
                         {"b", Type::kInteger, Integers({0, 1, 0, 2})}});
  Expr quotient = Call("/", {input["a"], input["b"]});
  quotient.text = "a / b";
  const Evaluated result =
      EvaluateAll(Call("+", {quotient, Call("+", {input["a"], Int(1)})}), input);
  ASSERT_EQ(result.errors.size(), 2u);
  EXPECT_EQ(result.errors[0].row, 0);
  EXPECT_EQ(result.errors[0].reason, "division_by_zero");
  EXPECT_EQ(result.errors[0].message, "division by zero in a / b");
  EXPECT_EQ(result.errors[1].row, 2);
  EXPECT_EQ(result.errors[1].reason, "division_by_zero");
  EXPECT_TRUE(result.values->Equals(Integers({std::nullopt, 5, std::nullopt, 7})));
}

TEST(EvaluatorTest, ErrorsInLargeBatchesNameTheirRows) {
  Cells<double> cells(1000, 2.0);
  cells[64] = 0;
  cells[999] = 0;
  cells[500] = std::nullopt;
  const TestBatch input({{"x", Type::kDouble, Doubles(cells)}});
  const auto evaluator =
      Evaluator::Make(Call("/", {Double(1), input["x"]}), input.schema).ValueOrDie();
  for (int run = 0; run < 3; ++run) {
    const Evaluated result = evaluator->Evaluate(*input.batch).ValueOrDie();
    ASSERT_EQ(result.errors.size(), 2u);
    EXPECT_EQ(result.errors[0].row, 64);
    EXPECT_EQ(result.errors[1].row, 999);
    EXPECT_EQ(result.values->null_count(), 3);
  }
}

TEST(EvaluatorTest, ResultsOfEarlierBatchesStay) {
  const TestBatch first({{"x", Type::kInteger, Integers({1, 2, 3})}});
  const TestBatch second({{"x", Type::kInteger, Integers({10, 20, 30})}});
  const auto evaluator =
      Evaluator::Make(Call("+", {first["x"], Int(1)}), first.schema).ValueOrDie();
  const Evaluated kept = evaluator->Evaluate(*first.batch).ValueOrDie();
  const Evaluated later = evaluator->Evaluate(*second.batch).ValueOrDie();
  EXPECT_TRUE(kept.values->Equals(Integers({2, 3, 4})));
  EXPECT_TRUE(later.values->Equals(Integers({11, 21, 31})));
}

TEST(EvaluatorTest, FailedCastShowsTheValue) {
  const TestBatch input({{"t", Type::kText, Texts({"12", "12 apples"})}});
  const Evaluated result = EvaluateAll(Make(Kind::kCast, Type::kInteger, {input["t"]}), input);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].row, 1);
  EXPECT_EQ(result.errors[0].reason, "invalid_cast");
  EXPECT_TRUE(result.errors[0].message.starts_with(
      "invalid input syntax for type integer: \"12 apples\" in "))
      << result.errors[0].message;
}

TEST(EvaluatorTest, ConstantThatFailsFailsOnlyWhereItIsReached) {
  const TestBatch input({{"x", Type::kInteger, Integers({1, 0, 1})}});
  const Expr expr = Make(Kind::kCase, Type::kInteger,
                         {Call("=", {input["x"], Int(1)}), Int(5), Call("/", {Int(1), Int(0)})});
  const Evaluated result = EvaluateAll(expr, input);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].row, 1);
  EXPECT_TRUE(result.values->Equals(Integers({5, std::nullopt, 5})));
}

TEST(EvaluatorTest, IntervalsMoveByCalendarMonths) {
  // 2024-01-31 12:00 and 2022-12-31 00:00; February has 29 and 28 days.
  const TestBatch input(
      {{"t", Type::kTimestamp, Times({1'706'702'400'000'000, 1'672'444'800'000'000})}});
  const Expr month = Value(Type::kInterval, Interval{1, 0, 0});
  const Expr two_months = Value(Type::kInterval, Interval{2, 1, -1});
  ExpectValues(Call("+", {input["t"], month}), input,
               Times({1'709'208'000'000'000, 1'675'123'200'000'000}));
  // PostgreSQL: 2023-11-29 12:00:00.000001 and 2022-10-30 00:00:00.000001.
  ExpectValues(Call("-", {input["t"], two_months}), input,
               Times({1'701'259'200'000'001, 1'667'088'000'000'001}));
}

TEST(EvaluatorTest, LiteralsFillTheBatch) {
  const TestBatch input({{"x", Type::kInteger, Integers({1, 2})}});
  ExpectValues(Text("a"), input, Texts({"a", "a"}));
  ExpectValues(Value(Type::kBoolean, true), input, Booleans({true, true}));
  ExpectValues(Value(Type::kDouble, {}), input, Doubles({std::nullopt, std::nullopt}));
}

TEST(EvaluatorTest, SlicesReadTheirOwnRows) {
  Cells<bool> flags;
  Cells<std::string> texts;
  for (int i = 0; i < 40; ++i) {
    flags.push_back(i % 5 == 0 ? std::nullopt : std::optional<bool>(i % 3 == 0));
    texts.push_back(i % 4 == 0 ? std::nullopt : std::optional<std::string>(std::to_string(i)));
  }
  const TestBatch input({{"f", Type::kBoolean, Booleans(flags)}, {"t", Type::kText, Texts(texts)}});
  const Expr expr = Make(Kind::kCase, Type::kText, {input["f"], input["t"], Text("no")});
  const auto evaluator = Evaluator::Make(expr, input.schema).ValueOrDie();
  const auto slice = input.batch->Slice(11, 20);
  const Evaluated result = evaluator->Evaluate(*slice).ValueOrDie();
  Cells<std::string> expected;
  for (size_t i = 11; i < 31; ++i) {
    expected.push_back(flags[i].value_or(false) ? texts[i] : std::optional<std::string>("no"));
  }
  EXPECT_TRUE(result.values->Equals(Texts(expected))) << result.values->ToString();
}

TEST(EvaluatorTest, MalformedExpressionsAreRefused) {
  const TestBatch input({{"x", Type::kInteger, Integers({1})}, {"t", Type::kText, Texts({"a"})}});
  Expr clash = Call("+", {input["x"], Int(1)});
  clash.args[1] = input["t"];
  EXPECT_FALSE(Evaluator::Make(clash, input.schema).ok());
  const Expr no_cast = Make(Kind::kCast, Type::kTimestamp, {input["x"]});
  EXPECT_FALSE(Evaluator::Make(no_cast, input.schema).ok());
  Expr literal = Int(1);
  literal.literal = std::string("1");
  EXPECT_FALSE(Evaluator::Make(literal, input.schema).ok());
}

}  // namespace
}  // namespace millrace
