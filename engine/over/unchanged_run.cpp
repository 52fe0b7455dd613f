#include "engine/over/unchanged_run.h"

#include <bit>

#include "engine/windows/ordered_bits.h"

namespace millrace {

void UnchangedRun::Take(const CellValue& cell, Type type, int64_t time) {
  if (cell.is_null) return;
  uint64_t bits = 0;
  if (type == Type::kReal || type == Type::kDouble) {
    bits = uint64_t(OrderedBits(std::bit_cast<double>(cell.bits)));
  } else if (!IsTextual(type)) {
    bits = cell.bits;
  }
  if (rows_ > 0 && bits == bits_ && cell.text == text_) {
    ++rows_;
    return;
  }
  rows_ = 1;
  since_ = time;
  bits_ = bits;
  text_ = cell.text;
}

void UnchangedRun::Save(Type type, StateEncoder* out) const {
  out->Put64(uint64_t(rows_));
  if (rows_ == 0) return;
  out->Put64(uint64_t(since_));
  if (IsTextual(type)) {
    out->PutText(text_);
  } else {
    out->Put64(bits_);
  }
}

void UnchangedRun::Restore(Type type, StateDecoder* in) {
  rows_ = in->TakeTally();
  if (rows_ == 0) return;
  since_ = int64_t(in->Take64());
  if (IsTextual(type)) {
    text_ = in->TakeText();
  } else {
    bits_ = in->Take64();
  }
}

}  // namespace millrace
