#include "engine/storage/checkpoint_storage.h"

#include <arrow/buffer.h>
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "engine/base/diagnostics.h"
#include "engine/storage/checksum.h"
#include "engine/storage/local_files.h"
#include "engine/storage/savepoints.h"
#include "engine/storage/sealed_message.h"
#include "engine/storage/stored_file_writer.h"

namespace millrace {
namespace {

using arrow::fs::FileType;

constexpr int64_t kReadBytes = 1 << 20;
constexpr const char* kFolders[] = {"manifests", "state", "outbox"};
constexpr const char* kSavepoints = "savepoints";
constexpr std::string_view kAside = ".aside-";
constexpr SealedKind kManifestKind = {"MILLRACE", kManifestFormat, "checkpoint_damaged"};

// A path out of a manifest must not lead out of the storage.
bool IsInside(const std::string& path) {
  for (size_t begin = 0;;) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.size()) return path.find('\0') == std::string::npos;
    begin = end + 1;
  }
}

class FileCheckpointStorage final : public CheckpointStorage {
 public:
  FileCheckpointStorage(std::shared_ptr<arrow::fs::FileSystem> filesystem, std::string root)
      : filesystem_(std::move(filesystem)), root_(std::move(root)), local_(IsLocal(*filesystem_)) {}

  Status MakeLayout() {
    for (const char* folder : kFolders) ARROW_RETURN_NOT_OK(MakeFolder(folder));
    ARROW_RETURN_NOT_OK(MakeFolder(kSavepoints));
    ARROW_ASSIGN_OR_RAISE(auto probe, Create("state/.probe-" + MakeNonce()));
    return probe->Write("probe");  // removed with its writer
  }

  const std::string& root() const override { return root_; }

  Result<std::unique_ptr<StoredFileWriter>> Create(const std::string& path) override {
    if (!IsInside(path)) return InternalError("bad_path", "no path inside the storage: " + path);
    const std::string folder = FolderOf(path);
    if (std::find(std::begin(kFolders), std::end(kFolders), folder) == std::end(kFolders)) {
      ARROW_RETURN_NOT_OK(WriteError(MakeFolder(folder), folder));
    }
    return CreateStoredFile(filesystem_, Full(path), path);
  }

  Result<proto::StoredFile> Upload(const std::string& local_path,
                                   const std::string& path) override {
    if (!IsInside(path)) return InternalError("bad_path", "no path inside the storage: " + path);
    bool linked = false;
    if (local_) {
      ARROW_ASSIGN_OR_RAISE(linked, Link(local_path, path));
    }
    proto::StoredFile file;
    if (linked) {
      auto summed = SumUpLinked(path);
      if (!summed.ok()) Remove({path}).ok();  // the first failure is the one to tell
      ARROW_ASSIGN_OR_RAISE(file, std::move(summed));
    } else {
      ARROW_ASSIGN_OR_RAISE(file, CopyIn(local_path, path));
    }
    file.set_local_name(local_path.substr(local_path.rfind('/') + 1));
    return file;
  }

  Status Download(const proto::StoredFile& file, const std::string& local_path) override {
    ARROW_ASSIGN_OR_RAISE(const auto input, Read(file));
    // Only what RocksDB never writes to again may be one file with the stored one.
    if (local_ && file.path().ends_with(".sst")) {
      const auto linked = LinkFile(Full(file.path()), local_path);
      if (!linked.ok()) {
        return FileError(linked.status(), "storage_read_failed", "cannot link " + local_path);
      }
      if (*linked == LinkResult::kLinked) return Status::OK();
    }
    auto output = CreateExclusively(local_path);
    Status copied = output.status();
    if (output.ok()) {
      copied = ReadThrough(file, input.get(),
                           [&](std::string_view bytes) { return WriteAll(output->get(), bytes); });
      if (!copied.ok()) ::unlink(local_path.c_str());
    }
    return FileError(copied, "storage_write_failed", "cannot copy to " + local_path);
  }

  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Read(
      const proto::StoredFile& file) override {
    if (!IsInside(file.path())) return Damaged(file.path(), "its path leads out of the storage");
    const std::string path = Full(file.path());
    auto opened = filesystem_->OpenInputFile(path);
    if (!opened.ok()) {
      const auto info = filesystem_->GetFileInfo(path);
      if (info.ok() && info->type() == FileType::NotFound) {
        return Damaged(file.path(), "it is missing");
      }
      return ReadError(opened.status(), file.path());
    }
    const auto size = (*opened)->GetSize();
    if (!size.ok()) return ReadError(size.status(), file.path());
    if (*size != file.bytes()) {
      return Damaged(file.path(), "it has " + std::to_string(*size) + " bytes, not " +
                                      std::to_string(file.bytes()));
    }
    return std::move(*opened);
  }

  Status Verify(const proto::StoredFile& file) override {
    ARROW_ASSIGN_OR_RAISE(const auto input, Read(file));
    return ReadThrough(file, input.get(), [](std::string_view) { return Status::OK(); });
  }

  Result<proto::StoredFile> WriteManifest(const proto::Manifest& manifest) override {
    return WriteManifestTo("", manifest);
  }

  Result<proto::Manifest> ReadManifest(const proto::StoredFile& file) override {
    if (file.bytes() > kSealedBytesMax) {
      return Damaged(file.path(), "no manifest has " + std::to_string(file.bytes()) + " bytes");
    }
    ARROW_ASSIGN_OR_RAISE(const auto input, Read(file));
    std::string bytes;
    ARROW_RETURN_NOT_OK(ReadThrough(file, input.get(), [&](std::string_view part) {
      bytes.append(part);
      return Status::OK();
    }));
    return ManifestOf(bytes, file.path());
  }

  Result<std::vector<std::string>> List() override {
    std::vector<std::string> paths;
    for (const char* folder : kFolders) {
      ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(folder, /*recursive=*/true));
      for (const auto& info : infos) {
        if (info.IsFile()) paths.push_back(Relative(info.path()));
      }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  Status Remove(const std::vector<std::string>& paths) override {
    for (const std::string& path : paths) {
      if (!IsInside(path)) return InternalError("bad_path", "no path inside the storage: " + path);
      const Status removed = filesystem_->DeleteFile(Full(path));
      if (removed.ok()) continue;
      ARROW_ASSIGN_OR_RAISE(const bool missing, IsMissing(path));
      if (!missing) return WriteError(removed, path);
    }
    return Status::OK();
  }

  Status WriteSavepoint(const std::string& name, const proto::Manifest& manifest) override {
    ARROW_RETURN_NOT_OK(CheckSavepointName(name));
    ARROW_ASSIGN_OR_RAISE(const proto::Manifest made, SavepointManifest(name, manifest));
    const std::lock_guard lock(savepoints_);
    ARROW_ASSIGN_OR_RAISE(const bool exists, HasSavepoint(name));
    if (exists) return SavepointExists(name);
    ARROW_RETURN_NOT_OK(RemoveAsides());
    const std::string folder = SavepointPath(name);
    const std::string aside =
        local_ ? SavepointPath(std::string(kAside) + MakeNonce()) : SavepointPath(name);
    Status status = CopySavepoint(made, aside);
    if (status.ok() && local_) status = Publish(name, aside, folder);
    if (!status.ok()) filesystem_->DeleteDir(Full(aside)).ok();  // else by the next savepoint
    return status;
  }

  Result<proto::Manifest> ReadSavepoint(const std::string& name) override {
    ARROW_RETURN_NOT_OK(CheckSavepointExists(name));
    const std::string folder = SavepointPath(name);
    ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(folder + "/manifests", false));
    if (infos.size() != 1) {
      return Damaged(folder, "it has " + std::to_string(infos.size()) + " manifests");
    }
    proto::StoredFile file;
    file.set_path(Relative(infos[0].path()));
    file.set_bytes(infos[0].size());
    if (file.bytes() > kSealedBytesMax) return Damaged(file.path(), "it is too large");
    ARROW_ASSIGN_OR_RAISE(const auto input, Read(file));
    const auto bytes = input->Read(file.bytes());
    if (!bytes.ok()) return ReadError(bytes.status(), file.path());
    ARROW_ASSIGN_OR_RAISE(proto::Manifest manifest, ManifestOf((*bytes)->ToString(), file.path()));
    PrefixPaths(folder + "/", &manifest);
    return manifest;
  }

  Result<std::vector<std::string>> ListSavepoints() override {
    ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(kSavepoints, /*recursive=*/false));
    std::vector<std::string> names;
    for (const auto& info : infos) {
      const std::string name = info.base_name();
      if (!info.IsDirectory() || !CheckSavepointName(name).ok()) continue;
      ARROW_ASSIGN_OR_RAISE(const bool complete, HasSavepoint(name));
      if (complete) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status RemoveSavepoint(const std::string& name) override {
    ARROW_RETURN_NOT_OK(CheckSavepointExists(name));
    const std::lock_guard lock(savepoints_);
    std::string folder = SavepointPath(name);
    // What is left of it, should this be cut short, is no savepoint any more.
    if (local_) {
      const std::string aside = SavepointPath(std::string(kAside) + MakeNonce());
      ARROW_RETURN_NOT_OK(WriteError(filesystem_->Move(Full(folder), Full(aside)), folder));
      ARROW_RETURN_NOT_OK(WriteError(SyncFolder(Full(kSavepoints)), folder));
      folder = aside;
    } else {
      ARROW_RETURN_NOT_OK(WriteError(filesystem_->DeleteDir(Full(folder + "/manifests")), folder));
    }
    return WriteError(filesystem_->DeleteDir(Full(folder)), folder);
  }

 private:
  std::string Full(const std::string& path) const {
    return root_.empty() ? path : root_ == "/" ? root_ + path : root_ + "/" + path;
  }
  std::string Relative(const std::string& full) const {
    const size_t prefix = Full("").size();
    return full.size() > prefix ? full.substr(prefix) : full;
  }
  static std::string SavepointPath(const std::string& name) {
    return std::string(kSavepoints) + "/" + name;
  }

  Status WriteError(const Status& status, const std::string& path) const {
    return FileError(status, "storage_write_failed", "cannot write " + Full(path));
  }
  Status ReadError(const Status& status, const std::string& path) const {
    return FileError(status, "storage_read_failed", "cannot read " + Full(path));
  }
  Status Damaged(const std::string& path, const std::string& what) const {
    return ExternalError("checkpoint_damaged", Full(path) + " is damaged: " + what, Retry::kNo);
  }

  Status MakeFolder(const std::string& path) {
    return local_ ? MakeFolders(Full(path)) : filesystem_->CreateDir(Full(path), true);
  }

  Result<bool> IsMissing(const std::string& path) {
    const auto info = filesystem_->GetFileInfo(Full(path));
    if (!info.ok()) return ReadError(info.status(), path);
    return info->type() == FileType::NotFound;
  }

  Result<std::vector<arrow::fs::FileInfo>> ListFolder(const std::string& folder, bool recursive) {
    arrow::fs::FileSelector selector;
    selector.base_dir = Full(folder);
    selector.recursive = recursive;
    selector.allow_not_found = true;
    auto infos = filesystem_->GetFileInfo(selector);
    if (!infos.ok()) return ReadError(infos.status(), folder);
    return infos;
  }

  // Gives the whole file to `take`; "checkpoint_damaged" where it is not what it should be.
  Status ReadThrough(const proto::StoredFile& file, arrow::io::RandomAccessFile* input,
                     const std::function<Status(std::string_view)>& take) {
    StreamChecksum checksum;
    std::string buffer(size_t(std::min(kReadBytes, file.bytes())), '\0');
    for (int64_t at = 0; at < file.bytes();) {
      const auto read = input->Read(std::min(kReadBytes, file.bytes() - at), buffer.data());
      if (!read.ok()) return ReadError(read.status(), file.path());
      if (*read == 0) return Damaged(file.path(), "it became shorter while it was read");
      const std::string_view bytes = std::string_view(buffer).substr(0, size_t(*read));
      checksum.Add(bytes);
      ARROW_RETURN_NOT_OK(take(bytes));
      at += *read;
    }
    if (checksum.Sum() == file.checksum()) return Status::OK();
    return Damaged(file.path(), "its checksum is " + ChecksumText(checksum.Sum()) + ", not " +
                                    ChecksumText(file.checksum()));
  }

  // False where there can be no hard link.
  Result<bool> Link(const std::string& local_path, const std::string& path) {
    const auto linked = LinkFile(local_path, Full(path));
    if (!linked.ok()) return WriteError(linked.status(), path);
    if (*linked == LinkResult::kExists) {
      return ExternalError("file_exists", Full(path) + " is there already; it is not overwritten",
                           Retry::kNo);
    }
    return *linked == LinkResult::kLinked;  // a missing folder or file: copying says which
  }

  Result<proto::StoredFile> SumUpLinked(const std::string& path) {
    proto::StoredFile file;
    file.set_path(path);
    ARROW_RETURN_NOT_OK(WriteError(SyncFile(Full(path)), path));
    ARROW_RETURN_NOT_OK(WriteError(SyncFolder(FolderOf(Full(path))), path));
    auto input = filesystem_->OpenInputStream(Full(path));
    if (!input.ok()) return ReadError(input.status(), path);
    StreamChecksum checksum;
    std::string buffer(size_t(kReadBytes), '\0');
    int64_t bytes = 0;
    while (true) {
      const auto read = (*input)->Read(kReadBytes, buffer.data());
      if (!read.ok()) return ReadError(read.status(), path);
      if (*read == 0) break;
      checksum.Add(std::string_view(buffer).substr(0, size_t(*read)));
      bytes += *read;
    }
    file.set_bytes(bytes);
    file.set_checksum(checksum.Sum());
    return file;
  }

  Result<proto::StoredFile> CopyIn(const std::string& local_path, const std::string& path) {
    const FileDescriptor input(::open(local_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.valid()) return FileError(errno, "storage_read_failed", "cannot read " + local_path);
    ARROW_ASSIGN_OR_RAISE(const auto output, Create(path));
    std::string buffer(size_t(kReadBytes), '\0');
    while (true) {
      const ssize_t read = ::read(input.get(), buffer.data(), buffer.size());
      if (read < 0 && errno == EINTR) continue;
      if (read < 0) return FileError(errno, "storage_read_failed", "cannot read " + local_path);
      if (read == 0) return output->Finish();
      ARROW_RETURN_NOT_OK(output->Write(std::string_view(buffer).substr(0, size_t(read))));
    }
  }

  // `prefix`: "" or a savepoint's folder with its '/'.
  Result<proto::StoredFile> WriteManifestTo(const std::string& prefix,
                                            const proto::Manifest& manifest) {
    proto::Manifest written = manifest;
    written.set_format(kManifestFormat);
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, Seal(kManifestKind, written));
    ARROW_ASSIGN_OR_RAISE(const auto file,
                          Create(prefix + "manifests/" + std::to_string(manifest.epoch()) + "-" +
                                 std::to_string(manifest.term()) + ".manifest"));
    ARROW_RETURN_NOT_OK(file->Write(bytes));
    return file->Finish();
  }

  Result<proto::Manifest> ManifestOf(std::string_view bytes, const std::string& path) {
    proto::Manifest manifest;
    ARROW_RETURN_NOT_OK(Unseal(kManifestKind, bytes, Full(path), &manifest));
    return manifest;
  }

  // Whatever else is in its folder, a savepoint is there once its manifest is.
  Result<bool> HasSavepoint(const std::string& name) {
    ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(SavepointPath(name) + "/manifests", false));
    return !infos.empty();
  }

  Status SavepointExists(const std::string& name) const {
    return UserError("savepoint_exists", "there is a savepoint '" + name + "' already");
  }

  Status CheckSavepointExists(const std::string& name) {
    ARROW_RETURN_NOT_OK(CheckSavepointName(name));
    ARROW_ASSIGN_OR_RAISE(const bool exists, HasSavepoint(name));
    if (exists) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, ListSavepoints());
    const std::string hint = names.empty() ? "there is none" : SuggestName(name, names);
    return UserError("savepoint_missing",
                     "there is no savepoint '" + name + "'" + (hint.empty() ? "" : "; " + hint));
  }

  // Left by a process that died while it made or removed a savepoint.
  Status RemoveAsides() {
    ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(kSavepoints, /*recursive=*/false));
    for (const auto& info : infos) {
      if (info.base_name().starts_with(kAside)) {
        ARROW_RETURN_NOT_OK(WriteError(filesystem_->DeleteDir(info.path()), info.base_name()));
      }
    }
    return Status::OK();
  }

  Status CopySavepoint(const proto::Manifest& manifest, const std::string& folder) {
    // On other file systems: a savepoint that was left half made by a process that died.
    ARROW_ASSIGN_OR_RAISE(const bool empty, IsMissing(folder));
    if (!empty) ARROW_RETURN_NOT_OK(WriteError(filesystem_->DeleteDir(Full(folder)), folder));
    std::set<std::string> copied;  // tasks may share a file
    for (const proto::TaskState& task : manifest.tasks()) {
      for (const proto::StoredFile& file : task.files()) {
        if (!copied.insert(file.path()).second) continue;
        ARROW_RETURN_NOT_OK(CopyStored(file, folder + "/" + file.path()));
      }
    }
    return WriteManifestTo(folder + "/", manifest).status();
  }

  Status CopyStored(const proto::StoredFile& file, const std::string& path) {
    ARROW_ASSIGN_OR_RAISE(const auto input, Read(file));
    if (local_) {
      ARROW_RETURN_NOT_OK(Verify(file));
      ARROW_RETURN_NOT_OK(WriteError(MakeFolder(FolderOf(path)), path));
      ARROW_ASSIGN_OR_RAISE(const bool linked, Link(Full(file.path()), path));
      if (linked) return WriteError(SyncFolder(FolderOf(Full(path))), path);
    }
    ARROW_ASSIGN_OR_RAISE(const auto output, Create(path));
    ARROW_RETURN_NOT_OK(ReadThrough(file, input.get(),
                                    [&](std::string_view bytes) { return output->Write(bytes); }));
    return output->Finish().status();
  }

  Status Publish(const std::string& name, const std::string& aside, const std::string& folder) {
    const Status moved = filesystem_->Move(Full(aside), Full(folder));
    const int error = arrow::internal::ErrnoFromStatus(moved);
    if (error == ENOTEMPTY || error == EEXIST) return SavepointExists(name);
    ARROW_RETURN_NOT_OK(WriteError(moved, folder));
    return WriteError(SyncFolder(Full(kSavepoints)), folder);
  }

  const std::shared_ptr<arrow::fs::FileSystem> filesystem_;
  const std::string root_;
  const bool local_;
  std::mutex savepoints_;  // one is made or removed at a time
};

}  // namespace

Result<std::unique_ptr<CheckpointStorage>> CheckpointStorage::Open(
    std::shared_ptr<arrow::fs::FileSystem> filesystem, std::string root) {
  auto unwritable = [&](const Status& status) {
    const int error = arrow::internal::ErrnoFromStatus(status);
    if (error == ENOSPC || error == EDQUOT) return FileError(error, "", "in " + root);
    return UserError("unwritable_path",
                     "cannot keep checkpoints in the folder " + root + ": " +
                         (error != 0 ? arrow::internal::ErrnoMessage(error) : status.message()));
  };
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  auto normal = filesystem->NormalizePath(root);
  if (!normal.ok()) return unwritable(normal.status());
  auto storage = std::make_unique<FileCheckpointStorage>(std::move(filesystem), *normal);
  if (const Status made = storage->MakeLayout(); !made.ok()) {
    const ErrorDetail* detail = ErrorDetail::Of(made);
    if (detail != nullptr && detail->code() == "disk_full") return made;
    return unwritable(made);
  }
  return storage;
}

std::set<std::string> FilesOf(const proto::Manifest& manifest) {
  std::set<std::string> paths;
  auto add = [&](const auto& segments) {
    for (const proto::Segment& segment : segments) paths.insert(segment.file().path());
  };
  for (const proto::TaskState& task : manifest.tasks()) {
    for (const proto::StoredFile& file : task.files()) paths.insert(file.path());
  }
  for (const proto::ShardState& shard : manifest.shards()) {
    add(shard.segments());
    for (const proto::FileSinkState& sink : shard.files()) {
      add(sink.open());
      for (const proto::FileRoll& roll : sink.rolls()) add(roll.segments());
    }
  }
  return paths;
}

}  // namespace millrace
