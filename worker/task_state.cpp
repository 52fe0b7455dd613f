#include "worker/task_state.h"

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "engine/env/crash_point.h"

namespace millrace {
namespace {

constexpr std::string_view kStateFolder = "state/";

// RocksDB's table files are written once; everything else of a checkpoint is of that checkpoint.
bool IsTable(const std::string& name) { return name.ends_with(".sst"); }

Status FromFileError(const std::error_code& error, const std::string& what) {
  if (!error) return Status::OK();
  return ExternalError(error == std::errc::no_space_on_device ? "disk_full" : "state_open_failed",
                       what + ": " + error.message(), Retry::kNo);
}

}  // namespace

TaskState::TaskState(TaskStateOptions options, std::unique_ptr<StateStore> store,
                     CheckpointStorage* storage)
    : options_(std::move(options)),
      storage_(storage),
      stored_(options_.restored),
      store_(std::move(store)) {}

TaskState::~TaskState() { store_.reset(); }

void TaskState::Gather(Epoch epoch, const std::string& fingerprint,
                       std::function<void(Epoch, Result<proto::TaskState>)> done) {
  CrashPoint("state_gather");
  const std::string folder = options_.folder + ".epoch-" + std::to_string(epoch.value());
  store_->Checkpoint(epoch, folder,
                     [this, epoch, fingerprint, done](Result<StateCheckpoint> gathered) {
                       if (!gathered.ok()) return done(epoch, gathered.status());
                       CrashPoint("state_gathered");
                       auto uploaded = Upload(*gathered, fingerprint);
                       std::error_code error;  // what stays is removed by the next start
                       std::filesystem::remove_all(gathered->folder, error);
                       done(epoch, std::move(uploaded));
                     });
}

Result<proto::TaskState> TaskState::Upload(const StateCheckpoint& checkpoint,
                                           const std::string& fingerprint) {
  proto::TaskState state;
  state.set_operator_id(options_.operator_id);
  state.set_index(options_.index);
  state.set_parallelism(options_.parallelism);
  state.set_fingerprint(fingerprint);
  std::map<std::string, proto::StoredFile> tables;
  int64_t bytes = 0;
  for (const StateFile& file : checkpoint.files) {
    bytes += file.bytes;
    if (const auto known = stored_.find(file.name); known != stored_.end()) {
      tables.insert(*known);
      *state.add_files() = known->second;
      continue;
    }
    const bool table = IsTable(file.name);
    std::string name = file.name;
    std::ranges::replace(name, '/', '-');
    const std::string path = std::string(kStateFolder) + options_.file_prefix + "-" +
                             (table ? "" : std::to_string(checkpoint.epoch.value()) + "-") + name;
    CrashPoint("state_upload");
    ARROW_ASSIGN_OR_RAISE(proto::StoredFile stored,
                          storage_->Upload(checkpoint.folder + "/" + file.name, path));
    CrashPoint("state_uploaded");
    stored.set_local_name(file.name);
    uploaded_bytes_ += stored.bytes();
    if (table) tables[file.name] = stored;
    *state.add_files() = std::move(stored);
  }
  stored_ = std::move(tables);
  bytes_ = bytes;
  return state;
}

TaskState::Figures TaskState::figures() const { return {bytes_, uploaded_bytes_}; }

bool IsOfSavepoint(const proto::StoredFile& file) { return !file.path().starts_with(kStateFolder); }

std::string PrefixOf(const proto::StoredFile& file) {
  return file.local_name().substr(0, file.local_name().rfind('/') + 1);
}

Result<std::map<std::string, proto::StoredFile>> RestoreStateFolder(const proto::TaskState& saved,
                                                                    CheckpointStorage* storage,
                                                                    const std::string& folder,
                                                                    const std::string& prefix,
                                                                    const std::string& as) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ARROW_RETURN_NOT_OK(FromFileError(error, "cannot make " + folder));
  std::map<std::string, proto::StoredFile> tables;
  for (const proto::StoredFile& file : saved.files()) {
    if (PrefixOf(file) != prefix) continue;
    const std::string name = file.local_name().substr(prefix.size());
    ARROW_RETURN_NOT_OK(storage->Download(file, folder + "/" + name));
    // A savepoint's files stay its own: a checkpoint that referred to them would take them along
    // when it is removed.
    if (IsOfSavepoint(file) || !IsTable(name)) continue;
    proto::StoredFile& table = tables[as + name];
    table = file;
    table.set_local_name(as + name);
  }
  return tables;
}

}  // namespace millrace
