#include "worker/known_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(KnownPeers, EachIsNamedOnce) {
  KnownPeers peers;
  peers.OnOpened("b", {1, "x"});
  peers.OnOpened("a", {2, "y"});
  EXPECT_THAT(peers.TakeUntold(), ElementsAre("a", "b"));
  EXPECT_THAT(peers.TakeUntold(), IsEmpty());
  peers.OnOpened("c", {3, "z"});
  EXPECT_THAT(peers.TakeUntold(), ElementsAre("c"));
  ASSERT_NE(peers.Find("b"), nullptr);
  EXPECT_EQ(peers.Find("b")->session, 1U);
  EXPECT_EQ(peers.Find("b")->incarnation, "x");
}

TEST(KnownPeers, AnotherSessionIsNamedAgainAlsoBetweenTwoBeats) {
  KnownPeers peers;
  peers.OnOpened("a", {1, "x"});
  peers.TakeUntold();
  peers.OnLost("a", 1);
  EXPECT_EQ(peers.Find("a"), nullptr);
  EXPECT_THAT(peers.TakeUntold(), IsEmpty());
  peers.OnOpened("a", {2, "x"});
  peers.OnLost("a", 2);
  peers.OnOpened("a", {3, "x"});
  EXPECT_THAT(peers.TakeUntold(), ElementsAre("a"));
}

TEST(KnownPeers, TheEndOfAnOlderSessionIsNone) {
  KnownPeers peers;
  peers.OnOpened("a", {1, "x"});
  peers.OnOpened("a", {2, "x"});
  peers.OnLost("a", 1);
  ASSERT_NE(peers.Find("a"), nullptr);
  EXPECT_EQ(peers.Find("a")->session, 2U);
}

TEST(KnownPeers, WhoIsSaidToBeLostAndIsThereIsNamedAgain) {
  KnownPeers peers;
  peers.OnOpened("a", {1, "x"});
  peers.TakeUntold();
  peers.TellAnew("a");
  peers.TellAnew("b");  // there is no session to it
  EXPECT_THAT(peers.TakeUntold(), ElementsAre("a"));
}

TEST(KnownPeers, AnotherCoordinatorHearsOfAll) {
  KnownPeers peers;
  peers.OnOpened("a", {1, "x"});
  peers.OnOpened("b", {2, "x"});
  peers.TakeUntold();
  peers.OnLost("b", 2);
  peers.OnOpened("c", {3, "x"});
  peers.TellAllAnew();
  EXPECT_THAT(peers.TakeUntold(), ElementsAre("a", "c"));
}

}  // namespace
}  // namespace millrace
