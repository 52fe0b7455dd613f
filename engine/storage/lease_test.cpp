#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "engine/storage/metadata_log.h"
#include "engine/storage/storage_testing.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// Another process, which is told to go on, to stop or to die. It holds no test's files but its own.
class OtherProcess {
 public:
  // `run` is called in it; what it writes to the descriptor comes out of ReadByte.
  explicit OtherProcess(const std::function<void(int told)>& run) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::close(ends[0]);
      run(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    told_ = ends[0];
  }
  ~OtherProcess() {
    Signal(SIGCONT);
    Signal(SIGKILL);
    Wait();
    ::close(told_);
  }

  char ReadByte() {
    char byte = 0;
    EXPECT_EQ(::read(told_, &byte, 1), 1);
    return byte;
  }
  // Returns once a stop has come to pass.
  void Signal(int signal) {
    if (process_ <= 0) return;
    ::kill(process_, signal);
    if (signal != SIGSTOP) return;
    int status = 0;
    EXPECT_EQ(::waitpid(process_, &status, WUNTRACED), process_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void Wait() {
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

 private:
  pid_t process_ = -1;
  int told_ = -1;
};

class LeaseTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Lease>> Acquire(const std::string& owner, Micros lease) {
    return Lease::Acquire(path_, owner, lease, clock_, stopping_);
  }
  // Holds the lease and beats until it is killed.
  std::function<void(int)> Holder(const std::string& owner) {
    return [this, owner](int told) {
      auto lease = Acquire(owner, std::chrono::seconds(10));
      const char byte = lease.ok() ? 'y' : 'n';
      while (::write(told, &byte, 1) == 1) {
        for (int i = 0; i < 200 && lease.ok(); ++i) {
          (*lease)->Beat();
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      }
    };
  }

  StorageTestFolder folder_;
  std::string path_ = folder_.Path("log");
  SystemClock clock_;
  std::atomic<bool> stopping_{false};
};

TEST_F(LeaseTest, AFreeLeaseIsTakenAtOnce) {
  { ASSERT_TRUE(Acquire("first", std::chrono::hours(1)).ok()); }
  ASSERT_TRUE(Acquire("second", std::chrono::hours(1)).ok());
  EXPECT_EQ(folder_.Files().size(), 1u);
}

TEST_F(LeaseTest, AHolderThatBeatsKeepsIt) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  const auto refused = Acquire("host-b:2", std::chrono::hours(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused.status()), "job_is_running");
  EXPECT_EQ(ErrorDetail::Of(refused.status())->domain(), ErrorDomain::kUser);
  EXPECT_THAT(refused.status().message(), HasSubstr("host-a:1"));
}

TEST_F(LeaseTest, TheLockDiesWithItsProcess) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  holder.Signal(SIGKILL);
  holder.Wait();
  EXPECT_TRUE(Acquire("host-b:2", std::chrono::hours(1)).ok());
}

TEST_F(LeaseTest, AStoppedHolderIsTakenOverFrom) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  holder.Signal(SIGSTOP);
  auto lease = Acquire("host-b:2", std::chrono::milliseconds(50));
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  // The one that was stopped goes on and beats; nobody takes its beats for ours, or it for us.
  holder.Signal(SIGCONT);
  ASSERT_EQ(holder.ReadByte(), 'y');
  lease->reset();
  EXPECT_TRUE(Acquire("host-c:3", std::chrono::hours(1)).ok());
}

TEST_F(LeaseTest, ALeaseOfNoTimeIsTakenFromWhoBeats) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  auto lease = Acquire("host-b:2", Micros(0));
  ASSERT_TRUE(lease.ok()) << lease.status().ToString();
  holder.Signal(SIGKILL);
  holder.Wait();
  lease->reset();
  EXPECT_TRUE(Acquire("host-c:3", std::chrono::hours(1)).ok());
}

TEST_F(LeaseTest, OfManyWaitersOneTakesOver) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  holder.Signal(SIGSTOP);
  std::atomic<int> taken{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < 8; ++i) {
    waiters.emplace_back([&] {
      const auto lease = Acquire("waiter", std::chrono::seconds(1));
      if (!lease.ok()) {
        refused += CodeOf(lease.status()) == "job_is_running";
        return;
      }
      ++taken;
      while (taken + refused < 8) {
        (*lease)->Beat();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(LeaseTest, AWaiterCanBeStopped) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  holder.Signal(SIGSTOP);
  stopping_ = true;
  EXPECT_EQ(CodeOf(Acquire("host-b:2", std::chrono::hours(1)).status()), "stopped");
}

TEST_F(LeaseTest, TheWaitIsMeasuredByTheClockThatIsHandedIn) {
  OtherProcess holder(Holder("host-a:1"));
  ASSERT_EQ(holder.ReadByte(), 'y');
  holder.Signal(SIGSTOP);
  ManualClock clock;
  std::atomic<bool> taken{false};
  std::thread waiter([&] {
    taken = Lease::Acquire(path_, "host-b:2", std::chrono::hours(1), clock, stopping_).ok();
  });
  while (!taken) {
    clock.Advance(std::chrono::minutes(10));
    std::this_thread::yield();
  }
  waiter.join();
  EXPECT_TRUE(taken);
}

}  // namespace
}  // namespace millrace
