#include "engine/plan/text_array.h"

#include <gmock/gmock.h>

namespace millrace {
namespace {

using Items = std::vector<std::optional<std::string>>;

// What PostgreSQL 15 reads as text[].
TEST(TextArray, IsReadAsPostgresDoes) {
  EXPECT_EQ(ParseTextArray("{}"), Items{});
  EXPECT_EQ(ParseTextArray(" { a , b c ,0} "), (Items{"a", "b c", "0"}));
  EXPECT_EQ(ParseTextArray("{\"a,b\", \"\", \"q\\\"\\\\\"}"), (Items{"a,b", "", "q\"\\"}));
  EXPECT_EQ(ParseTextArray("{null,\"null\",NULLs,nul\\l}"),
            (Items{std::nullopt, "null", "NULLs", "null"}));
  EXPECT_EQ(ParseTextArray("{a\\ ,\\}}"), (Items{"a ", "}"}));
  for (const char* bad : {"", "a", "{", "{a", "{a,}", "{,a}", "{a}b", "{\"a", "{{a}}", "{a\"b\"}",
                          "{\"a\"b}", "{a\\", "{ , }"}) {
    EXPECT_EQ(ParseTextArray(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace millrace
