#include "worker/job_host.h"

#include <algorithm>

namespace millrace {
namespace {

OutboxFileSink OutboxFile(const FileSinkParts& parts, const proto::ShardState* restored) {
  OutboxFileSink sink;
  sink.id = parts.id;
  sink.schema = parts.schema;
  sink.checker = parts.checker.get();
  sink.roll_bytes = parts.roll_bytes;
  sink.roll_interval = parts.roll_interval;
  if (restored == nullptr) return sink;
  for (const proto::FileSinkState& file : restored->files()) {
    if (file.sink() != parts.id) continue;
    for (const proto::Segment& segment : file.open()) sink.restored_bytes += segment.file().bytes();
  }
  return sink;
}

ParticipantId ParticipantOf(Address address) { return ParticipantId(address.value()); }

}  // namespace

JobHost::~JobHost() {
  for (const auto& [address, actor] : actors_) caf::anon_send(actor, Stop::value);
  // References among the actors form cycles through Connect; each drops its own when it ends.
  actors_.clear();
}

Status JobHost::Spawn() {
  for (int32_t i = 0; i < hosted_.layout->participants; ++i) {
    const bool task = hosted_.layout->at(Address(i)).kind == ActorKind::kTask;
    tasks_here_ += task && IsHere(Address(i)) ? 1 : 0;
  }
  // Publishers come last and are handed to their outboxes, so they are made first.
  for (int32_t i = int32_t(hosted_.layout->actors.size()) - 1; i >= 0; --i) {
    if (IsHere(Address(i))) ARROW_RETURN_NOT_OK(SpawnActor(Address(i)));
  }
  return Status::OK();
}

caf::actor JobHost::ActorAt(Address address) const {
  const auto found = actors_.find(address);
  return found == actors_.end() ? caf::actor() : found->second;
}

void JobHost::Connect(const std::function<caf::actor(Address)>& resolve) {
  const auto actor_at = [&](Address address) {
    const auto here = actors_.find(address);
    return here != actors_.end() ? here->second : resolve(address);
  };
  const caf::actor coordinator = resolve(kCoordinatorAddress);
  for (const auto& [address, actor] : actors_) {
    const ActorPlan& plan = hosted_.layout->at(address);
    if (address.value() >= hosted_.layout->participants) {
      caf::anon_send(actor, ConnectPublisher{coordinator});
      continue;
    }
    millrace::Connect connect;
    connect.coordinator = coordinator;
    for (const ChannelPlan& channel : plan.outputs) {
      connect.outputs.push_back(
          {actor_at(channel.receiver), channel.input, channel.sinks, channel.node, channel.task});
    }
    for (const ActorPlan::Input& input : plan.inputs) {
      connect.inputs.push_back({actor_at(input.sender), input.output});
    }
    caf::anon_send(actor, std::move(connect));
  }
}

Status JobHost::SpawnActor(Address address) {
  switch (hosted_.layout->at(address).kind) {
    case ActorKind::kReader:
      return SpawnReaderAt(address);
    case ActorKind::kTask:
      return SpawnTaskAt(address);
    case ActorKind::kDirectPublisher:
      return SpawnDirectAt(address);
    case ActorKind::kOutbox:
      return SpawnOutboxAt(address);
    case ActorKind::kSegmentPublisher:
      return SpawnSegmentPublisherAt(address);
    case ActorKind::kRollPublisher:
      return SpawnRollPublisherAt(address);
  }
  return InternalError("unknown_actor", "an actor of no known kind");
}

Status JobHost::SpawnReaderAt(Address address) {
  const ActorPlan& plan = hosted_.layout->at(address);
  Source* const source = hosted_.sources.at(plan.node);
  ARROW_ASSIGN_OR_RAISE(auto input, source->MakeReader());
  ReaderOptions options;
  options.source = plan.node;
  if (!source->bounded()) options.end_when_idle = hosted_.end_when_idle;
  ARROW_ASSIGN_OR_RAISE(auto reader, Reader::Make(*hosted_.plan, options, std::move(input),
                                                  hosted_.new_account(), hosted_.lookups));
  actors_[address] = SpawnReader(*system_, {plan.name, ParticipantOf(address), std::move(reader)},
                                 hosted_.clock, hosted_.observer);
  return Status::OK();
}

Status JobHost::SpawnTaskAt(Address address) {
  const JobPlan& job = *hosted_.plan;
  const ActorPlan& plan = hosted_.layout->at(address);
  const PlanNode& node = job.node(plan.node);
  ARROW_ASSIGN_OR_RAISE(auto state,
                        hosted_.states->Make(node.name, plan.index, hosted_.parallelism));
  TaskOptions options;
  options.node = node.id;
  options.inputs = plan.inputs.size();
  // Where rows are held back above, its own state says how far it was told.
  if (!job.WaitsForRowsAhead(node.id)) {
    options.watermark = kEventTimeMax;
    for (const auto& [source, delay] : job.UpstreamsOf(node.id)) {
      options.watermark =
          std::min(options.watermark, MovedBack(hosted_.watermarks.at(source), delay));
    }
  }
  options.state_bytes_max = hosted_.states->StateBytesMax(tasks_here_);
  auto task = Task::Make(job, options, state->store(), hosted_.new_account(), hosted_.lookups);
  if (!task.ok()) return WithContext(task.status(), node.name);
  ARROW_RETURN_NOT_OK(hosted_.states->CheckQuery(node.name, (*task)->Fingerprint()));
  actors_[address] =
      SpawnTask(*system_,
                {plan.name, ParticipantOf(address), std::move(state), *std::move(task),
                 PlannedFrames::OfTask(job, node.id, plan.inputs.size())},
                hosted_.clock, hosted_.observer);
  return Status::OK();
}

Status JobHost::SpawnDirectAt(Address address) {
  const ActorPlan& plan = hosted_.layout->at(address);
  auto publisher = std::make_unique<Publisher>(std::move(hosted_.sinks->direct.at(plan.sink)),
                                               plan.inputs.size(), hosted_.clock, hosted_.tap);
  actors_[address] =
      SpawnPublisher(*system_,
                     {plan.name, ParticipantOf(address), std::move(publisher),
                      PlannedFrames::OfSinks(*hosted_.plan, {plan.sink}, plan.inputs.size())},
                     hosted_.clock, hosted_.observer);
  return Status::OK();
}

const proto::ShardState* JobHost::RestoredShard(int32_t shard) const {
  const proto::Manifest* const restored = hosted_.states->options().restored;
  if (restored == nullptr) return nullptr;
  for (const proto::ShardState& state : restored->shards()) {
    if (state.shard() == shard) return &state;
  }
  return nullptr;
}

FileSinkParts& JobHost::FilePartsOf(int32_t sink) {
  return sink == kDeadLetterSink ? *hosted_.sinks->letter_files : hosted_.sinks->files.at(sink);
}

OutboxOptions JobHost::OutboxOf(const ActorPlan& actor) {
  const proto::ShardState* const restored = RestoredShard(actor.shard);
  const SinkRoutes& routes = hosted_.layout->routes;
  OutboxOptions options;
  options.shard = actor.shard;
  options.file_prefix =
      std::to_string(hosted_.states->options().attempt) + "-" + std::to_string(actor.shard);
  if (restored != nullptr) options.next_row = restored->next_row();
  options.inputs = actor.inputs.size();
  options.tap = hosted_.tap;
  options.records = hosted_.sinks->MakeEncoders();
  for (const auto& [index, sink] : routes.sinks) {
    if (sink.route != SinkRoute::kFiles || sink.shard != actor.shard) continue;
    options.files.emplace(index, OutboxFile(FilePartsOf(index), restored));
  }
  if (!routes.letter_files.has_value()) {
    options.letter_records = hosted_.sinks->MakeLetterEncoder();
  } else if (routes.letter_files->shard == actor.shard) {
    options.letter_files = OutboxFile(FilePartsOf(kDeadLetterSink), restored);
  }
  return options;
}

Status JobHost::SpawnOutboxAt(Address address) {
  const ActorPlan& plan = hosted_.layout->at(address);
  OutboxOptions options = OutboxOf(plan);
  std::set<int32_t> sinks;
  for (const auto& [sink, encoder] : options.records) sinks.insert(sink);
  for (const auto& [sink, file] : options.files) sinks.insert(sink);
  OutboxParts parts;
  parts.name = plan.name;
  parts.participant = ParticipantOf(address);
  parts.planned = PlannedFrames::OfSinks(*hosted_.plan, sinks, plan.inputs.size());
  parts.outbox = std::make_unique<Outbox>(std::move(options), hosted_.states->options().storage,
                                          hosted_.clock, hosted_.new_account());
  for (const Address publisher : hosted_.layout->PublishersOf(address)) {
    if (hosted_.layout->at(publisher).kind == ActorKind::kSegmentPublisher) {
      parts.publisher = actors_.at(publisher);
    }
  }
  actors_[address] = SpawnOutbox(*system_, std::move(parts), hosted_.clock, hosted_.observer);
  return Status::OK();
}

Status JobHost::SpawnSegmentPublisherAt(Address address) {
  const ActorPlan& plan = hosted_.layout->at(address);
  ShardKnowledge known;
  known.shard = plan.shard;
  if (const auto* restored = RestoredShard(plan.shard)) {
    known.confirmed_epoch = Epoch(restored->published_epoch());
    known.confirmed_row = restored->published_row();
    known.sealed_epoch = Epoch(hosted_.states->options().restored->epoch());
    known.sealed_row = restored->next_row();
  }
  SegmentPublisherParts parts;
  parts.name = plan.name;
  parts.shard = plan.shard;
  ARROW_ASSIGN_OR_RAISE(parts.output, hosted_.sinks->MakeOutput(plan.shard));
  parts.publisher = std::make_unique<SegmentPublisher>(
      hosted_.lineage, known, hosted_.states->options().storage, parts.output.get(), hosted_.clock);
  actors_[address] =
      SpawnSegmentPublisher(*system_, std::move(parts), hosted_.clock, hosted_.observer);
  return Status::OK();
}

Status JobHost::SpawnRollPublisherAt(Address address) {
  const ActorPlan& plan = hosted_.layout->at(address);
  const FileSinkParts& sink = FilePartsOf(plan.sink);
  const proto::Manifest* const restored = hosted_.states->options().restored;
  const Epoch sealed(restored == nullptr ? 0 : restored->epoch());
  auto publisher =
      std::make_unique<RollPublisher>(RollPublisherOptions{hosted_.lineage, sink.name, sealed},
                                      sink.writer.get(), hosted_.states->options().storage);
  actors_[address] = SpawnRollPublisher(*system_, {plan.name, std::move(publisher)}, hosted_.clock,
                                        hosted_.observer);
  return Status::OK();
}

}  // namespace millrace
