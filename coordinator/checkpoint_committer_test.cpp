#include "coordinator/checkpoint_committer.h"

#include "coordinator/storage_testing.h"

namespace millrace {
namespace {

using test::CodeOf;
using Paths = std::vector<std::string>;

class CheckpointCommitterTest : public test::StorageTest {
 protected:
  CheckpointCommitterTest() {
    proto::LogEntry claim;
    claim.set_term(1);
    claim.mutable_claim();
    log_.Append(1, claim).ValueOrDie();
    options_.term = 1;
    options_.next_index = 2;
    options_.retain = 2;
    committer_.emplace(options_, storage_.get(), &log_);
  }
  // Epoch e has a state file of its own, one that all share, and a segment.
  proto::Manifest Make(int64_t epoch) {
    const std::string name = std::to_string(epoch);
    auto manifest =
        ManifestOf(epoch, Write("state/" + name, "state"), Write("outbox/" + name, "segment"));
    *manifest.mutable_tasks(0)->add_files() = shared_;
    return manifest;
  }

  const proto::StoredFile shared_ = Write("state/shared", "shared");
  CommitterOptions options_;
  std::optional<CheckpointCommitter> committer_;
};

TEST_F(CheckpointCommitterTest, ACheckpointCountsOnceThePointerIsInTheLog) {
  const proto::Manifest manifest = Make(1);
  const CommitFigures figures = committer_->Commit(manifest).ValueOrDie();
  EXPECT_EQ(figures.bytes, 5 + 6 + 7);
  EXPECT_EQ(figures.uploaded_bytes, 5 + 6 + 7);
  EXPECT_EQ(log_.Text(), "1:claim@1 2:epoch 1@1");
  const proto::ManifestPointer& pointer = log_.entries[1].entry.manifest();
  EXPECT_EQ(pointer.generation(), "g");
  const proto::Manifest read = storage_->ReadManifest(pointer.file()).ValueOrDie();
  EXPECT_EQ(read.shards(0).next_row(), 10);
  EXPECT_EQ(committer_->Commit(Make(2))->uploaded_bytes, 5 + 7);  // what is shared was there
}

TEST_F(CheckpointCommitterTest, AFileThatTasksShareIsReadOnce) {
  proto::Manifest manifest = Make(1);
  for (int task = 0; task < 5; ++task) *manifest.add_tasks()->add_files() = shared_;
  EXPECT_EQ(committer_->Commit(manifest)->uploaded_bytes, 5 + 6 + 7);
  EXPECT_EQ(filesystem_->OpenedCount("shared"), 1);
}

TEST_F(CheckpointCommitterTest, KeepsTheNewestAndRemovesWhatOnlyOlderOnesHad) {
  for (int64_t epoch = 1; epoch <= 3; ++epoch) ASSERT_TRUE(committer_->Commit(Make(epoch)).ok());
  EXPECT_EQ(log_.Text(), "3:epoch 2@1 4:epoch 3@1");
  EXPECT_EQ(Files(), (Paths{"manifests/2-1.manifest", "manifests/3-1.manifest", "outbox/2",
                            "outbox/3", "state/2", "state/3", "state/shared"}));
}

TEST_F(CheckpointCommitterTest, ADamagedFileFailsTheEpochAndMayBeTriedAgain) {
  const proto::Manifest manifest = Make(1);
  Damage("state/1");
  const Status status = committer_->Commit(manifest).status();
  EXPECT_EQ(CodeOf(status), "checkpoint_damaged");
  EXPECT_EQ(ErrorDetail::Of(status)->retry(), Retry::kYes);
  EXPECT_EQ(log_.Text(), "1:claim@1");
  EXPECT_TRUE(committer_->Commit(Make(2)).ok());
  EXPECT_EQ(log_.Text(), "1:claim@1 2:epoch 2@1");
}

// A segment that was lost is in every later checkpoint too.
TEST_F(CheckpointCommitterTest, AFileThatStaysDamagedEndsTheJob) {
  proto::Manifest manifest = Make(1);
  Damage("outbox/1");
  EXPECT_EQ(ErrorDetail::Of(committer_->Commit(manifest).status())->retry(), Retry::kYes);
  manifest.set_epoch(2);
  const Status status = committer_->Commit(manifest).status();
  EXPECT_EQ(CodeOf(status), "checkpoint_damaged");
  EXPECT_EQ(ErrorDetail::Of(status)->retry(), Retry::kNo);
}

// Its successor takes its files for leftovers: it must not try for ever.
TEST_F(CheckpointCommitterTest, WhoseFilesASuccessorHasRemovedIsToldSo) {
  const proto::Manifest manifest = Make(1);
  proto::LogEntry claim;
  claim.set_term(2);
  claim.mutable_claim();
  log_.Append(2, claim).ValueOrDie();
  ASSERT_TRUE(storage_->Remove({"outbox/1"}).ok());
  EXPECT_EQ(CodeOf(committer_->Commit(manifest).status()), "superseded");
}

TEST_F(CheckpointCommitterTest, ASuccessorsClaimEndsIt) {
  EXPECT_TRUE(committer_->CheckLeadership().ok());
  proto::LogEntry claim;
  claim.set_term(2);
  claim.mutable_claim();
  log_.Append(2, claim).ValueOrDie();
  EXPECT_EQ(CodeOf(committer_->CheckLeadership()), "superseded");
  EXPECT_EQ(CodeOf(committer_->Commit(Make(1)).status()), "superseded");
  EXPECT_EQ(log_.Text(), "1:claim@1 2:claim@2");
}

TEST_F(CheckpointCommitterTest, NothingIsRemovedByOneThatWasSuperseded) {
  for (int64_t epoch = 1; epoch <= 2; ++epoch) ASSERT_TRUE(committer_->Commit(Make(epoch)).ok());
  proto::LogEntry claim;
  claim.set_term(2);
  claim.mutable_claim();
  const auto before = Files();
  log_.before_append = [&] { log_.Append(4, claim).ValueOrDie(); };
  const proto::Manifest manifest = Make(3);
  EXPECT_EQ(CodeOf(committer_->Commit(manifest).status()), "superseded");
  for (const std::string& path : before) {
    EXPECT_TRUE(std::ranges::count(Files(), path) == 1) << path;
  }
}

TEST_F(CheckpointCommitterTest, WhatWasRetainedBeforeTheStartIsRemovedInItsTurn) {
  for (int64_t epoch = 1; epoch <= 2; ++epoch) ASSERT_TRUE(committer_->Commit(Make(epoch)).ok());
  CommitterOptions options;
  options.term = 2;
  options.next_index = 5;
  options.retain = 2;
  proto::LogEntry claim;
  claim.set_term(2);
  claim.mutable_claim();
  log_.Append(4, claim).ValueOrDie();
  for (const IndexedEntry& entry : log_.entries) {
    if (!entry.entry.has_manifest()) continue;
    const auto file = entry.entry.manifest().file();
    options.retained.push_back(
        {entry.index, file, FilesOf(storage_->ReadManifest(file).ValueOrDie())});
  }
  CheckpointCommitter successor(options, storage_.get(), &log_);
  ASSERT_TRUE(successor.Commit(Make(3)).ok());
  EXPECT_EQ(log_.Text(), "3:epoch 2@1 4:claim@2 5:epoch 3@2");
  EXPECT_EQ(std::ranges::count(Files(), "state/1"), 0);
  EXPECT_EQ(std::ranges::count(Files(), "state/2"), 1);
}

}  // namespace
}  // namespace millrace
