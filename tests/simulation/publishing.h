// The publishers of a simulated process.
#pragma once

#include <memory>

#include "tests/simulation/actor.h"
#include "tests/simulation/leader.h"
#include "worker/roll_publisher.h"
#include "worker/segment_publisher.h"

namespace millrace::simulation {

struct SegmentParts {
  std::unique_ptr<PublisherOutput> output;  // outlives the publisher
  std::unique_ptr<SegmentPublisher> publisher;
};

class SegmentActor final : public Actor, public SegmentPublisherHost {
 public:
  SegmentActor(Site* site, int id, int32_t shard, Leader* leader)
      : Actor(site, id, "publisher." + std::to_string(shard)), shard_(shard), leader_(leader) {}
  void Begin(SegmentParts parts);
  void Released(const ReleasedSegments& released);
  void Permitted();

  // SegmentPublisherHost
  void AskPermission() override { leader_->Tell(*this, millrace::AskPermission{shard_}); }
  void Published(Epoch epoch, int64_t next_row) override {
    leader_->TellTwice(*this, SegmentsPublished{shard_, epoch, next_row});
  }
  void Warn(const std::string& message) override;

 private:
  void Turn() override;
  const int32_t shard_;
  Leader* const leader_;
  SegmentParts parts_;
  bool failed_ = false;
};

class RollActor final : public Actor {
 public:
  RollActor(Site* site, int id, Leader* leader) : Actor(site, id, "rolls"), leader_(leader) {}
  void Begin(std::unique_ptr<RollPublisher> publisher) { publisher_ = std::move(publisher); }
  void Publish(const ReleasedRoll& released);

 private:
  Leader* const leader_;
  std::unique_ptr<RollPublisher> publisher_;
  bool failed_ = false;
};

}  // namespace millrace::simulation
