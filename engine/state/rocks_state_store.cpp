#include "engine/state/rocks_state_store.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/iterator.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "engine/state/dead_space.h"
#include "engine/state/group_filter.h"
#include "engine/state/part_groups.h"
#include "engine/state/rocks_options.h"
#include "engine/state/state_folders.h"
#include "engine/state/state_key.h"

namespace millrace {
namespace {

constexpr size_t kWriteBytes = 1 << 20;

class RocksStateIterator final : public StateIterator {
 public:
  RocksStateIterator(std::shared_ptr<rocksdb::DB> db, std::string_view first, std::string_view last)
      : db_(std::move(db)), first_(first), last_(last), first_slice_(first_), last_slice_(last_) {
    // Read-ahead is RocksDB's own: it starts small and doubles up to 256 KB while reads follow one
    // another, so that a scan of a few keys reads a few blocks.
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &first_slice_;
    if (!last_.empty()) options.iterate_upper_bound = &last_slice_;
    iterator_.reset(db_->NewIterator(options));
    iterator_->Seek(first_slice_);
  }

  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return iterator_->key().ToStringView(); }
  std::string_view value() const override { return iterator_->value().ToStringView(); }
  void Next() override { iterator_->Next(); }
  void Seek(std::string_view key) override {
    iterator_->Seek(std::max<std::string_view>(key, first_));
  }
  Status status() const override {
    return FromRocks(iterator_->status(), "state_damaged", "cannot read saved state");
  }

 private:
  std::shared_ptr<rocksdb::DB> db_;  // before the iterator, which must go first
  const std::string first_;
  const std::string last_;
  const rocksdb::Slice first_slice_;
  const rocksdb::Slice last_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// The caller's thread fills the queue; the store's thread empties it, in order.
class RocksStateStore final : public StateStore {
 public:
  RocksStateStore(RocksStateOptions options, std::shared_ptr<rocksdb::DB> db)
      : folder_(std::move(options.folder)),
        memory_(std::static_pointer_cast<RocksStateMemory>(options.memory)),
        groups_(options.groups),
        queued_bytes_max_(kQueuedBytesMax / options.sharers),
        behind_bytes_(kBehindBytes / options.sharers),
        db_(std::move(db)),
        dead_space_(db_.get()),
        thread_(&RocksStateStore::Run, this) {}

  // What still waits is not written; checkpoints that wait fail.
  ~RocksStateStore() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Status Write(StateBatch batch) override;
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override;
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override;
  StateStoreStats stats() const override;
  bool IsBehind() const override {
    const std::lock_guard lock(mutex_);
    return queued_bytes_ > behind_bytes_;
  }

 private:
  struct CheckpointRequest {
    Epoch epoch;
    std::string folder;
    std::function<void(Result<StateCheckpoint>)> done;
  };
  using Item = std::variant<StateBatch, CheckpointRequest>;

  // On the store's thread.
  void Run();
  // One checkpoint, or batches for about one write; empty when the store closes.
  std::vector<Item> Take();
  void Apply(const std::vector<Item>& batches);
  Status WriteAll(const std::vector<Item>& batches);
  rocksdb::Status WritePending();
  Result<StateCheckpoint> Gather(Epoch epoch, const std::string& folder);
  rocksdb::Status Link(const std::string& folder);
  rocksdb::Status WriteGroups(const std::string& folder);
  Result<std::vector<StateFile>> FilesIn(const std::string& folder);
  void AnswerWaiting();
  void Fail(const Status& status);
  Status failure() const;

  const std::string folder_;
  const std::shared_ptr<RocksStateMemory> memory_;
  std::optional<PartGroups> groups_;  // store's thread, but for `own`, which stays
  const int64_t queued_bytes_max_;
  const int64_t behind_bytes_;
  const std::shared_ptr<rocksdb::DB> db_;
  DeadSpace dead_space_;         // store's thread
  rocksdb::WriteBatch pending_;  // store's thread

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // of what follows, all guarded by mutex_
  std::deque<Item> queue_;
  int64_t queued_bytes_ = 0;
  int64_t batches_given_ = 0;
  int64_t batches_done_ = 0;
  bool closing_ = false;
  Status failure_;  // the first one; it stays

  std::thread thread_;  // last: it uses everything above
};

Status RocksStateStore::Write(StateBatch batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queued_bytes_ <= queued_bytes_max_ || !failure_.ok(); });
  ARROW_RETURN_NOT_OK(failure_);
  if (batch.empty()) return Status::OK();
  queued_bytes_ += int64_t(batch.bytes());
  ++batches_given_;
  queue_.emplace_back(std::move(batch));
  changed_.notify_all();
  return Status::OK();
}

Result<std::unique_ptr<StateIterator>> RocksStateStore::Scan(std::string_view first,
                                                             std::string_view last) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_done_ == batches_given_ || !failure_.ok(); });
    ARROW_RETURN_NOT_OK(failure_);
  }
  std::unique_ptr<StateIterator> iterator = std::make_unique<RocksStateIterator>(db_, first, last);
  if (groups_.has_value()) iterator = OnlyGroups(std::move(iterator), groups_->own);
  ARROW_RETURN_NOT_OK(iterator->status());
  return iterator;
}

void RocksStateStore::Checkpoint(Epoch epoch, const std::string& folder,
                                 std::function<void(Result<StateCheckpoint>)> done) {
  const std::lock_guard lock(mutex_);
  queue_.emplace_back(CheckpointRequest{epoch, folder, std::move(done)});
  changed_.notify_all();
}

StateStoreStats RocksStateStore::stats() const {
  StateStoreStats stats;
  {
    const std::lock_guard lock(mutex_);
    stats.queued_bytes = queued_bytes_;
  }
  uint64_t bytes = 0;
  if (db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &bytes)) {
    stats.disk_bytes = int64_t(bytes);
  }
  if (db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &bytes)) {
    stats.memory_bytes = int64_t(bytes);
  }
  return stats;
}

void RocksStateStore::Run() {
  while (true) {
    std::vector<Item> items = Take();
    if (items.empty()) break;
    if (auto* const request = std::get_if<CheckpointRequest>(&items.front())) {
      request->done(Gather(request->epoch, request->folder));
      dead_space_.ReclaimIfWorthIt();
    } else {
      Apply(items);
    }
  }
  AnswerWaiting();
}

std::vector<RocksStateStore::Item> RocksStateStore::Take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !queue_.empty() || closing_; });
  std::vector<Item> items;
  if (closing_) return items;
  size_t bytes = 0;
  while (!queue_.empty() && bytes < kWriteBytes) {
    const auto* const batch = std::get_if<StateBatch>(&queue_.front());
    if (batch == nullptr && !items.empty()) break;
    items.push_back(std::move(queue_.front()));
    queue_.pop_front();
    if (batch == nullptr) break;
    bytes += std::get<StateBatch>(items.back()).bytes();
  }
  return items;
}

void RocksStateStore::Apply(const std::vector<Item>& batches) {
  const Status status = WriteAll(batches);
  int64_t bytes = 0;
  for (const Item& batch : batches) bytes += int64_t(std::get<StateBatch>(batch).bytes());
  {
    const std::lock_guard lock(mutex_);
    queued_bytes_ -= bytes;
    batches_done_ += int64_t(batches.size());
    if (failure_.ok()) failure_ = status;
  }
  changed_.notify_all();
}

Status RocksStateStore::WriteAll(const std::vector<Item>& batches) {
  ARROW_RETURN_NOT_OK(failure());
  DeadSpace::Ranges deleted;
  rocksdb::Status status;
  const auto collect = [&](StateBatch::Kind kind, std::string_view key, std::string_view second) {
    if (kind == StateBatch::Kind::kDeleteRange) deleted.emplace_back(key, second);
  };
  for (const Item& batch : batches) std::get<StateBatch>(batch).ForEach(collect);
  status = dead_space_.BeforeDeleting(deleted);

  const auto add = [&](StateBatch::Kind kind, std::string_view key, std::string_view second) {
    if (!status.ok()) return;
    switch (kind) {
      case StateBatch::Kind::kPut:
        if (groups_.has_value() && !IsOfGroups(key, groups_->own)) {
          status = rocksdb::Status::InvalidArgument("an entry is of a key group of another store");
          return;
        }
        status = pending_.Put(key, second);
        break;
      case StateBatch::Kind::kDelete:
        status = pending_.Delete(key);
        break;
      case StateBatch::Kind::kDeleteRange:
        status = pending_.DeleteRange(key, second);
        break;
    }
    if (status.ok() && pending_.GetDataSize() >= kWriteBytes) status = WritePending();
  };
  for (const Item& batch : batches) std::get<StateBatch>(batch).ForEach(add);
  if (status.ok() && pending_.Count() > 0) status = WritePending();
  return FromRocks(status, "state_write_failed", "cannot write state into " + folder_);
}

rocksdb::Status RocksStateStore::WritePending() {
  // Other stores may hold most of the memory; each that wants more makes room by itself, so none
  // waits for another.
  if (memory_->MemtablesFull()) {
    if (const rocksdb::Status status = db_->Flush({}); !status.ok()) return status;
  }
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const rocksdb::Status status = db_->Write(options, &pending_);
  pending_.Clear();
  return status;
}

// A folder of this name is complete: it gets its name when everything in it is safe.
Result<StateCheckpoint> RocksStateStore::Gather(Epoch epoch, const std::string& folder) {
  ARROW_RETURN_NOT_OK(failure());
  if (db_->GetEnv()->FileExists(folder).ok()) {
    return InternalError("checkpoint_folder_exists", folder + " exists already");
  }
  const Status linked =
      FromRocks(Link(folder), "state_write_failed", "cannot gather a checkpoint into " + folder);
  if (!linked.ok()) {
    Fail(linked);
    return linked;
  }
  StateCheckpoint checkpoint{epoch, folder, {}};
  ARROW_ASSIGN_OR_RAISE(checkpoint.files, FilesIn(folder));
  return checkpoint;
}

rocksdb::Status RocksStateStore::Link(const std::string& folder) {
  const std::string aside = folder + ".part";
  // Before the files are gathered: what is compacted later is not in them.
  if (groups_.has_value() && dead_space_.is_reclaimed()) groups_->held = groups_->own.count();
  rocksdb::Status status = MakeFolders(db_->GetEnv(), ParentOf(folder));
  if (status.ok()) status = db_->Flush({});
  rocksdb::Checkpoint* made = nullptr;
  if (status.ok()) status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // Syncs the files that it copies, and the folder.
  if (status.ok()) status = checkpoint->CreateCheckpoint(aside);
  if (status.ok() && groups_.has_value()) status = WriteGroups(aside);
  return status.ok() ? RenameFolder(db_->GetEnv(), aside, folder) : status;
}

rocksdb::Status RocksStateStore::WriteGroups(const std::string& folder) {
  const std::string path = folder + "/" + std::string(PartGroups::kFileName);
  const rocksdb::Status status =
      rocksdb::WriteStringToFile(db_->GetEnv(), groups_->Encode(), path, /*should_sync=*/true);
  return status.ok() ? SyncFolder(db_->GetEnv(), folder) : status;
}

Result<std::vector<StateFile>> RocksStateStore::FilesIn(const std::string& folder) {
  std::vector<rocksdb::Env::FileAttributes> found;
  ARROW_RETURN_NOT_OK(FromRocks(db_->GetEnv()->GetChildrenFileAttributes(folder, &found),
                                "state_write_failed", "cannot list " + folder));
  std::vector<StateFile> files;
  for (const auto& file : found) {
    if (file.name == "." || file.name == "..") continue;
    files.push_back({file.name, int64_t(file.size_bytes)});
  }
  std::sort(files.begin(), files.end(),
            [](const StateFile& a, const StateFile& b) { return a.name < b.name; });
  return files;
}

void RocksStateStore::AnswerWaiting() {
  std::deque<Item> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(queue_);
  }
  for (Item& item : waiting) {
    if (auto* const request = std::get_if<CheckpointRequest>(&item)) {
      request->done(Status::Cancelled("the state store of ", folder_, " was closed"));
    }
  }
}

void RocksStateStore::Fail(const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = status;
  }
  changed_.notify_all();
}

Status RocksStateStore::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

// Whether there is a state to open. Files without the one that names the current manifest are what
// a cut restore leaves; RocksDB would take them for garbage and begin anew.
Result<bool> HoldsState(rocksdb::Env* env, const std::string& folder) {
  ARROW_RETURN_NOT_OK(FromRocks(MakeFolders(env, folder), "state_open_failed",
                                "cannot make the state folder " + folder));
  if (env->FileExists(folder + "/CURRENT").ok()) return true;
  std::vector<std::string> names;
  ARROW_RETURN_NOT_OK(FromRocks(env->GetChildren(folder, &names), "state_open_failed",
                                "cannot list the state folder " + folder));
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  if (names.empty()) return false;
  return ExternalError("state_damaged",
                       "the state folder " + folder + " holds files, but no CURRENT among them",
                       Retry::kNo);
}

}  // namespace

Result<std::unique_ptr<StateStore>> OpenRocksStateStore(RocksStateOptions options,
                                                        rocksdb::Env* env) {
  ARROW_ASSIGN_OR_RAISE(const bool exists, HoldsState(env, options.folder));
  rocksdb::Options settings =
      MakeRocksOptions(static_cast<const RocksStateMemory&>(*options.memory), env);
  settings.create_if_missing = !exists;
  if (options.groups.has_value()) {
    settings.compaction_filter_factory = DropOtherGroups(options.groups->own);
  }
  rocksdb::DB* opened = nullptr;
  ARROW_RETURN_NOT_OK(FromRocks(rocksdb::DB::Open(settings, options.folder, &opened),
                                "state_open_failed", "cannot open the state in " + options.folder));
  return std::make_unique<RocksStateStore>(std::move(options),
                                           std::shared_ptr<rocksdb::DB>(opened));
}

Result<std::unique_ptr<StateStore>> OpenRocksStateStore(RocksStateOptions options) {
  return OpenRocksStateStore(std::move(options), rocksdb::Env::Default());
}

}  // namespace millrace
