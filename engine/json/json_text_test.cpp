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

TEST(JsonText, ItemsAreGivenAsTheyAreWritten) {
  using Items = std::vector<std::string_view>;
  JsonText json;
  Items items;
  ASSERT_TRUE(json.Items(" [1.50, {\"a\":[2]} ,null,\"x,]\", [ ] ]", 10, &items));
  EXPECT_EQ(items, (Items{"1.50", "{\"a\":[2]}", "null", "\"x,]\"", "[ ]"}));
  ASSERT_TRUE(json.Items("[]", 10, &items));
  EXPECT_TRUE(items.empty());
  ASSERT_TRUE(json.Items("[1,2,3,4]", 2, &items));
  EXPECT_EQ(items.size(), 3U);
  EXPECT_FALSE(json.Items("{}", 10, &items));
  EXPECT_FALSE(json.Items("1", 10, &items));
}

TEST(JsonText, ValuesAsTextHaveNoQuotes) {
  std::string scratch;
  std::string_view text;
  const auto read = [&](std::string_view value) { return ReadJsonAsText(value, &scratch, &text); };
  EXPECT_EQ(read("\"a\\n\\u00e4\""), JsonAsText::kText);
  EXPECT_EQ(text, "a\nä");
  EXPECT_EQ(read("\"\""), JsonAsText::kText);
  EXPECT_EQ(text, "");
  EXPECT_EQ(read("1.50"), JsonAsText::kText);
  EXPECT_EQ(text, "1.50");
  EXPECT_EQ(read("null"), JsonAsText::kNull);
  EXPECT_EQ(read("\"null\""), JsonAsText::kText);
  EXPECT_EQ(read("\"a\\u0000\""), JsonAsText::kHoldsNul);
  EXPECT_EQ(read("\"\\x\""), JsonAsText::kInvalid);
}

TEST(JsonNumber, RoundsHalvesAwayFromZero) {
  const auto rounded = [](std::string text) -> std::optional<int64_t> {
    text.push_back(']');
    JsonNumber number;
    if (ReadJsonNumber(text.data(), &number) == nullptr) return std::nullopt;
    int64_t value = 0;
    if (ToRoundedInt64(number, &value) != JsonNumberOutcome::kOk) return std::nullopt;
    return value;
  };
  EXPECT_EQ(rounded("2.5"), 3);
  EXPECT_EQ(rounded("-2.5"), -3);
  EXPECT_EQ(rounded("0.5"), 1);
  EXPECT_EQ(rounded("0.49999999999999999999999"), 0);
  EXPECT_EQ(rounded("0.05e1"), 1);
  EXPECT_EQ(rounded("5e-2"), 0);
  EXPECT_EQ(rounded("25e-1"), 3);
  EXPECT_EQ(rounded("1.5e3"), 1500);
  EXPECT_EQ(rounded("0e99999"), 0);
  EXPECT_EQ(rounded("0.0"), 0);
  EXPECT_EQ(rounded("9223372036854775807.4"), INT64_MAX);
  EXPECT_EQ(rounded("9223372036854775807.5"), std::nullopt);
  EXPECT_EQ(rounded("-9223372036854775808.4"), INT64_MIN);
  EXPECT_EQ(rounded("-9223372036854775808.5"), std::nullopt);
  EXPECT_EQ(rounded("1e19"), std::nullopt);
  EXPECT_EQ(rounded("18446744073709551616"), std::nullopt);
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
