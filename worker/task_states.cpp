#include "worker/task_states.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "worker/state_takeover.h"

namespace millrace {
namespace {

// Of the memory for state a fourth is RocksDB's cache and memtables, and a half open windows. The
// rest is for their tables while they grow (a copy of twice the size), and for what is written.
constexpr int64_t kStorePart = 4;
constexpr int64_t kWindowsPart = 2;

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
  std::unique_ptr<StateStore> store;
  if (saved.empty()) {
    ARROW_ASSIGN_OR_RAISE(store, OpenRocksStateStore({options.folder, memory_}));
  } else {
    StateTakeover takeover(memory_, options_.storage, options_.linked_bytes_min);
    ARROW_ASSIGN_OR_RAISE(store, takeover.Open(saved, &options));
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

}  // namespace millrace
