#include "engine/operators/time_format.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/operators/calendar.h"

namespace millrace {
namespace {

using Field = TimeFormat::Field;
using Letters = TimeFormat::Letters;
using Keyword = TimeFormat::Keyword;

constexpr int64_t kJulianOfEpoch = 2'440'588;
// 2000-01-01, from which PostgreSQL counts and so rounds.
constexpr int64_t kMicrosTo2000 = 946'684'800 * kMicrosPerSecond;

// In upper case; each also in lower case, and names with a capital.
constexpr std::array kUpper = std::to_array<Keyword>({
    {"A.D.", Field::kEra, Letters::kUpper, 0, true},
    {"A.M.", Field::kHalfDay, Letters::kUpper, 0, true},
    {"AD", Field::kEra, Letters::kUpper, 0, false},
    {"AM", Field::kHalfDay, Letters::kUpper, 0, false},
    {"B.C.", Field::kEra, Letters::kUpper, 0, true},
    {"BC", Field::kEra, Letters::kUpper, 0, false},
    {"CC", Field::kCentury, Letters::kUpper, 2, false},
    {"DAY", Field::kDayName, Letters::kUpper, 0, false},
    {"DDD", Field::kDayOfYear, Letters::kUpper, 3, false},
    {"DD", Field::kDay, Letters::kUpper, 2, false},
    {"DY", Field::kShortDay, Letters::kUpper, 0, false},
    {"D", Field::kDayOfWeek, Letters::kUpper, 1, false},
    {"FF1", Field::kFraction, Letters::kUpper, 1, false},
    {"FF2", Field::kFraction, Letters::kUpper, 2, false},
    {"FF3", Field::kFraction, Letters::kUpper, 3, false},
    {"FF4", Field::kFraction, Letters::kUpper, 4, false},
    {"FF5", Field::kFraction, Letters::kUpper, 5, false},
    {"FF6", Field::kFraction, Letters::kUpper, 6, false},
    {"FX", Field::kExact, Letters::kUpper, 0, false},
    {"HH24", Field::kHour24, Letters::kUpper, 2, false},
    {"HH12", Field::kHour12, Letters::kUpper, 2, false},
    {"HH", Field::kHour12, Letters::kUpper, 2, false},
    {"IDDD", Field::kIsoDayOfYear, Letters::kUpper, 3, false},
    {"ID", Field::kIsoDayOfWeek, Letters::kUpper, 1, false},
    {"IW", Field::kIsoWeek, Letters::kUpper, 2, false},
    {"IYYY", Field::kIsoYear, Letters::kUpper, 4, false},
    {"IYY", Field::kIsoYear, Letters::kUpper, 3, false},
    {"IY", Field::kIsoYear, Letters::kUpper, 2, false},
    {"I", Field::kIsoYear, Letters::kUpper, 1, false},
    {"J", Field::kJulian, Letters::kUpper, 1, false},
    {"MI", Field::kMinute, Letters::kUpper, 2, false},
    {"MM", Field::kMonth, Letters::kUpper, 2, false},
    {"MONTH", Field::kMonthName, Letters::kUpper, 0, false},
    {"MON", Field::kShortMonth, Letters::kUpper, 0, false},
    {"MS", Field::kMillisecond, Letters::kUpper, 3, false},
    {"OF", Field::kZoneOffset, Letters::kUpper, 0, false},
    {"P.M.", Field::kHalfDay, Letters::kUpper, 0, true},
    {"PM", Field::kHalfDay, Letters::kUpper, 0, false},
    {"Q", Field::kQuarter, Letters::kUpper, 1, false},
    {"RM", Field::kRomanMonth, Letters::kUpper, 0, false},
    {"SSSSS", Field::kSecondOfDay, Letters::kUpper, 5, false},
    {"SSSS", Field::kSecondOfDay, Letters::kUpper, 4, false},
    {"SS", Field::kSecond, Letters::kUpper, 2, false},
    {"TZH", Field::kZoneHour, Letters::kUpper, 0, false},
    {"TZM", Field::kZoneMinute, Letters::kUpper, 2, false},
    {"TZ", Field::kZone, Letters::kUpper, 0, false},
    {"US", Field::kMicrosecond, Letters::kUpper, 6, false},
    {"WW", Field::kWeek, Letters::kUpper, 2, false},
    {"W", Field::kWeekOfMonth, Letters::kUpper, 1, false},
    {"Y,YYY", Field::kYearWithComma, Letters::kUpper, 4, false},
    {"YYYY", Field::kYear, Letters::kUpper, 4, false},
    {"YYY", Field::kYear, Letters::kUpper, 3, false},
    {"YY", Field::kYear, Letters::kUpper, 2, false},
    {"Y", Field::kYear, Letters::kUpper, 1, false},
});

constexpr std::array kCapital = std::to_array<Keyword>({
    {"Month", Field::kMonthName, Letters::kCapital, 0, false},
    {"Mon", Field::kShortMonth, Letters::kCapital, 0, false},
    {"Day", Field::kDayName, Letters::kCapital, 0, false},
    {"Dy", Field::kShortDay, Letters::kCapital, 0, false},
});

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
// From Sunday on.
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kRoman = {"I",   "II",   "III", "IV", "V",  "VI",
                                                     "VII", "VIII", "IX",  "X",  "XI", "XII"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsSeparator(char c) { return c > ' ' && c < 0x7F && !IsDigit(c) && !IsLetter(c); }

std::vector<Keyword> AllKeywords() {
  // Where the lower-case names stand.
  static const std::vector<std::string> lower_names = [] {
    std::vector<std::string> names;
    for (const Keyword& keyword : kUpper) {
      std::string name(keyword.name);
      for (char& c : name) c = Lower(c);
      names.push_back(std::move(name));
    }
    return names;
  }();
  std::vector<Keyword> all(kUpper.begin(), kUpper.end());
  for (size_t i = 0; i < kUpper.size(); ++i) {
    Keyword keyword = kUpper[i];
    keyword.name = lower_names[i];
    keyword.letters = Letters::kLower;
    all.push_back(keyword);
  }
  all.insert(all.end(), kCapital.begin(), kCapital.end());
  return all;
}

// The longest one that `text` begins with; null: none.
const Keyword* FindKeyword(std::string_view text) {
  static const std::vector<Keyword> all = AllKeywords();
  const Keyword* found = nullptr;
  for (const Keyword& keyword : all) {
    if (!text.starts_with(keyword.name)) continue;
    if (found == nullptr || keyword.name.size() > found->name.size()) found = &keyword;
  }
  return found;
}

bool IsNumber(Field field) {
  switch (field) {
    case Field::kHalfDay:
    case Field::kZone:
    case Field::kZoneHour:
    case Field::kZoneOffset:
    case Field::kEra:
    case Field::kMonthName:
    case Field::kShortMonth:
    case Field::kRomanMonth:
    case Field::kDayName:
    case Field::kShortDay:
    case Field::kExact:
      return false;
    default:
      return true;
  }
}

void AppendLetters(std::string_view text, Letters letters, std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool upper = letters == Letters::kUpper || (letters == Letters::kCapital && i == 0);
    out->push_back(upper ? Upper(text[i]) : Lower(text[i]));
  }
}

void AppendPadded(std::string_view text, Letters letters, size_t width, std::string* out) {
  AppendLetters(text, letters, out);
  if (text.size() < width) out->append(width - text.size(), ' ');
}

// With zeros in front, the sign being one more.
void AppendNumber(int64_t value, int width, std::string* out) {
  char text[32];
  const int size = std::snprintf(text, sizeof(text), "%0*lld", value < 0 ? width + 1 : width,
                                 static_cast<long long>(value));
  out->append(text, size_t(size));
}

void AppendOrdinal(bool upper, size_t number_begin, std::string* out) {
  const std::string_view number = std::string_view(*out).substr(number_begin);
  const char last = number.back();
  const bool teen = number.size() > 1 && number[number.size() - 2] == '1';
  std::string_view suffix = "TH";
  if (!teen && last == '1') suffix = "ST";
  if (!teen && last == '2') suffix = "ND";
  if (!teen && last == '3') suffix = "RD";
  AppendLetters(suffix, upper ? Letters::kUpper : Letters::kLower, out);
}

int64_t ShownYear(int64_t year) { return year <= 0 ? 1 - year : year; }

int64_t PowerOfTen(int digits) {
  int64_t power = 1;
  for (int i = 0; i < digits; ++i) power *= 10;
  return power;
}

int64_t IsoYear(int64_t micros) {
  const double shown = TimePart(TimeUnit::kIsoYear, micros);
  return int64_t(shown < 0 ? -shown : shown);
}

// 0 Sunday .. 6 Saturday.
int64_t DayOfWeek(int64_t days) { return (days + 4) - FloorDivide(days + 4, 7) * 7; }

// The Monday of a week of an ISO year, in days since 1970-01-01.
int64_t IsoWeekStart(int64_t year, int64_t week) {
  const int64_t fourth = DaysFromCivil(year, 1, 4);
  return fourth - (DayOfWeek(fourth) + 6) % 7 + (week - 1) * 7;
}

}  // namespace

TimeFormat::TimeFormat(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const bool fill = rest.starts_with("FM") || rest.starts_with("fm");
    const bool translate = rest.starts_with("TM") || rest.starts_with("tm");
    if (fill || translate) rest.remove_prefix(2);
    if (const Keyword* keyword = FindKeyword(rest)) {
      Node node;
      node.kind = Node::Kind::kField;
      node.keyword = keyword;
      // TM asks for names of the locale, which are never padded.
      node.fill =
          fill ||
          (translate && (keyword->field == Field::kMonthName || keyword->field == Field::kDayName));
      rest.remove_prefix(keyword->name.size());
      if (rest.starts_with("TH") || rest.starts_with("th")) {
        node.ordinal = rest[0] == 'T' ? Ordinal::kUpper : Ordinal::kLower;
        rest.remove_prefix(2);
      } else if (rest.starts_with("SP")) {
        rest.remove_prefix(2);
      }
      nodes_.push_back(std::move(node));
    } else if (rest.starts_with("\"")) {
      rest.remove_prefix(1);
      while (!rest.empty() && rest[0] != '"') {
        if (rest[0] == '\\' && rest.size() > 1) rest.remove_prefix(1);
        AddText(&rest, /*quoted=*/true);
      }
      if (!rest.empty()) rest.remove_prefix(1);
    } else if (!rest.empty()) {
      if (rest.starts_with("\\\"")) rest.remove_prefix(1);
      AddText(&rest, /*quoted=*/false);
    }
  }
}

// Takes one character.
void TimeFormat::AddText(std::string_view* rest, bool quoted) {
  Node node;
  const char first = (*rest)[0];
  if (!quoted && IsSeparator(first)) node.kind = Node::Kind::kSeparator;
  if (!quoted && IsSpace(first)) node.kind = Node::Kind::kSpace;
  size_t size = 1;
  while (size < rest->size() && (uint8_t((*rest)[size]) & 0xC0) == 0x80) ++size;
  node.text = rest->substr(0, size);
  rest->remove_prefix(size);
  nodes_.push_back(std::move(node));
}

void TimeFormat::Write(int64_t micros, bool is_local, std::string* out) const {
  const CivilTime civil = ToCivil(micros);
  const int64_t days = FloorDivide(micros, kMicrosPerDay);
  const int64_t day_of_year = days - DaysFromCivil(civil.year, 1, 1) + 1;
  const int64_t day_of_week = DayOfWeek(days);
  for (const Node& node : nodes_) {
    if (out->size() > kTextBytesMax) return;
    if (node.kind != Node::Kind::kField) {
      out->append(node.text);
      continue;
    }
    const Keyword& keyword = *node.keyword;
    const size_t begin = out->size();
    const auto number = [&](int64_t value, int width) {
      AppendNumber(value, node.fill ? 0 : width, out);
      if (node.ordinal != Ordinal::kNone) {
        AppendOrdinal(node.ordinal == Ordinal::kUpper, begin, out);
      }
    };
    const auto name = [&](std::string_view text, size_t width) {
      AppendPadded(text, keyword.letters, node.fill ? 0 : width, out);
    };
    switch (keyword.field) {
      case Field::kHour12:
        number(civil.hour % 12 == 0 ? 12 : civil.hour % 12, 2);
        break;
      case Field::kHour24:
        number(civil.hour, 2);
        break;
      case Field::kMinute:
        number(civil.minute, 2);
        break;
      case Field::kSecond:
        number(civil.second, 2);
        break;
      case Field::kFraction:
      case Field::kMillisecond:
      case Field::kMicrosecond:
        AppendNumber(civil.micros / PowerOfTen(6 - keyword.digits), keyword.digits, out);
        if (node.ordinal != Ordinal::kNone) {
          AppendOrdinal(node.ordinal == Ordinal::kUpper, begin, out);
        }
        break;
      case Field::kSecondOfDay:
        number((int64_t(civil.hour) * 60 + civil.minute) * 60 + civil.second, 0);
        break;
      case Field::kHalfDay:
        name(keyword.dotted     ? (civil.hour >= 12 ? "P.M." : "A.M.")
             : civil.hour >= 12 ? "PM"
                                : "AM",
             0);
        break;
      case Field::kEra:
        name(keyword.dotted    ? (civil.year <= 0 ? "B.C." : "A.D.")
             : civil.year <= 0 ? "BC"
                               : "AD",
             0);
        break;
      case Field::kZone:
        if (!is_local) name("UTC", 0);
        break;
      case Field::kZoneHour:
        out->append("+00");
        break;
      case Field::kZoneMinute:
        out->append("00");
        break;
      case Field::kZoneOffset:
        out->append(node.fill ? "+0" : "+00");
        break;
      case Field::kMonthName:
        name(kMonths[size_t(civil.month - 1)], 9);
        break;
      case Field::kShortMonth:
        name(kMonths[size_t(civil.month - 1)].substr(0, 3), 0);
        break;
      case Field::kRomanMonth:
        name(kRoman[size_t(civil.month - 1)], 4);
        break;
      case Field::kMonth:
        number(civil.month, 2);
        break;
      case Field::kDayName:
        name(kDays[size_t(day_of_week)], 9);
        break;
      case Field::kShortDay:
        name(kDays[size_t(day_of_week)].substr(0, 3), 0);
        break;
      case Field::kDayOfYear:
        number(day_of_year, 3);
        break;
      case Field::kIsoDayOfYear: {
        const int64_t monday = days - (day_of_week + 6) % 7;
        number((int64_t(TimePart(TimeUnit::kWeek, micros)) - 1) * 7 + (days - monday) + 1, 3);
        break;
      }
      case Field::kDay:
        number(civil.day, 2);
        break;
      case Field::kDayOfWeek:
        number(day_of_week + 1, 0);
        break;
      case Field::kIsoDayOfWeek:
        number(day_of_week == 0 ? 7 : day_of_week, 0);
        break;
      case Field::kWeekOfMonth:
        number((civil.day - 1) / 7 + 1, 0);
        break;
      case Field::kWeek:
        number((day_of_year - 1) / 7 + 1, 2);
        break;
      case Field::kIsoWeek:
        number(int64_t(TimePart(TimeUnit::kWeek, micros)), 2);
        break;
      case Field::kQuarter:
        number((civil.month - 1) / 3 + 1, 0);
        break;
      case Field::kCentury:
        number(civil.year > 0 ? (civil.year - 1) / 100 + 1 : civil.year / 100 - 1, 2);
        break;
      case Field::kYearWithComma: {
        const int64_t year = ShownYear(civil.year);
        out->append(std::to_string(year / 1000) + ",");
        AppendNumber(year % 1000, 3, out);
        if (node.ordinal != Ordinal::kNone) {
          AppendOrdinal(node.ordinal == Ordinal::kUpper, begin, out);
        }
        break;
      }
      case Field::kYear:
      case Field::kIsoYear: {
        int64_t year = keyword.field == Field::kYear ? ShownYear(civil.year) : IsoYear(micros);
        if (keyword.digits < 4) year %= PowerOfTen(keyword.digits);
        number(year, keyword.digits);
        break;
      }
      case Field::kJulian:
        number(days + kJulianOfEpoch, 0);
        break;
      case Field::kExact:
        break;
    }
  }
}

// Whether a number at `node` ends by itself, because no digit can follow it.
bool TimeFormat::NextEndsNumber(size_t node) const {
  if (nodes_[node].ordinal != Ordinal::kNone || node + 1 == nodes_.size()) return true;
  const Node& next = nodes_[node + 1];
  if (next.kind == Node::Kind::kField) return !IsNumber(next.keyword->field);
  return next.text.size() != 1 || !IsDigit(next.text[0]);
}

// One text read by a template: first what its fields say (Take), then what that means (Finish).
class TimeFormat::Reader {
 public:
  Reader(const TimeFormat& format, std::string_view text)
      : format_(format), begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  Fault Take() {
    bool exact = false;
    int64_t skipped = 0;  // more than the template has
    const std::vector<Node>& nodes = format_.nodes_;
    for (size_t i = 0; i < nodes.size() && at_ < end_; ++i) {
      const Node& node = nodes[i];
      const bool is_exact = node.kind == Node::Kind::kField && node.keyword->field == Field::kExact;
      if (is_exact) {
        exact = true;
        continue;
      }
      if (!exact && (node.kind != Node::Kind::kText || i == 0)) skipped += SkipSpaces();
      if (at_ == end_ && node.kind == Node::Kind::kField) return Fault::kNotOfFormat;
      if (node.kind == Node::Kind::kSpace || node.kind == Node::Kind::kSeparator) {
        if (exact) {
          SkipCharacter();
          continue;
        }
        --skipped;
        if (at_ < end_ && (IsSpace(*at_) || IsSeparator(*at_))) {
          ++at_;
          ++skipped;
        }
        continue;
      }
      if (node.kind == Node::Kind::kText) {
        if (!exact && skipped > 0) {
          --skipped;
        } else {
          SkipCharacter();
        }
        continue;
      }
      if (!SetMode(node.keyword->field)) return Fault::kBadFormat;
      if (const Fault fault = TakeField(i, skipped); fault != Fault::kNone) return fault;
      if (!exact) skipped = SkipSpaces();
    }
    return Fault::kNone;
  }

  // `date` in days since 1970-01-01, `of_day` in microseconds, in UTC.
  Fault Finish(int64_t* date, int64_t* of_day) {
    int64_t hour = 0, minute = 0, second = 0;
    if (second_of_day_ != 0) {
      hour = second_of_day_ / 3600;
      minute = second_of_day_ / 60 % 60;
      second = second_of_day_ % 60;
    }
    if (second_ != 0) second = second_;
    if (minute_ != 0) minute = minute_;
    if (hour_ != 0) hour = hour_;
    if (twelve_hours_) {
      if (hour < 1 || hour > 12) return Fault::kDateOutOfRange;
      if (afternoon_ != 0 && hour < 12) hour += 12;
      if (afternoon_ == 0 && hour == 12) hour = 0;
    }
    if (const Fault fault = FindDate(date); fault != Fault::kNone) return fault;
    const int64_t fraction = milliseconds_ * 1000 + microseconds_;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
        fraction < 0 || fraction >= kMicrosPerSecond) {
      return Fault::kDateOutOfRange;
    }
    if (zone_sign_ != 0 &&
        (zone_hours_ < 0 || zone_hours_ > 15 || zone_minutes_ < 0 || zone_minutes_ > 59)) {
      return Fault::kDateOutOfRange;
    }
    const int64_t offset = zone_sign_ * (zone_hours_ * 3600 + zone_minutes_ * 60);
    *of_day = ((hour * 60 + minute) * 60 + second - offset) * kMicrosPerSecond + fraction;
    return Fault::kNone;
  }

  // FFn rounds to so many places.
  __int128 Rounded(__int128 micros) const {
    if (fraction_digits_ == 0) return micros;
    const int64_t step = PowerOfTen(6 - fraction_digits_);
    const __int128 since = micros - kMicrosTo2000;
    const __int128 rounded = ((since < 0 ? -since : since) + step / 2) / step * step;
    return (since < 0 ? -rounded : rounded) + kMicrosTo2000;
  }

 private:
  int64_t SkipSpaces() {
    const char* const from = at_;
    while (at_ < end_ && IsSpace(*at_)) ++at_;
    return at_ - from;
  }

  void SkipCharacter() {
    if (at_ == end_) return;
    ++at_;
    while (at_ < end_ && (uint8_t(*at_) & 0xC0) == 0x80) ++at_;
  }

  // ISO weeks and the common calendar do not mix.
  bool SetMode(Field field) {
    bool is_iso = false;
    switch (field) {
      case Field::kIsoDayOfYear:
      case Field::kIsoDayOfWeek:
      case Field::kIsoWeek:
      case Field::kIsoYear:
        is_iso = true;
        break;
      case Field::kDayOfYear:
      case Field::kDay:
      case Field::kDayOfWeek:
      case Field::kMonth:
      case Field::kMonthName:
      case Field::kShortMonth:
      case Field::kRomanMonth:
      case Field::kWeek:
      case Field::kWeekOfMonth:
      case Field::kYear:
      case Field::kYearWithComma:
        break;
      default:
        return true;
    }
    if (has_mode_ && is_iso != is_iso_) return false;
    has_mode_ = true;
    is_iso_ = is_iso;
    return true;
  }

  // What strtol reads, leading spaces and a sign included, of at most `limit` characters.
  bool ReadInteger(const char* limit, int64_t* value) {
    const char* at = at_;
    while (at < limit && IsSpace(*at)) ++at;
    bool negative = false;
    if (at < limit && (*at == '-' || *at == '+')) negative = *at++ == '-';
    const char* const digits = at;
    int64_t read = 0;
    for (; at < limit && IsDigit(*at); ++at) {
      read = read * 10 + (*at - '0');
      if (read > int64_t(INT32_MAX) + 1) return false;
    }
    if (at == digits) return false;
    read = negative ? -read : read;
    if (read > INT32_MAX) return false;
    at_ = at;
    *value = read;
    return true;
  }

  // As from_char_parse_int_len. `used`: how many characters. A field that was set before must be
  // the same again.
  bool TakeNumber(size_t index, int digits, int64_t* field, int64_t* used = nullptr) {
    const char* const from = at_;
    const bool free = format_.nodes_[index].fill || format_.NextEndsNumber(index);
    int64_t value = 0;
    if (free) {
      if (!ReadInteger(end_, &value)) return false;
    } else {
      SkipSpaces();
      if (end_ - at_ < digits) return false;
      const char* const limit = at_ + digits;
      if (ReadInteger(limit, &value)) {
        if (at_ != limit) return false;
      } else if (at_ == from) {
        return false;  // PostgreSQL takes spaces and no digit for 0
      }
    }
    if (used != nullptr) *used = at_ - from;
    if (format_.nodes_[index].ordinal != Ordinal::kNone) {
      SkipCharacter();
      SkipCharacter();
    }
    return Set(value, field);
  }

  bool Set(int64_t value, int64_t* field) {
    if (field == nullptr) return true;
    conflicts_ = *field != 0 && *field != value;
    if (conflicts_) return false;
    *field = value;
    return true;
  }

  // The first of `names` (cut to `length` letters) that stands here, in any letter case.
  template <typename Names>
  bool TakeName(const Names& names, size_t length, int64_t* index) {
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string_view name = names[i].substr(0, length);
      if (size_t(end_ - at_) < name.size()) continue;
      bool same = true;
      for (size_t c = 0; c < name.size(); ++c) same = same && Lower(at_[c]) == Lower(name[c]);
      if (!same) continue;
      at_ += name.size();
      *index = int64_t(i);
      return true;
    }
    return false;
  }

  // Digits after the point: 25 of milliseconds is a quarter.
  bool TakeFraction(size_t index, int digits, int places, int64_t* field) {
    int64_t used = 0;
    if (!TakeNumber(index, digits, field, &used)) return false;
    for (int64_t i = used; i < places; ++i) *field *= 10;
    return true;
  }

  Fault TakeField(size_t index, int64_t skipped) {
    const Keyword& keyword = *format_.nodes_[index].keyword;
    int64_t name = 0;
    bool taken = true;
    switch (keyword.field) {
      case Field::kHour12:
        taken = TakeNumber(index, 2, &hour_);
        twelve_hours_ = true;
        break;
      case Field::kHour24:
        taken = TakeNumber(index, 2, &hour_);
        break;
      case Field::kMinute:
        taken = TakeNumber(index, 2, &minute_);
        break;
      case Field::kSecond:
        taken = TakeNumber(index, 2, &second_);
        break;
      case Field::kMillisecond:
        taken = TakeFraction(index, 3, 3, &milliseconds_);
        break;
      case Field::kFraction:
        fraction_digits_ = keyword.digits;
        taken = TakeFraction(index, keyword.digits, 6, &microseconds_);
        break;
      case Field::kMicrosecond:
        taken = TakeFraction(index, keyword.digits, 6, &microseconds_);
        break;
      case Field::kSecondOfDay:
        taken = TakeNumber(index, keyword.digits, &second_of_day_);
        break;
      case Field::kHalfDay: {
        constexpr std::array<std::string_view, 2> kPlain = {"AM", "PM"};
        constexpr std::array<std::string_view, 2> kDotted = {"A.M.", "P.M."};
        taken = TakeName(keyword.dotted ? kDotted : kPlain, 4, &name) && Set(name, &afternoon_);
        twelve_hours_ = true;
        break;
      }
      case Field::kEra: {
        constexpr std::array<std::string_view, 2> kPlain = {"AD", "BC"};
        constexpr std::array<std::string_view, 2> kDotted = {"A.D.", "B.C."};
        taken = TakeName(keyword.dotted ? kDotted : kPlain, 4, &name) && Set(name, &before_christ_);
        break;
      }
      case Field::kZone:
      case Field::kZoneOffset:
        return Fault::kBadFormat;
      case Field::kZoneHour:
        zone_sign_ = 1;
        if (*at_ == '+' || *at_ == '-' || *at_ == ' ') {
          zone_sign_ = *at_++ == '-' ? -1 : 1;
        } else if (skipped > 0 && at_ > begin_ && at_[-1] == '-') {
          zone_sign_ = -1;
        }
        taken = TakeNumber(index, 2, &zone_hours_);
        break;
      case Field::kZoneMinute:
        if (zone_sign_ == 0) zone_sign_ = 1;
        taken = TakeNumber(index, 2, &zone_minutes_);
        break;
      case Field::kMonthName:
        taken = TakeName(kMonths, 9, &name) && Set(name + 1, &month_);
        break;
      case Field::kShortMonth:
        taken = TakeName(kMonths, 3, &name) && Set(name + 1, &month_);
        break;
      case Field::kRomanMonth: {
        // The longest numeral: VIII before VI.
        constexpr std::array<std::string_view, 12> kLongestFirst = {
            "XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"};
        taken = TakeName(kLongestFirst, 4, &name) && Set(12 - name, &month_);
        break;
      }
      case Field::kMonth:
        taken = TakeNumber(index, 2, &month_);
        break;
      case Field::kDayName:
      case Field::kShortDay:
        // PostgreSQL compares, and then counts, from Sunday = 0.
        taken = TakeName(kDays, keyword.field == Field::kDayName ? 9 : 3, &name) &&
                Set(name, &day_of_week_);
        ++day_of_week_;
        break;
      case Field::kDayOfYear:
      case Field::kIsoDayOfYear:
        taken = TakeNumber(index, 3, &day_of_year_);
        break;
      case Field::kDay:
        taken = TakeNumber(index, 2, &day_);
        break;
      case Field::kDayOfWeek:
        taken = TakeNumber(index, 1, &day_of_week_);
        break;
      case Field::kIsoDayOfWeek:
        taken = TakeNumber(index, 1, &day_of_week_);
        if (++day_of_week_ > 7) day_of_week_ = 1;
        break;
      case Field::kWeekOfMonth:
        taken = TakeNumber(index, 1, &week_of_month_);
        break;
      case Field::kWeek:
      case Field::kIsoWeek:
        taken = TakeNumber(index, 2, &week_);
        break;
      case Field::kQuarter:
        taken = TakeNumber(index, 1, nullptr);
        break;
      case Field::kCentury:
        taken = TakeNumber(index, 2, &century_);
        break;
      case Field::kYearWithComma: {
        int64_t thousands = 0, rest = 0;
        taken = ReadInteger(end_, &thousands) && at_ < end_ && *at_++ == ',' &&
                ReadInteger(at_ + std::min<int64_t>(3, end_ - at_), &rest) &&
                Set(thousands * 1000 + rest, &year_);
        year_digits_ = 4;
        break;
      }
      case Field::kYear:
      case Field::kIsoYear: {
        int64_t used = 0;
        taken = TakeNumber(index, keyword.digits, &year_, &used);
        if (keyword.digits < 4 && used < 4) year_ = NearYear2020(year_);
        year_digits_ = keyword.digits;
        break;
      }
      case Field::kJulian:
        taken = TakeNumber(index, 1, &julian_);
        break;
      case Field::kExact:
        break;
    }
    if (taken) return Fault::kNone;
    return conflicts_ ? Fault::kConflictingFields : Fault::kNotOfFormat;
  }

  static int64_t NearYear2020(int64_t year) {
    if (year < 70) return year + 2000;
    if (year < 100) return year + 1900;
    if (year < 520) return year + 2000;
    return year < 1000 ? year + 1000 : year;
  }

  // The year, astronomical; false where none was given.
  bool FindYear(int64_t* year) {
    const int64_t century = before_christ_ != 0 ? -century_ : century_;
    if (year_ != 0 && century_ != 0 && year_digits_ <= 2) {
      const int64_t of_century = year_ % 100;
      if (of_century == 0) {
        *year = century * 100 + (century >= 0 ? 0 : 1);
      } else {
        *year =
            century >= 0 ? of_century + (century - 1) * 100 : (century + 1) * 100 - of_century + 1;
      }
      return true;
    }
    if (year_ != 0) {
      *year = before_christ_ != 0 ? -year_ : year_;
      if (*year < 0) ++*year;
      return true;
    }
    if (century_ == 0) return false;
    *year = century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1;
    return true;
  }

  // Days since 1970-01-01.
  Fault FindDate(int64_t* days) {
    int64_t year = 0, month = 1, day = 1;
    const bool has_year = FindYear(&year);
    bool has_month = false, has_day = false, is_whole = false;
    const auto take_days = [&](int64_t number) {
      // Beyond what any timestamp has; also keeps the calendar within 64 bits.
      if (number < -200'000'000 || number > 200'000'000) return false;
      const CivilTime civil =
          ToCivil(std::clamp<int64_t>(number, kDayMin, kDayMax) * kMicrosPerDay);
      year = civil.year;
      month = civil.month;
      day = civil.day;
      is_whole = has_month = has_day = true;
      return IsDay(number);
    };
    if (julian_ != 0 && !take_days(julian_ - kJulianOfEpoch)) return Fault::kDateOutOfRange;
    int64_t day_of_year = day_of_year_;
    if (week_ != 0 && is_iso_) {
      const int64_t of_week = day_of_week_ == 0 ? 0 : (day_of_week_ + 5) % 7;
      if (!take_days(IsoWeekStart(year, week_) + of_week)) return Fault::kDateOutOfRange;
    } else if (week_ != 0) {
      day_of_year = (week_ - 1) * 7 + 1;
    }
    const int64_t day_given = week_of_month_ != 0 ? (week_of_month_ - 1) * 7 + 1 : day_;
    if (day_given != 0) {
      day = day_given;
      has_day = true;
    }
    if (month_ != 0) {
      month = month_;
      has_month = true;
    }
    if (day_of_year != 0 && (month <= 1 || day <= 1)) {
      if (year == 0 && before_christ_ == 0) return Fault::kDateOutOfRange;
      if (is_iso_) {
        if (!take_days(IsoWeekStart(year, 1) - 1 + day_of_year)) return Fault::kDateOutOfRange;
      } else {
        int64_t of_month = day_of_year;
        int m = 1;
        for (; m <= 12 && of_month > DaysInMonth(year, m); ++m) of_month -= DaysInMonth(year, m);
        if (month <= 1) month = m;
        if (day <= 1) day = of_month;
        has_month = has_day = true;
      }
    }
    if (has_month && (month < 1 || month > 12)) return Fault::kDateOutOfRange;
    if (has_day && (day < 1 || day > 31)) return Fault::kDateOutOfRange;
    if ((is_whole || (has_year && has_month && has_day)) && day > DaysInMonth(year, int(month))) {
      return Fault::kDateOutOfRange;
    }
    if (year < -1'000'000 || year > 1'000'000) return Fault::kTimestampOutOfRange;
    *days = DaysFromCivil(year, int(month), int(day));
    return Fault::kNone;
  }

  const TimeFormat& format_;
  const char* begin_;
  const char* at_;
  const char* end_;
  // As they are written; zero where they are not.
  int64_t hour_ = 0, minute_ = 0, second_ = 0, second_of_day_ = 0;
  int64_t milliseconds_ = 0, microseconds_ = 0;
  int64_t year_ = 0, century_ = 0, month_ = 0, day_ = 0;
  int64_t day_of_year_ = 0, day_of_week_ = 0, week_ = 0, week_of_month_ = 0, julian_ = 0;
  int64_t zone_sign_ = 0, zone_hours_ = 0, zone_minutes_ = 0;
  int64_t afternoon_ = 0, before_christ_ = 0;  // 0 or 1
  int year_digits_ = 0, fraction_digits_ = 0;
  bool twelve_hours_ = false, conflicts_ = false;
  bool has_mode_ = false, is_iso_ = false;
};

Fault TimeFormat::Read(std::string_view text, int64_t* micros) const {
  Reader reader(*this, text);
  int64_t date = 0, of_day = 0;
  if (const Fault fault = reader.Take(); fault != Fault::kNone) return fault;
  if (const Fault fault = reader.Finish(&date, &of_day); fault != Fault::kNone) return fault;
  const __int128 result = reader.Rounded(__int128(date) * kMicrosPerDay + of_day);
  if (result < INT64_MIN || result > INT64_MAX) return Fault::kTimestampOutOfRange;
  *micros = int64_t(result);
  return Fault::kNone;
}

Fault TimeFormat::ReadDate(std::string_view text, int32_t* days) const {
  Reader reader(*this, text);
  int64_t date = 0, of_day = 0;
  if (const Fault fault = reader.Take(); fault != Fault::kNone) return fault;
  if (const Fault fault = reader.Finish(&date, &of_day); fault != Fault::kNone) return fault;
  if (!IsDay(date)) return Fault::kDayOutOfRange;
  *days = int32_t(date);
  return Fault::kNone;
}

}  // namespace millrace
