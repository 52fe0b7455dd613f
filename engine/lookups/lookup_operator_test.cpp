#include "engine/lookups/lookup_operator.h"

#include <gmock/gmock.h>

#include "engine/lookups/lookup_testing.h"
#include "engine/operators/cell_text.h"
#include "engine/plan/functions.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Lines = std::vector<std::string>;

Expr Column(int column, Type type) {
  Expr expr;
  expr.kind = Expr::Kind::kColumn;
  expr.column = column;
  expr.type = type;
  return expr;
}

Expr Call(const char* name, std::vector<Expr> args, Type type) {
  Expr call;
  call.kind = Expr::Kind::kCall;
  call.type = type;
  std::vector<Type> types;
  for (const Expr& arg : args) types.push_back(arg.type);
  call.function = ResolveFunction(name, types, std::vector<bool>(args.size(), false));
  call.args = std::move(args);
  return call;
}

// Readings of (device text, n bigint, at timestamp), joined with devices.
class LookupOperatorTest : public testing::Test {
 protected:
  LookupOperatorTest() {
    node_.lookup = "devices";
    node_.keys = {Column(0, Type::kText)};
    node_.columns = {1, 0};
    spec_ = test::LookupOf({{"device", Type::kText}, {"model", Type::kText}}, {"device"});
    rows_ = {R"({"device":"a","model":"x"})", R"({"device":"b"})"};
  }

  Result<Projected> Join(const Lines& readings) {
    layout_ = MakeLookupLayout(spec_, {node_.columns.begin(), node_.columns.end()});
    lookup_ = test::HeldLookup(spec_, layout_, rows_);
    Schema output = input_;
    for (const int column : node_.columns) {
      output.fields.push_back(spec_.columns[size_t(column)].field);
    }
    ARROW_ASSIGN_OR_RAISE(auto made, LookupOperator::Make(node_, input_, output, lookup_));
    return made->Apply(RowsOf(readings));
  }

  Rows RowsOf(const Lines& readings) const {
    const LookupSpec spec = test::LookupOf(
        {{"device", Type::kText}, {"n", Type::kBigint}, {"at", Type::kTimestamp}}, {"device"});
    Rows rows;
    rows.batch = test::BatchOf(spec, test::WholeLayout(spec), readings);
    auto origins = std::make_shared<Origins>();
    for (size_t i = 0; i < readings.size(); ++i) origins->offsets.push_back(int64_t(100 + i));
    rows.origins = origins;
    return rows;
  }

  // "a 1 x a": device, n, and what was joined.
  static Lines Shown(const Projected& joined) {
    Lines lines;
    EXPECT_TRUE(joined.rows.batch->ValidateFull().ok());
    for (int64_t row = 0; row < joined.rows.size(); ++row) {
      std::string line;
      for (const int column : {0, 1, 3, 4}) {
        if (!line.empty()) line += ' ';
        AppendCellText(*joined.rows.batch->column(column), row, &line);
      }
      lines.push_back(line);
    }
    return lines;
  }

  const Schema input_{{{"device", Type::kText, "", false},
                       {"n", Type::kBigint, "", false},
                       {"at", Type::kTimestamp, "", false}}};
  LookupNode node_;
  LookupSpec spec_;
  LookupLayout layout_;
  Lines rows_;
  std::shared_ptr<Lookup> lookup_;
};

const Lines kReadings = {R"({"device":"b","n":1})", R"({"device":"c","n":2})",
                         R"({"device":"a","n":3})", R"({"n":4})"};

TEST_F(LookupOperatorTest, LeavesOutWhatFindsNothing) {
  const Projected joined = Join(kReadings).ValueOrDie();
  EXPECT_THAT(Shown(joined), ElementsAre("b 1 null b", "a 3 x a"));
  EXPECT_THAT(joined.source_rows, ElementsAre(0, 2));
  EXPECT_THAT(joined.rows.origins->offsets, ElementsAre(100, 102));
  EXPECT_EQ(joined.filtered_out, 2);
  EXPECT_THAT(joined.errors, IsEmpty());
  EXPECT_EQ(lookup_->figures().misses, 2);
}

TEST_F(LookupOperatorTest, KeepsItWithNullsWhereToldSo) {
  node_.keeps_unmatched = true;
  const Projected joined = Join(kReadings).ValueOrDie();
  EXPECT_THAT(Shown(joined),
              ElementsAre("b 1 null b", "c 2 null null", "a 3 x a", "null 4 null null"));
  EXPECT_THAT(joined.source_rows, IsEmpty()) << "all of them";
  EXPECT_EQ(joined.filtered_out, 0);
  EXPECT_EQ(lookup_->figures().misses, 2);
}

TEST_F(LookupOperatorTest, AMissingKeyIsADeadLetterWhereTheLookupSaysSo) {
  node_.keeps_unmatched = true;
  spec_.missing_is_dead_letter = true;
  const Projected joined = Join(kReadings).ValueOrDie();
  EXPECT_THAT(Shown(joined), ElementsAre("b 1 null b", "a 3 x a"));
  ASSERT_EQ(joined.errors.size(), 2u);
  EXPECT_EQ(joined.errors[0].row, 1);
  EXPECT_EQ(joined.errors[0].reason, "missing_key");
  EXPECT_EQ(joined.errors[0].message, "lookup devices has no row for device = 'c'");
  EXPECT_EQ(joined.errors[1].message, "lookup devices has no row for device = null");
  EXPECT_EQ(joined.filtered_out, 0);
}

TEST_F(LookupOperatorTest, ARowWhoseKeyFailsIsAnError) {
  spec_ = test::LookupOf({{"n", Type::kBigint}, {"model", Type::kText}}, {"n"});
  rows_ = {R"({"n":6,"model":"six"})"};
  Expr twelve;
  twelve.kind = Expr::Kind::kLiteral;
  twelve.type = Type::kBigint;
  twelve.literal = int64_t(12);
  node_.keys = {Call("/", {twelve, Column(1, Type::kBigint)}, Type::kBigint)};
  const Projected joined =
      Join({R"({"device":"a","n":2})", R"({"device":"b","n":0})", R"({"device":"c","n":4})"})
          .ValueOrDie();
  EXPECT_THAT(Shown(joined), ElementsAre("a 2 six 6"));
  ASSERT_EQ(joined.errors.size(), 1u);
  EXPECT_EQ(joined.errors[0].row, 1);
  EXPECT_EQ(joined.errors[0].reason, "division_by_zero");
  EXPECT_EQ(joined.filtered_out, 1);
  EXPECT_EQ(lookup_->figures().misses, 1) << "a key that failed was not looked for";
}

TEST_F(LookupOperatorTest, TakesTheVersionOfTheRowsTime) {
  spec_ = test::LookupOf(
      {{"device", Type::kText}, {"model", Type::kText}, {"since", Type::kTimestamp}}, {"device"});
  spec_.valid_from = PlacedText{"since", {}};
  spec_.missing_is_dead_letter = true;
  rows_ = {R"({"device":"a","model":"new","since":"2026-02-01T00:00:00Z"})",
           R"({"device":"a","model":"old","since":"2026-01-01T00:00:00Z"})"};
  node_.time = Column(2, Type::kTimestamp);
  const Projected joined =
      Join({R"({"device":"a","n":1,"at":"2026-01-31T23:59:59Z"})",
            R"({"device":"a","n":2,"at":"2026-02-01T00:00:00Z"})",
            R"({"device":"a","n":3,"at":"2025-12-31T00:00:00Z"})", R"({"device":"a","n":4})"})
          .ValueOrDie();
  EXPECT_THAT(Shown(joined), ElementsAre("a 1 old a", "a 2 new a"));
  ASSERT_EQ(joined.errors.size(), 2u);
  EXPECT_EQ(joined.errors[0].message,
            "lookup devices has no row for device = 'a' at 2025-12-31T00:00:00.000000Z");
  EXPECT_EQ(joined.errors[1].message, "lookup devices has no row for device = 'a' at null");
}

TEST_F(LookupOperatorTest, ItemsOfAReadingStayWithTheirRows) {
  ASSERT_TRUE(Join({}).ok());
  Schema output = input_;
  output.fields.push_back(spec_.columns[1].field);
  output.fields.push_back(spec_.columns[0].field);
  auto made = LookupOperator::Make(node_, input_, output, lookup_).ValueOrDie();
  Rows rows = RowsOf(kReadings);
  rows.items = std::make_shared<std::vector<uint64_t>>(std::vector<uint64_t>{1, 2, 3, 4});
  const Projected joined = made->Apply(rows).ValueOrDie();
  EXPECT_THAT(*joined.rows.items, ElementsAre(1, 3));
}

TEST_F(LookupOperatorTest, FailsOnceTheLookupIsBroken) {
  ASSERT_TRUE(Join({}).ok());
  Schema output = input_;
  output.fields.push_back(spec_.columns[1].field);
  output.fields.push_back(spec_.columns[0].field);
  auto made = LookupOperator::Make(node_, input_, output, lookup_).ValueOrDie();
  lookup_->Break(ExternalError("topic_deleted", "topic devices was deleted", Retry::kNo));
  EXPECT_EQ(made->Apply(RowsOf(kReadings)).status().message(), "topic devices was deleted");
}

TEST_F(LookupOperatorTest, RefusesANodeThatIsNotTheLookups) {
  node_.keys.push_back(Column(1, Type::kBigint));
  EXPECT_FALSE(Join({}).ok());
  node_.keys = {Column(1, Type::kBigint)};
  EXPECT_FALSE(Join({}).ok());
  node_.keys = {Column(0, Type::kText)};
  node_.time = Column(2, Type::kTimestamp);
  EXPECT_FALSE(Join({}).ok());
}

}  // namespace
}  // namespace millrace
