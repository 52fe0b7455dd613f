#include "engine/operators/alert.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/operators/expression_test_batch.h"

namespace millrace {
namespace {

using namespace testing_batch;  // NOLINT: a vocabulary for this file

constexpr int64_t kNoon = 1'655'294'400'000'000;  // 2022-06-15 12:00:00 UTC

TestBatch Windows() {
  return TestBatch({{"window_end", Type::kTimestamp, Times({kNoon, kNoon, kNoon + 60'000'000})},
                    {"device_id", Type::kText, Texts({"d\"1", "d2", "d2"})},
                    {"avg", Type::kDouble, Doubles({81.5, 10, std::nullopt})},
                    {"n", Type::kInteger, Integers({4, 0, 2})}});
}

AlertNode NodeFor(const TestBatch& input) {
  AlertRule hot;
  hot.alert = "Hot";
  hot.condition = Call(">", {input["avg"], Double(80)});
  hot.labels = {{"severity", {{"critical"}, {}}}};
  hot.annotations = {{"summary", {{"", " on ", " at ", "\n"}, {2, 1, 0}}}};
  AlertRule few;
  few.alert = "Few";
  few.condition = Call("<", {Call("/", {Int(8), input["n"]}), Int(5)});
  few.annotations = {{"summary", {{"avg ", ""}, {2}}}};
  AlertNode node;
  node.rules = {hot, few};
  node.keys = {1};
  node.time_column = 0;
  node.windowed = true;
  return node;
}

std::string Cell(const Alerted& alerted, const std::string& column, int64_t row) {
  const auto array = alerted.rows.batch->GetColumnByName(column);
  return array->GetScalar(row).ValueOrDie()->ToString();
}

Alerted Raise(const AlertNode& node, const TestBatch& input, std::shared_ptr<Origins> origins,
              const std::string& job = "smoke") {
  return AlertOperator::Make(node, job, "metrics", input.schema)
      .ValueOrDie()
      ->Apply({input.batch, std::move(origins)})
      .ValueOrDie();
}

TEST(AlertTest, OneAlertARowAndRuleInOrder) {
  const TestBatch input = Windows();
  const Alerted alerted = Raise(NodeFor(input), input, nullptr);
  ASSERT_EQ(alerted.rows.size(), 3);
  EXPECT_TRUE(alerted.rows.batch->schema()->Equals(*AlertSchema().ToArrow()));
  EXPECT_EQ(Cell(alerted, "alert", 0), "Hot");
  EXPECT_EQ(Cell(alerted, "alert", 1), "Few");
  EXPECT_EQ(Cell(alerted, "alert", 2), "Few");
  EXPECT_EQ(Cell(alerted, "stream", 0), "metrics");
  EXPECT_EQ(Cell(alerted, "key", 0), R"({"device_id":"d\"1"})");
  EXPECT_EQ(Cell(alerted, "key", 2), R"({"device_id":"d2"})");
  EXPECT_EQ(Cell(alerted, "labels", 0), R"({"severity":"critical"})");
  EXPECT_EQ(Cell(alerted, "labels", 1), "{}");
  EXPECT_EQ(Cell(alerted, "annotations", 0),
            R"({"summary":"81.5 on d\"1 at 2022-06-15T12:00:00.000000Z\n"})");
  EXPECT_EQ(Cell(alerted, "annotations", 2), R"({"summary":"avg null"})");
  EXPECT_TRUE(alerted.rows.batch->GetColumnByName("event_time")
                  ->Equals(Times({kNoon, kNoon, kNoon + 60'000'000})));
  EXPECT_EQ(alerted.rows.origins, nullptr);
}

TEST(AlertTest, FailedConditionIsARowsErrorWithTheAlertsName) {
  const TestBatch input = Windows();
  const Alerted alerted = Raise(NodeFor(input), input, nullptr);
  ASSERT_EQ(alerted.errors.size(), 1u);
  EXPECT_EQ(alerted.errors[0].row, 1);
  EXPECT_EQ(alerted.errors[0].reason, "division_by_zero");
  EXPECT_TRUE(alerted.errors[0].message.starts_with("alert Few: division by zero in "))
      << alerted.errors[0].message;
}

TEST(AlertTest, IdsAreStableAndTellAlertsApart) {
  const TestBatch input = Windows();
  const Alerted first = Raise(NodeFor(input), input, nullptr);
  const Alerted again = Raise(NodeFor(input), input, nullptr);
  const Alerted other_job = Raise(NodeFor(input), input, nullptr, "other");
  std::set<std::string> ids;
  for (int64_t row = 0; row < 3; ++row) {
    const std::string id = Cell(first, "id", row);
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(id, Cell(again, "id", row));
    ids.insert(id);
    ids.insert(Cell(other_job, "id", row));
  }
  EXPECT_EQ(ids.size(), 6u);
}

TEST(AlertTest, ReadingsAreIdentifiedByTheirRecord) {
  const TestBatch input = Windows();
  AlertNode node = NodeFor(input);
  node.windowed = false;
  node.keys = {};
  const auto origins = std::make_shared<Origins>(Origins{{"readings", 1}, {7, 8, 9}});
  const auto moved = std::make_shared<Origins>(Origins{{"readings", 1}, {107, 108, 109}});
  const Alerted alerted = Raise(node, input, origins);
  ASSERT_EQ(alerted.rows.size(), 3);
  EXPECT_EQ(alerted.rows.origins->offsets, (std::vector<int64_t>{7, 7, 9}));
  EXPECT_EQ(alerted.rows.origins->source.topic, "readings");
  EXPECT_EQ(Cell(alerted, "key", 0), "{}");
  EXPECT_EQ(Cell(alerted, "id", 0), Cell(Raise(node, input, origins), "id", 0));
  EXPECT_NE(Cell(alerted, "id", 0), Cell(Raise(node, input, moved), "id", 0));
}

// Readings of one record have one offset; which of them it is tells them apart.
TEST(AlertTest, ReadingsOfOneRecordHaveIdsOfTheirOwn) {
  const TestBatch input = Windows();
  AlertNode node = NodeFor(input);
  node.windowed = false;
  node.keys = {};
  const auto ids = [&](std::vector<int32_t> indexes) {
    const Alerted alerted =
        Raise(node, input,
              std::make_shared<Origins>(Origins{{"readings", 1}, {7, 7, 7}, std::move(indexes)}));
    return std::vector<std::string>{Cell(alerted, "id", 0), Cell(alerted, "id", 2)};
  };
  const auto plain = ids({});
  const auto items = ids({0, 1, 2});
  EXPECT_EQ(ids({-1, -1, -1}), plain);
  EXPECT_EQ(std::set<std::string>({plain[0], items[0], items[1]}).size(), 3u);
}

// So have the items of one reading, and of one row of a window.
TEST(AlertTest, UnfoldedRowsHaveIdsOfTheirOwn) {
  const TestBatch input = Windows();
  const auto raise = [&](bool windowed, std::vector<uint64_t> items) {
    AlertNode node = NodeFor(input);
    node.windowed = windowed;
    const auto operation = AlertOperator::Make(node, "job", "metrics", input.schema).ValueOrDie();
    Rows rows{input.batch,
              windowed ? nullptr : std::make_shared<Origins>(Origins{{"readings", 1}, {7, 7, 7}})};
    if (!items.empty()) rows.items = std::make_shared<std::vector<uint64_t>>(std::move(items));
    return Cell(operation->Apply(rows).ValueOrDie(), "id", 0);
  };
  for (const bool windowed : {false, true}) {
    const std::string first = raise(windowed, {1, 2, 3});
    EXPECT_EQ(first, raise(windowed, {1, 2, 3}));
    EXPECT_NE(first, raise(windowed, {4, 5, 6}));
    EXPECT_NE(first, raise(windowed, {}));
  }
}

// A row that comes out of an OVER has no record any more. Floating-point columns tell nothing
// apart: the last digit of a sum is not the same after every restart.
TEST(AlertTest, RowsOfAnOverAreIdentifiedByTheirColumns) {
  const auto ids = [](int n, double sum) {
    const TestBatch input({{"at", Type::kTimestamp, Times({kNoon, kNoon})},
                           {"sum", Type::kDouble, Doubles({sum, sum})},
                           {"n", Type::kInteger, Integers({1, n})}});
    AlertRule always;
    always.alert = "Always";
    always.condition = Value(Type::kBoolean, true);
    AlertNode node;
    node.rules = {always};
    node.time_column = 0;
    node.of_row = true;
    const Alerted alerted = Raise(node, input, nullptr);
    return std::pair(Cell(alerted, "id", 0), Cell(alerted, "id", 1));
  };
  EXPECT_EQ(ids(1, 0.5).first, ids(1, 0.5).second);
  EXPECT_NE(ids(2, 0.5).first, ids(2, 0.5).second);
  EXPECT_EQ(ids(2, 0.5), ids(2, 0.25));
}

TEST(AlertTest, NothingRaised) {
  TestBatch input = Windows();
  input.batch = input.batch->Slice(0, 0);
  const Alerted alerted = Raise(NodeFor(input), input, nullptr);
  EXPECT_EQ(alerted.rows.size(), 0);
  EXPECT_EQ(alerted.rows.batch->num_columns(), 7);
}

TEST(AlertTest, KeysKeepTheirJsonTypes) {
  const TestBatch input({{"i", Type::kBigint, Bigints({-5})},
                         {"d", Type::kDouble, Doubles({std::numeric_limits<double>::quiet_NaN()})},
                         {"b", Type::kBoolean, Booleans({true})},
                         {"t", Type::kText, Texts({std::string("a\x01\\b")})},
                         {"n", Type::kText, Texts({std::nullopt})}});
  AlertRule always;
  always.alert = "Always";
  always.condition = Value(Type::kBoolean, true);
  AlertNode node;
  node.rules = {always};
  node.keys = {0, 1, 2, 3, 4};
  EXPECT_EQ(Cell(Raise(node, input, nullptr), "key", 0),
            R"({"i":-5,"d":null,"b":true,"t":"a\u0001\\b","n":null})");
}

}  // namespace
}  // namespace millrace
