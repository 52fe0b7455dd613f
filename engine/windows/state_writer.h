// Writes accumulators into a store: the entries of one (key, time) in one chunk, gathered into
// batches. Format: docs/state-format.md, "Windows".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/state/state_store.h"
#include "engine/windows/stored_merge.h"

namespace millrace {

class StateWriter {
 public:
  // Both outlive it.
  void Open(StateStore* store, const StoredFormat* format);

  // Writes `row` as it is. Its values are written once: its header counts their parts.
  void Put(int64_t time, uint64_t hash, std::string_view key, uint32_t chunk, char* row);
  // What Put wrote for a row whose header counts `parts`, into `batch`.
  void Delete(int64_t time, uint64_t hash, std::string_view key, uint32_t chunk, uint32_t parts,
              StateBatch* batch);

  // What the keys of these entries begin with, in all chunks.
  const std::string& KeyOf(int64_t time, uint64_t hash, std::string_view key);

  // Gives the batch to the store; where it has grown large.
  Status Flush();
  Status FlushIfLarge() { return batch_.bytes() < kBatchBytes ? Status::OK() : Flush(); }
  StateBatch* batch() { return &batch_; }
  size_t bytes() const { return batch_.bytes(); }

 private:
  static constexpr size_t kBatchBytes = 1 << 20;

  StateStore* store_ = nullptr;
  const StoredFormat* format_ = nullptr;
  StateBatch batch_;
  std::string key_;
  std::string value_;
};

}  // namespace millrace
