// For tests of saved state: a query with every kind of accumulator, rows for it, what a store
// holds, and tables of results compared whatever the order of keys.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/state/memory_state_store.h"
#include "engine/state/state_key.h"
#include "engine/windows/window_rows.h"

namespace millrace {

inline constexpr uint16_t kTestOperator = 7;

// With one to three bytes of it changed, bytes put in, or its end cut off.
inline std::string Damaged(std::string bytes, std::mt19937_64* random) {
  for (uint64_t change = (*random)() % 3 + 1; change > 0 && !bytes.empty(); --change) {
    const size_t at = (*random)() % bytes.size();
    switch ((*random)() % 4) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(at, 1 + (*random)() % 9, char((*random)()));
        break;
      default:
        bytes[at] = char((*random)() % 3 == 0 ? 0xff : (*random)());
    }
  }
  return bytes;
}

inline std::vector<AggregateSpec> StateAggregates() {
  using F = AggregateFunction;
  return {Aggregate(F::kCount, -1, Type::kBigint),
          Aggregate(F::kCount, kX, Type::kBigint, kFlag),
          Aggregate(F::kSum, kX, Type::kDouble),
          Aggregate(F::kAvg, kX, Type::kDouble, kFlag),
          Aggregate(F::kStddevSamp, kX, Type::kDouble),
          Aggregate(F::kMin, kX, Type::kDouble),
          Aggregate(F::kMax, kBig, Type::kBigint),
          Aggregate(F::kSum, kBig, Type::kDouble),
          Aggregate(F::kVarPop, kBig, Type::kDouble),
          Aggregate(F::kMin, kDevice, Type::kText),
          Aggregate(F::kMax, kDevice, Type::kText, kFlag),
          Percentile(kX, 0.9),
          Percentile(kSmall, 0.25, kFlag),
          CountDistinct(kX),
          CountDistinct(kDevice),
          Aggregate(F::kBoolAnd, kFlag, Type::kBoolean),
          Aggregate(F::kMax, kSeenAt, Type::kTimestamp),
          Aggregate(F::kRange, kX, Type::kDouble),
          Aggregate(F::kMode, kDevice, Type::kText),
          Aggregate(F::kMode, kSmall, Type::kInteger, kFlag),
          Aggregate(F::kPercentileDisc, kBig, Type::kBigint),
          Aggregate(F::kApproxPercentile, kX, Type::kDouble),
          Aggregate(F::kApproxCountDistinct, kBig, Type::kBigint),
          Aggregate(F::kApproxCountDistinct, kDevice, Type::kBigint),
          Beside(F::kFirst, kX, kTime, Type::kDouble),
          Beside(F::kLast, kDevice, kTime, Type::kText),
          Beside(F::kFirst, kDevice, kX, Type::kText, kFlag),
          Beside(F::kCovarSamp, kX, kX, Type::kDouble),
          Beside(F::kTimeWeightedAvg, kX, kTime, Type::kDouble),
          Beside(F::kIncrease, kX, kTime, Type::kDouble, kFlag),
          Beside(F::kStringAgg, kDevice, kTime, Type::kText),
          Beside(F::kArrayAgg, kBig, kTime, Type::kText, kFlag)};
}

inline TestQuery StateQuery() {
  return {Micros(100), Micros(40), Micros(7), {kDevice, kSmall}, StateAggregates()};
}

// Times rise, by one a row, out of order by less than 30.
inline std::vector<TestRow> RisingRows(size_t count, uint64_t seed, uint64_t devices = 40) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> value(-1, 1);
  std::vector<TestRow> rows(count);
  for (size_t i = 0; i < count; ++i) {
    TestRow& row = rows[i];
    row.time = int64_t(i) - 300 + int64_t(random() % 30);
    if (random() % 5 != 0) row.device = "device " + std::to_string(random() % devices);
    if (random() % 5 != 0) row.x = 1e6 + value(random);
    if (random() % 50 == 0) row.x = -0.0;
    if (random() % 90 == 0) row.x = std::numeric_limits<double>::quiet_NaN();
    if (random() % 5 != 0) row.small = int32_t(random() % 3);
    if (random() % 5 != 0) row.big = int64_t(random() % 1'000'000'007);
    if (random() % 5 != 0) row.flag = random() % 2 == 0;
    if (random() % 5 != 0) row.seen_at = int64_t(random() % 1000);
  }
  return rows;
}

inline bool IsSameCell(const Cell& left, const Cell& right) {
  if (left.index() != right.index() || !std::holds_alternative<double>(left)) return left == right;
  const double a = std::get<double>(left);
  const double b = std::get<double>(right);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b));
}

// Doubles to 1e-12, everything else exactly; rows of a window in any order.
inline void ExpectSameRows(std::vector<CellRow> found, std::vector<CellRow> expected,
                           const TestQuery& query) {
  const auto first_value = int64_t(2 + query.keys.size());
  const auto by_window_and_key = [first_value](const CellRow& left, const CellRow& right) {
    return std::lexicographical_compare(left.begin(), left.begin() + first_value, right.begin(),
                                        right.begin() + first_value);
  };
  EXPECT_TRUE(std::ranges::is_sorted(found, {}, [](const CellRow& row) { return row[1]; }));
  std::ranges::sort(found, by_window_and_key);
  std::ranges::sort(expected, by_window_and_key);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (size_t j = 0; j < found[i].size(); ++j) {
      ASSERT_TRUE(IsSameCell(found[i][j], expected[i][j])) << "row " << i << ", column " << j;
    }
  }
}

inline EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

inline TestRow Row(int64_t time, const std::string& device) {
  TestRow row;
  row.time = time;
  row.device = device;
  return row;
}

inline void Add(WindowAggregate* aggregate, const TestQuery& query,
                const std::vector<TestRow>& rows) {
  AddRows(aggregate, query, rows);
}

inline CellRow Count(int64_t start, int64_t end, const std::string& device, int64_t count) {
  return {start, end, device, count};
}

using StateEntries = std::vector<std::pair<std::string, std::string>>;

inline StateEntries EntriesOf(StateStore* store) {
  StateEntries entries;
  const auto iterator = store->Scan("", "").ValueOrDie();
  for (; iterator->Valid(); iterator->Next()) {
    entries.emplace_back(iterator->key(), iterator->value());
  }
  return entries;
}

inline std::unique_ptr<MemoryStateStore> StoreOf(const StateEntries& entries) {
  auto store = std::make_unique<MemoryStateStore>();
  StateBatch batch;
  for (const auto& [key, value] : entries) batch.Put(key, value);
  if (!entries.empty()) {
    EXPECT_TRUE(store->Write(std::move(batch)).ok());
  }
  return store;
}

inline std::unique_ptr<WindowAggregate> OpenOver(StateStore* store, const TestQuery& query) {
  auto aggregate = query.Make();
  const Status status = aggregate->Open(store, kTestOperator);
  EXPECT_TRUE(status.ok()) << status;
  return aggregate;
}

inline void WriteAll(WindowAggregate* aggregate) {
  for (bool more = true; more;) {
    const Result<bool> written = aggregate->WriteSealed(512);
    ASSERT_TRUE(written.ok()) << written.status();
    more = *written;
  }
}

inline void SealAndWrite(WindowAggregate* aggregate) {
  const Status status = aggregate->Seal();
  ASSERT_TRUE(status.ok()) << status;
  WriteAll(aggregate);
}

inline std::string CodeOf(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

}  // namespace millrace
