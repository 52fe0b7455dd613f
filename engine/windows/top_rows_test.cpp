#include "engine/windows/top_rows.h"

#include <limits>

#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Columns of TestSchema, those that are not named null.
TestRow Of(std::optional<std::string> device, std::optional<double> x, int64_t time = 0) {
  TestRow row;
  row.time = time;
  row.device = std::move(device);
  row.x = x;
  return row;
}

std::vector<std::string> Firsts(const std::vector<TestRow>& rows, std::vector<SortKey> order,
                                int64_t limit) {
  const auto first = FirstRows(ToBatch(rows), {std::move(order), limit}).ValueOrDie();
  std::vector<CellRow> cells;
  AppendCells(*first, &cells);
  std::vector<std::string> devices;
  for (const CellRow& row : cells) {
    const auto* device = std::get_if<std::string>(&row[kDevice]);
    devices.push_back(device == nullptr ? "NULL" : *device);
  }
  return devices;
}

using Devices = std::vector<std::string>;
const std::vector<TestRow> kRows = {Of("a", 2.0), Of("b", std::nullopt), Of("c", kNan),
                                    Of("d", -1.0), Of("e", 7.0)};

TEST(FirstRows, OrdersAsPostgres) {
  EXPECT_EQ(Firsts(kRows, {{kX, false, false}}, 9), (Devices{"d", "a", "e", "c", "b"}));
  EXPECT_EQ(Firsts(kRows, {{kX, true, true}}, 9), (Devices{"b", "c", "e", "a", "d"}));
  EXPECT_EQ(Firsts(kRows, {{kX, true, false}}, 3), (Devices{"c", "e", "a"}));
  EXPECT_EQ(Firsts(kRows, {{kDevice, true, true}}, 2), (Devices{"e", "d"}));
}

TEST(FirstRows, WhatIsEqualIsInTheOrderOfAllColumns) {
  std::vector<TestRow> rows = {Of("b", 1.0, 5), Of("a", 1.0, 5), Of("c", 1.0, 4),
                               Of(std::nullopt, 1.0, 5)};
  EXPECT_EQ(Firsts(rows, {{kX, true, true}}, 9), (Devices{"c", "a", "b", "NULL"}));
  std::ranges::reverse(rows);
  EXPECT_EQ(Firsts(rows, {{kX, true, true}}, 2), (Devices{"c", "a"}));
}

// Every row is a key; one that is there twice counts twice.
TEST(WindowTop, GivesTheFirstRowsOfAWindow) {
  TestQuery query{Micros(1), Micros(1), Micros(0), {kDevice, kX}, {}};
  WindowAggregateNode node = query.Node();
  node.top = TopRows{{{3, true, true}}, 3};
  const auto make = [&](StateStore* store) {
    auto aggregate = WindowAggregate::Make(node, TestSchema(), query.Output()).ValueOrDie();
    EXPECT_TRUE(aggregate->Open(store, kTestOperator).ok());
    return aggregate;
  };
  MemoryStateStore store;
  auto aggregate = make(&store);
  Add(aggregate.get(), query, {Of("a", 2.0, 9), Of("b", 5.0, 9), Of("c", 1.0, 19)});
  SealAndWrite(aggregate.get());
  aggregate = make(&store);
  Add(aggregate.get(), query, {Of("b", 5.0, 9), Of("d", 4.0, 9), Of("e", 3.0, 9)});
  aggregate->AdvanceTo(At(10));
  ASSERT_TRUE(aggregate->HasOutput());
  const auto first = aggregate->NextOutput(1).ValueOrDie().batch;
  std::vector<CellRow> rows;
  AppendCells(*first, &rows);
  const auto row = [](const char* device, double x) {
    return CellRow{int64_t(9), int64_t(10), std::string(device), x};
  };
  EXPECT_EQ(rows, (std::vector<CellRow>{row("b", 5), row("b", 5), row("d", 4)}));
  EXPECT_FALSE(aggregate->HasOutput());
  EXPECT_EQ(aggregate->stats().rows_counted, 5);
}

}  // namespace
}  // namespace millrace
