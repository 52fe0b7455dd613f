// Rows of windows that are not final: at the window's end, before it and after it.
#include <map>
#include <random>

#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

// "on_time [0, 60) a 2" a row, those for one audience only marked "changes" or "final".
std::vector<std::string> Given(WindowAggregate* aggregate, int64_t rows_max = 1000) {
  std::vector<std::string> lines;
  while (aggregate->HasOutput()) {
    const WindowOutput output = aggregate->NextOutput(rows_max).ValueOrDie();
    EXPECT_NE(output.batch, nullptr);
    if (output.batch == nullptr) break;
    EXPECT_LE(output.batch->num_rows(), rows_max);
    std::vector<CellRow> rows;
    AppendCells(*output.batch, &rows);
    for (const CellRow& row : rows) {
      std::string line(RowKindName(output.kind));
      if (output.audience == RowAudience::kChanges) line += " change";
      if (output.audience == RowAudience::kFinal) line += " final";
      line += " [" + std::to_string(std::get<int64_t>(row[0])) + ", " +
              std::to_string(std::get<int64_t>(row[1])) + ") " + std::get<std::string>(row[2]) +
              " " + std::to_string(std::get<int64_t>(row[3]));
      lines.push_back(line);
    }
  }
  return lines;
}

using Lines = std::vector<std::string>;

TestQuery Counting(int64_t size, int64_t slide, int64_t lateness, bool changes, int64_t every) {
  TestQuery query{Micros(size),
                  Micros(slide),
                  Micros(0),
                  {kDevice},
                  {Aggregate(AggregateFunction::kCount, -1, Type::kBigint)}};
  query.allowed_lateness = Micros(lateness);
  query.gives_changes = changes;
  query.changes_every = Micros(every);
  return query;
}

TEST(WindowChanges, ALateReadingCountsUntilItsWindowIsFinal) {
  const TestQuery query = Counting(60, 60, 30, false, 0);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(10, "a"), Row(70, "a")});
  aggregate->AdvanceTo(At(89));
  EXPECT_FALSE(aggregate->HasOutput());
  Add(aggregate.get(), query, {Row(59, "a")});
  aggregate->AdvanceTo(At(90));
  EXPECT_EQ(Given(aggregate.get()), (Lines{"on_time [0, 60) a 2"}));
  Add(aggregate.get(), query, {Row(59, "a")});
  EXPECT_EQ(aggregate->stats().rows_too_late, 1);
  aggregate->AdvanceTo(kEventTimeMax);
  EXPECT_EQ(Given(aggregate.get()), (Lines{"on_time [60, 120) a 1"}));
}

TEST(WindowChanges, ThoseWhoTakeChangesHaveARowAtTheEndAndWhatCorrectsIt) {
  const TestQuery query = Counting(60, 60, 30, true, 0);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(10, "a"), Row(10, "b"), Row(70, "a")});
  aggregate->AdvanceTo(At(60));
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"on_time change [0, 60) a 1", "on_time change [0, 60) b 1"}));
  EXPECT_FALSE(aggregate->HasChanges(WindowChanges::kAll));
  // Of a window that is still open, and of one that is not.
  Add(aggregate.get(), query, {Row(71, "a"), Row(20, "b"), Row(21, "b"), Row(22, "c")});
  EXPECT_TRUE(aggregate->HasChanges(WindowChanges::kCorrections));
  EXPECT_FALSE(aggregate->HasOutput());
  aggregate->ShowChanges(WindowChanges::kCorrections);
  EXPECT_EQ(Given(aggregate.get(), 1),
            (Lines{"correction change [0, 60) b 3", "correction change [0, 60) c 1"}));
  EXPECT_FALSE(aggregate->HasChanges(WindowChanges::kAll));
  // What has not been shown when the window becomes final is shown before.
  Add(aggregate.get(), query, {Row(30, "a")});
  aggregate->AdvanceTo(At(90));
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"correction change [0, 60) a 2", "on_time final [0, 60) a 2",
                   "on_time final [0, 60) b 3", "on_time final [0, 60) c 1"}));
  aggregate->AdvanceTo(kEventTimeMax);
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"on_time change [60, 120) a 2", "on_time final [60, 120) a 2"}));
}

TEST(WindowChanges, RunningRowsAreOfWhatHasChangedInOpenWindows) {
  const TestQuery query = Counting(60, 60, 0, true, 5);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(10, "a"), Row(10, "b"), Row(70, "a")});
  EXPECT_TRUE(aggregate->HasChanges(WindowChanges::kAll));
  EXPECT_FALSE(aggregate->HasChanges(WindowChanges::kCorrections));
  aggregate->ShowChanges(WindowChanges::kCorrections);
  EXPECT_FALSE(aggregate->HasOutput());
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get(), 2),
            (Lines{"running change [0, 60) a 1", "running change [0, 60) b 1",
                   "running change [60, 120) a 1"}));
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_FALSE(aggregate->HasOutput());
  Add(aggregate.get(), query, {Row(11, "b")});
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()), (Lines{"running change [0, 60) b 2"}));
  // At the end a window goes to all.
  Add(aggregate.get(), query, {Row(12, "a")});
  aggregate->AdvanceTo(At(60));
  EXPECT_EQ(Given(aggregate.get()), (Lines{"on_time [0, 60) a 2", "on_time [0, 60) b 2"}));
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_FALSE(aggregate->HasOutput());
}

// A reading at 45 is in [20, 60) and [40, 80): the first has been given out, the second is open.
TEST(WindowChanges, AReadingIsInWindowsOfBothKinds) {
  const TestQuery query = Counting(40, 20, 100, true, 5);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(41, "a")});
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"running change [20, 60) a 1", "running change [40, 80) a 1"}));
  aggregate->AdvanceTo(At(60));
  EXPECT_EQ(Given(aggregate.get()), (Lines{"on_time change [20, 60) a 1"}));
  Add(aggregate.get(), query, {Row(45, "a"), Row(25, "a")});
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"correction change [0, 40) a 1", "correction change [20, 60) a 3",
                   "running change [40, 80) a 2"}));
}

TEST(WindowChanges, WhatHasBeenEvictedIsInTheRowsToo) {
  const TestQuery query = Counting(60, 60, 60, true, 5);
  MemoryStateStore store;
  auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(10, "a"), Row(10, "b"), Row(70, "a")});
  aggregate->AdvanceTo(At(60));
  Given(aggregate.get());
  EXPECT_EQ(CodeOf(aggregate->Evict()), "evicted_early");
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()), (Lines{"running change [60, 120) a 1"}));
  ASSERT_TRUE(aggregate->Evict().ok());
  Add(aggregate.get(), query, {Row(11, "a"), Row(71, "a")});
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"correction change [0, 60) a 2", "running change [60, 120) a 2"}));
  // And after a restart, which knows what had been given out.
  SealAndWrite(aggregate.get());
  aggregate = OpenOver(&store, query);
  EXPECT_FALSE(aggregate->HasOutput());
  Add(aggregate.get(), query, {Row(12, "b"), Row(72, "a")});
  aggregate->ShowChanges(WindowChanges::kAll);
  EXPECT_EQ(Given(aggregate.get()),
            (Lines{"correction change [0, 60) b 2", "running change [60, 120) a 3"}));
}

TEST(WindowChanges, StateOfAnotherLatenessIsRefused) {
  MemoryStateStore store;
  SealAndWrite(OpenOver(&store, Counting(60, 60, 60, true, 5)).get());
  const auto other = Counting(60, 60, 61, true, 5).Make();
  EXPECT_EQ(CodeOf(other->Open(&store, kTestOperator)), "state_of_another_query");
}

// Whatever happens on the way: who puts changes over each other has in the end what the others are
// given once; and that is what one who waits for all readings computes.
TEST(WindowChanges, EndWithTheFinalRows) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    TestQuery query{Micros(100),
                    Micros(seed % 3 == 0 ? 40 : 100),
                    Micros(7),
                    {kDevice, kSmall},
                    StateAggregates()};
    query.allowed_lateness = Micros(seed % 4 == 0 ? 0 : 90);
    query.gives_changes = true;
    query.changes_every = Micros(seed % 5 == 0 ? 0 : 1);
    const std::vector<TestRow> rows = RisingRows(3000, seed, 12);
    TestQuery calm = query;
    calm.gives_changes = false;
    const auto reference = calm.Make();

    MemoryStateStore store;
    auto aggregate = OpenOver(&store, query);
    using WindowKey = std::vector<Cell>;
    std::map<WindowKey, CellRow> shown;
    std::vector<CellRow> final_rows;
    int64_t corrections = 0, running = 0;
    const auto give = [&] {
      while (aggregate->HasOutput()) {
        const WindowOutput output = aggregate->NextOutput(int64_t(1 + random() % 9)).ValueOrDie();
        std::vector<CellRow> given;
        AppendCells(*output.batch, &given);
        for (CellRow& row : given) {
          if (output.audience != RowAudience::kChanges) final_rows.push_back(row);
          if (output.audience == RowAudience::kFinal) continue;
          corrections += output.kind == RowKind::kCorrection;
          running += output.kind == RowKind::kRunning;
          shown[WindowKey(row.begin(), row.begin() + 4)] = row;
        }
      }
    };
    std::vector<CellRow> expected;
    for (size_t at = 0; at < rows.size();) {
      const size_t count = std::min<size_t>(1 + random() % 60, rows.size() - at);
      const auto some = std::span(rows).subspan(at, count);
      at += count;
      AddRows(aggregate.get(), query, some);
      AddRows(reference.get(), calm, some);
      // Much more than what rows are out of order by, so that late ones come.
      const EventTime watermark =
          At(rows[at - 1].time + (query.allowed_lateness.count() ? 40 : -30));
      aggregate->AdvanceTo(watermark);
      reference->AdvanceTo(watermark);
      give();
      for (const CellRow& row : Drain(reference.get())) expected.push_back(row);
      switch (random() % 6) {
        case 0:
          aggregate->ShowChanges(WindowChanges::kAll);
          give();
          break;
        case 1:
          aggregate->ShowChanges(WindowChanges::kAll);
          give();
          ASSERT_TRUE(aggregate->Evict().ok());
          break;
        case 2:
          aggregate->ShowChanges(WindowChanges::kCorrections);
          give();
          SealAndWrite(aggregate.get());
          break;
        case 3:
          aggregate->ShowChanges(WindowChanges::kCorrections);
          give();
          SealAndWrite(aggregate.get());
          aggregate = OpenOver(&store, query);
          break;
        default:
          break;
      }
    }
    aggregate->AdvanceTo(kEventTimeMax);
    reference->AdvanceTo(kEventTimeMax);
    give();
    for (const CellRow& row : Drain(reference.get())) expected.push_back(row);
    EXPECT_EQ(aggregate->stats().rows_too_late, 0);
    ExpectSameRows(final_rows, expected, query);
    std::vector<CellRow> last;
    last.reserve(shown.size());
    for (auto& [key, row] : shown) last.push_back(row);
    std::ranges::stable_sort(last, {}, [](const CellRow& row) { return row[1]; });
    ExpectSameRows(last, expected, query);
    EXPECT_EQ(corrections > 0, query.allowed_lateness > Micros(0));
    EXPECT_EQ(running > 0, query.changes_every > Micros(0));
  }
}

}  // namespace
}  // namespace millrace
