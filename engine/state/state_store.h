// Where operators keep what must survive: ordered bytes under ordered keys, one store a task.
// Keys: engine/state/state_key.h. Bytes: docs/state-format.md.
//
// An operator writes batches; the store applies them in the order in which they were given, on a
// thread of its own (RocksStateStore) or at once (MemoryStateStore). A checkpoint takes its place
// in that order: it holds what was written before it and nothing that was written after it.
//
// Used by one task, one call at a time; `done` of Checkpoint is called from the store's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

// Changes that are applied together, in order.
class StateBatch {
 public:
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };

  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  // Every entry with first <= key < last.
  void DeleteRange(std::string_view first, std::string_view last);

  bool empty() const { return bytes_.empty(); }
  size_t bytes() const { return bytes_.size(); }
  int64_t entries() const { return entries_; }
  void Clear();
  // `second`: the value, or the end of the range.
  void ForEach(const std::function<void(Kind kind, std::string_view key, std::string_view second)>&
                   visit) const;

 private:
  void Append(Kind kind, std::string_view key, std::string_view second);
  std::string bytes_;
  int64_t entries_ = 0;
};

// A file of a checkpoint, in a folder on local disk; never changed once it is there.
struct StateFile {
  std::string name;
  int64_t bytes = 0;
};

struct StateCheckpoint {
  Epoch epoch;
  std::string folder;
  std::vector<StateFile> files;
};

struct StateStoreStats {
  int64_t queued_bytes = 0;  // given to Write and not applied yet
  int64_t disk_bytes = 0;
  int64_t memory_bytes = 0;  // memtables; the shared cache is the budget's
};

// Entries in order of their bytes, as they were when Scan was called. Views stay valid until Next.
class StateIterator {
 public:
  virtual ~StateIterator() = default;
  virtual bool Valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual void Next() = 0;
  // To the first entry at or after `key`.
  virtual void Seek(std::string_view key) = 0;
  // OK, or why it is not valid: "state_damaged".
  virtual Status status() const = 0;
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // Blocks while more than kQueuedBytesMax wait. A write that failed fails every later call:
  // "disk_full", "state_write_failed".
  virtual Status Write(StateBatch batch) = 0;

  // Entries with first <= key < last ("" as last: to the end), with everything that was written
  // before the call. Blocks until that is applied.
  virtual Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                                      std::string_view last) = 0;

  // Gathers the state as of now into `folder` (which must not exist), by hard links where it can.
  virtual void Checkpoint(Epoch epoch, const std::string& folder,
                          std::function<void(Result<StateCheckpoint>)> done) = 0;

  virtual StateStoreStats stats() const = 0;

  // Whether so much waits that who can wait had better not write now.
  virtual bool IsBehind() const { return false; }

  static constexpr int64_t kBehindBytes = 4 << 20;
  static constexpr int64_t kQueuedBytesMax = 16 << 20;
};

}  // namespace millrace
