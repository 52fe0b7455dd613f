// Files of checkpoints on any Arrow file system: state files, outbox segments, manifests. Blocking;
// every method may be called from any thread. Paths are relative to the root. Layout:
//
//   manifests/<epoch>-<term>.manifest    a proto::Manifest with a header that names its format
//   state/<name>                         RocksDB's files, shared by the checkpoints that hold them
//   outbox/<name>                        segments
//   savepoints/<name>/...                the same layout again, complete in itself
//
// Names hold the term and a number that is never used twice, so nothing is ever overwritten
// ("file_exists"). What is cut short by a crash stays under its name, in no manifest: List finds
// it. Besides the errors that are named below, writing fails with "disk_full" and
// "storage_write_failed", reading with "storage_read_failed" (external).
// docs/exactly-once.md, "Bytes on disk".
#pragma once

#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

inline constexpr int32_t kManifestFormat = 1;

// A file that is being written. Dropped without Finish, it is removed.
class StoredFileWriter {
 public:
  virtual ~StoredFileWriter() = default;
  virtual Status Write(std::string_view bytes) = 0;
  // Complete and safe (synced where the file system is local) once it returns.
  virtual Result<proto::StoredFile> Finish() = 0;
  virtual int64_t bytes() const = 0;
};

class CheckpointStorage {
 public:
  // Makes the folders. "unwritable_path" (user).
  static Result<std::unique_ptr<CheckpointStorage>> Open(
      std::shared_ptr<arrow::fs::FileSystem> filesystem, std::string root);
  virtual ~CheckpointStorage() = default;

  virtual Result<std::unique_ptr<StoredFileWriter>> Create(const std::string& path) = 0;
  // A local file, by hard link where the storage is local too, else by copying. It is read once,
  // for its checksum. local_name is the last part of local_path.
  virtual Result<proto::StoredFile> Upload(const std::string& local_path,
                                           const std::string& path) = 0;
  // To a new local file. Where both are local, RocksDB's tables (.sst), which are never written to
  // again, become hard links of which only the size is checked: Verify reads them. All else is
  // copied and checked: "checkpoint_damaged".
  virtual Status Download(const proto::StoredFile& file, const std::string& local_path) = 0;
  // "checkpoint_damaged" where it is missing or has another size; its checksum is not looked at.
  virtual Result<std::shared_ptr<arrow::io::RandomAccessFile>> Read(
      const proto::StoredFile& file) = 0;

  // That it is there with its size and checksum: "checkpoint_damaged" (names the file, and what
  // differs), or what kept it from being read.
  virtual Status Verify(const proto::StoredFile& file) = 0;

  // manifests/...; the same bytes for the same manifest. Sets `format`. "message_unwritable"
  // (internal) where it could not be read back: text that is not UTF-8.
  virtual Result<proto::StoredFile> WriteManifest(const proto::Manifest& manifest) = 0;
  // "checkpoint_damaged", "format_too_new" (names both formats).
  virtual Result<proto::Manifest> ReadManifest(const proto::StoredFile& file) = 0;

  // Every file under manifests/, state/ and outbox/.
  virtual Result<std::vector<std::string>> List() = 0;
  // Missing ones are no error.
  virtual Status Remove(const std::vector<std::string>& paths) = 0;

  // A complete copy of the checkpoint under savepoints/<name>, which is there once it is complete.
  // It holds no outbox: segments that the manifest itself says are published (published_epoch,
  // published_row) are left out; with others, or with rows of file sinks, it is refused
  // ("savepoint_with_output", internal). "savepoint_exists", "bad_savepoint_name" (user: letters,
  // digits, '-', '_'), "checkpoint_damaged".
  virtual Status WriteSavepoint(const std::string& name, const proto::Manifest& manifest) = 0;
  // The manifest of a savepoint, whose paths are made relative to this storage's root:
  // "savepoint_missing" (user, with the nearest name).
  virtual Result<proto::Manifest> ReadSavepoint(const std::string& name) = 0;
  virtual Result<std::vector<std::string>> ListSavepoints() = 0;
  virtual Status RemoveSavepoint(const std::string& name) = 0;

  virtual const std::string& root() const = 0;
};

// Every path that a manifest needs: state, segments; not the manifest's own.
std::set<std::string> FilesOf(const proto::Manifest& manifest);

}  // namespace millrace
