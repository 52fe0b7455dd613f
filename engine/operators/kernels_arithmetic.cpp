// + - * / % abs and negation, with PostgreSQL's overflow and zero rules (int4.c, int8.c, float.h).
#include <cmath>
#include <concepts>
#include <limits>
#include <utility>

#include "engine/operators/kernel_loops.h"

namespace millrace {
namespace {

template <typename T>
constexpr Fault OutOfRange() {
  return std::is_same_v<T, int32_t> ? Fault::kIntegerOutOfRange : Fault::kBigintOutOfRange;
}

template <typename T>
using Unsigned = std::make_unsigned_t<T>;

// Bitwise instead of short-circuit logic below: no branch stands in a loop's way.
template <std::floating_point T>
bool IsInfinite(T value) {
  return std::fabs(value) > std::numeric_limits<T>::max();
}

template <typename T>
struct Add {
  static T Call(T a, T b) { return T(Unsigned<T>(a) + Unsigned<T>(b)); }
  static Fault Check(T a, T b, T sum) {
    return ((a ^ sum) & (b ^ sum)) < 0 ? OutOfRange<T>() : Fault::kNone;
  }
};

template <typename T>
struct Subtract {
  static T Call(T a, T b) { return T(Unsigned<T>(a) - Unsigned<T>(b)); }
  static Fault Check(T a, T b, T difference) {
    return ((a ^ b) & (a ^ difference)) < 0 ? OutOfRange<T>() : Fault::kNone;
  }
};

template <typename T>
struct Multiply {
  static T Call(T a, T b) { return T(Unsigned<T>(a) * Unsigned<T>(b)); }
  static Fault Check(T a, T b, T) {
    T product;
    return __builtin_mul_overflow(a, b, &product) ? OutOfRange<T>() : Fault::kNone;
  }
};

template <typename T>
struct Divide {
  static T Call(T a, T b) {
    if (b == 0) return 0;
    return b == -1 ? T(Unsigned<T>(0) - Unsigned<T>(a)) : a / b;
  }
  static Fault Check(T a, T b, T) {
    if (b == 0) return Fault::kDivisionByZero;
    return (b == -1) & (a == std::numeric_limits<T>::min()) ? OutOfRange<T>() : Fault::kNone;
  }
};

template <typename T>
struct Remainder {
  static T Call(T a, T b) { return b == 0 || b == -1 ? 0 : a % b; }
  static Fault Check(T, T b, T) { return b == 0 ? Fault::kDivisionByZero : Fault::kNone; }
};

template <typename T>
struct Negate {
  static T Call(T a) { return T(Unsigned<T>(0) - Unsigned<T>(a)); }
  static Fault Check(T a, T) {
    return a == std::numeric_limits<T>::min() ? OutOfRange<T>() : Fault::kNone;
  }
};

template <typename T>
struct Absolute {
  static T Call(T a) { return a < 0 ? Negate<T>::Call(a) : a; }
  static Fault Check(T a, T result) { return Negate<T>::Check(a, result); }
};

template <typename T>
struct Same {
  static T Call(T a) { return a; }
};

template <std::floating_point T>
struct Add<T> {
  static T Call(T a, T b) { return a + b; }
  static Fault Check(T a, T b, T sum) {
    return IsInfinite(sum) & !IsInfinite(a) & !IsInfinite(b) ? Fault::kDoubleOverflow
                                                             : Fault::kNone;
  }
};

template <std::floating_point T>
struct Subtract<T> {
  static T Call(T a, T b) { return a - b; }
  static Fault Check(T a, T b, T difference) { return Add<T>::Check(a, b, difference); }
};

template <std::floating_point T>
struct Multiply<T> {
  static T Call(T a, T b) { return a * b; }
  static Fault Check(T a, T b, T product) {
    if (IsInfinite(product) & !IsInfinite(a) & !IsInfinite(b)) return Fault::kDoubleOverflow;
    return (product == 0) & (a != 0) & (b != 0) ? Fault::kDoubleUnderflow : Fault::kNone;
  }
};

template <std::floating_point T>
struct Divide<T> {
  static T Call(T a, T b) { return a / b; }
  static Fault Check(T a, T b, T quotient) {
    if ((b == 0) & (a == a)) return Fault::kDivisionByZero;
    if (IsInfinite(quotient) & !IsInfinite(a)) return Fault::kDoubleOverflow;
    return (quotient == 0) & (a != 0) & !IsInfinite(b) ? Fault::kDoubleUnderflow : Fault::kNone;
  }
};

template <std::floating_point T>
struct Negate<T> {
  static T Call(T a) { return -a; }
};

template <std::floating_point T>
struct Absolute<T> {
  static T Call(T a) { return std::fabs(a); }
};

// PostgreSQL has no % of doubles, only of numeric, which is double here.
template <>
struct Remainder<double> {
  static double Call(double a, double b) { return std::fmod(a, b); }
  static Fault Check(double a, double b, double) {
    return (b == 0) & (a == a) ? Fault::kDivisionByZero : Fault::kNone;
  }
};

// Of integers' bits. A shift goes round at the width of the type, as the processor's does.
template <typename T>
struct And {
  static T Call(T a, T b) { return a & b; }
};
template <typename T>
struct Or {
  static T Call(T a, T b) { return a | b; }
};
template <typename T>
struct Xor {
  static T Call(T a, T b) { return a ^ b; }
};
template <typename T>
struct Complement {
  static T Call(T a) { return ~a; }
};
template <typename T>
struct ShiftLeft {
  static T Call(T a, int32_t by) {
    return T(Unsigned<T>(a) << (uint32_t(by) & (sizeof(T) * 8 - 1)));
  }
};
template <typename T>
struct ShiftRight {
  static T Call(T a, int32_t by) { return a >> (uint32_t(by) & (sizeof(T) * 8 - 1)); }
};

template <typename T>
Unsigned<T> Magnitude(T a) {
  return a < 0 ? Unsigned<T>(0) - Unsigned<T>(a) : Unsigned<T>(a);
}

// As an unsigned number: that of two least values has no positive counterpart.
template <typename T>
Unsigned<T> DivisorOf(T a, T b) {
  Unsigned<T> x = Magnitude(a), y = Magnitude(b);
  while (y != 0) x = std::exchange(y, x % y);
  return x;
}

template <typename T>
struct GreatestDivisor {
  static T Call(T a, T b) { return T(DivisorOf(a, b)); }
  static Fault Check(T, T, T result) { return result < 0 ? OutOfRange<T>() : Fault::kNone; }
};

template <typename T>
struct LeastMultiple {
  static T Call(T a, T b) {
    if (a == 0 || b == 0) return 0;
    return T((Magnitude(a) / DivisorOf(a, b)) * Magnitude(b));
  }
  static Fault Check(T a, T b, T) {
    if (a == 0 || b == 0) return Fault::kNone;
    Unsigned<T> product;
    const bool wraps =
        __builtin_mul_overflow(Magnitude(a) / DivisorOf(a, b), Magnitude(b), &product);
    return wraps || product > Unsigned<T>(std::numeric_limits<T>::max()) ? OutOfRange<T>()
                                                                         : Fault::kNone;
  }
};

template <typename T>
void AddIntegerKernels(Type type, std::vector<NamedKernel>* kernels) {
  const std::vector<Type> two = {type, type};
  const std::vector<Type> shift = {type, Type::kInteger};
  kernels->push_back({"&", two, &Total<And<T>, T, T, T>});
  kernels->push_back({"|", two, &Total<Or<T>, T, T, T>});
  kernels->push_back({"#", two, &Total<Xor<T>, T, T, T>});
  kernels->push_back({"~", {type}, &Total<Complement<T>, T, T>});
  kernels->push_back({"<<", shift, &Total<ShiftLeft<T>, T, T, int32_t>});
  kernels->push_back({">>", shift, &Total<ShiftRight<T>, T, T, int32_t>});
  kernels->push_back({"gcd", two, &Checked<GreatestDivisor<T>, T, T, T>});
  kernels->push_back({"lcm", two, &Checked<LeastMultiple<T>, T, T, T>});
}

template <typename T>
void AddKernels(Type type, std::vector<NamedKernel>* kernels) {
  kernels->push_back({"+", {type, type}, &Checked<Add<T>, T, T, T>});
  kernels->push_back({"-", {type, type}, &Checked<Subtract<T>, T, T, T>});
  kernels->push_back({"*", {type, type}, &Checked<Multiply<T>, T, T, T>});
  kernels->push_back({"/", {type, type}, &Checked<Divide<T>, T, T, T>});
  if constexpr (!std::is_same_v<T, float>) {
    kernels->push_back({"%", {type, type}, &Checked<Remainder<T>, T, T, T>});
    kernels->push_back({"mod", {type, type}, &Checked<Remainder<T>, T, T, T>});
  }
  kernels->push_back({"+", {type}, &Total<Same<T>, T, T>});
  if constexpr (std::is_floating_point_v<T>) {
    kernels->push_back({"-", {type}, &Total<Negate<T>, T, T>});
    for (const char* name : {"abs", "@"}) {
      kernels->push_back({name, {type}, &Total<Absolute<T>, T, T>});
    }
  } else {
    kernels->push_back({"-", {type}, &Checked<Negate<T>, T, T>});
    for (const char* name : {"abs", "@"}) {
      kernels->push_back({name, {type}, &Checked<Absolute<T>, T, T>});
    }
  }
}

}  // namespace

std::vector<NamedKernel> ArithmeticKernels() {
  std::vector<NamedKernel> kernels;
  AddKernels<int32_t>(Type::kInteger, &kernels);
  AddKernels<int64_t>(Type::kBigint, &kernels);
  AddKernels<float>(Type::kReal, &kernels);
  AddKernels<double>(Type::kDouble, &kernels);
  AddIntegerKernels<int32_t>(Type::kInteger, &kernels);
  AddIntegerKernels<int64_t>(Type::kBigint, &kernels);
  return kernels;
}

}  // namespace millrace
