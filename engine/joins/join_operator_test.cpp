#include "engine/joins/join_operator.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/joins/join_testing.h"

namespace millrace {
namespace {

JoinRow Left(int64_t time, const std::string& name, int64_t number) {
  JoinRow row;
  row.time = time;
  row.name = name;
  row.number = number;
  return row;
}

JoinRow Right(int64_t time, const std::string& name, int64_t number) {
  JoinRow row = Left(time, name, number);
  row.is_right = true;
  return row;
}

JoinRow Without(JoinRow row) {
  row.name.reset();
  return row;
}

// By name. Of each side the time and the number come out.
JoinNode Query(int64_t lower, int64_t upper) {
  JoinNode node = JoinOf({In::kName}, lower, upper);
  node.left = {In::kEventTime, In::kLeftNumber};
  node.right = {In::kEventTime, In::kRightNumber};
  return node;
}

CellRow Joined(int64_t left_time, int64_t left, int64_t right_time, int64_t right) {
  return {left_time, left, right_time, right};
}
CellRow LeftAlone(int64_t time, int64_t number) { return {time, number, Cell(), Cell()}; }
CellRow RightAlone(int64_t time, int64_t number) { return {Cell(), Cell(), time, number}; }

using Rows = std::vector<JoinRow>;
using Cells = std::vector<CellRow>;

Cells AdvanceTo(JoinOperator* join, EventTime watermark) {
  join->AdvanceTo(watermark);
  return DrainOf(join);
}

TEST(JoinOperator, APairComesWithTheLaterOfItsRows) {
  const JoinNode node = Query(-10, 20);
  const auto join = MakeJoin(node);
  AddTo(join.get(), node,
        Rows{Right(108, "a", 1), Left(100, "a", 2), Right(90, "a", 3), Right(89, "a", 4),
             Left(100, "b", 5), Right(120, "a", 6), Right(121, "a", 7)});
  EXPECT_TRUE(AdvanceTo(join.get(), At(100)).empty());
  EXPECT_EQ(AdvanceTo(join.get(), At(101)), (Cells{Joined(100, 2, 90, 3)}));
  EXPECT_EQ(join->OutputWatermark(), At(81));
  EXPECT_TRUE(AdvanceTo(join.get(), At(108)).empty());
  EXPECT_EQ(AdvanceTo(join.get(), At(109)), (Cells{Joined(100, 2, 108, 1)}));
  AddTo(join.get(), node, Rows{Right(109, "a", 8), Right(108, "a", 9)});
  EXPECT_EQ(join->stats().rows_too_late, 1);
  EXPECT_EQ(AdvanceTo(join.get(), kEventTimeMax),
            (Cells{Joined(100, 2, 109, 8), Joined(100, 2, 120, 6)}));
  EXPECT_EQ(join->OutputWatermark(), kEventTimeMax);
  EXPECT_EQ(join->stats().rows_open(), 0);
  EXPECT_EQ(join->stats().rows_counted, 8);
  EXPECT_EQ(join->stats().keys, 0);
  EXPECT_EQ(join->stats().open_panes, 0);
}

// Both sides keep what has no pair until the watermark says that none can come.
TEST(JoinOperator, RowsWithoutAPairComeWhenNoneCanComeAnyMore) {
  JoinNode node = Query(-10, 20);
  node.keeps_left = node.keeps_right = true;
  const auto join = MakeJoin(node);
  AddTo(join.get(), node,
        Rows{Left(100, "a", 1), Left(101, "a", 2), Right(121, "a", 3), Right(140, "a", 4),
             Without(Left(100, "", 5)), Without(Right(100, "", 6))});
  EXPECT_TRUE(AdvanceTo(join.get(), At(110)).empty());
  EXPECT_EQ(AdvanceTo(join.get(), At(111)), (Cells{RightAlone(100, 6)}));
  EXPECT_TRUE(AdvanceTo(join.get(), At(120)).empty());
  Cells both = AdvanceTo(join.get(), At(121));
  std::ranges::sort(both);
  EXPECT_EQ(both, (Cells{LeftAlone(100, 1), LeftAlone(100, 5)}));
  EXPECT_EQ(AdvanceTo(join.get(), At(122)), (Cells{Joined(101, 2, 121, 3)}));
  EXPECT_TRUE(AdvanceTo(join.get(), At(150)).empty());
  EXPECT_EQ(AdvanceTo(join.get(), At(151)), (Cells{RightAlone(140, 4)}));
  EXPECT_EQ(join->stats().keys, 0);
  EXPECT_EQ(join->stats().rows_counted, 6);
}

// lower = upper = 0: rows of one moment, as those of two windows are.
TEST(JoinOperator, AWindowJoinPairsRowsOfOneTime) {
  JoinNode node = Query(0, 0);
  node.keeps_left = node.keeps_right = true;
  const auto join = MakeJoin(node);
  AddTo(join.get(), node,
        Rows{Left(59, "a", 1), Right(59, "a", 2), Right(59, "a", 3), Left(59, "b", 4),
             Right(119, "b", 5), Right(119, "a", 6), Left(119, "a", 7)});
  Cells first = AdvanceTo(join.get(), At(60));
  std::ranges::sort(first);
  EXPECT_EQ(first, (Cells{Joined(59, 1, 59, 2), Joined(59, 1, 59, 3), LeftAlone(59, 4)}));
  EXPECT_EQ(join->OutputWatermark(), At(60));
  EXPECT_EQ(join->stats().open_panes, 3);
  Cells second = AdvanceTo(join.get(), At(120));
  std::ranges::sort(second);
  EXPECT_EQ(second, (Cells{RightAlone(119, 5), Joined(119, 7, 119, 6)}));
  EXPECT_EQ(join->stats().open_panes, 0);
}

TEST(JoinOperator, TheLatestRowIsTakenOnceTheWatermarkHasPassed) {
  JoinNode node = Query(-50, 0);
  node.latest_only = node.keeps_left = true;
  const auto join = MakeJoin(node);
  AddTo(join.get(), node,
        Rows{Left(100, "a", 1), Right(100, "a", 3), Right(100, "a", 2), Right(90, "a", 9),
             Left(150, "a", 4), Left(151, "a", 5), Left(100, "b", 6), Without(Left(100, "", 7))});
  EXPECT_TRUE(AdvanceTo(join.get(), At(100)).empty());
  Cells first = AdvanceTo(join.get(), At(101));
  std::ranges::sort(first);
  // Of those of one time the last in the order of all columns.
  EXPECT_EQ(first, (Cells{Joined(100, 1, 100, 3), LeftAlone(100, 6), LeftAlone(100, 7)}));
  EXPECT_EQ(join->OutputWatermark(), At(101));
  // Two left rows wait, and the one right row that they may take.
  EXPECT_EQ(join->stats().open_panes, 3);
  EXPECT_EQ(AdvanceTo(join.get(), At(200)), (Cells{Joined(150, 4, 100, 3), LeftAlone(151, 5)}));
  EXPECT_EQ(join->stats().open_panes, 0);
}

TEST(JoinOperator, BoundsMayLieOnOneSide) {
  // The right row comes 10 to 20 later; or was there 10 to 20 before.
  const JoinNode after = Query(10, 20);
  const auto later = MakeJoin(after);
  AddTo(later.get(), after,
        Rows{Left(100, "a", 1), Right(109, "a", 2), Right(110, "a", 3), Right(120, "a", 4),
             Right(121, "a", 5)});
  EXPECT_EQ(AdvanceTo(later.get(), At(130)),
            (Cells{Joined(100, 1, 110, 3), Joined(100, 1, 120, 4)}));
  EXPECT_EQ(later->OutputWatermark(), At(110));

  JoinNode before = Query(-20, -10);
  before.keeps_left = before.keeps_right = true;
  const auto earlier = MakeJoin(before);
  AddTo(earlier.get(), before,
        Rows{Left(100, "a", 1), Left(140, "a", 2), Right(79, "a", 3), Right(80, "a", 4),
             Right(90, "a", 5), Right(91, "a", 6)});
  EXPECT_EQ(AdvanceTo(earlier.get(), At(141)),
            (Cells{RightAlone(79, 3), Joined(100, 1, 80, 4), Joined(100, 1, 90, 5),
                   RightAlone(91, 6), LeftAlone(140, 2)}));
  EXPECT_EQ(earlier->OutputWatermark(), At(141));
}

TEST(JoinOperator, TheOutputsTimeMayBeTheRightRows) {
  JoinNode node = Query(-30, 20);
  node.time_is_right = true;
  const auto join = MakeJoin(node);
  join->AdvanceTo(At(100));
  EXPECT_EQ(join->OutputWatermark(), At(70));
}

// NaN is NaN, -0 is 0, and a null is nothing; each row has its own value.
TEST(JoinOperator, KeysAreEqualAsThoseOfWindows) {
  JoinNode node = JoinOf({In::kLevel}, 0, 0);
  node.left = {In::kLevel, In::kLeftNumber};
  node.right = {In::kLevel, In::kRightNumber};
  const auto join = MakeJoin(node);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Rows rows;
  for (const std::optional<double> level : {std::optional(nan), std::optional(-0.0), {}}) {
    JoinRow left = Left(1, "", 1);
    left.level = level;
    JoinRow right = Right(1, "", 2);
    right.level = level.has_value() && *level == 0 ? 0.0 : level;
    rows.insert(rows.end(), {left, right});
  }
  AddTo(join.get(), node, rows);
  // Two of them can be in no pair.
  EXPECT_EQ(join->stats().rows_counted, 2);
  Cells cells = AdvanceTo(join.get(), At(2));
  ASSERT_EQ(cells.size(), 2u);
  if (std::isnan(std::get<double>(cells[0][0]))) std::swap(cells[0], cells[1]);
  EXPECT_TRUE(std::signbit(std::get<double>(cells[0][0])));
  EXPECT_FALSE(std::signbit(std::get<double>(cells[0][2])));
  EXPECT_TRUE(std::isnan(std::get<double>(cells[1][0])));
  EXPECT_TRUE(std::isnan(std::get<double>(cells[1][2])));
}

TEST(JoinOperator, WithoutKeysEveryRowMeetsEveryOther) {
  JoinNode node = Query(-5, 5);
  node.keys.clear();
  const auto join = MakeJoin(node);
  AddTo(join.get(), node, Rows{Left(10, "a", 1), Right(12, "b", 2), Without(Right(6, "", 3))});
  EXPECT_EQ(AdvanceTo(join.get(), kEventTimeMax),
            (Cells{Joined(10, 1, 6, 3), Joined(10, 1, 12, 2)}));
}

// One row with many pairs comes out in pieces, also where it is forgotten between them.
TEST(JoinOperator, WhatComesOutAtOnceIsBounded) {
  MemoryStateStore store;
  JoinNode node = Query(-100'000, 0);
  node.keeps_left = node.keeps_right = true;
  const auto join = OpenJoin(&store, node);
  constexpr int64_t kRows = 10'000;
  Rows rows;
  for (int64_t i = 0; i < kRows; ++i) rows.push_back(Right(i, "a", i));
  rows.push_back(Left(kRows, "a", -1));
  rows.push_back(Left(kRows, "a", -2));
  AddTo(join.get(), node, rows);
  join->AdvanceTo(At(kRows + 1));
  int64_t next = 0;
  while (join->HasOutput()) {
    const auto output = join->NextOutput(64).ValueOrDie();
    if (output.batch == nullptr) continue;
    EXPECT_LE(output.batch->num_rows(), 64);
    Cells cells;
    AppendCells(*output.batch, &cells);
    for (const CellRow& row : cells) {
      // -2 comes before -1: they are of one time.
      ASSERT_EQ(row, Joined(kRows, next < kRows ? -2 : -1, next % kRows, next % kRows));
      ++next;
    }
    if (next % 5 == 0) {
      ASSERT_TRUE(join->Evict().ok());
    }
  }
  EXPECT_EQ(next, 2 * kRows);
  EXPECT_EQ(join->stats().rows_counted, 2);
  EXPECT_TRUE(AdvanceTo(join.get(), kEventTimeMax).empty());
  SealAndWriteAll(join.get());
  EXPECT_EQ(EntriesOf(&store).size(), 1u);
}

// Rows go when nothing can be near them: from memory, and from the store.
TEST(JoinOperator, KeepsWhatMayPairAndNoMore) {
  MemoryStateStore store;
  const JoinNode node = Query(-100, 0);
  const auto join = OpenJoin(&store, node);
  for (int64_t i = 0; i < 1000; ++i) {
    AddTo(join.get(), node, Rows{Left(i * 10, "a", i), Right(i * 10, "a", i)});
    AdvanceTo(join.get(), At(i * 10));
    if (i % 10 == 0) SealAndWriteAll(join.get());
    // Ten right ones and those of the last moment.
    EXPECT_LE(join->stats().open_panes, 12);
    EXPECT_LE(EntriesOf(&store).size(), 8u);
  }
  EXPECT_EQ(AdvanceTo(join.get(), At(20'000)).size(), 11u);
  EXPECT_EQ(join->stats().keys, 0);
  SealAndWriteAll(join.get());
  EXPECT_EQ(EntriesOf(&store).size(), 1u);

  JoinNode latest = Query(-1'000'000, 0);
  latest.latest_only = true;
  const auto as_of = MakeJoin(latest);
  for (int64_t i = 0; i < 100; ++i) {
    AddTo(as_of.get(), latest, Rows{Right(i, "a", i)});
    AdvanceTo(as_of.get(), At(i + 1));
    EXPECT_EQ(as_of->stats().open_panes, 1);
  }
  EXPECT_EQ(as_of->stats().rows_counted, 99);
}

// What a checkpoint has of pairs that were found: a row that came out in one does not come alone.
TEST(JoinOperator, ARowThatWasPairedIsNotGivenAloneAfterARestart) {
  MemoryStateStore store;
  JoinNode node = Query(0, 50);
  node.keeps_left = true;
  const auto join = OpenJoin(&store, node);
  AddTo(join.get(), node, Rows{Left(10, "a", 1), Left(11, "a", 2), Right(60, "a", 3)});
  EXPECT_EQ(AdvanceTo(join.get(), At(61)), (Cells{Joined(10, 1, 60, 3), Joined(11, 2, 60, 3)}));
  SealAndWriteAll(join.get());
  const auto first = StoreOf(EntriesOf(&store));
  AddTo(join.get(), node, Rows{Left(61, "a", 4)});
  EXPECT_TRUE(AdvanceTo(join.get(), At(62)).empty());
  SealAndWriteAll(join.get());

  EXPECT_TRUE(AdvanceTo(OpenJoin(first.get(), node).get(), kEventTimeMax).empty());
  EXPECT_EQ(AdvanceTo(OpenJoin(&store, node).get(), kEventTimeMax), (Cells{LeftAlone(61, 4)}));
}

TEST(JoinOperator, PlansThatCannotBeAreRefused) {
  const auto refused = [](const JoinNode& node, const Schema& output) {
    return CodeOf(JoinOperator::Make(node, JoinInput(), output).status()) == "malformed_plan";
  };
  const JoinNode node = Query(0, 0);
  Schema output;
  for (const int column : {In::kEventTime, In::kLeftNumber, In::kEventTime, In::kRightNumber}) {
    output.fields.push_back(JoinInput().fields[size_t(column)]);
  }
  EXPECT_FALSE(refused(node, output));
  EXPECT_TRUE(refused(node, Schema{}));
  JoinNode other = node;
  other.is_right = In::kName;
  EXPECT_TRUE(refused(other, output));
  other = node;
  other.keys = {99};
  EXPECT_TRUE(refused(other, output));
  other = node;
  other.lower = Micros(1);
  EXPECT_TRUE(refused(other, output));
  other = node;
  other.latest_only = other.keeps_right = true;
  EXPECT_TRUE(refused(other, output));
}

}  // namespace
}  // namespace millrace
