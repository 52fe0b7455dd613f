// An aggregate that seals, writes, evicts and is restored at random against one that is left in
// peace: the same rows.
#include <random>
#include <set>

#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

// Passes on, and holds that a part of values is written once and that what is deleted is there.
class CheckedStore final : public StateStore {
 public:
  explicit CheckedStore(StateStore* store) : store_(store) {}

  Status Write(StateBatch batch) override {
    batch.ForEach([this](StateBatch::Kind kind, std::string_view key, std::string_view second) {
      if (kind == StateBatch::Kind::kDeleteRange) {
        const auto entries = store_->Scan(key, second).ValueOrDie();
        EXPECT_TRUE(entries->Valid()) << "a range without entries is deleted";
        return;
      }
      EXPECT_EQ(kind, StateBatch::Kind::kPut);
      if (key.size() > 4 && key.substr(key.size() - 4) != std::string_view("\0\0\0\0", 4)) {
        EXPECT_TRUE(parts_.insert(std::string(key)).second) << "a part of values is written again";
      }
    });
    return store_->Write(std::move(batch));
  }
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override {
    return store_->Scan(first, last);
  }
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override {
    store_->Checkpoint(epoch, folder, std::move(done));
  }
  StateStoreStats stats() const override { return store_->stats(); }

 private:
  StateStore* store_;
  std::set<std::string> parts_;
};

// Steps depend on where they begin, so that they are the same again after a crash. The watermark
// is such that some rows come after windows of their pane are out, and a few too late.
size_t StepAt(size_t position, size_t rows) {
  return std::min(1 + position * 7919 % 59, rows - position);
}
EventTime WatermarkAfter(const TestRow& row) { return At(row.time - 8); }

// A task: rows from a list, a watermark that follows them, state that comes and goes.
class Disturbed {
 public:
  Disturbed(const TestQuery& query, const std::vector<TestRow>& rows, bool same_hash)
      : query_(query), rows_(rows), same_hash_(same_hash) {
    Start("");
  }

  bool AtEnd() const { return position_ == rows_.size(); }

  void Step() {
    const size_t count = StepAt(position_, rows_.size());
    AddRows(aggregate_.get(), query_, std::span(rows_).subspan(position_, count), same_hash_);
    position_ += count;
    aggregate_->AdvanceTo(WatermarkAfter(rows_[position_ - 1]));
  }
  // Some of the rows that are due, or all.
  void Give(int64_t rows_max, bool all) {
    while (aggregate_->HasOutput()) {
      const auto batch = aggregate_->NextOutput(rows_max).ValueOrDie().batch;
      ASSERT_NE(batch, nullptr);
      ASSERT_GT(batch->num_rows(), 0);
      ASSERT_LE(batch->num_rows(), rows_max);
      AppendCells(*batch, &found_);
      if (!all) return;
    }
  }
  void Write(int64_t entries_max) {
    if (!aggregate_->sealed()) return;
    if (aggregate_->WriteSealed(entries_max).ValueOrDie()) return;
    committed_ = sealed_;
    committed_.state = store_->Serialise();
    ++checkpoints_;
  }
  void Seal() {
    if (aggregate_->sealed()) return;
    Give(1000, true);
    sealed_ = {position_, found_.size(), ""};
    ASSERT_TRUE(aggregate_->Seal().ok());
  }
  void Evict() {
    if (aggregate_->sealed()) return;
    Give(1000, true);
    const int64_t open = aggregate_->stats().rows_open();
    ASSERT_TRUE(aggregate_->Evict().ok());
    EXPECT_LT(aggregate_->stats().state_bytes, 100'000);
    EXPECT_EQ(aggregate_->stats().rows_open(), open);
    ++evictions_;
  }
  // Back to the last checkpoint.
  void Crash() {
    Start(committed_.state);
    position_ = committed_.position;
    found_.resize(committed_.found);
    ++crashes_;
  }
  void End() {
    aggregate_->AdvanceTo(kEventTimeMax);
    Give(13, true);
    while (aggregate_->sealed()) Write(100);
    Seal();
    while (aggregate_->sealed()) Write(100);
  }

  const std::vector<CellRow>& found() const { return found_; }
  WindowAggregateStats stats() const { return aggregate_->stats(); }
  size_t entries() const { return store_->size(); }
  int checkpoints() const { return checkpoints_; }
  int evictions() const { return evictions_; }
  int crashes() const { return crashes_; }

 private:
  struct Point {
    size_t position = 0;
    size_t found = 0;
    std::string state;
  };

  void Start(const std::string& state) {
    aggregate_.reset();
    store_ = std::make_unique<MemoryStateStore>();
    if (!state.empty()) {
      ASSERT_TRUE(store_->Restore(state).ok());
    }
    checked_ = std::make_unique<CheckedStore>(store_.get());
    aggregate_ = OpenOver(checked_.get(), query_);
  }

  const TestQuery& query_;
  const std::vector<TestRow>& rows_;
  bool same_hash_;
  std::unique_ptr<MemoryStateStore> store_;
  std::unique_ptr<CheckedStore> checked_;
  std::unique_ptr<WindowAggregate> aggregate_;
  size_t position_ = 0;
  std::vector<CellRow> found_;
  Point sealed_;
  Point committed_;
  int checkpoints_ = 0;
  int evictions_ = 0;
  int crashes_ = 0;
};

struct Case {
  const char* name;
  int64_t size;
  int64_t slide;
  std::vector<int> keys;
  uint64_t devices;
  bool same_hash;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class Recovery : public testing::TestWithParam<Case> {};

TEST_P(Recovery, GivesTheRowsOfAnUndisturbedOne) {
  const Case& param = GetParam();
  const TestQuery query{Micros(param.size), Micros(param.slide), Micros(7), param.keys,
                        StateAggregates()};
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const auto rows = RisingRows(1500, seed, param.devices);
    const auto straight = query.Make();
    std::vector<CellRow> expected;
    for (size_t position = 0; position < rows.size();) {
      const size_t count = StepAt(position, rows.size());
      AddRows(straight.get(), query, std::span(rows).subspan(position, count), param.same_hash);
      position += count;
      straight->AdvanceTo(WatermarkAfter(rows[position - 1]));
      for (CellRow& row : Drain(straight.get())) expected.push_back(std::move(row));
    }
    for (CellRow& row : Close(straight.get())) expected.push_back(std::move(row));

    std::mt19937_64 random(seed);
    Disturbed task(query, rows, param.same_hash);
    while (!task.AtEnd()) {
      task.Step();
      task.Give(int64_t(1 + random() % 30), true);
      if (random() % 4 == 0) task.Seal();
      // Whatever else happens, happens in the middle of the writing too.
      if (random() % 2 == 0) task.Write(int64_t(1 + random() % 40));
      if (random() % 8 == 0) task.Evict();
      if (random() % 14 == 0 && task.crashes() < 6) task.Crash();
    }
    task.End();
    ExpectSameRows(task.found(), expected, query);
    if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed;
    EXPECT_EQ(task.stats().rows_added, 1500);
    EXPECT_EQ(task.stats().rows_counted, straight->stats().rows_counted);
    EXPECT_EQ(task.stats().rows_too_late, straight->stats().rows_too_late);
    EXPECT_EQ(task.stats().rows_open(), 0);
    EXPECT_EQ(task.stats().open_panes, 0);
    EXPECT_EQ(task.stats().keys, 0);
    EXPECT_EQ(task.entries(), 1u) << "state that nobody can read is left behind";
    EXPECT_GT(task.checkpoints(), 1);
    EXPECT_GT(task.evictions(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Recovery,
                         testing::Values(Case{"Sliding", 100, 40, {kDevice, kSmall}, 40, false},
                                         Case{"ManyPanes", 300, 10, {kDevice}, 10, false},
                                         Case{"Tumbling", 150, 150, {kDevice, kSmall}, 200, false},
                                         Case{"WithoutKeys", 100, 20, {}, 1, false},
                                         Case{"NumberKeys", 200, 50, {kBig, kFlag}, 1, false},
                                         Case{"Sparse", 20, 60, {kDevice}, 5, false},
                                         Case{"AllHashesEqual", 100, 50, {kDevice}, 9, true}),
                         [](const auto& tested) { return std::string(tested.param.name); });

// Rows that come while a window is half given out, from the store and from memory, are in the
// windows after it and never make a key appear twice.
TEST(WindowRecovery, RowsMayComeWhileAWindowIsGivenOut) {
  const TestQuery query{Micros(60),
                        Micros(20),
                        Micros(0),
                        {kDevice},
                        {Aggregate(AggregateFunction::kCount, -1, Type::kBigint)}};
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  const auto add = [&](int64_t time, int first, int last) {
    std::vector<TestRow> rows;
    for (int i = first; i < last; ++i) {
      rows.emplace_back().time = time;
      rows.back().device = std::to_string(i);
    }
    AddRows(aggregate.get(), query, rows);
  };
  add(10, 0, 30);
  SealAndWrite(aggregate.get());
  ASSERT_TRUE(aggregate->Evict().ok());
  add(11, 20, 40);
  aggregate->AdvanceTo(At(20));
  std::map<std::pair<int64_t, std::string>, int64_t> counts;
  for (int slice = 0; aggregate->HasOutput(); ++slice) {
    const auto batch = aggregate->NextOutput(7).ValueOrDie().batch;
    std::vector<CellRow> rows;
    AppendCells(*batch, &rows);
    for (const CellRow& row : rows) {
      const auto place = std::pair(std::get<int64_t>(row[1]), std::get<std::string>(row[2]));
      EXPECT_TRUE(counts.emplace(place, std::get<int64_t>(row[3])).second);
    }
    if (slice == 1) add(12, 0, 60);
    if (slice == 4) aggregate->AdvanceTo(kEventTimeMax);
  }
  int64_t first_window = 0;
  for (const auto& [place, count] : counts) first_window += place.first == 20;
  EXPECT_EQ(first_window, 40);
  EXPECT_EQ((counts[{40, "25"}]), 3);
  EXPECT_EQ((counts[{40, "5"}]), 2);
  EXPECT_EQ((counts[{60, "39"}]), 2);
  EXPECT_EQ((counts[{60, "59"}]), 1);
  EXPECT_EQ(aggregate->stats().rows_counted, 110);
}

std::vector<TestRow> Values(int64_t time, int first, int last) {
  std::vector<TestRow> rows;
  for (int i = first; i < last; ++i) {
    TestRow& row = rows.emplace_back();
    row.time = time;
    row.x = (i * 7919LL) % 1'000'003;
  }
  return rows;
}

std::vector<CellRow> CloseCopy(const MemoryStateStore& store, const TestQuery& query) {
  MemoryStateStore copy;
  EXPECT_TRUE(copy.Restore(store.Serialise()).ok());
  return Close(OpenOver(&copy, query).get());
}

// A percentile puts the values of a pane into another order, and the pane goes on.
TEST(WindowRecovery, ValuesAreWrittenOnceWhateverTheirOrder) {
  const TestQuery query{Micros(60), Micros(20), Micros(0), {}, {Percentile(kX, 0.3)}};
  MemoryStateStore store;
  CheckedStore checked(&store);
  const auto aggregate = OpenOver(&checked, query);
  AddRows(aggregate.get(), query, Values(5, 0, 100));
  SealAndWrite(aggregate.get());
  AddRows(aggregate.get(), query, Values(5, 100, 300));
  aggregate->AdvanceTo(At(20));
  ASSERT_EQ(Drain(aggregate.get()).size(), 1u);
  AddRows(aggregate.get(), query, Values(5, 300, 350));
  SealAndWrite(aggregate.get());
  const auto found = CloseCopy(store, query);
  EXPECT_EQ(found, Close(aggregate.get()));
  const auto undisturbed = query.Make();
  AddRows(undisturbed.get(), query, Values(5, 0, 350));
  undisturbed->AdvanceTo(At(20));
  Drain(undisturbed.get());
  EXPECT_EQ(found, Close(undisturbed.get()));
}

TEST(WindowRecovery, ManyValuesAreSeveralParts) {
  const TestQuery query{
      Micros(60), Micros(60), Micros(0), {}, {Percentile(kX, 0.3), Percentile(kX, 0.99, kFlag)}};
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  AddRows(aggregate.get(), query, Values(5, 0, 150'000));
  SealAndWrite(aggregate.get());
  EXPECT_EQ(store.size(), 5u);  // header, what is fixed, three parts of values
  const auto found = CloseCopy(store, query);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found, Close(aggregate.get()));
}

TEST(WindowRecovery, ManyKeysWithMuchEvicting) {
  const TestQuery query{Micros(60),
                        Micros(30),
                        Micros(0),
                        {kBig},
                        {Aggregate(AggregateFunction::kCount, -1, Type::kBigint),
                         Aggregate(AggregateFunction::kSum, kSmall, Type::kBigint)}};
  MemoryStateStore store;
  const auto aggregate = OpenOver(&store, query);
  constexpr int64_t kKeys = 40'000;
  int64_t evictions = 0;
  for (int64_t round = 0; round < 3; ++round) {
    for (int64_t key = 0; key < kKeys; key += 1000) {
      std::vector<TestRow> rows(1000);
      for (int64_t i = 0; i < 1000; ++i) {
        rows[size_t(i)].time = round * 9 + i % 2 * 30;
        rows[size_t(i)].big = key + i;
        rows[size_t(i)].small = int32_t(round + 1);
      }
      AddRows(aggregate.get(), query, rows);
      if (aggregate->stats().state_bytes < (2 << 20)) continue;
      ASSERT_TRUE(aggregate->Evict().ok());
      ++evictions;
    }
  }
  EXPECT_GT(evictions, 3);
  const auto found = Close(aggregate.get(), 999);
  // Even keys are in the windows that end at 30 and 60, odd ones at 60 and 90.
  ASSERT_EQ(found.size(), size_t(2 * kKeys));
  for (const CellRow& row : found) {
    ASSERT_EQ(row[3], Cell(int64_t(3)));
    ASSERT_EQ(row[4], Cell(int64_t(6)));
  }
  EXPECT_EQ(aggregate->stats().rows_counted, 3 * kKeys);
  SealAndWrite(aggregate.get());
  EXPECT_EQ(store.size(), 1u);
}

}  // namespace
}  // namespace millrace
