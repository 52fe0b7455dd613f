// Folders that are there after a crash. Internal to engine/state.
#pragma once

#include <rocksdb/env.h>

#include <string>

namespace millrace {

std::string ParentOf(const std::string& path);
rocksdb::Status SyncFolder(rocksdb::Env* env, const std::string& folder);
// With those above it, each safe once it is there.
rocksdb::Status MakeFolders(rocksdb::Env* env, const std::string& folder);
// To a name that is not taken, in the same folder.
rocksdb::Status RenameFolder(rocksdb::Env* env, const std::string& from, const std::string& to);

}  // namespace millrace
