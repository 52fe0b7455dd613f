#include "coordinator/job_leader.h"

namespace millrace {

JobLeader::JobLeader(const LedJob& led, caf::actor_system& system,
                     const std::function<caf::actor(Address)>& resolve)
    : led_(led) {
  CoordinatorPeers peers;
  for (int32_t i = 0; i < int32_t(led.layout->actors.size()); ++i) {
    const Address address(i);
    const ActorPlan& actor = led.layout->at(address);
    switch (actor.kind) {
      case ActorKind::kReader:
        readers_[address] = resolve(address);
        peers.readers[ParticipantId(i)] = readers_[address];
        break;
      case ActorKind::kSegmentPublisher:
        peers.segment_publishers[actor.shard] = resolve(address);
        break;
      case ActorKind::kRollPublisher: {
        const SinkRoutes& routes = led.layout->routes;
        const SinkRoutes::Sink& sink =
            actor.sink == kDeadLetterSink ? *routes.letter_files : routes.sinks.at(actor.sink);
        peers.roll_publishers[sink.id] = resolve(address);
        break;
      }
      default:
        break;
    }
  }
  committer_ = SpawnCommitter(system, led.claim->committer());
  peers.committer = committer_;
  coordinator_ = SpawnCoordinator(system, PlanOf(), std::move(peers), led.clock, led.observer);
}

JobLeader::~JobLeader() {
  caf::anon_send(coordinator_, Stop::value);
  caf::anon_send(committer_, Stop::value);
}

CoordinatorPlan JobLeader::PlanOf() const {
  const RecoveryPlan& recovery = led_.claim->plan();
  const CheckpointSpec& checkpoint = led_.job->checkpoint;
  CoordinatorPlan plan;
  plan.limits.interval = checkpoint.interval;
  plan.limits.timeout = checkpoint.timeout;
  plan.limits.outbox_bytes_max = checkpoint.outbox_bytes_max;
  plan.identity = {led_.job->name, recovery.generation, recovery.ancestors, led_.claim->term(),
                   led_.job->sink_shards};
  plan.last_epoch = recovery.last_epoch;
  if (led_.claim->restored() != nullptr) plan.restored = *led_.claim->restored();
  plan.participants = led_.layout->participants;
  for (const OpenedSource& source : *led_.sources) {
    const std::vector<Address> readers = led_.layout->ReadersOf(source.node);
    CoordinatorPlan::SourcePlan of{source.node, source.source->bounded(), {}, {}, source.watermark};
    for (const Address reader : readers) of.readers.push_back(ParticipantId(reader.value()));
    for (const auto& [partition, reader] : source.spread) {
      of.partitions[partition] = of.readers[reader];
    }
    plan.sources.push_back(std::move(of));
  }
  return plan;
}

void JobLeader::Launch() {
  caf::anon_send(coordinator_, Tick::value);
  for (OpenedSource& source : *led_.sources) {
    const std::vector<Address> readers = led_.layout->ReadersOf(source.node);
    for (size_t i = 0; i < readers.size(); ++i) {
      caf::anon_send(readers_.at(readers[i]), std::move(source.starts[i]));
    }
  }
}

void JobLeader::RequestStop() { caf::anon_send(coordinator_, StopJob::value); }

void JobLeader::RequestSavepoint(const std::string& name) {
  caf::anon_send(coordinator_, millrace::RequestSavepoint::value, name);
}

}  // namespace millrace
