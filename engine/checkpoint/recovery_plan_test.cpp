#include "engine/checkpoint/recovery_plan.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

using Kind = RecoveryPlan::Kind;
using Generations = std::vector<std::string>;

// One shard whose rows end at 10 times the epoch.
proto::Manifest ManifestOf(int64_t epoch, const std::string& generation = "g") {
  proto::Manifest manifest;
  manifest.set_epoch(epoch);
  manifest.set_generation(generation);
  manifest.add_ancestors("parent");
  proto::ShardState* const shard = manifest.add_shards();
  shard->set_next_row(epoch * 10);
  shard->set_published_row(epoch * 10 - 10);
  shard->set_published_epoch(epoch - 1);
  proto::Segment* const segment = shard->add_segments();
  segment->set_first_row(epoch * 10 - 10);
  segment->set_rows(10);
  segment->set_epoch(epoch);
  return manifest;
}

FoundCheckpoint Whole(int64_t epoch, const std::string& generation = "g") {
  return {Epoch(epoch), generation, ManifestOf(epoch, generation), Status::OK()};
}
FoundCheckpoint Damaged(int64_t epoch, const std::string& generation = "g") {
  return {Epoch(epoch), generation, std::nullopt,
          ExternalError("checkpoint_damaged", "a file is missing", Retry::kNo)};
}

proto::Register Register(int64_t epoch, int64_t next_row, const std::string& generation = "g") {
  proto::Register state;
  state.set_generation(generation);
  state.set_epoch(epoch);
  state.set_next_row(next_row);
  return state;
}

RecoveryFacts Facts(std::vector<FoundCheckpoint> checkpoints) {
  RecoveryFacts facts;
  facts.job = "job";
  facts.checkpoints = std::move(checkpoints);
  return facts;
}

RecoveryWish Minted() {
  RecoveryWish wish;
  wish.minted = "new";
  return wish;
}

std::string Code(const Result<RecoveryPlan>& plan) {
  const ErrorDetail* const detail = ErrorDetail::Of(plan.status());
  return detail == nullptr ? plan.status().ToString() : detail->code();
}

TEST(PlanRecovery, WithoutAnythingItIsAFreshStart) {
  const auto plan = PlanRecovery(Facts({}), Minted()).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kFresh);
  EXPECT_EQ(plan.generation, "new");
  EXPECT_EQ(plan.last_epoch, Epoch(0));
  EXPECT_FALSE(plan.accept_foreign);
}

TEST(PlanRecovery, GoesOnFromTheNewestInItsGeneration) {
  const auto plan = PlanRecovery(Facts({Whole(5), Whole(4)}), Minted()).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kRestore);
  EXPECT_EQ(plan.manifest.epoch(), 5);
  EXPECT_EQ(plan.generation, "g");
  EXPECT_EQ(plan.ancestors, Generations{"parent"});
  EXPECT_EQ(plan.last_epoch, Epoch(5));
  EXPECT_EQ(plan.manifest.shards(0).published_row(), 40);
}

TEST(PlanRecovery, AFinishedJobIsFinished) {
  auto facts = Facts({Whole(5)});
  facts.checkpoints[0].manifest->set_finished(true);
  EXPECT_EQ(PlanRecovery(facts, Minted())->kind, Kind::kFinished);
}

TEST(PlanRecovery, AFreshStartRefusesToFollowWhatItDoesNotKnow) {
  auto facts = Facts({});
  facts.registers[1] = Register(3, 30, "other");
  EXPECT_EQ(Code(PlanRecovery(facts, Minted())), "generation_is_foreign");
  facts.registers.clear();
  facts.file_registers["files"] = Register(3, 0, "other");
  EXPECT_EQ(Code(PlanRecovery(facts, Minted())), "generation_is_foreign");
  RecoveryWish wish = Minted();
  wish.new_generation = true;
  const auto plan = PlanRecovery(facts, wish).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kFresh);
  EXPECT_TRUE(plan.accept_foreign);
  EXPECT_EQ(plan.last_epoch, Epoch(3));
}

TEST(PlanRecovery, FallsBackWhereNothingWasPublishedBeyondAndNumbersOnAfterTheDamagedOne) {
  auto facts = Facts({Damaged(5), Whole(4)});
  facts.registers[0] = Register(4, 40);
  facts.file_registers["files"] = Register(4, 0);
  const auto plan = PlanRecovery(facts, Minted()).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kRestore);
  EXPECT_EQ(plan.manifest.epoch(), 4);
  EXPECT_EQ(plan.generation, "g");
  EXPECT_EQ(plan.last_epoch, Epoch(5));
  EXPECT_EQ(plan.notes.size(), 1u);
}

TEST(PlanRecovery, StopsWhereAnyShardOrFileWasPublishedBeyond) {
  auto facts = Facts({Damaged(5), Whole(4)});
  facts.registers[0] = Register(5, 41);
  EXPECT_EQ(Code(PlanRecovery(facts, Minted())), "checkpoint_damaged");
  facts.registers[0] = Register(4, 40);
  facts.file_registers["files"] = Register(5, 0);
  EXPECT_EQ(Code(PlanRecovery(facts, Minted())), "checkpoint_damaged");
}

TEST(PlanRecovery, AnotherGenerationsCheckpointIsNoFallback) {
  EXPECT_EQ(Code(PlanRecovery(Facts({Damaged(5, "h"), Whole(4, "g")}), Minted())),
            "checkpoint_damaged");
}

TEST(PlanRecovery, AFormatThatIsTooNewIsToldAndNotPassedOver) {
  auto facts = Facts({Damaged(5), Whole(4)});
  facts.checkpoints[0].damage = UserError("format_too_new", "of format 2");
  EXPECT_EQ(Code(PlanRecovery(facts, Minted())), "format_too_new");
}

TEST(PlanRecovery, FromAnOlderOneBeginsAGenerationWhoseRowsAreCountedFromZero) {
  RecoveryWish wish = Minted();
  wish.from = Epoch(4);
  const auto plan = PlanRecovery(Facts({Whole(6, "h"), Whole(4)}), wish).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kRestore);
  EXPECT_EQ(plan.generation, "new");
  EXPECT_EQ(plan.ancestors, (Generations{"g", "parent", "h"}));
  EXPECT_EQ(plan.last_epoch, Epoch(6));
  const proto::ShardState& shard = plan.manifest.shards(0);
  EXPECT_EQ(shard.next_row(), 10);
  EXPECT_EQ(shard.segments(0).first_row(), 0);
  EXPECT_EQ(shard.published_row(), 0);
  EXPECT_EQ(shard.published_epoch(), 0);
  wish.from = Epoch(3);
  EXPECT_EQ(Code(PlanRecovery(Facts({Whole(4)}), wish)), "checkpoint_missing");
}

TEST(PlanRecovery, ASavepointBeginsAGenerationThatDescendsFromIt) {
  RecoveryWish wish = Minted();
  wish.savepoint = ManifestOf(2);
  wish.savepoint->set_finished(true);
  wish.savepoint->mutable_shards(0)->clear_segments();
  auto facts = Facts({Whole(7, "h")});
  const auto plan = PlanRecovery(facts, wish).ValueOrDie();
  EXPECT_EQ(plan.kind, Kind::kRestore);
  EXPECT_FALSE(plan.manifest.finished());
  EXPECT_EQ(plan.generation, "new");
  EXPECT_EQ(plan.ancestors, (Generations{"g", "parent", "h"}));
  EXPECT_EQ(plan.last_epoch, Epoch(7));
  EXPECT_EQ(plan.manifest.shards(0).next_row(), 0);
}

}  // namespace
}  // namespace millrace
