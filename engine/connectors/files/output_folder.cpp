#include "engine/connectors/files/output_folder.h"

#include <arrow/buffer.h>
#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>

#include "engine/env/crash_point.h"
#include "engine/storage/local_files.h"

namespace millrace {
namespace {

constexpr std::string_view kAside = ".inprogress-";
constexpr int64_t kRegisterBytesMax = 4096;

bool IsNameLetter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '.' || c == '-';
}

// `dash`: whether '-' may stay. Only the job's name may have one, so that the parts of a file's
// name can be told apart.
std::string FileNamePart(std::string_view text, bool dash) {
  std::string name(text);
  for (char& c : name) {
    if (!IsNameLetter(c) || (c == '-' && !dash)) c = '_';
  }
  return name;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Status FileWriteError(const Status& status, const std::string& path) {
  if (status.ok() || ErrorDetail::Of(status) != nullptr) return status;
  const int error = arrow::internal::ErrnoFromStatus(status);
  if (error == ENOSPC || error == EDQUOT) {
    return ExternalError("disk_full", "no space left for " + path, Retry::kNo);
  }
  return ExternalError("file_write_failed", "cannot write " + path + ": " + status.message(),
                       Retry::kNo);
}

OutputFolder::OutputFolder(std::string path, std::string ending, RollWriterOptions options)
    : path_(std::move(path)),
      ending_(std::move(ending)),
      options_({std::move(options.filesystem), FileNamePart(options.nonce, /*dash=*/false),
                FileNamePart(options.job, /*dash=*/true),
                FileNamePart(options.sink, /*dash=*/false)}),
      local_(IsLocal(*options_.filesystem)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
}

Status OutputFolder::Open() {
  auto refused = [this](const Status& status) {
    const int error = arrow::internal::ErrnoFromStatus(status);
    if (error == ENOSPC || error == EDQUOT) return FileWriteError(status, path_);
    return UserError("unwritable_path",
                     "cannot write into the folder " + path_ + ": " +
                         (error != 0 ? arrow::internal::ErrnoMessage(error) : status.message()));
  };
  if (const Status made = MakeFolder(path_); !made.ok()) return refused(made);
  const Status probed = Probe();
  return probed.ok() ? Status::OK() : refused(probed);
}

Result<std::vector<std::string>> OutputFolder::Leftovers() {
  arrow::fs::FileSelector selector;
  selector.base_dir = path_;
  selector.allow_not_found = true;
  ARROW_ASSIGN_OR_RAISE(const auto listed, options_.filesystem->GetFileInfo(selector));
  std::vector<std::string> leftovers;
  for (const auto& info : listed) {
    if (info.IsFile() && IsLeftover(info.base_name())) leftovers.push_back(info.path());
  }
  return leftovers;
}

Status OutputFolder::RemoveLeftovers(const std::vector<std::string>& leftovers) {
  for (const std::string& path : leftovers) {
    ARROW_ASSIGN_OR_RAISE(const bool exists, Exists(path));
    if (!exists) continue;  // whoever had it aside has finished it, or removed it
    ARROW_RETURN_NOT_OK(FileWriteError(options_.filesystem->DeleteFile(path), path));
  }
  return Status::OK();
}

Status OutputFolder::Probe() {
  ARROW_ASSIGN_OR_RAISE(
      OutputFile probe,
      Begin({options_.job, "probe", options_.sink, /*shard=*/0, /*epoch=*/0}, "", /*number=*/0));
  Abandon(&probe);
  return Status::OK();
}

// .inprogress-<nonce>-register-<job>-<sink>, or
// .inprogress-<nonce>-<job>-<generation>-<sink>-<shard>-<epoch>-<n>.<ending>, of this job's sink
// and another nonce.
bool OutputFolder::IsLeftover(std::string_view name) const {
  if (!name.starts_with(kAside)) return false;
  name.remove_prefix(kAside.size());
  const size_t nonce_end = name.find('-');
  if (nonce_end == std::string_view::npos) return false;
  const std::string_view nonce = name.substr(0, nonce_end);
  if (name.substr(nonce_end) == RegisterAsideEnd()) return nonce != options_.nonce;
  name.remove_prefix(nonce_end + 1);
  std::string_view parts[5];  // n and ending, epoch, shard, sink, generation
  for (auto& part : parts) {
    const size_t dash = name.rfind('-');
    if (dash == std::string_view::npos) return false;
    part = name.substr(dash + 1);
    name = name.substr(0, dash);
  }
  const bool numbered =
      IsNumber(parts[0].substr(0, parts[0].find('.'))) && IsNumber(parts[1]) && IsNumber(parts[2]);
  return numbered && name == options_.job && parts[3] == options_.sink && nonce != options_.nonce;
}

Result<OutputFile> OutputFolder::Begin(const RollName& name, const std::string& partition,
                                       int64_t number) {
  OutputFile file;
  file.folder = partition.empty() ? path_ : path_ + "/" + partition;
  file.name = FileNamePart(name.job, /*dash=*/true) + "-" +
              FileNamePart(name.generation, /*dash=*/false) + "-" +
              FileNamePart(name.sink, /*dash=*/false) + "-" + std::to_string(name.shard) + "-" +
              std::to_string(name.epoch) + "-" + std::to_string(number) + "." + ending_;
  file.aside = path_ + "/" + std::string(kAside) + options_.nonce + "-" + file.name;
  ARROW_ASSIGN_OR_RAISE(const bool complete, Exists(file.folder + "/" + file.name));
  if (complete) {
    // Its writer may have died between giving it its name and syncing the folder.
    ARROW_RETURN_NOT_OK(SyncFolders(file.folder));
    return file;
  }
  ARROW_ASSIGN_OR_RAISE(file.stream, options_.filesystem->OpenOutputStream(file.aside));
  return file;
}

Result<bool> OutputFolder::Finish(OutputFile* file) {
  const std::string final_path = file->folder + "/" + file->name;
  auto finish = [&]() -> Result<bool> {
    ARROW_RETURN_NOT_OK(file->stream->Close());
    if (local_) ARROW_RETURN_NOT_OK(SyncFile(file->aside));
    if (file->folder != path_) ARROW_RETURN_NOT_OK(MakeFolder(file->folder));
    ARROW_ASSIGN_OR_RAISE(const bool taken, Exists(final_path));
    if (taken) return false;
    CrashPoint("file_rename");
    ARROW_RETURN_NOT_OK(options_.filesystem->Move(file->aside, final_path));
    CrashPoint("file_renamed");
    ARROW_RETURN_NOT_OK(SyncFolders(file->folder));
    return true;
  };
  const Result<bool> written = finish();
  if (!written.ok() || !*written) Abandon(file);
  file->stream.reset();
  if (!written.ok()) return FileWriteError(written.status(), final_path);
  return written;
}

void OutputFolder::Abandon(OutputFile* file) {
  if (file->stream == nullptr) return;
  file->stream->Abort().ok();  // what it held is given up
  file->stream.reset();
  options_.filesystem->DeleteFile(file->aside).ok();  // gone already where it was renamed
}

Result<std::optional<std::string>> OutputFolder::ReadRegister() {
  ARROW_ASSIGN_OR_RAISE(const bool exists, Exists(RegisterPath()));
  if (!exists) return std::optional<std::string>();
  ARROW_ASSIGN_OR_RAISE(const auto file, options_.filesystem->OpenInputStream(RegisterPath()));
  ARROW_ASSIGN_OR_RAISE(const auto bytes, file->Read(kRegisterBytesMax));
  return std::optional<std::string>(bytes->ToString());
}

Status OutputFolder::WriteRegister(std::string_view bytes) {
  const std::string aside = path_ + "/" + std::string(kAside) + options_.nonce + RegisterAsideEnd();
  const auto write = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const auto stream, options_.filesystem->OpenOutputStream(aside));
    ARROW_RETURN_NOT_OK(stream->Write(bytes));
    ARROW_RETURN_NOT_OK(stream->Close());
    if (local_) ARROW_RETURN_NOT_OK(SyncFile(aside));
    CrashPoint("file_register");
    ARROW_RETURN_NOT_OK(options_.filesystem->Move(aside, RegisterPath()));
    return SyncFolders(path_);
  };
  const Status status = write();
  if (!status.ok()) options_.filesystem->DeleteFile(aside).ok();  // what there is of it
  return FileWriteError(status, RegisterPath());
}

Result<bool> OutputFolder::Exists(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto info, options_.filesystem->GetFileInfo(path));
  return info.type() != arrow::fs::FileType::NotFound;
}

Status OutputFolder::MakeFolder(const std::string& path) {
  return local_ ? MakeFolders(path) : options_.filesystem->CreateDir(path, /*recursive=*/true);
}

// Up to ours: another sink may just have made one of them, and not have synced it yet.
Status OutputFolder::SyncFolders(std::string folder) {
  if (!local_) return Status::OK();
  while (folder.size() > path_.size()) {
    ARROW_RETURN_NOT_OK(SyncFolder(folder));
    folder = FolderOf(folder);
  }
  return SyncFolder(path_);
}

}  // namespace millrace
