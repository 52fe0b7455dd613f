// What is written to the store and when, and what is made of it.
#include <random>

#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

TestQuery CountQuery(int64_t size, int64_t slide) {
  return {
      Micros(size), Micros(slide), Micros(0), {kDevice}, {Aggregate(F::kCount, -1, Type::kBigint)}};
}

// What a task that starts from `state` gives out at the end.
std::vector<CellRow> CloseFrom(const std::string& state, const TestQuery& query) {
  MemoryStateStore store;
  EXPECT_TRUE(store.Restore(state).ok());
  return Close(OpenOver(&store, query).get());
}

TEST(WindowState, KeysAreOperatorTimeKeyGroupKeyChunkPart) {
  const TestQuery query{
      Micros(60), Micros(20), Micros(0), {kDevice, kSmall}, {Percentile(kX, 0.5)}};
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  TestRow row = Row(25, "ab");  // pane [20, 40)
  row.x = 1;
  const auto batch = ToBatch(std::span(&row, 1));
  const std::vector<uint64_t> hashes = {720 * 5 + 300};
  const std::vector<uint32_t> selection = {0};
  ASSERT_TRUE(aggregate->Add(*batch, hashes, selection).ok());
  SealAndWrite(aggregate.get());
  std::vector<std::string> keys;
  for (const auto& [key, value] : EntriesOf(&store)) keys.push_back(key);
  const std::string prefix(
      "\x00\x07"                          // operator
      "\x80\x00\x00\x00\x00\x00\x00\x27"  // 39, the pane's last microsecond
      "\x01\x2c"                          // key group 300
      "\x01\x02\x00\x00\x00"
      "ab"
      "\x00",
      20);
  const std::string first = prefix + std::string(8, '\0');
  const std::string values = prefix + std::string("\0\0\0\0\0\0\0\x01", 8);
  EXPECT_EQ(keys, (std::vector<std::string>{std::string("\x00\x07", 2), first, values}));
  EXPECT_EQ(aggregate->stats().sealed_entries, 1);
}

TEST(WindowState, WhatIsTouchedWhileSealedIsOfTheEpochAsItWas) {
  const TestQuery query = CountQuery(60, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(5, "a"), Row(5, "b"), Row(25, "a"), Row(25, "c")});
  ASSERT_TRUE(aggregate->Seal().ok());
  EXPECT_TRUE(aggregate->sealed());
  EXPECT_TRUE(aggregate->WriteSealed(2).ValueOrDie());  // of the later pane
  Add(aggregate.get(), query, {Row(6, "a"), Row(6, "b"), Row(26, "a"), Row(26, "d"), Row(45, "a")});
  WriteAll(aggregate.get());
  EXPECT_FALSE(aggregate->sealed());
  EXPECT_EQ(aggregate->stats().sealed_entries, 4);
  EXPECT_EQ(CloseFrom(store.Serialise(), query).size(), 3u * 3 + 1);
  for (const CellRow& row : CloseFrom(store.Serialise(), query)) {
    EXPECT_EQ(row[3],
              row[2] == Cell("a") && row[1] != Cell(int64_t(20)) && row[1] != Cell(int64_t(80))
                  ? Cell(int64_t(2))
                  : Cell(int64_t(1)));
  }
  // The next epoch has what was touched, and no more.
  SealAndWrite(aggregate.get());
  EXPECT_EQ(aggregate->stats().sealed_entries, 5);
  SealAndWrite(aggregate.get());
  EXPECT_EQ(aggregate->stats().sealed_entries, 0);
  ExpectSameRows(CloseFrom(store.Serialise(), query), Close(aggregate.get()), query);
}

TEST(WindowState, WhatIsFreedWhileSealedIsOfTheEpochAndGoneWithTheNext) {
  const TestQuery query = CountQuery(20, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(5, "a"), Row(6, "b"), Row(25, "a")});
  ASSERT_TRUE(aggregate->Seal().ok());
  aggregate->AdvanceTo(At(20));
  EXPECT_EQ(Drain(aggregate.get()).size(), 2u);
  EXPECT_EQ(aggregate->stats().rows_counted, 2);
  EXPECT_EQ(aggregate->stats().rows_open(), 1);
  WriteAll(aggregate.get());
  EXPECT_EQ(aggregate->stats().open_panes, 1);
  const std::vector<CellRow> all = {Count(0, 20, "a", 1), Count(0, 20, "b", 1),
                                    Count(20, 40, "a", 1)};
  ExpectSameRows(CloseFrom(store.Serialise(), query), all, query);

  ASSERT_TRUE(aggregate->Seal().ok());
  EXPECT_EQ(store.size(), 4u);  // nothing is deleted before it is written
  WriteAll(aggregate.get());
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ(CloseFrom(store.Serialise(), query), (std::vector<CellRow>{all[2]}));
}

TEST(WindowState, APaneThatLivesShorterThanACheckpointIsNeverWritten) {
  const TestQuery query = CountQuery(20, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  for (int64_t round = 0; round < 5; ++round) {
    SealAndWrite(aggregate.get());
    EXPECT_EQ(aggregate->stats().sealed_entries, 0);
    EXPECT_EQ(store.size(), 1u);
    for (int64_t pane = 0; pane < 3; ++pane) {
      const int64_t time = (round * 3 + pane) * 20;
      Add(aggregate.get(), query, {Row(time, "a"), Row(time + 19, "b")});
      aggregate->AdvanceTo(At(time + 20));
      EXPECT_EQ(Drain(aggregate.get()).size(), 2u);
    }
  }
}

TEST(WindowState, RowsOpenAreRightAfterEvictingAndRestoring) {
  const TestQuery query = CountQuery(60, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(5, "a"), Row(6, "a"), Row(25, "a")});
  ASSERT_TRUE(aggregate->Evict().ok());
  Add(aggregate.get(), query, {Row(7, "a"), Row(26, "b")});
  SealAndWrite(aggregate.get());
  MemoryStateStore copy;
  ASSERT_TRUE(copy.Restore(store.Serialise()).ok());
  const auto restored = OpenOver(&copy, query);
  for (WindowAggregate* one : {aggregate.get(), restored.get()}) {
    EXPECT_EQ(one->stats().rows_open(), 5);
    one->AdvanceTo(At(59));
    Drain(one);
    EXPECT_EQ(one->stats().rows_open(), 5);
    one->AdvanceTo(At(60));  // the last window of the first pane
    Drain(one);
    EXPECT_EQ(one->stats().rows_open(), 2);
    Add(one, query, {Row(19, "a"), Row(20, "a")});
    EXPECT_EQ(one->stats().rows_too_late, 1);
    Close(one);
    EXPECT_EQ(one->stats().rows_open(), 0);
  }
}

TEST(WindowState, NothingIsKeptWithoutAStore) {
  const TestQuery query = CountQuery(60, 20);
  const auto aggregate = query.Make();
  Add(aggregate.get(), query, {Row(5, "a")});
  EXPECT_TRUE(aggregate->Seal().ok());
  EXPECT_FALSE(aggregate->sealed());
  EXPECT_FALSE(aggregate->WriteSealed(1).ValueOrDie());
  EXPECT_EQ(CodeOf(aggregate->Evict()), "no_state_store");
}

TEST(WindowState, CallsOutOfOrderAreRefused) {
  const TestQuery query = CountQuery(20, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  EXPECT_EQ(CodeOf(aggregate->Open(&store, kTestOperator)), "not_fresh");
  Add(aggregate.get(), query, {Row(5, "a")});
  ASSERT_TRUE(aggregate->Seal().ok());
  EXPECT_EQ(CodeOf(aggregate->Seal()), "sealed_twice");
  EXPECT_EQ(CodeOf(aggregate->Evict()), "evicted_early");
  WriteAll(aggregate.get());
  aggregate->AdvanceTo(At(20));
  EXPECT_EQ(CodeOf(aggregate->Seal()), "sealed_early");
  EXPECT_EQ(CodeOf(aggregate->Evict()), "evicted_early");
  const auto used = query.Make();
  Add(used.get(), query, {Row(5, "a")});
  EXPECT_EQ(CodeOf(used->Open(&store, kTestOperator)), "not_fresh");
}

TEST(WindowState, AFailedWriteIsTold) {
  const TestQuery query = CountQuery(20, 20);
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  Add(aggregate.get(), query, {Row(5, "a")});
  ASSERT_TRUE(aggregate->Seal().ok());
  store.FailWith(ExternalError("disk_full", "no space", Retry::kYes));
  EXPECT_EQ(CodeOf(aggregate->WriteSealed(10).status()), "disk_full");
  EXPECT_TRUE(aggregate->sealed());
}

// ---- State that is not what it should be -------------------------------------------------------

TEST(WindowState, StateOfAnotherQueryIsRefused) {
  const TestQuery query = StateQuery();
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  AddRows(aggregate.get(), query, RisingRows(10, 1));
  SealAndWrite(aggregate.get());
  TestQuery other = query;
  other.slide = Micros(50);
  EXPECT_EQ(CodeOf(other.Make()->Open(&store, kTestOperator)), "state_of_another_query");
  other = query;
  other.keys = {kDevice, kBig};
  EXPECT_EQ(CodeOf(other.Make()->Open(&store, kTestOperator)), "state_of_another_query");
  other = query;
  other.aggregates.push_back(CountDistinct(kSmall));
  EXPECT_EQ(CodeOf(other.Make()->Open(&store, kTestOperator)), "state_of_another_query");
  EXPECT_EQ(CodeOf(query.Make()->Open(&store, kTestOperator + 1)), "OK");
}

class Damage : public testing::Test {
 protected:
  // Three chunks, parts of values, several panes.
  Damage() {
    MemoryStateStore store;
    const auto aggregate = OpenOver(&store, query_);
    const auto rows = RisingRows(24, 5, 2);
    for (size_t begin = 0; begin < rows.size(); begin += 8) {
      AddRows(aggregate.get(), query_, std::span(rows).subspan(begin, 4));
      SealAndWrite(aggregate.get());
      AddRows(aggregate.get(), query_, std::span(rows).subspan(begin + 4, 4));
      if (begin + 8 < rows.size()) {
        EXPECT_TRUE(aggregate->Evict().ok());
      }
    }
    SealAndWrite(aggregate.get());
    entries_ = EntriesOf(&store);
  }

  // With what reading everything fails.
  std::string Read(const StateEntries& entries) const {
    const auto store = StoreOf(entries);
    const auto aggregate = query_.Make();
    const Status opened = aggregate->Open(store.get(), kTestOperator);
    if (!opened.ok()) return CodeOf(opened);
    aggregate->AdvanceTo(kEventTimeMax);
    while (aggregate->HasOutput()) {
      const auto batch = aggregate->NextOutput(3);
      if (!batch.ok()) return CodeOf(batch.status());
    }
    return "OK";
  }
  std::string ReadWith(size_t index, std::string key, std::string value) const {
    StateEntries entries = entries_;
    entries[index] = {std::move(key), std::move(value)};
    return Read(entries);
  }

  const TestQuery query_{Micros(100), Micros(100), Micros(0), {kDevice, kSmall}, StateAggregates()};
  StateEntries entries_;
};

TEST_F(Damage, OfAnyValueIsTold) {
  ASSERT_EQ(Read(entries_), "OK");
  ASSERT_GT(entries_.size(), 20u);
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto& [key, value] = entries_[i];
    for (size_t size = 0; size < value.size(); ++size) {
      ASSERT_EQ(ReadWith(i, key, value.substr(0, size)), "state_damaged");
    }
    ASSERT_EQ(ReadWith(i, key, value + "x"), "state_damaged");
    for (size_t at = 0; at < value.size(); ++at) {
      std::string changed = value;
      changed[at] = char(changed[at] ^ (1 << (at + i) % 8));
      ASSERT_EQ(ReadWith(i, key, changed), at == 0 ? "state_version" : "state_damaged");
    }
  }
}

// The two bytes of the operator apart: it is then another's entry.
TEST_F(Damage, OfAnyKeyIsTold) {
  for (size_t i = 1; i < entries_.size(); ++i) {
    const auto& [key, value] = entries_[i];
    for (size_t size = 3; size < key.size(); ++size) {
      ASSERT_EQ(ReadWith(i, key.substr(0, size), value), "state_damaged");
    }
    ASSERT_EQ(ReadWith(i, key + '\0', value), "state_damaged");
    for (size_t at = 2; at < key.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = key;
        changed[at] = char(changed[at] ^ (1 << bit));
        ASSERT_EQ(ReadWith(i, changed, value), "state_damaged") << "entry " << i << " byte " << at;
      }
    }
  }
  EXPECT_EQ(ReadWith(0, std::string("\x00\x07\x01", 3), entries_[0].second), "state_damaged");
}

TEST_F(Damage, OfAMissingPartOrHeaderIsTold) {
  int parts = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    StateEntries entries = entries_;
    entries.erase(entries.begin() + int64_t(i));
    const std::string& key = entries_[i].first;
    const bool is_part = i > 0 && key.back() != '\0';
    parts += is_part;
    if (i == 0 || is_part) {
      EXPECT_EQ(Read(entries), "state_damaged");
    }
  }
  EXPECT_GT(parts, 5);
}

// Whatever the bytes are, with a check that fits them.
TEST_F(Damage, OfValuesWhoseCheckFitsNeverCrashes) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 4000; ++round) {
    const size_t i = 1 + random() % (entries_.size() - 1);
    const auto& [key, value] = entries_[i];
    std::string changed = value.substr(0, value.size() - 4);
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      changed[1 + random() % (changed.size() - 1)] = char(random());
    }
    if (random() % 4 == 0) changed.resize(1 + random() % changed.size());
    EndValue(key, &changed);
    const std::string code = ReadWith(i, key, changed);
    ASSERT_TRUE(code == "OK" || code == "state_damaged") << code;
  }
}

// ---- Another parallelism -----------------------------------------------------------------------

class Rescaled : public testing::Test {
 protected:
  struct TaskState {
    std::unique_ptr<MemoryStateStore> store;
    std::unique_ptr<WindowAggregate> aggregate;
  };
  using Tasks = std::vector<TaskState>;

  Tasks Start(size_t count) const {
    Tasks tasks(count);
    for (TaskState& task : tasks) {
      task.store = std::make_unique<MemoryStateStore>();
      task.aggregate = OpenOver(task.store.get(), query_);
    }
    return tasks;
  }

  void Add(Tasks* tasks, std::span<const TestRow> rows) const {
    const auto batch = ToBatch(rows);
    std::vector<uint64_t> hashes;
    ASSERT_TRUE(HashKeys(*batch, query_.keys, &hashes).ok());
    std::vector<std::vector<uint32_t>> selections(tasks->size());
    for (uint32_t i = 0; i < rows.size(); ++i) {
      const TaskIndex task = TaskOf(KeyGroupOf(hashes[i]), int32_t(tasks->size()));
      selections[size_t(task.value())].push_back(i);
    }
    for (size_t i = 0; i < tasks->size(); ++i) {
      ASSERT_TRUE((*tasks)[i].aggregate->Add(*batch, hashes, selections[i]).ok());
      (*tasks)[i].aggregate->AdvanceTo(At(rows.front().time - 60));
    }
  }

  void Give(Tasks* tasks, std::vector<CellRow>* found) const {
    for (TaskState& task : *tasks) {
      for (CellRow& row : Drain(task.aggregate.get(), 50)) found->push_back(std::move(row));
    }
  }

  // From a checkpoint of `from`.
  Tasks Rescale(Tasks* from, size_t count) const {
    std::vector<std::string> headers;
    for (TaskState& task : *from) {
      SealAndWrite(task.aggregate.get());
      headers.push_back(EntriesOf(task.store.get()).front().second);
    }
    Tasks to(count);
    for (size_t i = 0; i < count; ++i) {
      to[i].store = std::make_unique<MemoryStateStore>();
      StateBatch batch;
      batch.Put(StateOperatorKey(kTestOperator), MergeWindowHeaders(headers, i == 0).ValueOrDie());
      EXPECT_TRUE(to[i].store->Write(std::move(batch)).ok());
      const auto first = int32_t(kKeyGroupCount * i / count);
      for (int32_t group = first; group < kKeyGroupCount; ++group) {
        if (TaskOf(KeyGroup(group), int32_t(count)) != TaskIndex(int32_t(i))) continue;
        for (TaskState& task : *from) {
          EXPECT_TRUE(CopyKeyGroups(task.store.get(), to[i].store.get(), kTestOperator,
                                    KeyGroup(group), KeyGroup(group + 1))
                          .ok());
        }
      }
      to[i].aggregate = OpenOver(to[i].store.get(), query_);
    }
    return to;
  }

  const TestQuery query_ = StateQuery();
};

TEST_F(Rescaled, FromThreeToTwoToFiveTasks) {
  const auto rows = RisingRows(900, 17, 60);
  const auto straight = query_.Make();
  AddRows(straight.get(), query_, rows);
  const auto expected = Close(straight.get());

  std::vector<CellRow> found;
  Tasks tasks = Start(3);
  for (size_t begin = 0; begin < rows.size(); begin += 60) {
    if (begin == 300) tasks = Rescale(&tasks, 2);
    if (begin == 600) tasks = Rescale(&tasks, 5);
    Add(&tasks, std::span(rows).subspan(begin, 60));
    Give(&tasks, &found);
    // Chunks of the tasks differ.
    if (begin % 180 == 0) {
      ASSERT_TRUE(tasks.front().aggregate->Evict().ok());
    }
  }
  int64_t rows_added = 0;
  int64_t rows_counted = 0;
  int64_t rows_open = 0;
  for (TaskState& task : tasks) rows_open += task.aggregate->stats().rows_open();
  EXPECT_GT(rows_open, 0);
  for (TaskState& task : tasks) {
    task.aggregate->AdvanceTo(kEventTimeMax);
    Give(&tasks, &found);
    rows_added += task.aggregate->stats().rows_added;
    rows_counted += task.aggregate->stats().rows_counted;
    SealAndWrite(task.aggregate.get());
    EXPECT_EQ(task.store->size(), 1u);
  }
  std::ranges::stable_sort(found, {}, [](const CellRow& row) { return row[1]; });
  ExpectSameRows(found, expected, query_);
  EXPECT_EQ(rows_added, 900);
  EXPECT_EQ(rows_counted, 900);
}

TEST_F(Rescaled, OnlyFromHeadersOfOneCheckpointOfOneQuery) {
  WindowHeader one{.fingerprint = "a",
                   .watermark = At(5),
                   .chunk = 3,
                   .rows_added = 7,
                   .rows_counted = 2,
                   .rows_too_late = 1,
                   .results_out_of_range = 0};
  WindowHeader other = one;
  other.chunk = 8;
  other.results_out_of_range = 4;
  const auto merge = [&](bool with_counts) {
    return MergeWindowHeaders(std::vector<std::string>{one.Encode(), other.Encode()}, with_counts);
  };
  WindowHeader merged = WindowHeader::Decode(merge(true).ValueOrDie()).ValueOrDie();
  EXPECT_EQ(merged.watermark, At(5));
  EXPECT_EQ(merged.chunk, 8u);
  EXPECT_EQ(merged.rows_added, 14);
  EXPECT_EQ(merged.rows_counted, 4);
  EXPECT_EQ(merged.rows_too_late, 2);
  EXPECT_EQ(merged.results_out_of_range, 4);
  merged = WindowHeader::Decode(merge(false).ValueOrDie()).ValueOrDie();
  EXPECT_EQ(merged.chunk, 8u);
  EXPECT_EQ(merged.rows_added, 0);
  other.watermark = At(6);
  EXPECT_EQ(CodeOf(merge(true).status()), "state_damaged");
  other.watermark = At(5);
  other.fingerprint = "b";
  EXPECT_EQ(CodeOf(merge(true).status()), "state_of_another_query");
  other = one;
  other.rows_counted = INT64_MAX;  // would not add up
  EXPECT_EQ(CodeOf(merge(true).status()), "state_damaged");
  EXPECT_EQ(CodeOf(MergeWindowHeaders({}, true).status()), "no_headers");
  EXPECT_EQ(CodeOf(MergeWindowHeaders(std::vector<std::string>{"\x03zz"}, true).status()),
            "state_damaged");
}

}  // namespace
}  // namespace millrace
