// Loops that turn an operation on single values into a kernel. Three kinds of operation:
//
//   Total    R Call(A...)                              cannot fail
//   Checked  R Call(A...), Fault Check(A..., R)        both defined for all values; what Check
//                                                      refuses is looked for once a batch
//   Custom   Fault Call(CallMemory*, A..., R*)         parses or makes text; not called on nulls
//
// All are strict: null in any argument gives null. Where every row is selected and arguments are
// whole columns (or one of two is a literal), Total and Checked run in blocks of fixed length,
// which the compiler turns into vector instructions.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "engine/operators/kernels.h"

namespace millrace {

template <typename T>
struct ValueReader {
  const T* values;
  int64_t step;
  const T& operator[](int64_t row) const { return values[row * step]; }
};

template <typename T>
ValueReader<T> ReaderOf(const Column& column) {
  return {column.Values<T>(), column.constant ? 0 : 1};
}

// The null marks of a strict function's result.
class StrictNulls {
 public:
  static Result<StrictNulls> Of(const KernelCall& call);

  bool always() const { return always_; }
  const uint8_t* bytes() const { return bytes_; }
  bool IsNull(int64_t row) const { return bytes_ != nullptr && bytes_[row] != 0; }
  // Copies first where the marks are still an argument's.
  Status Set(const KernelCall& call, int64_t row);

 private:
  const uint8_t* bytes_ = nullptr;
  uint8_t* own_ = nullptr;
  bool always_ = false;
};

inline constexpr int64_t kLoopBlock = 64;

template <bool kSame, typename T>
inline const T& Pick(const T* values, int64_t row) {
  return values[kSame ? 0 : row];
}

// Bit i of kSame: argument i is a constant. True if Check refused any value, null or not.
template <typename Op, bool kChecked, unsigned kSame, typename R, typename... A, size_t... I>
bool DenseLoop(std::index_sequence<I...>, int64_t count, R* __restrict out,
               const A* __restrict... args) {
  uint8_t refused = 0;
  const auto one = [&](int64_t row) __attribute__((always_inline)) {
    const R value = Op::Call(Pick<((kSame >> I) & 1) != 0>(args, row)...);
    out[row] = value;
    if constexpr (kChecked) {
      refused |= uint8_t(Op::Check(Pick<((kSame >> I) & 1) != 0>(args, row)..., value));
    }
  };
  int64_t row = 0;
  for (; row + kLoopBlock <= count; row += kLoopBlock) {
    for (int64_t i = 0; i < kLoopBlock; ++i) one(row + i);
  }
  for (; row < count; ++row) one(row);
  return refused != 0;
}

template <typename Op, bool kChecked, typename R, typename... A, size_t... I>
Status RunNumeric(const KernelCall& call, Column* out, std::index_sequence<I...> indexes) {
  ARROW_ASSIGN_OR_RAISE(StrictNulls nulls, StrictNulls::Of(call));
  *out = NullColumn(call.result);
  if (nulls.always()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(R * values, call.memory->values.Allocate<R>(call.frame->rows()));
  const auto readers = std::make_tuple(ReaderOf<A>(call.args[I])...);
  bool refused = false;
  unsigned same = 0;
  ((same |= call.args[I].constant ? 1u << I : 0u), ...);
  const int64_t count = call.rows.count;
  if (call.rows.all() && same == 0) {
    refused = DenseLoop<Op, kChecked, 0>(indexes, count, values, std::get<I>(readers).values...);
  } else if (sizeof...(A) == 2 && call.rows.all() && same == 1) {
    refused = DenseLoop<Op, kChecked, 1>(indexes, count, values, std::get<I>(readers).values...);
  } else if (sizeof...(A) == 2 && call.rows.all() && same == 2) {
    refused = DenseLoop<Op, kChecked, 2>(indexes, count, values, std::get<I>(readers).values...);
  } else {
    call.rows.ForEach([&](int64_t row) {
      values[row] = Op::Call(std::get<I>(readers)[row]...);
      if constexpr (kChecked) {
        refused |= Op::Check(std::get<I>(readers)[row]..., values[row]) != Fault::kNone;
      }
    });
  }
  if constexpr (kChecked) {
    if (refused) {
      Status status;
      call.rows.ForEach([&](int64_t row) {
        if (nulls.IsNull(row)) return;
        const Fault fault = Op::Check(std::get<I>(readers)[row]..., values[row]);
        if (fault == Fault::kNone) return;
        call.frame->Fail(row, fault, call.where);
        status &= nulls.Set(call, row);
      });
      ARROW_RETURN_NOT_OK(status);
    }
  }
  out->constant = false;
  out->values = values;
  out->nulls = nulls.bytes();
  out->scratch = &call.memory->values;
  return Status::OK();
}

template <typename Op, typename R, typename... A>
Status Total(const KernelCall& call, Column* out) {
  return RunNumeric<Op, false, R, A...>(call, out, std::index_sequence_for<A...>());
}

template <typename Op, typename R, typename... A>
Status Checked(const KernelCall& call, Column* out) {
  return RunNumeric<Op, true, R, A...>(call, out, std::index_sequence_for<A...>());
}

// The value that an error shows: the first argument, where it is text.
template <typename First, typename... Rest>
std::optional<std::string_view> DetailOf(const First& first, const Rest&...) {
  if constexpr (std::is_same_v<First, std::string_view>) return first;
  return std::nullopt;
}

template <typename Op>
concept ShowsArgument = requires {
  requires Op::kShowsArgument;
};

// An operation that says itself what an error shows.
template <typename Op, typename... A>
concept HasDetail = requires(Fault fault, const A&... args) {
  { Op::Detail(fault, args...) } -> std::same_as<std::string>;
};

template <typename Op, typename R, typename... A, size_t... I>
Status RunCustom(const KernelCall& call, Column* out, std::index_sequence<I...>) {
  ARROW_ASSIGN_OR_RAISE(StrictNulls nulls, StrictNulls::Of(call));
  *out = NullColumn(call.result);
  if (nulls.always()) return Status::OK();
  call.memory->text.Reset();
  ARROW_ASSIGN_OR_RAISE(R * values, call.memory->values.Allocate<R>(call.frame->rows()));
  const auto readers = std::make_tuple(ReaderOf<A>(call.args[I])...);
  Status status;
  call.rows.ForEach([&](int64_t row) {
    new (values + row) R();
    if (nulls.IsNull(row)) return;
    const Fault fault = Op::Call(call.memory, std::get<I>(readers)[row]..., values + row);
    if (fault == Fault::kNone) return;
    std::optional<std::string_view> detail;
    std::string made;
    if constexpr (ShowsArgument<Op>) detail = DetailOf(std::get<I>(readers)[row]...);
    if constexpr (HasDetail<Op, A...>) {
      detail = made = Op::Detail(fault, std::get<I>(readers)[row]...);
    }
    call.frame->Fail(row, fault, call.where, detail);
    status &= nulls.Set(call, row);
  });
  ARROW_RETURN_NOT_OK(status);
  out->constant = false;
  out->values = values;
  out->nulls = nulls.bytes();
  if (!IsTextual(call.result) && call.result != Type::kBoolean) {
    out->scratch = &call.memory->values;
  }
  return Status::OK();
}

template <typename Op, typename R, typename... A>
Status Custom(const KernelCall& call, Column* out) {
  return RunCustom<Op, R, A...>(call, out, std::index_sequence_for<A...>());
}

// Room in the call's arena for a result of `size` bytes, or why there is none.
inline Fault MakeText(CallMemory* memory, size_t size, char** place) {
  if (size > kTextBytesMax) return Fault::kTextTooLong;
  *place = memory->text.Allocate(size);
  return *place == nullptr ? Fault::kBatchTextTooLong : Fault::kNone;
}

// A copy of `text` there, as the result.
inline Fault KeepText(CallMemory* memory, std::string_view text, std::string_view* result) {
  char* place;
  const Fault fault = MakeText(memory, text.size(), &place);
  if (fault != Fault::kNone) return fault;
  std::copy(text.begin(), text.end(), place);
  *result = {place, text.size()};
  return Fault::kNone;
}

}  // namespace millrace
