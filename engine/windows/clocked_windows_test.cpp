// Windows that close by a clock of their key, against a list of rows that is cut by hand: what is
// given out after every batch, and which rows are late, through checkpoints, evictions and restarts
// at another parallelism.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "engine/state/state_key.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

std::vector<AggregateSpec> Aggregates() {
  return {Aggregate(F::kCount, -1, Type::kBigint), Aggregate(F::kMin, kX, Type::kDouble),
          Percentile(kX, 0.5), CountDistinct(kX)};
}

KeyClock ClockOf(std::vector<int> keys, int64_t max_delay, int64_t offline_for, int passes = -1) {
  return {std::move(keys), passes, Micros(max_delay), Micros(offline_for)};
}

TestQuery Tumble(int64_t size, KeyClock clock) {
  return {.size = Micros(size),
          .slide = Micros(size),
          .keys = {kDevice},
          .aggregates = {Aggregate(F::kCount, -1, Type::kBigint)},
          .clock = std::move(clock)};
}

// What is late, as a line.
std::string LateLine(const TestRow& row, EventTime watermark) {
  return row.device.value_or("-") + " " + std::to_string(row.time) + " behind " +
         std::to_string(watermark.time_since_epoch().count());
}

// Tasks that share the keys, as a job has them.
class Tasks {
 public:
  Tasks(const TestQuery& query, int32_t count) : query_(query) {
    for (int32_t i = 0; i < count; ++i) {
      stores_.push_back(std::make_unique<MemoryStateStore>());
      tasks_.push_back(OpenOver(stores_.back().get(), query));
    }
  }
  // From the state of others.
  Tasks(const TestQuery& query, int32_t count, const std::vector<std::string>& states)
      : query_(query) {
    std::vector<std::unique_ptr<MemoryStateStore>> old;
    std::vector<std::string> headers;
    for (const std::string& state : states) {
      old.push_back(std::make_unique<MemoryStateStore>());
      EXPECT_TRUE(old.back()->Restore(state).ok());
      headers.push_back(EntriesOf(old.back().get()).front().second);
    }
    for (int32_t i = 0; i < count; ++i) {
      auto store = std::make_unique<MemoryStateStore>();
      StateBatch batch;
      batch.Put(StateOperatorKey(kTestOperator), MergeWindowHeaders(headers, i == 0).ValueOrDie());
      EXPECT_TRUE(store->Write(std::move(batch)).ok());
      const auto first = [count](int32_t task) {
        return KeyGroup((task * kKeyGroupCount + count - 1) / count);
      };
      for (const auto& each : old) {
        EXPECT_TRUE(
            CopyKeyGroups(each.get(), store.get(), kTestOperator, first(i), first(i + 1)).ok());
      }
      stores_.push_back(std::move(store));
      tasks_.push_back(OpenOver(stores_.back().get(), query));
    }
  }

  // Late rows are told in `late`.
  void Add(const std::vector<TestRow>& rows, std::vector<std::string>* late) {
    const auto batch = ToBatch(rows);
    std::vector<uint64_t> hashes;
    ASSERT_TRUE(HashKeys(*batch, query_.keys, &hashes).ok());
    if (query_.clock->keys.size() < query_.keys.size()) {
      std::vector<uint64_t> clocks;
      ASSERT_TRUE(HashKeys(*batch, query_.clock->keys, &clocks).ok());
      for (size_t i = 0; i < rows.size(); ++i) {
        hashes[i] = (hashes[i] >> 10) * kKeyGroupCount + clocks[i] % kKeyGroupCount;
      }
    }
    std::vector<std::vector<uint32_t>> selections(tasks_.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const TaskIndex task = TaskOf(KeyGroupOf(hashes[i]), int32_t(tasks_.size()));
      selections[size_t(task.value())].push_back(uint32_t(i));
    }
    for (size_t i = 0; i < tasks_.size(); ++i) {
      ASSERT_TRUE(tasks_[i]->Add(*batch, hashes, selections[i]).ok());
      for (const LateRow& row : tasks_[i]->late_rows()) {
        late->push_back(LateLine(rows[row.row], row.watermark));
      }
    }
  }
  void AdvanceTo(int64_t watermark) {
    for (const auto& task : tasks_) task->AdvanceTo(At(watermark));
  }
  void Drain(int64_t rows_max, std::vector<CellRow>* found) {
    for (const auto& task : tasks_) {
      while (task->HasOutput()) {
        const auto batch = task->NextOutput(rows_max).ValueOrDie().batch;
        ASSERT_NE(batch, nullptr);
        ASSERT_LE(batch->num_rows(), rows_max);
        AppendCells(*batch, found);
      }
    }
  }
  bool sealed() const {
    return std::ranges::any_of(tasks_, [](const auto& task) { return task->sealed(); });
  }
  void Seal() {
    for (const auto& task : tasks_) ASSERT_TRUE(task->Seal().ok());
  }
  // Whether all is written.
  bool Write(int64_t entries_max) {
    for (const auto& task : tasks_) {
      if (!task->sealed()) continue;
      EXPECT_TRUE(task->WriteSealed(entries_max).ok());
    }
    return !sealed();
  }
  void Evict() {
    for (const auto& task : tasks_) {
      ASSERT_TRUE(task->Evict().ok());
      const WindowAggregateStats stats = task->stats();
      EXPECT_LT(stats.state_bytes - stats.index_bytes, 20'000);
    }
  }
  std::vector<std::string> Serialise() const {
    std::vector<std::string> states;
    for (const auto& store : stores_) states.push_back(store->Serialise());
    return states;
  }
  int64_t Sum(int64_t WindowAggregateStats::*figure) const {
    int64_t sum = 0;
    for (const auto& task : tasks_) sum += task->stats().*figure;
    return sum;
  }
  int64_t rows_open() const {
    int64_t sum = 0;
    for (const auto& task : tasks_) sum += task->stats().rows_open();
    return sum;
  }
  WindowAggregate& task(size_t index) { return *tasks_[index]; }
  MemoryStateStore& store(size_t index) { return *stores_[index]; }

 private:
  const TestQuery query_;
  std::vector<std::unique_ptr<MemoryStateStore>> stores_;
  std::vector<std::unique_ptr<WindowAggregate>> tasks_;
};

Cell DeviceCell(const TestRow& row) { return row.device ? Cell(*row.device) : Cell(); }
Cell SmallCell(const TestRow& row) { return row.small ? Cell(int64_t(*row.small)) : Cell(); }

// The rows that count, and all windows over them, computed anew after every batch.
class ByHand {
 public:
  explicit ByHand(const TestQuery& query) : query_(query) {}

  void Add(const std::vector<TestRow>& rows) {
    for (const TestRow& row : rows) {
      int64_t& clock = clocks_.try_emplace(DeviceCell(row), INT64_MIN).first->second;
      const int64_t reach = std::max(clock, floor_);
      clock = std::max(clock, row.time - query_.clock->max_delay.count());
      if (query_.clock->passes >= 0 && !row.flag.value_or(false)) continue;
      if (IsLate(row.time, reach)) {
        late.push_back(LateLine(row, At(reach)));
      } else {
        rows_[KeyOf(row)].push_back(row);
      }
    }
  }
  void AdvanceTo(int64_t watermark) {
    floor_ = std::max(
        floor_, watermark == INT64_MAX ? INT64_MAX : watermark - query_.clock->offline_for.count());
  }
  // Of all windows that have closed.
  std::vector<CellRow> Closed() const {
    std::vector<CellRow> closed;
    for (const auto& [key, rows] : rows_) {
      const auto clock = clocks_.find(key.front());
      const int64_t reach = std::max(clock->second, floor_);
      std::map<std::pair<int64_t, int64_t>, std::vector<const TestRow*>> windows;
      if (query_.gap > Micros(0)) {
        Cut(rows, &windows);
      } else {
        for (const TestRow& row : rows) {
          for (const auto& window : WindowsOf(row.time)) windows[window].push_back(&row);
        }
      }
      for (const auto& [window, of_window] : windows) {
        if (window.second <= reach) closed.push_back(RowOf(window, key, of_window));
      }
    }
    std::ranges::sort(closed);
    return closed;
  }
  std::vector<std::string> late;

 private:
  std::vector<Cell> KeyOf(const TestRow& row) const {
    if (query_.keys.size() == 1) return {DeviceCell(row)};
    return {DeviceCell(row), SmallCell(row)};
  }
  static int64_t Floor(int64_t value, int64_t by) {
    return (value >= 0 ? value / by : -((-value + by - 1) / by)) * by;
  }
  bool IsLate(int64_t time, int64_t reach) const {
    if (query_.gap > Micros(0)) return time < reach || reach == INT64_MAX;
    const int64_t pane = query_.Node().pane.count();
    const int64_t offset = query_.offset.count();
    return Floor(time - offset, pane) + offset + pane <= reach;
  }
  std::vector<std::pair<int64_t, int64_t>> WindowsOf(int64_t time) const {
    const int64_t size = query_.size.count();
    const int64_t slide = query_.slide.count();
    const int64_t offset = query_.offset.count();
    std::vector<std::pair<int64_t, int64_t>> windows;
    if (query_.cumulates) {
      const int64_t start = Floor(time - offset, size) + offset;
      for (int64_t end = start + slide; end <= start + size; end += slide) {
        if (end > time) windows.emplace_back(start, end);
      }
      return windows;
    }
    for (int64_t start = Floor(time - offset, slide) + offset; start + size > time;
         start -= slide) {
      windows.emplace_back(start, start + size);
    }
    return windows;
  }
  void Cut(const std::vector<TestRow>& rows,
           std::map<std::pair<int64_t, int64_t>, std::vector<const TestRow*>>* windows) const {
    std::vector<const TestRow*> sorted;
    for (const TestRow& row : rows) sorted.push_back(&row);
    std::ranges::sort(sorted, {}, [](const TestRow* row) { return row->time; });
    for (size_t first = 0; first < sorted.size();) {
      size_t end = first + 1;
      while (end < sorted.size() &&
             sorted[end]->time - sorted[end - 1]->time < query_.gap.count()) {
        ++end;
      }
      (*windows)[{sorted[first]->time, sorted[end - 1]->time + query_.gap.count()}].assign(
          sorted.begin() + int64_t(first), sorted.begin() + int64_t(end));
      first = end;
    }
  }
  CellRow RowOf(const std::pair<int64_t, int64_t>& window, const std::vector<Cell>& key,
                const std::vector<const TestRow*>& rows) const {
    CellRow cells = {window.first, window.second};
    cells.insert(cells.end(), key.begin(), key.end());
    cells.emplace_back(int64_t(rows.size()));
    if (query_.aggregates.size() == 1) return cells;
    std::vector<double> values;
    for (const TestRow* row : rows) {
      if (row->x.has_value()) values.push_back(*row->x);
    }
    std::ranges::sort(values);
    if (values.empty()) {
      cells.insert(cells.end(), {Cell(), Cell(), int64_t(0)});
      return cells;
    }
    const double place = 0.5 * double(values.size() - 1);
    const auto low = size_t(place);
    const double above = values[std::min(low + 1, values.size() - 1)];
    cells.emplace_back(values.front());
    cells.emplace_back(values[low] + (above - values[low]) * (place - double(low)));
    cells.emplace_back(int64_t(std::set<double>(values.begin(), values.end()).size()));
    return cells;
  }

  const TestQuery query_;
  std::map<Cell, int64_t> clocks_;
  std::map<std::vector<Cell>, std::vector<TestRow>> rows_;
  int64_t floor_ = INT64_MIN;
};

// ---- by hand -----------------------------------------------------------------------------------

class ClockedWindows : public testing::Test {
 protected:
  void Begin(const TestQuery& query) { tasks_ = std::make_unique<Tasks>(query, 1); }
  std::vector<CellRow> Read(const std::vector<TestRow>& rows) {
    std::vector<CellRow> found;
    tasks_->Add(rows, &late_);
    tasks_->Drain(1000, &found);
    return found;
  }
  std::vector<CellRow> AdvanceTo(int64_t watermark) {
    std::vector<CellRow> found;
    tasks_->AdvanceTo(watermark);
    tasks_->Drain(1000, &found);
    return found;
  }

  std::unique_ptr<Tasks> tasks_;
  std::vector<std::string> late_;
};

TEST_F(ClockedWindows, AKeysWindowClosesByWhatIsReadOfIt) {
  Begin(Tumble(10, ClockOf({kDevice}, 5, 1000)));
  EXPECT_EQ(Read({Row(1, "a"), Row(2, "b"), Row(14, "a")}), std::vector<CellRow>());
  EXPECT_EQ(Read({Row(15, "a")}), (std::vector<CellRow>{Count(0, 10, "a", 1)}));
  // By then it is 30 of a's, and 2 of b's.
  EXPECT_EQ(Read({Row(35, "a"), Row(9, "b")}), (std::vector<CellRow>{Count(10, 20, "a", 2)}));
  EXPECT_EQ(tasks_->rows_open(), 3);
  EXPECT_TRUE(late_.empty());
}

TEST_F(ClockedWindows, OneThatWasAwayLosesNothing) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 100)));
  Read({Row(5, "a"), Row(5, "b")});
  EXPECT_EQ(Read({Row(85, "b")}).size(), 1u);
  EXPECT_EQ(AdvanceTo(85), std::vector<CellRow>());
  // What it had kept, in order: each window is whole.
  EXPECT_EQ(
      Read({Row(8, "a"), Row(12, "a"), Row(17, "a"), Row(33, "a"), Row(86, "a")}),
      (std::vector<CellRow>{Count(0, 10, "a", 2), Count(10, 20, "a", 2), Count(30, 40, "a", 1)}));
  EXPECT_TRUE(late_.empty());
}

TEST_F(ClockedWindows, OneThatIsOfflineIsClosedByTheFleet) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 100)));
  Read({Row(5, "a"), Row(5, "b")});
  EXPECT_EQ(AdvanceTo(109), std::vector<CellRow>());
  EXPECT_EQ(AdvanceTo(110), (std::vector<CellRow>{Count(0, 10, "a", 1), Count(0, 10, "b", 1)}));
  // Back too late for that, in time for what the fleet has not closed.
  EXPECT_EQ(Read({Row(9, "a"), Row(15, "a")}), std::vector<CellRow>());
  EXPECT_EQ(late_, (std::vector<std::string>{"a 9 behind 10"}));
  EXPECT_EQ(tasks_->task(0).OutputWatermark(), At(10));
}

TEST_F(ClockedWindows, ANewOneBeginsAtTheFleetsLessOfflineFor) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 100)));
  Read({Row(200, "a")});
  AdvanceTo(200);
  Read({Row(99, "new"), Row(101, "new"), Row(98, "new")});
  EXPECT_EQ(late_, (std::vector<std::string>{"new 99 behind 100", "new 98 behind 101"}));
}

TEST_F(ClockedWindows, LateIsWhatComesBehindTheKeysOwnClock) {
  Begin(Tumble(10, ClockOf({kDevice}, 5, 1000)));
  Read({Row(20, "a"), Row(9, "a"), Row(10, "a"), Row(9, "b")});
  EXPECT_EQ(late_, (std::vector<std::string>{"a 9 behind 15"}));
  EXPECT_EQ(tasks_->Sum(&WindowAggregateStats::rows_added), 3);
  EXPECT_EQ(tasks_->Sum(&WindowAggregateStats::rows_too_late), 0);
}

TEST_F(ClockedWindows, RowsThatDoNotPassMoveTheClockAndNothingElse) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 1000, kFlag)));
  TestRow passing = Row(5, "a");
  passing.flag = true;
  TestRow failing = Row(12, "a");
  failing.flag = false;
  EXPECT_EQ(Read({passing, failing}), (std::vector<CellRow>{Count(0, 10, "a", 1)}));
  failing.time = 3;  // late, and nobody is told
  failing.flag = std::nullopt;
  Read({failing});
  EXPECT_TRUE(late_.empty());
  EXPECT_EQ(tasks_->rows_open(), 0);
}

TEST_F(ClockedWindows, WhatIsAllowedAfterAWindowMovesEverythingBack) {
  TestQuery query = Tumble(10, ClockOf({kDevice}, 0, 100));
  query.allowed_lateness = Micros(20);
  Begin(query);
  EXPECT_EQ(Read({Row(5, "a"), Row(29, "a"), Row(6, "a")}), std::vector<CellRow>());
  EXPECT_EQ(Read({Row(30, "a")}), (std::vector<CellRow>{Count(0, 10, "a", 2)}));
  AdvanceTo(139);
  EXPECT_EQ(tasks_->task(0).OutputWatermark(), At(19));
}

TEST_F(ClockedWindows, WindowsOfWindowsCloseWithTheLastOfThem) {
  // Rows at the last microsecond of theirs, and no other of the key is of that time.
  Begin(Tumble(60, ClockOf({kDevice}, -1, 0)));
  EXPECT_EQ(Read({Row(19, "a"), Row(39, "a"), Row(59, "a")}),
            (std::vector<CellRow>{Count(0, 60, "a", 3)}));
}

TEST_F(ClockedWindows, WindowsOfAClockComeInOrderOfTheirEndWhateverTheKey) {
  TestQuery query = Tumble(10, ClockOf({kDevice}, 0, 1000));
  query.keys = {kSmall, kDevice};
  Begin(query);
  std::vector<TestRow> rows;
  for (const int64_t time : {5, 7, 15, 25, 31}) {
    rows.push_back(Row(time, "a"));
    rows.back().small = int32_t(time % 3);
  }
  const std::vector<CellRow> found = Read(rows);
  std::vector<Cell> ends;
  for (const CellRow& row : found) ends.push_back(row[1]);
  EXPECT_EQ(ends, (std::vector<Cell>{int64_t(10), int64_t(10), int64_t(20), int64_t(30)}));
}

TEST_F(ClockedWindows, TheEndOfInputClosesEverything) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 1000)));
  Read({Row(5, "a"), Row(INT64_MAX - 3, "b"), Row(INT64_MIN + 20, "c")});
  EXPECT_EQ(AdvanceTo(INT64_MAX).size(), 3u);
  EXPECT_EQ(tasks_->rows_open(), 0);
  Read({Row(6, "a")});
  EXPECT_EQ(late_.size(), 1u);
}

TEST_F(ClockedWindows, KeysAreToldByHowFarTheyAreBehind) {
  Begin(Tumble(10, ClockOf({kDevice}, 5, 100)));
  Read({Row(205, "live"), Row(199, "live too"), Row(190, "behind"), Row(150, "far behind"),
        Row(101, "offline"), Row(3, "long gone")});
  AdvanceTo(200);
  const KeyCensus census = tasks_->task(0).Census();
  EXPECT_EQ(census.live, 1);
  EXPECT_EQ(census.behind, 3);
  EXPECT_EQ(census.offline, 1);
  ASSERT_EQ(census.furthest.size(), 3u);
  EXPECT_EQ(census.furthest[0].key, "far behind");
  EXPECT_EQ(census.furthest[0].by, Micros(55));
  EXPECT_EQ(census.furthest[2].key, "live too");
}

TEST_F(ClockedWindows, AKeyInTwoPartitionsIsTold) {
  Begin(Tumble(10, ClockOf({kDevice}, 5, 100)));
  tasks_->task(0).SetSource({"topic", 0});
  Read({Row(1, "a"), Row(1, "b")});
  EXPECT_EQ(tasks_->task(0).Census().moved, 0);
  tasks_->task(0).SetSource({"topic", 1});
  Read({Row(2, "b"), Row(3, "c"), Row(4, "b")});
  EXPECT_EQ(tasks_->task(0).Census().moved, 1);
  EXPECT_EQ(tasks_->task(0).Census().moved_key, "b");
}

TEST_F(ClockedWindows, KeysThatAreLongGoneAreForgotten) {
  Begin(Tumble(10, ClockOf({kDevice}, 0, 100)));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 40'000; ++i) rows.push_back(Row(i, "device " + std::to_string(i)));
  for (size_t at = 0; at < rows.size(); at += 100) {
    Read({rows.begin() + int64_t(at), rows.begin() + int64_t(at) + 100});
    AdvanceTo(int64_t(at));
    tasks_->Seal();
    while (!tasks_->Write(100)) {
    }
  }
  EXPECT_LT(tasks_->task(0).stats().keys, 2100);
  EXPECT_LT(tasks_->store(0).size(), 2100u);
}

// ---- at random ---------------------------------------------------------------------------------

struct Batch {
  std::vector<TestRow> rows;
  int64_t watermark = 0;
};

// A fleet in which devices go away and come back with what they kept, die, or are new.
std::vector<Batch> FleetAtRandom(uint64_t seed) {
  std::mt19937_64 random(seed);
  struct Device {
    std::vector<TestRow> kept;
    bool is_away = false;
    bool is_dead = false;
  };
  std::vector<Device> devices(12);
  std::vector<Batch> batches(120);
  for (size_t step = 0; step < batches.size(); ++step) {
    const auto now = int64_t(step * 10);
    if (step % 15 == 0) devices.emplace_back();
    for (size_t i = 0; i < devices.size(); ++i) {
      Device& device = devices[i];
      if (device.is_dead) continue;
      if (random() % 400 == 0) device.is_dead = true;
      if (random() % 20 == 0) device.is_away = !device.is_away;
      for (uint64_t n = random() % 4; n > 0; --n) {
        TestRow row;
        row.time = now - 200 + int64_t(random() % 14);
        if (i > 0) row.device = "device " + std::to_string(i);
        row.small = int32_t(random() % 2);
        if (random() % 6 != 0) row.x = double(random() % 50);
        row.flag = random() % 5 != 0;
        device.kept.push_back(row);
      }
      if (device.is_away) continue;
      batches[step].rows.insert(batches[step].rows.end(), device.kept.begin(), device.kept.end());
      device.kept.clear();
    }
    batches[step].watermark = now - 200 - int64_t(random() % 10);
  }
  batches.push_back({{}, INT64_MAX});
  return batches;
}

struct Kind {
  std::string name;
  TestQuery query;
};

std::vector<Kind> Kinds() {
  std::vector<Kind> kinds;
  const auto add = [&](const std::string& name, int64_t size, int64_t slide, int64_t gap,
                       bool cumulates, bool is_finer) {
    TestQuery query;
    query.size = Micros(size);
    query.slide = Micros(slide);
    query.gap = Micros(gap);
    query.offset = Micros(gap > 0 ? 0 : 3);
    query.cumulates = cumulates;
    query.keys = {kDevice};
    if (is_finer) query.keys.push_back(kSmall);
    query.aggregates = Aggregates();
    query.clock = ClockOf({kDevice}, 6, 150, is_finer ? kFlag : -1);
    kinds.push_back({name, query});
  };
  add("tumble", 20, 20, 0, false, false);
  add("tumble, finer", 20, 20, 0, false, true);
  add("hop", 50, 20, 0, false, false);
  add("hop, finer", 50, 20, 0, false, true);
  add("hop with gaps", 10, 30, 0, false, false);
  add("cumulate", 60, 15, 0, true, false);
  add("cumulate, finer", 60, 15, 0, true, true);
  add("session", 0, 0, 12, false, false);
  add("session, finer", 0, 0, 12, false, true);
  return kinds;
}

void RunAtRandom(const Kind& kind, uint64_t seed) {
  SCOPED_TRACE(kind.name + ", seed " + std::to_string(seed));
  const std::vector<Batch> batches = FleetAtRandom(seed);
  std::vector<std::vector<CellRow>> closed(1);
  std::vector<std::vector<std::string>> late(1);
  ByHand by_hand(kind.query);
  for (const Batch& batch : batches) {
    by_hand.Add(batch.rows);
    by_hand.AdvanceTo(batch.watermark);
    closed.push_back(by_hand.Closed());
    late.push_back(by_hand.late);
    std::ranges::sort(late.back());
  }
  ASSERT_GT(closed.back().size(), 100u);
  ASSERT_GT(late.back().size(), 3u);

  std::mt19937_64 random(seed * 7919);
  auto tasks = std::make_unique<Tasks>(kind.query, 2);
  std::vector<CellRow> found;
  std::vector<std::string> refused;
  size_t position = 0;
  size_t sealed_at = 0;
  size_t committed_at = 0;
  std::vector<std::string> committed;
  int restores = 0;
  while (position < batches.size()) {
    const Batch& batch = batches[position++];
    tasks->Add(batch.rows, &refused);
    if (tasks->sealed() && random() % 2 == 0) tasks->Write(int64_t(1 + random() % 20));
    tasks->AdvanceTo(batch.watermark);
    tasks->Drain(int64_t(1 + random() % 30), &found);
    std::ranges::sort(found);
    std::ranges::sort(refused);
    ASSERT_EQ(found, closed[position]) << "after batch " << position;
    ASSERT_EQ(refused, late[position]) << "after batch " << position;
    if (tasks->sealed() && tasks->Write(int64_t(random() % 200))) {
      committed_at = sealed_at;
      committed = tasks->Serialise();
    }
    if (!tasks->sealed() && random() % 3 == 0) {
      sealed_at = position;
      tasks->Seal();
    }
    if (!tasks->sealed() && random() % 4 == 0) tasks->Evict();
    if (!committed.empty() && restores < 6 && random() % 12 == 0) {
      ++restores;
      tasks = std::make_unique<Tasks>(kind.query, int32_t(1 + random() % 3), committed);
      position = committed_at;
      found = closed[position];
      refused = late[position];
    }
  }
  EXPECT_EQ(tasks->rows_open(), 0);
  EXPECT_EQ(tasks->Sum(&WindowAggregateStats::rows_too_late), 0);
  EXPECT_EQ(tasks->Sum(&WindowAggregateStats::results_out_of_range), 0);
  EXPECT_EQ(tasks->Sum(&WindowAggregateStats::open_panes), 0);
}

TEST(ClockedWindowsAtRandom, GiveOutWhatIsClosedByHandThroughRestarts) {
  for (const Kind& kind : Kinds()) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      RunAtRandom(kind, seed);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

// ---- damage ------------------------------------------------------------------------------------

TEST(ClockedWindowsState, ClocksStandBeforeWindowsAndDamageIsToldNeverRead) {
  const TestQuery query = Tumble(10, ClockOf({kDevice}, 0, 100));
  Tasks tasks(query, 1);
  std::vector<std::string> late;
  tasks.Add({Row(5, "a"), Row(7, "b")}, &late);
  tasks.Seal();
  ASSERT_TRUE(tasks.Write(100));
  const StateEntries entries = EntriesOf(&tasks.store(0));
  ASSERT_EQ(entries.size(), 5u);
  const std::string clock_time(8, '\0');
  EXPECT_EQ(entries[1].first.substr(2, 8), clock_time);
  EXPECT_EQ(entries[2].first.substr(2, 8), clock_time);
  EXPECT_NE(entries[3].first.substr(2, 8), clock_time);

  const auto code = [&](const StateEntries& damaged) {
    return CodeOf(query.Make()->Open(StoreOf(damaged).get(), kTestOperator));
  };
  EXPECT_EQ(code(entries), "OK");
  for (size_t i = 0; i < entries.size(); ++i) {
    for (size_t byte = 0; byte < entries[i].second.size(); ++byte) {
      StateEntries damaged = entries;
      damaged[i].second[byte] = char(damaged[i].second[byte] ^ 0x20);
      EXPECT_TRUE(code(damaged) == "state_damaged" || code(damaged) == "state_version");
    }
    StateEntries cut = entries;
    cut[i].second.pop_back();
    EXPECT_EQ(code(cut), "state_damaged");
  }
  for (const size_t clock : {1, 2}) {
    StateEntries missing = entries;
    missing.erase(missing.begin() + int64_t(clock));
    EXPECT_EQ(code(missing), "state_damaged");
  }
}

TEST(ClockedWindowsState, StateOfAnotherClockIsRefused) {
  const TestQuery query = Tumble(10, ClockOf({kDevice}, 0, 100));
  Tasks tasks(query, 1);
  tasks.Seal();
  ASSERT_TRUE(tasks.Write(100));
  const auto code = [&](const TestQuery& other) {
    return CodeOf(other.Make()->Open(&tasks.store(0), kTestOperator));
  };
  EXPECT_EQ(code(Tumble(10, ClockOf({kDevice}, 30, 100))), "OK");
  EXPECT_EQ(code(Tumble(10, ClockOf({kDevice}, 0, 200))), "state_of_another_query");
  TestQuery without = query;
  without.clock.reset();
  EXPECT_EQ(code(without), "state_of_another_query");
}

// ---- size --------------------------------------------------------------------------------------

// A million keys that close one after another, while watermarks come and go: what closes is looked
// at, and no other key, or this would take minutes.
TEST(ClockedWindowsSize, AMillionKeysCloseOneByOne) {
  constexpr int64_t kKeys = 1'000'000;
  TestQuery query = Tumble(10, ClockOf({kBig}, 0, 1000));
  query.keys = {kBig};
  const auto aggregate = query.Make();
  int64_t rows = 0;
  for (int64_t turn = 0; turn < 2; ++turn) {
    for (int64_t first = 0; first < kKeys; first += 10'000) {
      std::vector<TestRow> batch(10'000);
      for (int64_t i = 0; i < 10'000; ++i) {
        batch[size_t(i)].time = turn * 10 + 1;
        batch[size_t(i)].big = first + i;
      }
      AddRows(aggregate.get(), query, batch);
      aggregate->AdvanceTo(At(turn * 10 + first / 200'000));
      while (aggregate->HasOutput()) {
        rows += aggregate->NextOutput(4096).ValueOrDie().batch->num_rows();
      }
    }
  }
  EXPECT_EQ(rows, kKeys);
  EXPECT_EQ(aggregate->stats().rows_open(), kKeys);
}

}  // namespace
}  // namespace millrace
