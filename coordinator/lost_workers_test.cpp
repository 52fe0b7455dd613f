#include "coordinator/lost_workers.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr MonotonicTime At(int seconds) { return std::chrono::seconds(seconds); }
constexpr int kHour = 3600;

class LostWorkersTest : public testing::Test {
 protected:
  void Come(const std::string& name) {
    WorkerInfo worker;
    worker.name = name;
    worker.session = ++sessions_;
    there_[name] = worker;
  }
  // How many are lost then.
  int64_t Look(int seconds) {
    lost_.Look(there_, At(seconds));
    return lost_.count();
  }

  uint64_t sessions_ = 0;
  std::map<std::string, WorkerInfo> there_;
  LostWorkers lost_;
};

TEST_F(LostWorkersTest, NobodyIsLostWhoNeverCame) {
  EXPECT_EQ(Look(0), 0);
  Come("a");
  EXPECT_EQ(Look(1), 0);
}

TEST_F(LostWorkersTest, WhoEndsIsLostUntilItComesBack) {
  Come("a");
  Come("b");
  EXPECT_EQ(Look(0), 0);
  there_.erase("a");
  EXPECT_EQ(Look(1), 1);
  EXPECT_EQ(Look(2), 1);
  there_.erase("b");
  EXPECT_EQ(Look(3), 2);
  Come("a");
  EXPECT_EQ(Look(4), 1);
  Come("b");
  EXPECT_EQ(Look(5), 0);
}

TEST_F(LostWorkersTest, WhoIsLetGoIsNotLost) {
  Come("a");
  EXPECT_EQ(Look(0), 0);
  there_["a"].leaving = true;
  EXPECT_EQ(Look(1), 0);
  lost_.OnMayLeave(there_["a"]);
  there_.erase("a");
  EXPECT_EQ(Look(2), 0);
  // Nor for its next life.
  Come("a");
  EXPECT_EQ(Look(3), 0);
  there_.erase("a");
  EXPECT_EQ(Look(4), 1);
}

TEST_F(LostWorkersTest, WhoWantsToLeaveButIsNotLetGoIsLost) {
  Come("a");
  EXPECT_EQ(Look(0), 0);
  there_["a"].leaving = true;
  EXPECT_EQ(Look(1), 0);
  there_.erase("a");
  EXPECT_EQ(Look(2), 1);
}

TEST_F(LostWorkersTest, ALookMayComeAfterSeveralLives) {
  Come("a");
  lost_.OnMayLeave(there_["a"]);
  Come("a");  // anew, before anybody looked
  EXPECT_EQ(Look(0), 0);
  there_.erase("a");
  EXPECT_EQ(Look(1), 1);
}

TEST_F(LostWorkersTest, EachIsRememberedForAnHour) {
  Come("a");
  Come("b");
  EXPECT_EQ(Look(0), 0);
  there_.erase("a");
  EXPECT_EQ(Look(10), 1);
  there_.erase("b");
  EXPECT_EQ(Look(20), 2);
  EXPECT_EQ(Look(10 + kHour), 2);
  EXPECT_EQ(Look(11 + kHour), 1);
  EXPECT_EQ(Look(21 + kHour), 0);
}

TEST_F(LostWorkersTest, OfTooManyTheOldestAreForgotten) {
  for (int i = 0; i < 1'200; ++i) Come("w" + std::to_string(i));
  EXPECT_EQ(Look(0), 0);
  for (int i = 0; i < 1'200; ++i) {
    there_.erase("w" + std::to_string(i));
    Look(i);
  }
  EXPECT_EQ(Look(1'200), 1'000);
  // Those that went last are the ones that can be found again.
  Come("w0");
  EXPECT_EQ(Look(1'201), 1'000);
  Come("w1199");
  EXPECT_EQ(Look(1'202), 999);
}

}  // namespace
}  // namespace millrace
