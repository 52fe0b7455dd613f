#include "engine/plan/functions.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include "engine/plan/expression_nodes.h"
#include "engine/plan/type_syntax.h"

namespace millrace {
namespace {

constexpr Type kBool = Type::kBoolean;
constexpr Type kInt = Type::kInteger;
constexpr Type kBig = Type::kBigint;
constexpr Type kDbl = Type::kDouble;
constexpr Type kTxt = Type::kText;
constexpr Type kReal = Type::kReal;
constexpr Type kDate = Type::kDate;
constexpr Type kTime = Type::kTimestamp;
constexpr Type kSpan = Type::kInterval;
constexpr Type kJson = Type::kJson;

constexpr std::array kNumbers = {kInt, kBig, kReal, kDbl};
constexpr std::array kOrdered = {kBool, kInt, kBig, kReal, kDbl, kTxt, kDate, kTime, kSpan};

enum : unsigned { kTotal = 0, kFallible = 1, kVariadic = 2, kNullable = 4 };

class CatalogBuilder {
 public:
  void Add(std::string_view name, std::vector<Type> args, Type result, unsigned flags,
           std::string_view summary) {
    FunctionSignature signature;
    signature.name = name;
    signature.args = std::move(args);
    signature.result = result;
    signature.variadic = (flags & kVariadic) != 0;
    signature.strict = (flags & kNullable) == 0;
    signature.fallible = (flags & kFallible) != 0;
    signature.summary = summary;
    signatures_.push_back(std::move(signature));
  }

  void AddAliases(std::initializer_list<std::string_view> names, const std::vector<Type>& args,
                  Type result, unsigned flags, std::string_view summary) {
    for (const std::string_view name : names) Add(name, args, result, flags, summary);
  }

  std::vector<FunctionSignature> Take() { return std::move(signatures_); }

 private:
  std::vector<FunctionSignature> signatures_;
};

void AddArithmetic(CatalogBuilder* catalog) {
  for (const Type type : kNumbers) {
    catalog->Add("+", {type, type}, type, kFallible, "sum");
    catalog->Add("-", {type, type}, type, kFallible, "difference");
    catalog->Add("*", {type, type}, type, kFallible, "product");
    catalog->Add("/", {type, type}, type, kFallible,
                 "quotient; of integers truncated towards zero");
    const unsigned floats = type == kReal || type == kDbl ? kTotal : kFallible;
    catalog->Add("-", {type}, type, floats, "negation");
    catalog->Add("+", {type}, type, kTotal, "the number itself");
    catalog->Add("abs", {type}, type, floats, "absolute value");
    catalog->Add("@", {type}, type, floats, "absolute value");
  }
  for (const Type type : {kInt, kBig, kDbl}) {
    catalog->Add("%", {type, type}, type, kFallible, "remainder, with the sign of the dividend");
    catalog->Add("mod", {type, type}, type, kFallible, "remainder, with the sign of the dividend");
  }
  for (const Type type : {kInt, kBig}) {
    catalog->Add("&", {type, type}, type, kTotal, "bits that are set in both");
    catalog->Add("|", {type, type}, type, kTotal, "bits that are set in either");
    catalog->Add("#", {type, type}, type, kTotal, "bits that are set in one of them");
    catalog->Add("~", {type}, type, kTotal, "all bits turned over");
    catalog->Add("<<", {type, kInt}, type, kTotal, "bits moved up");
    catalog->Add(">>", {type, kInt}, type, kTotal, "bits moved down; the sign stays");
    catalog->Add("gcd", {type, type}, type, kFallible, "greatest common divisor");
    catalog->Add("lcm", {type, type}, type, kFallible, "least common multiple");
  }
  catalog->Add("^", {kDbl, kDbl}, kDbl, kFallible, "power");
  catalog->Add("|/", {kDbl}, kDbl, kFallible, "square root");
  catalog->Add("||/", {kDbl}, kDbl, kTotal, "cube root");
}

void AddTimeArithmetic(CatalogBuilder* catalog) {
  for (const Type type : {kTime, kDate}) {
    catalog->Add("+", {type, kSpan}, kTime, kFallible, "later by an interval");
    catalog->Add("+", {kSpan, type}, kTime, kFallible, "later by an interval");
    catalog->Add("-", {type, kSpan}, kTime, kFallible, "earlier by an interval");
  }
  catalog->Add("-", {kTime, kTime}, kSpan, kFallible, "time between, in days of 24 hours and less");
  catalog->Add("+", {kDate, kInt}, kDate, kFallible, "later by days");
  catalog->Add("+", {kInt, kDate}, kDate, kFallible, "later by days");
  catalog->Add("-", {kDate, kInt}, kDate, kFallible, "earlier by days");
  catalog->Add("-", {kDate, kDate}, kInt, kFallible, "days between");
  catalog->Add("+", {kSpan, kSpan}, kSpan, kFallible, "sum, field by field");
  catalog->Add("-", {kSpan, kSpan}, kSpan, kFallible, "difference, field by field");
  catalog->Add("-", {kSpan}, kSpan, kFallible, "the opposite");
  catalog->Add("*", {kSpan, kDbl}, kSpan, kFallible, "so many times as long");
  catalog->Add("*", {kDbl, kSpan}, kSpan, kFallible, "so many times as long");
  catalog->Add("/", {kSpan, kDbl}, kSpan, kFallible, "the part of it");
}

void AddComparisons(CatalogBuilder* catalog) {
  for (const Type type : kOrdered) {
    catalog->Add("=", {type, type}, kBool, kTotal, "equal");
    catalog->Add("<>", {type, type}, kBool, kTotal, "not equal");
    catalog->Add("<", {type, type}, kBool, kTotal, "less");
    catalog->Add("<=", {type, type}, kBool, kTotal, "less or equal");
    catalog->Add(">", {type, type}, kBool, kTotal, "greater");
    catalog->Add(">=", {type, type}, kBool, kTotal, "greater or equal");
    catalog->Add("is_distinct_from", {type, type}, kBool, kNullable,
                 "not equal, where null equals null");
    catalog->Add("nullif", {type, type}, type, kNullable,
                 "null where both are equal, else the first");
    catalog->Add("greatest", {type}, type, kVariadic | kNullable,
                 "the greatest of the values that are not null");
    catalog->Add("least", {type}, type, kVariadic | kNullable,
                 "the least of the values that are not null");
  }
  catalog->Add("not", {kBool}, kBool, kTotal, "negation");
}

void AddMathematics(CatalogBuilder* catalog) {
  catalog->AddAliases({"ceil", "ceiling"}, {kDbl}, kDbl, kTotal, "nearest integer not less");
  catalog->Add("floor", {kDbl}, kDbl, kTotal, "nearest integer not greater");
  catalog->Add("round", {kDbl}, kDbl, kTotal, "nearest integer, ties to even");
  catalog->Add("round", {kDbl, kInt}, kDbl, kFallible,
               "to n decimal places, ties away from zero, on the shortest decimal form");
  catalog->Add("trunc", {kDbl}, kDbl, kTotal, "towards zero");
  catalog->Add("trunc", {kDbl, kInt}, kDbl, kTotal,
               "to n decimal places towards zero, on the shortest decimal form");
  catalog->Add("sign", {kDbl}, kDbl, kTotal, "-1, 0 or 1");
  catalog->Add("sqrt", {kDbl}, kDbl, kFallible, "square root");
  catalog->Add("cbrt", {kDbl}, kDbl, kTotal, "cube root");
  catalog->AddAliases({"power", "pow"}, {kDbl, kDbl}, kDbl, kFallible, "power");
  catalog->Add("exp", {kDbl}, kDbl, kFallible, "exponential");
  catalog->Add("ln", {kDbl}, kDbl, kFallible, "natural logarithm");
  catalog->AddAliases({"log", "log10"}, {kDbl}, kDbl, kFallible, "logarithm to base 10");
  catalog->Add("log", {kDbl, kDbl}, kDbl, kFallible, "logarithm of the second to base the first");
  catalog->Add("sin", {kDbl}, kDbl, kFallible, "sine of an angle in radians");
  catalog->Add("cos", {kDbl}, kDbl, kFallible, "cosine of an angle in radians");
  catalog->Add("tan", {kDbl}, kDbl, kFallible, "tangent of an angle in radians");
  catalog->Add("asin", {kDbl}, kDbl, kFallible, "inverse sine in radians");
  catalog->Add("acos", {kDbl}, kDbl, kFallible, "inverse cosine in radians");
  catalog->Add("atan", {kDbl}, kDbl, kTotal, "inverse tangent in radians");
  catalog->Add("atan2", {kDbl, kDbl}, kDbl, kTotal, "angle of the point (second, first), radians");
  catalog->Add("cot", {kDbl}, kDbl, kFallible, "cotangent of an angle in radians");
  catalog->Add("sinh", {kDbl}, kDbl, kTotal, "hyperbolic sine");
  catalog->Add("cosh", {kDbl}, kDbl, kTotal, "hyperbolic cosine");
  catalog->Add("tanh", {kDbl}, kDbl, kTotal, "hyperbolic tangent");
  catalog->Add("asinh", {kDbl}, kDbl, kTotal, "inverse hyperbolic sine");
  catalog->Add("acosh", {kDbl}, kDbl, kFallible, "inverse hyperbolic cosine");
  catalog->Add("atanh", {kDbl}, kDbl, kFallible, "inverse hyperbolic tangent");
  catalog->Add("div", {kDbl, kDbl}, kDbl, kFallible, "quotient, truncated towards zero");
  catalog->Add("width_bucket", {kDbl, kDbl, kDbl, kInt}, kInt, kFallible,
               "which of n buckets from the second to the third it is in; 0 below, n + 1 above");
  catalog->Add("radians", {kDbl}, kDbl, kFallible, "degrees to radians");
  catalog->Add("degrees", {kDbl}, kDbl, kFallible, "radians to degrees");
  catalog->Add("pi", {}, kDbl, kTotal, "the number pi");
  catalog->Add("sind", {kDbl}, kDbl, kFallible,
               "sine of an angle in degrees, exact where it can be");
  catalog->Add("cosd", {kDbl}, kDbl, kFallible, "cosine of an angle in degrees");
  catalog->Add("tand", {kDbl}, kDbl, kFallible, "tangent of an angle in degrees");
  catalog->Add("cotd", {kDbl}, kDbl, kFallible, "cotangent of an angle in degrees");
  catalog->Add("asind", {kDbl}, kDbl, kFallible, "inverse sine in degrees");
  catalog->Add("acosd", {kDbl}, kDbl, kFallible, "inverse cosine in degrees");
  catalog->Add("atand", {kDbl}, kDbl, kTotal, "inverse tangent in degrees");
  catalog->Add("atan2d", {kDbl, kDbl}, kDbl, kTotal, "angle of the point (second, first), degrees");
  catalog->Add("factorial", {kBig}, kDbl, kFallible, "product of 1 to n, up to 170");
}

void AddText(CatalogBuilder* catalog) {
  catalog->Add("||", {kTxt, kTxt}, kTxt, kFallible, "concatenation; other types as text");
  catalog->Add("~~", {kTxt, kTxt}, kBool, kFallible,
               "matches, where `%` is any text, `_` one character, `\\` an escape");
  catalog->Add("!~~", {kTxt, kTxt}, kBool, kFallible, "does not match");
  catalog->Add("~~*", {kTxt, kTxt}, kBool, kFallible, "matches in any letter case");
  catalog->Add("!~~*", {kTxt, kTxt}, kBool, kFallible, "does not match in any letter case");
  catalog->Add("like_escape", {kTxt, kTxt}, kTxt, kFallible,
               "a LIKE pattern with another escape character; also `LIKE p ESCAPE e`");
  catalog->Add("lower", {kTxt}, kTxt, kFallible, "in lower case");
  catalog->Add("upper", {kTxt}, kTxt, kFallible, "in upper case");
  catalog->Add("initcap", {kTxt}, kTxt, kFallible, "each word with a capital, the rest lower case");
  catalog->AddAliases({"length", "char_length", "character_length"}, {kTxt}, kInt, kTotal,
                      "number of characters");
  catalog->Add("octet_length", {kTxt}, kInt, kTotal, "number of bytes (UTF-8)");
  catalog->AddAliases({"substr", "substring"}, {kTxt, kInt}, kTxt, kTotal,
                      "from the n-th character on (from 1)");
  catalog->AddAliases({"substr", "substring"}, {kTxt, kInt, kInt}, kTxt, kFallible,
                      "from the n-th character on (from 1), so many characters");
  catalog->Add("left", {kTxt, kInt}, kTxt, kTotal,
               "the first n characters; n < 0: all but the last -n");
  catalog->Add("right", {kTxt, kInt}, kTxt, kTotal,
               "the last n characters; n < 0: all but the first -n");
  catalog->AddAliases({"trim", "btrim"}, {kTxt}, kTxt, kTotal, "without spaces at both ends");
  catalog->AddAliases({"trim", "btrim"}, {kTxt, kTxt}, kTxt, kTotal,
                      "without the second's characters at both ends");
  catalog->Add("ltrim", {kTxt}, kTxt, kTotal, "without spaces at the start");
  catalog->Add("ltrim", {kTxt, kTxt}, kTxt, kTotal, "without the second's characters at the start");
  catalog->Add("rtrim", {kTxt}, kTxt, kTotal, "without spaces at the end");
  catalog->Add("rtrim", {kTxt, kTxt}, kTxt, kTotal, "without the second's characters at the end");
  catalog->Add("replace", {kTxt, kTxt, kTxt}, kTxt, kFallible,
               "every second replaced by the third");
  catalog->Add("strpos", {kTxt, kTxt}, kInt, kTotal,
               "where the second begins (from 1), else 0; also `position(b IN a)`");
  catalog->Add("^@", {kTxt, kTxt}, kBool, kTotal, "begins with");
  catalog->Add("~", {kTxt, kTxt}, kBool, kFallible, "matches a regular expression");
  catalog->Add("~*", {kTxt, kTxt}, kBool, kFallible,
               "matches a regular expression in any letter case");
  catalog->Add("!~", {kTxt, kTxt}, kBool, kFallible, "does not match a regular expression");
  catalog->Add("!~*", {kTxt, kTxt}, kBool, kFallible,
               "does not match a regular expression in any letter case");
  catalog->Add("regexp_like", {kTxt, kTxt}, kBool, kFallible,
               "whether it matches a regular expression");
  catalog->Add("regexp_like", {kTxt, kTxt, kTxt}, kBool, kFallible,
               "the same with options: `i` any letter case");
  catalog->Add("regexp_count", {kTxt, kTxt}, kInt, kFallible,
               "how often a regular expression matches");
  catalog->Add("regexp_instr", {kTxt, kTxt}, kInt, kFallible,
               "where a regular expression first matches (from 1), else 0");
  catalog->Add("regexp_substr", {kTxt, kTxt}, kTxt, kNullable | kFallible,
               "what a regular expression matches; null: nothing");
  catalog->Add("substring", {kTxt, kTxt}, kTxt, kNullable | kFallible,
               "the same, of its first group where it has one; also `substring(x from pattern)`");
  catalog->Add("regexp_replace", {kTxt, kTxt, kTxt}, kTxt, kFallible,
               "the first match replaced; `\\1` is the first group, `\\&` the whole match");
  catalog->Add("regexp_replace", {kTxt, kTxt, kTxt, kTxt}, kTxt, kFallible,
               "the same with options: `g` every match, `i` any letter case");
  catalog->Add("translate", {kTxt, kTxt, kTxt}, kTxt, kFallible,
               "every character of the second replaced by that of the third, or left out");
  catalog->Add("ascii", {kTxt}, kInt, kTotal, "code of the first character");
  catalog->Add("chr", {kInt}, kTxt, kFallible, "the character of a code");
  catalog->Add("to_hex", {kInt}, kTxt, kFallible, "in hexadecimal");
  catalog->Add("to_hex", {kBig}, kTxt, kFallible, "in hexadecimal");
  catalog->Add("bit_length", {kTxt}, kInt, kTotal, "number of bits");
  catalog->Add("overlay", {kTxt, kTxt, kInt}, kTxt, kFallible,
               "the second put over what begins at the n-th character");
  catalog->Add("overlay", {kTxt, kTxt, kInt, kInt}, kTxt, kFallible,
               "the same, over so many characters; also `overlay(x placing y from n for m)`");
  catalog->Add("starts_with", {kTxt, kTxt}, kBool, kTotal, "whether it begins with the second");
  catalog->Add("concat", {kTxt}, kTxt, kVariadic | kNullable | kFallible,
               "all joined; nulls count as empty");
  catalog->Add("concat_ws", {kTxt, kTxt}, kTxt, kVariadic | kNullable | kFallible,
               "all but the first joined by the first; nulls left out");
  catalog->Add("lpad", {kTxt, kInt}, kTxt, kFallible, "filled with spaces in front, or cut, to n");
  catalog->Add("lpad", {kTxt, kInt, kTxt}, kTxt, kFallible,
               "filled with the third in front, or cut, to n");
  catalog->Add("rpad", {kTxt, kInt}, kTxt, kFallible, "filled with spaces, or cut, to n");
  catalog->Add("rpad", {kTxt, kInt, kTxt}, kTxt, kFallible, "filled with the third, or cut, to n");
  catalog->Add("repeat", {kTxt, kInt}, kTxt, kFallible, "n times; at most 1 MiB");
  catalog->Add("reverse", {kTxt}, kTxt, kFallible, "characters from last to first");
  catalog->Add("split_part", {kTxt, kTxt, kInt}, kTxt, kFallible,
               "the n-th part between the second's; n < 0 counts from the end");
}

void AddTime(CatalogBuilder* catalog) {
  catalog->Add("date_trunc", {kTxt, kTime}, kTime, kFallible,
               "start of the unit (microseconds ... millennium), UTC; weeks start on Monday");
  catalog->Add(
      "date_part", {kTxt, kTime}, kDbl, kFallible,
      "a field, UTC: year ... microseconds, epoch, dow, doy, week; also `extract(field FROM t)`");
  catalog->Add("date_trunc", {kTxt, kTime, kTxt}, kTime, kFallible,
               "start of the unit on the wall clock in a time zone");
  catalog->Add("date_trunc", {kTxt, kSpan}, kSpan, kFallible, "an interval cut at the unit");
  catalog->Add("date_part", {kTxt, kDate}, kDbl, kFallible, "a field of a date");
  catalog->Add("date_part", {kTxt, kSpan}, kDbl, kFallible,
               "a field of an interval: year ... microseconds, epoch");
  catalog->Add("timezone", {kTxt, kTime}, kTime, kFallible,
               "the wall clock in a time zone; also `t AT TIME ZONE zone`");
  catalog->Add("timezone", {kSpan, kTime}, kTime, kFallible,
               "the wall clock where it is so far ahead of UTC");
  catalog->Add("to_utc_timestamp", {kTime, kTxt}, kTime, kFallible,
               "when the wall clock in a time zone shows the first");
  catalog->Add("to_utc_timestamp", {kTime, kSpan}, kTime, kFallible,
               "when the wall clock that is so far ahead of UTC shows the first");
  catalog->Add("age", {kTime, kTime}, kSpan, kFallible,
               "time from the second to the first, in years, months, days and less");
  catalog->Add("justify_hours", {kSpan}, kSpan, kFallible, "every 24 hours as a day");
  catalog->Add("justify_days", {kSpan}, kSpan, kFallible, "every 30 days as a month");
  catalog->Add("justify_interval", {kSpan}, kSpan, kFallible, "both, with one sign");
  catalog->Add("make_interval", {kInt, kInt, kInt, kInt, kInt, kInt, kDbl}, kSpan, kFallible,
               "from years, months, weeks, days, hours, mins and secs, any of them by name");
  catalog->Add("make_date", {kInt, kInt, kInt}, kDate, kFallible, "from year, month and day");
  for (const Type type : {kDate, kTime, kSpan}) {
    catalog->Add("isfinite", {type}, kBool, kTotal, "true: there are no infinite ones");
  }
  catalog->Add("date_bin", {kSpan, kTime, kTime}, kTime, kFallible,
               "start of the stride that holds the second, counted from the third");
  catalog->Add("time_grid", {kTime, kTime, kSpan}, Type::kJson, kFallible,
               "JSON array of the multiples of the third from the first up to and without the "
               "second, counted from 1970; of at most 100,001");
  catalog->AddAliases({"make_timestamp", "make_timestamptz"}, {kInt, kInt, kInt, kInt, kInt, kDbl},
                      kTime, kFallible, "from year, month, day, hour, minute and seconds, UTC");
  catalog->Add("make_timestamptz", {kInt, kInt, kInt, kInt, kInt, kDbl, kTxt}, kTime, kFallible,
               "when the wall clock in a time zone shows that");
  for (const Type type : kNumbers) {
    catalog->Add("to_char", {type, kTxt}, kTxt, kFallible, "by a template such as `FM999,990.00`");
  }
  catalog->Add("to_char", {kTime, kTxt}, kTxt, kFallible,
               "by a template such as `YYYY-MM-DD HH24:MI:SS`, UTC");
  catalog->Add("to_date", {kTxt, kTxt}, kDate, kFallible, "read by a template");
  catalog->Add("to_timestamp", {kTxt, kTxt}, kTime, kFallible,
               "read by a template; UTC where it has no `TZH`");
  catalog->Add("to_timestamp", {kDbl}, kTime, kFallible, "seconds since 1970-01-01 UTC");
}

void AddJson(CatalogBuilder* catalog) {
  catalog->Add("->", {kJson, kTxt}, kJson, kNullable, "the value under a key; null: there is none");
  catalog->Add("->", {kJson, kInt}, kJson, kNullable,
               "the item of an array, from 0, or from the end (-1); null: there is none");
  catalog->Add("->>", {kJson, kTxt}, kTxt, kNullable | kFallible, "the value under a key, as text");
  catalog->Add("->>", {kJson, kInt}, kTxt, kNullable | kFallible, "the item of an array, as text");
  catalog->Add("#>", {kJson, kTxt}, kJson, kNullable | kFallible,
               "the value at a path: `x #> '{readings,0,value}'`");
  catalog->Add("#>>", {kJson, kTxt}, kTxt, kNullable | kFallible, "the value at a path, as text");
  catalog->Add("json_extract_path", {kJson, kTxt}, kJson, kVariadic | kNullable,
               "the value at a path of keys and indexes");
  catalog->Add("json_extract_path_text", {kJson, kTxt}, kTxt, kVariadic | kNullable | kFallible,
               "the value at a path of keys and indexes, as text");
  catalog->Add("json_array_length", {kJson}, kInt, kFallible, "number of items of an array");
  catalog->Add("json_typeof", {kJson}, kTxt, kTotal,
               "`object`, `array`, `string`, `number`, `boolean` or `null`");
}

std::vector<FunctionSignature> BuildCatalog() {
  CatalogBuilder catalog;
  AddArithmetic(&catalog);
  AddTimeArithmetic(&catalog);
  AddComparisons(&catalog);
  AddMathematics(&catalog);
  AddText(&catalog);
  AddTime(&catalog);
  AddJson(&catalog);
  return catalog.Take();
}

// PostgreSQL's type categories and the preferred type of each ("Type conversion", chapter 10).
enum class Category { kBoolean, kNumeric, kString, kDateTime, kTimespan, kDocument, kUnknown };

Category CategoryOf(Type type) {
  switch (type) {
    case Type::kBoolean:
      return Category::kBoolean;
    case Type::kInteger:
    case Type::kBigint:
    case Type::kReal:
    case Type::kDouble:
      return Category::kNumeric;
    case Type::kText:
      return Category::kString;
    case Type::kDate:
    case Type::kTimestamp:
      return Category::kDateTime;
    case Type::kInterval:
      return Category::kTimespan;
    case Type::kJson:
      return Category::kDocument;
    case Type::kNull:
      break;
  }
  return Category::kUnknown;
}

bool IsPreferred(Type type) {
  return type != Type::kInteger && type != Type::kBigint && type != Type::kReal &&
         type != Type::kDate;
}

Type ParameterType(const FunctionSignature& signature, size_t position) {
  return position < signature.args.size() ? signature.args[position] : signature.args.back();
}

bool TakesCount(const FunctionSignature& signature, size_t count) {
  return signature.variadic ? count >= signature.args.size() : count == signature.args.size();
}

bool IsSymbol(std::string_view name) {
  return !name.empty() && !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_');
}

// `||` and the concat functions take any type as its text, as long as a text says what is meant.
bool TakesAnyAsText(std::string_view name, std::span<const Type> args) {
  if (name == "concat" || name == "concat_ws") return true;
  if (name != "||") return false;
  return std::ranges::any_of(args,
                             [](Type type) { return type == Type::kText || type == Type::kNull; });
}

// One resolution: PostgreSQL's steps for operators and functions. An open argument (an untyped
// NULL or a plain string literal) stands as kNull.
class Resolution {
 public:
  Resolution(std::string_view name, std::vector<Type> args) : name_(name), args_(std::move(args)) {}

  int Resolve() {
    CollectCandidates();
    if (candidates_.empty()) return -1;
    if (const int exact = Exact(); exact >= 0) return exact;
    KeepBest([this](int candidate) { return CountExact(candidate); });
    if (candidates_.size() > 1) KeepBest([this](int candidate) { return CountGood(candidate); });
    if (candidates_.size() > 1) NarrowOpenArguments();
    if (candidates_.size() > 1) AssumeKnownType();
    return candidates_.size() == 1 ? candidates_.front() : -1;
  }

 private:
  static const FunctionSignature& At(int candidate) { return FunctionCatalog()[size_t(candidate)]; }

  void CollectCandidates() {
    const std::span<const FunctionSignature> catalog = FunctionCatalog();
    const bool any_as_text = TakesAnyAsText(name_, args_);
    for (size_t i = 0; i < catalog.size(); ++i) {
      const FunctionSignature& signature = catalog[i];
      if (signature.name != name_ || !TakesCount(signature, args_.size())) continue;
      bool fits = true;
      for (size_t a = 0; a < args_.size(); ++a) {
        const Type wanted = ParameterType(signature, a);
        fits = fits && (IsImplicitCast(args_[a], wanted) || any_as_text);
      }
      if (fits) candidates_.push_back(int(i));
    }
  }

  // An exact match; for a binary operator also with an open side taken as of the other's type.
  int Exact() const {
    std::vector<Type> assumed = args_;
    if (args_.size() == 2 && IsSymbol(name_)) {
      if (assumed[0] == Type::kNull) assumed[0] = assumed[1];
      if (assumed[1] == Type::kNull) assumed[1] = assumed[0];
    }
    for (const int candidate : candidates_) {
      bool exact = true;
      for (size_t a = 0; a < assumed.size(); ++a) {
        exact = exact && ParameterType(At(candidate), a) == assumed[a];
      }
      if (exact) return candidate;
    }
    return -1;
  }

  int CountExact(int candidate) const {
    int count = 0;
    for (size_t a = 0; a < args_.size(); ++a) {
      count += args_[a] != Type::kNull && ParameterType(At(candidate), a) == args_[a];
    }
    return count;
  }

  // Arguments that match exactly or go to their category's preferred type.
  int CountGood(int candidate) const {
    int count = 0;
    for (size_t a = 0; a < args_.size(); ++a) {
      const Type wanted = ParameterType(At(candidate), a);
      count += args_[a] != Type::kNull &&
               (wanted == args_[a] ||
                (IsPreferred(wanted) && CategoryOf(wanted) == CategoryOf(args_[a])));
    }
    return count;
  }

  template <typename Score>
  void KeepBest(Score score) {
    int best = 0;
    for (const int candidate : candidates_) best = std::max(best, score(candidate));
    std::erase_if(candidates_, [&](int candidate) { return score(candidate) < best; });
  }

  // Each open argument takes a category: text where some candidate takes text there, else the one
  // that all candidates share; then the category's preferred type where a candidate has it.
  void NarrowOpenArguments() {
    std::vector<int> kept = candidates_;
    for (size_t a = 0; a < args_.size(); ++a) {
      if (args_[a] != Type::kNull) continue;
      Category category = CategoryOf(ParameterType(At(candidates_.front()), a));
      bool shared = true;
      bool text = false;
      for (const int candidate : candidates_) {
        const Category own = CategoryOf(ParameterType(At(candidate), a));
        shared = shared && own == category;
        text = text || own == Category::kString;
      }
      if (!text && !shared) return;
      if (text) category = Category::kString;
      std::erase_if(kept, [&](int candidate) {
        return CategoryOf(ParameterType(At(candidate), a)) != category;
      });
      const auto preferred = [&](int candidate) {
        return IsPreferred(ParameterType(At(candidate), a));
      };
      if (std::ranges::any_of(kept, preferred)) std::erase_if(kept, std::not_fn(preferred));
    }
    if (!kept.empty()) candidates_ = std::move(kept);
  }

  void AssumeKnownType() {
    std::optional<Type> known;
    for (const Type type : args_) {
      if (type == Type::kNull) continue;
      if (known.has_value() && *known != type) return;
      known = type;
    }
    if (!known.has_value()) return;
    std::vector<int> kept;
    for (const int candidate : candidates_) {
      bool fits = true;
      for (size_t a = 0; a < args_.size(); ++a) {
        fits = fits && IsImplicitCast(*known, ParameterType(At(candidate), a));
      }
      if (fits) kept.push_back(candidate);
    }
    if (kept.size() == 1) candidates_ = std::move(kept);
  }

  std::string_view name_;
  std::vector<Type> args_;
  std::vector<int> candidates_;
};

// What UNION, CASE and greatest do: one type that all arguments become, text where all are open.
// Works for every function whose overloads take one type throughout.
std::optional<Type> CommonType(std::span<const Type> args) {
  Type common = Type::kNull;
  for (const Type type : args) {
    const std::optional<Type> both = CommonTypeOf(common, type);
    if (!both.has_value()) return std::nullopt;
    common = *both;
  }
  return common == Type::kNull ? Type::kText : common;
}

}  // namespace

std::span<const FunctionSignature> FunctionCatalog() {
  static const std::vector<FunctionSignature> catalog = BuildCatalog();
  return catalog;
}

bool IsOperatorName(std::string_view name) {
  return IsSymbol(name) || name == "not" || name == "is_distinct_from";
}

const std::vector<std::string>& FunctionNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> unique;
    for (const FunctionSignature& signature : FunctionCatalog()) {
      if (IsOperatorName(signature.name)) continue;
      unique.emplace_back(signature.name);
    }
    std::ranges::sort(unique);
    unique.erase(std::ranges::unique(unique).begin(), unique.end());
    return unique;
  }();
  return names;
}

int ResolveFunction(std::string_view name, std::span<const Type> args,
                    const std::vector<bool>& literal_text) {
  if (name.empty()) return -1;
  std::vector<Type> open(args.begin(), args.end());
  for (size_t i = 0; i < open.size() && i < literal_text.size(); ++i) {
    if (literal_text[i]) open[i] = Type::kNull;
  }
  if (name == "greatest" || name == "least" || name == "nullif" || name == "is_distinct_from") {
    const std::optional<Type> common = CommonType(open);
    if (!common.has_value() || open.empty()) return -1;
    open.assign(open.size(), *common);
  }
  return Resolution(name, std::move(open)).Resolve();
}

Expr CallExpr(std::string_view name, std::vector<Expr> args) {
  std::vector<Type> types;
  types.reserve(args.size());
  for (const Expr& arg : args) types.push_back(arg.type);
  const int function = ResolveFunction(name, types, std::vector<bool>(types.size(), false));
  Expr call =
      MakeExpr(Expr::Kind::kCall, FunctionCatalog()[size_t(function)].result, std::move(args));
  call.function = function;
  return call;
}

}  // namespace millrace
