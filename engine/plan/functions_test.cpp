#include "engine/plan/functions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "engine/plan/documented_testing.h"

namespace millrace {
namespace {

constexpr Type kInt = Type::kInteger;
constexpr Type kBig = Type::kBigint;
constexpr Type kDbl = Type::kDouble;
constexpr Type kTxt = Type::kText;
constexpr Type kTime = Type::kTimestamp;
constexpr Type kBool = Type::kBoolean;
constexpr Type kNone = Type::kNull;

// "name(integer, ...)" of the overload, or "none". Text literals are given as kNull here.
std::string Resolved(std::string_view name, std::vector<Type> args) {
  const int index = ResolveFunction(name, args, std::vector<bool>(args.size(), false));
  if (index < 0) return "none";
  const FunctionSignature& signature = FunctionCatalog()[size_t(index)];
  std::string text(signature.name);
  text += "(";
  for (size_t i = 0; i < signature.args.size(); ++i) {
    if (i > 0) text += ", ";
    text += TypeName(signature.args[i]);
  }
  return text + ")";
}

TEST(FunctionsTest, ExactMatchComesFirst) {
  EXPECT_EQ(Resolved("+", {kInt, kInt}), "+(integer, integer)");
  EXPECT_EQ(Resolved("+", {kBig, kBig}), "+(bigint, bigint)");
  EXPECT_EQ(Resolved("abs", {kInt}), "abs(integer)");
  EXPECT_EQ(Resolved("-", {kDbl}), "-(double precision)");
  EXPECT_EQ(Resolved("pi", {}), "pi()");
}

TEST(FunctionsTest, NumbersWiden) {
  EXPECT_EQ(Resolved("+", {kInt, kBig}), "+(bigint, bigint)");
  EXPECT_EQ(Resolved("<", {kBig, kDbl}), "<(double precision, double precision)");
  EXPECT_EQ(Resolved("sqrt", {kInt}), "sqrt(double precision)");
  EXPECT_EQ(Resolved("round", {kInt, kInt}), "round(double precision, integer)");
  EXPECT_EQ(Resolved("greatest", {kInt, kDbl, kBig}), "greatest(double precision)");
  EXPECT_EQ(Resolved("nullif", {kInt, kDbl}), "nullif(double precision, double precision)");
}

TEST(FunctionsTest, NothingNarrowsOrReadsText) {
  EXPECT_EQ(Resolved("left", {kTxt, kBig}), "none");
  EXPECT_EQ(Resolved("+", {kTxt, kInt}), "none");
  EXPECT_EQ(Resolved("=", {kTxt, kInt}), "none");
  EXPECT_EQ(Resolved("sqrt", {kBool}), "none");
  EXPECT_EQ(Resolved("greatest", {kTxt, kInt}), "none");
  EXPECT_EQ(Resolved("length", {kInt}), "none");
  EXPECT_EQ(Resolved("no_such", {kInt}), "none");
}

TEST(FunctionsTest, OpenArgumentTakesTheOthersType) {
  EXPECT_EQ(Resolved("=", {kTime, kNone}), "=(timestamp, timestamp)");
  EXPECT_EQ(Resolved("<", {kNone, kInt}), "<(integer, integer)");
  EXPECT_EQ(Resolved("is_distinct_from", {kNone, kBool}), "is_distinct_from(boolean, boolean)");
  EXPECT_EQ(Resolved("+", {kNone, kBig}), "+(bigint, bigint)");
  EXPECT_EQ(Resolved("least", {kNone, kDbl, kNone}), "least(double precision)");
}

TEST(FunctionsTest, OnlyOpenArguments) {
  EXPECT_EQ(Resolved("=", {kNone, kNone}), "=(text, text)");
  EXPECT_EQ(Resolved("+", {kNone, kNone}), "none");  // PostgreSQL: operator is not unique
  EXPECT_EQ(Resolved("abs", {kNone}), "abs(double precision)");
  EXPECT_EQ(Resolved("upper", {kNone}), "upper(text)");
  EXPECT_EQ(Resolved("greatest", {kNone, kNone}), "greatest(text)");
}

TEST(FunctionsTest, AStringLiteralIsOpen) {
  const std::vector<Type> args = {kTxt, kTime};
  const int index = ResolveFunction("<", args, {true, false});
  ASSERT_GE(index, 0);
  EXPECT_EQ(FunctionCatalog()[size_t(index)].args[0], kTime);
  EXPECT_EQ(ResolveFunction("<", args, {false, false}), -1);
}

TEST(FunctionsTest, ConcatenationTakesAnythingBesideText) {
  EXPECT_EQ(Resolved("||", {kTxt, kDbl}), "||(text, text)");
  EXPECT_EQ(Resolved("||", {kTime, kTxt}), "||(text, text)");
  EXPECT_EQ(Resolved("||", {kInt, kInt}), "none");
  EXPECT_EQ(Resolved("concat", {kInt, kTxt, kBool}), "concat(text)");
  EXPECT_EQ(Resolved("concat", {}), "none");
}

TEST(FunctionsTest, IntervalsMoveTimestamps) {
  EXPECT_EQ(Resolved("+", {kTime, Type::kInterval}), "+(timestamp, interval)");
  EXPECT_EQ(Resolved("-", {kTime, Type::kInterval}), "-(timestamp, interval)");
  EXPECT_EQ(Resolved("+", {Type::kInterval, kTime}), "+(interval, timestamp)");
  EXPECT_EQ(Resolved("-", {kTime, kTime}), "-(timestamp, timestamp)");
  EXPECT_EQ(Resolved("*", {Type::kInterval, kInt}), "*(interval, double precision)");
}

TEST(FunctionsTest, DatesBecomeTimestamps) {
  constexpr Type kDate = Type::kDate;
  EXPECT_EQ(Resolved("<", {kDate, kTime}), "<(timestamp, timestamp)");
  EXPECT_EQ(Resolved("-", {kDate, kDate}), "-(date, date)");
  EXPECT_EQ(Resolved("-", {kDate, kInt}), "-(date, integer)");
  EXPECT_EQ(Resolved("-", {kTime, kDate}), "-(timestamp, timestamp)");
  EXPECT_EQ(Resolved("date_trunc", {kNone, kDate}), "date_trunc(text, timestamp)");
  EXPECT_EQ(Resolved("date_part", {kNone, kDate}), "date_part(text, date)");
}

TEST(FunctionsTest, RealMeetsOtherNumbersAsDoublePrecision) {
  constexpr Type kReal = Type::kReal;
  EXPECT_EQ(Resolved("+", {kReal, kReal}), "+(real, real)");
  EXPECT_EQ(Resolved("+", {kReal, kInt}), "+(double precision, double precision)");
  EXPECT_EQ(Resolved("<", {kReal, kDbl}), "<(double precision, double precision)");
  EXPECT_EQ(Resolved("sqrt", {kReal}), "sqrt(double precision)");
  EXPECT_EQ(Resolved("abs", {kReal}), "abs(real)");
  EXPECT_EQ(Resolved("greatest", {kReal, kInt}), "greatest(real)");
  EXPECT_EQ(Resolved("greatest", {kReal, kDbl}), "greatest(double precision)");
}

TEST(FunctionsTest, CatalogHasNoSignatureTwice) {
  std::set<std::string> seen;
  for (const FunctionSignature& signature : FunctionCatalog()) {
    std::string text(signature.name);
    for (const Type type : signature.args) text += "," + std::string(TypeName(type));
    EXPECT_TRUE(seen.insert(text).second) << text;
    EXPECT_FALSE(signature.summary.empty()) << text;
  }
}

TEST(FunctionsTest, NamesLeaveOutOperators) {
  const std::vector<std::string>& names = FunctionNames();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_TRUE(std::ranges::binary_search(names, "date_trunc"));
  EXPECT_TRUE(std::ranges::binary_search(names, "concat_ws"));
  EXPECT_FALSE(std::ranges::binary_search(names, "||"));
  EXPECT_FALSE(std::ranges::binary_search(names, "not"));
}

// The tables of docs/sql.md, made from the catalogue. Overloads that differ in one type only share
// a row, and so do names for the same thing.
class FunctionTables {
 public:
  FunctionTables() {
    for (const FunctionSignature& signature : FunctionCatalog()) Collect(signature);
    for (const Overloads& overloads : overloads_) {
      std::string* names = &names_[overloads.is_operator][ResultAndSummary(overloads)];
      if (!names->empty()) *names += ", ";
      *names += "`" + Shown(overloads) + "`";
    }
  }

  std::string ToMarkdown() const {
    std::string text =
        "`number` is integer, bigint, real or double precision, `any` also boolean, text, date, "
        "timestamp or interval; "
        "arguments of one call take the widest type among them. A null argument gives null but "
        "where the table says otherwise. A text that a function makes is at most 1 MiB; a longer "
        "one fails its row (`text_too_long`).\n\n"
        "Where PostgreSQL has a function of numeric only (`round` and `trunc` to places, `log` "
        "with a base, `%` of fractions), it works on doubles here: rounding on their shortest "
        "decimal form, so that `round(2.675, 2)` is 2.68. `round(2.5)` is 2, as of any double "
        "precision. `concat` writes booleans as `true` and `false`. A LIKE pattern that ends with "
        "a backslash always fails the row.\n\n";
    for (const bool operators : {true, false}) {
      text += operators ? "| Operator " : "| Function ";
      text += "| Result | Computes |\n";
      text += "|---|---|---|\n";
      std::vector<std::string> rows;
      for (const auto& [rest, names] : names_[operators]) rows.push_back("| " + names + rest);
      if (!operators) std::ranges::sort(rows);
      for (const std::string& row : rows) text += row + "\n";
      text += "\n";
    }
    return text;
  }

 private:
  struct Overloads {
    FunctionSignature first;
    bool is_operator;
    std::vector<Type> types;  // of all arguments, where they share one
    bool same_result;         // of the arguments' type
  };

  static bool Uniform(const FunctionSignature& signature) {
    return !signature.args.empty() && std::ranges::all_of(signature.args, [&](Type type) {
      return type == signature.args[0];
    });
  }

  void Collect(const FunctionSignature& signature) {
    if (Uniform(signature)) {
      for (Overloads& overloads : overloads_) {
        const FunctionSignature& first = overloads.first;
        if (first.name != signature.name || first.args.size() != signature.args.size() ||
            !Uniform(first) || first.variadic != signature.variadic ||
            first.summary != signature.summary) {
          continue;
        }
        overloads.types.push_back(signature.args[0]);
        overloads.same_result = overloads.same_result && signature.result == signature.args[0];
        return;
      }
    }
    const bool is_operator = std::isalpha(uint8_t(signature.name[0])) == 0 ||
                             signature.name == "not" || signature.name == "is_distinct_from";
    std::vector<Type> types;
    if (Uniform(signature)) types = {signature.args[0]};
    const bool same = Uniform(signature) && signature.result == signature.args[0];
    overloads_.push_back({signature, is_operator, types, same});
  }

  static std::string Named(const Overloads& overloads, Type type) {
    const std::vector<Type>& types = overloads.types;
    if (types.size() >= 3 && std::ranges::all_of(types, IsNumeric)) return "number";
    if (types.size() > 3) return "any";
    if (types.size() < 3) return std::string(TypeName(type));
    std::string all;
    for (const Type each : types) all += (all.empty() ? "" : " or ") + std::string(TypeName(each));
    return all;
  }

  static std::string ResultAndSummary(const Overloads& overloads) {
    const FunctionSignature& first = overloads.first;
    return " | " +
           (overloads.same_result ? Named(overloads, first.result)
                                  : std::string(TypeName(first.result))) +
           " | " + std::string(first.summary) + " |";
  }

  static std::string Symbol(std::string_view name) {
    static const std::map<std::string_view, std::string> words = {
        {"~~", "LIKE"},        {"!~~", "NOT LIKE"}, {"~~*", "ILIKE"},
        {"!~~*", "NOT ILIKE"}, {"not", "NOT"},      {"is_distinct_from", "IS DISTINCT FROM"},
        {"||", "\\|\\|"}};
    const auto found = words.find(name);
    return found == words.end() ? std::string(name) : found->second;
  }

  static std::string Shown(const Overloads& overloads) {
    const FunctionSignature& first = overloads.first;
    if (overloads.is_operator) {
      const std::string last = Named(overloads, first.args.back());
      const std::string start = first.args.size() == 1 ? "" : Named(overloads, first.args[0]) + " ";
      return start + Symbol(first.name) + " " + last;
    }
    std::string text(first.name);
    text += "(";
    for (size_t i = 0; i < first.args.size(); ++i) {
      text += (i > 0 ? ", " : "") + Named(overloads, first.args[i]);
    }
    return text + (first.variadic ? ", ...)" : ")");
  }

  std::vector<Overloads> overloads_;
  std::map<std::string, std::string> names_[2];  // the rest of the row -> what is called
};

TEST(FunctionsTest, DocumentedAsTheyAre) {
  ExpectDocumented("functions", FunctionTables().ToMarkdown());
}

}  // namespace
}  // namespace millrace
