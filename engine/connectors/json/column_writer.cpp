#include "engine/connectors/json/column_writer.h"

#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_generate.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr int64_t kFirstTextBytes = 16 << 10;
constexpr int64_t kTextBytesMax = INT32_MAX;

Status Grow(std::shared_ptr<arrow::ResizableBuffer>* buffer, int64_t bytes) {
  if (*buffer != nullptr) return (*buffer)->Resize(bytes, /*shrink_to_fit=*/false);
  return arrow::AllocateResizableBuffer(bytes).Value(buffer);
}

}  // namespace

int64_t ColumnWriter::ValuesBytes(int64_t rows) const {
  switch (type_) {
    case Type::kBoolean:
      return rows;
    case Type::kInteger:
    case Type::kReal:
    case Type::kDate:
      return rows * 4;
    case Type::kText:
    case Type::kJson:
      return (rows + 1) * 4;
    default:
      return rows * 8;
  }
}

Status ColumnWriter::Reserve(int64_t rows, int64_t used) {
  const bool first = values_buffer_ == nullptr;
  ARROW_RETURN_NOT_OK(Grow(&values_buffer_, ValuesBytes(rows)));
  values_ = values_buffer_->mutable_data();
  if (first && IsTextual(type_)) Ends()[0] = 0;
  ARROW_RETURN_NOT_OK(Grow(&validity_buffer_, arrow::bit_util::BytesForBits(rows)));
  validity_bits_ = validity_buffer_->mutable_data();
  arrow::bit_util::SetBitsTo(validity_bits_, used, rows - used, true);
  return Status::OK();
}

bool ColumnWriter::GrowText(int64_t used, size_t more) {
  const int64_t needed = used + int64_t(more);
  if (needed > kTextBytesMax) return false;
  const int64_t capacity =
      std::clamp(text_capacity_ * 2, std::max(needed, kFirstTextBytes), kTextBytesMax);
  if (!Grow(&text_buffer_, capacity).ok()) return false;
  text_bytes_ = text_buffer_->mutable_data();
  text_capacity_ = capacity;
  return true;
}

void ColumnWriter::SetNull(int64_t row) {
  has_nulls_ = true;
  validity_bits_[row >> 3] &= uint8_t(~(1 << (row & 7)));
  if (IsTextual(type_)) {
    Ends()[row + 1] = Ends()[row];
  } else {
    std::memset(values_ + ValuesBytes(row), 0, size_t(ValuesBytes(1)));
  }
}

Result<std::shared_ptr<arrow::Array>> ColumnWriter::Finish(int64_t rows) {
  if (values_buffer_ == nullptr) ARROW_RETURN_NOT_OK(Reserve(0, 0));
  ARROW_RETURN_NOT_OK(values_buffer_->Resize(ValuesBytes(rows), /*shrink_to_fit=*/false));
  std::vector<std::shared_ptr<arrow::Buffer>> buffers{nullptr, std::move(values_buffer_)};
  if (has_nulls_) {
    ARROW_RETURN_NOT_OK(validity_buffer_->Resize(arrow::bit_util::BytesForBits(rows), false));
    buffers[0] = std::move(validity_buffer_);
  }
  if (type_ == Type::kBoolean) {
    const uint8_t* bytes = buffers[1]->data();
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits, arrow::AllocateBitmap(rows));
    arrow::internal::GenerateBitsUnrolled(bits->mutable_data(), 0, rows,
                                          [&bytes] { return *bytes++ != 0; });
    buffers[1] = std::move(bits);
  }
  if (IsTextual(type_)) {
    const int64_t size = reinterpret_cast<const int32_t*>(buffers[1]->data())[rows];
    ARROW_RETURN_NOT_OK(Grow(&text_buffer_, size));
    buffers.push_back(std::move(text_buffer_));
  }
  const int64_t null_count = has_nulls_ ? arrow::kUnknownNullCount : 0;
  *this = ColumnWriter(type_);
  return arrow::MakeArray(
      arrow::ArrayData::Make(ArrowType(type_), rows, std::move(buffers), null_count));
}

}  // namespace millrace
