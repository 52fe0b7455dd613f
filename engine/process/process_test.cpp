#include "engine/process/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/wire/protocol.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

ProcessOptions Options(int32_t protocol_max) {
  ProcessOptions options;
  options.cluster = "test";
  options.name = "worker-0";
  options.listen = "127.0.0.1:9000";
  options.protocol_max = protocol_max;
  return options;
}

TEST(LinkOptionsOf, SpeaksTheNewestProtocolUnlessItIsHeldToAnOlderOne) {
  EXPECT_EQ(LinkOptionsOf(Options(0))->self.protocol_max, kProtocolMax);
  EXPECT_EQ(LinkOptionsOf(Options(kProtocolMax))->self.protocol_max, kProtocolMax);
  const LinkOptions oldest = *LinkOptionsOf(Options(kProtocolMin));
  EXPECT_EQ(oldest.self.protocol_min, kProtocolMin);
  EXPECT_EQ(oldest.self.protocol_max, kProtocolMin);
}

TEST(LinkOptionsOf, RefusesAProtocolThatThisBuildDoesNotSpeak) {
  const Result<LinkOptions> refused = LinkOptionsOf(Options(kProtocolMax + 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().ToString(), HasSubstr("bad_protocol"));
  EXPECT_THAT(refused.status().message(), HasSubstr("this build speaks 1 to 2"));
}

TEST(SetUpProcess, LetsTheProcessOpenAsManyFilesAsItMay) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_GT(before.rlim_max, 64u);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  SetUpProcess(ProcessOptions());
  rlimit after{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace millrace
