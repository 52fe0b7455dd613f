#include "engine/plan/interval_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

namespace millrace {
namespace {

constexpr int64_t kMicrosOfSecond = 1'000'000;
constexpr int64_t kMicrosOfMinute = 60 * kMicrosOfSecond;
constexpr int64_t kMicrosOfHour = 60 * kMicrosOfMinute;
constexpr int64_t kMicrosOfDay = 24 * kMicrosOfHour;
constexpr int kDaysOfMonth = 30;
constexpr int kDaysOfWeek = 7;
// PostgreSQL's bounds of a text: so many parts, and so many bytes with one more for each part.
constexpr size_t kPartsMax = 25;
constexpr size_t kPartBytesMax = 256;
// Longer words are known by so many letters.
constexpr size_t kWordLetters = 10;
constexpr double kIsoNumberMax = 1e15;

enum class IntervalField : uint8_t {
  kMicrosecond,
  kMillisecond,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kYear,
  kDecade,
  kCentury,
  kMillennium,
  kAgo,
  kNone,
};

constexpr uint32_t MaskOf(IntervalField field) { return 1U << uint32_t(field); }

constexpr uint32_t kSecondsMask = MaskOf(IntervalField::kMicrosecond) |
                                  MaskOf(IntervalField::kMillisecond) |
                                  MaskOf(IntervalField::kSecond);
constexpr uint32_t kClockMask =
    kSecondsMask | MaskOf(IntervalField::kMinute) | MaskOf(IntervalField::kHour);

struct Word {
  std::string_view name;
  IntervalField field;
};

constexpr std::array kWords = std::to_array<Word>({
    {"ago", IntervalField::kAgo},
    {"c", IntervalField::kCentury},
    {"cent", IntervalField::kCentury},
    {"centuries", IntervalField::kCentury},
    {"century", IntervalField::kCentury},
    {"d", IntervalField::kDay},
    {"day", IntervalField::kDay},
    {"days", IntervalField::kDay},
    {"dec", IntervalField::kDecade},
    {"decade", IntervalField::kDecade},
    {"decades", IntervalField::kDecade},
    {"decs", IntervalField::kDecade},
    {"h", IntervalField::kHour},
    {"hour", IntervalField::kHour},
    {"hours", IntervalField::kHour},
    {"hr", IntervalField::kHour},
    {"hrs", IntervalField::kHour},
    {"m", IntervalField::kMinute},
    {"microsecon", IntervalField::kMicrosecond},
    {"mil", IntervalField::kMillennium},
    {"millennia", IntervalField::kMillennium},
    {"millennium", IntervalField::kMillennium},
    {"millisecon", IntervalField::kMillisecond},
    {"mils", IntervalField::kMillennium},
    {"min", IntervalField::kMinute},
    {"mins", IntervalField::kMinute},
    {"minute", IntervalField::kMinute},
    {"minutes", IntervalField::kMinute},
    {"mon", IntervalField::kMonth},
    {"mons", IntervalField::kMonth},
    {"month", IntervalField::kMonth},
    {"months", IntervalField::kMonth},
    {"ms", IntervalField::kMillisecond},
    {"msec", IntervalField::kMillisecond},
    {"msecond", IntervalField::kMillisecond},
    {"mseconds", IntervalField::kMillisecond},
    {"msecs", IntervalField::kMillisecond},
    {"s", IntervalField::kSecond},
    {"sec", IntervalField::kSecond},
    {"second", IntervalField::kSecond},
    {"seconds", IntervalField::kSecond},
    {"secs", IntervalField::kSecond},
    {"us", IntervalField::kMicrosecond},
    {"usec", IntervalField::kMicrosecond},
    {"usecond", IntervalField::kMicrosecond},
    {"useconds", IntervalField::kMicrosecond},
    {"usecs", IntervalField::kMicrosecond},
    {"w", IntervalField::kWeek},
    {"week", IntervalField::kWeek},
    {"weeks", IntervalField::kWeek},
    {"y", IntervalField::kYear},
    {"year", IntervalField::kYear},
    {"years", IntervalField::kYear},
    {"yr", IntervalField::kYear},
    {"yrs", IntervalField::kYear},
});

// A digit may follow these at once: "1h30m", but not "1hr30min".
constexpr std::array<std::string_view, 7> kBeforeDigits = {"d", "dec", "h", "m", "mon", "s", "y"};

// kNone: there is no such word.
IntervalField FieldOf(std::string_view word) {
  const auto* const found = std::ranges::find(kWords, word.substr(0, kWordLetters), &Word::name);
  return found == kWords.end() ? IntervalField::kNone : found->field;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsPunctuation(char c) { return c > ' ' && c < 0x7F && !IsDigit(c) && !IsLetter(c); }

enum class Outcome : uint8_t { kRead, kNoInterval, kOutOfRange };

Outcome InRange(bool fits) { return fits ? Outcome::kRead : Outcome::kOutOfRange; }

// Takes an integer off the front of `*text`: 0 where there is none. False: beyond T.
template <typename T>
bool TakeInteger(std::string_view* text, T* value) {
  std::string_view digits = *text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  *value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  if (error == std::errc::invalid_argument) return true;
  text->remove_prefix(size_t(end - text->data()));
  return error == std::errc();
}

// ".25", ".": the whole of `text`.
bool ReadFraction(std::string_view text, double* fraction) {
  *fraction = 0;
  if (text.size() == 1) return true;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, *fraction);
  return error == std::errc() && read == end;
}

// What the parts add up to. The adders return false where the sum does not fit.
class Sums {
 public:
  bool AddMicros(int64_t whole, double fraction, int64_t unit) {
    int64_t product;
    return !__builtin_mul_overflow(whole, unit, &product) &&
           !__builtin_add_overflow(micros, product, &micros) && AddFraction(fraction, unit);
  }

  // Half a microsecond is rounded towards zero.
  bool AddFraction(double fraction, int64_t unit) {
    fraction *= double(unit);
    int64_t whole = int64_t(fraction);
    fraction -= double(whole);
    if (fraction > 0.5) ++whole;
    if (fraction < -0.5) --whole;
    return !__builtin_add_overflow(micros, whole, &micros);
  }

  bool AddDays(int64_t whole, double fraction, int unit) {
    return Add(whole, unit, &days) && AddDaysFraction(fraction, unit);
  }

  bool AddDaysFraction(double fraction, int unit) {
    fraction *= unit;
    const int32_t whole = int32_t(fraction);
    return !__builtin_add_overflow(days, whole, &days) &&
           AddFraction(fraction - whole, kMicrosOfDay);
  }

  bool AddMonths(int64_t whole, double fraction) {
    return Add(whole, 1, &months) && AddDaysFraction(fraction, kDaysOfMonth);
  }

  bool AddYears(int64_t whole, double fraction, int unit) {
    const auto of_fraction = int32_t(std::rint(fraction * unit * 12));
    return Add(whole, unit, &years) && !__builtin_add_overflow(months, of_fraction, &months);
  }

  bool Negate() {
    constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
    if (micros == INT64_MIN || days == kMin || months == kMin || years == kMin) return false;
    micros = -micros;
    days = -days;
    months = -months;
    years = -years;
    return true;
  }

  int32_t years = 0;
  int32_t months = 0;
  int32_t days = 0;
  int64_t micros = 0;

 private:
  static bool Add(int64_t whole, int32_t unit, int32_t* sum) {
    int32_t product;
    return whole == int32_t(whole) && !__builtin_mul_overflow(int32_t(whole), unit, &product) &&
           !__builtin_add_overflow(*sum, product, sum);
  }
};

// The text cut into numbers, times and words, in lower case (ParseDateTime).
class Parts {
 public:
  struct Part {
    // kSigned: begins with a sign and a digit, and may be a time.
    enum class Kind : uint8_t { kNumber, kTime, kSigned, kWord };
    Kind kind;
    std::string_view text;
  };

  // False where something else stands there.
  bool Split(std::string_view text) {
    rest_ = text;
    while (!rest_.empty()) {
      const char first = rest_.front();
      if (IsSpace(first) ||
          (IsPunctuation(first) && first != '.' && first != '+' && first != '-')) {
        rest_.remove_prefix(1);
        continue;
      }
      if (count_ == kPartsMax) return false;
      const size_t begin = used_;
      Part::Kind kind;
      if (!TakePart(&kind)) return false;
      parts_[count_++] = {kind, {bytes_.data() + begin, used_ - begin}};
      ++used_;
      if (used_ > kPartBytesMax) return false;
    }
    return true;
  }

  std::span<const Part> all() const { return {parts_.data(), count_}; }

 private:
  char Next() const { return rest_.empty() ? '\0' : rest_.front(); }

  bool Take() {
    if (used_ + 1 >= kPartBytesMax) return false;
    bytes_[used_++] = Lower(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }

  template <typename IsWanted>
  bool TakeWhile(IsWanted is_wanted) {
    while (!rest_.empty() && is_wanted(rest_.front())) {
      if (!Take()) return false;
    }
    return true;
  }

  bool TakePart(Part::Kind* kind) {
    const char first = Next();
    *kind = Part::Kind::kNumber;
    if (IsDigit(first)) return TakeNumber(kind);
    if (first == '.') return Take() && TakeWhile(IsDigit);
    if (IsLetter(first)) return TakeWord(kind);
    if (first != '+' && first != '-') return false;
    *kind = Part::Kind::kSigned;
    if (!Take()) return false;
    while (IsSpace(Next())) rest_.remove_prefix(1);
    return IsDigit(Next()) &&
           TakeWhile([](char c) { return IsDigit(c) || c == ':' || c == '.' || c == '-'; });
  }

  bool TakeNumber(Part::Kind* kind) {
    if (!TakeWhile(IsDigit)) return false;
    const char delimiter = Next();
    if (delimiter == ':') {
      *kind = Part::Kind::kTime;
      return TakeWhile([](char c) { return IsDigit(c) || c == ':' || c == '.'; });
    }
    if (delimiter != '-' && delimiter != '/' && delimiter != '.') return true;
    if (!Take()) return false;
    if (!IsDigit(Next())) {
      return TakeWhile([&](char c) { return IsDigit(c) || IsLetter(c) || c == delimiter; });
    }
    if (!TakeWhile(IsDigit)) return false;
    return Next() != delimiter || TakeWhile([&](char c) { return IsDigit(c) || c == delimiter; });
  }

  // Also what PostgreSQL would take for a date: no number, which it is refused as.
  bool TakeWord(Part::Kind* kind) {
    const size_t begin = used_;
    if (!TakeWhile(IsLetter)) return false;
    *kind = Part::Kind::kWord;
    const char next = Next();
    bool is_date = next == '-' || next == '/' || next == '.';
    if (next == '+' || IsDigit(next)) {
      const std::string_view word(bytes_.data() + begin, used_ - begin);
      is_date = std::ranges::find(kBeforeDigits, word) == kBeforeDigits.end();
    }
    return !is_date;
  }

  std::string_view rest_;
  std::array<Part, kPartsMax> parts_;
  size_t count_ = 0;
  std::array<char, kPartBytesMax> bytes_;
  size_t used_ = 0;
};

// As DecodeInterval: from right to left, so that a unit is known before its number.
class PartsReader {
 public:
  // `unit`: of a number without one; kNone: seconds.
  PartsReader(IntervalField unit, Sums* sums)
      : unit_(unit == IntervalField::kNone ? IntervalField::kSecond : unit), sums_(*sums) {}

  Outcome Read(std::span<const Parts::Part> parts) {
    using Kind = Parts::Part::Kind;
    uint32_t seen = 0;
    bool is_before = false;
    for (size_t i = parts.size(); i-- > 0;) {
      const auto& [kind, text] = parts[i];
      uint32_t mask = 0;
      if (kind == Kind::kWord) {
        field_ = FieldOf(text);
        if (field_ == IntervalField::kNone) return Outcome::kNoInterval;
        is_before |= field_ == IntervalField::kAgo;
      } else {
        const bool is_time = kind == Kind::kTime ||
                             (kind == Kind::kSigned && text.find(':') != std::string_view::npos);
        const Outcome outcome = is_time ? ReadClock(text, &mask) : ReadNumber(text, &mask);
        if (outcome != Outcome::kRead) return outcome;
      }
      if ((mask & seen) != 0) return Outcome::kNoInterval;
      seen |= mask;
    }
    if (seen == 0) return Outcome::kNoInterval;
    return InRange(!is_before || sums_.Negate());
  }

 private:
  // h:m, h:m:s or m:s.f, with or without a sign. It takes the place of fractions of days behind it.
  Outcome ReadClock(std::string_view text, uint32_t* mask) {
    const bool is_signed = !IsDigit(text.front());
    const bool is_negative = text.front() == '-';
    if (is_signed) text.remove_prefix(1);
    int64_t hours = 0;
    int32_t minutes = 0, seconds = 0;
    double fraction = 0;
    const Outcome outcome = ReadClockFields(text, &hours, &minutes, &seconds, &fraction);
    if (outcome != Outcome::kRead) return is_signed ? Outcome::kNoInterval : outcome;
    sums_.micros = int64_t(std::rint(fraction * 1e6));
    if (!sums_.AddMicros(hours, 0, kMicrosOfHour) ||
        !sums_.AddMicros(minutes, 0, kMicrosOfMinute) ||
        !sums_.AddMicros(seconds, 0, kMicrosOfSecond)) {
      return is_signed ? Outcome::kNoInterval : Outcome::kOutOfRange;
    }
    if (is_negative) sums_.micros = -sums_.micros;
    *mask = kClockMask;
    field_ = IntervalField::kDay;
    return Outcome::kRead;
  }

  static Outcome ReadClockFields(std::string_view text, int64_t* hours, int32_t* minutes,
                                 int32_t* seconds, double* fraction) {
    if (!TakeInteger(&text, hours)) return Outcome::kOutOfRange;
    if (!text.starts_with(':')) return Outcome::kNoInterval;
    text.remove_prefix(1);
    if (!TakeInteger(&text, minutes)) return Outcome::kOutOfRange;
    const bool has_hours = !text.starts_with('.');
    if (text.starts_with(':')) {
      text.remove_prefix(1);
      if (!TakeInteger(&text, seconds)) return Outcome::kOutOfRange;
    }
    if (text.starts_with('.')) {
      if (!ReadFraction(text, fraction)) return Outcome::kNoInterval;
    } else if (!text.empty()) {
      return Outcome::kNoInterval;
    }
    if (!has_hours) {
      if (*hours != int32_t(*hours)) return Outcome::kOutOfRange;
      *seconds = *minutes;
      *minutes = int32_t(*hours);
      *hours = 0;
    }
    return InRange(*hours >= 0 && *minutes >= 0 && *minutes < 60 && *seconds >= 0 &&
                   *seconds <= 60);
  }

  Outcome ReadNumber(std::string_view text, uint32_t* mask) {
    if (field_ == IntervalField::kNone) field_ = unit_;
    const bool is_negative = text.front() == '-';
    int64_t whole = 0;
    double fraction = 0;
    if (!TakeInteger(&text, &whole)) return Outcome::kOutOfRange;
    if (text.starts_with('-')) {
      int32_t months = 0;
      text.remove_prefix(1);
      if (!TakeInteger(&text, &months) || months < 0 || months >= 12) return Outcome::kOutOfRange;
      if (!text.empty()) return Outcome::kNoInterval;
      field_ = IntervalField::kMonth;
      if (__builtin_mul_overflow(whole, int64_t(12), &whole) ||
          __builtin_add_overflow(whole, int64_t(is_negative ? -months : months), &whole)) {
        return Outcome::kOutOfRange;
      }
    } else if (text.starts_with('.')) {
      if (!ReadFraction(text, &fraction)) return Outcome::kNoInterval;
      if (is_negative) fraction = -fraction;
    } else if (!text.empty()) {
      return Outcome::kNoInterval;
    }
    if (field_ == IntervalField::kAgo) return Outcome::kNoInterval;
    *mask = MaskOf(field_);
    if (field_ == IntervalField::kSecond && fraction != 0) *mask = kSecondsMask;
    const Outcome outcome = InRange(Add(field_, whole, fraction));
    if (field_ == IntervalField::kHour) field_ = IntervalField::kDay;  // of a number before it
    return outcome;
  }

  bool Add(IntervalField field, int64_t whole, double fraction) {
    switch (field) {
      case IntervalField::kMicrosecond:
        return sums_.AddMicros(whole, fraction, 1);
      case IntervalField::kMillisecond:
        return sums_.AddMicros(whole, fraction, 1000);
      case IntervalField::kSecond:
        return sums_.AddMicros(whole, fraction, kMicrosOfSecond);
      case IntervalField::kMinute:
        return sums_.AddMicros(whole, fraction, kMicrosOfMinute);
      case IntervalField::kHour:
        return sums_.AddMicros(whole, fraction, kMicrosOfHour);
      case IntervalField::kDay:
        return sums_.AddDays(whole, fraction, 1);
      case IntervalField::kWeek:
        return sums_.AddDays(whole, fraction, kDaysOfWeek);
      case IntervalField::kMonth:
        return sums_.AddMonths(whole, fraction);
      case IntervalField::kYear:
        return sums_.AddYears(whole, fraction, 1);
      case IntervalField::kDecade:
        return sums_.AddYears(whole, fraction, 10);
      case IntervalField::kCentury:
        return sums_.AddYears(whole, fraction, 100);
      case IntervalField::kMillennium:
        return sums_.AddYears(whole, fraction, 1000);
      case IntervalField::kAgo:
      case IntervalField::kNone:
        break;
    }
    return false;
  }

  const IntervalField unit_;
  IntervalField field_ = IntervalField::kNone;  // of the next number
  Sums& sums_;
};

// As DecodeISO8601Interval: "P1Y2M3DT4H5M6S" with a sign at any number, "P0001-02-03T04:05:06" and
// "P00010203T040506".
class IsoReader {
 public:
  IsoReader(std::string_view text, Sums* sums) : rest_(text), sums_(*sums) {}

  Outcome Read() {
    if (rest_.size() < 2 || rest_.front() != 'P') return Outcome::kNoInterval;
    rest_.remove_prefix(1);
    Outcome outcome = Outcome::kRead;
    while (outcome == Outcome::kRead && !rest_.empty()) {
      if (rest_.front() == 'T') {
        rest_.remove_prefix(1);
        is_time_ = true;
        is_first_ = true;
        continue;
      }
      outcome = is_time_ ? ReadTimePart() : ReadDatePart();
      is_first_ = false;
    }
    return outcome;
  }

 private:
  // `digits`: how many it begins with.
  Outcome ReadNumber(size_t* digits = nullptr) {
    const char first = rest_.empty() ? '\0' : rest_.front();
    if (!IsDigit(first) && first != '-' && first != '.') return Outcome::kNoInterval;
    if (digits != nullptr) {
      const std::string_view number = rest_.substr(first == '-' ? 1 : 0);
      *digits = std::min(number.find_first_not_of("0123456789"), number.size());
    }
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) return Outcome::kNoInterval;
    if (!(value >= -kIsoNumberMax && value <= kIsoNumberMax)) return Outcome::kOutOfRange;
    rest_.remove_prefix(size_t(end - rest_.data()));
    whole_ = int64_t(value);
    fraction_ = value - double(whole_);
    return Outcome::kRead;
  }

  bool AtEndOfDate() const { return rest_.empty() || rest_.front() == 'T'; }

  bool Skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Outcome ReadDatePart() {
    size_t digits = 0;
    if (const Outcome read = ReadNumber(&digits); read != Outcome::kRead) return read;
    if (Skip('Y')) return InRange(sums_.AddYears(whole_, fraction_, 1));
    if (Skip('M')) return InRange(sums_.AddMonths(whole_, fraction_));
    if (Skip('W')) return InRange(sums_.AddDays(whole_, fraction_, kDaysOfWeek));
    if (Skip('D')) return InRange(sums_.AddDays(whole_, fraction_, 1));
    if (!is_first_ || (!AtEndOfDate() && rest_.front() != '-')) return Outcome::kNoInterval;
    if (AtEndOfDate() && digits == 8) {
      return InRange(sums_.AddYears(whole_ / 10'000, 0, 1) &&
                     sums_.AddMonths(whole_ / 100 % 100, 0) &&
                     sums_.AddDays(whole_ % 100, fraction_, 1));
    }
    if (!sums_.AddYears(whole_, fraction_, 1)) return Outcome::kOutOfRange;
    if (!Skip('-')) return Outcome::kRead;
    if (const Outcome read = ReadNumber(); read != Outcome::kRead) return read;
    if (!sums_.AddMonths(whole_, fraction_)) return Outcome::kOutOfRange;
    if (AtEndOfDate()) return Outcome::kRead;
    if (!Skip('-')) return Outcome::kNoInterval;
    if (const Outcome read = ReadNumber(); read != Outcome::kRead) return read;
    if (!sums_.AddDays(whole_, fraction_, 1)) return Outcome::kOutOfRange;
    return AtEndOfDate() ? Outcome::kRead : Outcome::kNoInterval;
  }

  Outcome ReadTimePart() {
    size_t digits = 0;
    if (const Outcome read = ReadNumber(&digits); read != Outcome::kRead) return read;
    if (Skip('H')) return InRange(sums_.AddMicros(whole_, fraction_, kMicrosOfHour));
    if (Skip('M')) return InRange(sums_.AddMicros(whole_, fraction_, kMicrosOfMinute));
    if (Skip('S')) return InRange(sums_.AddMicros(whole_, fraction_, kMicrosOfSecond));
    if (!is_first_ || (!rest_.empty() && rest_.front() != ':')) return Outcome::kNoInterval;
    if (rest_.empty() && digits == 6) {
      return InRange(sums_.AddMicros(whole_ / 10'000, 0, kMicrosOfHour) &&
                     sums_.AddMicros(whole_ / 100 % 100, 0, kMicrosOfMinute) &&
                     sums_.AddMicros(whole_ % 100, 0, kMicrosOfSecond) &&
                     sums_.AddFraction(fraction_, 1));
    }
    if (!sums_.AddMicros(whole_, fraction_, kMicrosOfHour)) return Outcome::kOutOfRange;
    if (!Skip(':')) return Outcome::kRead;
    if (const Outcome read = ReadNumber(); read != Outcome::kRead) return read;
    if (!sums_.AddMicros(whole_, fraction_, kMicrosOfMinute)) return Outcome::kOutOfRange;
    if (rest_.empty()) return Outcome::kRead;
    if (!Skip(':')) return Outcome::kNoInterval;
    if (const Outcome read = ReadNumber(); read != Outcome::kRead) return read;
    if (!sums_.AddMicros(whole_, fraction_, kMicrosOfSecond)) return Outcome::kOutOfRange;
    return rest_.empty() ? Outcome::kRead : Outcome::kNoInterval;
  }

  std::string_view rest_;
  Sums& sums_;
  bool is_time_ = false;
  bool is_first_ = true;  // of the date, or of the time
  int64_t whole_ = 0;
  double fraction_ = 0;
};

// As AdjustIntervalForTypmod.
void CutOff(IntervalField unit, Interval* interval) {
  if (unit == IntervalField::kNone || unit == IntervalField::kSecond) return;
  if (unit == IntervalField::kYear) interval->months -= interval->months % 12;
  if (unit == IntervalField::kYear || unit == IntervalField::kMonth) interval->days = 0;
  const int64_t step = unit == IntervalField::kMinute ? kMicrosOfMinute
                       : unit == IntervalField::kHour ? kMicrosOfHour
                                                      : 0;
  interval->micros = step == 0 ? 0 : interval->micros / step * step;
}

}  // namespace

std::optional<Interval> ParseInterval(std::string_view text, std::string_view unit) {
  const IntervalField field = FieldOf(unit);
  Sums sums;
  Parts parts;
  Outcome outcome = Outcome::kNoInterval;
  if (parts.Split(text)) outcome = PartsReader(field, &sums).Read(parts.all());
  if (outcome == Outcome::kNoInterval) {
    sums = Sums();
    outcome = IsoReader(text, &sums).Read();
  }
  if (outcome != Outcome::kRead) return std::nullopt;
  const int64_t months = int64_t(sums.years) * 12 + sums.months;
  if (months != int32_t(months)) return std::nullopt;
  Interval interval{int32_t(months), sums.days, sums.micros};
  CutOff(field, &interval);
  return interval;
}

}  // namespace millrace
