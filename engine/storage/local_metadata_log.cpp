// The log in a local folder.
//
//   <20 digits>       an entry: sealed_message.h, magic "MILLRLOG"
//   floor             the first index that counts: everything below it is removed. 8 bytes magic
//                     "MILLRFLR", 8 bytes index, 8 bytes XXH3-64 of both
//   .aside-<nonce>    being written
//
// An entry is linked to its name, which one process only can do. A process that was stopped for
// long could find its index free again, because it was removed since: the floor is raised before
// anything is removed, so whoever adds an entry below it finds that out by looking once more after
// linking, and nobody reads such an entry.
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/storage/checksum.h"
#include "engine/storage/little_endian.h"
#include "engine/storage/local_files.h"
#include "engine/storage/metadata_log.h"
#include "engine/storage/sealed_message.h"

namespace millrace {
namespace {

constexpr SealedKind kEntryKind = {"MILLRLOG", 1, "log_damaged"};
constexpr std::string_view kFloorMagic = "MILLRFLR";
constexpr size_t kFloorBytes = 24;
constexpr std::string_view kAside = ".aside-";
constexpr size_t kIndexDigits = 20;
// An entry is small; nothing larger is read into memory.
constexpr int64_t kEntryBytesMax = 1 << 20;
// Listing a folder while entries come and go may miss some: it is done again.
constexpr int kListingsMax = 20;

std::string NameOf(int64_t index) {
  const std::string digits = std::to_string(index);
  return std::string(kIndexDigits - digits.size(), '0') + digits;
}

// -1: no entry's name.
int64_t IndexOf(std::string_view name) {
  if (name.size() != kIndexDigits) return -1;
  int64_t index = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || index > (INT64_MAX - 9) / 10) return -1;
    index = index * 10 + (c - '0');
  }
  return index;
}

class LocalMetadataLog final : public MetadataLog {
 public:
  explicit LocalMetadataLog(std::string folder) : folder_(std::move(folder)) {}

  Status Open() {
    if (const Status made = MakeFolders(folder_); !made.ok()) {
      const int error = arrow::internal::ErrnoFromStatus(made);
      if (error == ENOSPC || error == EDQUOT) return WriteError(made);
      return UserError("unwritable_path", "cannot keep the metadata log in the folder " + folder_ +
                                              ": " + arrow::internal::ErrnoMessage(error));
    }
    // Left by processes that died. One that lives and misses its file writes it again.
    ARROW_ASSIGN_OR_RAISE(const auto names, Names());
    for (const std::string& name : names) {
      if (name.starts_with(kAside)) ::unlink(Join(name).c_str());
    }
    return Status::OK();
  }

  Result<std::vector<IndexedEntry>> Read() override {
    for (int attempt = 0; attempt < kListingsMax; ++attempt) {
      ARROW_ASSIGN_OR_RAISE(const std::vector<int64_t> indexes, ReadableIndexes());
      ARROW_ASSIGN_OR_RAISE(auto entries, ReadEntries(indexes));
      if (entries) return std::move(*entries);
    }
    return Damaged(folder_, "entries disappear while they are read");
  }

  Result<AppendResult> Append(int64_t index, const proto::LogEntry& entry) override {
    if (index < 0) return InternalError("bad_index", "log entries are numbered from 0");
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, Seal(kEntryKind, entry));
    if (int64_t(bytes.size()) > kEntryBytesMax) {
      return InternalError("message_unwritable", "a log entry is larger than what is read back");
    }
    ARROW_ASSIGN_OR_RAISE(const bool linked, LinkNew(index, bytes));
    if (!linked) return AppendResult::kTaken;
    if (const Status synced = SyncFolder(folder_); !synced.ok()) return WriteError(synced);
    return Judge(index);
  }

  Status RemoveBefore(int64_t index) override {
    ARROW_ASSIGN_OR_RAISE(const std::vector<int64_t> indexes, Indexes());
    if (indexes.empty()) return Status::OK();
    index = std::min(index, indexes.back());  // the newest stays
    ARROW_ASSIGN_OR_RAISE(const int64_t floor, Floor());
    if (index > floor) ARROW_RETURN_NOT_OK(RaiseFloor(index));
    for (const int64_t old : indexes) {
      if (old >= std::max(index, floor)) break;
      if (::unlink(Join(NameOf(old)).c_str()) != 0 && errno != ENOENT) {
        return FileError(errno, "log_write_failed", "cannot remove " + Join(NameOf(old)));
      }
    }
    return Status::OK();
  }

 private:
  std::string Join(const std::string& name) const { return folder_ + "/" + name; }

  Status WriteError(const Status& status) const {
    return FileError(status, "log_write_failed", "cannot write to the metadata log " + folder_);
  }
  Status ReadError(int error, const std::string& path) const {
    return FileError(error, "log_read_failed", "cannot read " + path);
  }
  static Status Damaged(const std::string& path, const std::string& what) {
    return ExternalError("log_damaged", path + " is damaged: " + what, Retry::kNo);
  }

  Result<std::vector<std::string>> Names() const {
    auto names = NamesIn(folder_);
    if (names.ok()) return names;
    return FileError(names.status(), "log_read_failed", "cannot read " + folder_);
  }

  // Sorted, those below the floor included.
  Result<std::vector<int64_t>> Indexes() const {
    ARROW_ASSIGN_OR_RAISE(const auto names, Names());
    std::vector<int64_t> indexes;
    for (const std::string& name : names) {
      if (const int64_t index = IndexOf(name); index >= 0) indexes.push_back(index);
    }
    std::sort(indexes.begin(), indexes.end());
    return indexes;
  }

  // The last run without a gap of what counts.
  Result<std::vector<int64_t>> ReadableIndexes() const {
    std::vector<int64_t> run;
    int64_t front_before = -1;
    for (int attempt = 0; attempt < kListingsMax; ++attempt) {
      ARROW_ASSIGN_OR_RAISE(const int64_t floor, Floor());
      ARROW_ASSIGN_OR_RAISE(const std::vector<int64_t> indexes, Indexes());
      run.assign(std::lower_bound(indexes.begin(), indexes.end(), floor), indexes.end());
      if (run.empty() && floor < 0) return run;
      if (run.empty()) continue;
      // Where it begins is known from the floor, or from having looked twice.
      const bool from_front = run.front() == (floor < 0 ? front_before : floor);
      if (from_front && run.back() - run.front() + 1 == int64_t(run.size())) return run;
      front_before = run.front();
    }
    if (run.empty()) return Damaged(folder_, "all entries are missing");
    size_t first = run.size() - 1;
    while (first > 0 && run[first - 1] == run[first] - 1) --first;
    run.erase(run.begin(), run.begin() + std::ptrdiff_t(first));
    return run;
  }

  // None where an entry was removed meanwhile.
  Result<std::optional<std::vector<IndexedEntry>>> ReadEntries(
      const std::vector<int64_t>& indexes) const {
    std::vector<IndexedEntry> entries;
    for (const int64_t index : indexes) {
      const std::string path = Join(NameOf(index));
      ARROW_ASSIGN_OR_RAISE(const auto bytes, ReadFile(path, kEntryBytesMax));
      if (!bytes) return std::nullopt;
      IndexedEntry entry;
      entry.index = index;
      ARROW_RETURN_NOT_OK(Unseal(kEntryKind, *bytes, path, &entry.entry));
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  // None where it is missing.
  Result<std::optional<std::string>> ReadFile(const std::string& path, int64_t bytes_max) const {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid() && errno == ENOENT) return std::nullopt;
    struct stat info;
    if (!file.valid() || ::fstat(file.get(), &info) != 0) return ReadError(errno, path);
    if (info.st_size > bytes_max) {
      return Damaged(path, "it has " + std::to_string(info.st_size) + " bytes");
    }
    std::string bytes(size_t(info.st_size), '\0');
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t read = ::read(file.get(), bytes.data() + at, bytes.size() - at);
      if (read < 0 && errno == EINTR) continue;
      if (read < 0) return ReadError(errno, path);
      if (read == 0) return Damaged(path, "it became shorter while it was read");
      at += size_t(read);
    }
    return bytes;
  }

  // -1: nothing was removed yet.
  Result<int64_t> Floor() const {
    const std::string path = Join("floor");
    ARROW_ASSIGN_OR_RAISE(const auto bytes, ReadFile(path, kFloorBytes));
    if (!bytes) return -1;
    const std::string_view text(*bytes);
    if (text.size() != kFloorBytes || text.substr(0, 8) != kFloorMagic ||
        ReadLittleEndian<uint64_t>(text.substr(16)) != Checksum(text.substr(0, 16))) {
      return Damaged(path, "it is no floor of a metadata log");
    }
    return int64_t(ReadLittleEndian<uint64_t>(text.substr(8)));
  }

  Status RaiseFloor(int64_t index) {
    std::string bytes(kFloorMagic);
    AppendLittleEndian(uint64_t(index), &bytes);
    AppendLittleEndian(Checksum(bytes), &bytes);
    for (int attempt = 0; attempt < kListingsMax; ++attempt) {
      ARROW_ASSIGN_OR_RAISE(const std::string aside, WriteAside(bytes));
      if (::rename(aside.c_str(), Join("floor").c_str()) == 0)
        return WriteError(SyncFolder(folder_));
      const int error = errno;
      ::unlink(aside.c_str());
      if (error != ENOENT) return FileError(error, "log_write_failed", "cannot write the floor");
    }
    return ExternalError("log_write_failed", "files disappear from " + folder_, Retry::kNo);
  }

  // A new file with these bytes, synced.
  Result<std::string> WriteAside(const std::string& bytes) {
    const std::string path = Join(std::string(kAside) + MakeNonce());
    auto file = CreateExclusively(path);
    if (!file.ok()) return WriteError(file.status());
    Status written = WriteAll(file->get(), bytes);
    if (written.ok() && ::fsync(file->get()) != 0) {
      written = arrow::internal::IOErrorFromErrno(errno, "cannot sync");
    }
    if (written.ok()) return path;
    ::unlink(path.c_str());
    return WriteError(written);
  }

  // False where the index is taken.
  Result<bool> LinkNew(int64_t index, const std::string& bytes) {
    for (int attempt = 0; attempt < kListingsMax; ++attempt) {
      ARROW_ASSIGN_OR_RAISE(const std::string aside, WriteAside(bytes));
      const auto linked = LinkFile(aside, Join(NameOf(index)));
      ::unlink(aside.c_str());
      if (!linked.ok()) return WriteError(linked.status());
      if (*linked == LinkResult::kLinked) return true;
      if (*linked == LinkResult::kExists) return false;
      if (*linked == LinkResult::kImpossible) {
        return ExternalError("log_write_failed",
                             "the metadata log needs hard links, which " + folder_ + " has not",
                             Retry::kNo);
      }
    }
    return ExternalError("log_write_failed", "files disappear from " + folder_, Retry::kNo);
  }

  // Whether the entry that was just linked is the log's next one.
  Result<AppendResult> Judge(int64_t index) {
    int64_t floor = -1;
    std::vector<int64_t> indexes;
    // While the floor stays where it is, nothing from it on is removed: what is not listed is not
    // there.
    while (true) {
      ARROW_ASSIGN_OR_RAISE(floor, Floor());
      ARROW_ASSIGN_OR_RAISE(indexes, Indexes());
      ARROW_ASSIGN_OR_RAISE(const int64_t floor_after, Floor());
      if (floor == floor_after) break;
    }
    std::erase_if(indexes, [&](int64_t other) { return other < floor || other == index; });
    auto has = [&](int64_t other) {
      return std::binary_search(indexes.begin(), indexes.end(), other);
    };
    const bool follows = index == floor || indexes.empty() || has(index - 1);
    const bool newest = indexes.empty() || indexes.back() < index;
    if (index >= floor && follows && newest) return AppendResult::kAppended;
    // Where it stands among others, another process went on from it, and it stays. Elsewhere it
    // was never part of the log.
    if (index < floor || (!follows && !has(index + 1))) {
      if (::unlink(Join(NameOf(index)).c_str()) != 0 && errno != ENOENT) {
        return FileError(errno, "log_write_failed", "cannot remove " + Join(NameOf(index)));
      }
    }
    return AppendResult::kTaken;
  }

  const std::string folder_;
};

}  // namespace

Result<std::unique_ptr<MetadataLog>> OpenLocalMetadataLog(const std::string& folder) {
  auto log = std::make_unique<LocalMetadataLog>(folder);
  ARROW_RETURN_NOT_OK(log->Open());
  return log;
}

}  // namespace millrace
