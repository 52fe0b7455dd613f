#include "tools/millrace/job_state.h"

#include <arrow/filesystem/localfs.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "engine/metrics/log.h"
#include "engine/state/state_key.h"
#include "engine/windows/window_header.h"

namespace millrace {
namespace {

// The window operator of a task (worker/task.cpp); the only one there is.
constexpr uint16_t kWindowOperator = 1;
// Of the memory for state a fourth is RocksDB's cache and memtables, and a half open windows. The
// rest is for their tables while they grow (a copy of twice the size), and for what is written.
constexpr int64_t kStorePart = 4;
constexpr int64_t kWindowsPart = 2;
constexpr auto kBeat = std::chrono::milliseconds(500);

std::string Owner() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return std::string(host) + " process " + std::to_string(getpid());
}

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

JobState::~JobState() {
  std::error_code error;  // what stays is removed by the next start
  // Its own: where another process has taken over meanwhile, the others are in use.
  if (committer_ != nullptr) std::filesystem::remove_all(TermFolder(term()), error);
}

// Working folders of processes whose term is over.
void JobState::RemoveOldFolders() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(Folder("local"), error)) {
    if (std::atoll(entry.path().filename().c_str()) < term()) {
      std::filesystem::remove_all(entry.path(), error);
    }
  }
}

std::string JobState::TermFolder(int64_t of_term) const {
  return Folder("local") + "/" + std::to_string(of_term);
}

std::string JobState::Folder(const std::string& part) const {
  return options_.folder + "/" + options_.job + "/" + part;
}

Result<std::unique_ptr<JobState>> JobState::Open(JobStateOptions options, const Clock* clock,
                                                 const std::atomic<bool>& stopping) {
  std::unique_ptr<JobState> state(new JobState(std::move(options)));
  const JobStateOptions& wish = state->options_;
  std::error_code error;
  std::filesystem::create_directories(state->Folder(""), error);
  if (error) {
    return UserError("unwritable_path", "cannot make the state folder '" + state->Folder("") +
                                            "': " + error.message());
  }
  ARROW_ASSIGN_OR_RAISE(state->lease_,
                        Lease::Acquire(state->Folder("lease"), Owner(), kLease, *clock, stopping));
  state->heart_ = std::jthread([lease = state->lease_.get()](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      lease->Beat();
      stopped.wait_for(lock, stop, kBeat, [] { return false; });
    }
  });
  ARROW_ASSIGN_OR_RAISE(state->storage_,
                        CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(),
                                                state->Folder("checkpoints")));
  ARROW_ASSIGN_OR_RAISE(state->log_, OpenLocalMetadataLog(state->Folder("log")));
  RecoveryRequest request;
  request.job = wish.job;
  request.owner = Owner();
  request.new_generation = wish.new_generation;
  request.savepoint = wish.savepoint;
  request.from = wish.from;
  request.minted = MintGeneration();
  request.retain = wish.retain;
  request.registers = wish.registers;
  request.file_registers = wish.file_registers;
  ARROW_ASSIGN_OR_RAISE(state->recovered_,
                        Recover(request, state->storage_.get(), state->log_.get()));
  for (const std::string& note : state->plan().notes) LogWarn(note);
  state->RemoveOldFolders();
  state->committer_ = std::make_unique<CheckpointCommitter>(
      state->recovered_.committer, state->storage_.get(), state->log_.get());
  state->memory_ = StateMemory::Make(wish.memory_bytes / kStorePart);
  return state;
}

const proto::Manifest* JobState::restored() const {
  return plan().kind == RecoveryPlan::Kind::kFresh ? nullptr : &plan().manifest;
}

int64_t JobState::StateBytesMax(size_t tasks) const {
  return options_.memory_bytes / kWindowsPart / int64_t(std::max<size_t>(1, tasks));
}

std::string JobState::LocalFolder(const std::string& operator_id, int32_t index) const {
  return TermFolder(term()) + "/" + operator_id + "-" + std::to_string(index);
}

std::vector<const proto::TaskState*> JobState::SavedTasks(const std::string& operator_id) const {
  std::vector<const proto::TaskState*> saved;
  if (restored() == nullptr) return saved;
  for (const proto::TaskState& task : restored()->tasks()) {
    if (task.operator_id() == operator_id) saved.push_back(&task);
  }
  return saved;
}

std::vector<std::string> JobState::Dropped(const JobPlan& plan) const {
  std::vector<std::string> dropped;
  if (restored() == nullptr) return dropped;
  for (const proto::TaskState& task : restored()->tasks()) {
    const bool known = std::ranges::any_of(
        plan.nodes, [&](const PlanNode& node) { return node.name == task.operator_id(); });
    if (!known && std::ranges::find(dropped, task.operator_id()) == dropped.end()) {
      dropped.push_back(task.operator_id());
    }
  }
  return dropped;
}

Result<std::unique_ptr<TaskState>> JobState::MakeTaskState(const std::string& operator_id,
                                                           int32_t index, int32_t parallelism) {
  TaskStateOptions options;
  options.operator_id = operator_id;
  options.index = index;
  options.parallelism = parallelism;
  options.folder = LocalFolder(operator_id, index);
  options.file_prefix = std::to_string(term()) + "-" + operator_id + "-" + std::to_string(index);
  const auto saved = SavedTasks(operator_id);
  const bool as_it_was = int32_t(saved.size()) == parallelism;
  if (as_it_was) {
    for (const proto::TaskState* task : saved) {
      if (task->index() != index) continue;
      ARROW_ASSIGN_OR_RAISE(options.restored,
                            RestoreStateFolder(*task, storage_.get(), options.folder));
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto store, OpenRocksStateStore({options.folder, memory_}));
  if (!as_it_was && !saved.empty()) {
    ARROW_RETURN_NOT_OK(Gather(saved, options.folder, index, parallelism, store.get()));
  }
  return std::make_unique<TaskState>(std::move(options), std::move(store), storage_.get());
}

Status JobState::CheckQuery(const std::string& operator_id, const std::string& fingerprint) const {
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
Status JobState::Gather(const std::vector<const proto::TaskState*>& saved,
                        const std::string& folder, int32_t index, int32_t parallelism,
                        StateStore* into) {
  const auto [first, last] = GroupsOf(index, parallelism);
  std::vector<std::string> headers;
  for (const proto::TaskState* task : saved) {
    const std::string aside = folder + ".from-" + std::to_string(task->index());
    ARROW_RETURN_NOT_OK(RestoreStateFolder(*task, storage_.get(), aside).status());
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
