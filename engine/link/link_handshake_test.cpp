#include "engine/link/link_handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

const std::string kA(32, 'a');
const std::string kB(32, 'b');
const std::string kC(32, 'c');
const std::string kX(32, '1');
const std::string kY(32, '2');
const std::string kZ(32, '3');

LinkIdentity Self() {
  return {.cluster = "prod",
          .node = "coordinator-0",
          .role = LinkRole::kCoordinator,
          .incarnation = kA,
          .protocol_min = 1,
          .protocol_max = 2};
}

proto::LinkHello Hello() {
  return MakeLinkHello({.cluster = "prod",
                        .node = "worker-1",
                        .role = LinkRole::kWorker,
                        .incarnation = kB,
                        .protocol_min = 1,
                        .protocol_max = 3,
                        .attributes = "x"});
}

Status Judged(const proto::LinkHello& hello,
              const std::vector<LinkRole>& roles = {LinkRole::kWorker}) {
  return JudgeLinkHello(Self(), roles, hello).status();
}

TEST(LinkHandshake, TheNewestCommonProtocolIsTaken) {
  const auto protocol = [](int32_t min, int32_t max) {
    proto::LinkHello hello = Hello();
    hello.set_protocol_min(min);
    hello.set_protocol_max(max);
    const auto judged = JudgeLinkHello(Self(), {LinkRole::kWorker}, hello);
    return judged.ok() ? judged->protocol : -1;
  };
  EXPECT_EQ(protocol(1, 3), 2);
  EXPECT_EQ(protocol(1, 1), 1);
  EXPECT_EQ(protocol(2, 9), 2);
  EXPECT_EQ(protocol(3, 4), -1);
  EXPECT_EQ(protocol(0, 0), -1);
  proto::LinkHello hello = Hello();
  hello.set_protocol_min(3);
  hello.set_protocol_max(4);
  hello.set_cluster("other");
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "no_common_protocol");
  EXPECT_EQ(Judged(hello).message(), "speaks protocol 3 to 4, this build 1 to 2");
}

TEST(LinkHandshake, WhoDoesNotBelongIsToldWhy) {
  EXPECT_TRUE(Judged(Hello()).ok());
  proto::LinkHello hello = Hello();
  hello.set_cluster("test\n");
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "wrong_cluster");
  EXPECT_EQ(Judged(hello).message(), "is of the cluster \"test?\", this node of \"prod\"");
  EXPECT_EQ(LinkCodeOf(Judged(Hello(), {LinkRole::kCoordinator})), "wrong_role");
  hello = Hello();
  hello.set_role(proto::LINK_ROLE_UNSPECIFIED);
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "wrong_role");
  hello = Hello();
  hello.set_incarnation(kA);
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "self");
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(254, 'n')}) {
    hello = Hello();
    hello.set_node(bad);
    EXPECT_EQ(LinkCodeOf(Judged(hello)), "garbage");
  }
  hello = Hello();
  hello.set_incarnation("B");
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "garbage");
  hello = Hello();
  hello.set_attributes(std::string(kLinkAttributesBytesMax + 1, 'x'));
  EXPECT_EQ(LinkCodeOf(Judged(hello)), "garbage");
  EXPECT_EQ(LinkCodeOf(ParseLinkHello("\xFF\xFF").status()), "garbage");
}

TEST(LinkHandshake, IdentitiesAreChecked) {
  const auto code = [](auto change) {
    LinkIdentity identity = Self();
    change(identity);
    return LinkCodeOf(CheckLinkIdentity(identity));
  };
  EXPECT_TRUE(CheckLinkIdentity(Self()).ok());
  for (const char* const bad : {"", "Prod", "-prod", "prod-", "a.b"}) {
    EXPECT_EQ(code([&](LinkIdentity& identity) { identity.cluster = bad; }), "bad_cluster_name");
  }
  EXPECT_EQ(code([](LinkIdentity& identity) { identity.node = "w/1"; }), "bad_node_name");
  EXPECT_EQ(code([](LinkIdentity& identity) { identity.protocol_max = 0; }), "bad_protocol");
  EXPECT_EQ(code([](LinkIdentity& identity) { identity.attributes.resize(17 << 10); }),
            "attributes_too_large");
  EXPECT_EQ(MakeLinkId().size(), 32u);
  EXPECT_NE(MakeLinkId(), MakeLinkId());
}

// ---- which session ----

proto::LinkHello Asks(const std::string& incarnation, uint64_t attempt, const std::string& session,
                      bool resume) {
  proto::LinkHello hello = Hello();
  hello.set_incarnation(incarnation);
  hello.set_attempt(attempt);
  hello.set_session(session);
  hello.set_resume(resume);
  return hello;
}

TEST(LinkAdmission, ASessionGoesOnUntilItIsOver) {
  LinkAdmission admission;
  EXPECT_TRUE(admission.Admit(Asks(kB, 1, kX, false)).status.ok());
  // Not confirmed: it is not there.
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 2, kX, true)).status), "unknown_session");
  EXPECT_TRUE(admission.Admit(Asks(kB, 3, kX, false)).status.ok());
  admission.OnOpened("worker-1", kX);
  const auto resumed = admission.Admit(Asks(kB, 4, kX, true));
  EXPECT_TRUE(resumed.status.ok());
  EXPECT_TRUE(resumed.resume);
  EXPECT_EQ(resumed.ends, "");
  admission.OnEnded("worker-1", kX);
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 5, kX, true)).status), "unknown_session");
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 6, kX, false)).status), "unknown_session");
  EXPECT_TRUE(admission.Admit(Asks(kB, 7, kY, false)).status.ok());
}

TEST(LinkAdmission, ANewSessionEndsTheOneBefore) {
  LinkAdmission admission;
  (void)admission.Admit(Asks(kB, 1, kX, false));
  admission.OnOpened("worker-1", kX);
  const auto next = admission.Admit(Asks(kB, 2, kY, false));
  EXPECT_TRUE(next.status.ok());
  EXPECT_EQ(next.ends, kX);
  EXPECT_FALSE(next.replaced);
}

// Bytes of an earlier connection may come late.
TEST(LinkAdmission, AnEarlierAttemptIsStale) {
  LinkAdmission admission;
  (void)admission.Admit(Asks(kB, 5, kY, false));
  admission.OnOpened("worker-1", kY);
  const auto stale = admission.Admit(Asks(kB, 4, kX, false));
  EXPECT_EQ(LinkCodeOf(stale.status), "stale_attempt");
  EXPECT_EQ(stale.ends, "");
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 5, kY, true)).status), "stale_attempt");
}

TEST(LinkAdmission, AProcessThatWasReplacedDoesNotComeBack) {
  LinkAdmission admission;
  (void)admission.Admit(Asks(kB, 9, kX, false));
  admission.OnOpened("worker-1", kX);
  const auto younger = admission.Admit(Asks(kC, 1, kY, false));
  EXPECT_TRUE(younger.status.ok());
  EXPECT_EQ(younger.ends, kX);
  EXPECT_TRUE(younger.replaced);
  admission.OnEnded("worker-1", kX);
  admission.OnOpened("worker-1", kY);
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 10, kX, true)).status), "incarnation_replaced");
  EXPECT_EQ(LinkCodeOf(admission.Admit(Asks(kB, 11, kZ, false)).status), "incarnation_replaced");
  EXPECT_TRUE(admission.Admit(Asks(kC, 2, kY, true)).status.ok());
}

TEST(LinkAdmission, NamesAreBounded) {
  LinkAdmission admission;
  const auto admit = [&](int number) {
    proto::LinkHello hello = Asks(kB, 1, kX, false);
    hello.set_node("worker-" + std::to_string(number));
    return LinkCodeOf(admission.Admit(hello).status);
  };
  for (int i = 0; i < 4096; ++i) {
    (void)admit(i);
    admission.OnOpened("worker-" + std::to_string(i), kX);
  }
  EXPECT_EQ(admit(5000), "too_many_peers");
  admission.OnEnded("worker-7", kY);
  EXPECT_EQ(admit(5000), "too_many_peers");
  admission.OnEnded("worker-7", kX);
  (void)admit(5000);
  admission.OnOpened("worker-5000", kX);
  EXPECT_EQ(admit(5001), "too_many_peers");
}

}  // namespace
}  // namespace millrace
