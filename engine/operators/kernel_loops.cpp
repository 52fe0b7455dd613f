#include "engine/operators/kernel_loops.h"

namespace millrace {

Result<StrictNulls> StrictNulls::Of(const KernelCall& call) {
  StrictNulls merged;
  int nullable = 0;
  for (const Column& argument : call.args) {
    if (argument.AlwaysNull()) {
      merged.always_ = true;
      return merged;
    }
    if (argument.constant || argument.nulls == nullptr) continue;
    merged.bytes_ = argument.nulls;
    ++nullable;
  }
  if (nullable < 2) return merged;
  ARROW_ASSIGN_OR_RAISE(uint8_t * own, call.memory->nulls.Allocate<uint8_t>(call.frame->rows()));
  bool first = true;
  for (const Column& argument : call.args) {
    if (argument.constant || argument.nulls == nullptr) continue;
    const uint8_t* const marks = argument.nulls;
    if (first) {
      call.rows.ForEach([&](int64_t row) { own[row] = marks[row]; });
    } else {
      call.rows.ForEach([&](int64_t row) { own[row] |= marks[row]; });
    }
    first = false;
  }
  merged.bytes_ = own;
  merged.own_ = own;
  return merged;
}

Status StrictNulls::Set(const KernelCall& call, int64_t row) {
  if (own_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(own_, call.memory->nulls.Allocate<uint8_t>(call.frame->rows()));
    const uint8_t* const marks = bytes_;
    call.rows.ForEach([&](int64_t r) { own_[r] = marks == nullptr ? 0 : marks[r]; });
    bytes_ = own_;
  }
  own_[row] = 1;
  return Status::OK();
}

}  // namespace millrace
