#include "engine/ordered/row_store.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/windows/ordered_bits.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {
namespace {

uint64_t BitsOf(const ColumnReader& column, int64_t row) {
  if (column.type() == Type::kDouble) return std::bit_cast<uint64_t>(column.Values<double>()[row]);
  if (column.type() == Type::kReal) {
    return std::bit_cast<uint64_t>(double(column.Values<float>()[row]));
  }
  return column.Fixed(row);
}

// Of a type's bits, as they compare.
int64_t Ordered(Type type, uint64_t bits) {
  if (type == Type::kDouble || type == Type::kReal) return OrderedBits(std::bit_cast<double>(bits));
  return int64_t(bits);
}

}  // namespace

RowStore::RowStore(std::vector<int> columns, std::vector<Type> types)
    : columns_(std::move(columns)),
      types_(std::move(types)),
      null_words_((types_.size() + 63) / 64),
      slab_(sizeof(Fixed) + (null_words_ + types_.size()) * sizeof(uint64_t)) {
  for (size_t i = 0; i < types_.size(); ++i) {
    if (IsTextual(types_[i])) texts_.push_back(i);
  }
}

RowStore::~RowStore() { Clear(); }

Status RowStore::Bind(const arrow::RecordBatch& batch) {
  bound_.clear();
  for (size_t i = 0; i < columns_.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader column,
                          ColumnReader::Make(*batch.column(columns_[i])));
    const bool same = column.type() == types_[i] || column.type() == Type::kNull ||
                      (column.is_text() && IsTextual(types_[i]));
    if (!same) {
      return InternalError("bad_column_type", "column " + std::to_string(columns_[i]) + " is " +
                                                  std::string(TypeName(column.type())) +
                                                  ", planned was " +
                                                  std::string(TypeName(types_[i])));
    }
    bound_.push_back(column);
  }
  return Status::OK();
}

uint32_t RowStore::Take(int64_t time) {
  const uint32_t slot = slab_.Take();
  FixedOf(slot) = {time, 0, kNone};
  std::memset(NullsOf(slot), 0, (null_words_ + types_.size()) * sizeof(uint64_t));
  if (!texts_.empty()) {
    if (slot >= in_use_.size()) in_use_.resize(slot + 1);
    in_use_[slot] = true;
  }
  return slot;
}

uint32_t RowStore::Store(int64_t time, int64_t row) {
  const uint32_t slot = Take(time);
  uint64_t* const nulls = NullsOf(slot);
  uint64_t* const cells = CellsOf(slot);
  for (size_t i = 0; i < bound_.size(); ++i) {
    const ColumnReader& column = bound_[i];
    if (column.IsNull(row)) {
      nulls[i / 64] |= uint64_t(1) << (i % 64);
    } else {
      cells[i] = column.is_text() ? KeepText(column.Text(row)) : BitsOf(column, row);
    }
  }
  return slot;
}

uint64_t RowStore::KeepText(std::string_view text) {
  void* const memory = std::malloc(sizeof(Text) + text.size());
  if (memory == nullptr) throw std::bad_alloc();
  auto* const kept = static_cast<Text*>(memory);
  kept->size = uint32_t(text.size());
  if (!text.empty()) std::memcpy(kept + 1, text.data(), text.size());
  text_bytes_ += int64_t(sizeof(Text) + text.size());
  return std::bit_cast<uint64_t>(kept);
}

void RowStore::FreeTexts(uint32_t slot) {
  for (const size_t column : texts_) {
    auto* const kept = std::bit_cast<Text*>(CellsOf(slot)[column]);
    if (kept == nullptr) continue;
    text_bytes_ -= int64_t(sizeof(Text) + kept->size);
    std::free(kept);
  }
  if (!texts_.empty()) in_use_[slot] = false;
}

void RowStore::Free(uint32_t slot) {
  FreeTexts(slot);
  slab_.Free(slot);
}

void RowStore::Clear() {
  for (uint32_t slot = 0; slot < in_use_.size(); ++slot) {
    if (in_use_[slot]) FreeTexts(slot);
  }
  in_use_.clear();
  slab_ = RowSlab(sizeof(Fixed) + (null_words_ + types_.size()) * sizeof(uint64_t));
}

Status RowStore::AppendTimes(std::span<const uint32_t> slots, arrow::ArrayBuilder* builder) const {
  if (builder->type()->id() != arrow::Type::TIMESTAMP) {
    return InternalError("bad_column_type", "event times in a column of another type");
  }
  auto* const times = static_cast<arrow::TimestampBuilder*>(builder);
  ARROW_RETURN_NOT_OK(times->Reserve(int64_t(slots.size())));
  for (const uint32_t slot : slots) {
    if (slot == kNone) {
      times->UnsafeAppendNull();
    } else {
      times->UnsafeAppend(time(slot));
    }
  }
  return Status::OK();
}

Status RowStore::AppendColumn(std::span<const uint32_t> slots, size_t column,
                              arrow::ArrayBuilder* builder) const {
  if (builder->type()->id() != ArrowType(types_[column])->id()) {
    return InternalError("bad_column_type", "values in a column of another type");
  }
  ARROW_RETURN_NOT_OK(builder->Reserve(int64_t(slots.size())));
  const auto append = [&]<typename Builder>(Builder* typed, auto value_of) {
    for (const uint32_t slot : slots) {
      if (slot == kNone || IsNull(slot, column)) {
        typed->UnsafeAppendNull();
      } else {
        typed->UnsafeAppend(value_of(CellsOf(slot)[column]));
      }
    }
    return Status::OK();
  };
  const auto as_double = [](uint64_t bits) { return std::bit_cast<double>(bits); };
  switch (builder->type()->id()) {
    case arrow::Type::STRING: {
      auto* const texts = static_cast<arrow::StringBuilder*>(builder);
      int64_t bytes = 0;
      const auto text_of = [&](uint32_t slot) { return cell(slot, column).text; };
      for (const uint32_t slot : slots) {
        if (slot != kNone && !IsNull(slot, column)) bytes += int64_t(text_of(slot).size());
      }
      ARROW_RETURN_NOT_OK(texts->ReserveData(bytes));
      for (const uint32_t slot : slots) {
        if (slot == kNone || IsNull(slot, column)) {
          texts->UnsafeAppendNull();
        } else {
          texts->UnsafeAppend(text_of(slot));
        }
      }
      return Status::OK();
    }
    case arrow::Type::BOOL:
      return append(static_cast<arrow::BooleanBuilder*>(builder),
                    [](uint64_t bits) { return bits != 0; });
    case arrow::Type::INT32:
      return append(static_cast<arrow::Int32Builder*>(builder),
                    [](uint64_t bits) { return int32_t(bits); });
    case arrow::Type::INT64:
      return append(static_cast<arrow::Int64Builder*>(builder),
                    [](uint64_t bits) { return int64_t(bits); });
    case arrow::Type::FLOAT:
      return append(static_cast<arrow::FloatBuilder*>(builder),
                    [&](uint64_t bits) { return float(as_double(bits)); });
    case arrow::Type::DOUBLE:
      return append(static_cast<arrow::DoubleBuilder*>(builder), as_double);
    case arrow::Type::DATE32:
      return append(static_cast<arrow::Date32Builder*>(builder),
                    [](uint64_t bits) { return int32_t(bits); });
    case arrow::Type::TIMESTAMP:
      return append(static_cast<arrow::TimestampBuilder*>(builder),
                    [](uint64_t bits) { return int64_t(bits); });
    default:
      return builder->AppendNulls(int64_t(slots.size()));
  }
}

bool RowStore::IsBeforeOfOneTime(uint32_t left, uint32_t right) const {
  for (size_t i = 0; i < types_.size(); ++i) {
    const CellValue a = cell(left, i);
    const CellValue b = cell(right, i);
    if (a.is_null || b.is_null) {
      if (a.is_null == b.is_null) continue;
      return b.is_null;
    }
    if (IsTextual(types_[i])) {
      if (a.text != b.text) return a.text < b.text;
    } else {
      const int64_t x = Ordered(types_[i], a.bits);
      const int64_t y = Ordered(types_[i], b.bits);
      if (x != y) return x < y;
      // 0 and -0 are equal, but what is computed of them may differ in sign.
      if (a.bits != b.bits) return int64_t(a.bits) < int64_t(b.bits);
    }
  }
  return false;
}

void RowStore::Encode(uint32_t slot, std::string* bytes) const {
  StateEncoder out(bytes);
  out.Put64(uint64_t(time(slot)));
  for (size_t i = 0; i < types_.size(); ++i) {
    const CellValue value = cell(slot, i);
    out.Put8(value.is_null ? 0 : 1);
    if (value.is_null) continue;
    if (IsTextual(types_[i])) {
      out.PutText(value.text);
    } else {
      out.Put64(value.bits);
    }
  }
}

Result<uint32_t> RowStore::Decode(std::string_view* bytes) {
  StateDecoder in(bytes);
  const uint32_t slot = Take(int64_t(in.Take64()));
  for (size_t i = 0; i < types_.size(); ++i) {
    const uint8_t present = in.Take8();
    in.Require(present <= 1);
    if (present == 0) {
      NullsOf(slot)[i / 64] |= uint64_t(1) << (i % 64);
    } else {
      CellsOf(slot)[i] = IsTextual(types_[i]) ? KeepText(in.TakeText()) : in.Take64();
    }
  }
  if (const Status status = in.status(); !status.ok()) {
    Free(slot);
    return status;
  }
  return slot;
}

}  // namespace millrace
