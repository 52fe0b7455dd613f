#include "engine/state/crash_file_system_testing.h"

#include <algorithm>
#include <set>

namespace millrace {
namespace {

using rocksdb::IOStatus;
using rocksdb::Slice;

std::pair<std::string, std::string> Split(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.find_last_of('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

class HeldLock final : public rocksdb::FileLock {};

class NoLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// What `bytes` hold at an offset; the memory is the caller's.
Slice CopyOut(const std::string& bytes, uint64_t offset, size_t size, char* scratch) {
  const size_t first = std::min<size_t>(offset, bytes.size());
  const size_t copied = bytes.copy(scratch, size, first);
  return Slice(scratch, copied);
}

}  // namespace

// ---- open files --------------------------------------------------------------------------------

class CrashFileSystem::OpenSequential final : public rocksdb::FSSequentialFile {
 public:
  OpenSequential(CrashFileSystem* files, NodePtr node) : files_(files), node_(std::move(node)) {}
  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch, Context*) override {
    const std::lock_guard lock(files_->mutex_);
    *result = CopyOut(node_->bytes, offset_, size, scratch);
    offset_ += result->size();
    return IOStatus::OK();
  }
  IOStatus Skip(uint64_t size) override {
    offset_ += size;
    return IOStatus::OK();
  }

 private:
  CrashFileSystem* files_;
  NodePtr node_;
  uint64_t offset_ = 0;
};

class CrashFileSystem::OpenRandomAccess final : public rocksdb::FSRandomAccessFile {
 public:
  OpenRandomAccess(CrashFileSystem* files, NodePtr node) : files_(files), node_(std::move(node)) {}
  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                Context*) const override {
    const std::lock_guard lock(files_->mutex_);
    *result = CopyOut(node_->bytes, offset, size, scratch);
    return IOStatus::OK();
  }

 private:
  CrashFileSystem* files_;
  NodePtr node_;
};

class CrashFileSystem::OpenWritable final : public rocksdb::FSWritableFile {
 public:
  OpenWritable(CrashFileSystem* files, NodePtr node) : files_(files), node_(std::move(node)) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, Context*) override {
    const std::lock_guard lock(files_->mutex_);
    return files_->Append(node_.get(), data);
  }
  IOStatus Sync(const IOOptions&, Context*) override {
    const std::lock_guard lock(files_->mutex_);
    return files_->SyncFile(node_.get());
  }
  IOStatus Flush(const IOOptions&, Context*) override { return IOStatus::OK(); }
  IOStatus Close(const IOOptions&, Context*) override { return IOStatus::OK(); }
  uint64_t GetFileSize(const IOOptions&, Context*) override {
    const std::lock_guard lock(files_->mutex_);
    return node_->bytes.size();
  }

 private:
  CrashFileSystem* files_;
  NodePtr node_;
};

class CrashFileSystem::OpenFolder final : public rocksdb::FSDirectory {
 public:
  OpenFolder(CrashFileSystem* files, NodePtr node) : files_(files), node_(std::move(node)) {}
  IOStatus Fsync(const IOOptions&, Context*) override {
    const std::lock_guard lock(files_->mutex_);
    return files_->SyncFolder(node_.get());
  }

 private:
  CrashFileSystem* files_;
  NodePtr node_;
};

// ---- what a test does --------------------------------------------------------------------------

void CrashFileSystem::CrashAt(int64_t operation) {
  const std::lock_guard lock(mutex_);
  crash_at_ = operation;
}

void CrashFileSystem::Recover() {
  const std::lock_guard lock(mutex_);
  crash_at_ = INT64_MAX;
  LoseUnsynced(root_.get());
}

void CrashFileSystem::FailFrom(int64_t operation, IOStatus status) {
  const std::lock_guard lock(mutex_);
  fail_from_ = operation;
  failure_ = std::move(status);
}

void CrashFileSystem::SetCapacity(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
  used_ = CountBytes();
}

int64_t CrashFileSystem::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

bool CrashFileSystem::crashed() const {
  const std::lock_guard lock(mutex_);
  return operations_ >= crash_at_;
}

std::map<std::string, std::string> CrashFileSystem::Contents(const std::string& folder) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> contents;
  const NodePtr found = Find(folder);
  if (found == nullptr) return contents;
  for (const auto& [name, node] : found->now) {
    if (!node->folder) contents[name] = node->bytes;
  }
  return contents;
}

void CrashFileSystem::Overwrite(const std::string& path, std::string bytes) {
  const std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  node->bytes = std::move(bytes);
  node->synced = node->bytes.size();
}

int64_t CrashFileSystem::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return CountBytes();
}

void CrashFileSystem::RemoveFolder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  const NodePtr parent = FolderOf(folder);
  parent->now.erase(Split(folder).second);
  parent->safe.erase(Split(folder).second);
}

// ---- the rules of the disk ---------------------------------------------------------------------

IOStatus CrashFileSystem::Change() {
  ++operations_;
  if (operations_ >= crash_at_) return IOStatus::IOError("crashed");
  if (operations_ >= fail_from_) return failure_;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::Append(Node* node, const Slice& data) {
  if (IOStatus status = Change(); !status.ok()) {
    // A write that fails may have been done in part.
    if (crash_at_ == INT64_MAX || operations_ == crash_at_) {
      node->bytes.append(data.data(), random_() % (data.size() + 1));
    }
    return status;
  }
  if (capacity_ != INT64_MAX) {
    if (used_ + int64_t(data.size()) > capacity_) return IOStatus::NoSpace("the disk is full");
    used_ += int64_t(data.size());
  }
  node->bytes.append(data.data(), data.size());
  return IOStatus::OK();
}

IOStatus CrashFileSystem::SyncFile(Node* node) {
  if (IOStatus status = Change(); !status.ok()) return status;
  node->synced = node->bytes.size();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::SyncFolder(Node* node) {
  if (IOStatus status = Change(); !status.ok()) return status;
  node->safe = node->now;
  return IOStatus::OK();
}

void CrashFileSystem::LoseUnsynced(Node* node) {
  if (!node->folder) {
    const size_t unsynced = node->bytes.size() - std::min(node->synced, node->bytes.size());
    const size_t kept = unsynced == 0 ? 0 : random_() % (unsynced + 1);
    node->bytes.resize(node->bytes.size() - unsynced + kept);
    // Blocks that were given to a file and never written hold anything.
    if (kept > 0 && random_() % 2 == 0) node->bytes.back() = char(random_());
    node->synced = node->bytes.size();
    return;
  }
  std::set<std::string> names;
  for (const auto& [name, child] : node->now) names.insert(name);
  for (const auto& [name, child] : node->safe) names.insert(name);
  for (const std::string& name : names) {
    const auto safe = node->safe.find(name);
    const NodePtr before = safe == node->safe.end() ? nullptr : safe->second;
    if (node->now[name] != before && random_() % 2 == 0) node->now[name] = before;
    if (node->now[name] == nullptr) node->now.erase(name);
  }
  node->safe = node->now;
  for (const auto& [name, child] : node->now) LoseUnsynced(child.get());
}

int64_t CrashFileSystem::CountBytes() const {
  std::set<const Node*> seen;
  int64_t bytes = 0;
  std::vector<const Node*> waiting{root_.get()};
  while (!waiting.empty()) {
    const Node* const node = waiting.back();
    waiting.pop_back();
    if (!seen.insert(node).second) continue;
    bytes += int64_t(node->bytes.size());
    for (const auto& [name, child] : node->now) waiting.push_back(child.get());
  }
  return bytes;
}

// ---- names -------------------------------------------------------------------------------------

CrashFileSystem::NodePtr CrashFileSystem::Find(const std::string& path) const {
  NodePtr node = root_;
  size_t begin = 0;
  while (begin < path.size() && node != nullptr) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    const auto found = node->now.find(name);
    node = found == node->now.end() ? nullptr : found->second;
  }
  return node;
}

CrashFileSystem::NodePtr CrashFileSystem::FolderOf(const std::string& path) const {
  return Find(Split(path).first);
}

IOStatus CrashFileSystem::FindFile(const std::string& path, NodePtr* node) const {
  *node = Find(path);
  return *node == nullptr ? IOStatus::PathNotFound(path) : IOStatus::OK();
}

IOStatus CrashFileSystem::AddName(const std::string& path, NodePtr node) {
  const NodePtr folder = FolderOf(path);
  if (folder == nullptr) return IOStatus::PathNotFound(path);
  if (IOStatus status = Change(); !status.ok()) return status;
  folder->now[Split(path).second] = std::move(node);
  return IOStatus::OK();
}

// ---- rocksdb::FileSystem -----------------------------------------------------------------------

IOStatus CrashFileSystem::NewSequentialFile(const std::string& path, const FileOptions&,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                            Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  *file = std::make_unique<OpenSequential>(this, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewRandomAccessFile(const std::string& path, const FileOptions&,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                              Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  *file = std::make_unique<OpenRandomAccess>(this, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewWritableFile(const std::string& path, const FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file,
                                          Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (node != nullptr) {  // opened anew, with all of its names
    if (IOStatus status = Change(); !status.ok()) return status;
    node->bytes.clear();
    node->synced = 0;
  } else {
    node = std::make_shared<Node>();
    if (IOStatus status = AddName(path, node); !status.ok()) return status;
  }
  *file = std::make_unique<OpenWritable>(this, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewDirectory(const std::string& path, const IOOptions&,
                                       std::unique_ptr<rocksdb::FSDirectory>* folder, Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  *folder = std::make_unique<OpenFolder>(this, std::move(node));
  return IOStatus::OK();
}

IOStatus CrashFileSystem::FileExists(const std::string& path, const IOOptions&, Context*) {
  const std::lock_guard lock(mutex_);
  return Find(path) == nullptr ? IOStatus::NotFound(path) : IOStatus::OK();
}

IOStatus CrashFileSystem::GetChildren(const std::string& path, const IOOptions&,
                                      std::vector<std::string>* names, Context*) {
  const std::lock_guard lock(mutex_);
  names->clear();
  NodePtr node;
  if (!FindFile(path, &node).ok()) return IOStatus::NotFound(path);
  for (const auto& [name, child] : node->now) names->push_back(name);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::DeleteFile(const std::string& path, const IOOptions&, Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  if (IOStatus status = Change(); !status.ok()) return status;
  FolderOf(path)->now.erase(Split(path).second);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::CreateDir(const std::string& path, const IOOptions&, Context*) {
  const std::lock_guard lock(mutex_);
  return Find(path) != nullptr ? IOStatus::IOError(path, "exists") : AddFolder(path);
}

// In one step, as mkdir: several threads may want the same one.
IOStatus CrashFileSystem::CreateDirIfMissing(const std::string& path, const IOOptions&, Context*) {
  const std::lock_guard lock(mutex_);
  return Find(path) != nullptr ? IOStatus::OK() : AddFolder(path);
}

IOStatus CrashFileSystem::AddFolder(const std::string& path) {
  auto node = std::make_shared<Node>();
  node->folder = true;
  return AddName(path, std::move(node));
}

IOStatus CrashFileSystem::DeleteDir(const std::string& path, const IOOptions& options,
                                    Context* context) {
  return DeleteFile(path, options, context);
}

IOStatus CrashFileSystem::GetFileSize(const std::string& path, const IOOptions&, uint64_t* bytes,
                                      Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  *bytes = node->bytes.size();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetFileModificationTime(const std::string& path, const IOOptions&,
                                                  uint64_t* time, Context*) {
  *time = 0;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions&, Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(from, &node); !status.ok()) return status;
  if (IOStatus status = AddName(to, node); !status.ok()) return status;
  FolderOf(from)->now.erase(Split(from).second);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                                   Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(from, &node); !status.ok()) return status;
  if (Find(to) != nullptr) return IOStatus::IOError(to, "exists");
  return AddName(to, std::move(node));
}

IOStatus CrashFileSystem::IsDirectory(const std::string& path, const IOOptions&, bool* is,
                                      Context*) {
  const std::lock_guard lock(mutex_);
  NodePtr node;
  if (IOStatus status = FindFile(path, &node); !status.ok()) return status;
  *is = node->folder;
  return IOStatus::OK();
}

IOStatus CrashFileSystem::LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                                   Context*) {
  *lock = new HeldLock();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, Context*) {
  delete static_cast<HeldLock*>(lock);
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetTestDirectory(const IOOptions&, std::string* path, Context*) {
  *path = "/test";
  return IOStatus::OK();
}

IOStatus CrashFileSystem::NewLogger(const std::string&, const IOOptions&,
                                    std::shared_ptr<rocksdb::Logger>* logger, Context*) {
  *logger = std::make_shared<NoLogger>();
  return IOStatus::OK();
}

IOStatus CrashFileSystem::GetAbsolutePath(const std::string& path, const IOOptions&,
                                          std::string* absolute, Context*) {
  *absolute = path;
  return IOStatus::OK();
}

}  // namespace millrace
