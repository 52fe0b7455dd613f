#include "engine/over/over_operator.h"

#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "engine/ordered/operator_life_testing.h"
#include "engine/over/over_testing.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

void AddAll(OverOperator* over, const OverQuery& query, std::span<const TestRow> rows) {
  const Status status = AddTo(over, query, rows);
  ASSERT_TRUE(status.ok()) << status;
}

std::vector<CellRow> DrainOf(OverOperator* over, int64_t rows_max = 1000) {
  std::vector<CellRow> rows;
  while (over->HasOutput()) {
    const auto output = over->NextOutput(rows_max);
    EXPECT_TRUE(output.ok()) << output.status();
    if (!output.ok()) break;
    if (output->batch != nullptr) AppendCells(*output->batch, &rows);
  }
  return rows;
}

std::vector<CellRow> End(OverOperator* over) {
  over->AdvanceTo(kEventTimeMax);
  return DrainOf(over);
}

void SealAndWriteAll(OverOperator* over) {
  ASSERT_TRUE(over->Seal().ok());
  while (over->WriteSealed(2).ValueOrDie()) {
  }
}

TestRow Reading(int64_t time, const std::string& device, double x) {
  TestRow row = Row(time, device);
  row.x = x;
  return row;
}

// Only what is asked for.
OverQuery Query(std::vector<OverCall> calls) {
  OverQuery query;
  query.carried = {kTime};
  query.calls = std::move(calls);
  return query;
}

// ---- By hand -----------------------------------------------------------------------------------

TEST(OverOperator, RowsWaitForTheWatermarkAndComeInOrder) {
  const OverQuery query = Query({Plain(OverFunction::kRowNumber), Plain(OverFunction::kLag, kX, 1),
                                 Of(Aggregate(F::kSum, kX, Type::kDouble), RowsFrame(-1, 0))});
  const auto over = query.Make();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(30, "a", 3), Reading(10, "a", 1), Reading(20, "b", 5)});
  EXPECT_FALSE(over->HasOutput());
  over->AdvanceTo(At(10));
  EXPECT_FALSE(over->HasOutput());
  over->AdvanceTo(At(21));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(10), int64_t(1), {}, 1.0},
                                                       {int64_t(20), int64_t(1), {}, 5.0}}));
  EXPECT_EQ(over->OutputWatermark(), At(21));
  AddAll(over.get(), query, std::vector<TestRow>{Reading(25, "a", 2), Reading(20, "a", 9)});
  EXPECT_EQ(over->stats().rows_too_late, 1);
  EXPECT_EQ(End(over.get()), (std::vector<CellRow>{{int64_t(25), int64_t(2), 1.0, 3.0},
                                                   {int64_t(30), int64_t(3), 2.0, 5.0}}));
  EXPECT_EQ(over->stats().rows_open(), 0);
  // Of a partition with rows at the end nothing is kept; the other one had none.
  EXPECT_EQ(over->stats().keys, 1);
}

// Rows of one time are peers: RANGE ends with the last of them, and they have one rank.
TEST(OverOperator, PeersStandTogether) {
  const OverQuery query = Query({Plain(OverFunction::kRank), Plain(OverFunction::kDenseRank),
                                 Of(Aggregate(F::kSum, kX, Type::kDouble), Default()),
                                 Of(Aggregate(F::kCount, -1, Type::kBigint), RowsFromFirst(0))});
  const auto over = query.Make();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(20, "a", 4), Reading(10, "a", 1), Reading(10, "a", 2),
                              Reading(30, "a", 8)});
  EXPECT_EQ(End(over.get()),
            (std::vector<CellRow>{{int64_t(10), int64_t(1), int64_t(1), 3.0, int64_t(1)},
                                  {int64_t(10), int64_t(1), int64_t(1), 3.0, int64_t(2)},
                                  {int64_t(20), int64_t(3), int64_t(2), 7.0, int64_t(3)},
                                  {int64_t(30), int64_t(4), int64_t(3), 15.0, int64_t(4)}}));
}

// A row that looks ahead waits, and the watermark of what comes out with it.
TEST(OverOperator, LeadHoldsTheWatermarkBack) {
  const OverQuery query = Query({Plain(OverFunction::kLead, kX, 1)});
  const auto over = query.Make();
  AddAll(over.get(), query, std::vector<TestRow>{Reading(10, "a", 1), Reading(15, "b", 2)});
  over->AdvanceTo(At(50));
  EXPECT_TRUE(DrainOf(over.get()).empty());
  EXPECT_EQ(over->OutputWatermark(), At(10));
  EXPECT_EQ(over->stats().rows_open(), 2);
  AddAll(over.get(), query, std::vector<TestRow>{Reading(60, "a", 7)});
  over->AdvanceTo(At(61));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(10), 7.0}}));
  EXPECT_EQ(over->OutputWatermark(), At(15));
  EXPECT_EQ(End(over.get()).size(), 2u);
  EXPECT_EQ(over->OutputWatermark(), kEventTimeMax);
}

TEST(OverOperator, ARangeAheadWaitsForTimeAlone) {
  const OverQuery query = Query({Of(Aggregate(F::kMax, kX, Type::kDouble), RangeFrame(-5, 10))});
  const auto over = query.Make();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(10, "a", 1), Reading(20, "a", 3), Reading(26, "a", 9)});
  over->AdvanceTo(At(20));
  EXPECT_TRUE(DrainOf(over.get()).empty());
  over->AdvanceTo(At(21));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(10), 3.0}}));
  EXPECT_EQ(End(over.get()), (std::vector<CellRow>{{int64_t(20), 9.0}, {int64_t(26), 9.0}}));
}

// Nulls are left out; NaN equals itself, and 0 is -0.
TEST(OverOperator, CountsHowLongAValueIsTheSame) {
  const OverQuery query =
      Query({Plain(OverFunction::kUnchangedRows, kX), Plain(OverFunction::kUnchangedSince, kX)});
  const auto over = query.Make();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<TestRow> rows = {Reading(1, "a", 0.0), Reading(2, "a", -0.0), Row(3, "a"),
                               Reading(4, "a", 0),   Reading(5, "a", nan),  Reading(6, "a", -nan),
                               Reading(7, "a", 1),   Reading(8, "a", 0),    Reading(9, "b", 0)};
  AddAll(over.get(), query, rows);
  EXPECT_EQ(End(over.get()), (std::vector<CellRow>{{int64_t(1), int64_t(1), int64_t(1)},
                                                   {int64_t(2), int64_t(2), int64_t(1)},
                                                   {int64_t(3), {}, {}},
                                                   {int64_t(4), int64_t(3), int64_t(1)},
                                                   {int64_t(5), int64_t(1), int64_t(5)},
                                                   {int64_t(6), int64_t(2), int64_t(5)},
                                                   {int64_t(7), int64_t(1), int64_t(7)},
                                                   {int64_t(8), int64_t(1), int64_t(8)},
                                                   {int64_t(9), int64_t(1), int64_t(9)}}));
}

// That nothing follows is known once the watermark is past the frame.
TEST(OverOperator, IsLastWaitsForTimeAlone) {
  const OverQuery query = Query({Plain(OverFunction::kIsLast, -1, 0, RangeFrame(0, 10))});
  const auto over = query.Make();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(10, "a", 1), Reading(20, "a", 2), Reading(31, "a", 3),
                              Reading(31, "a", 4)});
  over->AdvanceTo(At(20));
  EXPECT_TRUE(DrainOf(over.get()).empty());
  over->AdvanceTo(At(21));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(10), false}}));
  over->AdvanceTo(At(31));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(20), true}}));
  over->AdvanceTo(At(42));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(31), false}, {int64_t(31), true}}));
  EXPECT_EQ(over->stats().keys, 0);
}

// The row that follows says it at once; a row of the same time is none that follows by a time.
TEST(OverOperator, TheNextRowIsWaitedForAndNotItsFrame) {
  const OverQuery query = Query({Plain(OverFunction::kFirstValue, kX, 0, RangeFrame(1, 10)),
                                 Plain(OverFunction::kIsLast, -1, 0, RangeFrame(0, 10))});
  const auto over = query.Make();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(10, "a", 1), Reading(10, "a", 2), Reading(12, "a", 3),
                              Reading(40, "a", 4)});
  over->AdvanceTo(At(11));
  EXPECT_TRUE(DrainOf(over.get()).empty());
  EXPECT_EQ(over->OutputWatermark(), At(10));
  over->AdvanceTo(At(13));
  EXPECT_EQ(DrainOf(over.get()),
            (std::vector<CellRow>{{int64_t(10), 3.0, false}, {int64_t(10), 3.0, false}}));
  EXPECT_EQ(over->OutputWatermark(), At(12));
  over->AdvanceTo(At(22));
  EXPECT_TRUE(DrainOf(over.get()).empty());
  over->AdvanceTo(At(23));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(12), {}, true}}));
  EXPECT_EQ(over->OutputWatermark(), At(23));
  over->AdvanceTo(At(51));
  EXPECT_EQ(DrainOf(over.get()), (std::vector<CellRow>{{int64_t(40), {}, true}}));
  EXPECT_EQ(over->stats().keys, 0);
}

// What a frame no longer reaches is gone, from memory and from the store.
TEST(OverOperator, KeepsWhatFramesReachAndNoMore) {
  MemoryStateStore store;
  const OverQuery range = Query({Of(Aggregate(F::kSum, kX, Type::kDouble), RangeFrame(-100, 0))});
  const auto over = OpenOver(&store, range);
  for (int64_t i = 0; i < 1000; ++i) {
    AddAll(over.get(), range, std::vector<TestRow>{Reading(i * 10, "a", 1)});
    over->AdvanceTo(At(i * 10));
    DrainOf(over.get());
    if (i % 10 == 0) SealAndWriteAll(over.get());
    EXPECT_LE(over->stats().open_panes, 12);
    EXPECT_LE(EntriesOf(&store).size(), 5u);
  }
  over->AdvanceTo(At(20'000));
  DrainOf(over.get());
  EXPECT_EQ(over->stats().keys, 0);
  SealAndWriteAll(over.get());
  EXPECT_EQ(EntriesOf(&store).size(), 1u);

  MemoryStateStore other;
  const OverQuery first = Query({Of(Aggregate(F::kSum, kX, Type::kDouble), Default()),
                                 Plain(OverFunction::kFirstValue, kDevice, 0, Default())});
  const auto running = OpenOver(&other, first);
  for (int64_t i = 0; i < 100; ++i) {
    AddAll(running.get(), first, std::vector<TestRow>{Reading(i, "a", 1)});
    running->AdvanceTo(At(i + 1));
    DrainOf(running.get());
    EXPECT_EQ(running->stats().open_panes, 0);
  }
  SealAndWriteAll(running.get());
  EXPECT_EQ(EntriesOf(&other).size(), 2u);
  EXPECT_EQ(running->stats().keys, 1);
}

// 1e300 leaves nothing behind when it goes.
TEST(OverOperator, NothingIsTakenOffASum) {
  const OverQuery query = Query({Of(Aggregate(F::kSum, kX, Type::kDouble), RowsFrame(-1, 0)),
                                 Of(Aggregate(F::kVarPop, kX, Type::kDouble), RowsFrame(-1, 0))});
  const auto over = query.Make();
  const double inf = std::numeric_limits<double>::infinity();
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(1, "a", 1e300), Reading(2, "a", 0.1), Reading(3, "a", 0.3),
                              Reading(4, "a", inf), Reading(5, "a", 1), Reading(6, "a", 3)});
  const std::vector<CellRow> rows = End(over.get());
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(std::get<double>(rows[2][1]), 0.1 + 0.3);
  EXPECT_NEAR(std::get<double>(rows[2][2]), 0.01, 1e-15);
  EXPECT_EQ(std::get<double>(rows[3][1]), inf);
  EXPECT_EQ(std::get<double>(rows[5][1]), 4.0);
  EXPECT_EQ(std::get<double>(rows[5][2]), 1.0);
}

TEST(OverOperator, StateOfAnotherQueryIsRefused) {
  MemoryStateStore store;
  const OverQuery query = Query({Plain(OverFunction::kLag, kX, 1)});
  const auto over = OpenOver(&store, query);
  AddAll(over.get(), query, std::vector<TestRow>{Reading(1, "a", 1)});
  SealAndWriteAll(over.get());
  const OverQuery other = Query({Plain(OverFunction::kLag, kX, 2)});
  EXPECT_EQ(CodeOf(other.Make()->Open(&store, kTestOperator)), "state_of_another_query");
}

// Told when it is opened, or when a partition is read.
TEST(OverOperator, DamageIsToldAndNotRead) {
  MemoryStateStore store;
  const OverQuery query =
      Query({Plain(OverFunction::kLag, kDevice, 1), Plain(OverFunction::kLastValueIgnoreNulls, kX),
             Of(Aggregate(F::kSum, kX, Type::kDouble), Default())});
  const auto over = OpenOver(&store, query);
  AddAll(over.get(), query,
         std::vector<TestRow>{Reading(1, "a", 1), Reading(5, "a", 2), Reading(50, "b", 3)});
  over->AdvanceTo(At(4));
  DrainOf(over.get());
  SealAndWriteAll(over.get());
  const StateEntries entries = EntriesOf(&store);
  ASSERT_EQ(entries.size(), 5u);
  for (size_t entry = 0; entry < entries.size(); ++entry) {
    for (size_t byte = 0; byte < entries[entry].second.size(); ++byte) {
      StateEntries damaged = entries;
      damaged[entry].second[byte] ^= 0x10;
      const std::string code = CodeOf(query.Make()->Open(StoreOf(damaged).get(), kTestOperator));
      EXPECT_TRUE(code == "state_damaged" || (byte == 0 && code == "state_version")) << code;
    }
    StateEntries missing = entries;
    missing.erase(missing.begin() + int64_t(entry));
    const auto damaged = StoreOf(missing);
    const auto opened = query.Make();
    Status status = opened->Open(damaged.get(), kTestOperator);
    if (status.ok()) {
      opened->AdvanceTo(kEventTimeMax);
      while (status.ok() && opened->HasOutput()) status = opened->NextOutput(100).status();
    }
    // A block of rows that wait is not missed: nobody counts them.
    if (!status.ok()) {
      EXPECT_EQ(CodeOf(status), "state_damaged") << entry;
    }
  }
}

// Though its check is right: what cannot be is told, and what can be is computed on.
TEST(OverOperator, DamageBehindTheCheckIsTakenOverOrTold) {
  MemoryStateStore store;
  OverQuery query = Query(
      {Plain(OverFunction::kLag, kDevice, 2), Plain(OverFunction::kLastValueIgnoreNulls, kDevice),
       Plain(OverFunction::kFirstValue, kX), Plain(OverFunction::kRank),
       Plain(OverFunction::kUnchangedSince, kDevice), Plain(OverFunction::kUnchangedRows, kX),
       Plain(OverFunction::kLastValue, kX, 0, RowsFromFirst(-2)),
       Of(Aggregate(F::kMax, kDevice, Type::kText), Default()),
       Of(Aggregate(F::kSum, kX, Type::kDouble), RowsFrame(-3, 0)),
       Of(Aggregate(F::kAvg, kX, Type::kDouble), RangeFrame(-9, 4))});
  query.keys = {kSmall};
  const auto over = OpenOver(&store, query);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 12; ++i) {
    rows.push_back(Reading(i * 5, "device", double(i)));
    rows.back().small = int32_t(i % 2);
  }
  AddAll(over.get(), query, rows);
  over->AdvanceTo(At(33));
  DrainOf(over.get());
  SealAndWriteAll(over.get());
  const StateEntries entries = EntriesOf(&store);
  std::mt19937_64 random(1);
  int taken = 0, told = 0;
  for (int round = 0; round < 6000; ++round) {
    StateEntries damaged = entries;
    auto& [key, value] = damaged[1 + random() % (damaged.size() - 1)];
    const std::string inside = Damaged(value.substr(1, value.size() - 5), &random);
    BeginValue(&value);
    value += inside;
    EndValue(key, &value);
    const auto damaged_store = StoreOf(damaged);
    const auto opened = query.Make();
    Status status = opened->Open(damaged_store.get(), kTestOperator);
    if (status.ok()) {
      AddAll(opened.get(), query, std::span(rows).subspan(7));
      opened->AdvanceTo(At(60));
      for (int i = 0; i < 100 && status.ok() && opened->HasOutput(); ++i) {
        status = opened->NextOutput(7).status();
      }
      if (status.ok()) status = opened->Seal();
      opened->AdvanceTo(kEventTimeMax);
      for (int i = 0; i < 100 && status.ok() && opened->HasOutput(); ++i) {
        status = opened->NextOutput(7).status();
      }
    }
    (status.ok() ? taken : told) += 1;
    if (!status.ok() && CodeOf(status) != "sealed_early") {
      ASSERT_EQ(CodeOf(status), "state_damaged") << status;
    }
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(told, 1000);
}

// ---- Any life ----------------------------------------------------------------------------------

// Less than, as rows of one time stand.
bool IsEarlier(const TestRow& left, const TestRow& right) {
  if (left.time != right.time) return left.time < right.time;
  const auto compare = [](const auto& a, const auto& b) {
    if (!a || !b) return int(!a) - int(!b);
    return *a < *b ? -1 : *b < *a ? 1 : 0;
  };
  const auto compare_doubles = [&](const auto& a, const auto& b) {
    if (!a || !b) return int(!a) - int(!b);
    const bool a_nan = std::isnan(*a), b_nan = std::isnan(*b);
    if (a_nan || b_nan) return int(a_nan) - int(b_nan);
    if (*a == *b) return int(std::signbit(*b)) - int(std::signbit(*a));
    return *a < *b ? -1 : 1;
  };
  for (const int order : {compare_doubles(left.x, right.x), compare(left.small, right.small),
                          compare(left.big, right.big), compare(left.flag, right.flag),
                          compare(left.seen_at, right.seen_at)}) {
    if (order != 0) return order < 0;
  }
  return false;
}

std::vector<OverCall> EveryCall(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto frame = [&]() -> OverFrame {
    const auto length = int64_t(random() % 12);
    switch (random() % 7) {
      case 0:
        return Default();
      case 1:
        return RowsFromFirst(-length / 3);
      case 2:
        return RangeFrame(-length * 5, 0);
      case 3:
        return RowsFrame(-length - 1, -1);
      case 4:
        return seed % 3 == 0 ? RowsFrame(-length, int64_t(random() % 4)) : RowsFrame(-length, 0);
      case 5:
        return seed % 3 == 1 ? RangeFrame(-length * 4, int64_t(random() % 20))
                             : RangeFrame(-40, -10);
      default:
        return RowsFrame(-length, 0);
    }
  };
  std::vector<OverCall> calls = {
      Plain(OverFunction::kRowNumber),
      Plain(OverFunction::kRank),
      Plain(OverFunction::kDenseRank),
      Plain(OverFunction::kLag, kX, int64_t(random() % 5)),
      Plain(OverFunction::kLag, kBig, 3, Default(), kBig),
      Plain(OverFunction::kFirstValue, kX, 0, frame()),
      Plain(OverFunction::kFirstValue, kDevice, 0, frame()),
      Plain(OverFunction::kLastValue, kSmall, 0, frame()),
      Plain(OverFunction::kLastValue, kFlag, 0, frame()),
      Plain(OverFunction::kNthValue, kBig, int64_t(1 + random() % 4), frame()),
      Plain(OverFunction::kLastValueIgnoreNulls, kX, 0, frame()),
      Plain(OverFunction::kLastValueIgnoreNulls, kDevice, 0, frame()),
      Plain(OverFunction::kUnchangedRows, kSmall),
      Plain(OverFunction::kUnchangedSince, kSmall),
      Plain(OverFunction::kUnchangedRows, kX),
      Plain(OverFunction::kUnchangedSince, kDevice),
      Plain(OverFunction::kIsLast, -1, 0, frame()),
      Of(Aggregate(F::kCount, -1, Type::kBigint), frame()),
      Of(Aggregate(F::kCount, kX, Type::kBigint, kFlag), frame()),
      Of(Aggregate(F::kSum, kX, Type::kDouble), frame()),
      Of(Aggregate(F::kAvg, kBig, Type::kDouble), frame()),
      Of(Aggregate(F::kSum, kSmall, Type::kBigint), frame()),
      Of(Aggregate(F::kStddevSamp, kX, Type::kDouble), frame()),
      Of(Aggregate(F::kMin, kX, Type::kDouble), frame()),
      Of(Aggregate(F::kMax, kDevice, Type::kText, kFlag), frame()),
      Of(Aggregate(F::kMin, kSeenAt, Type::kTimestamp), frame()),
      Of(Aggregate(F::kRange, kX, Type::kDouble), frame()),
      Of(Aggregate(F::kBoolAnd, kFlag, Type::kBoolean), frame()),
      Of(Beside(F::kLast, kSmall, kTime, Type::kInteger), frame()),
      Of(Beside(F::kFirst, kDevice, kX, Type::kText), frame()),
      Of(Beside(F::kCovarSamp, kX, kX, Type::kDouble), frame())};
  for (const AggregateSpec& spec :
       {Percentile(kX, 0.9), Percentile(kX, 0.5, kFlag), Percentile(kX, 0.25)}) {
    OverFrame bounded = frame();
    while (bounded.from_first) bounded = frame();
    calls.push_back(Of(spec, bounded));
  }
  AggregateSpec discrete = Percentile(kBig, 0.3);
  discrete.function = F::kPercentileDisc;
  discrete.result = Type::kBigint;
  calls.push_back(Of(discrete, RowsFrame(-5, 0)));
  if (seed % 3 == 0) calls.push_back(Plain(OverFunction::kLead, kX, int64_t(1 + random() % 3)));
  // Some queries have few, so that more can be forgotten.
  if (seed % 4 == 1) {
    std::ranges::shuffle(calls, random);
    calls.resize(3);
  }
  return calls;
}

// As PostgreSQL compares.
bool IsSameValue(const Cell& left, const Cell& right) {
  const auto* a = std::get_if<double>(&left);
  const auto* b = std::get_if<double>(&right);
  if (a == nullptr || b == nullptr) return left == right;
  return *a == *b || (std::isnan(*a) && std::isnan(*b));
}

// Sorts, and computes each call over its frame from nothing.
std::vector<CellRow> Expected(std::vector<TestRow> rows, const OverQuery& query) {
  std::ranges::sort(rows, [](const TestRow& left, const TestRow& right) {
    if (left.device != right.device) return left.device < right.device;
    return IsEarlier(left, right);
  });
  const auto batch = ToBatch(rows);
  std::vector<CellRow> expected;
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    while (end < rows.size() && rows[end].device == rows[begin].device) ++end;
    for (size_t row = begin; row < end; ++row) {
      CellRow& cells = expected.emplace_back();
      for (const int column : query.carried) {
        cells.push_back(CellAt(*batch->column(column), int64_t(row)));
      }
      const auto cell = [&](int column, int64_t at) { return CellAt(*batch->column(column), at); };
      for (const OverCall& call : query.calls) {
        const OverFrame& frame = call.frame;
        int64_t lo = int64_t(begin), hi = int64_t(begin);
        if (frame.is_range) {
          const auto before = [&](int64_t at, int64_t time) {
            return rows[size_t(at)].time < time;
          };
          while (!frame.from_first && lo < int64_t(end) && before(lo, rows[row].time + frame.first))
            ++lo;
          while (hi < int64_t(end) && before(hi, rows[row].time + frame.last + 1)) ++hi;
        } else {
          if (!frame.from_first) lo = std::max(lo, int64_t(row) + frame.first);
          hi = std::clamp(int64_t(row) + frame.last + 1, int64_t(begin), int64_t(end));
        }
        hi = std::max(hi, lo);
        const auto peer = [&](size_t at) { return rows[at].time == rows[row].time; };
        switch (call.function) {
          case OverFunction::kRowNumber:
            cells.emplace_back(int64_t(row - begin) + 1);
            break;
          case OverFunction::kRank: {
            size_t first = row;
            while (first > begin && peer(first - 1)) --first;
            cells.emplace_back(int64_t(first - begin) + 1);
            break;
          }
          case OverFunction::kDenseRank: {
            int64_t rank = 1;
            for (size_t at = begin + 1; at <= row; ++at) {
              rank += rows[at].time != rows[at - 1].time;
            }
            cells.emplace_back(rank);
            break;
          }
          case OverFunction::kLag:
          case OverFunction::kLead: {
            const int64_t at =
                int64_t(row) + (call.function == OverFunction::kLag ? -call.rows : call.rows);
            if (at >= int64_t(begin) && at < int64_t(end)) {
              cells.push_back(cell(call.argument, at));
            } else {
              cells.push_back(call.otherwise < 0 ? Cell() : cell(call.otherwise, int64_t(row)));
            }
            break;
          }
          case OverFunction::kFirstValue:
            cells.push_back(lo < hi ? cell(call.argument, lo) : Cell());
            break;
          case OverFunction::kLastValue:
            cells.push_back(lo < hi ? cell(call.argument, hi - 1) : Cell());
            break;
          case OverFunction::kNthValue:
            cells.push_back(lo + call.rows - 1 < hi ? cell(call.argument, lo + call.rows - 1)
                                                    : Cell());
            break;
          case OverFunction::kLastValueIgnoreNulls: {
            Cell last;
            for (int64_t at = lo; at < hi; ++at) {
              if (!std::holds_alternative<std::monostate>(cell(call.argument, at))) {
                last = cell(call.argument, at);
              }
            }
            cells.push_back(last);
            break;
          }
          case OverFunction::kIsLast:
            cells.emplace_back(hi == int64_t(row) + 1);
            break;
          case OverFunction::kUnchangedRows:
          case OverFunction::kUnchangedSince: {
            const Cell value = cell(call.argument, int64_t(row));
            if (std::holds_alternative<std::monostate>(value)) {
              cells.emplace_back();
              break;
            }
            int64_t count = 0, since = 0;
            for (auto at = int64_t(row); at >= int64_t(begin); --at) {
              const Cell other = cell(call.argument, at);
              if (std::holds_alternative<std::monostate>(other)) continue;
              if (!IsSameValue(other, value)) break;
              ++count;
              since = rows[size_t(at)].time;
            }
            cells.emplace_back(call.function == OverFunction::kUnchangedRows ? count : since);
            break;
          }
          case OverFunction::kAggregate: {
            TestQuery one;
            one.size = one.slide = Micros(1'000'000);
            one.offset = Micros(-500'000);
            one.aggregates = {call.aggregate};
            const auto window = one.Make();
            AddRows(window.get(), one, std::span(rows).subspan(size_t(lo), size_t(hi - lo)));
            const std::vector<CellRow> result = Close(window.get());
            if (!result.empty()) {
              cells.push_back(result[0][2]);
            } else {
              cells.push_back(call.aggregate.function == F::kCount ? Cell(int64_t(0)) : Cell());
            }
            break;
          }
        }
      }
    }
    begin = end;
  }
  return expected;
}

void ExpectRows(std::vector<CellRow> found, std::vector<CellRow> expected) {
  ASSERT_EQ(found.size(), expected.size());
  // Per partition they come in order; NaN, which is not less than anything, is put aside.
  const auto key = [](const CellRow& row) {
    std::string text;
    for (size_t i = 0; i < 2; ++i) {
      if (const auto* time = std::get_if<int64_t>(&row[i])) text += std::to_string(*time + 10'000);
      if (const auto* device = std::get_if<std::string>(&row[i])) text += *device;
      text += '|';
    }
    return text;
  };
  std::ranges::stable_sort(found, {}, key);
  std::ranges::stable_sort(expected, {}, key);
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (size_t j = 0; j < found[i].size(); ++j) {
      ASSERT_TRUE(IsSameCell(found[i][j], expected[i][j]))
          << "row " << i << " at " << std::get<int64_t>(found[i][0]) << ", column " << j;
    }
  }
}

TEST(OverOperator, AnyLifeGivesWhatSortedRowsGive) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    OverQuery query;
    query.calls = EveryCall(seed);
    std::mt19937_64 random(seed);
    std::vector<TestRow> rows = RisingRows(400, seed, 4);
    for (TestRow& row : rows) {
      if (random() % 4 == 0) row.time -= row.time % 10;  // peers
    }
    OperatorLife::Input input;
    input.keys = query.keys;
    input.rows = rows.size();
    input.batch = [&](size_t first, size_t count) {
      return ToBatch(std::span(rows).subspan(first, count));
    };
    input.watermark = [](size_t position) { return At(int64_t(position) - 310); };
    input.make = [&] { return query.Make(); };
    ExpectRows(OperatorLife(input, seed).Run(), Expected(rows, query));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace millrace
