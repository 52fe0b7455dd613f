#include "engine/http/api_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace millrace {
namespace {

using testing::HasSubstr;

std::string MistakeIn(const std::string& text) {
  const auto parsed = ParseApiTokens("tokens", text);
  return parsed.ok() ? "none" : parsed.status().message();
}

TEST(ApiTokensTest, ReadsNamesRolesAndTokens) {
  const auto parsed = ParseApiTokens("tokens",
                                     "# who may ask\n\n"
                                     "alice operator 0123456789abcdef\n"
                                     "  dashboard\tviewer  fedcba9876543210  \n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ((*parsed)[0].name, "alice");
  EXPECT_EQ((*parsed)[0].role, ApiRole::kOperator);
  EXPECT_EQ((*parsed)[0].token, "0123456789abcdef");
  EXPECT_EQ((*parsed)[1].name, "dashboard");
  EXPECT_EQ((*parsed)[1].role, ApiRole::kViewer);
}

TEST(ApiTokensTest, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(MistakeIn("alice operator\n"), "tokens:1: expected NAME ROLE TOKEN, found 2 words");
  EXPECT_EQ(MistakeIn("#\nalice operater 0123456789abcdef\n"),
            "tokens:2: there is no role 'operater': expected viewer or operator; do you mean "
            "operator?");
  EXPECT_EQ(MistakeIn("alice viewer short\n"),
            "tokens:1: the token of 'alice' has 5 characters; expected 16 to 256");
  EXPECT_EQ(MistakeIn("a viewer 0123456789abcdef\nb viewer 0123456789abcdef\n"),
            "tokens:2: the token of 'b' is there twice");
  EXPECT_THAT(MistakeIn("# nobody\n"), HasSubstr("no token is there"));
}

class ApiTokensFileTest : public testing::Test {
 protected:
  ApiTokensFileTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
    folder_ = mkdtemp(folder.data());
  }
  ~ApiTokensFileTest() override { std::filesystem::remove_all(folder_); }

  // As Kubernetes does it: another file takes the name.
  void Replace(const std::string& text) {
    std::ofstream(folder_ / "next") << text;
    std::filesystem::rename(folder_ / "next", folder_ / "tokens");
  }
  std::string path() const { return (folder_ / "tokens").string(); }

  std::filesystem::path folder_;
};

TEST_F(ApiTokensFileTest, FindsWhoSentAToken) {
  Replace("alice operator 0123456789abcdef\n");
  const auto tokens = ApiTokens::Load(path());
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  Status warning;
  const auto found = (*tokens)->Find("Bearer 0123456789abcdef", &warning);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->name, "alice");
  for (const char* header : {"", "Bearer ", "Bearer 0123456789abcdeg", "0123456789abcdef",
                             "bearer 0123456789abcdef", "Bearer 0123456789abcdef "}) {
    EXPECT_FALSE((*tokens)->Find(header, &warning).has_value()) << header;
  }
  EXPECT_TRUE(warning.ok());
}

TEST_F(ApiTokensFileTest, ChangedTokensAreInForceAtOnceAndMistakesLeaveTheOldOnes) {
  Replace("alice operator 0123456789abcdef\n");
  const auto tokens = ApiTokens::Load(path());
  ASSERT_TRUE(tokens.ok());
  Status warning;
  Replace("bob viewer fedcba9876543210\n");
  EXPECT_FALSE((*tokens)->Find("Bearer 0123456789abcdef", &warning).has_value());
  EXPECT_EQ((*tokens)->Find("Bearer fedcba9876543210", &warning)->name, "bob");
  EXPECT_TRUE(warning.ok());

  Replace("bob viewer\n");
  EXPECT_EQ((*tokens)->Find("Bearer fedcba9876543210", &warning)->name, "bob");
  EXPECT_THAT(warning.message(), HasSubstr("tokens:1: expected NAME ROLE TOKEN"));
  warning = Status::OK();
  EXPECT_TRUE((*tokens)->Find("Bearer fedcba9876543210", &warning).has_value());
  EXPECT_TRUE(warning.ok()) << "told once";
}

TEST_F(ApiTokensFileTest, AFileThatIsNotThereIsNamed) {
  EXPECT_THAT(ApiTokens::Load(path()).status().message(), HasSubstr(path()));
}

}  // namespace
}  // namespace millrace
