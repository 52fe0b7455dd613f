#include "engine/operators/column.h"

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <cstring>

#include "engine/plan/expression.h"

namespace millrace {
namespace {

constexpr size_t kBlockBytes = 64 << 10;
constexpr size_t kDetailBytesMax = 100;

struct FaultText {
  std::string_view reason;
  std::string_view message;
};

FaultText TextOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      break;
    case Fault::kDivisionByZero:
      return {"division_by_zero", "division by zero"};
    case Fault::kIntegerOutOfRange:
      return {"numeric_out_of_range", "integer out of range"};
    case Fault::kBigintOutOfRange:
      return {"numeric_out_of_range", "bigint out of range"};
    case Fault::kDoubleOverflow:
      return {"numeric_out_of_range", "value out of range: overflow"};
    case Fault::kDoubleUnderflow:
      return {"numeric_out_of_range", "value out of range: underflow"};
    case Fault::kSquareRootOfNegative:
      return {"invalid_argument", "cannot take square root of a negative number"};
    case Fault::kLogarithmOfZero:
      return {"invalid_argument", "cannot take logarithm of zero"};
    case Fault::kLogarithmOfNegative:
      return {"invalid_argument", "cannot take logarithm of a negative number"};
    case Fault::kZeroToNegativePower:
      return {"invalid_argument", "zero raised to a negative power is undefined"};
    case Fault::kComplexPower:
      return {"invalid_argument",
              "a negative number raised to a non-integer power yields a complex result"};
    case Fault::kInputOutOfRange:
      return {"numeric_out_of_range", "input is out of range"};
    case Fault::kTimestampOutOfRange:
      return {"timestamp_out_of_range", "timestamp out of range"};
    case Fault::kTextTooLong:
      return {"text_too_long", "text would be longer than 1 MiB"};
    case Fault::kBatchTextTooLong:
      return {"text_too_long", "texts made for one batch would be longer than 256 MiB"};
    case Fault::kTrailingEscape:
      return {"invalid_escape_sequence", "LIKE pattern must not end with escape character"};
    case Fault::kNegativeSubstringLength:
      return {"invalid_argument", "negative substring length not allowed"};
    case Fault::kZeroFieldPosition:
      return {"invalid_argument", "field position must not be zero"};
    case Fault::kUnknownTimeUnit:
      return {"invalid_argument", "unit not recognized for type timestamp"};
    case Fault::kInvalidBoolean:
      return {"invalid_cast", "invalid input syntax for type boolean"};
    case Fault::kInvalidInteger:
      return {"invalid_cast", "invalid input syntax for type integer"};
    case Fault::kInvalidBigint:
      return {"invalid_cast", "invalid input syntax for type bigint"};
    case Fault::kInvalidDouble:
      return {"invalid_cast", "invalid input syntax for type double precision"};
    case Fault::kInvalidTimestamp:
      return {"invalid_cast", "invalid input syntax for type timestamp"};
    case Fault::kInvalidReal:
      return {"invalid_cast", "invalid input syntax for type real"};
    case Fault::kInvalidDate:
      return {"invalid_cast", "invalid input syntax for type date"};
    case Fault::kInvalidInterval:
      return {"invalid_cast", "invalid input syntax for type interval"};
    case Fault::kInvalidEscape:
      return {"invalid_escape_sequence", "escape must be empty or one character"};
    case Fault::kInvalidRegularExpression:
      return {"invalid_argument", "invalid regular expression"};
    case Fault::kBucketCount:
      return {"invalid_argument", "count must be greater than zero"};
    case Fault::kBucketBounds:
      return {"invalid_argument",
              "operand and bounds must not be NaN, and bounds finite and not equal"};
    case Fault::kInvalidCharacter:
      return {"invalid_argument", "not a character"};
    case Fault::kDateOutOfRange:
      return {"timestamp_out_of_range", "date or time field value out of range"};
    case Fault::kStride:
      return {"invalid_argument", "stride must be greater than zero, without months and years"};
    case Fault::kInvalidJson:
      return {"invalid_cast", "invalid input syntax for type json"};
    case Fault::kInvalidTextArray:
      return {"invalid_cast", "malformed array literal"};
    case Fault::kNulInText:
      return {"invalid_argument", "\\u0000 cannot be converted to text"};
    case Fault::kNonArray:
      return {"invalid_argument", "cannot get array length of a non-array"};
    case Fault::kScalarArray:
      return {"invalid_argument", "cannot get array length of a scalar"};
    case Fault::kIntervalOutOfRange:
      return {"interval_out_of_range", "interval out of range"};
    case Fault::kDayOutOfRange:
      return {"timestamp_out_of_range", "date out of range"};
    case Fault::kUnknownTimeZone:
      return {"invalid_argument", "unknown time zone"};
    case Fault::kZoneInterval:
      return {"invalid_argument", "the interval of a time zone must not have months or days"};
    case Fault::kUnknownIntervalUnit:
      return {"invalid_argument", "unit not recognized for type interval"};
    case Fault::kTemplateTooLong:
      return {"invalid_argument", "the template has more than 10,000 bytes"};
    case Fault::kBadNumberTemplate:
      return {"invalid_argument", "invalid template of a number"};
    case Fault::kBadFormat:
      return {"invalid_argument",
              "the template has what only to_char writes, or mixes ISO weeks with other dates"};
    case Fault::kNotOfFormat:
      return {"invalid_argument", "value does not match the format"};
    case Fault::kConflictingFields:
      return {"invalid_argument", "conflicting values of a field that the template has twice"};
    case Fault::kNegativeFactorial:
      return {"invalid_argument", "factorial of a negative number is undefined"};
    case Fault::kNotJsonNumber:
      return {"invalid_cast", "not a JSON number"};
    case Fault::kNotJsonBoolean:
      return {"invalid_cast", "not a JSON boolean"};
  }
  return {"", ""};
}

// At most `bytes_max` bytes, cut between characters.
std::string_view Shortened(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t size = bytes_max;
  while (size > 0 && (uint8_t(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace

std::string_view FaultReason(Fault fault) { return TextOf(fault).reason; }
std::string_view FaultMessage(Fault fault) { return TextOf(fault).message; }

Status Scratch::Reserve(int64_t bytes) {
  if (buffer_ != nullptr && buffer_->size() >= bytes) return Status::OK();
  buffer_.reset();
  ARROW_ASSIGN_OR_RAISE(buffer_, arrow::AllocateBuffer(std::max<int64_t>(bytes, 64)));
  return Status::OK();
}

void TextArena::Reset() {
  block_ = 0;
  offset_ = 0;
  total_ = 0;
}

char* TextArena::Allocate(size_t size) {
  if (total_ + size > kBatchTextBytesMax) return nullptr;
  total_ += size;
  while (block_ < blocks_.size() && offset_ + size > blocks_[block_].size) {
    ++block_;
    offset_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t bytes = std::max(size, kBlockBytes << std::min<size_t>(blocks_.size(), 6));
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(bytes), bytes});
  }
  char* const place = blocks_[block_].data.get() + offset_;
  offset_ += size;
  return place;
}

Column NullColumn(Type type) {
  static const uint8_t kIsNull = 1;
  static const Interval kZero;  // zeroes enough for any fixed width
  static const std::string_view kEmpty = std::string_view("");
  Column column;
  column.type = type;
  column.constant = true;
  column.values = IsTextual(type) ? static_cast<const void*>(&kEmpty) : &kZero;
  column.nulls = &kIsNull;
  return column;
}

void Frame::Begin(const arrow::RecordBatch& batch) {
  batch_ = &batch;
  errors_.clear();
}

void Frame::Fail(int64_t row, Fault fault, std::string_view where,
                 std::optional<std::string_view> detail) {
  if (errors_.empty()) failed_.assign(size_t(rows()), 0);
  if (failed_[size_t(row)] != 0) return;
  failed_[size_t(row)] = 1;
  RowError error;
  error.row = row;
  error.reason = FaultReason(fault);
  error.message = FaultMessage(fault);
  if (detail.has_value()) {
    const std::string_view shown = Shortened(*detail, kDetailBytesMax);
    error.message += ": \"";
    error.message += shown;
    error.message += shown.size() < detail->size() ? "...\"" : "\"";
  }
  if (!where.empty()) {
    error.message += " in ";
    error.message += where;
  }
  errors_.push_back(std::move(error));
}

std::vector<RowError> Frame::TakeErrors() {
  std::vector<RowError> errors = std::move(errors_);
  errors_.clear();
  std::ranges::sort(errors, {}, &RowError::row);
  return errors;
}

void ExpandBits(const uint8_t* bits, int64_t offset, int64_t count, bool inverted, uint8_t* bytes) {
  const uint8_t flip = inverted ? 0xFF : 0;
  bits += offset / 8;
  const int shift = int(offset % 8);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8, ++bits) {
    uint32_t eight = uint32_t(bits[0]) >> shift;
    if (shift > 0) eight |= uint32_t(bits[1]) << (8 - shift);
    const uint64_t spread =
        (uint64_t(uint8_t(eight) ^ flip) * 0x0101010101010101ULL) & 0x8040201008040201ULL;
    const uint64_t ones = ((spread + 0x7F7F7F7F7F7F7F7FULL) >> 7) & 0x0101010101010101ULL;
    std::memcpy(bytes + i, &ones, 8);
  }
  for (int64_t bit = shift; i < count; ++i, ++bit) {
    bytes[i] = uint8_t(((bits[bit / 8] ^ flip) >> (bit % 8)) & 1);
  }
}

void PackBits(const uint8_t* bytes, int64_t count, bool inverted, uint8_t* bits) {
  const uint8_t flip = inverted ? 0xFF : 0;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes + i, 8);
    bits[i / 8] = uint8_t((eight * 0x0102040810204080ULL) >> 56) ^ flip;
  }
  if (i == count) return;
  uint8_t last = 0;
  for (int bit = 0; i + bit < count; ++bit) {
    last |= uint8_t(((bytes[i + bit] ^ flip) & 1) << bit);
  }
  bits[i / 8] = last;
}

namespace {

struct Validity {
  std::shared_ptr<arrow::Buffer> bitmap;  // null: no nulls
  int64_t null_count = 0;
};

Result<Validity> MakeValidity(const Column& column, const Frame& frame) {
  const int64_t rows = frame.rows();
  const uint8_t* const failed = frame.failed();
  Validity validity;
  if (column.nulls == nullptr && failed == nullptr) return validity;
  std::vector<uint8_t> merged;
  const uint8_t* nulls = column.nulls;
  if (failed != nullptr || column.constant) {
    merged.assign(size_t(rows), column.AlwaysNull() ? 1 : 0);
    for (int64_t row = 0; row < rows; ++row) {
      if (failed != nullptr) merged[size_t(row)] |= failed[row];
      if (!column.constant && nulls != nullptr) merged[size_t(row)] |= nulls[row];
    }
    nulls = merged.data();
  }
  for (int64_t row = 0; row < rows; ++row) validity.null_count += nulls[row];
  if (validity.null_count == 0) return validity;
  ARROW_ASSIGN_OR_RAISE(validity.bitmap, arrow::AllocateBitmap(rows));
  PackBits(nulls, rows, /*inverted=*/true, validity.bitmap->mutable_data());
  return validity;
}

std::shared_ptr<arrow::Array> Assemble(Type type, int64_t rows, Validity validity,
                                       std::vector<std::shared_ptr<arrow::Buffer>> values) {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {std::move(validity.bitmap)};
  for (auto& buffer : values) buffers.push_back(std::move(buffer));
  return arrow::MakeArray(
      arrow::ArrayData::Make(ArrowType(type), rows, std::move(buffers), validity.null_count));
}

template <typename T>
Result<std::shared_ptr<arrow::Array>> FixedArray(const Column& column, Frame* frame) {
  const int64_t rows = frame->rows();
  std::shared_ptr<arrow::Buffer> values;
  if (column.scratch != nullptr && !column.constant) {
    values = column.scratch->Take();
  } else {
    ARROW_ASSIGN_OR_RAISE(values, arrow::AllocateBuffer(rows * int64_t(sizeof(T))));
    T* const out = reinterpret_cast<T*>(values->mutable_data());
    if (column.constant) {
      std::fill_n(out, rows, *column.Values<T>());
    } else if (rows > 0) {
      std::memcpy(out, column.values, size_t(rows) * sizeof(T));
    }
  }
  ARROW_ASSIGN_OR_RAISE(Validity validity, MakeValidity(column, *frame));
  return Assemble(column.type, rows, std::move(validity), {std::move(values)});
}

Result<std::shared_ptr<arrow::Array>> BooleanArrayOf(const Column& column, Frame* frame) {
  const int64_t rows = frame->rows();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values, arrow::AllocateBitmap(rows));
  if (column.constant) {
    std::memset(values->mutable_data(), *column.Values<uint8_t>() != 0 ? 0xFF : 0,
                size_t(values->size()));
  } else {
    PackBits(column.Values<uint8_t>(), rows, /*inverted=*/false, values->mutable_data());
  }
  ARROW_ASSIGN_OR_RAISE(Validity validity, MakeValidity(column, *frame));
  return Assemble(column.type, rows, std::move(validity), {std::move(values)});
}

Result<std::shared_ptr<arrow::Array>> TextArray(const Column& column, Frame* frame) {
  const int64_t rows = frame->rows();
  const std::string_view* const views = column.Values<std::string_view>();
  const auto view = [&](int64_t row) {
    return column.IsNull(row) ? std::string_view() : views[column.constant ? 0 : row];
  };
  int64_t total = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t size = int64_t(view(row).size());
    if (total + size > INT32_MAX) {
      frame->Fail(row, Fault::kBatchTextTooLong, "");
    } else {
      total += size;
    }
  }
  const uint8_t* const failed = frame->failed();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets,
                        arrow::AllocateBuffer((rows + 1) * int64_t(sizeof(int32_t))));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> data, arrow::AllocateBuffer(total));
  int32_t* const ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  uint8_t* const bytes = data->mutable_data();
  int32_t end = 0;
  ends[0] = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const std::string_view text =
        failed != nullptr && failed[row] != 0 ? std::string_view() : view(row);
    if (!text.empty()) std::memcpy(bytes + end, text.data(), text.size());
    end += int32_t(text.size());
    ends[row + 1] = end;
  }
  ARROW_ASSIGN_OR_RAISE(Validity validity, MakeValidity(column, *frame));
  return Assemble(Type::kText, rows, std::move(validity), {std::move(offsets), std::move(data)});
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> ToArray(const Column& column, Frame* frame) {
  if (column.array != nullptr && frame->failed() == nullptr) return *column.array;
  switch (column.type) {
    case Type::kNull:
      return std::make_shared<arrow::NullArray>(frame->rows());
    case Type::kBoolean:
      return BooleanArrayOf(column, frame);
    case Type::kInteger:
    case Type::kDate:
      return FixedArray<int32_t>(column, frame);
    case Type::kReal:
      return FixedArray<float>(column, frame);
    case Type::kBigint:
    case Type::kTimestamp:
      return FixedArray<int64_t>(column, frame);
    case Type::kDouble:
      return FixedArray<double>(column, frame);
    case Type::kText:
    case Type::kJson:
      return TextArray(column, frame);
    case Type::kInterval:
      break;
  }
  return InternalError("interval_column", "an interval cannot be a column");
}

}  // namespace millrace
