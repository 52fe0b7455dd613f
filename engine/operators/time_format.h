// PostgreSQL's templates of to_char, to_date and to_timestamp, "DD.MM.YYYY HH24:MI:SS"
// (formatting.c): read once, then applied to every row. Names of months and days are English. Times
// are in UTC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/operators/column.h"

namespace millrace {

// Does not change.
class TimeFormat {
 public:
  explicit TimeFormat(std::string_view text);

  // Appends `micros` as the template has it; stops once `out` has more than kTextBytesMax bytes.
  // `is_local`: of a wall clock, whose zone has no name.
  void Write(int64_t micros, bool is_local, std::string* out) const;
  // kNone, kNotOfFormat, kConflictingFields, kDateOutOfRange, kTimestampOutOfRange, or kBadFormat
  // where the template has what only to_char writes or mixes calendars. What stands behind the
  // template's end is not read.
  Fault Read(std::string_view text, int64_t* micros) const;
  // The same of a date, in days since 1970-01-01: what the text says of the time of day and of the
  // zone is left out. kDayOutOfRange where no date is so far.
  Fault ReadDate(std::string_view text, int32_t* days) const;

  enum class Field : uint8_t {
    kHour12,
    kHour24,
    kMinute,
    kSecond,
    kFraction,  // of so many digits
    kMillisecond,
    kMicrosecond,
    kSecondOfDay,
    kHalfDay,
    kZone,
    kZoneHour,
    kZoneMinute,
    kZoneOffset,
    kEra,
    kMonthName,
    kShortMonth,
    kRomanMonth,
    kMonth,
    kDayName,
    kShortDay,
    kDayOfYear,
    kIsoDayOfYear,
    kDay,
    kDayOfWeek,
    kIsoDayOfWeek,
    kWeekOfMonth,
    kWeek,
    kIsoWeek,
    kQuarter,
    kCentury,
    kYearWithComma,
    kYear,  // of so many digits
    kIsoYear,
    kJulian,
    kExact,  // FX: what follows is read without tolerance
  };
  enum class Letters : uint8_t { kUpper, kCapital, kLower };
  enum class Ordinal : uint8_t { kNone, kUpper, kLower };

  struct Keyword {
    std::string_view name;
    Field field;
    Letters letters;
    int digits;
    bool dotted;
  };

 private:
  struct Node {
    enum class Kind : uint8_t { kField, kSpace, kSeparator, kText };
    Kind kind = Kind::kText;
    const Keyword* keyword = nullptr;
    bool fill = false;  // FM: no padding
    Ordinal ordinal = Ordinal::kNone;
    std::string text;  // one character, where it is no field
  };
  class Reader;

  void AddText(std::string_view* rest, bool quoted);
  bool NextEndsNumber(size_t node) const;

  std::vector<Node> nodes_;
};

}  // namespace millrace
