// Joins of random rows, whatever happens to their tasks, give what the definition gives: the same
// rows, of each key in the same order, each neither too early nor too late.
#include <gtest/gtest.h>

#include <limits>

#include "engine/joins/join_testing.h"
#include "engine/ordered/operator_life_testing.h"

namespace millrace {
namespace {

// Times rise, by about one in two rows; many are equal.
std::vector<JoinRow> RandomRows(size_t count, std::mt19937_64* random) {
  std::vector<JoinRow> rows(count);
  const auto some = [&](uint64_t one_in) { return (*random)() % one_in != 0; };
  const uint64_t names = 1 + (*random)() % 4;
  const uint64_t rights = 2 + (*random)() % 9;
  for (size_t i = 0; i < count; ++i) {
    JoinRow& row = rows[i];
    row.is_right = (*random)() % rights < rights / 2;
    row.time = int64_t(i / 2) - 100 + int64_t((*random)() % 15);
    if (some(3)) row.time -= row.time % 4;
    if (some(10)) row.name = std::string("device ") + char('a' + (*random)() % names);
    if (some(10)) row.level = double((*random)() % 2) * ((*random)() % 2 == 0 ? 1 : -1);
    if (!some(12)) row.level = std::numeric_limits<double>::quiet_NaN();
    if (some(10)) row.floor = int32_t((*random)() % 2) - 1;
    row.window = row.time - row.time % 20;
    if (some(4)) row.text = std::string((*random)() % 5, 't');
    if (some(4)) row.number = int64_t((*random)() % 5) - 2;
    if (some(4)) row.x = double((*random)() % 3) - 1;
    if (!some(12)) row.x = -0.0;
    if (!some(12)) row.x = std::numeric_limits<double>::quiet_NaN();
  }
  return rows;
}

JoinNode RandomNode(std::mt19937_64* random) {
  std::vector<int> keys;
  for (const int key : {In::kName, In::kLevel, In::kFloor, In::kWindow}) {
    if ((*random)() % 3 == 0) keys.push_back(key);
  }
  std::ranges::shuffle(keys, *random);
  const auto length = [&] { return int64_t((*random)() % ((*random)() % 3 == 0 ? 100 : 12)); };
  JoinNode node;
  switch ((*random)() % 6) {
    case 0:
      node = JoinOf(keys, 0, 0);
      break;
    case 1:
      node = JoinOf(keys, length(), 0);
      node.upper = node.lower + Micros(length());
      break;
    case 2:
      node = JoinOf(keys, 0, -length());
      node.lower = node.upper - Micros(length());
      break;
    default:
      node = JoinOf(keys, -length(), length());
      break;
  }
  node.keeps_left = (*random)() % 2 == 0;
  node.keeps_right = (*random)() % 2 == 0;
  node.time_is_right = (*random)() % 2 == 0;
  if ((*random)() % 3 == 0) {
    node.latest_only = true;
    node.keeps_right = node.time_is_right = false;
    node.upper = std::min(node.upper, Micros(0));
    node.lower = std::min(node.lower, node.upper);
  }
  return node;
}

bool IsSameRow(const CellRow& left, const CellRow& right) {
  return std::ranges::equal(left, right, IsSameCell);
}

struct Expected {
  std::map<std::string, std::vector<CellRow>> rows;
  std::vector<int64_t> at;  // of all, in order

  size_t UntilNow(EventTime watermark) const {
    const int64_t now = watermark.time_since_epoch().count();
    return size_t(std::ranges::lower_bound(at, now) - at.begin());
  }
};

Expected ExpectedOf(const JoinNode& node, std::vector<JoinRow> rows) {
  Expected expected;
  for (const auto& [key, joined] : JoinByDefinition(node, &rows)) {
    for (const JoinedRow& row : joined) {
      expected.rows[key].push_back(CellsOf(row));
      expected.at.push_back(row.at);
    }
  }
  std::ranges::sort(expected.at);
  return expected;
}

// What came out of each key, in order.
std::map<std::string, std::vector<CellRow>> ByKey(const JoinNode& node,
                                                  const std::vector<CellRow>& rows) {
  std::map<std::string, std::vector<CellRow>> by_key;
  for (const CellRow& cells : rows) {
    const bool has_left = !std::holds_alternative<std::monostate>(cells[0]);
    const size_t side = has_left ? 0 : 8;
    JoinRow row;
    const auto at = [&]<typename T>(int column, std::optional<T>* value) {
      const auto* cell = std::get_if<std::conditional_t<std::is_same_v<T, int32_t>, int64_t, T>>(
          &cells[side + size_t(column - In::kEventTime)]);
      if (cell != nullptr) *value = T(*cell);
    };
    at(In::kName, &row.name);
    at(In::kLevel, &row.level);
    at(In::kFloor, &row.floor);
    at(In::kWindow, &row.window);
    bool has_null = false;
    by_key[JoinKeyOf(row, node.keys, &has_null)].push_back(cells);
  }
  return by_key;
}

TEST(JoinOperator, AnyLifeGivesWhatTheDefinitionGives) {
  int64_t pairs = 0, alone = 0;
  for (uint64_t seed = 0; seed < 80; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const JoinNode node = RandomNode(&random);
    const std::vector<JoinRow> rows = RandomRows(120 + random() % 200, &random);
    const Expected expected = ExpectedOf(node, rows);
    OperatorLife::Input input;
    input.keys = node.keys;
    input.rows = rows.size();
    input.batch = [&](size_t first, size_t count) {
      return JoinBatch(std::span(rows).subspan(first, count));
    };
    input.watermark = [](size_t position) { return At(int64_t(position / 2) - 103); };
    input.make = [&] { return MakeJoin(node); };
    input.on_advanced = [&](EventTime watermark, std::span<const CellRow> all,
                            std::span<const CellRow>) {
      ASSERT_EQ(all.size(), expected.UntilNow(watermark));
    };
    const auto found = ByKey(node, OperatorLife(input, seed).Run());
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(found.size(), expected.rows.size());
    for (const auto& [key, cells] : expected.rows) {
      SCOPED_TRACE(key);
      const auto of_key = found.find(key);
      ASSERT_NE(of_key, found.end());
      ASSERT_TRUE(std::ranges::equal(of_key->second, cells, IsSameRow));
      for (const CellRow& row : cells) {
        const bool is_pair = !std::holds_alternative<std::monostate>(row[0]) &&
                             !std::holds_alternative<std::monostate>(row[8]);
        (is_pair ? pairs : alone) += 1;
      }
    }
  }
  EXPECT_GT(pairs, 6'000);
  EXPECT_GT(alone, 2'000);
}

// No row comes out that is before what was promised.
TEST(JoinOperator, OutputIsNeverBeforeItsWatermark) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const JoinNode node = RandomNode(&random);
    const std::vector<JoinRow> rows = RandomRows(200, &random);
    const auto join = MakeJoin(node);
    EventTime promised = kEventTimeMin;
    for (size_t position = 0; position < rows.size();) {
      const size_t count = std::min<size_t>(1 + random() % 20, rows.size() - position);
      AddTo(join.get(), node, std::span(rows).subspan(position, count));
      position += count;
      join->AdvanceTo(position == rows.size() ? kEventTimeMax : At(int64_t(position / 2) - 103));
      for (const CellRow& row : DrainOf(join.get(), 7)) {
        const auto* time = std::get_if<int64_t>(&row[node.time_is_right ? 8 : 0]);
        if (time != nullptr) {
          ASSERT_GE(At(*time), promised);
        }
      }
      promised = join->OutputWatermark();
    }
    EXPECT_EQ(join->stats().rows_open(), 0);
  }
}

}  // namespace
}  // namespace millrace
