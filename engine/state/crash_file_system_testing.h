// For tests: a file system in memory that can crash and fail, as a disk might at its worst.
//
// Bytes survive a crash once their file was synced, names once their folder was; of everything else
// a random part survives, each name for itself: a file may have its name and none of its bytes, or
// a torn end. Files are inodes, so hard links behave. Every change is an operation with a number: a
// test runs through all of them, and lets the n-th be the last before the crash.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace millrace {

class CrashFileSystem final : public rocksdb::FileSystem {
 public:
  explicit CrashFileSystem(uint64_t seed) : random_(seed) {}

  // ---- what a test does -------------------------------------------------------------------------

  // Operation number `operation` (the first is 1) and all later ones fail, the way all do on a
  // machine that is off, until Recover.
  void CrashAt(int64_t operation);
  // Loses what was not synced. No file may be open.
  void Recover();
  // All changes fail with `status` from operation `operation` on; OK ends it.
  void FailFrom(int64_t operation, rocksdb::IOStatus status);
  // More bytes than this do not fit.
  void SetCapacity(int64_t bytes);
  int64_t operations() const;
  bool crashed() const;

  // Bytes of every file of a folder, by name.
  std::map<std::string, std::string> Contents(const std::string& folder) const;
  // Gives a file other bytes, in place: under all of its names.
  void Overwrite(const std::string& path, std::string bytes);
  // Bytes on the disk, each inode once.
  int64_t used_bytes() const;
  void RemoveFolder(const std::string& folder);

  // ---- rocksdb::FileSystem ----------------------------------------------------------------------
  using IOStatus = rocksdb::IOStatus;
  using IOOptions = rocksdb::IOOptions;
  using FileOptions = rocksdb::FileOptions;
  using Context = rocksdb::IODebugContext;

  const char* Name() const override { return "CrashFileSystem"; }
  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                             Context* context) override;
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               Context* context) override;
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           Context* context) override;
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* folder, Context* context) override;
  IOStatus FileExists(const std::string& path, const IOOptions& options, Context* context) override;
  IOStatus GetChildren(const std::string& path, const IOOptions& options,
                       std::vector<std::string>* names, Context* context) override;
  IOStatus DeleteFile(const std::string& path, const IOOptions& options, Context* context) override;
  IOStatus CreateDir(const std::string& path, const IOOptions& options, Context* context) override;
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                              Context* context) override;
  IOStatus DeleteDir(const std::string& path, const IOOptions& options, Context* context) override;
  IOStatus GetFileSize(const std::string& path, const IOOptions& options, uint64_t* bytes,
                       Context* context) override;
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions& options,
                                   uint64_t* time, Context* context) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      Context* context) override;
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    Context* context) override;
  IOStatus IsDirectory(const std::string& path, const IOOptions& options, bool* is,
                       Context* context) override;
  IOStatus LockFile(const std::string& path, const IOOptions& options, rocksdb::FileLock** lock,
                    Context* context) override;
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions& options, Context* context) override;
  IOStatus GetTestDirectory(const IOOptions& options, std::string* path, Context* context) override;
  IOStatus NewLogger(const std::string& path, const IOOptions& options,
                     std::shared_ptr<rocksdb::Logger>* logger, Context* context) override;
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions& options, std::string* absolute,
                           Context* context) override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;
  struct Node {
    bool folder = false;
    std::string bytes;  // of a file
    size_t synced = 0;  // how many of them are safe
    Names now;          // of a folder
    Names safe;
  };
  class OpenSequential;
  class OpenRandomAccess;
  class OpenWritable;
  class OpenFolder;

  // All under mutex_.
  IOStatus Change();  // counts an operation, and says whether it happens
  NodePtr Find(const std::string& path) const;
  NodePtr FolderOf(const std::string& path) const;
  IOStatus FindFile(const std::string& path, NodePtr* node) const;
  IOStatus Append(Node* node, const rocksdb::Slice& data);
  IOStatus SyncFile(Node* node);
  IOStatus SyncFolder(Node* node);
  IOStatus AddName(const std::string& path, NodePtr node);
  IOStatus AddFolder(const std::string& path);
  void LoseUnsynced(Node* node);
  int64_t CountBytes() const;

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  NodePtr root_ = std::make_shared<Node>(Node{true, {}, 0, {}, {}});
  int64_t operations_ = 0;
  int64_t crash_at_ = INT64_MAX;
  int64_t fail_from_ = INT64_MAX;
  IOStatus failure_;
  int64_t capacity_ = INT64_MAX;
  int64_t used_ = 0;  // kept only where there is a capacity
};

}  // namespace millrace
