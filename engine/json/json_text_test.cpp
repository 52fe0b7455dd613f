#include "engine/json/json_text.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(JsonText, OneValueOfAnyKindIsJson) {
  JsonText json;
  for (const char* good : {"{}", "[]", " 1 ", "-0.5e+3", "\"a\\u0041\"", "true", "null",
                           "\n{\"a\": [1, {\"b\": null}], \"a\": 2}\t"}) {
    EXPECT_EQ(json.Check(good), nullptr) << good;
  }
  for (const char* bad :
       {"",   " ",  "1 2", "1,2",     "[1",  "]",    "[1]]", "{\"a\"}",  "{a:1}",       "nul",
        "01", "1.", "\"a", "\"\\q\"", "'a'", "[1,]", "NaN",  "\"\xff\"", "\"\\ud800\"", "1],[2"}) {
    EXPECT_NE(json.Check(bad), nullptr) << bad;
  }
  const std::string deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_EQ(json.Check(deep), nullptr);
  EXPECT_STREQ(json.Check("[" + deep + "]"), "nested too deep");
}

TEST(JsonText, MembersAreGivenAsTheyAreWritten) {
  JsonText json;
  const std::string text =
      " { \"a\" : [1,  2] , \"b\":\"x\\ny\", \"c\":1.50 ,\"\\u0064\":{}, \"a\" : null } ";
  EXPECT_EQ(json.Member(text, "a"), "null");  // the last one
  EXPECT_EQ(json.Member(text, "b"), "\"x\\ny\"");
  EXPECT_EQ(json.Member(text, "c"), "1.50");
  EXPECT_EQ(json.Member(text, "d"), "{}");
  EXPECT_EQ(json.Member(text, "e"), std::nullopt);
  EXPECT_EQ(json.Member("[1]", "a"), std::nullopt);
  EXPECT_EQ(json.Member("5", "a"), std::nullopt);
  EXPECT_EQ(json.Member("{}", ""), std::nullopt);
  EXPECT_EQ(json.Member("{\"\":7}", ""), "7");
}

TEST(JsonText, ItemsAreCountedFromBothEnds) {
  JsonText json;
  const std::string text = "[ 1 , {\"a\": 2}, \"x\",[] ]";
  EXPECT_EQ(json.Item(text, 0), "1");
  EXPECT_EQ(json.Item(text, 1), "{\"a\": 2}");
  EXPECT_EQ(json.Item(text, -1), "[]");
  EXPECT_EQ(json.Item(text, -4), "1");
  EXPECT_EQ(json.Item(text, 4), std::nullopt);
  EXPECT_EQ(json.Item(text, -5), std::nullopt);
  EXPECT_EQ(json.Item("{}", 0), std::nullopt);
  EXPECT_EQ(json.Length(text), 4);
  EXPECT_EQ(json.Length(" [ ] "), 0);
  EXPECT_EQ(json.Length("{}"), -1);
  EXPECT_EQ(json.Length("\"[]\""), -1);
}

TEST(JsonText, KindsAreToldByTheFirstByte) {
  EXPECT_EQ(JsonKind(" {}"), "object");
  EXPECT_EQ(JsonKind("[1]"), "array");
  EXPECT_EQ(JsonKind("\"a\""), "string");
  EXPECT_EQ(JsonKind("-1"), "number");
  EXPECT_EQ(JsonKind("true"), "boolean");
  EXPECT_EQ(JsonKind("\tnull"), "null");
}

}  // namespace
}  // namespace millrace
