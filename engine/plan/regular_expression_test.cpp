#include "engine/plan/regular_expression.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace millrace {
namespace {

// libarrow_compute exports the symbols of another version (cmake/dependencies.cmake).
TEST(RegularExpression, RunsTheRe2ThatItWasCompiledAgainst) {
  Dl_info info;
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&RE2::QuoteMeta), &info), 0);
  EXPECT_EQ(std::filesystem::path(info.dli_fname).filename(), "plan_test");
}

bool Matches(const std::string& pattern, const std::string& text, const std::string& flags = "") {
  std::string error;
  const auto compiled = CompilePattern(pattern, flags, nullptr, &error);
  EXPECT_NE(compiled, nullptr) << pattern << ": " << error;
  return compiled != nullptr && RE2::PartialMatch(text, *compiled);
}

std::string ErrorOf(const std::string& pattern, const std::string& flags = "") {
  std::string error;
  EXPECT_EQ(CompilePattern(pattern, flags, nullptr, &error), nullptr) << pattern;
  return error;
}

// As PostgreSQL 15 answers.
TEST(RegularExpression, IsPostgres) {
  EXPECT_TRUE(Matches("^[[:alpha:]]+$", "Z\xc3\xbcrich"));
  EXPECT_TRUE(Matches("^\\w+$",
                      "\xc3\x9c"
                      "1_"));
  EXPECT_TRUE(Matches("^[\\w-]+$", "\xc3\x9c-1"));
  EXPECT_FALSE(Matches("\\W",
                       "\xc3\x9c"
                       "1_"));
  EXPECT_TRUE(Matches("\\yb\\y", "a b c"));
  EXPECT_FALSE(Matches("\\yb\\y", "abc"));
  EXPECT_TRUE(Matches("a.b", "a\nb"));
  EXPECT_FALSE(Matches("^b", "a\nb"));
  EXPECT_TRUE(Matches("[]x]", "]"));
  EXPECT_TRUE(Matches("[^]x]", "a"));
  EXPECT_FALSE(Matches("[^]x]", "]x"));
  EXPECT_TRUE(Matches("[\\]]", "]"));
  EXPECT_TRUE(Matches("RIG", "rig", "i"));
  EXPECT_FALSE(Matches("RIG", "rig", "ic"));
  EXPECT_TRUE(Matches("(?i)RIG", "rig"));
  EXPECT_TRUE(Matches("^a{2,}b{1}c{1,2}$", "aaabc"));
  EXPECT_TRUE(Matches("^a{x}$", "a{x}"));
  EXPECT_TRUE(Matches("^[{2]$", "{"));
}

TEST(RegularExpression, TakesTheLongestUnlessToldOtherwise) {
  std::string error, text = "aab";
  RE2::Replace(&text, *CompilePattern("a|aa", "", nullptr, &error), "x");
  EXPECT_EQ(text, "xb");
  text = "aab";
  RE2::Replace(&text, *CompilePattern("a+?", "", nullptr, &error), "x");
  EXPECT_EQ(text, "xab");
  // No quantifier is within brackets.
  text = "]*?aa";
  RE2::GlobalReplace(&text, *CompilePattern("[]*?]+|a|aa", "", nullptr, &error), "x");
  EXPECT_EQ(text, "xx");
}

TEST(RegularExpression, SaysWhatItCannotDo) {
  EXPECT_EQ(ErrorOf("("), "missing ): (");
  EXPECT_EQ(ErrorOf("(a)\\1"), "invalid escape sequence: \\1");
  EXPECT_EQ(ErrorOf("a(?=b)"), "invalid perl operator: (?=");
  EXPECT_EQ(ErrorOf("\\mword"), "\\m is not supported; \\y is a word's beginning or end");
  EXPECT_EQ(ErrorOf("\\bword"), "\\b is not supported; \\y is a word's beginning or end");
  EXPECT_EQ(ErrorOf("[\\W]"), "\\W in brackets is not supported");
  EXPECT_EQ(ErrorOf("\\pL"), "invalid escape sequence: \\p");
  EXPECT_EQ(ErrorOf("a{2"), "expected {m}, {m,} or {m,n}: {2");
  EXPECT_EQ(ErrorOf("a{2,x}"), "expected {m}, {m,} or {m,n}: {2,x");
  EXPECT_EQ(ErrorOf("[[=a=]]"), "[. .] and [= =] in brackets are not supported");
  EXPECT_EQ(ErrorOf("a", "n"), "option 'n' is not supported; known: i, c");
  EXPECT_EQ(ErrorOf("a", "g"), "option 'g' is not supported; known: i, c");
  EXPECT_EQ(ErrorOf(std::string(20'000, 'a')), "longer than 10000 bytes");
  EXPECT_EQ(ErrorOf("(((a{1,900}){1,900}){1,900})"), "invalid repetition size: {1,900}");
}

TEST(RegularExpression, TranslatesReplacementsAndSimilarTo) {
  EXPECT_EQ(RewriteOf("<\\&> \\1\\2 \\\\ \\x", 1), "<\\0> \\1 \\\\ \\\\x");
  EXPECT_EQ(PatternOfSimilar("a_c%"), "^(?:a.c.*)$");
  EXPECT_EQ(PatternOfSimilar("(x|[a%]).\\%"), "^(?:(x|[a%])\\.\\%)$");
}

}  // namespace
}  // namespace millrace
