#include "engine/plan/number_template.h"

#include <algorithm>
#include <array>
#include <utility>

namespace millrace {
namespace {

using Part = NumberTemplate::Part;
using Anchor = NumberTemplate::Anchor;

enum class Keyword {
  kComma,
  kPoint,
  kZero,
  kDigit,
  kNothing,
  kBlank,
  kScientific,
  kFill,
  kGroup,
  kCurrency,
  kMinus,
  kPlus,
  kBrackets,
  kRoman,
  kSmallRoman,
  kSign,
  kAnchor,
  kOrdinal,
  kSmallOrdinal,
  kShift,
};

// Where one begins another, the longer comes first.
constexpr auto kKeywords = std::to_array<std::pair<std::string_view, Keyword>>({
    {",", Keyword::kComma},       {".", Keyword::kPoint},         {"0", Keyword::kZero},
    {"9", Keyword::kDigit},       {"B", Keyword::kBlank},         {"C", Keyword::kNothing},
    {"D", Keyword::kPoint},       {"EEEE", Keyword::kScientific}, {"FM", Keyword::kFill},
    {"G", Keyword::kGroup},       {"L", Keyword::kCurrency},      {"MI", Keyword::kMinus},
    {"PL", Keyword::kPlus},       {"PR", Keyword::kBrackets},     {"RN", Keyword::kRoman},
    {"SG", Keyword::kSign},       {"SP", Keyword::kNothing},      {"S", Keyword::kAnchor},
    {"TH", Keyword::kOrdinal},    {"V", Keyword::kShift},         {"b", Keyword::kBlank},
    {"c", Keyword::kNothing},     {"d", Keyword::kPoint},         {"eeee", Keyword::kScientific},
    {"fm", Keyword::kFill},       {"g", Keyword::kGroup},         {"l", Keyword::kCurrency},
    {"mi", Keyword::kMinus},      {"pl", Keyword::kPlus},         {"pr", Keyword::kBrackets},
    {"rn", Keyword::kSmallRoman}, {"sg", Keyword::kSign},         {"sp", Keyword::kNothing},
    {"s", Keyword::kAnchor},      {"th", Keyword::kSmallOrdinal}, {"v", Keyword::kShift},
});

class TemplateReader {
 public:
  // What is wrong, or "".
  std::string_view Read(std::string_view text) {
    while (!text.empty()) {
      const auto keyword = std::ranges::find_if(
          kKeywords, [&](const auto& entry) { return text.starts_with(entry.first); });
      if (keyword != kKeywords.end()) {
        text.remove_prefix(keyword->first.size());
        const std::string_view problem = Take(keyword->second);
        if (!problem.empty()) return problem;
      } else if (text.front() == '"') {
        text.remove_prefix(1);
        TakeQuoted(&text);
      } else {
        if (text.starts_with("\\\"")) text.remove_prefix(1);
        AddText(text.front());
        text.remove_prefix(1);
      }
    }
    return "";
  }

  NumberTemplate Finish() { return std::move(read_); }

 private:
  void TakeQuoted(std::string_view* text) {
    while (!text->empty() && text->front() != '"') {
      if (text->front() == '\\' && text->size() > 1) text->remove_prefix(1);
      AddText(text->front());
      text->remove_prefix(1);
    }
    if (!text->empty()) text->remove_prefix(1);
  }

  void Add(Part part) { read_.nodes.push_back({part, ""}); }
  void AddText(char c) {
    if (read_.nodes.empty() || read_.nodes.back().part != Part::kText) Add(Part::kText);
    read_.nodes.back().text.push_back(c);
  }

  bool anchored() const { return read_.anchor != Anchor::kNone; }

  std::string_view Take(Keyword keyword) {
    if (read_.scientific && keyword != Keyword::kScientific) {
      return "\"EEEE\" must be the last pattern used";
    }
    switch (keyword) {
      case Keyword::kDigit:
        return TakeDigit();
      case Keyword::kZero:
        return TakeZero();
      case Keyword::kPoint:
        if (read_.has_point) return "multiple decimal points";
        if (read_.shifts) return "cannot use \"V\" and decimal point together";
        read_.has_point = true;
        Add(Part::kPoint);
        break;
      case Keyword::kFill:
        read_.fill = true;
        break;
      case Keyword::kAnchor:
        return TakeAnchor();
      case Keyword::kMinus:
        if (anchored()) return "cannot use \"S\" and \"MI\" together";
        read_.minus = true;
        Add(Part::kMinus);
        break;
      case Keyword::kPlus:
        if (anchored()) return "cannot use \"S\" and \"PL\" together";
        read_.plus = true;
        Add(Part::kPlus);
        break;
      case Keyword::kSign:
        if (anchored()) return "cannot use \"S\" and \"SG\" together";
        read_.minus = read_.plus = true;
        Add(Part::kSign);
        break;
      case Keyword::kBrackets:
        if (anchored() || read_.plus || read_.minus) {
          return "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together";
        }
        read_.brackets = true;
        break;
      case Keyword::kRoman:
      case Keyword::kSmallRoman:
        read_.roman = true;
        Add(keyword == Keyword::kRoman ? Part::kRoman : Part::kSmallRoman);
        break;
      case Keyword::kShift:
        if (read_.has_point) return "cannot use \"V\" and decimal point together";
        read_.shifts = true;
        break;
      case Keyword::kScientific:
        return TakeScientific();
      case Keyword::kBlank:
        blank_ = blank_ || (read_.before == 0 && read_.after == 0 && read_.first_zero < 0);
        break;
      case Keyword::kComma:
      case Keyword::kGroup:
        Add(Part::kGroup);
        break;
      case Keyword::kCurrency:
        Add(Part::kCurrency);
        break;
      case Keyword::kOrdinal:
        Add(Part::kOrdinal);
        break;
      case Keyword::kSmallOrdinal:
        Add(Part::kSmallOrdinal);
        break;
      case Keyword::kNothing:
        break;
    }
    return "";
  }

  std::string_view TakeDigit() {
    if (read_.brackets) return "\"9\" must be ahead of \"PR\"";
    Add(Part::kDigit);
    ++(read_.shifts ? read_.shift : read_.has_point ? read_.after : read_.before);
    return "";
  }

  std::string_view TakeZero() {
    if (read_.brackets) return "\"0\" must be ahead of \"PR\"";
    Add(Part::kZero);
    if (read_.first_zero < 0 && !read_.has_point) read_.first_zero = read_.before;
    ++(read_.has_point ? read_.after : read_.before);
    read_.last_zero = read_.before + read_.after;
    return "";
  }

  std::string_view TakeAnchor() {
    if (anchored()) return "cannot use \"S\" twice";
    if (read_.plus || read_.minus || read_.brackets) {
      return "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together";
    }
    read_.anchor = read_.has_point ? Anchor::kLast : Anchor::kFirst;
    if (!read_.has_point) read_.before_anchor = read_.before;
    return "";
  }

  std::string_view TakeScientific() {
    if (read_.scientific) return "cannot use \"EEEE\" twice";
    if (blank_ || read_.fill || anchored() || read_.brackets || read_.minus || read_.plus ||
        read_.roman || read_.shifts) {
      return "\"EEEE\" is incompatible with other formats";
    }
    read_.scientific = true;
    return "";
  }

  NumberTemplate read_;
  bool blank_ = false;  // B in front of all digits
};

}  // namespace

std::optional<NumberTemplate> ParseNumberTemplate(std::string_view text, std::string* error) {
  if (text.size() > kTemplateBytesMax) {
    *error = "it is longer than 10,000 bytes";
    return std::nullopt;
  }
  TemplateReader reader;
  *error = reader.Read(text);
  if (!error->empty()) return std::nullopt;
  return reader.Finish();
}

}  // namespace millrace
