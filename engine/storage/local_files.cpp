#include "engine/storage/local_files.h"

#include <arrow/filesystem/filesystem.h>
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>

namespace millrace {
namespace {

Status SystemError(int error, std::string_view what, const std::string& path) {
  return arrow::internal::IOErrorFromErrno(error, what, " ", path);
}

Status Sync(const std::string& path, int flags) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!file.valid()) return SystemError(errno, "cannot open", path);
  if (::fsync(file.get()) != 0) return SystemError(errno, "cannot sync", path);
  return Status::OK();
}

}  // namespace

bool IsLocal(const arrow::fs::FileSystem& filesystem) { return filesystem.type_name() == "local"; }

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = other.Release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int FileDescriptor::Release() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  return descriptor;
}

Status FileError(int error, std::string_view code, const std::string& what) {
  if (error == ENOSPC || error == EDQUOT) {
    return ExternalError("disk_full", "no space left: " + what, Retry::kNo);
  }
  return ExternalError(code, what + ": " + arrow::internal::ErrnoMessage(error), Retry::kNo);
}

Status FileError(const Status& status, std::string_view code, const std::string& what) {
  if (status.ok() || ErrorDetail::Of(status) != nullptr) return status;
  const int error = arrow::internal::ErrnoFromStatus(status);
  if (error != 0) return FileError(error, code, what);
  return ExternalError(code, what + ": " + status.message(), Retry::kNo);
}

Result<FileDescriptor> CreateExclusively(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.valid()) return SystemError(errno, "cannot make", path);
  return file;
}

Status WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return arrow::internal::IOErrorFromErrno(errno, "cannot write");
    bytes.remove_prefix(size_t(written));
  }
  return Status::OK();
}

Status SyncFile(const std::string& path) { return Sync(path, 0); }
Status SyncFolder(const std::string& path) { return Sync(path, O_DIRECTORY); }

Status MakeFolders(const std::string& path) {
  if (path.empty()) return Status::OK();
  if (::mkdir(path.c_str(), 0777) == 0) return SyncFolder(FolderOf(path));
  const int error = errno;
  if (error == EEXIST) {
    struct stat info;
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return Status::OK();
    return SystemError(ENOTDIR, "cannot make the folder", path);
  }
  const std::string above = FolderOf(path);
  if (error != ENOENT || above == path || above == ".") {
    return SystemError(error, "cannot make the folder", path);
  }
  ARROW_RETURN_NOT_OK(MakeFolders(above));
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) {
    return SystemError(errno, "cannot make the folder", path);
  }
  return SyncFolder(above);
}

Result<LinkResult> LinkFile(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return LinkResult::kLinked;
  switch (errno) {
    case EEXIST:
      return LinkResult::kExists;
    case ENOENT:
      return LinkResult::kMissing;
    case EXDEV:
    case EPERM:
    case EMLINK:
    case EOPNOTSUPP:
      return LinkResult::kImpossible;
    default:
      return SystemError(errno, "cannot link", to);
  }
}

Result<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return SystemError(error.value(), "cannot read the folder", folder);
  return names;
}

std::string FolderOf(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path.empty() ? "." : "/";
  const size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  const size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

std::string MakeNonce() {
  constexpr char kLetters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 3; ++i) {
    uint32_t bits = random();
    for (int letter = 0; letter < 6; ++letter, bits /= 36) nonce.push_back(kLetters[bits % 36]);
  }
  return nonce;
}

}  // namespace millrace
