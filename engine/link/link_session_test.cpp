#include "engine/link/link_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/link/link_testing.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Incoming = LinkSession::Incoming;
using Due = LinkSession::Due;

constexpr size_t kAll = 100 << 20;

LinkBytes Bytes(std::string text) { return arrow::Buffer::FromString(std::move(text)); }

LinkFrame Received(const LinkOutput& output) {
  const LinkFrameHeader header =
      DecodeLinkHeader({output.header.data(), output.header_bytes}, kAll).ValueOrDie();
  return {header, output.payload};
}

// Data frames of it, as "sequence:payload".
std::vector<std::string> Texts(const std::vector<LinkOutput>& outputs) {
  std::vector<std::string> texts;
  for (const LinkOutput& output : outputs) {
    const LinkFrame frame = Received(output);
    if (frame.header.type != LinkFrameType::kData) continue;
    texts.push_back(std::to_string(frame.header.sequence) + ":" + frame.payload->ToString());
  }
  return texts;
}

LinkFrame Data(uint64_t sequence, uint64_t acknowledged = 0) {
  return Received(MakeLinkOutput(
      {.type = LinkFrameType::kData, .sequence = sequence, .acknowledged = acknowledged},
      Bytes("x")));
}

TEST(LinkSession, KeepsWhatIsNotAcknowledgedAndSendsItAgain) {
  LinkSession session({}, seconds(0));
  session.Push(Bytes("a"));
  EXPECT_TRUE(session.TakeOutput(kAll, seconds(0)).empty());  // no connection
  session.Attach(0, seconds(0), seconds(0));
  session.Push(Bytes("b"));
  session.Push(Bytes("c"));
  EXPECT_THAT(Texts(session.TakeOutput(kAll, seconds(0))),
              testing::ElementsAre("1:a", "2:b", "3:c"));
  EXPECT_FALSE(session.has_output());
  EXPECT_EQ(session.OnFrame(Received(MakeLinkPing(1, 0)), seconds(0)), Incoming::kControl);
  EXPECT_EQ(session.kept_bytes(), 2 * 65);
  session.Detach();
  session.Push(Bytes("d"));
  session.Attach(2, seconds(1), seconds(1));
  EXPECT_THAT(Texts(session.TakeOutput(kAll, seconds(1))), testing::ElementsAre("3:c", "4:d"));
  EXPECT_EQ(session.resent_frames(), 1);
}

TEST(LinkSession, DeliversEachFrameOnceAndNoneOutOfTurn) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  EXPECT_EQ(session.OnFrame(Data(1), seconds(0)), Incoming::kDeliver);
  EXPECT_EQ(session.OnFrame(Data(1), seconds(0)), Incoming::kDuplicate);
  EXPECT_EQ(session.OnFrame(Data(2), seconds(0)), Incoming::kDeliver);
  EXPECT_EQ(session.received(), 2u);
  EXPECT_EQ(session.OnFrame(Data(4), seconds(0)), Incoming::kLost);
  EXPECT_EQ(LinkCodeOf(session.lost()), "protocol_error");
  EXPECT_EQ(session.OnFrame(Data(3), seconds(0)), Incoming::kLost);
}

TEST(LinkSession, AcknowledgesWithDataWithPingsAndAfterAMegabyte) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  (void)session.TakeOutput(kAll, seconds(0));
  (void)session.OnFrame(Data(1), seconds(0));
  EXPECT_FALSE(session.has_output());
  session.Push(Bytes("a"));
  const auto output = session.TakeOutput(kAll, seconds(0));
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(Received(output[0]).header.acknowledged, 1u);
  LinkFrame large = Data(2);
  large.payload = Bytes(std::string(1 << 20, 'x'));
  (void)session.OnFrame(large, seconds(0));
  EXPECT_TRUE(session.has_output());
  EXPECT_EQ(Received(session.TakeOutput(kAll, seconds(0))[0]).header.acknowledged, 2u);
  EXPECT_EQ(session.OnTime(milliseconds(299)), Due::kNothing);
  EXPECT_FALSE(session.has_output());
  EXPECT_EQ(session.OnTime(milliseconds(300)), Due::kNothing);
  EXPECT_TRUE(session.has_output());
}

TEST(LinkSession, APeerThatClaimsWhatCannotBeLosesIt) {
  for (const uint64_t claimed : {uint64_t(0), uint64_t(3), UINT64_MAX}) {
    LinkSession session({}, seconds(0));
    session.Attach(0, seconds(0), seconds(0));
    session.Push(Bytes("a"));
    session.Push(Bytes("b"));
    (void)session.TakeOutput(kAll, seconds(0));
    (void)session.OnFrame(Received(MakeLinkPing(1, 0)), seconds(0));
    session.Detach();
    session.Attach(claimed, seconds(0), seconds(0));
    EXPECT_EQ(LinkCodeOf(session.lost()), "protocol_error") << claimed;
  }
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  EXPECT_EQ(session.OnFrame(Data(1, /*acknowledged=*/1), seconds(0)), Incoming::kLost);
}

TEST(LinkSession, IsLostWhenTheOtherSideIsNotKnownToHear) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  // It is heard, and says each time that it heard nothing since.
  for (int ms = 300; ms <= 2400; ms += 300) {
    session.OnBytes(false, milliseconds(ms));
    EXPECT_EQ(session.OnFrame(Received(MakeLinkPing(0, uint32_t(ms))), milliseconds(ms)),
              Incoming::kControl);
  }
  EXPECT_EQ(session.OnTime(milliseconds(2500)), Due::kNothing);
  EXPECT_EQ(session.OnTime(milliseconds(2501)), Due::kLost);
  EXPECT_EQ(LinkCodeOf(session.lost()), "session_timeout");
}

TEST(LinkSession, ASilentConnectionIsDeadBeforeTheSessionIs) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  EXPECT_EQ(session.OnTime(milliseconds(1200)), Due::kNothing);
  EXPECT_EQ(session.OnTime(milliseconds(1201)), Due::kDead);
  session.Detach();
  EXPECT_EQ(session.OnTime(milliseconds(2500)), Due::kNothing);
  session.Attach(0, milliseconds(2450), milliseconds(2500));
  EXPECT_EQ(session.OnTime(milliseconds(3600)), Due::kNothing);
  EXPECT_EQ(session.OnTime(milliseconds(3701)), Due::kDead);
}

// A process was stopped; what waited in its socket is not believed.
TEST(LinkSession, WhoWakesLateBelievesNothingThatWaited) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  session.OnBytes(false, seconds(10));
  EXPECT_EQ(session.OnFrame(Received(MakeLinkPing(0, 0)), seconds(10)), Incoming::kLost);
  EXPECT_EQ(session.OnFrame(Data(1), seconds(10)), Incoming::kLost);
  EXPECT_TRUE(session.TakeOutput(kAll, seconds(10)).empty());
  EXPECT_EQ(session.received(), 0u);
}

TEST(LinkSession, ALargeFrameUnderWayIsALifeSign) {
  LinkSession session({}, seconds(0));
  session.Attach(0, seconds(0), seconds(0));
  for (int s = 1; s <= 10; ++s) session.OnBytes(/*inside_frame=*/true, seconds(s));
  EXPECT_EQ(session.OnTime(seconds(11)), Due::kNothing);
}

TEST(LinkSession, KeepsNoMoreThanItMay) {
  LinkSessionLimits limits;
  limits.unacknowledged_bytes_max = 3 * 164;
  LinkSession session(limits, seconds(0));
  for (int i = 0; i < 3; ++i) session.Push(Bytes(std::string(100, 'x')));
  EXPECT_TRUE(session.lost().ok());
  session.Push(Bytes(""));
  EXPECT_EQ(LinkCodeOf(session.lost()), "peer_too_slow");
  EXPECT_EQ(session.kept_bytes(), 0);
}

TEST(LinkSession, IsClosedByThePeersWord) {
  const auto lost = [](const LinkOutput& close) {
    LinkSession session({}, seconds(0));
    session.Attach(0, seconds(0), seconds(0));
    EXPECT_EQ(session.OnFrame(Received(close), seconds(0)), Incoming::kLost);
    return session.lost();
  };
  EXPECT_EQ(LinkCodeOf(lost(MakeLinkClose("peer_stopped", ""))), "peer_stopped");
  const Status status = lost(MakeLinkClose("peer_too_slow", "much waits"));
  EXPECT_EQ(LinkCodeOf(status), "closed_by_peer");
  EXPECT_EQ(status.message(), "the peer ended the session: much waits");
}

}  // namespace
}  // namespace millrace
