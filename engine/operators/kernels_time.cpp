// Timestamps and dates: moving by intervals, date_trunc, date_part (extract), time zones, making.
#include <cmath>

#include "engine/operators/calendar.h"
#include "engine/operators/kernel_loops.h"
#include "engine/operators/named_arguments.h"
#include "engine/operators/value_text.h"
#include "engine/plan/literals.h"

namespace millrace {
namespace {

std::string Written(int64_t time) {
  char text[kValueTextBytesMax];
  return {text, WriteTimestamp(time, text)};
}

std::string Written(int32_t days) {
  char text[kValueTextBytesMax];
  return {text, WriteDate(days, text)};
}

// What an error shows: the time where that goes out of range, else the name that is unknown.
template <typename T>
std::string TimeOrName(Fault fault, T time, std::string_view name) {
  return fault == Fault::kTimestampOutOfRange ? Written(time) : std::string(name);
}

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

Fault Moved(std::optional<int64_t> time, int64_t* result) {
  if (!time.has_value()) return Fault::kTimestampOutOfRange;
  *result = *time;
  return Fault::kNone;
}

struct ToZone {
  static std::string Detail(Fault fault, std::string_view name, int64_t time) {
    return TimeOrName(fault, time, name);
  }
  static Fault Call(CallMemory* memory, std::string_view name, int64_t time, int64_t* result) {
    const TimeZone* const zone = LastZone::Of(memory, name);
    return zone == nullptr ? Fault::kUnknownTimeZone : Moved(zone->ToLocal(time), result);
  }
};

struct FromZone {
  static std::string Detail(Fault fault, int64_t time, std::string_view name) {
    return TimeOrName(fault, time, name);
  }
  static Fault Call(CallMemory* memory, int64_t time, std::string_view name, int64_t* result) {
    const TimeZone* const zone = LastZone::Of(memory, name);
    return zone == nullptr ? Fault::kUnknownTimeZone : Moved(zone->ToUtc(time), result);
  }
};

// Seconds only, as in PostgreSQL.
template <int kSign>
struct ByOffset {
  static Fault Call(CallMemory*, int64_t time, const Interval& offset, int64_t* result) {
    if (offset.months != 0 || offset.days != 0) return Fault::kZoneInterval;
    const Interval seconds{0, 0, offset.micros / kMicrosPerSecond * kMicrosPerSecond};
    return Moved(AddInterval(time, seconds, kSign), result);
  }
};

struct ToOffset {
  static Fault Call(CallMemory* memory, const Interval& offset, int64_t time, int64_t* result) {
    return ByOffset<1>::Call(memory, time, offset, result);
  }
};

// Units shorter than a day are cut off the wall clock as it goes; a day and longer begin when the
// wall clock first shows it.
struct ZonedDateTrunc {
  static std::string Detail(Fault fault, std::string_view unit_name, int64_t time,
                            std::string_view zone_name) {
    return TimeOrName(fault, time, fault == Fault::kUnknownTimeZone ? zone_name : unit_name);
  }
  static Fault Call(CallMemory* memory, std::string_view unit_name, int64_t time,
                    std::string_view zone_name, int64_t* result) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastUnitAndZone>();
    auto* const last = static_cast<LastUnitAndZone*>(memory->state.get());
    const std::optional<TimeUnit> unit = last->unit.Find(unit_name);
    if (!unit.has_value() || !CanTruncateTo(*unit)) return Fault::kUnknownTimeUnit;
    const TimeZone* const zone = last->zone.Find(zone_name);
    if (zone == nullptr) return Fault::kUnknownTimeZone;
    const std::optional<int64_t> local = zone->ToLocal(time);
    if (!local.has_value()) return Fault::kTimestampOutOfRange;
    const std::optional<int64_t> start = TruncateTime(*unit, *local);
    if (!start.has_value()) return Fault::kTimestampOutOfRange;
    if (*unit >= TimeUnit::kDay) return Moved(zone->ToUtc(*start), result);
    return Moved(time - (*local - *start), result);
  }
};

struct DateTrunc {
  static std::string Detail(Fault fault, std::string_view name, int64_t time) {
    return TimeOrName(fault, time, name);
  }
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

struct PartOfDate {
  static std::string Detail(Fault fault, std::string_view name, int32_t days) {
    return TimeOrName(fault, days, name);
  }
  static Fault Call(CallMemory* memory, std::string_view name, int32_t days, double* result) {
    const std::optional<TimeUnit> unit = LastUnit::Of(memory, name);
    if (!unit.has_value()) return Fault::kUnknownTimeUnit;
    int64_t time;
    if (__builtin_mul_overflow(int64_t(days), kMicrosPerDay, &time)) {
      return Fault::kTimestampOutOfRange;
    }
    *result = TimePart(*unit, time);
    return Fault::kNone;
  }
};

template <int kSign>
struct MoveDate {
  static Fault Call(CallMemory* memory, int32_t days, const Interval& interval, int64_t* result) {
    int64_t time;
    if (__builtin_mul_overflow(int64_t(days), kMicrosPerDay, &time)) {
      return Fault::kTimestampOutOfRange;
    }
    return Move<kSign>::Call(memory, time, interval, result);
  }
};

struct MoveDateReversed {
  static Fault Call(CallMemory* memory, const Interval& interval, int32_t days, int64_t* result) {
    return MoveDate<1>::Call(memory, days, interval, result);
  }
};

template <int kSign>
struct AddDays {
  static int32_t Call(int32_t date, int32_t days) {
    return int32_t(uint32_t(date) + uint32_t(kSign) * uint32_t(days));
  }
  static Fault Check(int32_t date, int32_t days, int32_t) {
    return IsDay(int64_t(date) + kSign * int64_t(days)) ? Fault::kNone : Fault::kDayOutOfRange;
  }
};

struct DaysBetween {
  static int32_t Call(int32_t a, int32_t b) { return int32_t(uint32_t(a) - uint32_t(b)); }
  static Fault Check(int32_t a, int32_t b, int32_t difference) {
    return ((a ^ b) & (a ^ difference)) < 0 ? Fault::kIntegerOutOfRange : Fault::kNone;
  }
};

struct MakeDate {
  static Fault Call(CallMemory*, int32_t year, int32_t month, int32_t day, int32_t* result) {
    // There is no year 0: -1 is 1 BC.
    if (year == 0) return Fault::kDateOutOfRange;
    const int64_t astronomical = year < 0 ? int64_t(year) + 1 : year;
    if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(astronomical, month)) {
      return Fault::kDateOutOfRange;
    }
    const int64_t days = DaysFromCivil(astronomical, month, day);
    *result = int32_t(days);
    return IsDay(days) ? Fault::kNone : Fault::kDayOutOfRange;
  }
};

template <typename T>
struct IsFinite {
  static uint8_t Call(const T&) { return 1; }
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

// What would be too many to unfold is cut off behind the first that is too many.
struct TimeGrid {
  static constexpr size_t kTimesMax = 100'001;

  static Fault Call(CallMemory* memory, int64_t from, int64_t until, const Interval& stride,
                    std::string_view* result) {
    int64_t time = 0;
    const Fault fault = DateBin::Call(memory, stride, from, 0, &time);
    if (fault != Fault::kNone) return fault;
    const int64_t step = FixedLength(stride)->count();
    std::string text = "[";
    bool is_beyond = time < from && __builtin_add_overflow(time, step, &time);
    for (size_t count = 0; !is_beyond && time < until && count < kTimesMax; ++count) {
      text += count == 0 ? "\"" : ",\"";
      text += Written(time);
      text += '"';
      is_beyond = __builtin_add_overflow(time, step, &time);
    }
    return KeepText(memory, text + "]", result);
  }
};

// Seconds to 60 are taken, as PostgreSQL does, once they are rounded to microseconds.
struct MakeTimestamp {
  static Fault Call(CallMemory*, int32_t year, int32_t month, int32_t day, int32_t hour,
                    int32_t minute, double seconds, int64_t* result) {
    // There is no year 0: -1 is 1 BC.
    if (year == 0) return Fault::kDateOutOfRange;
    const double of_minute = std::rint(seconds * 1e6);
    CivilTime civil;
    civil.year = year < 0 ? int64_t(year) + 1 : year;
    civil.month = month;
    civil.day = day;
    if (month < 1 || month > 12 || day < 1 || day > DaysInMonth(civil.year, month) || hour < 0 ||
        hour > 24 || minute < 0 || minute > 59 || !(of_minute >= 0 && of_minute <= 60e6) ||
        (hour == 24 && (minute > 0 || of_minute > 0))) {
      return Fault::kDateOutOfRange;
    }
    const std::optional<int64_t> start = FromCivil(civil);
    const int64_t micros =
        (int64_t(hour) * 60 + minute) * 60 * kMicrosPerSecond + int64_t(of_minute);
    if (!start.has_value() || __builtin_add_overflow(*start, micros, result)) {
      return Fault::kTimestampOutOfRange;
    }
    return Fault::kNone;
  }
};

struct MakeZonedTimestamp {
  static Fault Call(CallMemory* memory, int32_t year, int32_t month, int32_t day, int32_t hour,
                    int32_t minute, double seconds, std::string_view zone_name, int64_t* result) {
    int64_t local = 0;
    const Fault fault =
        MakeTimestamp::Call(memory, year, month, day, hour, minute, seconds, &local);
    return fault != Fault::kNone ? fault : FromZone::Call(memory, local, zone_name, result);
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
  constexpr Type kDate = Type::kDate;
  constexpr Type kTxt = Type::kText;
  return {
      {"timezone", {kTxt, kTime}, &Custom<ToZone, int64_t, Text, int64_t>},
      {"timezone", {kSpan, kTime}, &Custom<ToOffset, int64_t, Interval, int64_t>},
      {"to_utc_timestamp", {kTime, kTxt}, &Custom<FromZone, int64_t, int64_t, Text>},
      {"to_utc_timestamp", {kTime, kSpan}, &Custom<ByOffset<-1>, int64_t, int64_t, Interval>},
      {"date_trunc", {kTxt, kTime, kTxt}, &Custom<ZonedDateTrunc, int64_t, Text, int64_t, Text>},
      {"+", {kDate, kSpan}, &Custom<MoveDate<1>, int64_t, int32_t, Interval>},
      {"-", {kDate, kSpan}, &Custom<MoveDate<-1>, int64_t, int32_t, Interval>},
      {"+", {kSpan, kDate}, &Custom<MoveDateReversed, int64_t, Interval, int32_t>},
      {"+", {kDate, kInt}, &Checked<AddDays<1>, int32_t, int32_t, int32_t>},
      {"+", {kInt, kDate}, &Checked<AddDays<1>, int32_t, int32_t, int32_t>},
      {"-", {kDate, kInt}, &Checked<AddDays<-1>, int32_t, int32_t, int32_t>},
      {"-", {kDate, kDate}, &Checked<DaysBetween, int32_t, int32_t, int32_t>},
      {"date_part", {kTxt, kDate}, &Custom<PartOfDate, double, Text, int32_t>},
      {"make_date", {kInt, kInt, kInt}, &Custom<MakeDate, int32_t, int32_t, int32_t, int32_t>},
      {"isfinite", {kDate}, &Total<IsFinite<int32_t>, uint8_t, int32_t>},
      {"isfinite", {kTime}, &Total<IsFinite<int64_t>, uint8_t, int64_t>},
      {"isfinite", {kSpan}, &Total<IsFinite<Interval>, uint8_t, Interval>},
      {"+", {kTime, kSpan}, &Custom<Move<1>, int64_t, int64_t, Interval>},
      {"-", {kTime, kSpan}, &Custom<Move<-1>, int64_t, int64_t, Interval>},
      {"+", {kSpan, kTime}, &Custom<MoveReversed, int64_t, Interval, int64_t>},
      {"date_trunc", {Type::kText, kTime}, &Custom<DateTrunc, int64_t, Text, int64_t>},
      {"date_part", {Type::kText, kTime}, &Custom<DatePart, double, Text, int64_t>},
      {"date_bin", {kSpan, kTime, kTime}, &Custom<DateBin, int64_t, Interval, int64_t, int64_t>},
      {"time_grid",
       {kTime, kTime, kSpan},
       &Custom<TimeGrid, std::string_view, int64_t, int64_t, Interval>},
      {"make_timestamp", fields, make},
      {"make_timestamptz", fields, make},
      {"make_timestamptz",
       {kInt, kInt, kInt, kInt, kInt, Type::kDouble, kTxt},
       &Custom<MakeZonedTimestamp, int64_t, int32_t, int32_t, int32_t, int32_t, int32_t, double,
               Text>},
      {"to_timestamp", {Type::kDouble}, &Custom<ToTimestamp, int64_t, double>},
  };
}

}  // namespace millrace
