#include "engine/plan/functions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

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
  EXPECT_EQ(Resolved("-", {kTime, kTime}), "none");
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

}  // namespace
}  // namespace millrace
