// Keys as dense ids. A key is mapped once a row: open addressing from the hash of its columns to
// its id, with the bytes of the key compared, so that equal hashes of different keys are right. A
// key lives while it has an open pane; its id is then given to another. The smallest free id is
// always given first, so the ids that are in use decide which come next.
#pragma once

#include <arrow/builder.h>
#include <arrow/record_batch.h>

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/windows/column_reader.h"

namespace millrace {

class KeyTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit KeyTable(std::vector<int> columns);

  // The key columns of `batch`, for the Find calls that follow; it must outlive them.
  Status Bind(const arrow::RecordBatch& batch);
  // The id of the key at `row`, a new one where it is not known.
  uint32_t FindOrInsert(uint64_t hash, int64_t row);
  // The same by the key's bytes.
  uint32_t FindOrInsert(uint64_t hash, std::string_view bytes);
  // The id of a key by its bytes; kNone where it is not known.
  uint32_t Find(uint64_t hash, std::string_view bytes) const;
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&table_[Home(hash)]); }

  // Open panes hold a key; the last one that is closed evicts it.
  void AddPane(uint32_t id) { ++keys_[id].open_panes; }
  void RemovePane(uint32_t id);
  bool HasPane(uint32_t id) const { return keys_[id].open_panes > 0; }

  // Each column is a byte (0: null, 1: a value) and, for a value, eight bytes or, for text, its
  // length in four bytes and its bytes; numbers little-endian.
  std::string_view bytes(uint32_t id) const { return keys_[id].bytes; }
  uint64_t hash(uint32_t id) const { return keys_[id].hash; }
  // Appends the columns of a key to one builder a column.
  static Status Append(std::string_view bytes, std::span<arrow::ArrayBuilder* const> builders);
  // Whether `bytes` are those of a key, where is_text tells of each column whether it is text: what
  // Append relies on.
  static bool IsKey(std::string_view bytes, const std::vector<bool>& is_text);

  size_t size() const { return size_; }
  size_t MemoryBytes() const;

 private:
  struct Key {
    uint64_t hash = 0;
    uint32_t open_panes = 0;
    std::string bytes;
  };
  struct Entry {
    uint64_t hash = 0;
    uint32_t id = kNone;
  };

  // The low bits of a hash decide the key group, which a task shares: the high ones spread.
  size_t Home(uint64_t hash) const { return (hash * 0x9E3779B97F4A7C15u) >> shift_; }
  bool Equals(const Key& key, int64_t row) const;
  void Encode(int64_t row, std::string* bytes) const;
  uint32_t TakeId();
  void Link(uint64_t hash, uint32_t id);
  void Evict(uint32_t id);
  void Grow();

  std::vector<int> columns_;
  std::vector<ColumnReader> bound_;
  std::vector<Key> keys_;  // by id
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free_ids_;
  std::vector<Entry> table_;  // a power of two, at most half full
  int shift_;
  size_t size_ = 0;
  size_t text_bytes_ = 0;  // of keys, beyond their place in keys_
};

}  // namespace millrace
