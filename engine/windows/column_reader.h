// One column of a batch. As a key or a distinct value it is read in canonical form: what is equal
// has the same bits. Fixed-width values are 64 bits (integers and reals widened, -0.0 as 0.0, every
// NaN as one), text is its bytes. Loops over numbers take the values as they stand.
#pragma once

#include <arrow/array.h>
#include <arrow/builder.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

inline uint64_t CanonicalBits(double value) {
  if (value == 0) value = 0;
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  return std::bit_cast<uint64_t>(value);
}

// Valid while the array is.
class ColumnReader {
 public:
  // Fails (internal) for a type that no column of ours has.
  static Result<ColumnReader> Make(const arrow::Array& array);

  Type type() const { return type_; }
  bool is_text() const { return type_ == Type::kText; }

  bool IsNull(int64_t row) const {
    if (type_ == Type::kNull) return true;
    if (validity_ == nullptr) return false;
    const int64_t bit = row + offset_;
    return (validity_[bit >> 3] >> (bit & 7) & 1) == 0;
  }
  // Not for text.
  uint64_t Fixed(int64_t row) const {
    switch (type_) {
      case Type::kBoolean: {
        const int64_t bit = row + offset_;
        return data_[bit >> 3] >> (bit & 7) & 1;
      }
      case Type::kInteger:
      case Type::kDate:
        return uint64_t(int64_t(reinterpret_cast<const int32_t*>(data_)[row + offset_]));
      case Type::kReal:
        return CanonicalBits(double(reinterpret_cast<const float*>(data_)[row + offset_]));
      case Type::kDouble:
        return CanonicalBits(reinterpret_cast<const double*>(data_)[row + offset_]);
      default:
        return reinterpret_cast<const uint64_t*>(data_)[row + offset_];
    }
  }
  std::string_view Text(int64_t row) const {
    const int32_t* ends = text_offsets_ + row + offset_;
    return {reinterpret_cast<const char*>(data_) + ends[0], size_t(ends[1] - ends[0])};
  }

  // Whether IsNull can be true.
  bool may_be_null() const { return type_ == Type::kNull || validity_ != nullptr; }
  // The values from the first row on; T is the type's own, bits (boolean) excepted.
  template <typename T>
  const T* Values() const {
    return reinterpret_cast<const T*>(data_) + offset_;
  }

 private:
  Type type_ = Type::kNull;
  int64_t offset_ = 0;
  const uint8_t* validity_ = nullptr;  // null: no nulls
  const uint8_t* data_ = nullptr;
  const int32_t* text_offsets_ = nullptr;
};

// Appends what ColumnReader::Fixed gave of a value, -0.0 and NaN as the bits say, to a builder of
// its type.
Status AppendBits(uint64_t bits, arrow::ArrayBuilder* builder);

}  // namespace millrace
