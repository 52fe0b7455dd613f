// How values stand while an expression runs over one batch, and what goes wrong on rows.
//
// A column's value for row r stands at index r; only the rows of the selection it was evaluated
// for are defined. Booleans and null marks are a byte a row, so that loops over them are plain;
// text is views into the batch, into literals or into a node's arena. Everything a column points
// to lives until the node that made it runs again.
//
// A row that failed anywhere is failed as a whole: the first error is kept, the value is null.
#pragma once

#include <arrow/buffer.h>
#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/rows.h"
#include "engine/model/types.h"

namespace millrace {

// Longest text that a function makes for one row, and that one node makes for a batch.
inline constexpr size_t kTextBytesMax = 1 << 20;
inline constexpr size_t kBatchTextBytesMax = 256 << 20;

// The rows to evaluate, ascending; all of the batch where `rows` is null.
struct Selection {
  const int32_t* rows = nullptr;
  int64_t count = 0;

  bool all() const { return rows == nullptr; }
  template <typename Visit>
  void ForEach(Visit visit) const {
    if (rows == nullptr) {
      for (int64_t row = 0; row < count; ++row) visit(row);
    } else {
      for (int64_t i = 0; i < count; ++i) visit(int64_t(rows[i]));
    }
  }
};

// What may go wrong on a row. Texts are PostgreSQL's; see FaultReason and FaultMessage.
enum class Fault : uint8_t {
  kNone,
  kDivisionByZero,
  kIntegerOutOfRange,
  kBigintOutOfRange,
  kDoubleOverflow,
  kDoubleUnderflow,
  kSquareRootOfNegative,
  kLogarithmOfZero,
  kLogarithmOfNegative,
  kZeroToNegativePower,
  kComplexPower,
  kInputOutOfRange,
  kTimestampOutOfRange,
  kTextTooLong,
  kBatchTextTooLong,
  kTrailingEscape,
  kNegativeSubstringLength,
  kZeroFieldPosition,
  kUnknownTimeUnit,
  kInvalidBoolean,
  kInvalidInteger,
  kInvalidBigint,
  kInvalidDouble,
  kInvalidTimestamp,
  kInvalidReal,
  kInvalidDate,
  kInvalidInterval,
  kInvalidEscape,
  kInvalidRegularExpression,
  kBucketCount,
  kBucketBounds,
  kInvalidCharacter,
  kDateOutOfRange,
  kStride,
  kInvalidJson,
  kInvalidTextArray,
  kNulInText,
  kNonArray,
  kScalarArray,
  kIntervalOutOfRange,
  kDayOutOfRange,
  kUnknownTimeZone,
  kZoneInterval,
  kUnknownIntervalUnit,
  kTemplateTooLong,
  kBadNumberTemplate,
  kBadFormat,
  kNotOfFormat,
  kConflictingFields,
  kNegativeFactorial,
  kNotJsonNumber,
  kNotJsonBoolean,
};
std::string_view FaultReason(Fault fault);
std::string_view FaultMessage(Fault fault);

// Memory that a node keeps from batch to batch; grows, never shrinks.
class Scratch {
 public:
  // Room for `count` values, not initialised.
  template <typename T>
  Result<T*> Allocate(int64_t count) {
    ARROW_RETURN_NOT_OK(Reserve(count * int64_t(sizeof(T))));
    return reinterpret_cast<T*>(buffer_->mutable_data());
  }
  // Gives the memory away, as the values of an array.
  std::shared_ptr<arrow::Buffer> Take() { return std::move(buffer_); }

 private:
  Status Reserve(int64_t bytes);
  std::shared_ptr<arrow::Buffer> buffer_;
};

// Text made by one node for one batch, in blocks that never move.
class TextArena {
 public:
  void Reset();
  // Null where the batch's bound is reached. `size` <= kTextBytesMax.
  char* Allocate(size_t size);

 private:
  struct Block {
    std::unique_ptr<char[]> data;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0;   // in use
  size_t offset_ = 0;  // used of it
  size_t total_ = 0;   // handed out since Reset
};

struct Column {
  Type type = Type::kNull;
  bool constant = false;           // index 0 holds for every row
  const void* values = nullptr;    // uint8_t, int32_t, int64_t, float, double, text views, Interval
  const uint8_t* nulls = nullptr;  // 1 = null; null pointer: no nulls
  // Where the values may be taken from instead of being copied: the input's own array, or the
  // scratch memory that `values` points to.
  const std::shared_ptr<arrow::Array>* array = nullptr;
  Scratch* scratch = nullptr;

  template <typename T>
  const T* Values() const {
    return static_cast<const T*>(values);
  }
  bool IsNull(int64_t row) const { return nulls != nullptr && nulls[constant ? 0 : row] != 0; }
  bool AlwaysNull() const { return constant && IsNull(0); }
};

// Null for every row.
Column NullColumn(Type type);

// One evaluation of one expression over one batch.
class Frame {
 public:
  void Begin(const arrow::RecordBatch& batch);

  const arrow::RecordBatch& batch() const { return *batch_; }
  int64_t rows() const { return batch_->num_rows(); }

  // `where`: the failing expression as text; `detail`: the value that was refused.
  void Fail(int64_t row, Fault fault, std::string_view where,
            std::optional<std::string_view> detail = std::nullopt);
  // One byte a row, 1 = failed; null where none did.
  const uint8_t* failed() const { return errors_.empty() ? nullptr : failed_.data(); }
  // Sorted by row.
  std::vector<RowError> TakeErrors();

 private:
  const arrow::RecordBatch* batch_ = nullptr;
  std::vector<uint8_t> failed_;
  std::vector<RowError> errors_;
};

// Bits to bytes of 0 or 1 (or the reverse of them), and back. `bits` starts at bit `offset`.
void ExpandBits(const uint8_t* bits, int64_t offset, int64_t count, bool inverted, uint8_t* bytes);
// Writes (count + 7) / 8 bytes.
void PackBits(const uint8_t* bytes, int64_t count, bool inverted, uint8_t* bits);

// The finished column as an array of `frame.rows()` values; failed rows are null. May fail rows
// whose text does not fit into one array.
Result<std::shared_ptr<arrow::Array>> ToArray(const Column& column, Frame* frame);

}  // namespace millrace
