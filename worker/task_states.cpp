#include "worker/task_states.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "engine/state/state_key.h"
#include "engine/windows/window_header.h"

namespace millrace {
namespace {

// The keyed operator of a task (worker/task.cpp); the only one there is.
constexpr uint16_t kWindowOperator = 1;
// Of the memory for state a fourth is RocksDB's cache and memtables, and a half open windows. The
// rest is for their tables while they grow (a copy of twice the size), and for what is written.
constexpr int64_t kStorePart = 4;
constexpr int64_t kWindowsPart = 2;

// The key groups [first, last) of a task.
std::pair<KeyGroup, KeyGroup> GroupsOf(int32_t index, int32_t parallelism) {
  const auto first = [&](int32_t task) {
    int32_t group = int32_t(int64_t(task) * kKeyGroupCount / parallelism);
    while (group < kKeyGroupCount && TaskOf(KeyGroup(group), parallelism).value() < task) ++group;
    return KeyGroup(group);
  };
  return {first(index), first(index + 1)};
}

}  // namespace

TaskStates::TaskStates(TaskStatesOptions options)
    : options_(std::move(options)), memory_(StateMemory::Make(options_.memory_bytes / kStorePart)) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder, error)) {
    if (std::atoll(entry.path().filename().c_str()) < options_.attempt) {
      std::filesystem::remove_all(entry.path(), error);
    }
  }
}

TaskStates::~TaskStates() {
  std::error_code error;  // what stays is removed by the next start
  std::filesystem::remove_all(options_.folder + "/" + std::to_string(options_.attempt), error);
}

int64_t TaskStates::StateBytesMax(size_t tasks) const {
  return options_.memory_bytes / kWindowsPart / int64_t(std::max<size_t>(1, tasks));
}

std::string TaskStates::LocalFolder(const std::string& operator_id, int32_t index) const {
  return options_.folder + "/" + std::to_string(options_.attempt) + "/" + operator_id + "-" +
         std::to_string(index);
}

std::vector<const proto::TaskState*> TaskStates::SavedTasks(const std::string& operator_id) const {
  std::vector<const proto::TaskState*> saved;
  if (options_.restored == nullptr) return saved;
  for (const proto::TaskState& task : options_.restored->tasks()) {
    if (task.operator_id() == operator_id) saved.push_back(&task);
  }
  return saved;
}

Result<std::unique_ptr<TaskState>> TaskStates::Make(const std::string& operator_id, int32_t index,
                                                    int32_t parallelism) {
  TaskStateOptions options;
  options.operator_id = operator_id;
  options.index = index;
  options.parallelism = parallelism;
  options.folder = LocalFolder(operator_id, index);
  options.file_prefix =
      std::to_string(options_.attempt) + "-" + operator_id + "-" + std::to_string(index);
  const auto saved = SavedTasks(operator_id);
  const bool as_it_was = int32_t(saved.size()) == parallelism;
  if (as_it_was) {
    for (const proto::TaskState* task : saved) {
      if (task->index() != index) continue;
      ARROW_ASSIGN_OR_RAISE(options.restored,
                            RestoreStateFolder(*task, options_.storage, options.folder));
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto store, OpenRocksStateStore({options.folder, memory_}));
  if (!as_it_was && !saved.empty()) {
    ARROW_RETURN_NOT_OK(Gather(saved, options.folder, index, parallelism, store.get()));
  }
  return std::make_unique<TaskState>(std::move(options), std::move(store), options_.storage);
}

Status TaskStates::CheckQuery(const std::string& operator_id,
                              const std::string& fingerprint) const {
  for (const proto::TaskState* task : SavedTasks(operator_id)) {
    if (task->fingerprint() == fingerprint) continue;
    return UserError("state_of_another_query",
                     "the checkpoint holds open windows of '" + operator_id +
                         "' under another query (it was: " + task->fingerprint() +
                         "): keep the query, or give the stream another name, under which it "
                         "begins empty; `millrace plan --from latest` shows what is kept");
  }
  return Status::OK();
}

// Opens each old task's state beside the new one and copies what falls to it.
Status TaskStates::Gather(const std::vector<const proto::TaskState*>& saved,
                          const std::string& folder, int32_t index, int32_t parallelism,
                          StateStore* into) {
  const auto [first, last] = GroupsOf(index, parallelism);
  std::vector<std::string> headers;
  for (const proto::TaskState* task : saved) {
    const std::string aside = folder + ".from-" + std::to_string(task->index());
    ARROW_RETURN_NOT_OK(RestoreStateFolder(*task, options_.storage, aside).status());
    {
      ARROW_ASSIGN_OR_RAISE(auto from, OpenRocksStateStore({aside, memory_}));
      const std::string own = StateOperatorKey(kWindowOperator);
      ARROW_ASSIGN_OR_RAISE(auto entry, from->Scan(own, own + std::string(1, '\0')));
      if (entry->Valid()) headers.emplace_back(entry->value());
      ARROW_RETURN_NOT_OK(entry->status());
      ARROW_RETURN_NOT_OK(CopyKeyGroups(from.get(), into, kWindowOperator, first, last));
    }
    std::error_code error;
    std::filesystem::remove_all(aside, error);
  }
  if (headers.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string header,
                        MergeWindowHeaders(headers, /*with_counts=*/index == 0));
  StateBatch batch;
  batch.Put(StateOperatorKey(kWindowOperator), header);
  return into->Write(std::move(batch));
}

}  // namespace millrace
