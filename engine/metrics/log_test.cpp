#include "engine/metrics/log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace millrace {
namespace {

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { SetUpLogging(LogFormat::kText, LogLevel::kInfo); }
  std::ostringstream out_;
};

// What follows the time, which is 24 characters of a text line.
std::string AfterTime(const std::string& line) { return line.substr(25); }

TEST_F(LogTest, TextHasLevelMessageAndFields) {
  SetUpLogging(LogFormat::kText, LogLevel::kInfo, &out_);
  LogWarn("broker is away", {{"broker", "localhost:9092"}, {"attempt", 3}, {"reason", "no route"}});
  EXPECT_EQ(AfterTime(out_.str()),
            "warn  broker is away  broker=localhost:9092 attempt=3 reason=\"no route\"\n");
  const std::string time = out_.str().substr(0, 24);
  EXPECT_EQ(time[4], '-');
  EXPECT_EQ(time[10], 'T');
  EXPECT_EQ(time[23], 'Z');
}

TEST_F(LogTest, LevelsBelowAreLeftOut) {
  SetUpLogging(LogFormat::kText, LogLevel::kWarn, &out_);
  LogInfo("no");
  LogDebug("no");
  LogError("yes");
  EXPECT_EQ(AfterTime(out_.str()), "error yes\n");
}

TEST_F(LogTest, JsonIsEscaped) {
  SetUpLogging(LogFormat::kJson, LogLevel::kDebug, &out_);
  LogDebug("a \"quoted\"\nline {} %v", {{"path", "C:\\x\x01"},
                                        {"share", 0.25},
                                        {"ok", true},
                                        {"none", std::nan("")},
                                        {"bad", std::string("\xff"
                                                            "a")},
                                        {"good", "\xc3\xa9"}});
  const std::string line = out_.str();
  EXPECT_EQ(line.substr(0, 9), "{\"time\":\"");
  // {"time":" + 27 characters of time + ","...
  EXPECT_EQ(line.substr(9 + 27),
            "\",\"level\":\"debug\",\"message\":\"a \\\"quoted\\\"\\nline {} %v\","
            "\"path\":\"C:\\\\x\\u0001\",\"share\":0.25,\"ok\":true,\"none\":null,"
            "\"bad\":\"\\ufffda\",\"good\":\"\xc3\xa9\"}\n");
}

TEST_F(LogTest, TextCannotSteerATerminal) {
  SetUpLogging(LogFormat::kText, LogLevel::kInfo, &out_);
  LogInfo("device \x1b[31mred", {{"key", "\x1b[2J"}});
  EXPECT_EQ(AfterTime(out_.str()), "info  device \\x1b[31mred  key=\\x1b[2J\n");
}

TEST_F(LogTest, StatusBringsCodeDomainAndRetry) {
  SetUpLogging(LogFormat::kText, LogLevel::kInfo, &out_);
  LogStatus(LogLevel::kError, "sink failed",
            ExternalError("disk_full", "no space left", Retry::kNo), {{"sink", "metrics"}});
  EXPECT_EQ(AfterTime(out_.str()),
            "error sink failed  sink=metrics error=\"no space left\" code=disk_full "
            "domain=external retry=false\n");
}

TEST_F(LogTest, NamesAreRead) {
  EXPECT_EQ(LogFormatFromName("json"), LogFormat::kJson);
  EXPECT_EQ(LogFormatFromName("xml"), std::nullopt);
  EXPECT_EQ(LogLevelFromName("warn"), LogLevel::kWarn);
  EXPECT_EQ(LogLevelFromName("WARN"), std::nullopt);
}

}  // namespace
}  // namespace millrace
