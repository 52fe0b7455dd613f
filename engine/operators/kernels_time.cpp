// Timestamps: intervals, date_trunc, date_part (extract), to_timestamp. All in UTC.
#include <cmath>

#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

template <int kSign>
struct Move {
  static Fault Call(CallMemory*, int64_t time, const Interval& interval, int64_t* result) {
    const std::optional<int64_t> moved = AddInterval(time, interval, kSign);
    if (!moved.has_value()) return Fault::kTimestampOutOfRange;
    *result = *moved;
    return Fault::kNone;
  }
};

struct MoveReversed {
  static Fault Call(CallMemory* memory, const Interval& interval, int64_t time, int64_t* result) {
    return Move<1>::Call(memory, time, interval, result);
  }
};

// The unit of the last row, which is nearly always a literal.
class LastUnit : public KernelState {
 public:
  static std::optional<TimeUnit> Of(CallMemory* memory, std::string_view name) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastUnit>();
    auto* const last = static_cast<LastUnit*>(memory->state.get());
    if (!last->unit_.has_value() || last->name_ != name) {
      last->name_ = name;
      last->unit_ = TimeUnitFromName(name);
    }
    return last->unit_;
  }

 private:
  std::string name_;
  std::optional<TimeUnit> unit_;
};

struct DateTrunc {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view name, int64_t time, int64_t* result) {
    const std::optional<TimeUnit> unit = LastUnit::Of(memory, name);
    if (!unit.has_value() || !CanTruncateTo(*unit)) return Fault::kUnknownTimeUnit;
    const std::optional<int64_t> start = TruncateTime(*unit, time);
    if (!start.has_value()) return Fault::kTimestampOutOfRange;
    *result = *start;
    return Fault::kNone;
  }
};

struct DatePart {
  static constexpr bool kShowsArgument = true;
  static Fault Call(CallMemory* memory, std::string_view name, int64_t time, double* result) {
    const std::optional<TimeUnit> unit = LastUnit::Of(memory, name);
    if (!unit.has_value()) return Fault::kUnknownTimeUnit;
    *result = TimePart(*unit, time);
    return Fault::kNone;
  }
};

// Rounded as PostgreSQL does, which counts from 2000-01-01.
struct ToTimestamp {
  static constexpr int64_t kSecondsTo2000 = 946'684'800;
  static Fault Call(CallMemory*, double seconds, int64_t* result) {
    const double micros = std::rint((seconds - double(kSecondsTo2000)) * 1e6);
    if (!(micros >= -0x1p63 && micros < 0x1p63)) return Fault::kTimestampOutOfRange;
    return __builtin_add_overflow(int64_t(micros), kSecondsTo2000 * kMicrosPerSecond, result)
               ? Fault::kTimestampOutOfRange
               : Fault::kNone;
  }
};

// The start of the stride that holds `time`, strides being counted from `origin`.
struct DateBin {
  static Fault Call(CallMemory*, const Interval& stride, int64_t time, int64_t origin,
                    int64_t* result) {
    const std::optional<Micros> length = FixedLength(stride);
    if (!length.has_value() || stride.months != 0 || length->count() <= 0) return Fault::kStride;
    const __int128 since = __int128(time) - origin;
    const __int128 step = length->count();
    const __int128 start = origin + (since / step - (since % step < 0 ? 1 : 0)) * step;
    if (start < INT64_MIN || start > INT64_MAX) return Fault::kTimestampOutOfRange;
    *result = int64_t(start);
    return Fault::kNone;
  }
};

// Seconds to 60 are taken, as PostgreSQL does, and rounded to microseconds.
struct MakeTimestamp {
  static Fault Call(CallMemory*, int32_t year, int32_t month, int32_t day, int32_t hour,
                    int32_t minute, double seconds, int64_t* result) {
    // There is no year 0: -1 is 1 BC.
    if (year == 0) return Fault::kDateOutOfRange;
    CivilTime civil;
    civil.year = year < 0 ? int64_t(year) + 1 : year;
    civil.month = month;
    civil.day = day;
    if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(civil.year, month) || hour < 0 ||
        hour > 24 || minute < 0 || minute > 59 || !(seconds >= 0 && seconds <= 60) ||
        (hour == 24 && (minute > 0 || seconds > 0))) {
      return Fault::kDateOutOfRange;
    }
    const std::optional<int64_t> start = FromCivil(civil);
    const int64_t micros =
        (int64_t(hour) * 60 + minute) * 60 * kMicrosPerSecond + int64_t(std::rint(seconds * 1e6));
    if (!start.has_value() || __builtin_add_overflow(*start, micros, result)) {
      return Fault::kTimestampOutOfRange;
    }
    return Fault::kNone;
  }
};

}  // namespace

std::vector<NamedKernel> TimeKernels() {
  constexpr Type kTime = Type::kTimestamp;
  constexpr Type kSpan = Type::kInterval;
  using Text = std::string_view;
  constexpr Type kInt = Type::kInteger;
  const std::vector<Type> fields = {kInt, kInt, kInt, kInt, kInt, Type::kDouble};
  const Kernel make =
      &Custom<MakeTimestamp, int64_t, int32_t, int32_t, int32_t, int32_t, int32_t, double>;
  return {
      {"+", {kTime, kSpan}, &Custom<Move<1>, int64_t, int64_t, Interval>},
      {"-", {kTime, kSpan}, &Custom<Move<-1>, int64_t, int64_t, Interval>},
      {"+", {kSpan, kTime}, &Custom<MoveReversed, int64_t, Interval, int64_t>},
      {"date_trunc", {Type::kText, kTime}, &Custom<DateTrunc, int64_t, Text, int64_t>},
      {"date_part", {Type::kText, kTime}, &Custom<DatePart, double, Text, int64_t>},
      {"date_bin", {kSpan, kTime, kTime}, &Custom<DateBin, int64_t, Interval, int64_t, int64_t>},
      {"make_timestamp", fields, make},
      {"make_timestamptz", fields, make},
      {"to_timestamp", {Type::kDouble}, &Custom<ToTimestamp, int64_t, double>},
  };
}

}  // namespace millrace
