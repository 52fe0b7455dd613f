// Rows that are kept between batches: of each its event time, its columns, where it stands in the
// store, and a number that the user gives it. Rows are of one size, in a slab, and texts beside
// them.
#pragma once

#include <arrow/record_batch.h>

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/ordered/cell_value.h"
#include "engine/windows/column_reader.h"
#include "engine/windows/row_slab.h"

namespace millrace {

class RowStore {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Stores these columns of batches; `types` are theirs.
  RowStore(std::vector<int> columns, std::vector<Type> types);
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  // The batch of the Store calls that follow; it must outlive them. Fails (internal) where it has
  // not the columns.
  Status Bind(const arrow::RecordBatch& batch);
  uint32_t Store(int64_t time, int64_t row);
  void Free(uint32_t slot);
  // Frees all of them.
  void Clear();

  int64_t time(uint32_t slot) const { return FixedOf(slot).time; }
  // The entry of the state store that holds the row; 0: none yet.
  uint32_t& block(uint32_t slot) { return FixedOf(slot).block; }
  // The user's; kNone at first.
  uint32_t& tag(uint32_t slot) { return FixedOf(slot).tag; }
  uint32_t tag(uint32_t slot) const { return FixedOf(slot).tag; }
  size_t columns() const { return types_.size(); }
  Type type(size_t column) const { return types_[column]; }
  CellValue cell(uint32_t slot, size_t column) const {
    CellValue cell;
    cell.is_null = IsNull(slot, column);
    if (cell.is_null) return cell;
    cell.bits = CellsOf(slot)[column];
    if (IsTextual(types_[column])) {
      const auto* const kept = std::bit_cast<const Text*>(cell.bits);
      cell.text = {kept->bytes(), kept->size};
    }
    return cell;
  }
  void Prefetch(uint32_t slot) const { __builtin_prefetch(slab_.Row(slot)); }

  // Of each row (kNone: null) its event time, or a column, to a builder of the type.
  Status AppendTimes(std::span<const uint32_t> slots, arrow::ArrayBuilder* builder) const;
  Status AppendColumn(std::span<const uint32_t> slots, size_t column,
                      arrow::ArrayBuilder* builder) const;

  // In the order of time, then of all columns, nulls last.
  bool IsBefore(uint32_t left, uint32_t right) const {
    if (time(left) != time(right)) return time(left) < time(right);
    return IsBeforeOfOneTime(left, right);
  }

  // docs/state-format.md, "Rows in order".
  void Encode(uint32_t slot, std::string* bytes) const;
  // Consumes what Encode wrote. "state_damaged".
  Result<uint32_t> Decode(std::string_view* bytes);

  size_t used() const { return slab_.used(); }
  int64_t MemoryBytes() const { return int64_t(slab_.MemoryBytes()) + text_bytes_; }

 private:
  struct Fixed {
    int64_t time;
    uint32_t block;
    uint32_t tag;
  };
  // A text's length, and its bytes behind it.
  struct Text {
    uint32_t size;
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  };

  Fixed& FixedOf(uint32_t slot) const { return *reinterpret_cast<Fixed*>(slab_.Row(slot)); }
  uint64_t* NullsOf(uint32_t slot) const {
    return reinterpret_cast<uint64_t*>(slab_.Row(slot) + sizeof(Fixed));
  }
  uint64_t* CellsOf(uint32_t slot) const { return NullsOf(slot) + null_words_; }
  bool IsNull(uint32_t slot, size_t column) const {
    return (NullsOf(slot)[column / 64] >> (column % 64) & 1) != 0;
  }
  bool IsBeforeOfOneTime(uint32_t left, uint32_t right) const;
  uint32_t Take(int64_t time);
  uint64_t KeepText(std::string_view text);
  void FreeTexts(uint32_t slot);

  const std::vector<int> columns_;
  const std::vector<Type> types_;
  std::vector<size_t> texts_;  // which columns are texts
  const size_t null_words_;
  RowSlab slab_;
  std::vector<bool> in_use_;  // by slot; only where there are texts
  int64_t text_bytes_ = 0;
  std::vector<ColumnReader> bound_;
};

}  // namespace millrace
