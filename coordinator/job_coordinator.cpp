#include "coordinator/job_coordinator.h"

#include <algorithm>

namespace millrace {
namespace {

// Epochs that may wait to be safe. File sinks hold epochs back until they roll a file.
constexpr size_t kPendingMax = 1024;

// While all partitions are idle the watermark goes on with time, in steps of this: every step is a
// message to every task.
constexpr MonotonicTime kIdleStep = std::chrono::milliseconds(100);

}  // namespace

std::map<TopicPartition, size_t> SpreadPartitions(const std::vector<TopicPartition>& partitions,
                                                  size_t readers) {
  std::vector<TopicPartition> sorted = partitions;
  std::sort(sorted.begin(), sorted.end());
  std::map<TopicPartition, size_t> spread;
  for (size_t i = 0; i < sorted.size(); ++i) spread[sorted[i]] = i % readers;
  return spread;
}

JobCoordinator::JobCoordinator(CoordinatorPlan plan)
    : plan_(std::move(plan)),
      checkpoints_(plan_.participants, plan_.checkpoint_interval, kPendingMax) {
  for (const auto& source : plan_.sources) {
    SourceState state;
    state.plan = source;
    for (const auto& [partition, reader] : source.partitions) {
      state.watermark.AddPartition(partition);
    }
    sources_.push_back(std::move(state));
  }
}

JobCoordinator::SourceState& JobCoordinator::StateOf(NodeId source) {
  return *std::find_if(sources_.begin(), sources_.end(),
                       [&](const SourceState& state) { return state.plan.node == source; });
}

void JobCoordinator::OnTick(MonotonicTime now, CoordinatorHost* host) {
  FinishIfAllEnded(now, host);  // where there is nothing to read, nobody tells its end
  if (state_ != State::kRunning) return;
  for (SourceState& source : sources_) {
    if (source.watermark.moves_with_time() && now - source.advanced >= kIdleStep) {
      source.advanced = now;
      source.fetched = now;
      Advance(&source, now, host);
    }
  }
  if (const auto epoch = checkpoints_.MaybeOpen(now)) {
    for (const SourceState& source : sources_) {
      for (ParticipantId reader : source.plan.readers) host->Send(reader, OpenEpoch{*epoch});
    }
    host->OnPending(checkpoints_.pending().size());
  } else if (checkpoints_.blocked_since().has_value()) {
    host->OnBlocked(*checkpoints_.blocked_since());
  }
}

void JobCoordinator::OnReport(const WatermarkReport& report, MonotonicTime now,
                              CoordinatorHost* host) {
  SourceState& source = StateOf(report.source);
  for (const auto& [partition, watermark] : report.partitions) {
    source.watermark.Report(partition, watermark);
  }
  source.fetched = report.fetched;
  Advance(&source, now, host);
}

void JobCoordinator::OnIdle(const PartitionIdle& idle, MonotonicTime now, CoordinatorHost* host) {
  SourceState& source = StateOf(idle.source);
  source.watermark.SetIdle(idle.partition, now);
  source.fetched = now;
  Advance(&source, now, host);
}

void JobCoordinator::OnActive(const PartitionActive& active, MonotonicTime now,
                              CoordinatorHost* host) {
  SourceState& source = StateOf(active.source);
  const EventTime floor = source.watermark.SetActive(active.partition, now);
  host->Send(source.plan.partitions.at(active.partition), PartitionFloor{active.partition, floor});
}

void JobCoordinator::OnEnded(const PartitionEnded& ended, MonotonicTime now,
                             CoordinatorHost* host) {
  SourceState& source = StateOf(ended.source);
  source.watermark.SetEnded(ended.partition, now);
  ++source.ended;
  // A topic is treated as ended after a while without records, which is nobody's latency.
  if (!source.plan.bounded) source.fetched = now;
  Advance(&source, now, host);
  FinishIfAllEnded(now, host);
}

void JobCoordinator::FinishIfAllEnded(MonotonicTime now, CoordinatorHost* host) {
  if (std::ranges::all_of(sources_, &SourceState::all_ended)) Finish(/*drain=*/true, now, host);
}

void JobCoordinator::OnFound(const PartitionFound& found, CoordinatorHost* host) {
  if (state_ != State::kRunning) return;
  SourceState& source = StateOf(found.source);
  if (source.plan.partitions.contains(found.start.partition)) return;
  // To the reader with the fewest.
  std::map<ParticipantId, size_t> load;
  for (ParticipantId reader : source.plan.readers) load[reader] = 0;
  for (const auto& [partition, reader] : source.plan.partitions) ++load[reader];
  const auto least = std::min_element(
      load.begin(), load.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  source.plan.partitions[found.start.partition] = least->first;
  source.watermark.AddPartition(found.start.partition);
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

void JobCoordinator::OnReaderAtBarrier(const ReaderAtBarrier& at, MonotonicTime now,
                                       CoordinatorHost* host) {
  forwarded_[at.epoch][at.participant] = at.forwarded;
  Acknowledge(at.participant, at.epoch, now, host);
}

void JobCoordinator::OnSafe(const EpochSafe& safe, MonotonicTime now, CoordinatorHost* host) {
  Acknowledge(safe.participant, safe.epoch, now, host);
}

void JobCoordinator::Acknowledge(ParticipantId participant, Epoch epoch, MonotonicTime now,
                                 CoordinatorHost* host) {
  checkpoints_.Acknowledge(participant, epoch);
  const auto completed = checkpoints_.TakeCompleted(now);
  if (!completed.has_value()) return;
  Commit(completed->epoch, host);
  host->OnPending(checkpoints_.pending().size());
  host->OnCompleted(*completed);
  EndIfAllDone(host);
}

void JobCoordinator::Commit(Epoch epoch, CoordinatorHost* host) {
  const auto at = forwarded_.find(epoch);
  if (at != forwarded_.end()) {
    for (const SourceState& source : sources_) {
      EventTime horizon = kEventTimeMax;
      for (ParticipantId reader : source.plan.readers) {
        horizon = std::min(horizon, at->second.at(reader));
      }
      for (ParticipantId reader : source.plan.readers) {
        host->Send(reader, CommitPositions{epoch, horizon});
      }
    }
  }
  forwarded_.erase(forwarded_.begin(), forwarded_.upper_bound(epoch));
}

void JobCoordinator::RequestStop(MonotonicTime now, CoordinatorHost* host) {
  Finish(/*drain=*/false, now, host);
}

void JobCoordinator::Finish(bool drain, MonotonicTime now, CoordinatorHost* host) {
  if (state_ != State::kRunning) return;
  state_ = State::kFinishing;
  last_epoch_ = checkpoints_.OpenNow(now);
  for (const SourceState& source : sources_) {
    for (ParticipantId reader : source.plan.readers) {
      host->Send(reader, FinishReading{*last_epoch_, drain});
    }
  }
  host->OnPending(checkpoints_.pending().size());
}

void JobCoordinator::OnDone(const ParticipantDone& done, MonotonicTime now, CoordinatorHost* host) {
  done_.insert(done.participant);
  EndIfAllDone(host);
}

void JobCoordinator::EndIfAllDone(CoordinatorHost* host) {
  if (state_ != State::kFinishing || int32_t(done_.size()) < plan_.participants) return;
  if (checkpoints_.last_completed() < *last_epoch_) return;
  End(Status::OK(), host);
}

void JobCoordinator::OnFailed(const ParticipantFailed& failed, CoordinatorHost* host) {
  End(*failed.status, host);
}

void JobCoordinator::End(const Status& status, CoordinatorHost* host) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  host->Ended(status);
}

}  // namespace millrace
