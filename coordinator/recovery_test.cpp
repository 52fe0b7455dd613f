#include "coordinator/recovery.h"

#include "coordinator/storage_testing.h"

namespace millrace {
namespace {

using Kind = RecoveryPlan::Kind;
using test::CodeOf;
using Paths = std::vector<std::string>;

class RecoverTest : public test::StorageTest {
 protected:
  RecoverTest() {
    request_.job = "job";
    request_.owner = "test";
    request_.minted = "new";
    request_.registers = [this](bool fence) -> Result<std::map<int32_t, proto::Register>> {
      ++registers_asked_;
      registers_fenced_ += fence;
      return registers_;
    };
    request_.file_registers = []() -> Result<std::map<std::string, proto::Register>> {
      return std::map<std::string, proto::Register>();
    };
  }
  Result<Recovered> Recover() { return millrace::Recover(request_, storage_.get(), &log_); }
  // Commits `epochs` checkpoints, each with files of its own.
  void Commit(CommitterOptions options, std::vector<int64_t> epochs) {
    CheckpointCommitter committer(std::move(options), storage_.get(), &log_);
    for (const int64_t epoch : epochs) {
      const std::string name = std::to_string(epoch);
      const auto manifest =
          ManifestOf(epoch, Write("state/" + name, "state"), Write("outbox/" + name, "rows"));
      ASSERT_TRUE(committer.Commit(manifest).ok());
    }
  }
  void SetRegister(int64_t epoch, int64_t next_row) {
    registers_[0].set_generation("g");
    registers_[0].set_epoch(epoch);
    registers_[0].set_next_row(next_row);
  }

  RecoveryRequest request_;
  std::map<int32_t, proto::Register> registers_;
  int registers_asked_ = 0;
  int registers_fenced_ = 0;
};

TEST_F(RecoverTest, AFreshStartClaimsTheFirstTermAndAsksTheRegisters) {
  const Recovered recovered = Recover().ValueOrDie();
  EXPECT_EQ(recovered.plan.kind, Kind::kFresh);
  EXPECT_EQ(recovered.plan.generation, "new");
  EXPECT_EQ(recovered.committer.term, 1);
  EXPECT_EQ(recovered.committer.next_index, 2);
  EXPECT_EQ(registers_asked_, 1);
  EXPECT_EQ(log_.Text(), "1:claim@1");
}

TEST_F(RecoverTest, GoesOnFromTheNewestWithoutAskingTheRegisters) {
  Commit(Recover()->committer, {1, 2});
  const Recovered recovered = Recover().ValueOrDie();
  EXPECT_EQ(recovered.plan.kind, Kind::kRestore);
  EXPECT_EQ(recovered.plan.manifest.epoch(), 2);
  EXPECT_EQ(recovered.plan.generation, "g");
  EXPECT_EQ(recovered.committer.term, 2);
  EXPECT_EQ(recovered.committer.next_index, 5);
  EXPECT_EQ(registers_asked_, 1);  // at the fresh start
  ASSERT_EQ(recovered.committer.retained.size(), 2u);
  EXPECT_EQ(recovered.committer.retained[0].index, 2);
  EXPECT_EQ(recovered.committer.retained[1].files, (std::set<std::string>{"outbox/2", "state/2"}));
}

TEST_F(RecoverTest, ClaimsAgainWhereAnotherProcessWasFaster) {
  log_.before_append = [this] {
    proto::LogEntry claim;
    claim.set_term(1);
    claim.mutable_claim();
    log_.Append(1, claim).ValueOrDie();
  };
  EXPECT_EQ(Recover()->committer.term, 2);
  EXPECT_EQ(log_.Text(), "1:claim@1 2:claim@2");
}

TEST_F(RecoverTest, RemovesWhatNoCheckpointRefersTo) {
  Commit(Recover()->committer, {1});
  Write("outbox/left", "rows");
  Write("state/left", "state");
  ASSERT_TRUE(Recover().ok());
  EXPECT_EQ(Files(), (Paths{"manifests/1-1.manifest", "outbox/1", "state/1"}));
}

// A process that is stopped in the middle of this finds files of its successor when it goes on.
TEST_F(RecoverTest, LeavesAloneWhatASuccessorHasWrittenMeanwhile) {
  Write("outbox/left", "rows");
  request_.registers = [this](bool) -> Result<std::map<int32_t, proto::Register>> {
    Write("outbox/successor", "rows");
    return registers_;
  };
  ASSERT_TRUE(Recover().ok());
  EXPECT_EQ(Files(), Paths{"outbox/successor"});
}

// Its manifests are gone because a successor has newer ones, which share its files.
TEST_F(RecoverTest, RemovesNothingWhereAManifestCannotBeRead) {
  Commit(Recover()->committer, {1, 2});
  Write("outbox/left", "rows");
  SetRegister(1, 10);
  ASSERT_TRUE(storage_->Remove({"manifests/2-1.manifest"}).ok());
  ASSERT_TRUE(Recover().ok());
  EXPECT_EQ(Files(), (Paths{"manifests/1-1.manifest", "outbox/1", "outbox/2", "outbox/left",
                            "state/1", "state/2"}));
}

TEST_F(RecoverTest, FallsBackToAnOlderOneThatNothingWasPublishedBeyond) {
  Commit(Recover()->committer, {1, 2});
  Damage("outbox/2");
  SetRegister(1, 10);
  const Recovered recovered = Recover().ValueOrDie();
  EXPECT_EQ(recovered.plan.manifest.epoch(), 1);
  EXPECT_EQ(recovered.plan.last_epoch, Epoch(2));
  EXPECT_EQ(registers_asked_, 2);
  EXPECT_EQ(registers_fenced_, 1);  // there was somebody, who may still be publishing
  EXPECT_EQ(std::ranges::count(Files(), "state/2"), 1);  // the log names it still
}

TEST_F(RecoverTest, StopsWhereOutputWasPublishedBeyondTheOlderOne) {
  Commit(Recover()->committer, {1, 2});
  Damage("manifests/2-1.manifest");
  SetRegister(2, 11);
  EXPECT_EQ(CodeOf(Recover().status()), "checkpoint_damaged");
}

TEST_F(RecoverTest, FromAnOlderOneOrASavepointBeginsANewGeneration) {
  Commit(Recover()->committer, {1, 2});
  request_.from = Epoch(1);
  Recovered recovered = Recover().ValueOrDie();
  EXPECT_EQ(recovered.plan.manifest.epoch(), 1);
  EXPECT_EQ(recovered.plan.generation, "new");
  request_.from.reset();
  proto::Manifest manifest = recovered.plan.manifest;
  manifest.mutable_shards(0)->clear_segments();
  ASSERT_TRUE(storage_->WriteSavepoint("here", manifest).ok());
  request_.savepoint = "here";
  recovered = Recover().ValueOrDie();
  EXPECT_EQ(recovered.plan.kind, Kind::kRestore);
  EXPECT_EQ(recovered.plan.generation, "new");
  EXPECT_EQ(recovered.plan.last_epoch, Epoch(2));
  request_.savepoint = "nowhere";
  EXPECT_EQ(CodeOf(Recover().status()), "savepoint_missing");
}

TEST_F(RecoverTest, AFileThatTasksShareIsReadOnce) {
  CheckpointCommitter committer(Recover()->committer, storage_.get(), &log_);
  const proto::StoredFile shared = Write("state/shared", "shared");
  proto::Manifest manifest = ManifestOf(1, shared, Write("outbox/1", "rows"));
  for (int task = 0; task < 5; ++task) *manifest.add_tasks()->add_files() = shared;
  ASSERT_TRUE(committer.Commit(manifest).ok());
  const int before = filesystem_->OpenedCount("shared");
  EXPECT_EQ(Recover()->plan.kind, Kind::kRestore);
  EXPECT_EQ(filesystem_->OpenedCount("shared"), before + 1);
}

TEST_F(RecoverTest, TroubleWithTheLogIsTold) {
  log_.failure = ExternalError("log_damaged", "an entry", Retry::kNo);
  EXPECT_EQ(CodeOf(Recover().status()), "log_damaged");
}

TEST(MintGeneration, GivesThirtyTwoHexadecimalDigits) {
  const std::string id = MintGeneration();
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(id, MintGeneration());
}

}  // namespace
}  // namespace millrace
