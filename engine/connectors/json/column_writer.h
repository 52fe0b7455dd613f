// A column of a batch under construction, written in place.
//
// Values are written at the row that comes next and count once the owner goes on to the row after
// it: a row that turns out to be unusable is just written again (after Rewind). A column without
// a null has no null marks.
#pragma once

#include <arrow/array.h>
#include <arrow/buffer.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

// One thread at a time.
class ColumnWriter {
 public:
  // Not for kNull and kInterval.
  explicit ColumnWriter(Type type) : type_(type) {}

  // Room for `rows` rows in all; the values of the first `used` stay.
  Status Reserve(int64_t rows, int64_t used);

  // Of the column's own type; `row` is below the reserved rows.
  void SetBoolean(int64_t row, bool value) { values_[row] = value; }
  void SetInteger(int64_t row, int32_t value) { Store(row, value); }  // integer and date
  void SetReal(int64_t row, float value) { Store(row, value); }
  void SetInt64(int64_t row, int64_t value) { Store(row, value); }  // bigint and timestamp
  void SetDouble(int64_t row, double value) { Store(row, value); }
  // The rows before must have been set, in order. False where there is no room: a batch's text is
  // less than 2 GiB, or memory ran out.
  bool SetText(int64_t row, std::string_view text) {
    const int32_t begin = Ends()[row];
    if (int64_t(text.size()) > text_capacity_ - begin && !GrowText(begin, text.size())) {
      return false;
    }
    // There may be no bytes yet to copy nothing to.
    if (!text.empty()) std::memcpy(text_bytes_ + begin, text.data(), text.size());
    Ends()[row + 1] = begin + int32_t(text.size());
    return true;
  }
  void SetNull(int64_t row);
  // Takes back that `row` is null.
  void Rewind(int64_t row) {
    if (has_nulls_) validity_bits_[row >> 3] |= uint8_t(1 << (row & 7));
  }

  // The first `rows` rows; the writer begins anew, without room.
  Result<std::shared_ptr<arrow::Array>> Finish(int64_t rows);

 private:
  template <typename T>
  void Store(int64_t row, T value) {
    std::memcpy(values_ + row * int64_t(sizeof(T)), &value, sizeof(T));
  }
  int32_t* Ends() { return reinterpret_cast<int32_t*>(values_); }
  int64_t ValuesBytes(int64_t rows) const;
  bool GrowText(int64_t used, size_t more);

  Type type_;
  // Values; of booleans a byte each; of text where each begins, and the end.
  std::shared_ptr<arrow::ResizableBuffer> values_buffer_;
  uint8_t* values_ = nullptr;
  std::shared_ptr<arrow::ResizableBuffer> text_buffer_;
  uint8_t* text_bytes_ = nullptr;
  int64_t text_capacity_ = 0;
  std::shared_ptr<arrow::ResizableBuffer> validity_buffer_;
  uint8_t* validity_bits_ = nullptr;
  bool has_nulls_ = false;
};

}  // namespace millrace
