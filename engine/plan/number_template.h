// PostgreSQL's templates of to_char for numbers, "FM999,990.00": read once, and refused where
// PostgreSQL refuses them. What they write: engine/operators/number_format.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

inline constexpr size_t kTemplateBytesMax = 10'000;

struct NumberTemplate {
  enum class Part {
    kDigit,       // 9
    kZero,        // 0
    kPoint,       // . and D
    kGroup,       // , and G
    kCurrency,    // L
    kMinus,       // MI
    kPlus,        // PL
    kSign,        // SG
    kRoman,       // RN
    kSmallRoman,  // rn
    kOrdinal,     // TH
    kSmallOrdinal,
    kText,  // as it is
  };
  struct Node {
    Part part;
    std::string text;  // kText
  };
  // S stands at the number, wherever it is in the template: before its first digit or after its
  // last.
  enum class Anchor { kNone, kFirst, kLast };

  std::vector<Node> nodes;
  int before = 0;         // digits before the point
  int after = 0;          // and after it
  int shift = 0;          // V: the number times 10 to the power of this
  int first_zero = -1;    // which digit the first 0 before the point is, from 0; -1: none
  int last_zero = 0;      // how many digits there are up to the last 0
  int before_anchor = 0;  // digits in front of an S
  Anchor anchor = Anchor::kNone;
  bool has_point = false;
  bool fill = false;  // FM: no spaces and zeros that only fill
  bool shifts = false;
  bool minus = false;  // MI or SG
  bool plus = false;   // PL or SG
  bool brackets = false;
  bool roman = false;
  bool scientific = false;  // EEEE
};

// Nothing, with `error` in PostgreSQL's words, where the template is none. Keywords are in capitals
// or in small letters; C and SP are read and write nothing, as B does.
std::optional<NumberTemplate> ParseNumberTemplate(std::string_view text, std::string* error);

}  // namespace millrace
