// Intervals: arithmetic, fields, and age. Months, days and time stay apart as in PostgreSQL
// (timestamp.c); a month is 30 days and a day 24 hours only where a fraction is carried down and
// where two are compared.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"
#include "engine/operators/named_arguments.h"

namespace millrace {
namespace {

constexpr double kSecondsPerDay = 86'400;
constexpr int kDaysPerMonth = 30;

// `field` of an interval, or a fault where it does not fit.
template <typename T>
bool Assign(__int128 value, T* field) {
  *field = T(value);
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

Fault Make(__int128 months, __int128 days, __int128 micros, Interval* result) {
  const bool fits = Assign(months, &result->months) & Assign(days, &result->days) &
                    Assign(micros, &result->micros);
  return fits ? Fault::kNone : Fault::kIntervalOutOfRange;
}

template <int kSign>
struct AddIntervals {
  static Fault Call(CallMemory*, const Interval& a, const Interval& b, Interval* result) {
    return Make(__int128(a.months) + kSign * __int128(b.months),
                __int128(a.days) + kSign * __int128(b.days),
                __int128(a.micros) + kSign * __int128(b.micros), result);
  }
};

struct NegateInterval {
  static Fault Call(CallMemory*, const Interval& a, Interval* result) {
    return Make(-__int128(a.months), -__int128(a.days), -__int128(a.micros), result);
  }
};

// Whole days of 24 hours, and the rest, of one sign.
struct TimeBetween {
  static Fault Call(CallMemory*, int64_t a, int64_t b, Interval* result) {
    const __int128 micros = __int128(a) - b;
    if (micros < INT64_MIN || micros > INT64_MAX) return Fault::kIntervalOutOfRange;
    return Make(0, micros / kMicrosPerDay, micros % kMicrosPerDay, result);
  }
};

// To a millionth.
double Rounded(double value) { return std::rint(value * 1e6) / 1e6; }

bool FitsInt32(double value) { return value >= INT32_MIN && value <= INT32_MAX; }

// As interval_mul and interval_div: fractions of months go to days, those of days to the time.
// `scaled(x)` is x times the factor, or divided by it.
template <typename Scaled>
Fault Scale(const Interval& interval, Scaled scaled, Interval* result) {
  const double months = scaled(double(interval.months));
  const double days = scaled(double(interval.days));
  if (!FitsInt32(months) || !FitsInt32(days)) return Fault::kIntervalOutOfRange;
  const double days_of_months = Rounded((months - std::trunc(months)) * kDaysPerMonth);
  double seconds = Rounded((days - std::trunc(days) + days_of_months - std::trunc(days_of_months)) *
                           kSecondsPerDay);
  __int128 whole_days = __int128(days) + __int128(days_of_months);
  if (std::fabs(seconds) >= kSecondsPerDay) {
    const double carried = std::trunc(seconds / kSecondsPerDay);
    whole_days += __int128(carried);
    seconds -= carried * kSecondsPerDay;
  }
  const double micros = std::rint(scaled(double(interval.micros)) + seconds * 1e6);
  if (!(micros >= -0x1p63 && micros < 0x1p63)) return Fault::kIntervalOutOfRange;
  return Make(__int128(months), whole_days, __int128(micros), result);
}

struct MultiplyInterval {
  static Fault Call(CallMemory*, const Interval& interval, double factor, Interval* result) {
    return Scale(
        interval, [factor](double value) { return value * factor; }, result);
  }
};

struct MultiplyByInterval {
  static Fault Call(CallMemory* memory, double factor, const Interval& interval, Interval* result) {
    return MultiplyInterval::Call(memory, interval, factor, result);
  }
};

struct DivideInterval {
  static Fault Call(CallMemory*, const Interval& interval, double by, Interval* result) {
    if (by == 0) return Fault::kDivisionByZero;
    return Scale(
        interval, [by](double value) { return value / by; }, result);
  }
};

// Moves whole `of` of `*low` to `*high` and lets both have one sign.
void CarryUp(__int128* low, __int128 of, __int128* high) {
  const __int128 whole = *low / of;
  *high += whole;
  *low -= whole * of;
  if (*high > 0 && *low < 0) {
    *low += of;
    --*high;
  } else if (*high < 0 && *low > 0) {
    *low -= of;
    ++*high;
  }
}

struct JustifyHours {
  static Fault Call(CallMemory*, const Interval& interval, Interval* result) {
    __int128 micros = interval.micros, days = interval.days;
    CarryUp(&micros, kMicrosPerDay, &days);
    return Make(interval.months, days, micros, result);
  }
};

struct JustifyDays {
  static Fault Call(CallMemory*, const Interval& interval, Interval* result) {
    __int128 days = interval.days, months = interval.months;
    CarryUp(&days, kDaysPerMonth, &months);
    return Make(months, days, interval.micros, result);
  }
};

struct JustifyInterval {
  static Fault Call(CallMemory*, const Interval& interval, Interval* result) {
    __int128 micros = interval.micros, days = interval.days, months = interval.months;
    // All of one sign, that of the greatest field: first whole days and months, then borrowing.
    days += micros / kMicrosPerDay;
    micros %= kMicrosPerDay;
    months += days / kDaysPerMonth;
    days %= kDaysPerMonth;
    if (months > 0 && (days < 0 || (days == 0 && micros < 0))) {
      days += kDaysPerMonth;
      --months;
    } else if (months < 0 && (days > 0 || (days == 0 && micros > 0))) {
      days -= kDaysPerMonth;
      ++months;
    }
    if (days > 0 && micros < 0) {
      micros += kMicrosPerDay;
      --days;
    } else if (days < 0 && micros > 0) {
      micros -= kMicrosPerDay;
      ++days;
    }
    return Make(months, days, micros, result);
  }
};

// timestamp_age: fields less fields; what is below zero borrows, of days as many as the month of
// the earlier one has.
struct Age {
  static Fault Call(CallMemory*, int64_t a, int64_t b, Interval* result) {
    const bool negative = a < b;
    const CivilTime late = ToCivil(std::max(a, b)), early = ToCivil(std::min(a, b));
    int64_t micros = late.micros - early.micros, days = late.day - early.day;
    int64_t months = (late.year - early.year) * 12 + late.month - early.month;
    micros += ((int64_t(late.hour) - early.hour) * 3600 + (late.minute - early.minute) * 60 +
               (late.second - early.second)) *
              kMicrosPerSecond;
    if (micros < 0) {
      micros += kMicrosPerDay;
      --days;
    }
    if (days < 0) {
      days += DaysInMonth(early.year, early.month);
      --months;
    }
    const int sign = negative ? -1 : 1;
    return Make(sign * months, sign * days, sign * micros, result);
  }
};

struct MakeInterval {
  static Fault Call(CallMemory*, int32_t years, int32_t months, int32_t weeks, int32_t days,
                    int32_t hours, int32_t minutes, double seconds, Interval* result) {
    const double micros = std::rint(seconds * 1e6);
    if (!(micros >= -0x1p63 && micros < 0x1p63)) return Fault::kIntervalOutOfRange;
    return Make(__int128(years) * 12 + months, __int128(weeks) * 7 + days,
                (__int128(hours) * 60 + minutes) * 60 * kMicrosPerSecond + int64_t(micros), result);
  }
};

// As interval_part_common; nothing for what an interval does not have.
std::optional<double> PartOf(TimeUnit unit, const Interval& interval) {
  const int64_t years = interval.months / 12;
  const int64_t of_minute = interval.micros % (60 * kMicrosPerSecond);
  switch (unit) {
    case TimeUnit::kMicroseconds:
      return double(of_minute);
    case TimeUnit::kMilliseconds:
      return double(of_minute) / 1000.0;
    case TimeUnit::kSecond:
      return double(of_minute) / 1e6;
    case TimeUnit::kMinute:
      return double(interval.micros / (60 * kMicrosPerSecond) % 60);
    case TimeUnit::kHour:
      return double(interval.micros / (3600 * kMicrosPerSecond));
    case TimeUnit::kDay:
      return double(interval.days);
    case TimeUnit::kMonth:
      return double(interval.months % 12);
    case TimeUnit::kQuarter:
      return double(interval.months % 12 / 3 + 1);
    case TimeUnit::kYear:
      return double(years);
    case TimeUnit::kDecade:
      return double(years / 10);
    case TimeUnit::kCentury:
      return double(years / 100);
    case TimeUnit::kMillennium:
      return double(years / 1000);
    case TimeUnit::kEpoch:
      // A year is 365.25 days, a month of what is left 30.
      return double(years) * (365.25 * kSecondsPerDay) +
             double(interval.months % 12) * (kDaysPerMonth * kSecondsPerDay) +
             double(interval.days) * kSecondsPerDay + double(interval.micros) / 1e6;
    default:
      return std::nullopt;
  }
}

struct PartOfInterval {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view name, const Interval& interval,
                    double* result) {
    const std::optional<TimeUnit> unit = LastUnit::Of(memory, name);
    const std::optional<double> part = unit.has_value() ? PartOf(*unit, interval) : std::nullopt;
    if (!part.has_value()) return Fault::kUnknownIntervalUnit;
    *result = *part;
    return Fault::kNone;
  }
};

int64_t CutMonths(int32_t months, int32_t step) { return months / step * step; }

struct TruncateInterval {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view name, const Interval& interval,
                    Interval* result) {
    const std::optional<TimeUnit> unit = LastUnit::Of(memory, name);
    if (!unit.has_value() || !CanTruncateTo(*unit) || *unit == TimeUnit::kWeek) {
      return Fault::kUnknownIntervalUnit;
    }
    const auto cut_time = [&](int64_t step) {
      return Make(interval.months, interval.days, interval.micros / step * step, result);
    };
    switch (*unit) {
      case TimeUnit::kMicroseconds:
        return cut_time(1);
      case TimeUnit::kMilliseconds:
        return cut_time(1000);
      case TimeUnit::kSecond:
        return cut_time(kMicrosPerSecond);
      case TimeUnit::kMinute:
        return cut_time(60 * kMicrosPerSecond);
      case TimeUnit::kHour:
        return cut_time(3600 * kMicrosPerSecond);
      case TimeUnit::kDay:
        return Make(interval.months, interval.days, 0, result);
      case TimeUnit::kMonth:
        return Make(interval.months, 0, 0, result);
      case TimeUnit::kQuarter:
        return Make(CutMonths(interval.months, 3), 0, 0, result);
      case TimeUnit::kYear:
        return Make(CutMonths(interval.months, 12), 0, 0, result);
      case TimeUnit::kDecade:
        return Make(CutMonths(interval.months, 120), 0, 0, result);
      case TimeUnit::kCentury:
        return Make(CutMonths(interval.months, 1200), 0, 0, result);
      default:
        return Make(CutMonths(interval.months, 12000), 0, 0, result);
    }
  }
};

}  // namespace

std::vector<NamedKernel> IntervalKernels() {
  constexpr Type kSpan = Type::kInterval;
  constexpr Type kTime = Type::kTimestamp;
  constexpr Type kDbl = Type::kDouble;
  constexpr Type kInt = Type::kInteger;
  constexpr Type kTxt = Type::kText;
  using Text = std::string_view;
  return {
      {"-", {kTime, kTime}, &Custom<TimeBetween, Interval, int64_t, int64_t>},
      {"+", {kSpan, kSpan}, &Custom<AddIntervals<1>, Interval, Interval, Interval>},
      {"-", {kSpan, kSpan}, &Custom<AddIntervals<-1>, Interval, Interval, Interval>},
      {"-", {kSpan}, &Custom<NegateInterval, Interval, Interval>},
      {"*", {kSpan, kDbl}, &Custom<MultiplyInterval, Interval, Interval, double>},
      {"*", {kDbl, kSpan}, &Custom<MultiplyByInterval, Interval, double, Interval>},
      {"/", {kSpan, kDbl}, &Custom<DivideInterval, Interval, Interval, double>},
      {"justify_hours", {kSpan}, &Custom<JustifyHours, Interval, Interval>},
      {"justify_days", {kSpan}, &Custom<JustifyDays, Interval, Interval>},
      {"justify_interval", {kSpan}, &Custom<JustifyInterval, Interval, Interval>},
      {"age", {kTime, kTime}, &Custom<Age, Interval, int64_t, int64_t>},
      {"make_interval",
       {kInt, kInt, kInt, kInt, kInt, kInt, kDbl},
       &Custom<MakeInterval, Interval, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t,
               double>},
      {"date_part", {kTxt, kSpan}, &Custom<PartOfInterval, double, Text, Interval>},
      {"date_trunc", {kTxt, kSpan}, &Custom<TruncateInterval, Interval, Text, Interval>},
  };
}

}  // namespace millrace
