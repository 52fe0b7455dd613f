// The lease in a local folder: lock.<n>, of which the highest counts. It is locked with flock, so
// that the lock dies with its process, and holds
//
//   8  beats    counted up by the holder, little-endian
//   n  owner    for people
//
// Taking the lease always makes the next file, linked to its name when it is locked and complete:
// of those who try at once, one succeeds. A holder that was stopped keeps its lock and its beats on
// a file that does not count any more.
#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/storage/little_endian.h"
#include "engine/storage/local_files.h"
#include "engine/storage/metadata_log.h"

namespace millrace {
namespace {

constexpr auto kBeat = std::chrono::milliseconds(500);
constexpr std::string_view kLock = "lock.";
constexpr std::string_view kAside = ".aside-lock-";
constexpr size_t kBeatBytes = 8;
constexpr size_t kOwnerBytesMax = 256;
constexpr auto kNapMax = std::chrono::milliseconds(50);
constexpr auto kNapMin = std::chrono::milliseconds(1);

class LocalLease final : public Lease {
 public:
  explicit LocalLease(FileDescriptor lock) : lock_(std::move(lock)) {}

  void Beat() override {
    std::string bytes;
    AppendLittleEndian(uint64_t(beats_.fetch_add(1) + 1), &bytes);
    // A beat that cannot be written is one that is missing: the log fences, not the lease.
    if (::pwrite(lock_.get(), bytes.data(), bytes.size(), 0) < 0) return;
  }

 private:
  const FileDescriptor lock_;
  std::atomic<uint64_t> beats_{0};
};

// What a lock's file holds.
struct Holder {
  uint64_t beats = 0;
  std::string owner;
};

class LeaseTaker {
 public:
  LeaseTaker(std::string folder, std::string owner, Micros lease, const Clock& clock,
             const std::atomic<bool>& stopping)
      : folder_(std::move(folder)),
        owner_(std::move(owner)),
        lease_(lease),
        clock_(clock),
        stopping_(stopping) {
    owner_.resize(std::min(owner_.size(), kOwnerBytesMax));
  }

  Result<std::unique_ptr<Lease>> Acquire() {
    if (const Status made = MakeFolders(folder_); !made.ok()) return Failed(made);
    ARROW_RETURN_NOT_OK(RemoveAsides());
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const int64_t newest, Newest());
      if (newest >= 0) {
        ARROW_ASSIGN_OR_RAISE(const bool free, WaitFor(newest));
        if (!free) continue;  // another took it meanwhile
      }
      ARROW_ASSIGN_OR_RAISE(FileDescriptor lock, Take(newest + 1));
      if (lock.valid()) return std::make_unique<LocalLease>(std::move(lock));
    }
  }

 private:
  std::string Path(int64_t number) const {
    return folder_ + "/" + std::string(kLock) + std::to_string(number);
  }
  Status Failed(const Status& status) const {
    return FileError(status, "lease_failed", "cannot take the lease in " + folder_);
  }
  Status Failed(int error) const {
    return FileError(error, "lease_failed", "cannot take the lease in " + folder_);
  }

  Result<std::vector<std::string>> Names() const {
    auto names = NamesIn(folder_);
    if (names.ok()) return names;
    return Failed(names.status());
  }

  // The highest number; -1: none. Listed into numbers_.
  Result<int64_t> Newest() {
    numbers_.clear();
    ARROW_ASSIGN_OR_RAISE(const auto names, Names());
    for (std::string_view name : names) {
      if (!name.starts_with(kLock)) continue;
      name.remove_prefix(kLock.size());
      int64_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error == std::errc() && end == name.data() + name.size() && number >= 0) {
        numbers_.push_back(number);
      }
    }
    return numbers_.empty() ? -1 : *std::max_element(numbers_.begin(), numbers_.end());
  }

  Status RemoveAsides() const {
    ARROW_ASSIGN_OR_RAISE(const auto names, Names());
    for (const std::string& name : names) {
      if (!name.starts_with(kAside)) continue;
      // Those of a live process are locked: it goes on with them.
      const std::string path = folder_ + "/" + name;
      const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
      if (file.valid() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    }
    return Status::OK();
  }

  Result<Holder> ReadHolder(int descriptor) const {
    std::string bytes(kBeatBytes + kOwnerBytesMax, '\0');
    const ssize_t read = ::pread(descriptor, bytes.data(), bytes.size(), 0);
    if (read < 0) return Failed(errno);
    bytes.resize(size_t(read));
    Holder holder;
    if (bytes.size() < kBeatBytes) return holder;
    holder.beats = ReadLittleEndian<uint64_t>(bytes);
    holder.owner = bytes.substr(kBeatBytes);
    return holder;
  }

  // True once the holder of lock.<number> is gone or does not beat; false where there is a newer
  // lock. "job_is_running", "stopped".
  Result<bool> WaitFor(int64_t number) {
    const FileDescriptor lock(::open(Path(number).c_str(), O_RDWR | O_CLOEXEC));
    if (!lock.valid() && errno == ENOENT) return false;
    if (!lock.valid()) return Failed(errno);
    if (lease_ <= Micros(0)) return true;
    ARROW_ASSIGN_OR_RAISE(const Holder first, ReadHolder(lock.get()));
    const MonotonicTime begin = clock_.Monotonic();
    const auto nap = std::clamp<MonotonicTime>(lease_ / 20, kNapMin, kNapMax);
    while (true) {
      if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return true;
      if (errno != EWOULDBLOCK && errno != EINTR) return Failed(errno);
      ARROW_ASSIGN_OR_RAISE(const Holder holder, ReadHolder(lock.get()));
      if (holder.beats != first.beats) {
        return UserError("job_is_running", "the job is running already: " + holder.owner +
                                               " holds the lease in " + folder_);
      }
      ARROW_ASSIGN_OR_RAISE(const int64_t newest, Newest());
      if (newest > number) return false;
      if (clock_.Monotonic() - begin >= lease_) return true;
      if (stopping_.load()) {
        return ExternalError("stopped", "waiting for the lease in " + folder_, Retry::kYes);
      }
      std::this_thread::sleep_for(nap);
    }
  }

  // A descriptor that is not valid: another process was first.
  Result<FileDescriptor> Take(int64_t number) {
    const std::string aside = folder_ + "/" + std::string(kAside) + MakeNonce();
    FileDescriptor lock(::open(aside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!lock.valid()) return Failed(errno);
    const auto linked = PrepareAndLink(lock.get(), aside, number);
    ::unlink(aside.c_str());
    ARROW_RETURN_NOT_OK(linked.status());
    if (!*linked) return FileDescriptor();
    // A number that is free again, because newer ones made it old, does not count.
    ARROW_ASSIGN_OR_RAISE(const int64_t newest, Newest());
    if (newest != number) {
      ::unlink(Path(number).c_str());
      return FileDescriptor();
    }
    for (const int64_t old : numbers_) {
      if (old < number) ::unlink(Path(old).c_str());
    }
    return lock;
  }

  Result<bool> PrepareAndLink(int descriptor, const std::string& aside, int64_t number) {
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) return false;  // taken for a leftover
    std::string bytes;
    AppendLittleEndian(uint64_t(0), &bytes);
    bytes.append(owner_);
    if (const Status written = WriteAll(descriptor, bytes); !written.ok()) return Failed(written);
    const auto linked = LinkFile(aside, Path(number));
    if (!linked.ok()) return Failed(linked.status());
    if (*linked == LinkResult::kImpossible) return Failed(EOPNOTSUPP);
    return *linked == LinkResult::kLinked;
  }

  const std::string folder_;
  std::string owner_;
  const Micros lease_;
  const Clock& clock_;
  const std::atomic<bool>& stopping_;
  std::vector<int64_t> numbers_;  // of the last Newest
};

}  // namespace

Result<std::unique_ptr<Lease>> Lease::Acquire(const std::string& folder, const std::string& owner,
                                              Micros lease, const Clock& clock,
                                              const std::atomic<bool>& stopping) {
  return LeaseTaker(folder, owner, lease, clock, stopping).Acquire();
}

std::jthread Lease::KeepBeating(Lease* lease) {
  return std::jthread([lease](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      lease->Beat();
      stopped.wait_for(lock, stop, kBeat, [] { return false; });
    }
  });
}

}  // namespace millrace
