#include "engine/exchange/refusal_log.h"

#include <gtest/gtest.h>

#include <sstream>

#include "engine/metrics/log.h"

namespace millrace {
namespace {

using std::chrono::seconds;

Status Refused(const std::string& code) {
  return ExternalError(code, "it is " + code, Retry::kYes);
}

class RefusalLogTest : public testing::Test {
 protected:
  RefusalLogTest() { SetUpLogging(LogFormat::kText, LogLevel::kInfo, &out_); }
  ~RefusalLogTest() override { SetUpLogging(LogFormat::kText, LogLevel::kInfo); }

  size_t Lines(const std::string& with) const {
    std::istringstream lines(out_.str());
    size_t count = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find(with) != std::string::npos) ++count;
    }
    return count;
  }

  RefusalLog log_;
  std::ostringstream out_;
};

TEST_F(RefusalLogTest, OfEachReasonSoManyLines) {
  for (int i = 0; i < 1000; ++i) log_.OnRefused("10.0.0.1:7", Refused("garbage"), seconds(1));
  log_.OnRefused("10.0.0.2:7", Refused("wrong_cluster"), seconds(1));
  EXPECT_EQ(Lines("it is garbage"), 10U);
  EXPECT_EQ(Lines("address=10.0.0.1:7"), 10U);
  EXPECT_EQ(Lines("it is wrong_cluster"), 1U);
}

TEST_F(RefusalLogTest, HowManyAreNotLoggedIsToldWhenTheWindowIsOver) {
  for (int i = 0; i < 1000; ++i) log_.OnRefused("10.0.0.1:7", Refused("garbage"), seconds(1));
  log_.TellLeftOut(seconds(10));
  EXPECT_EQ(Lines("not_logged"), 0U);
  log_.TellLeftOut(seconds(11));
  EXPECT_EQ(Lines("reason=garbage not_logged=990"), 1U);
  log_.TellLeftOut(seconds(30));
  EXPECT_EQ(Lines("not_logged"), 1U);
}

TEST_F(RefusalLogTest, PeersCannotMakeReasonsUp) {
  for (int i = 0; i < 1000; ++i) {
    log_.OnRefused("10.0.0.1:7", Refused("reason_" + std::to_string(i)), seconds(1));
  }
  EXPECT_EQ(Lines("a connection was refused"), 10U);
}

}  // namespace
}  // namespace millrace
