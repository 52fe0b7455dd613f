#include "engine/model/json_path.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

std::vector<JsonPathStep> Parse(const std::string& path) {
  std::string error;
  auto steps = ParseJsonPath(path, &error);
  EXPECT_EQ(error, "") << path;
  return steps;
}

std::string ErrorOf(const std::string& path) {
  std::string error;
  ParseJsonPath(path, &error);
  return error;
}

TEST(JsonPath, WhatBeginsWithDollarAndAStepIsAPath) {
  using Steps = std::vector<JsonPathStep>;
  EXPECT_EQ(Parse("a.b"), (Steps{{"a.b", -1}}));
  EXPECT_EQ(Parse("$"), (Steps{{"$", -1}}));
  EXPECT_EQ(Parse("$a.b"), (Steps{{"$a.b", -1}}));
  EXPECT_EQ(Parse(""), (Steps{{"", -1}}));
  EXPECT_EQ(Parse("$.a"), (Steps{{"a", -1}}));
  EXPECT_EQ(Parse("$.a.B_9.\xc3\xbc"), (Steps{{"a", -1}, {"B_9", -1}, {"\xc3\xbc", -1}}));
  EXPECT_EQ(Parse("$[0].a[12][3]"), (Steps{{"", 0}, {"a", -1}, {"", 12}, {"", 3}}));
  EXPECT_EQ(Parse("$['$.a'][\"Temperature[C]\"].x"),
            (Steps{{"$.a", -1}, {"Temperature[C]", -1}, {"x", -1}}));
  EXPECT_EQ(Parse(R"($['it\'s']["\"\\"][''])"), (Steps{{"it's", -1}, {"\"\\", -1}, {"", -1}}));
}

TEST(JsonPath, MistakesAreToldWithTheirPlace) {
  EXPECT_EQ(ErrorOf("$."), "expected a name at character 3 of the path");
  EXPECT_EQ(ErrorOf("$..a"), "expected a name at character 3 of the path");
  EXPECT_EQ(ErrorOf("$.a b"), "expected '.' or '[' at character 4 of the path");
  EXPECT_EQ(ErrorOf("$.*"), "expected a name at character 3 of the path");
  EXPECT_EQ(ErrorOf("$.a["),
            "expected the index of an item or a name in quotes at character 5 of the path");
  EXPECT_EQ(ErrorOf("$.a[-1]"),
            "expected the index of an item or a name in quotes at character 5 of the path");
  EXPECT_EQ(ErrorOf("$.a[1"), "expected ']' at character 6 of the path");
  EXPECT_EQ(ErrorOf("$.a[1:2]"), "expected ']' at character 6 of the path");
  EXPECT_EQ(ErrorOf("$['a"), "expected a closing quote at character 5 of the path");
  EXPECT_EQ(ErrorOf("$['a\\"), "expected a closing quote at character 6 of the path");
  EXPECT_EQ(ErrorOf("$['a'"), "expected ']' at character 6 of the path");
  EXPECT_EQ(ErrorOf("$.a[65535]"), "");
  EXPECT_EQ(ErrorOf("$.a[65536]"), "an item's index is at most 65535; at character 9 of the path");
  std::string deep = "$";
  for (size_t i = 0; i < kJsonPathStepsMax; ++i) deep += ".a";
  EXPECT_EQ(ErrorOf(deep), "");
  EXPECT_EQ(ErrorOf(deep + ".a"), "a path has at most 16 steps");
}

}  // namespace
}  // namespace millrace
