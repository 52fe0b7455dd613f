#include "coordinator/job_coordinator.h"

#include <algorithm>

namespace millrace {
namespace {

// In place of a shard: leadership is asked for because something failed.
constexpr int32_t kAfterFailure = -1;

// While all partitions are idle the watermark goes on with time, in steps of this: every step is a
// message to every task.
constexpr MonotonicTime kIdleStep = std::chrono::milliseconds(100);

}  // namespace

namespace {

std::vector<proto::ShardState> RestoredShards(const std::optional<proto::Manifest>& manifest) {
  if (!manifest.has_value()) return {};
  return {manifest->shards().begin(), manifest->shards().end()};
}

Epoch RestoredEpoch(const CoordinatorPlan& plan) {
  return plan.restored.has_value() ? Epoch(plan.restored->epoch()) : plan.last_epoch;
}

}  // namespace

JobCoordinator::JobCoordinator(CoordinatorPlan plan)
    : plan_(std::move(plan)),
      checkpoints_(plan_.participants, plan_.limits, plan_.last_epoch),
      ledger_(plan_.identity.sink_shards, RestoredShards(plan_.restored), RestoredEpoch(plan_)) {
  for (const auto& source : plan_.sources) {
    SourceState state;
    state.plan = source;
    state.told = source.watermark;
    state.watermark.Restore(source.watermark);
    for (const auto& [partition, reader] : source.partitions) {
      state.watermark.AddPartition(partition);
    }
    sources_.push_back(std::move(state));
  }
}

JobCoordinator::SourceState* JobCoordinator::StateOf(NodeId source, CoordinatorHost* host) {
  const auto found = std::ranges::find_if(
      sources_, [&](const SourceState& state) { return state.plan.node == source; });
  if (found != sources_.end()) return &*found;
  Refuse("node " + std::to_string(source.value()) + ", which is no source of the job", host);
  return nullptr;
}

void JobCoordinator::Refuse(const std::string& what, CoordinatorHost* host) {
  const Status status = InternalError("unexpected_message", "a reader tells of " + what);
  OnFailed({"", std::make_shared<Status>(status)}, host);
}

void JobCoordinator::OnTick(MonotonicTime now, CoordinatorHost* host) {
  if (stop_wanted_) Finish(/*drain=*/false, now, host);
  FinishIfAllEnded(now, host);  // where there is nothing to read, nobody tells its end
  if (state_ != State::kRunning) return;
  for (SourceState& source : sources_) {
    if (source.watermark.moves_with_time() && now - source.advanced >= kIdleStep) {
      source.advanced = now;
      source.fetched = now;
      Advance(&source, now, host);
    }
  }
  if (const auto late = checkpoints_.TimedOut(now)) {
    Abandon(*late, "it was not acknowledged by everyone in time", host);
  }
  OpenSavepoint(now, host);
  OpenIfDue(now, host);
  PauseIfNeeded(now, host);
}

void JobCoordinator::Start(CoordinatorHost* host) { ReleaseAll(ledger_.Recovered(), host); }

CheckpointCoordinator::Unpublished JobCoordinator::Unpublished() const {
  CheckpointCoordinator::Unpublished unpublished;
  unpublished.epochs = ledger_.unpublished_epochs();
  unpublished.bytes = ledger_.unpublished_bytes();
  for (const auto& [outbox, bytes] : unsealed_) unpublished.bytes += bytes;
  unpublished.recovered = ledger_.recovered_left();
  return unpublished;
}

void JobCoordinator::Abandon(Epoch epoch, const std::string& why, CoordinatorHost* host) {
  checkpoints_.Abandon(epoch);
  host->OnAbandoned(epoch, why);
  const bool of_savepoint = savepoint_.has_value() && savepoint_->checkpoint.has_value() &&
                            savepoint_->checkpoint->epoch == epoch;
  if (of_savepoint) {
    EndSavepoint(
        ExternalError("savepoint_failed", "its checkpoint was given up: " + why, Retry::kYes),
        host);
  }
}

std::vector<SourceProgress> JobCoordinator::Sources() const {
  std::vector<SourceProgress> sources;
  for (const SourceState& source : sources_) {
    SourceProgress& progress = sources.emplace_back();
    progress.node = source.plan.node;
    progress.watermark = source.told;
    progress.partitions = int64_t(source.watermark.partitions().size());
    progress.holder = source.watermark.Holder();
    std::optional<EventTime> next;
    for (const auto& [partition, state] : source.watermark.partitions()) {
      if (state.idle && progress.idle.size() < SourceProgress::kIdleShown) {
        progress.idle.push_back(partition);
      }
      if (state.idle || state.ended || partition == progress.holder) continue;
      if (!next.has_value() || state.watermark < *next) next = state.watermark;
    }
    if (!next.has_value()) continue;
    const EventTime held = source.watermark.partitions().at(*progress.holder).watermark;
    if (held != kEventTimeMin) progress.holds_by = *next - held;
  }
  return sources;
}

void JobCoordinator::RequestSavepoint(const std::string& name, MonotonicTime now,
                                      CoordinatorHost* host) {
  if (state_ != State::kRunning || stop_wanted_) {
    return host->OnSavepoint(
        name, UserError("job_is_ending", "the job is ending: make the savepoint once it has"));
  }
  if (savepoint_.has_value()) {
    return host->OnSavepoint(
        name, UserError("savepoint_in_progress",
                        "savepoint '" + savepoint_->name + "' is being made; ask again"));
  }
  savepoint_ = Savepoint{name, std::nullopt, false, false};
  OpenSavepoint(now, host);
}

// One epoch at a time; and first of all what a restart found.
bool JobCoordinator::MayOpenNow() const {
  return !checkpoints_.pending().has_value() && !ledger_.recovered_left();
}

void JobCoordinator::OpenSavepoint(MonotonicTime now, CoordinatorHost* host) {
  if (!savepoint_.has_value() || savepoint_->checkpoint.has_value()) return;
  if (!MayOpenNow()) return;
  savepoint_->checkpoint = PendingCheckpoint{checkpoints_.OpenNow(now), now, {}, false};
  unsealed_.clear();
  ToReaders(OpenEpoch{savepoint_->checkpoint->epoch}, host);
}

void JobCoordinator::WriteSavepointIfPublished(EventTime wall, CoordinatorHost* host) {
  if (!savepoint_.has_value() || !savepoint_->committed || savepoint_->writing) return;
  if (!ledger_.empty()) return;
  savepoint_->writing = true;
  proto::Manifest manifest = ManifestOf(*savepoint_->checkpoint, wall);
  manifest.set_savepoint(savepoint_->name);
  host->WriteSavepoint(std::make_shared<const proto::Manifest>(std::move(manifest)));
}

void JobCoordinator::OnSavepointWritten(const SavepointWritten& written, CoordinatorHost* host) {
  EndSavepoint(written.failure == nullptr ? Status::OK() : *written.failure, host);
}

void JobCoordinator::EndSavepoint(const Status& status, CoordinatorHost* host) {
  if (!savepoint_.has_value()) return;
  const std::string name = savepoint_->name;
  savepoint_.reset();
  host->OnSavepoint(name, status);
}

proto::Manifest JobCoordinator::ManifestOf(const PendingCheckpoint& checkpoint,
                                           EventTime wall) const {
  return BuildManifest(
      plan_.identity, checkpoint, ledger_.Snapshot(),
      plan_.restored.has_value() ? plan_.restored->account() : proto::AccountCounts(), wall);
}

void JobCoordinator::OpenIfDue(MonotonicTime now, CoordinatorHost* host) {
  if (savepoint_.has_value()) return;  // what follows it would add to its output
  CheckpointCoordinator::Unpublished unpublished = Unpublished();
  // What no epoch has released yet can only be published by opening the next one.
  if (ledger_.all_published()) unpublished.bytes = 0;
  if (const auto epoch = checkpoints_.MaybeOpen(now, unpublished)) {
    unsealed_.clear();
    ToReaders(OpenEpoch{*epoch}, host);
  }
  if (checkpoints_.blocked() == Blocked::kNo) {
    blocked_since_.reset();
    return;
  }
  if (!blocked_since_.has_value()) blocked_since_ = now;
  host->OnBlocked(checkpoints_.blocked(), *blocked_since_);
}

// Readers wait while more output waits than may: what is read meanwhile would only add to it.
void JobCoordinator::PauseIfNeeded(MonotonicTime now, CoordinatorHost* host) {
  const auto unpublished = Unpublished();
  const bool pause = unpublished.epochs > plan_.limits.unpublished_epochs_max ||
                     unpublished.bytes > plan_.limits.outbox_bytes_max;
  if (pause == paused_) return;
  paused_ = pause;
  ToReaders(PauseReading{pause}, host);
}

template <typename Message>
void JobCoordinator::ToReaders(const Message& message, CoordinatorHost* host) {
  for (const SourceState& source : sources_) {
    for (ParticipantId reader : source.plan.readers) host->Send(reader, message);
  }
}

void JobCoordinator::OnReport(const WatermarkReport& report, MonotonicTime now,
                              CoordinatorHost* host) {
  SourceState* const source = StateOf(report.source, host);
  if (source == nullptr) return;
  for (const auto& [partition, watermark] : report.partitions) {
    source->watermark.Report(partition, watermark);
  }
  source->fetched = report.fetched;
  Advance(source, now, host);
}

void JobCoordinator::OnIdle(const PartitionIdle& idle, MonotonicTime now, CoordinatorHost* host) {
  SourceState* const source = StateOf(idle.source, host);
  if (source == nullptr) return;
  source->watermark.SetIdle(idle.partition, now);
  source->fetched = now;
  Advance(source, now, host);
}

void JobCoordinator::OnActive(const PartitionActive& active, MonotonicTime now,
                              CoordinatorHost* host) {
  SourceState* const source = StateOf(active.source, host);
  if (source == nullptr) return;
  const auto reader = source->plan.partitions.find(active.partition);
  if (reader == source->plan.partitions.end()) {
    return Refuse("partition " + std::to_string(active.partition.partition) + " of topic '" +
                      active.partition.topic + "', which nobody reads",
                  host);
  }
  const EventTime floor = source->watermark.SetActive(active.partition, now);
  host->Send(reader->second, PartitionFloor{active.partition, floor});
}

void JobCoordinator::OnEnded(const PartitionEnded& ended, MonotonicTime now,
                             CoordinatorHost* host) {
  SourceState* const source = StateOf(ended.source, host);
  if (source == nullptr) return;
  source->watermark.SetEnded(ended.partition, now);
  ++source->ended;
  // A topic is treated as ended after a while without records, which is nobody's latency.
  if (!source->plan.bounded) source->fetched = now;
  Advance(source, now, host);
  FinishIfAllEnded(now, host);
}

void JobCoordinator::FinishIfAllEnded(MonotonicTime now, CoordinatorHost* host) {
  if (std::ranges::all_of(sources_, &SourceState::all_ended)) Finish(/*drain=*/true, now, host);
}

void JobCoordinator::OnFound(const PartitionFound& found, CoordinatorHost* host) {
  if (state_ != State::kRunning) return;
  SourceState* const source = StateOf(found.source, host);
  if (source == nullptr) return;
  if (source->plan.partitions.contains(found.start.partition)) return;
  // To the reader with the fewest.
  std::map<ParticipantId, size_t> load;
  for (ParticipantId reader : source->plan.readers) load[reader] = 0;
  for (const auto& [partition, reader] : source->plan.partitions) ++load[reader];
  const auto least = std::min_element(
      load.begin(), load.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  source->plan.partitions[found.start.partition] = least->first;
  source->watermark.AddPartition(found.start.partition);
  host->Send(least->first, AddPartition{found.start});
}

// Tells the source's readers where its watermark is, if it moved. The end of a topic that is only
// treated as ended is told by FinishReading, after the last epoch: a committed horizon must stay
// what the readings said.
void JobCoordinator::Advance(SourceState* source, MonotonicTime now, CoordinatorHost* host) {
  const EventTime watermark = source->watermark.Advance(now);
  if (watermark <= source->told) return;
  if (watermark == kEventTimeMax && !source->plan.bounded) return;
  source->told = watermark;
  for (ParticipantId reader : source->plan.readers) {
    host->Send(reader, StreamWatermarkMoved{watermark, source->fetched});
  }
}

void JobCoordinator::OnAcknowledge(const Acknowledge& acknowledge, EventTime wall,
                                   CoordinatorHost* host) {
  const proto::Acknowledgement& what = *acknowledge.what;
  switch (checkpoints_.Acknowledge(acknowledge.participant, acknowledge.epoch, what)) {
    case AckResult::kAccepted:
    case AckResult::kLate:  // its rows are sealed: they go with the next epoch
      if (what.has_shard()) ledger_.Add(what.shard(), acknowledge.epoch);
      break;
    case AckResult::kDuplicate:
    case AckResult::kUnknownEpoch:
    case AckResult::kUnknownParticipant:
      return;
  }
  CommitIfAcknowledged(wall, host);
}

void JobCoordinator::CommitIfAcknowledged(EventTime wall, CoordinatorHost* host) {
  const PendingCheckpoint* const acknowledged = checkpoints_.TakeAcknowledged();
  if (acknowledged == nullptr) return;
  if (acknowledged->epoch == last_epoch_) {
    ledger_.RollAll(acknowledged->epoch);
    last_ = *acknowledged;
  }
  if (savepoint_.has_value() && savepoint_->checkpoint.has_value() &&
      savepoint_->checkpoint->epoch == acknowledged->epoch) {
    ledger_.RollAll(acknowledged->epoch);
    savepoint_->checkpoint = *acknowledged;
  }
  host->Commit(std::make_shared<const proto::Manifest>(ManifestOf(*acknowledged, wall)));
}

void JobCoordinator::OnCommitted(const ManifestCommitted& committed, MonotonicTime now,
                                 EventTime wall, CoordinatorHost* host) {
  if (state_ == State::kEnded) return;
  if (committed.failure != nullptr) {
    const ErrorDetail* const detail = ErrorDetail::Of(*committed.failure);
    const bool again = detail != nullptr && detail->retry() == Retry::kYes;
    // The last epoch has no next one to make up for it.
    if (!again || state_ != State::kRunning) return End(*committed.failure, host);
    Abandon(committed.epoch, committed.failure->message(), host);
    return;
  }
  if (state_ == State::kConfirming) return End(Status::OK(), host);
  auto completed = checkpoints_.OnCommitted(committed.epoch, now);
  if (!completed.has_value()) return;
  completed->bytes = committed.bytes;
  completed->uploaded_bytes = committed.uploaded_bytes;
  ReleaseAll(ledger_.Commit(committed.epoch), host);
  ToReaders(CheckpointCompleted{committed.epoch}, host);
  host->OnCompleted(*completed);
  if (state_ == State::kFinishing && committed.epoch == last_epoch_) state_ = State::kPublishing;
  if (savepoint_.has_value() && savepoint_->checkpoint.has_value() &&
      savepoint_->checkpoint->epoch == committed.epoch) {
    savepoint_->committed = true;
  }
  ConfirmIfPublished(wall, host);
}

void JobCoordinator::ReleaseAll(Released released, CoordinatorHost* host) {
  for (ReleasedSegments& segments : released.shards) host->Release(std::move(segments));
  for (ReleasedRoll& roll : released.rolls) host->Release(std::move(roll));
  host->OnUnpublished(ledger_.unpublished_epochs(), ledger_.unpublished_bytes());
}

void JobCoordinator::OnAskPermission(const AskPermission& ask, CoordinatorHost* host) {
  host->CheckLeadership(ask.shard);
}

void JobCoordinator::OnLeadership(const LeadershipChecked& checked, CoordinatorHost* host) {
  if (checked.failure != nullptr) return End(*checked.failure, host);
  if (checked.shard == kAfterFailure) return End(*failure_, host);
  host->Permit(checked.shard);
}

void JobCoordinator::OnPublished(const SegmentsPublished& published, EventTime wall,
                                 CoordinatorHost* host) {
  ledger_.OnPublished(published.shard, published.epoch, published.next_row);
  host->OnUnpublished(ledger_.unpublished_epochs(), ledger_.unpublished_bytes());
  ConfirmIfPublished(wall, host);
}

void JobCoordinator::OnRollPublished(const RollPublished& published, EventTime wall,
                                     CoordinatorHost* host) {
  ledger_.OnRollWritten(published.shard, published.sink, published.epoch);
  host->OnUnpublished(ledger_.unpublished_epochs(), ledger_.unpublished_bytes());
  ConfirmIfPublished(wall, host);
}

// The job ends with a checkpoint that knows that everything is published: the next start has
// nothing to publish, and a final file that somebody moves away meanwhile does not come back.
void JobCoordinator::ConfirmIfPublished(EventTime wall, CoordinatorHost* host) {
  WriteSavepointIfPublished(wall, host);
  if (state_ != State::kPublishing || int32_t(done_.size()) < plan_.participants) return;
  if (!ledger_.empty()) return;
  state_ = State::kConfirming;
  last_->epoch = Epoch(last_->epoch.value() + 1);
  proto::Manifest manifest = ManifestOf(*last_, wall);
  manifest.set_finished(drained_);
  host->Commit(std::make_shared<const proto::Manifest>(std::move(manifest)));
}

void JobCoordinator::RequestStop(MonotonicTime now, CoordinatorHost* host) {
  Finish(/*drain=*/false, now, host);
}

void JobCoordinator::Finish(bool drain, MonotonicTime now, CoordinatorHost* host) {
  if (state_ != State::kRunning) return;
  // Tried again at every tick.
  if (!MayOpenNow() || savepoint_.has_value()) {
    stop_wanted_ = stop_wanted_ || !drain;
    return;
  }
  state_ = State::kFinishing;
  drained_ = drain;
  last_epoch_ = checkpoints_.OpenNow(now);
  ToReaders(FinishReading{*last_epoch_, drain}, host);
}

void JobCoordinator::OnDone(const ParticipantDone& done, EventTime wall, CoordinatorHost* host) {
  done_.insert(done.participant);
  ConfirmIfPublished(wall, host);
}

// Where another process has taken the job over, all kinds of things fail in this one (its folders
// are gone, its producers fenced): that is what is to be told.
void JobCoordinator::OnFailed(const ParticipantFailed& failed, CoordinatorHost* host) {
  if (state_ == State::kEnded || failure_.has_value()) return;
  failure_ = *failed.status;
  host->CheckLeadership(kAfterFailure);
}

void JobCoordinator::End(const Status& status, CoordinatorHost* host) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  host->Ended(status);
}

}  // namespace millrace
