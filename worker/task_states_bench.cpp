// What it takes to make the tasks of a node from a checkpoint at another parallelism, one after
// another as a worker does: with old tasks' files linked, and with their entries copied.
//
// The checkpoint (2^20 entries of about a kilobyte, of one window) is made once a parallelism, in
// the folder for temporary files.
#include <arrow/filesystem/localfs.h>
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <random>

#include "engine/state/state_key.h"
#include "engine/windows/window_header.h"
#include "worker/task_states.h"

namespace millrace {
namespace {

constexpr int64_t kEntries = 1 << 20;
constexpr size_t kValueBytes = 1000;
constexpr char kName[] = "devices";

struct Saved {
  std::string folder;
  std::unique_ptr<CheckpointStorage> storage;
  proto::Manifest manifest;
};

TaskStatesOptions OptionsOf(const Saved& saved, int64_t attempt) {
  TaskStatesOptions options;
  options.folder = saved.folder + "/local";
  options.attempt = attempt;
  options.memory_bytes = int64_t(4) << 30;
  options.storage = saved.storage.get();
  return options;
}

StateBatch EntriesOf(int64_t from, int64_t to, int32_t index, int32_t parallelism,
                     std::mt19937_64* random) {
  StateBatch batch;
  std::string value(kValueBytes, '\0');
  for (int64_t i = from; i < to; ++i) {
    const KeyGroup group(int32_t(i % kKeyGroupCount));
    if (TaskOf(group, parallelism).value() != index) continue;
    std::string key;
    AppendStateKey(1, 0, group, &key);
    for (size_t at = 0; at < kValueBytes; at += sizeof(uint64_t)) {
      const uint64_t bits = (*random)();
      std::memcpy(value.data() + at, &bits, sizeof(bits));
    }
    batch.Put(key + std::to_string(i), value);
  }
  return batch;
}

void Write(TaskState* task, StateBatch batch) {
  if (const Status status = task->store()->Write(std::move(batch)); !status.ok()) status.Abort();
}

void Fill(TaskState* task, int32_t index, int32_t parallelism) {
  std::mt19937_64 random(uint64_t(index) + 1);
  for (int64_t from = 0; from < kEntries; from += 4096) {
    Write(task, EntriesOf(from, from + 4096, index, parallelism, &random));
  }
  WindowHeader header;
  header.fingerprint = "count";
  StateBatch batch;
  batch.Put(StateOperatorKey(1), header.Encode());
  Write(task, std::move(batch));
}

proto::TaskState Gather(TaskState* task) {
  std::promise<Result<proto::TaskState>> gathered;
  task->Gather(Epoch(1), "count", [&](Epoch, Result<proto::TaskState> state) {
    gathered.set_value(std::move(state));
  });
  return gathered.get_future().get().ValueOrDie();
}

const Saved& SavedAt(int32_t parallelism) {
  static std::map<int32_t, Saved> all;
  Saved& saved = all[parallelism];
  if (saved.storage != nullptr) return saved;
  std::string folder = (std::filesystem::temp_directory_path() / "millrace-states-XXXXXX").string();
  saved.folder = ::mkdtemp(folder.data());
  saved.storage = CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(),
                                          saved.folder + "/storage")
                      .ValueOrDie();
  std::atexit([] {
    for (const auto& [tasks, made] : all) std::filesystem::remove_all(made.folder);
  });
  TaskStates states(OptionsOf(saved, 1));
  for (int32_t i = 0; i < parallelism; ++i) {
    const auto task = states.Make(kName, i, parallelism).ValueOrDie();
    Fill(task.get(), i, parallelism);
    *saved.manifest.add_tasks() = Gather(task.get());
  }
  return saved;
}

void BM_Make(benchmark::State& state, int64_t linked_bytes_min) {
  const Saved& saved = SavedAt(int32_t(state.range(0)));
  const auto parallelism = int32_t(state.range(1));
  int64_t attempt = 1;
  for (auto _ : state) {
    TaskStatesOptions options = OptionsOf(saved, ++attempt);
    options.restored = &saved.manifest;
    options.linked_bytes_min = linked_bytes_min;
    TaskStates states(std::move(options));
    std::vector<std::unique_ptr<TaskState>> tasks;
    for (int32_t i = 0; i < parallelism; ++i) {
      tasks.push_back(states.Make(kName, i, parallelism).ValueOrDie());
      // As a task does, which looks what there is.
      const auto entries =
          tasks.back()->store()->Scan(StateTimeBegin(1, INT64_MIN), "").ValueOrDie();
      benchmark::DoNotOptimize(entries->Valid());
    }
    state.PauseTiming();
    tasks.clear();
    state.ResumeTiming();
  }
}

void Parallelisms(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({2, 2})->Args({2, 4})->Args({4, 2})->Args({3, 2})->Args({4, 3});
  benchmark->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();
}
BENCHMARK_CAPTURE(BM_Make, linked, TaskStatesOptions().linked_bytes_min)->Apply(Parallelisms);
BENCHMARK_CAPTURE(BM_Make, copied, INT64_MAX)->Apply(Parallelisms);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
