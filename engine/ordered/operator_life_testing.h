// For tests: what may happen to the tasks of a keyed operator. Rows come in cuts of any size, the
// watermark follows; between them tasks seal, write, evict, crash and start again as another
// number of tasks from the last checkpoint.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/windows/key_hash.h"
#include "engine/windows/window_header.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {

class OperatorLife {
 public:
  struct Input {
    std::vector<int> keys;
    size_t rows = 0;
    std::function<std::shared_ptr<arrow::RecordBatch>(size_t first, size_t count)> batch;
    // No row behind the first `position` ones is before it.
    std::function<EventTime(size_t position)> watermark;
    std::function<std::unique_ptr<KeyedOperator>()> make;
    // All that is due has come out: everything so far, and since the last time.
    std::function<void(EventTime watermark, std::span<const CellRow> all,
                       std::span<const CellRow> since)>
        on_advanced = [](EventTime, std::span<const CellRow>, std::span<const CellRow>) {};
  };

  OperatorLife(Input input, uint64_t seed)
      : input_(std::move(input)), random_(seed), evicts_often_(random_() % 3 == 0) {
    Start();
  }

  // What came out, until the end; nothing is kept then.
  std::vector<CellRow> Run() {
    while (position_ < input_.rows) {
      const size_t count = std::min<size_t>(1 + random_() % 30, input_.rows - position_);
      AddSome(count);
      if (random_() % 3 == 0) Advance(input_.watermark(position_));
      Checkpoint();
      if (crashes_ < 6 && random_() % 8 == 0) {
        ++crashes_;
        Start();
      }
      if (testing::Test::HasFailure()) return {};
    }
    Advance(kEventTimeMax);
    int64_t open = 0, counted = 0;
    for (Task& task : tasks_) {
      open += task.keyed->stats().rows_open();
      counted += task.keyed->stats().rows_counted;
      EXPECT_EQ(task.keyed->stats().rows_too_late, 0);
      while (task.keyed->sealed()) EXPECT_TRUE(task.keyed->WriteSealed(5).ok());
      EXPECT_TRUE(task.keyed->Seal().ok());
      while (task.keyed->WriteSealed(2).ValueOrDie()) {
      }
      EXPECT_EQ(EntriesOf(task.store.get()).size(), 1u);
      EXPECT_EQ(task.keyed->stats().open_panes, 0);
    }
    EXPECT_EQ(open, 0);
    EXPECT_EQ(counted, int64_t(input_.rows));
    return rows_out_;
  }

 private:
  struct Task {
    std::unique_ptr<MemoryStateStore> store;
    std::unique_ptr<KeyedOperator> keyed;
  };
  struct Saved {
    std::vector<StateEntries> entries;
    size_t position = 0;
    size_t rows_out = 0;
  };

  void Start() {
    const auto count = int32_t(1 + random_() % 3);
    std::vector<Task> tasks;
    for (int32_t i = 0; i < count; ++i) {
      Task& task = tasks.emplace_back();
      task.store = std::make_unique<MemoryStateStore>();
      std::vector<std::string> headers;
      for (const StateEntries& entries : safe_.entries) {
        const auto from = StoreOf(entries);
        headers.push_back(entries.front().second);
        int32_t first = 0;
        while (first < kKeyGroupCount && TaskOf(KeyGroup(first), count).value() < i) ++first;
        int32_t last = first;
        while (last < kKeyGroupCount && TaskOf(KeyGroup(last), count).value() == i) ++last;
        ASSERT_TRUE(CopyKeyGroups(from.get(), task.store.get(), kTestOperator, KeyGroup(first),
                                  KeyGroup(last))
                        .ok());
      }
      if (!headers.empty()) {
        StateBatch batch;
        batch.Put(StateOperatorKey(kTestOperator),
                  MergeWindowHeaders(headers, /*with_counts=*/i == 0).ValueOrDie());
        ASSERT_TRUE(task.store->Write(std::move(batch)).ok());
      }
      task.keyed = input_.make();
      const Status status = task.keyed->Open(task.store.get(), kTestOperator);
      ASSERT_TRUE(status.ok()) << status;
    }
    tasks_ = std::move(tasks);
    position_ = safe_.position;
    rows_out_.resize(safe_.rows_out);
    sealing_ = false;
  }

  void AddSome(size_t count) {
    const auto batch = input_.batch(position_, count);
    position_ += count;
    std::vector<uint64_t> hashes;
    ASSERT_TRUE(HashKeys(*batch, input_.keys, &hashes).ok());
    std::vector<std::vector<uint32_t>> selections(tasks_.size());
    for (size_t i = 0; i < count; ++i) {
      selections[size_t(TaskOf(KeyGroupOf(hashes[i]), int32_t(tasks_.size())).value())].push_back(
          uint32_t(i));
    }
    for (size_t i = 0; i < tasks_.size(); ++i) {
      const Status status = tasks_[i].keyed->Add(*batch, hashes, selections[i]);
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  void Advance(EventTime watermark) {
    const size_t before = rows_out_.size();
    for (Task& task : tasks_) {
      task.keyed->AdvanceTo(watermark);
      while (task.keyed->HasOutput()) {
        const auto rows_max = int64_t(1 + random_() % 20);
        const auto output = task.keyed->NextOutput(rows_max);
        ASSERT_TRUE(output.ok()) << output.status();
        if (output->batch != nullptr) AppendCells(*output->batch, &rows_out_);
        if (!task.keyed->sealed() && random_() % (evicts_often_ ? 2 : 30) == 0) {
          ASSERT_TRUE(task.keyed->Evict().ok());
        }
      }
    }
    input_.on_advanced(watermark, rows_out_, std::span(rows_out_).subspan(before));
  }

  void Checkpoint() {
    if (!sealing_) {
      if (random_() % 5 == 0) {
        for (Task& task : tasks_) ASSERT_TRUE(task.keyed->Seal().ok());
        sealing_ = true;
        sealed_ = {std::vector<StateEntries>(tasks_.size()), position_, rows_out_.size()};
      } else {
        for (Task& task : tasks_) {
          if (random_() % (evicts_often_ ? 3 : 20) == 0) {
            ASSERT_TRUE(task.keyed->Evict().ok());
          }
        }
      }
      return;
    }
    bool more = false;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (!tasks_[i].keyed->sealed()) continue;
      if (tasks_[i].keyed->WriteSealed(int64_t(1 + random_() % 3)).ValueOrDie()) {
        more = true;
      } else {
        // At once: others may be slower.
        sealed_.entries[i] = EntriesOf(tasks_[i].store.get());
      }
    }
    if (more) return;
    sealing_ = false;
    safe_ = sealed_;
  }

  const Input input_;
  std::mt19937_64 random_;
  const bool evicts_often_;
  std::vector<Task> tasks_;
  size_t position_ = 0;
  std::vector<CellRow> rows_out_;
  bool sealing_ = false;
  Saved sealed_;
  Saved safe_;
  int crashes_ = 0;
};

}  // namespace millrace
