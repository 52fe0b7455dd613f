// Sessions against rows that are sorted and cut at gaps, in whatever order they come, through
// checkpoints, evictions and restarts.
#include <algorithm>
#include <map>
#include <random>

#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

TestQuery Sessions(int64_t gap, std::vector<AggregateSpec> aggregates,
                   std::vector<int> keys = {kDevice}) {
  return {Micros(0), Micros(0), Micros(0), std::move(keys), std::move(aggregates), Micros(gap)};
}

TestQuery Counts(int64_t gap) { return Sessions(gap, {Aggregate(F::kCount, -1, Type::kBigint)}); }

TEST(SessionAggregate, AGapOrMoreBetweenTwoRowsEndsASession) {
  const TestQuery query = Counts(10);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query,
      {Row(0, "a"), Row(9, "a"), Row(18, "a"), Row(28, "a"), Row(5, "b"), Row(-3, "b")});
  EXPECT_EQ(aggregate->stats().open_panes, 3);
  EXPECT_EQ(
      Close(aggregate.get()),
      (std::vector<CellRow>{Count(-3, 15, "b", 2), Count(0, 28, "a", 3), Count(28, 38, "a", 1)}));
  EXPECT_EQ(aggregate->stats().rows_counted, 6);
  EXPECT_EQ(aggregate->stats().open_panes, 0);
  EXPECT_EQ(aggregate->stats().keys, 0);
}

TEST(SessionAggregate, ARowBetweenTwoSessionsMakesThemOne) {
  const TestQuery query =
      Sessions(10, {Aggregate(F::kCount, -1, Type::kBigint), Aggregate(F::kMin, kX, Type::kDouble),
                    Percentile(kX, 0.5), CountDistinct(kX)});
  const auto aggregate = query.Make();
  std::vector<TestRow> rows = {Row(0, "a"), Row(18, "a"), Row(9, "a")};
  for (size_t i = 0; i < rows.size(); ++i) rows[i].x = double(i);
  Add(aggregate.get(), query, rows);  // of one block: what was placed before the row is not lost
  EXPECT_EQ(aggregate->stats().open_panes, 1);
  EXPECT_EQ(
      Close(aggregate.get()),
      (std::vector<CellRow>{{int64_t(0), int64_t(28), "a", int64_t(3), 0.0, 1.0, int64_t(3)}}));
}

TEST(SessionAggregate, ASessionIsGivenOutWhenTheWatermarkIsAtItsEndAndNotBefore) {
  const TestQuery query = Counts(10);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(0, "a"), Row(4, "b")});
  aggregate->AdvanceTo(At(9));
  EXPECT_FALSE(aggregate->HasOutput());
  Add(aggregate.get(), query, {Row(9, "a")});
  aggregate->AdvanceTo(At(14));
  EXPECT_EQ(Drain(aggregate.get()), (std::vector<CellRow>{Count(4, 14, "b", 1)}));
  // Before the watermark: whose session it was has perhaps been given out.
  Add(aggregate.get(), query, {Row(13, "b"), Row(14, "b")});
  EXPECT_EQ(aggregate->stats().rows_too_late, 1);
  aggregate->AdvanceTo(At(19));
  EXPECT_EQ(Drain(aggregate.get()), (std::vector<CellRow>{Count(0, 19, "a", 2)}));
  EXPECT_EQ(Close(aggregate.get()), (std::vector<CellRow>{Count(14, 24, "b", 1)}));
  Add(aggregate.get(), query, {Row(100, "a")});
  EXPECT_EQ(aggregate->stats().rows_too_late, 2);
  EXPECT_EQ(aggregate->stats().rows_open(), 0);
}

TEST(SessionAggregate, EndsStopAtTheLastEventTime) {
  const TestQuery query = Counts(10);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(INT64_MAX - 3, "a"), Row(INT64_MAX, "a"), Row(INT64_MIN, "a")});
  EXPECT_EQ(Close(aggregate.get()),
            (std::vector<CellRow>{Count(INT64_MIN, INT64_MIN + 10, "a", 1),
                                  Count(INT64_MAX - 3, INT64_MAX, "a", 2)}));
}

// Many sessions of one key at once, begun in any order and in the end joined one by one.
TEST(SessionAggregate, SessionsOfOneKeyAreFoundWhereverTheyAre) {
  const TestQuery query = Counts(10);
  const auto aggregate = query.Make();
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 1000; ++i) rows.push_back(Row((i * 383) % 1000 * 15, "a"));
  Add(aggregate.get(), query, rows);
  EXPECT_EQ(aggregate->stats().open_panes, 1000);
  rows.clear();
  for (int64_t i = 0; i < 998; ++i) rows.push_back(Row((i * 389) % 998 * 15 + 7, "a"));
  Add(aggregate.get(), query, rows);
  EXPECT_EQ(aggregate->stats().open_panes, 2);
  EXPECT_EQ(Close(aggregate.get()), (std::vector<CellRow>{Count(0, 998 * 15 + 10, "a", 1997),
                                                          Count(14985, 14995, "a", 1)}));
}

TEST(SessionAggregate, RowsComeInOrderOfTheirEndAtMostSoManyAtATime) {
  const TestQuery query = Counts(10);
  const auto aggregate = query.Make();
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 100; ++i) rows.push_back(Row((i * 37) % 100, std::to_string(i)));
  Add(aggregate.get(), query, rows);
  const std::vector<CellRow> found = Close(aggregate.get(), 7);
  ASSERT_EQ(found.size(), 100u);
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(found[size_t(i)][0], Cell(i));
}

TEST(SessionAggregate, WhatASealedEpochHasIsWrittenBeforeItChangesOrGoes) {
  const TestQuery query = Counts(10);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(0, "a"), Row(15, "a"), Row(0, "b"), Row(30, "c")});
  ASSERT_TRUE(aggregate->Seal().ok());
  Add(aggregate.get(), query, {Row(8, "a"), Row(31, "c")});  // two of "a" become one
  aggregate->AdvanceTo(At(10));
  EXPECT_EQ(Drain(aggregate.get()), (std::vector<CellRow>{Count(0, 10, "b", 1)}));
  WriteAll(aggregate.get());
  const auto restored = StoreOf(EntriesOf(&store));
  EXPECT_EQ(Close(OpenOver(restored.get(), query).get()),
            (std::vector<CellRow>{Count(0, 10, "a", 1), Count(0, 10, "b", 1), Count(15, 25, "a", 1),
                                  Count(30, 40, "c", 1)}));
  SealAndWrite(aggregate.get());
  EXPECT_EQ(EntriesOf(&store).size(), 3u);  // the header, "a", "c"
  const std::vector<CellRow> rest = {Count(0, 25, "a", 3), Count(30, 41, "c", 2)};
  EXPECT_EQ(Close(OpenOver(StoreOf(EntriesOf(&store)).get(), query).get()), rest);
  EXPECT_EQ(Close(aggregate.get()), rest);
  SealAndWrite(aggregate.get());
  EXPECT_EQ(EntriesOf(&store).size(), 1u);
}

TEST(SessionAggregate, EvictingKeepsWhatItNeedsToFindSessionsAgain) {
  const TestQuery query = Counts(10);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(0, "a"), Row(15, "a")});
  ASSERT_TRUE(aggregate->Evict().ok());
  EXPECT_EQ(aggregate->stats().state_bytes, aggregate->stats().index_bytes);
  Add(aggregate.get(), query, {Row(8, "a")});
  SealAndWrite(aggregate.get());
  // Three entries of one session, under two places.
  EXPECT_EQ(EntriesOf(&store).size(), 4u);
  const std::vector<CellRow> all = {Count(0, 25, "a", 3)};
  EXPECT_EQ(Close(OpenOver(StoreOf(EntriesOf(&store)).get(), query).get()), all);
  EXPECT_EQ(Close(aggregate.get()), all);
}

// With values, whose parts are written once.
TEST(SessionAggregate, ASessionThatNeverEndsGathersNoImages) {
  const TestQuery query =
      Sessions(10, {Aggregate(F::kCount, -1, Type::kBigint), Percentile(kX, 0.5)});
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  size_t most = 0;
  for (int64_t i = 0; i <= 100; ++i) {
    TestRow row = Row(i * 5, "a");
    row.x = double(i);
    Add(aggregate.get(), query, {row});
    ASSERT_TRUE(aggregate->Evict().ok());
    most = std::max(most, EntriesOf(&store).size());
  }
  EXPECT_LE(most, 2u * 9);  // an image and its values
  SealAndWrite(aggregate.get());
  const std::vector<CellRow> all = {{int64_t(0), int64_t(510), "a", int64_t(101), 50.0}};
  EXPECT_EQ(Close(OpenOver(StoreOf(EntriesOf(&store)).get(), query).get()), all);
  EXPECT_EQ(Close(aggregate.get()), all);
  SealAndWrite(aggregate.get());
  EXPECT_EQ(EntriesOf(&store).size(), 1u);
}

// Of a short and a long one the long one is kept, whichever is the earlier.
TEST(SessionAggregate, PairsInTheWrongOrderMakeOneSession) {
  const TestQuery query =
      Sessions(10, {Aggregate(F::kCount, -1, Type::kBigint), Percentile(kX, 0.5)});
  for (const int64_t direction : {1, -1}) {
    const auto aggregate = query.Make();
    std::vector<TestRow> rows;
    for (int64_t i = 0; i <= 1000; ++i) {  // 0, 12, 6, 24, 18, 36, 30, ...
      rows.push_back(Row(direction * (i % 2 != 0 ? 6 * i + 6 : i == 0 ? 0 : 6 * i - 6), "a"));
      rows.back().x = double(i);
    }
    Add(aggregate.get(), query, rows);
    EXPECT_EQ(aggregate->stats().open_panes, 1);
    const std::vector<CellRow> found = Close(aggregate.get());
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0][3], Cell(int64_t(1001)));
    EXPECT_EQ(found[0][4], Cell(500.0));
  }
}

TEST(SessionAggregate, StateOfAnotherGapIsRefused) {
  MemoryStateStore store;
  const TestQuery query = Counts(10);
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(0, "a")});
  SealAndWrite(aggregate.get());
  const TestQuery other = Counts(11);
  EXPECT_EQ(CodeOf(other.Make()->Open(&store, kTestOperator)), "state_of_another_query");
}

TEST(SessionAggregate, DamageIsToldAndNotRead) {
  MemoryStateStore store;
  const TestQuery query = Counts(10);
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(0, "a"), Row(50, "b")});
  SealAndWrite(aggregate.get());
  const StateEntries entries = EntriesOf(&store);
  for (size_t entry = 0; entry < entries.size(); ++entry) {
    for (size_t byte = 0; byte < entries[entry].second.size(); ++byte) {
      StateEntries damaged = entries;
      damaged[entry].second[byte] ^= 0x10;
      const std::string code = CodeOf(query.Make()->Open(StoreOf(damaged).get(), kTestOperator));
      EXPECT_TRUE(code == "state_damaged" || (byte == 0 && code == "state_version")) << code;
    }
  }
}

// All that StateAggregates has, but for what depends on the window's end.
std::vector<AggregateSpec> EveryAggregate() {
  std::vector<AggregateSpec> aggregates = StateAggregates();
  std::erase_if(aggregates,
                [](const AggregateSpec& spec) { return spec.function == F::kTimeWeightedAvg; });
  return aggregates;
}

// Sorted by key and time, cut where a gap is; each cut aggregated as one window of fixed size.
std::vector<CellRow> Expected(std::vector<TestRow> rows, const TestQuery& query) {
  std::ranges::stable_sort(rows, [](const TestRow& left, const TestRow& right) {
    return std::pair(left.device, left.time) < std::pair(right.device, right.time);
  });
  TestQuery whole = query;
  whole.size = whole.slide = Micros(1'000'000);
  whole.offset = Micros(-500'000);
  whole.gap = Micros(0);
  std::vector<CellRow> expected;
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    while (end < rows.size() && rows[end].device == rows[begin].device &&
           rows[end].time - rows[end - 1].time < query.gap.count()) {
      ++end;
    }
    const auto aggregate = whole.Make();
    AddRows(aggregate.get(), whole, std::span(rows).subspan(begin, end - begin));
    std::vector<CellRow> one = Close(aggregate.get());
    one.at(0)[0] = rows[begin].time;
    one.at(0)[1] = rows[end - 1].time + query.gap.count();
    expected.push_back(std::move(one[0]));
    begin = end;
  }
  return expected;
}

// Rows 0.. of RisingRows are at or after -300, 1.. at or after -299 and so on.
class Life {
 public:
  Life(const TestQuery& query, uint64_t seed)
      : query_(query), random_(seed), rows_(RisingRows(1500, seed, 4)) {
    Start();
  }

  std::vector<CellRow> Run() {
    while (position_ < rows_.size()) {
      const size_t count = std::min<size_t>(1 + random_() % 40, rows_.size() - position_);
      AddRows(aggregate_.get(), query_, std::span(rows_).subspan(position_, count), seed_is_odd());
      position_ += count;
      if (random_() % 3 == 0) {
        aggregate_->AdvanceTo(At(int64_t(position_) - 300));
        for (CellRow& row : Drain(aggregate_.get(), 3)) rows_out_.push_back(std::move(row));
      }
      Checkpoint();
      if (crashes_ < 5 && random_() % 40 == 0) {
        ++crashes_;
        Start();
      }
    }
    for (CellRow& row : Close(aggregate_.get())) rows_out_.push_back(std::move(row));
    EXPECT_EQ(aggregate_->stats().rows_counted, int64_t(rows_.size()));
    EXPECT_EQ(aggregate_->stats().rows_open(), 0);
    while (aggregate_->sealed()) WriteAll(aggregate_.get());
    SealAndWrite(aggregate_.get());
    EXPECT_EQ(EntriesOf(store_.get()).size(), 1u);
    return rows_out_;
  }

  const std::vector<TestRow>& rows() const { return rows_; }

 private:
  bool seed_is_odd() const { return rows_.front().time % 2 != 0; }

  void Start() {
    store_ = StoreOf(safe_.entries);
    aggregate_ = OpenOver(store_.get(), query_);
    position_ = safe_.position;
    rows_out_.resize(safe_.rows_out);
  }

  void Checkpoint() {
    if (!aggregate_->sealed()) {
      if (random_() % 6 == 0) {
        ASSERT_TRUE(aggregate_->Seal().ok());
        sealed_ = {{}, position_, rows_out_.size()};
      } else if (random_() % (evicts_often_ ? 3 : 20) == 0) {
        ASSERT_TRUE(aggregate_->Evict().ok());
      }
      return;
    }
    if (aggregate_->WriteSealed(int64_t(1 + random_() % 6)).ValueOrDie()) return;
    safe_ = sealed_;
    safe_.entries = EntriesOf(store_.get());
  }

  struct Saved {
    StateEntries entries;
    size_t position = 0;
    size_t rows_out = 0;
  };
  const TestQuery& query_;
  std::mt19937_64 random_;
  const std::vector<TestRow> rows_;
  std::unique_ptr<MemoryStateStore> store_;
  std::unique_ptr<WindowAggregate> aggregate_;
  size_t position_ = 0;
  std::vector<CellRow> rows_out_;
  Saved sealed_;
  Saved safe_;
  int crashes_ = 0;
  const bool evicts_often_ = random_() % 3 == 0;
};

TEST(SessionAggregate, AnyLifeGivesTheSessionsOfSortedRows) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const TestQuery query = Sessions(int64_t(2 + seed % 19), EveryAggregate());
    Life life(query, seed);
    ExpectSameRows(life.Run(), Expected(life.rows(), query), query);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace millrace
