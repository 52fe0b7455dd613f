// State that goes from tasks to other tasks, again and again, against what was written.
#include "worker/task_states.h"

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <random>
#include <set>

#include "engine/state/state_key.h"
#include "engine/state/state_store_testing.h"
#include "engine/storage/storage_testing.h"
#include "engine/windows/window_header.h"
#include "worker/saved_parts.h"

namespace millrace {
namespace {

constexpr uint16_t kOperator = 1;
constexpr char kName[] = "metrics";

std::string KeyOf(int64_t time, int32_t group, const std::string& rest) {
  std::string key;
  AppendStateKey(kOperator, time, KeyGroup(group), &key);
  return key + rest;
}

// Tasks of one node from attempt to attempt, and what they should hold.
class TaskStatesTest : public testing::Test {
 protected:
  // From the last checkpoint at another parallelism, or at the same.
  void Start(int32_t parallelism) {
    tasks_.clear();
    states_.reset();
    parallelism_ = parallelism;
    TaskStatesOptions options;
    options.folder = local_.Path("local");
    options.attempt = ++attempt_;
    options.memory_bytes = 256 << 20;
    options.restored = saved_.tasks_size() == 0 ? nullptr : &saved_;
    options.storage = storage_.get();
    options.linked_bytes_min = linked_bytes_min_;
    states_ = std::make_unique<TaskStates>(std::move(options));
    for (int32_t i = 0; i < parallelism; ++i) {
      auto made = states_->Make(kName, i, parallelism);
      ASSERT_TRUE(made.ok()) << made.status();
      tasks_.push_back(std::move(*made));
    }
  }

  StateStore* StoreOf(int32_t group) {
    return tasks_[size_t(TaskOf(KeyGroup(group), parallelism_).value())]->store();
  }

  void Put(int64_t time, int32_t group, const std::string& rest, const std::string& value) {
    const std::string key = KeyOf(time, group, rest);
    model_[key] = value;
    ASSERT_TRUE(PutEntries(StoreOf(group), {{key, value}}).ok());
  }
  void Delete(const std::string& key) {
    model_.erase(key);
    StateBatch batch;
    batch.Delete(key);
    ASSERT_TRUE(StoreOf(GroupOfStateKey(key).value())->Write(std::move(batch)).ok());
  }
  void DeleteTimes(int64_t first, int64_t last) {
    const std::string begin = StateTimeBegin(kOperator, first);
    const std::string end = StateTimeBegin(kOperator, last);
    model_.erase(model_.lower_bound(begin), model_.lower_bound(end));
    for (const auto& task : tasks_) {
      StateBatch batch;
      batch.DeleteRange(begin, end);
      ASSERT_TRUE(task->store()->Write(std::move(batch)).ok());
    }
  }

  // Each counts what it was given, and what it had.
  void WriteHeaders(uint32_t chunk) {
    for (const auto& task : tasks_) {
      WindowHeader header = HeaderOf(task->store());
      header.fingerprint = "count";
      header.chunk = chunk;
      header.rows_added += 10;
      ASSERT_TRUE(PutEntries(task->store(), {{StateOperatorKey(kOperator), header.Encode()}}).ok());
      rows_added_ += 10;
    }
  }
  static WindowHeader HeaderOf(StateStore* store) {
    const std::string own = StateOperatorKey(kOperator);
    const auto entry = store->Scan(own, own + std::string(1, '\0')).ValueOrDie();
    return entry->Valid() ? WindowHeader::Decode(entry->value()).ValueOrDie() : WindowHeader();
  }

  void Checkpoint() {
    saved_.clear_tasks();
    ++epoch_;
    for (const auto& task : tasks_) {
      std::promise<Result<proto::TaskState>> gathered;
      task->Gather(Epoch(epoch_), "count", [&](Epoch, Result<proto::TaskState> state) {
        gathered.set_value(std::move(state));
      });
      auto state = gathered.get_future().get();
      ASSERT_TRUE(state.ok()) << state.status();
      *saved_.add_tasks() = *state;
    }
  }

  void ExpectWhatWasWritten() {
    int64_t rows_added = 0;
    for (int32_t i = 0; i < parallelism_; ++i) {
      SCOPED_TRACE("task " + std::to_string(i) + " of " + std::to_string(parallelism_));
      StateStore* const store = tasks_[size_t(i)]->store();
      const KeyGroupSet own = KeyGroupSet::OfTask(i, parallelism_);
      StateEntries wanted;
      for (const auto& entry : model_) {
        if (own.Contains(GroupOfStateKey(entry.first))) wanted.push_back(entry);
      }
      const StateEntries found = ReadEntries(store, StateTimeBegin(kOperator, INT64_MIN));
      ASSERT_EQ(found.size(), wanted.size());
      ASSERT_TRUE(found == wanted);
      rows_added += HeaderOf(store).rows_added;
    }
    EXPECT_EQ(rows_added, rows_added_);
  }

  int64_t UploadedBytes() const {
    int64_t bytes = 0;
    for (const auto& task : tasks_) bytes += task->figures().uploaded_bytes;
    return bytes;
  }
  // The folders of its parts.
  std::set<std::string> PartsOf(int32_t task) const {
    std::set<std::string> parts;
    for (const proto::StoredFile& file : saved_.tasks(task).files()) parts.insert(PrefixOf(file));
    return parts;
  }
  // Values that take their place on disk.
  std::string Noise(size_t bytes) {
    std::string noise(bytes, '\0');
    for (char& byte : noise) byte = char(random_());
    return noise;
  }
  void Fill(int32_t entries, size_t value_bytes, int64_t time = 0) {
    for (int32_t i = 0; i < entries; ++i) {
      Put(time + i % 3, i * 7 % kKeyGroupCount, std::to_string(i), Noise(value_bytes));
    }
  }

  StorageTestFolder folder_;
  StorageTestFolder local_;
  std::unique_ptr<CheckpointStorage> storage_ =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder_.path())
          .ValueOrDie();
  int64_t linked_bytes_min_ = 0;  // everything is linked
  proto::Manifest saved_;
  std::unique_ptr<TaskStates> states_;
  std::vector<std::unique_ptr<TaskState>> tasks_;  // before states_ and storage_ go
  std::map<std::string, std::string> model_;
  int64_t rows_added_ = 0;
  int32_t parallelism_ = 0;
  int64_t attempt_ = 0;
  int64_t epoch_ = 0;
  std::mt19937 random_{1};
};

using Names = std::set<std::string>;

TEST_F(TaskStatesTest, ASplitIsLinkedAndUploadsNothingAgain) {
  Start(2);
  Fill(400, 1000);
  WriteHeaders(0);
  Checkpoint();
  const int64_t all = UploadedBytes();
  ASSERT_GT(all, 400'000);
  Start(4);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_LT(UploadedBytes(), all / 10);
  for (int32_t i = 0; i < 4; ++i) EXPECT_EQ(PartsOf(i), Names{"p0/"});
  Start(4);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, AMergeIsLinkedAndUploadsNothingAgain) {
  Start(4);
  Fill(400, 1000);
  WriteHeaders(0);
  Checkpoint();
  const int64_t all = UploadedBytes();
  Start(2);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_LT(UploadedBytes(), all / 10);
  for (int32_t i = 0; i < 2; ++i) EXPECT_EQ(PartsOf(i), (Names{"p0/", "p1/"}));
  Start(2);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, OddOnesTakeTheOldTasksThatTheyOverlap) {
  Start(3);
  Fill(300, 100);
  WriteHeaders(0);
  Checkpoint();
  Start(2);  // groups 0 to 359 of tasks of 0 to 239 and 240 to 479
  ExpectWhatWasWritten();
  Fill(300, 50, 2);
  Checkpoint();
  EXPECT_EQ(PartsOf(0), (Names{"p0/", "p1/"}));
  Start(5);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_EQ(PartsOf(1), (Names{"p0/", "p1/"}));  // 144 to 287
  EXPECT_EQ(PartsOf(2), (Names{"p0/", "p1/"}));  // 288 to 431, cut at 360
  EXPECT_EQ(PartsOf(4), Names{"p0/"});
  Start(3);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, TheSameTasksHaveTheirFilesAsTheyWere) {
  Start(3);
  Fill(300, 100);
  WriteHeaders(4);
  Checkpoint();
  Start(3);
  ExpectWhatWasWritten();
  EXPECT_EQ(HeaderOf(tasks_[1]->store()).chunk, 4u);
  Checkpoint();
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ(PartsOf(i), Names{""});
}

TEST_F(TaskStatesTest, WhatIsSmallIsCopiedIntoOneStore) {
  linked_bytes_min_ = TaskStatesOptions().linked_bytes_min;
  Start(4);
  Fill(400, 100);
  WriteHeaders(0);
  Checkpoint();
  Start(2);
  ExpectWhatWasWritten();
  Checkpoint();
  for (int32_t i = 0; i < 2; ++i) EXPECT_EQ(PartsOf(i), Names{""});
}

TEST_F(TaskStatesTest, WhatIsSmallIsCopiedBesideWhatIsLinked) {
  linked_bytes_min_ = 200'000;
  Start(4);
  for (int32_t i = 0; i < 300; ++i) Put(0, i % 180, std::to_string(i), Noise(1000));
  for (int32_t i = 0; i < 300; ++i) Put(0, 180 + i, "small", "v");
  WriteHeaders(0);
  Checkpoint();
  Start(1);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_EQ(PartsOf(0), (Names{"p0/", "p1/"}));
  Start(3);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, PartsBeyondTheBoundAreCopied) {
  Start(24);
  Fill(2000, 100);
  WriteHeaders(0);
  Checkpoint();
  Start(1);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_EQ(PartsOf(0).size(), kPartsMax);
  Start(1);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, WhatWasDeletedStaysSo) {
  Start(2);
  Fill(600, 100);
  WriteHeaders(0);
  Checkpoint();
  DeleteTimes(0, 1);
  Delete(KeyOf(1, 7, "1"));
  Checkpoint();
  Start(4);
  ExpectWhatWasWritten();
  DeleteTimes(1, 2);
  Delete(KeyOf(2, 14, "2"));
  ExpectWhatWasWritten();
  Checkpoint();
  Start(2);
  ExpectWhatWasWritten();
  Put(1, 7, "1", "back");
  Checkpoint();
  Start(3);
  ExpectWhatWasWritten();
}

// What only one task of two wrote since comes to no other one.
TEST_F(TaskStatesTest, SiblingsThatShareFilesGoTheirOwnWays) {
  Start(1);
  Fill(720, 50);
  Checkpoint();
  Start(2);
  for (int32_t group = 0; group < kKeyGroupCount; ++group) {
    Put(0, group, "again", group < 360 ? "left" : "right");
  }
  DeleteTimes(1, 2);
  Checkpoint();
  Start(1);
  ExpectWhatWasWritten();
}

TEST_F(TaskStatesTest, ASavepointIsRestoredAtAnotherParallelism) {
  Start(2);
  Fill(400, 500);
  WriteHeaders(0);
  Checkpoint();
  Start(4);
  Fill(100, 500, 10);
  Checkpoint();
  saved_.set_savepoint("before");
  ASSERT_TRUE(storage_->WriteSavepoint("before", saved_).ok());
  saved_ = storage_->ReadSavepoint("before").ValueOrDie();
  Start(3);
  ExpectWhatWasWritten();
  Checkpoint();
  // None of its files is another checkpoint's.
  for (const auto& task : saved_.tasks()) {
    for (const auto& file : task.files()) EXPECT_TRUE(file.path().starts_with("state/"));
  }
  ASSERT_TRUE(storage_->RemoveSavepoint("before").ok());
  Start(2);
  ExpectWhatWasWritten();
}

// Each task would upload all of the tables, which no two may share.
TEST_F(TaskStatesTest, ASavepointThatIsSplitIsUploadedOnce) {
  Start(1);
  Fill(400, 1000);
  WriteHeaders(0);
  Checkpoint();
  const int64_t all = UploadedBytes();
  saved_.set_savepoint("before");
  ASSERT_TRUE(storage_->WriteSavepoint("before", saved_).ok());
  saved_ = storage_->ReadSavepoint("before").ValueOrDie();
  Start(8);
  ExpectWhatWasWritten();
  Checkpoint();
  EXPECT_LT(UploadedBytes(), all * 3 / 2);
}

// Stored files are never written twice, nor two of one name, whatever a task was made of.
TEST_F(TaskStatesTest, NoTwoFilesOfACheckpointHaveOneName) {
  Start(4);
  Fill(400, 100);
  Checkpoint();
  Start(2);
  for (int i = 0; i < 3; ++i) {
    Fill(100, 100, 100 * i);
    Checkpoint();
    for (const auto& task : saved_.tasks()) {
      std::set<std::string> local;
      for (const auto& file : task.files()) {
        EXPECT_TRUE(local.insert(file.local_name()).second) << file.local_name();
        EXPECT_TRUE(storage_->Verify(file).ok()) << file.path();
      }
    }
  }
}

TEST_F(TaskStatesTest, TheLargestChunkOfThoseTakenOverCounts) {
  Start(3);
  Fill(30, 10);
  WriteHeaders(0);
  const auto set_chunk = [&](size_t task, uint32_t chunk) {
    WindowHeader header = HeaderOf(tasks_[task]->store());
    header.chunk = chunk;
    ASSERT_TRUE(
        PutEntries(tasks_[task]->store(), {{StateOperatorKey(kOperator), header.Encode()}}).ok());
  };
  set_chunk(0, 2);
  set_chunk(1, 5);
  set_chunk(2, 3);
  Checkpoint();
  Start(2);
  EXPECT_EQ(HeaderOf(tasks_[0]->store()).chunk, 5u);
  EXPECT_EQ(HeaderOf(tasks_[1]->store()).chunk, 5u);
  // The second task's counts are its who has its first group, 240.
  EXPECT_EQ(HeaderOf(tasks_[0]->store()).rows_added, 20);
  EXPECT_EQ(HeaderOf(tasks_[1]->store()).rows_added, 10);
}

// Any life, with everything linked, with everything copied, and with some of each.
class TaskStatesLife : public TaskStatesTest, public testing::WithParamInterface<int64_t> {};

INSTANTIATE_TEST_SUITE_P(LinkedBytesMin, TaskStatesLife, testing::Values(0, 30'000, 1 << 30));

TEST_P(TaskStatesLife, IsWhatWasWritten) {
  linked_bytes_min_ = GetParam();
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    random_.seed(seed);
    model_.clear();
    saved_.clear_tasks();
    rows_added_ = 0;
    Start(1 + int32_t(random_() % 6));
    int64_t time = 0;
    for (int attempt = 0; attempt < 6; ++attempt) {
      for (int epoch = int(random_() % 4); epoch >= 0; --epoch) {
        for (int i = int(random_() % 300); i > 0; --i) {
          Put(time + int64_t(random_() % 4), int32_t(random_() % kKeyGroupCount),
              std::to_string(random_() % 3), Noise(random_() % 800));
        }
        for (int i = int(random_() % 40); i > 0 && !model_.empty(); --i) {
          auto at = model_.lower_bound(KeyOf(time, int32_t(random_() % kKeyGroupCount), ""));
          if (at != model_.end()) Delete(std::string(at->first));
        }
        if (random_() % 3 == 0) {
          DeleteTimes(time - 3, time + 1);
          ++time;
        }
        WriteHeaders(uint32_t(attempt));
        ASSERT_NO_FATAL_FAILURE(Checkpoint());
      }
      if (random_() % 3 == 0) {  // a crash: what is not in a checkpoint is read again
        const auto model = model_;
        Put(time, int32_t(random_() % kKeyGroupCount), "lost", "lost");
        model_ = model;
      }
      ASSERT_NO_FATAL_FAILURE(Start(1 + int32_t(random_() % 6)));
      ASSERT_NO_FATAL_FAILURE(ExpectWhatWasWritten());
    }
  }
}

}  // namespace
}  // namespace millrace
