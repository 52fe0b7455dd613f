#include "coordinator/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::ElementsAre;

ActorPlan OfSlot(ActorKind kind, int32_t index) {
  ActorPlan actor;
  actor.kind = kind;
  actor.index = index;
  return actor;
}

ActorPlan OfShard(ActorKind kind, int32_t shard) {
  ActorPlan actor;
  actor.kind = kind;
  actor.shard = shard;
  return actor;
}

TEST(PlaceActors, ReadersAndTasksAreWhereTheirSlotIs) {
  JobLayout layout;
  layout.actors = {OfSlot(ActorKind::kReader, 0), OfSlot(ActorKind::kReader, 1),
                   OfSlot(ActorKind::kTask, 0), OfSlot(ActorKind::kTask, 1),
                   OfSlot(ActorKind::kTask, 2)};
  EXPECT_THAT(PlaceActors(layout, {"a", "b", "c"}), ElementsAre("a", "b", "a", "b", "c"));
}

TEST(PlaceActors, ShardsAreSpreadOverTheSlotsWithWhatPublishesThem) {
  JobLayout layout;
  for (int32_t shard = 0; shard < 4; ++shard) {
    layout.actors.push_back(OfShard(ActorKind::kOutbox, shard));
  }
  layout.actors.push_back(OfShard(ActorKind::kSegmentPublisher, 1));
  layout.actors.push_back(OfShard(ActorKind::kRollPublisher, 3));
  EXPECT_THAT(PlaceActors(layout, {"a", "a", "a", "a", "b", "b", "b", "b"}),
              ElementsAre("a", "a", "b", "b", "a", "b"));
  EXPECT_THAT(PlaceActors(layout, {"a", "b"}), ElementsAre("a", "a", "b", "b", "a", "b"));
  EXPECT_THAT(PlaceActors(layout, {"a"}), ElementsAre("a", "a", "a", "a", "a", "a"));
}

}  // namespace
}  // namespace millrace
