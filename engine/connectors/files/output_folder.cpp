#include "engine/connectors/files/output_folder.h"

#include <arrow/buffer.h>
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace millrace {
namespace {

constexpr std::string_view kAside = ".inprogress-";

bool IsNameLetter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '.' || c == '-';
}

// `dash`: whether '-' may stay. Generation, sink and number have none, so that names can be told
// apart from the right.
std::string FileNamePart(std::string_view text, bool dash) {
  std::string name(text);
  for (char& c : name) {
    if (!IsNameLetter(c) || (c == '-' && !dash)) c = '_';
  }
  return name;
}

// What was written survives a crash of the machine once this returns; other file systems promise
// that themselves when a file is closed.
Status SyncIfLocal(const arrow::fs::FileSystem& filesystem, const std::string& path) {
  if (filesystem.type_name() != "local") return Status::OK();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return arrow::internal::IOErrorFromErrno(errno, "cannot open ", path);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (result != 0) return arrow::internal::IOErrorFromErrno(error, "cannot sync ", path);
  return Status::OK();
}

// How many bytes of a file of lines are whole lines.
Result<int64_t> WholeLines(arrow::io::InputStream* input) {
  int64_t position = 0;
  int64_t whole = 0;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto buffer, input->Read(1 << 18));
    if (buffer->size() == 0) return whole;
    const auto text = std::string_view(*buffer);
    const size_t line_end = text.rfind('\n');
    if (line_end != std::string_view::npos) whole = position + int64_t(line_end) + 1;
    position += buffer->size();
  }
}

Status Copy(arrow::io::InputStream* input, int64_t bytes, arrow::io::OutputStream* output) {
  while (bytes > 0) {
    ARROW_ASSIGN_OR_RAISE(const auto buffer, input->Read(std::min<int64_t>(bytes, 1 << 18)));
    if (buffer->size() == 0) return Status::IOError("the file became shorter");
    ARROW_RETURN_NOT_OK(output->Write(buffer));
    bytes -= buffer->size();
  }
  return Status::OK();
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

OutputFolder::OutputFolder(std::string path, std::string ending, FileSinkOptions options)
    : path_(std::move(path)),
      ending_(std::move(ending)),
      options_(std::move(options)),
      job_(FileNamePart(options_.job, /*dash=*/true)),
      sink_(FileNamePart(options_.sink, /*dash=*/false)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  options_.generation = FileNamePart(options_.generation, /*dash=*/false);
}

Status OutputFolder::Open(Leftovers leftovers) {
  auto refused = [this](const Status& status) {
    const int error = arrow::internal::ErrnoFromStatus(status);
    if (error == ENOSPC || error == EDQUOT) return FileWriteError(status, path_);
    return UserError("unwritable_path",
                     "cannot write into the folder " + path_ + ": " +
                         (error != 0 ? arrow::internal::ErrnoMessage(error) : status.message()));
  };
  if (Status made = options_.filesystem->CreateDir(path_, /*recursive=*/true); !made.ok()) {
    return refused(made);
  }
  arrow::fs::FileSelector selector;
  selector.base_dir = path_;
  const auto listed = options_.filesystem->GetFileInfo(selector);
  if (!listed.ok()) return refused(listed.status());
  auto probe = Begin();
  if (!probe.ok()) return refused(probe.status());
  Abandon(&*probe);
  next_number_ = 0;
  leftovers_ = leftovers;
  for (const auto& info : *listed) {
    if (info.IsFile() && IsLeftover(info.base_name())) {
      ARROW_RETURN_NOT_OK(Settle(info.base_name()));
    }
  }
  return Status::OK();
}

// .inprogress-<job>-<generation>-<sink>-<n>.<ending>, of this job's sink and another generation.
bool OutputFolder::IsLeftover(const std::string& name) const {
  std::string_view rest = name;
  if (!rest.starts_with(kAside) || !rest.ends_with("." + ending_)) return false;
  rest.remove_prefix(kAside.size());
  std::string_view parts[3];  // number, sink, generation
  for (auto& part : parts) {
    const size_t dash = rest.rfind('-');
    if (dash == std::string_view::npos) return false;
    part = rest.substr(dash + 1);
    rest = rest.substr(0, dash);
  }
  return rest == job_ && parts[1] == sink_ && parts[2] != options_.generation;
}

Status OutputFolder::Settle(const std::string& name) {
  const std::string path = Join(name);
  if (leftovers_ == Leftovers::kFinish) {
    ARROW_RETURN_NOT_OK(FileWriteError(FinishLeftover(path, name), path));
  } else {
    ARROW_RETURN_NOT_OK(FileWriteError(options_.filesystem->DeleteFile(path), path));
  }
  return Status::OK();
}

Status OutputFolder::FinishLeftover(const std::string& path, const std::string& name) {
  auto& filesystem = *options_.filesystem;
  ARROW_ASSIGN_OR_RAISE(auto input, filesystem.OpenInputStream(path));
  ARROW_ASSIGN_OR_RAISE(const int64_t whole, WholeLines(input.get()));
  ARROW_RETURN_NOT_OK(input->Close());
  if (whole > 0) {
    ARROW_ASSIGN_OR_RAISE(FileAside file, Begin());
    ARROW_ASSIGN_OR_RAISE(input, filesystem.OpenInputStream(path));
    const Status copied = Copy(input.get(), whole, file.stream.get());
    if (!copied.ok()) {
      Abandon(&file);
      return copied;
    }
    file.name = name.substr(kAside.size());
    if (const Status finished = Finish(&file, ""); !finished.ok()) {
      Abandon(&file);
      return finished;
    }
  }
  return filesystem.DeleteFile(path);
}

Result<FileAside> OutputFolder::Begin() {
  FileAside file;
  file.name = job_ + "-" + options_.generation + "-" + sink_ + "-" +
              std::to_string(next_number_++) + "." + ending_;
  file.path = Join(std::string(kAside) + file.name);
  ARROW_ASSIGN_OR_RAISE(file.stream, options_.filesystem->OpenOutputStream(file.path));
  return file;
}

Status OutputFolder::Finish(FileAside* file, const std::string& partition) {
  auto& filesystem = *options_.filesystem;
  const std::string folder = partition.empty() ? path_ : Join(partition);
  const std::string final_path = folder + "/" + file->name;
  auto finish = [&]() -> Status {
    ARROW_RETURN_NOT_OK(file->stream->Close());
    ARROW_RETURN_NOT_OK(SyncIfLocal(filesystem, file->path));
    if (!partition.empty()) ARROW_RETURN_NOT_OK(filesystem.CreateDir(folder, /*recursive=*/true));
    ARROW_ASSIGN_OR_RAISE(const auto existing, filesystem.GetFileInfo(final_path));
    if (existing.type() != arrow::fs::FileType::NotFound) {
      return ExternalError("file_exists", final_path + " is there already; it is not overwritten",
                           Retry::kNo);
    }
    ARROW_RETURN_NOT_OK(filesystem.Move(file->path, final_path));
    return SyncIfLocal(filesystem, folder);
  };
  const Status status = finish();
  if (!status.ok()) Fail(file);
  file->stream.reset();
  return FileWriteError(status, final_path);
}

void OutputFolder::Abandon(FileAside* file) {
  if (file->stream != nullptr) file->stream->Abort().ok();  // what it held is given up
  file->stream.reset();
  options_.filesystem->DeleteFile(file->path).ok();  // gone already where it was renamed
}

void OutputFolder::Fail(FileAside* file) {
  if (leftovers_ == Leftovers::kRemove) return Abandon(file);
  if (file->stream != nullptr) file->stream->Abort().ok();  // the next start finishes it
  file->stream.reset();
}

}  // namespace millrace
