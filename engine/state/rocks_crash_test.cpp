// What of a checkpoint survives when the machine goes down, or the disk fails, at every operation.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/state/rocks_testing.h"

namespace millrace {
namespace {

constexpr int kEpochs = 3;

using Model = std::map<std::string, std::string>;

std::string FolderOfEpoch(int epoch) { return "/checkpoints/" + std::to_string(epoch); }

// What a task does; the same operations every time.
struct TaskRun {
  std::vector<Model> expected;  // by epoch
  std::vector<Status> results;
  std::vector<Status> writes;
};

StateBatch Changes(int epoch, Model* model) {
  StateBatch batch;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "k" + std::to_string((i * 7 + epoch * 13) % 100);
    const std::string value = std::to_string(epoch) + std::string(size_t(i), 'v');
    batch.Put(key, value);
    (*model)[key] = value;
  }
  const std::string first = "k" + std::to_string(epoch), last = first + "9";
  batch.DeleteRange(first, last);
  model->erase(model->lower_bound(first), model->lower_bound(last));
  return batch;
}

TaskRun RunTask(CrashDisk* disk) {
  TaskRun run;
  Model model;
  auto store = disk->Open("/store");
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    StateBatch batch = Changes(epoch, &model);
    run.expected.push_back(model);
    if (!store.ok()) {
      run.results.push_back(store.status());
      continue;
    }
    run.writes.push_back((*store)->Write(std::move(batch)));
    run.results.push_back(
        TakeCheckpoint(store->get(), Epoch(epoch), FolderOfEpoch(epoch)).status());
  }
  return run;
}

// A checkpoint that was done is whole; one that was not is whole or not there.
void ExpectWholeOrMissing(CrashDisk* disk, const TaskRun& run) {
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    SCOPED_TRACE(epoch);
    const std::string folder = FolderOfEpoch(epoch);
    const bool exists = disk->env->FileExists(folder).ok();
    ASSERT_TRUE(exists || !run.results[epoch].ok());
    if (!exists) continue;
    auto store = disk->OpenLinked(folder, "/restored" + std::to_string(epoch));
    ASSERT_TRUE(store.ok()) << store.status();
    const StateEntries wanted(run.expected[epoch].begin(), run.expected[epoch].end());
    EXPECT_EQ(ReadEntries(store->get()), wanted);
  }
}

int64_t OperationsOfARun() {
  CrashDisk disk;
  const TaskRun run = RunTask(&disk);
  for (const Status& status : run.results) EXPECT_TRUE(status.ok()) << status;
  ExpectWholeOrMissing(&disk, run);
  return disk.files->operations();
}

TEST(RocksCrash, ACheckpointThatIsDoneSurvivesACrashAtEveryOperation) {
  const int64_t operations = OperationsOfARun();
  ASSERT_GT(operations, 100);
  int survived = 0, lost = 0;
  for (int64_t last = 1; last <= operations; ++last) {
    SCOPED_TRACE("crash at operation " + std::to_string(last));
    CrashDisk disk{uint64_t(last)};  // what is lost differs each time
    disk.files->CrashAt(last);
    const TaskRun run = RunTask(&disk);
    disk.files->Recover();
    ExpectWholeOrMissing(&disk, run);
    for (const Status& status : run.results) ++(status.ok() ? survived : lost);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(survived, 0);
  EXPECT_GT(lost, 0);
}

// A folder that is cut while it is gathered has another name, whatever of it is on disk.
TEST(RocksCrash, TheStoreThatIsLeftBehindIsNeverNeeded) {
  CrashDisk disk(5);
  {
    auto store = disk.Open("/store").ValueOrDie();
    ASSERT_TRUE(PutEntries(store.get(), {{"a", "1"}}).ok());
    ASSERT_TRUE(TakeCheckpoint(store.get(), Epoch(1), "/checkpoints/1").ok());
    ASSERT_TRUE(PutEntries(store.get(), {{"b", "lost"}}).ok());
  }
  disk.files->Recover();
  disk.files->RemoveFolder("/store");
  auto store = disk.OpenLinked("/checkpoints/1", "/again").ValueOrDie();
  EXPECT_EQ(ReadEntries(store.get()), (StateEntries{{"a", "1"}}));
}

void FailAtEveryOperation(const rocksdb::IOStatus& failure, const std::set<std::string>& codes) {
  const int64_t operations = OperationsOfARun();
  for (int64_t from = 1; from <= operations; ++from) {
    SCOPED_TRACE("failing from operation " + std::to_string(from));
    CrashDisk disk;
    disk.files->FailFrom(from, failure);
    const TaskRun run = RunTask(&disk);
    bool failed = false;
    for (const Status& status : run.results) {
      EXPECT_FALSE(failed && status.ok());  // the first failure stays
      failed = failed || !status.ok();
      EXPECT_TRUE(status.ok() || codes.contains(CodeOf(status))) << status;
    }
    disk.files->FailFrom(INT64_MAX, rocksdb::IOStatus::OK());
    ExpectWholeOrMissing(&disk, run);
    disk.files->Recover();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(RocksCrash, AFullDiskIsToldAndLeavesNothingHalf) {
  FailAtEveryOperation(rocksdb::IOStatus::NoSpace("no space left on device"), {"disk_full"});
}

TEST(RocksCrash, ADiskThatRefusesWritesLeavesNothingHalf) {
  FailAtEveryOperation(rocksdb::IOStatus::IOError("input/output error"),
                       {"state_open_failed", "state_write_failed"});
}

}  // namespace
}  // namespace millrace
