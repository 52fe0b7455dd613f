// Comparisons, and what chooses by comparison: greatest, least, nullif. NaN equals NaN and is
// greater than every number; text compares by its bytes; false is less than true; of intervals a
// month is 30 days and a day 24 hours.
#include <concepts>

#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"

namespace millrace {
namespace {

template <typename T>
struct Order {
  static bool Equal(const T& a, const T& b) { return a == b; }
  static bool Less(const T& a, const T& b) { return a < b; }
};

template <std::floating_point T>
struct Order<T> {
  static bool Equal(T a, T b) { return (a == b) | ((a != a) & (b != b)); }
  static bool Less(T a, T b) { return !(b <= a) & (a == a); }
};

// By length, a month being 30 days.
template <>
struct Order<Interval> {
  static bool Equal(const Interval& a, const Interval& b) { return LengthOf(a) == LengthOf(b); }
  static bool Less(const Interval& a, const Interval& b) { return LengthOf(a) < LengthOf(b); }
};

template <typename T>
struct Equal {
  static uint8_t Call(const T& a, const T& b) { return Order<T>::Equal(a, b); }
};
template <typename T>
struct NotEqual {
  static uint8_t Call(const T& a, const T& b) { return !Order<T>::Equal(a, b); }
};
template <typename T>
struct Less {
  static uint8_t Call(const T& a, const T& b) { return Order<T>::Less(a, b); }
};
template <typename T>
struct LessOrEqual {
  static uint8_t Call(const T& a, const T& b) { return !Order<T>::Less(b, a); }
};
template <typename T>
struct Greater {
  static uint8_t Call(const T& a, const T& b) { return Order<T>::Less(b, a); }
};
template <typename T>
struct GreaterOrEqual {
  static uint8_t Call(const T& a, const T& b) { return !Order<T>::Less(a, b); }
};

struct Not {
  static uint8_t Call(uint8_t a) { return a ^ 1; }
};

template <typename T>
Status DistinctFrom(const KernelCall& call, Column* out) {
  ARROW_ASSIGN_OR_RAISE(uint8_t * values,
                        call.memory->values.Allocate<uint8_t>(call.frame->rows()));
  const Column& a = call.args[0];
  const Column& b = call.args[1];
  const ValueReader<T> left = ReaderOf<T>(a);
  const ValueReader<T> right = ReaderOf<T>(b);
  call.rows.ForEach([&](int64_t row) {
    const bool left_null = a.IsNull(row);
    const bool right_null = b.IsNull(row);
    values[row] =
        left_null || right_null ? left_null != right_null : !Order<T>::Equal(left[row], right[row]);
  });
  *out = Column();
  out->type = Type::kBoolean;
  out->values = values;
  return Status::OK();
}

template <typename T>
Status NullIf(const KernelCall& call, Column* out) {
  ARROW_ASSIGN_OR_RAISE(T * values, call.memory->values.Allocate<T>(call.frame->rows()));
  ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, call.memory->nulls.Allocate<uint8_t>(call.frame->rows()));
  const Column& a = call.args[0];
  const Column& b = call.args[1];
  const ValueReader<T> left = ReaderOf<T>(a);
  const ValueReader<T> right = ReaderOf<T>(b);
  call.rows.ForEach([&](int64_t row) {
    values[row] = left[row];
    nulls[row] = a.IsNull(row) || (!b.IsNull(row) && Order<T>::Equal(left[row], right[row]));
  });
  *out = Column();
  out->type = call.result;
  out->values = values;
  out->nulls = nulls;
  return Status::OK();
}

template <typename T, bool kGreatest>
Status Extreme(const KernelCall& call, Column* out) {
  ARROW_ASSIGN_OR_RAISE(T * values, call.memory->values.Allocate<T>(call.frame->rows()));
  ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, call.memory->nulls.Allocate<uint8_t>(call.frame->rows()));
  const Column& first = call.args[0];
  const ValueReader<T> start = ReaderOf<T>(first);
  call.rows.ForEach([&](int64_t row) {
    nulls[row] = first.IsNull(row);
    values[row] = start[row];
  });
  for (const Column& column : call.args.subspan(1)) {
    if (column.AlwaysNull()) continue;
    const ValueReader<T> next = ReaderOf<T>(column);
    call.rows.ForEach([&](int64_t row) {
      if (column.IsNull(row)) return;
      const T& value = next[row];
      const bool better =
          kGreatest ? Order<T>::Less(values[row], value) : Order<T>::Less(value, values[row]);
      if (nulls[row] != 0 || better) values[row] = value;
      nulls[row] = 0;
    });
  }
  *out = Column();
  out->type = call.result;
  out->values = values;
  out->nulls = nulls;
  return Status::OK();
}

template <typename T>
void AddKernels(Type type, std::vector<NamedKernel>* kernels) {
  kernels->push_back({"=", {type, type}, &Total<Equal<T>, uint8_t, T, T>});
  kernels->push_back({"<>", {type, type}, &Total<NotEqual<T>, uint8_t, T, T>});
  kernels->push_back({"<", {type, type}, &Total<Less<T>, uint8_t, T, T>});
  kernels->push_back({"<=", {type, type}, &Total<LessOrEqual<T>, uint8_t, T, T>});
  kernels->push_back({">", {type, type}, &Total<Greater<T>, uint8_t, T, T>});
  kernels->push_back({">=", {type, type}, &Total<GreaterOrEqual<T>, uint8_t, T, T>});
  kernels->push_back({"is_distinct_from", {type, type}, &DistinctFrom<T>});
  kernels->push_back({"nullif", {type, type}, &NullIf<T>});
  kernels->push_back({"greatest", {type}, &Extreme<T, true>});
  kernels->push_back({"least", {type}, &Extreme<T, false>});
}

}  // namespace

std::vector<NamedKernel> ComparisonKernels() {
  std::vector<NamedKernel> kernels;
  AddKernels<uint8_t>(Type::kBoolean, &kernels);
  AddKernels<int32_t>(Type::kInteger, &kernels);
  AddKernels<int64_t>(Type::kBigint, &kernels);
  AddKernels<float>(Type::kReal, &kernels);
  AddKernels<double>(Type::kDouble, &kernels);
  AddKernels<std::string_view>(Type::kText, &kernels);
  AddKernels<int32_t>(Type::kDate, &kernels);
  AddKernels<int64_t>(Type::kTimestamp, &kernels);
  AddKernels<Interval>(Type::kInterval, &kernels);
  kernels.push_back({"not", {Type::kBoolean}, &Total<Not, uint8_t, uint8_t>});
  return kernels;
}

}  // namespace millrace
