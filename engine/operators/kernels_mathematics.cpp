// Mathematical functions of doubles, with PostgreSQL's domains and range errors (float.c). What
// the C library computes for NaN and infinities is what PostgreSQL wants but where noted.
#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <numbers>

#include "engine/operators/kernel_loops.h"
#include "engine/operators/value_text.h"

namespace millrace {
namespace {

// An operation without errors, from a function of one double.
template <double (*kFunction)(double)>
struct Plain {
  static double Call(double x) { return kFunction(x); }
};

double Sign(double x) { return double(x > 0) - double(x < 0); }  // NaN: 0, as in PostgreSQL
double Ceil(double x) { return std::ceil(x); }
double Floor(double x) { return std::floor(x); }
double Rint(double x) { return std::rint(x); }
double Trunc(double x) { return std::trunc(x); }
double Cbrt(double x) { return std::cbrt(x); }
double Atan(double x) { return std::atan(x); }

Fault RangeFault(double result, bool finite_arguments, bool zero_allowed) {
  if (std::isinf(result) && finite_arguments) return Fault::kDoubleOverflow;
  return result == 0 && !zero_allowed ? Fault::kDoubleUnderflow : Fault::kNone;
}

struct SquareRoot {
  static double Call(double x) { return std::sqrt(x); }
  static Fault Check(double x, double) {
    return x < 0 ? Fault::kSquareRootOfNegative : Fault::kNone;
  }
};

struct Exponential {
  static double Call(double x) { return std::exp(x); }
  static Fault Check(double x, double result) {
    if (std::isinf(x)) return Fault::kNone;
    return RangeFault(result, true, false);
  }
};

Fault LogarithmFault(double x) {
  if (x == 0) return Fault::kLogarithmOfZero;
  return x < 0 ? Fault::kLogarithmOfNegative : Fault::kNone;
}

struct NaturalLogarithm {
  static double Call(double x) { return std::log(x); }
  static Fault Check(double x, double) { return LogarithmFault(x); }
};

struct CommonLogarithm {
  static double Call(double x) { return std::log10(x); }
  static Fault Check(double x, double) { return LogarithmFault(x); }
};

// numeric's in PostgreSQL; the bases that people use are exact for whole powers.
struct Logarithm {
  static double Call(double base, double x) {
    if (base == 2) return std::log2(x);
    if (base == 10) return std::log10(x);
    return std::log(x) / std::log(base);
  }
  static Fault Check(double base, double x, double) {
    if (const Fault fault = LogarithmFault(base); fault != Fault::kNone) return fault;
    if (const Fault fault = LogarithmFault(x); fault != Fault::kNone) return fault;
    return base == 1 ? Fault::kDivisionByZero : Fault::kNone;
  }
};

struct Power {
  static double Call(double x, double y) { return std::pow(x, y); }
  static Fault Check(double x, double y, double result) {
    if (std::isnan(x) || std::isnan(y)) return Fault::kNone;
    if (x == 0 && y < 0) return Fault::kZeroToNegativePower;
    if (x < 0 && std::floor(y) != y) return Fault::kComplexPower;
    if (std::isinf(x) || std::isinf(y)) return Fault::kNone;
    return RangeFault(result, true, x == 0);
  }
};

template <double (*kFunction)(double)>
struct OfAngle {
  static double Call(double x) { return kFunction(x); }
  static Fault Check(double x, double) {
    return std::isinf(x) ? Fault::kInputOutOfRange : Fault::kNone;
  }
};

double Sin(double x) { return std::sin(x); }
double Cos(double x) { return std::cos(x); }
double Tan(double x) { return std::tan(x); }

template <double (*kFunction)(double)>
struct OfUnitRange {
  static double Call(double x) { return kFunction(x); }
  static Fault Check(double x, double) {
    return x < -1 || x > 1 ? Fault::kInputOutOfRange : Fault::kNone;
  }
};

double Asin(double x) { return std::asin(x); }
double Acos(double x) { return std::acos(x); }

struct Atan2 {
  static double Call(double y, double x) { return std::atan2(y, x); }
};

double Cotangent(double x) { return 1.0 / std::tan(x); }
double Sinh(double x) { return std::sinh(x); }
double Cosh(double x) { return std::cosh(x); }
double Tanh(double x) { return std::tanh(x); }
double Asinh(double x) { return std::asinh(x); }
double Atanh(double x) { return std::atanh(x); }

struct Acosh {
  static double Call(double x) { return std::acosh(x); }
  static Fault Check(double x, double) { return x < 1 ? Fault::kInputOutOfRange : Fault::kNone; }
};

// The functions of degrees, by which 30, 45 and 60 degrees give what they should (float.c).
constexpr double kRadiansPerDegree = std::numbers::pi / 180.0;

double SineTo30(double x) {
  static const double sine_of_30 = std::sin(30.0 * kRadiansPerDegree);
  return std::sin(x * kRadiansPerDegree) / sine_of_30 / 2.0;
}

double CosineTo60(double x) {
  static const double rest_of_60 = 1.0 - std::cos(60.0 * kRadiansPerDegree);
  return 1.0 - (1.0 - std::cos(x * kRadiansPerDegree)) / rest_of_60 / 2.0;
}

double SineTo90(double x) { return x <= 30 ? SineTo30(x) : CosineTo60(90 - x); }
double CosineTo90(double x) { return x <= 60 ? CosineTo60(x) : SineTo30(90 - x); }

// An angle taken to the first quadrant, and what that did to the signs.
struct FirstQuadrant {
  explicit FirstQuadrant(double x) : angle(std::fmod(x, 360)) {
    if (angle < 0) {
      angle = -angle;
      negative = true;
    }
    if (angle > 180) {
      angle = 360 - angle;
      negative = !negative;
    }
    if (angle > 90) {
      angle = 180 - angle;
      is_left = true;
    }
  }
  double angle;
  bool negative = false;  // the sine is
  bool is_left = false;   // the cosine is negative
};

double SineOfDegrees(double x) {
  const FirstQuadrant at(x);
  return at.negative ? -SineTo90(at.angle) : SineTo90(at.angle);
}

double CosineOfDegrees(double x) {
  const FirstQuadrant at(x);
  return at.is_left ? -CosineTo90(at.angle) : CosineTo90(at.angle);
}

// 0 is never -0.
double Signed(bool negative, double value) { return value == 0 ? 0 : negative ? -value : value; }

double TangentOfDegrees(double x) {
  static const double tangent_of_45 = SineTo90(45) / CosineTo90(45);
  const FirstQuadrant at(x);
  return Signed(at.negative != at.is_left,
                SineTo90(at.angle) / CosineTo90(at.angle) / tangent_of_45);
}

double CotangentOfDegrees(double x) {
  static const double cotangent_of_45 = CosineTo90(45) / SineTo90(45);
  const FirstQuadrant at(x);
  return Signed(at.negative != at.is_left,
                CosineTo90(at.angle) / SineTo90(at.angle) / cotangent_of_45);
}

double InverseSineTo90(double x) {
  static const double of_half = std::asin(0.5), rest_of_half = std::acos(0.5);
  return x <= 0.5 ? std::asin(x) / of_half * 30.0 : 90.0 - std::acos(x) / rest_of_half * 60.0;
}

double InverseCosineTo90(double x) {
  static const double of_half = std::acos(0.5), rest_of_half = std::asin(0.5);
  return x <= 0.5 ? 90.0 - std::asin(x) / rest_of_half * 30.0 : std::acos(x) / of_half * 60.0;
}

double DegreesOfSine(double x) { return x >= 0 ? InverseSineTo90(x) : -InverseSineTo90(-x); }
double DegreesOfCosine(double x) {
  return x >= 0 ? InverseCosineTo90(x) : 90.0 + InverseSineTo90(-x);
}

double FromArcTangent(double radians) {
  static const double of_one = std::atan(1.0);
  return radians / of_one * 45.0;
}
double DegreesOfTangent(double x) { return FromArcTangent(std::atan(x)); }

struct Atan2Degrees {
  static double Call(double y, double x) { return FromArcTangent(std::atan2(y, x)); }
};

// numeric's in PostgreSQL; the greatest whose result a double holds.
struct Factorial {
  static constexpr int64_t kMax = 170;
  static double Call(int64_t n) {
    static const std::array<double, kMax + 1> products = [] {
      std::array<double, kMax + 1> all;
      long double product = 1;
      for (int i = 0; i <= kMax; ++i) {
        product *= std::max(i, 1);
        all[size_t(i)] = double(product);
      }
      return all;
    }();
    return n < 0 || n > kMax ? 0 : products[size_t(n)];
  }
  static Fault Check(int64_t n, double) {
    if (n < 0) return Fault::kNegativeFactorial;
    return n > kMax ? Fault::kDoubleOverflow : Fault::kNone;
  }
};

// numeric's in PostgreSQL.
struct WholeQuotient {
  static double Call(double x, double y) { return std::trunc(x / y); }
  static Fault Check(double x, double y, double result) {
    if (y == 0 && !std::isnan(x)) return Fault::kDivisionByZero;
    return RangeFault(result, !std::isinf(x) && !std::isinf(y), true);
  }
};

// As width_bucket_float8 in float.c.
struct WidthBucket {
  static Fault Call(CallMemory*, double x, double low, double high, int32_t count,
                    int32_t* result) {
    if (count <= 0) return Fault::kBucketCount;
    if (std::isnan(x) || !std::isfinite(low) || !std::isfinite(high) || low == high) {
      return Fault::kBucketBounds;
    }
    const bool rises = low < high;
    if (rises ? x < low : x > low) {
      *result = 0;
      return Fault::kNone;
    }
    if (rises ? x >= high : x <= high) {
      return __builtin_add_overflow(count, 1, result) ? Fault::kIntegerOutOfRange : Fault::kNone;
    }
    const double part = std::isinf(high - low) ? (x / 2 - low / 2) / (high / 2 - low / 2)
                                               : (x - low) / (high - low);
    *result = std::min(int32_t(double(count) * part), count - 1) + 1;
    return Fault::kNone;
  }
};

struct Degrees {
  static double Call(double x) { return x / (std::numbers::pi / 180.0); }
  static Fault Check(double x, double result) { return RangeFault(result, !std::isinf(x), true); }
};

struct Radians {
  static double Call(double x) { return x * (std::numbers::pi / 180.0); }
  static Fault Check(double x, double result) { return RangeFault(result, !std::isinf(x), x == 0); }
};

struct RoundTo {
  static double Call(double x, int32_t places) { return RoundDecimal(x, places); }
  static Fault Check(double x, int32_t, double result) {
    return RangeFault(result, !std::isinf(x), true);
  }
};

struct TruncTo {
  static double Call(double x, int32_t places) { return TruncateDecimal(x, places); }
};

Status Pi(const KernelCall&, Column* out) {
  static constexpr double kPi = std::numbers::pi;
  *out = Column();
  out->type = Type::kDouble;
  out->constant = true;
  out->values = &kPi;
  return Status::OK();
}

}  // namespace

std::vector<NamedKernel> MathematicsKernels() {
  constexpr Type kDbl = Type::kDouble;
  const std::vector<Type> one = {kDbl};
  const std::vector<Type> two = {kDbl, kDbl};
  const std::vector<Type> places = {kDbl, Type::kInteger};
  return {
      {"ceil", one, &Total<Plain<&Ceil>, double, double>},
      {"ceiling", one, &Total<Plain<&Ceil>, double, double>},
      {"floor", one, &Total<Plain<&Floor>, double, double>},
      {"round", one, &Total<Plain<&Rint>, double, double>},
      {"round", places, &Checked<RoundTo, double, double, int32_t>},
      {"trunc", one, &Total<Plain<&Trunc>, double, double>},
      {"trunc", places, &Total<TruncTo, double, double, int32_t>},
      {"sign", one, &Total<Plain<&Sign>, double, double>},
      {"sqrt", one, &Checked<SquareRoot, double, double>},
      {"cbrt", one, &Total<Plain<&Cbrt>, double, double>},
      {"^", two, &Checked<Power, double, double, double>},
      {"power", two, &Checked<Power, double, double, double>},
      {"pow", two, &Checked<Power, double, double, double>},
      {"exp", one, &Checked<Exponential, double, double>},
      {"ln", one, &Checked<NaturalLogarithm, double, double>},
      {"log", one, &Checked<CommonLogarithm, double, double>},
      {"log10", one, &Checked<CommonLogarithm, double, double>},
      {"log", two, &Checked<Logarithm, double, double, double>},
      {"sin", one, &Checked<OfAngle<&Sin>, double, double>},
      {"cos", one, &Checked<OfAngle<&Cos>, double, double>},
      {"tan", one, &Checked<OfAngle<&Tan>, double, double>},
      {"asin", one, &Checked<OfUnitRange<&Asin>, double, double>},
      {"acos", one, &Checked<OfUnitRange<&Acos>, double, double>},
      {"atan", one, &Total<Plain<&Atan>, double, double>},
      {"atan2", two, &Total<Atan2, double, double, double>},
      {"cot", one, &Checked<OfAngle<&Cotangent>, double, double>},
      {"sinh", one, &Total<Plain<&Sinh>, double, double>},
      {"cosh", one, &Total<Plain<&Cosh>, double, double>},
      {"tanh", one, &Total<Plain<&Tanh>, double, double>},
      {"asinh", one, &Total<Plain<&Asinh>, double, double>},
      {"acosh", one, &Checked<Acosh, double, double>},
      {"atanh", one, &Checked<OfUnitRange<&Atanh>, double, double>},
      {"div", two, &Checked<WholeQuotient, double, double, double>},
      {"width_bucket",
       {kDbl, kDbl, kDbl, Type::kInteger},
       &Custom<WidthBucket, int32_t, double, double, double, int32_t>},
      {"|/", one, &Checked<SquareRoot, double, double>},
      {"||/", one, &Total<Plain<&Cbrt>, double, double>},
      {"radians", one, &Checked<Radians, double, double>},
      {"degrees", one, &Checked<Degrees, double, double>},
      {"pi", {}, &Pi},
      {"sind", one, &Checked<OfAngle<&SineOfDegrees>, double, double>},
      {"cosd", one, &Checked<OfAngle<&CosineOfDegrees>, double, double>},
      {"tand", one, &Checked<OfAngle<&TangentOfDegrees>, double, double>},
      {"cotd", one, &Checked<OfAngle<&CotangentOfDegrees>, double, double>},
      {"asind", one, &Checked<OfUnitRange<&DegreesOfSine>, double, double>},
      {"acosd", one, &Checked<OfUnitRange<&DegreesOfCosine>, double, double>},
      {"atand", one, &Total<Plain<&DegreesOfTangent>, double, double>},
      {"atan2d", two, &Total<Atan2Degrees, double, double, double>},
      {"factorial", {Type::kBigint}, &Checked<Factorial, double, int64_t>},
  };
}

}  // namespace millrace
