#include "tests/simulation/leader.h"

#include "tests/simulation/participants.h"
#include "tests/simulation/publishing.h"

namespace millrace::simulation {
namespace {

constexpr MonotonicTime kTick = std::chrono::milliseconds(20);

}  // namespace

void CommitterActor::Commit(const std::shared_ptr<const proto::Manifest>& manifest,
                            Leader* leader) {
  const auto figures = committer_->Commit(*manifest);
  if (site_->dead()) return;
  ManifestCommitted committed{Epoch(manifest->epoch()), 0, 0, nullptr};
  if (!figures.ok()) committed.failure = std::make_shared<Status>(figures.status());
  leader->Tell(*this, committed);
}

void CommitterActor::Check(int32_t shard, Leader* leader) {
  const bool leads = log_->term() == site_->term;
  const Status status = committer_->CheckLeadership();
  if (site_->dead()) return;
  LeadershipChecked checked{shard, nullptr};
  if (!status.ok()) checked.failure = std::make_shared<Status>(status);
  if (status.ok() && leads) site_->permits.insert(shard);
  leader->Tell(*this, checked);
}

void Leader::Begin(LeaderPeers peers) {
  peers_ = std::move(peers);
  job_.Start(this);
  ScheduleAt(world()->now);
}

void Leader::Turn() {
  job_.OnTick(world()->now, this);
  if (!ended_.has_value()) ScheduleAt(world()->now + kTick);
}

void Leader::RequestStop() {
  Post(-1000, "stop", [this] { job_.RequestStop(world()->now, this); });
}

template <typename Function>
void Leader::ToReader(ParticipantId reader, const char* what, Function function) {
  ReaderActor* const actor = peers_.readers.at(reader);
  actor->Post(id(), what, [actor, function] { function(actor); });
}

void Leader::Send(ParticipantId reader, StreamWatermarkMoved moved) {
  ToReader(reader, "watermark", [moved](ReaderActor* actor) { actor->Take(moved); });
}
void Leader::Send(ParticipantId reader, OpenEpoch open) {
  ToReader(reader, "open epoch", [open](ReaderActor* actor) { actor->Take(open); });
}
void Leader::Send(ParticipantId reader, CheckpointCompleted completed) {
  ToReader(reader, "completed", [completed](ReaderActor* actor) { actor->Take(completed); });
}
void Leader::Send(ParticipantId reader, PauseReading pause) {
  ToReader(reader, "pause", [pause](ReaderActor* actor) { actor->Take(pause); });
}
void Leader::Send(ParticipantId reader, FinishReading finish) {
  ToReader(reader, "finish", [finish](ReaderActor* actor) { actor->Take(finish); });
}
void Leader::Send(ParticipantId reader, PartitionFloor floor) {
  ToReader(reader, "floor", [floor](ReaderActor* actor) { actor->Take(floor); });
}

void Leader::Commit(std::shared_ptr<const proto::Manifest> manifest) {
  if (world()->bug == Bug::kPublishBeforeCommit) {
    for (const proto::ShardState& shard : manifest->shards()) {
      ReleasedSegments early{shard.shard(), Epoch(manifest->epoch()), {}};
      for (const proto::Segment& segment : shard.segments()) {
        if (Epoch(segment.epoch()) > committed_) early.segments.push_back(segment);
      }
      Release(std::move(early));
    }
  }
  CommitterActor* const committer = peers_.committer;
  committer->Post(id(), "commit",
                  [this, committer, manifest] { committer->Commit(manifest, this); });
}

void Leader::Take(const ManifestCommitted& what) {
  if (what.failure == nullptr) committed_ = what.epoch;
  job_.OnCommitted(what, world()->now, world()->wall, this);
}

void Leader::CheckLeadership(int32_t shard) {
  if (world()->bug == Bug::kNoPermission) return Take(LeadershipChecked{shard, nullptr});
  CommitterActor* const committer = peers_.committer;
  committer->Post(id(), "check", [this, committer, shard] { committer->Check(shard, this); });
}

void Leader::Permit(int32_t shard) {
  SegmentActor* const publisher = peers_.segments.at(shard);
  publisher->Post(id(), "permitted", [publisher] { publisher->Permitted(); });
}

void Leader::Release(ReleasedSegments released) {
  SegmentActor* const publisher = peers_.segments.at(released.shard);
  publisher->Post(id(), "released", [publisher, released] { publisher->Released(released); });
}

void Leader::Release(ReleasedRoll released) {
  RollActor* const rolls = peers_.rolls;
  rolls->Post(id(), "released", [rolls, released] { rolls->Publish(released); });
}

void Leader::OnAbandoned(Epoch epoch, const std::string& why) {
  world()->Trace(site_->name() + " gives epoch " + std::to_string(epoch.value()) + " up: " + why);
}

}  // namespace millrace::simulation
