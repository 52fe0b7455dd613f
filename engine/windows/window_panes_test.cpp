// Panes that one aggregate gives out and another puts together: the same windows as from readings.
#include <random>

#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

// Every aggregate whose accumulators have a fixed size.
std::vector<AggregateSpec> FixedAggregates() {
  std::vector<AggregateSpec> fixed;
  for (const AggregateSpec& one : StateAggregates()) {
    if (HasFixedState(one)) fixed.push_back(one);
  }
  return fixed;
}

// Gives out what is due: panes to `taker`, where there is one, and rows to `found`.
void Give(WindowAggregate* aggregate, int64_t rows_max, WindowAggregate* taker,
          std::vector<CellRow>* found) {
  while (aggregate->HasOutput()) {
    const WindowOutput output = aggregate->NextOutput(rows_max).ValueOrDie();
    ASSERT_NE(output.batch, nullptr);
    if (output.audience != RowAudience::kPanes) {
      AppendCells(*output.batch, found);
      continue;
    }
    ASSERT_NE(taker, nullptr);
    const auto& hashes = static_cast<const arrow::UInt64Array&>(*output.batch->column(2));
    std::vector<uint32_t> selection(size_t(output.batch->num_rows()));
    std::iota(selection.begin(), selection.end(), 0u);
    const Status status =
        taker->AddPanes(*output.batch, {hashes.raw_values(), size_t(hashes.length())}, selection);
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST(WindowPanes, AreGivenOutOnceAtTheirEnd) {
  TestQuery query{Micros(40),
                  Micros(20),
                  Micros(0),
                  {kDevice},
                  {Aggregate(AggregateFunction::kCount, -1, Type::kBigint)}};
  query.gives_panes = true;
  TestQuery hours = query;
  hours.size = hours.slide = Micros(100);
  hours.gives_panes = false;
  const auto aggregate = query.Make();
  const auto taker = hours.Make();
  std::vector<CellRow> found, sums;
  Add(aggregate.get(), query, {Row(0, "a"), Row(5, "b"), Row(19, "a"), Row(20, "a"), Row(99, "a")});
  aggregate->AdvanceTo(At(19));
  EXPECT_FALSE(aggregate->HasOutput());
  aggregate->AdvanceTo(At(20));
  Give(aggregate.get(), 1, taker.get(), &found);
  EXPECT_EQ(aggregate->stats().rows_handed_on, 3);
  EXPECT_EQ(taker->stats().rows_added, 3);
  // [-20, 20) has been given out, too; the pane stays for [0, 40).
  EXPECT_EQ(found, (std::vector<CellRow>{Count(-20, 20, "a", 2), Count(-20, 20, "b", 1)}));
  // What was late there comes here by itself.
  Add(taker.get(), hours, {Row(1, "b"), Row(2, "c")});
  aggregate->AdvanceTo(At(100));
  Give(aggregate.get(), 1, taker.get(), &found);
  EXPECT_EQ(aggregate->stats().rows_handed_on, 5);
  taker->AdvanceTo(At(100));
  Give(taker.get(), 10, nullptr, &sums);
  EXPECT_EQ(sums, (std::vector<CellRow>{Count(0, 100, "a", 4), Count(0, 100, "b", 2),
                                        Count(0, 100, "c", 1)}));
  EXPECT_EQ(taker->stats().rows_counted, 7);
}

TEST(WindowPanes, OfOtherAggregatesAreRefused) {
  TestQuery query{Micros(40),
                  Micros(40),
                  Micros(0),
                  {kDevice},
                  {Aggregate(AggregateFunction::kCount, -1, Type::kBigint)}};
  query.gives_panes = true;
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(0, "a")});
  aggregate->AdvanceTo(At(40));
  const auto panes = aggregate->NextOutput(10).ValueOrDie().batch;
  TestQuery sums = query;
  sums.aggregates = {Aggregate(AggregateFunction::kSum, kX, Type::kDouble)};
  const std::vector<uint64_t> hashes = {1};
  const std::vector<uint32_t> selection = {0};
  EXPECT_EQ(CodeOf(sums.Make()->AddPanes(*panes, hashes, selection)), "bad_window");
  TestQuery sessions = query;
  sessions.gap = Micros(5);
  EXPECT_EQ(CodeOf(sessions.Make()->AddPanes(*panes, hashes, selection)), "bad_window");
}

// Through three levels, checkpoints, evictions and restarts of each: what each gives out is what
// one gives out that has every reading.
TEST(WindowPanes, GiveTheWindowsThatReadingsGive) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const bool hops = seed % 2 == 0;
    std::vector<TestQuery> queries;
    for (const auto& [size, slide] : std::vector<std::pair<int64_t, int64_t>>{
             {hops ? 60 : 20, 20}, {100, hops ? 100 : 40}, {400, 200}}) {
      TestQuery query{Micros(size), Micros(slide), Micros(7), {kDevice, kSmall}, FixedAggregates()};
      query.gives_panes = queries.size() < 2;
      queries.push_back(query);
    }
    const std::vector<TestRow> rows = RisingRows(3000, seed, 12);
    std::vector<std::unique_ptr<MemoryStateStore>> stores;
    std::vector<std::unique_ptr<WindowAggregate>> chain, alone;
    std::vector<std::vector<CellRow>> found(3), expected(3);
    for (TestQuery& query : queries) {
      stores.push_back(std::make_unique<MemoryStateStore>());
      chain.push_back(OpenOver(stores.back().get(), query));
      TestQuery direct = query;
      direct.gives_panes = false;
      alone.push_back(direct.Make());
    }
    const auto advance = [&](EventTime watermark) {
      for (size_t i = 0; i < 3; ++i) {
        chain[i]->AdvanceTo(watermark);
        Give(chain[i].get(), int64_t(1 + random() % 9), i < 2 ? chain[i + 1].get() : nullptr,
             &found[i]);
        alone[i]->AdvanceTo(watermark);
        for (const CellRow& row : Drain(alone[i].get())) expected[i].push_back(row);
      }
    };
    for (size_t at = 0; at < rows.size();) {
      const size_t count = std::min<size_t>(1 + random() % 60, rows.size() - at);
      const auto some = std::span(rows).subspan(at, count);
      at += count;
      AddRows(chain[0].get(), queries[0], some);
      for (size_t i = 0; i < 3; ++i) AddRows(alone[i].get(), queries[i], some);
      advance(At(rows[at - 1].time - 30));
      const size_t one = random() % 3;
      switch (random() % 5) {
        case 0:
          ASSERT_TRUE(chain[one]->Evict().ok());
          break;
        case 1:
          SealAndWrite(chain[one].get());
          break;
        case 2:
          SealAndWrite(chain[one].get());
          chain[one] = OpenOver(stores[one].get(), queries[one]);
          break;
        default:
          break;
      }
    }
    advance(kEventTimeMax);
    for (size_t i = 0; i < 3; ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(chain[i]->stats().rows_too_late, 0);
      ExpectSameRows(found[i], expected[i], queries[i]);
    }
  }
}

}  // namespace
}  // namespace millrace
