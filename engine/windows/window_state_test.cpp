// State saved in the middle and restored into a fresh aggregate gives the same rows to the bit.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "engine/windows/window_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

TestQuery Query() {
  return {Micros(100),
          Micros(40),
          Micros(7),
          {kDevice, kSmall},
          {Aggregate(F::kCount, -1, Type::kBigint), Aggregate(F::kCount, kX, Type::kBigint, kFlag),
           Aggregate(F::kSum, kX, Type::kDouble), Aggregate(F::kAvg, kX, Type::kDouble, kFlag),
           Aggregate(F::kStddevSamp, kX, Type::kDouble), Aggregate(F::kMin, kX, Type::kDouble),
           Aggregate(F::kMax, kBig, Type::kBigint), Aggregate(F::kSum, kBig, Type::kDouble),
           Aggregate(F::kVarPop, kBig, Type::kDouble), Aggregate(F::kMin, kDevice, Type::kText),
           Aggregate(F::kMax, kDevice, Type::kText, kFlag), Percentile(kX, 0.9), CountDistinct(kX),
           CountDistinct(kDevice), Aggregate(F::kBoolAnd, kFlag, Type::kBoolean),
           Aggregate(F::kMax, kSeenAt, Type::kTimestamp)}};
}

std::vector<TestRow> SortedRows(size_t count) {
  std::mt19937_64 random(99);
  std::uniform_real_distribution<double> value(-1, 1);
  std::vector<TestRow> rows(count);
  for (size_t i = 0; i < count; ++i) {
    TestRow& row = rows[i];
    row.time = int64_t(i) - 300 + int64_t(random() % 30);
    if (random() % 5 != 0) row.device = "device " + std::to_string(random() % 40);
    if (random() % 5 != 0) row.x = value(random) * 1e10 + value(random);
    if (random() % 50 == 0) row.x = -0.0;
    if (random() % 90 == 0) row.x = std::numeric_limits<double>::quiet_NaN();
    if (random() % 5 != 0) row.small = int32_t(random() % 3);
    if (random() % 5 != 0) row.big = int64_t(random());
    if (random() % 5 != 0) row.flag = random() % 2 == 0;
    if (random() % 5 != 0) row.seen_at = int64_t(random() % 1000);
  }
  return rows;
}

void ExpectSameBits(const Cell& left, const Cell& right) {
  ASSERT_EQ(left.index(), right.index());
  if (std::holds_alternative<double>(left)) {
    EXPECT_EQ(std::bit_cast<uint64_t>(std::get<double>(left)),
              std::bit_cast<uint64_t>(std::get<double>(right)));
  } else {
    EXPECT_EQ(left, right);
  }
}

void ExpectSameBits(const std::vector<CellRow>& left, const std::vector<CellRow>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i].size(), right[i].size());
    for (size_t j = 0; j < left[i].size(); ++j) ExpectSameBits(left[i][j], right[i][j]);
  }
}

std::unique_ptr<WindowAggregate> Reopen(const WindowAggregate& aggregate, const TestQuery& query) {
  MemoryStateStore store;
  EXPECT_TRUE(aggregate.Save(&store).ok());
  auto restored = query.Make();
  const Status status = restored->Restore(&store);
  EXPECT_TRUE(status.ok()) << status;
  return restored;
}

class SavedAfter : public testing::TestWithParam<int> {};

// The state is saved, and restored, after every so many steps; a step adds rows, moves the
// watermark, and takes a few rows, so that states also lie within a window's rows.
TEST_P(SavedAfter, GivesTheSameRowsToTheBit) {
  const TestQuery query = Query();
  const auto rows = SortedRows(1200);
  auto straight = query.Make();
  auto reopened = query.Make();
  std::vector<CellRow> expected;
  std::vector<CellRow> found;
  int step = 0;
  for (size_t begin = 0; begin < rows.size(); begin += 40, ++step) {
    for (const auto& [aggregate, out] :
         {std::pair(straight.get(), &expected), std::pair(reopened.get(), &found)}) {
      AddRows(aggregate, query, std::span(rows).subspan(begin, 40));
      aggregate->AdvanceTo(At(rows[begin].time - 60));
      for (int take = 0; take < 2 && aggregate->HasOutput(); ++take) {
        AppendCells(*aggregate->NextOutput(17).ValueOrDie(), out);
      }
    }
    if (step % GetParam() == 0) reopened = Reopen(*reopened, query);
  }
  for (CellRow& row : Close(straight.get())) expected.push_back(std::move(row));
  for (CellRow& row : Close(reopened.get())) found.push_back(std::move(row));
  ASSERT_GT(expected.size(), 1000u);
  ExpectSameBits(found, expected);
  EXPECT_EQ(reopened->stats().rows_added, 1200);
  EXPECT_EQ(reopened->stats().rows_counted, 1200);
  EXPECT_EQ(reopened->stats().rows_too_late, 0);
}

INSTANTIATE_TEST_SUITE_P(Steps, SavedAfter, testing::Values(1, 2, 7));

TEST(WindowState, KeysAreKeyGroupThenPaneThenKey) {
  const TestQuery query{Micros(60),
                        Micros(20),
                        Micros(0),
                        {kDevice, kSmall},
                        {Aggregate(F::kCount, -1, Type::kBigint)}};
  const auto aggregate = query.Make();
  TestRow row;
  row.time = 25;  // pane [20, 40)
  row.device = "ab";
  const auto batch = ToBatch(std::span(&row, 1));
  const std::vector<uint64_t> hashes = {720 * 5 + 300};
  const std::vector<uint32_t> selection = {0};
  ASSERT_TRUE(aggregate->Add(*batch, hashes, selection).ok());
  MemoryStateStore store;
  ASSERT_TRUE(aggregate->Save(&store).ok());
  std::vector<std::string> keys;
  ASSERT_TRUE(store
                  .Scan("", "",
                        [&](std::string_view key, std::string_view) {
                          keys.emplace_back(key);
                          return Status::OK();
                        })
                  .ok());
  const std::string expected(
      "\x01\x2c"                          // key group 300
      "\x80\x00\x00\x00\x00\x00\x00\x27"  // 39, the pane's last microsecond
      "\x01\x02\x00\x00\x00"
      "ab"
      "\x00",
      18);
  EXPECT_EQ(keys, (std::vector<std::string>{expected, "\xff\xff"}));
}

TEST(WindowState, StateOfTwoTasksIsReadByOne) {
  const TestQuery query = Query();
  auto rows = SortedRows(400);
  const auto whole = query.Make();
  const auto first = query.Make();
  const auto second = query.Make();
  AddRows(whole.get(), query, rows);
  const auto middle = std::stable_partition(rows.begin(), rows.end(), [](const TestRow& row) {
    return row.device.has_value() && row.device->back() % 2 == 0;
  });
  AddRows(first.get(), query, std::span(rows.begin(), middle));
  AddRows(second.get(), query, std::span(middle, rows.end()));
  MemoryStateStore store;  // the ids of the two overlap, their keys do not
  ASSERT_TRUE(first->Save(&store).ok());
  ASSERT_TRUE(second->Save(&store).ok());
  const auto restored = query.Make();
  ASSERT_TRUE(restored->Restore(&store).ok());
  EXPECT_EQ(restored->stats().keys, whole->stats().keys);
  EXPECT_EQ(restored->stats().open_panes, whole->stats().open_panes);
  auto expected = Close(whole.get());
  auto found = Close(restored.get());
  const auto by_window_and_key = [](const CellRow& left, const CellRow& right) {
    return std::lexicographical_compare(left.begin(), left.begin() + 4, right.begin(),
                                        right.begin() + 4);
  };
  std::ranges::sort(expected, by_window_and_key);
  std::ranges::sort(found, by_window_and_key);
  ExpectSameBits(found, expected);
}

std::string CodeOf(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

TEST(WindowState, StateOfAnotherQueryIsRefused) {
  TestQuery query = Query();
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, SortedRows(10));
  MemoryStateStore store;
  ASSERT_TRUE(aggregate->Save(&store).ok());
  TestQuery other = query;
  other.slide = Micros(50);
  EXPECT_EQ(CodeOf(other.Make()->Restore(&store)), "state_of_another_query");
  other = query;
  other.keys = {kDevice, kBig};
  EXPECT_EQ(CodeOf(other.Make()->Restore(&store)), "state_of_another_query");
  other = query;
  other.aggregates.push_back(CountDistinct(kSmall));
  EXPECT_EQ(CodeOf(other.Make()->Restore(&store)), "state_of_another_query");
}

TEST(WindowState, DamageIsToldAndNeverRead) {
  const TestQuery query = Query();
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, SortedRows(20));
  MemoryStateStore whole;
  ASSERT_TRUE(aggregate->Save(&whole).ok());
  std::vector<std::pair<std::string, std::string>> entries;
  ASSERT_TRUE(whole
                  .Scan("", "",
                        [&](std::string_view key, std::string_view value) {
                          entries.emplace_back(key, value);
                          return Status::OK();
                        })
                  .ok());
  const auto restore_with = [&](const std::string& key, const std::string& value) {
    MemoryStateStore store;
    for (const auto& [k, v] : entries) EXPECT_TRUE(store.Put(k, v).ok());
    EXPECT_TRUE(store.Put(key, value).ok());
    return CodeOf(query.Make()->Restore(&store));
  };
  for (const auto& [key, value] : {entries.front(), entries.back()}) {
    for (size_t size = 0; size < value.size(); ++size) {
      const std::string code = restore_with(key, value.substr(0, size));
      EXPECT_TRUE(code == "state_damaged" || code == "state_of_another_query") << code;
    }
    EXPECT_EQ(restore_with(key, value + "x"), "state_damaged");
    EXPECT_EQ(restore_with(key, "\x02" + value.substr(1)), "state_version");
    EXPECT_EQ(restore_with(key, value), "OK");
  }
  EXPECT_EQ(restore_with("\x01", entries.front().second), "state_damaged");
}

TEST(WindowState, IsRestoredOnlyIntoAFreshOne) {
  const TestQuery query = Query();
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, SortedRows(10));
  MemoryStateStore store;
  ASSERT_TRUE(aggregate->Save(&store).ok());
  EXPECT_EQ(CodeOf(aggregate->Restore(&store)), "not_fresh");
}

}  // namespace
}  // namespace millrace
