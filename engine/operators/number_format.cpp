#include "engine/operators/number_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace millrace {
namespace {

using Part = NumberTemplate::Part;
using Anchor = NumberTemplate::Anchor;

constexpr size_t kRomanWidth = 15;  // of the longest numeral
constexpr int64_t kRomanMax = 3999;
constexpr int kPrecisionMax = 350;  // more digits after the point are zeros

// All digits of a double, and more.
using Digits = std::array<char, 800>;

std::string RomanNumeral(int64_t value) {
  if (value < 1 || value > kRomanMax) return std::string(kRomanWidth, '#');
  static constexpr auto kNumerals = std::to_array<std::pair<int, std::string_view>>({{1000, "M"},
                                                                                     {900, "CM"},
                                                                                     {500, "D"},
                                                                                     {400, "CD"},
                                                                                     {100, "C"},
                                                                                     {90, "XC"},
                                                                                     {50, "L"},
                                                                                     {40, "XL"},
                                                                                     {10, "X"},
                                                                                     {9, "IX"},
                                                                                     {5, "V"},
                                                                                     {4, "IV"},
                                                                                     {1, "I"}});
  std::string text;
  for (const auto& [worth, numeral] : kNumerals) {
    for (; value >= worth; value -= worth) text += numeral;
  }
  return text;
}

// "ST", "ND", "RD" or "TH".
std::string_view OrdinalOf(std::string_view number) {
  const bool teen = number.size() > 1 && number[number.size() - 2] == '1';
  switch (teen ? '0' : number.back()) {
    case '1':
      return "ST";
    case '2':
      return "ND";
    case '3':
      return "RD";
    default:
      return "TH";
  }
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = char(c | 0x20);
  }
  return text;
}

// The places of a template with the digits of one number put in. Digits, signs and spaces depend on
// each other as in PostgreSQL's formatting.c, whose results these are.
class Layout {
 public:
  Layout(const NumberTemplate& read, std::string_view digits, char sign, int before, int after,
         std::string* out)
      : read_(read), digits_(digits), sign_(sign), after_(after), out_(out) {
    const size_t point = std::min(digits.find('.'), digits.size());
    spaces_ = std::max(0, before - int(point));
    anchor_ = read.anchor;
    if (anchor_ == Anchor::kFirst && before == read.before_anchor) anchor_ = Anchor::kLast;
    brackets_ = read.brackets && !(read.fill && sign == '+' && !read.plus && !read.minus);
    if (read.plus || read.minus) {
      sign_written_ = read.minus;  // MI, PL and SG write it in their own place
    } else {
      sign_written_ = sign == '+' && read.fill && read.anchor == Anchor::kNone;
    }
    end_ = after + before - 1 + (!sign_written_ && spaces_ == 0 ? 1 : 0) + (spaces_ > 0 ? 1 : 0) +
           (read.has_point ? 1 : 0);
    if (read.fill && read.has_point) FindLastDigit(point);
  }

  // False where TH stands at what is no number.
  bool Write() {
    for (const NumberTemplate::Node& node : read_.nodes) {
      switch (node.part) {
        case Part::kDigit:
        case Part::kZero:
        case Part::kPoint:
          PutPlace(node.part);
          break;
        case Part::kGroup:
          PutUnlessFill(in_number_ ? ',' : ' ', in_number_);
          break;
        case Part::kCurrency:
          Put(' ');
          break;
        case Part::kMinus:
          PutUnlessFill(sign_ == '-' ? '-' : ' ', sign_ == '-');
          break;
        case Part::kPlus:
          PutUnlessFill(sign_ == '+' ? '+' : ' ', sign_ == '+');
          break;
        case Part::kSign:
          Put(sign_);
          break;
        case Part::kOrdinal:
        case Part::kSmallOrdinal:
          if (!PutOrdinal(node.part == Part::kSmallOrdinal)) return false;
          break;
        case Part::kText:
          if (!ended_) out_->append(node.text);
          break;
        case Part::kRoman:
        case Part::kSmallRoman:
          break;
      }
    }
    return true;
  }

 private:
  static constexpr size_t kNone = std::string_view::npos;

  // FM leaves out zeros at the end that no 0 asks for.
  void FindLastDigit(size_t point) {
    if (point == digits_.size()) return;
    const size_t last = digits_.find_last_not_of('0');
    last_digit_ = std::max(point, last);
    if (read_.last_zero > spaces_) {
      const size_t asked = std::min(digits_.size() - 1, size_t(read_.last_zero - spaces_));
      last_digit_ = std::max(last_digit_, asked);
    }
  }

  bool ends_at_point() const { return last_digit_ != kNone && digits_[last_digit_] == '.'; }
  // The zero of a number below one, which no 0 asks for.
  bool at_lone_zero() const {
    return read_.first_zero < 0 && next_ == 0 && !digits_.empty() && digits_[0] == '0' &&
           after_ != 0;
  }

  // Nothing follows where the number has fewer digits than the template after the point.
  void Put(char c) {
    ended_ = ended_ || c == '\0';
    if (!ended_) out_->push_back(c);
  }
  void PutUnlessFill(char c, bool always) {
    if (always || !read_.fill) Put(c);
  }

  void PutPlace(Part part) {
    const bool zeros = read_.first_zero >= 0 && read_.first_zero <= place_;
    if (!sign_written_ && (place_ >= spaces_ || read_.first_zero == place_) &&
        (!at_lone_zero() || ends_at_point())) {
      PutSign();
    }
    if (place_ < spaces_) {
      if (zeros) {
        Put('0');
        in_number_ = true;
      } else {
        PutUnlessFill(' ', false);
      }
    } else {
      PutDigit(part);
      if (next_ < digits_.size()) ++next_;
    }
    const int end = last_digit_ != kNone && last_digit_ == next_ ? place_ : end_;
    if (place_ + 1 == end) PutEnd();
    ++place_;
  }

  void PutSign() {
    if (read_.anchor != Anchor::kNone) {
      if (anchor_ != Anchor::kFirst) return;
      Put(sign_);
    } else if (brackets_) {
      Put(sign_ == '+' ? ' ' : '<');
    } else if (sign_ == '+') {
      PutUnlessFill(' ', false);
    } else {
      Put('-');
    }
    sign_written_ = true;
  }

  void PutDigit(Part part) {
    const char digit = next_ < digits_.size() ? digits_[next_] : '\0';
    if (digit == '.') {
      if (!ends_at_point() || read_.fill) Put('.');
      return;
    }
    if (last_digit_ != kNone && next_ > last_digit_ && part != Part::kZero) return;
    if (at_lone_zero()) {
      if (!read_.fill) {
        Put(' ');
      } else if (ends_at_point()) {
        Put('0');
      }
      return;
    }
    Put(digit);
    in_number_ = true;
  }

  void PutEnd() {
    if (sign_written_ && brackets_) {
      Put(sign_ == '+' ? ' ' : '>');
    } else if (anchor_ == Anchor::kLast) {
      Put(sign_);
    }
  }

  bool PutOrdinal(bool small) {
    if (digits_.starts_with('#') || sign_ == '-' || read_.has_point) return true;
    if (digits_.back() < '0' || digits_.back() > '9') return false;
    for (const char c : OrdinalOf(digits_)) Put(small ? char(c | 0x20) : c);
    return true;
  }

  const NumberTemplate& read_;
  const std::string_view digits_;
  const char sign_;
  const int after_;
  std::string* out_;
  int spaces_ = 0;  // places in front of the number
  Anchor anchor_ = Anchor::kNone;
  bool brackets_ = false;
  bool sign_written_ = false;
  int end_ = 0;                // the place after which a sign at the end stands
  size_t last_digit_ = kNone;  // of digits_; kNone: all are written
  int place_ = 0;              // in the template
  size_t next_ = 0;            // of digits_
  bool in_number_ = false;
  bool ended_ = false;
};

// "-1.25e+07", with a space for a plus.
template <typename T>
void AppendScientific(T value, int after, std::string* out) {
  Digits text;
  const int precision = std::min(after, kPrecisionMax);
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value,
                                     std::chars_format::scientific, precision);
  std::string_view number(text.data(), size_t(written.ptr - text.data()));
  if (number.front() != '-') out->push_back(' ');
  const size_t exponent = number.find('e');
  out->append(number.substr(0, exponent));
  out->append(size_t(after - precision), '0');
  out->append(number.substr(exponent));
}

// Of a whole number, halves away from zero.
void AppendScientific(int64_t value, int after, std::string* out) {
  uint64_t magnitude = value < 0 ? 0 - uint64_t(value) : uint64_t(value);
  std::string digits = std::to_string(magnitude);
  int exponent = int(digits.size()) - 1;
  if (exponent > after) {
    uint64_t unit = 1;
    for (int i = after; i < exponent; ++i) unit *= 10;
    const uint64_t rest = magnitude % unit;
    digits = std::to_string(magnitude / unit + (rest >= unit - rest ? 1 : 0));
    exponent += int(digits.size()) - after - 1;
  }
  digits.resize(size_t(after) + 1, '0');
  out->push_back(value < 0 ? '-' : ' ');
  out->push_back(digits[0]);
  if (after > 0) out->append(".").append(digits, 1);
  out->append(exponent < 10 ? "e+0" : "e+").append(std::to_string(exponent));
}

}  // namespace

bool NumberFormat::WriteRoman(int64_t value, std::string* out) {
  const std::string numeral = RomanNumeral(value);
  for (const NumberTemplate::Node& node : template_.nodes) {
    switch (node.part) {
      case Part::kRoman:
      case Part::kSmallRoman:
        if (!template_.fill) out->append(kRomanWidth - numeral.size(), ' ');
        out->append(node.part == Part::kRoman ? numeral : Lower(numeral));
        break;
      case Part::kGroup:
      case Part::kMinus:
      case Part::kPlus:
        if (!template_.fill) out->push_back(' ');
        break;
      case Part::kCurrency:
        out->push_back(' ');
        break;
      case Part::kSign:
        return true;  // there is none, and nothing after it
      case Part::kText:
        out->append(node.text);
        break;
      default:
        break;
    }
  }
  return true;
}

bool NumberFormat::Lay(bool negative, int before, int after, std::string* out) {
  const size_t point = std::min(digits_.find('.'), digits_.size());
  if (point > size_t(before)) {
    digits_.assign(size_t(before) + size_t(after) + 1, '#');
    digits_[size_t(before)] = '.';
  }
  return Layout(template_, digits_, negative ? '-' : '+', before, after, out).Write();
}

template <typename T>
bool NumberFormat::WriteInteger(T value, std::string* out) {
  out->clear();
  if (template_.roman) return WriteRoman(value, out);
  if (template_.scientific) {
    if constexpr (sizeof(T) == 4) {
      AppendScientific(double(value), template_.after, out);
    } else {
      AppendScientific(value, template_.after, out);
    }
    return true;
  }
  const bool negative = value < 0;
  digits_ = std::to_string(negative ? 0 - uint64_t(value) : uint64_t(value));
  if (value != 0) digits_.append(size_t(template_.shift), '0');
  if (template_.after > 0) digits_.append(".").append(size_t(template_.after), '0');
  return Lay(negative, template_.before + template_.shift, template_.after, out);
}

template <typename T>
bool NumberFormat::WriteFloat(T value, std::string* out) {
  out->clear();
  if (template_.roman) {
    const T rounded = std::rint(value);
    const bool fits = rounded >= T(1) && rounded <= T(kRomanMax);
    return WriteRoman(fits ? int64_t(rounded) : 0, out);
  }
  int after = template_.after;
  const int before = template_.before + template_.shift;
  if (template_.scientific) {
    if (std::isfinite(value)) {
      AppendScientific(value, after, out);
      return true;
    }
    out->assign(size_t(before) + size_t(after) + 6, '#');
    (*out)[0] = ' ';
    (*out)[size_t(before) + 1] = '.';
    return true;
  }
  if (template_.shifts) value *= T(std::pow(10.0, double(template_.shift)));
  const bool negative = std::signbit(value) && !std::isnan(value);
  const T magnitude = std::fabs(value);
  if (!std::isfinite(magnitude)) {
    digits_ = std::isnan(magnitude) ? "NaN" : "Infinity";
  }
  Digits text;
  const auto write = [&](int precision) {
    if (!std::isfinite(magnitude)) return;
    const auto written = std::to_chars(text.data(), text.data() + text.size(), magnitude,
                                       std::chars_format::fixed, precision);
    digits_.assign(text.data(), written.ptr);
  };
  // No more digits than the type holds.
  write(0);
  const int room = std::numeric_limits<T>::digits10 - int(digits_.size());
  after = std::clamp(after, 0, std::max(0, room));
  write(after);
  return Lay(negative, before, after, out);
}

bool NumberFormat::Write(int32_t value, std::string* out) { return WriteInteger(value, out); }
bool NumberFormat::Write(int64_t value, std::string* out) { return WriteInteger(value, out); }
bool NumberFormat::Write(float value, std::string* out) { return WriteFloat(value, out); }
bool NumberFormat::Write(double value, std::string* out) { return WriteFloat(value, out); }

}  // namespace millrace
