#include "engine/plan/time_zone.h"

#include <gtest/gtest.h>

#include "engine/model/timestamp.h"

namespace millrace {
namespace {

int64_t At(std::string_view text) {
  EventTime time;
  EXPECT_TRUE(ParseTimestamp(text, &time)) << text;
  return time.time_since_epoch().count();
}

TEST(TimeZone, IsFoundInAnyLetterCase) {
  const TimeZone* const berlin = TimeZone::Find("Europe/Berlin");
  ASSERT_NE(berlin, nullptr);
  EXPECT_EQ(TimeZone::Find("europe/BERLIN"), berlin);
  EXPECT_NE(TimeZone::Find("UTC"), nullptr);
  EXPECT_NE(TimeZone::Find("utc"), nullptr);
  EXPECT_NE(TimeZone::Find("America/Argentina/Buenos_Aires"), nullptr);
}

// Nothing but a name of the database reaches the file system.
TEST(TimeZone, OtherNamesAreNone) {
  for (const char* name : {"", "Europe", "Europe/Berlim", "../../etc/passwd", "/etc/localtime",
                           "localtime", "zone.tab", "posix/Europe/Berlin", "file:Europe/Berlin",
                           "libc:localtime", "+02:00", "PST"}) {
    EXPECT_EQ(TimeZone::Find(name), nullptr) << name;
  }
  EXPECT_EQ(TimeZone::Find(std::string(1 << 20, 'A')), nullptr);
}

// As PostgreSQL 15 has them.
TEST(TimeZone, FollowsTheClocksOnTheWall) {
  const TimeZone* const berlin = TimeZone::Find("Europe/Berlin");
  ASSERT_NE(berlin, nullptr);
  struct Case {
    const char* utc;
    const char* local;
  };
  for (const Case& test : {Case{"2026-03-29T00:59:59.999999Z", "2026-03-29T01:59:59.999999Z"},
                           {"2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
                           {"2026-10-25T00:59:59Z", "2026-10-25T02:59:59Z"},
                           {"2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
                           {"1893-03-01T00:00:00Z", "1893-03-01T00:53:28Z"},
                           {"2060-07-01T12:00:00Z", "2060-07-01T14:00:00Z"},
                           {"9999-07-01T12:00:00Z", "9999-07-01T14:00:00Z"}}) {
    EXPECT_EQ(berlin->ToLocal(At(test.utc)), At(test.local)) << test.utc;
  }
}

TEST(TimeZone, GapsCountOnAndWhatComesTwiceIsTheSecond) {
  const TimeZone* const berlin = TimeZone::Find("Europe/Berlin");
  ASSERT_NE(berlin, nullptr);
  EXPECT_EQ(berlin->ToUtc(At("2026-03-29T02:30:00Z")), At("2026-03-29T01:30:00Z"));
  EXPECT_EQ(berlin->ToUtc(At("2026-10-25T02:30:00.5Z")), At("2026-10-25T01:30:00.5Z"));
  EXPECT_EQ(berlin->ToUtc(At("1969-12-31T23:59:59.75Z")), At("1969-12-31T22:59:59.75Z"));
}

TEST(TimeZone, EndsWhereTimestampsDo) {
  const TimeZone* const berlin = TimeZone::Find("Europe/Berlin");
  const TimeZone* const york = TimeZone::Find("America/New_York");
  ASSERT_NE(berlin, nullptr);
  ASSERT_NE(york, nullptr);
  EXPECT_EQ(berlin->ToLocal(INT64_MAX), std::nullopt);
  EXPECT_EQ(york->ToLocal(INT64_MIN), std::nullopt);
  EXPECT_EQ(berlin->ToUtc(INT64_MIN), std::nullopt);
  EXPECT_EQ(york->ToUtc(INT64_MAX), std::nullopt);
}

}  // namespace
}  // namespace millrace
