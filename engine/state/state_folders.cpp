#include "engine/state/state_folders.h"

#include <rocksdb/file_system.h>

#include <memory>

namespace millrace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

rocksdb::Status SyncFolder(rocksdb::Env* env, const std::string& folder) {
  std::unique_ptr<rocksdb::FSDirectory> opened;
  const rocksdb::Status status = env->GetFileSystem()->NewDirectory(folder, {}, &opened, nullptr);
  return status.ok() ? rocksdb::Status(opened->Fsync({}, nullptr)) : status;
}

rocksdb::Status MakeFolders(rocksdb::Env* env, const std::string& folder) {
  if (env->FileExists(folder).ok()) return rocksdb::Status::OK();
  const std::string parent = ParentOf(folder);
  if (parent.size() < folder.size()) {
    if (const rocksdb::Status status = MakeFolders(env, parent); !status.ok()) return status;
  }
  const rocksdb::Status status = env->CreateDirIfMissing(folder);
  return status.ok() ? SyncFolder(env, parent) : status;
}

rocksdb::Status RenameFolder(rocksdb::Env* env, const std::string& from, const std::string& to) {
  const rocksdb::Status status = env->RenameFile(from, to);
  return status.ok() ? SyncFolder(env, ParentOf(to)) : status;
}

}  // namespace millrace
