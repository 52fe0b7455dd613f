#include "tools/millrace/job_actors.h"

#include <algorithm>
#include <thread>

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

// By its stable id: an edited job finds the segments of its sinks where they were.
int32_t ShardOfFiles(const FileSinkParts& sink, int32_t shards) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char letter : sink.id) hash = (hash ^ uint8_t(letter)) * 16777619u;
  return int32_t(hash % uint32_t(shards));
}

const proto::ShardState* RestoredShard(const proto::Manifest* restored, int32_t shard) {
  if (restored == nullptr) return nullptr;
  for (const proto::ShardState& state : restored->shards()) {
    if (state.shard() == shard) return &state;
  }
  return nullptr;
}

}  // namespace

JobActors::JobActors(const JobParts& parts) : parts_(parts) {}

JobActors::~JobActors() {
  for (const Wired& wired : wired_) caf::anon_send(wired.actor, Stop::value);
  for (const caf::actor& publisher : publishers_) caf::anon_send(publisher, Stop::value);
  if (coordinator_) caf::anon_send(coordinator_, Stop::value);
  if (committer_) caf::anon_send(committer_, Stop::value);
  // References among the actors form cycles through Connect; each drops its own when it ends.
  wired_.clear();
  publishers_.clear();
  segment_publishers_.clear();
  coordinator_ = nullptr;
  committer_ = nullptr;
}

Status JobActors::Start() {
  const RecoveryPlan& recovery = parts_.state->plan();
  CoordinatorPlan coordinator;
  const CheckpointSpec& checkpoint = parts_.job->checkpoint;
  coordinator.limits.interval = checkpoint.interval;
  coordinator.limits.timeout = checkpoint.timeout;
  coordinator.limits.outbox_bytes_max = checkpoint.outbox_bytes_max;
  coordinator.identity = {parts_.job->name, recovery.generation, recovery.ancestors,
                          parts_.state->term(), parts_.job->sink_shards};
  coordinator.last_epoch = recovery.last_epoch;
  if (parts_.state->restored() != nullptr) coordinator.restored = *parts_.state->restored();
  CoordinatorPeers peers;
  ARROW_RETURN_NOT_OK(SpawnReaders(&coordinator));
  ARROW_RETURN_NOT_OK(SpawnTasks());
  ARROW_RETURN_NOT_OK(SpawnPublishers(&peers));
  SpawnDirect();
  ARROW_RETURN_NOT_OK(PlanOutboxes());
  ARROW_RETURN_NOT_OK(SpawnOutboxes());
  WireTasks();
  coordinator.participants = int32_t(wired_.size());
  for (const auto& [source, participants] : readers_of_) {
    for (size_t reader : participants) {
      peers.readers[ParticipantId(int32_t(reader))] = wired_[reader].actor;
    }
  }
  committer_ = SpawnCommitter(*system_, parts_.state->committer());
  peers.committer = committer_;
  coordinator_ = SpawnCoordinator(*system_, std::move(coordinator), std::move(peers), parts_.clock,
                                  parts_.job_observer);
  Launch();
  return Status::OK();
}

void JobActors::RequestStop() {
  if (coordinator_) caf::anon_send(coordinator_, StopJob::value);
}

void JobActors::RequestSavepoint(const std::string& name) {
  if (coordinator_) caf::anon_send(coordinator_, millrace::RequestSavepoint::value, name);
}

Status JobActors::SpawnReaders(CoordinatorPlan* coordinator) {
  for (OpenedSource& source : *parts_.sources) {
    ARROW_ASSIGN_OR_RAISE(auto source_plan, SpawnReadersOf(&source));
    coordinator->sources.push_back(std::move(source_plan));
  }
  return Status::OK();
}

Result<CoordinatorPlan::SourcePlan> JobActors::SpawnReadersOf(OpenedSource* source) {
  const bool bounded = source->source->bounded();
  CoordinatorPlan::SourcePlan source_plan{source->node, bounded, {}, {}, source->watermark};
  for (size_t i = 0; i < source->starts.size(); ++i) {
    const ParticipantId participant = next_participant();
    ARROW_ASSIGN_OR_RAISE(auto input, source->source->MakeReader());
    ReaderOptions options;
    options.source = source->node;
    if (!bounded) options.end_when_idle = parts_.end_when_idle;
    ARROW_ASSIGN_OR_RAISE(auto reader, Reader::Make(*parts_.plan, options, std::move(input),
                                                    parts_.new_account(), parts_.lookups));
    const std::string name = parts_.plan->node(source->node).name + ".reader." + std::to_string(i);
    wired_.push_back({SpawnReader(*system_, {name, participant, std::move(reader)}, parts_.clock,
                                  parts_.worker_observer),
                      {}});
    readers_of_[source->node].push_back(size_t(participant.value()));
    source_plan.readers.push_back(participant);
  }
  for (const auto& [partition, reader] : source->spread) {
    source_plan.partitions[partition] = source_plan.readers[reader];
  }
  return source_plan;
}

Status JobActors::SpawnTasks() {
  const JobPlan& plan = *parts_.plan;
  std::map<NodeId, EventTime> watermarks;
  for (const OpenedSource& source : *parts_.sources) watermarks[source.node] = source.watermark;
  const size_t keyed = size_t(std::ranges::count_if(plan.nodes, IsKeyed));
  for (const PlanNode& node : plan.nodes) {
    if (!IsKeyed(node)) continue;
    for (int32_t index = 0; index < parts_.parallelism; ++index) {
      ARROW_ASSIGN_OR_RAISE(auto state,
                            parts_.state->MakeTaskState(node.name, index, parts_.parallelism));
      TaskOptions options;
      options.node = node.id;
      options.inputs = InputsOf(node.id);
      // Where rows are held back above, its own state says how far it was told.
      if (!plan.WaitsForRowsAhead(node.id)) {
        options.watermark = kEventTimeMax;
        for (const auto& [source, delay] : plan.UpstreamsOf(node.id)) {
          options.watermark = std::min(options.watermark, MovedBack(watermarks[source], delay));
        }
      }
      options.state_bytes_max = parts_.state->StateBytesMax(keyed * size_t(parts_.parallelism));
      auto task = Task::Make(plan, options, state->store(), parts_.new_account(), parts_.lookups);
      if (!task.ok()) return WithContext(task.status(), node.name);
      ARROW_RETURN_NOT_OK(parts_.state->CheckQuery(node.name, (*task)->Fingerprint()));
      const ParticipantId participant = next_participant();
      const std::string name = node.name + "." + std::to_string(index);
      wired_.push_back({SpawnTask(*system_, {name, participant, std::move(state), *std::move(task)},
                                  parts_.clock, parts_.worker_observer),
                        {}});
      tasks_of_[node.id].push_back(size_t(participant.value()));
    }
  }
  return Status::OK();
}

// Those who publish what a checkpoint covers: one for each shard's segments, one a file sink.
Status JobActors::SpawnPublishers(CoordinatorPeers* peers) {
  const RecoveryPlan& recovery = parts_.state->plan();
  const Lineage lineage{parts_.job->name, recovery.generation, recovery.ancestors,
                        recovery.accept_foreign};
  CheckpointStorage* const storage = parts_.state->storage();
  for (int32_t shard = 0; parts_.sinks->has_records() && shard < parts_.job->sink_shards; ++shard) {
    ShardKnowledge known;
    known.shard = shard;
    if (const auto* restored = RestoredShard(parts_.state->restored(), shard)) {
      known.confirmed_epoch = Epoch(restored->published_epoch());
      known.confirmed_row = restored->published_row();
      known.sealed_epoch = Epoch(parts_.state->restored()->epoch());
      known.sealed_row = restored->next_row();
    }
    SegmentPublisherParts publisher;
    publisher.name = "publisher." + std::to_string(shard);
    publisher.shard = shard;
    ARROW_ASSIGN_OR_RAISE(publisher.output, parts_.sinks->MakeOutput(shard));
    publisher.publisher = std::make_unique<SegmentPublisher>(lineage, known, storage,
                                                             publisher.output.get(), parts_.clock);
    segment_publishers_[shard] =
        SpawnSegmentPublisher(*system_, std::move(publisher), parts_.clock, parts_.worker_observer);
    publishers_.push_back(segment_publishers_[shard]);
  }
  peers->segment_publishers = segment_publishers_;
  const proto::Manifest* const restored = parts_.state->restored();
  const Epoch sealed(restored == nullptr ? 0 : restored->epoch());
  const auto spawn = [&](const FileSinkParts& sink, const std::string& name) {
    auto publisher = std::make_unique<RollPublisher>(
        RollPublisherOptions{lineage, sink.name, sealed}, sink.writer.get(), storage);
    const caf::actor actor = SpawnRollPublisher(*system_, {name, std::move(publisher)},
                                                parts_.clock, parts_.worker_observer);
    peers->roll_publishers[sink.id] = actor;
    publishers_.push_back(actor);
  };
  for (const auto& [index, sink] : parts_.sinks->files) {
    spawn(sink, "sink." + std::to_string(index));
  }
  if (parts_.sinks->letter_files.has_value()) spawn(*parts_.sinks->letter_files, "dead_letters");
  return Status::OK();
}

// Which senders have rows for a sink: those above its nodes.
std::map<int32_t, std::set<size_t>> JobActors::SendersOfSinks() const {
  std::map<int32_t, std::set<size_t>> senders;
  for (const PlanNode& node : parts_.plan->nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    for (const NodeId owner : parts_.plan->OwnersOf(node.id)) {
      const auto& from = SendersOf(owner);
      senders[sink->sink_index].insert(from.begin(), from.end());
    }
  }
  return senders;
}

void JobActors::SpawnDirect() {
  const auto senders = SendersOfSinks();
  for (auto& [index, writer] : parts_.sinks->direct) {
    const ParticipantId participant = next_participant();
    const std::set<size_t>& from = senders.at(index);
    auto publisher = std::make_unique<Publisher>(std::move(writer), from.size(), parts_.clock);
    wired_.push_back(
        {SpawnPublisher(*system_,
                        {"sink." + std::to_string(index), participant, std::move(publisher)},
                        parts_.clock, parts_.worker_observer),
         {}});
    direct_of_[index] = size_t(participant.value());
    for (size_t sender : from) LinkSinks(sender, size_t(participant.value()), {index});
  }
}

// Rows of one sender go to one shard, so that rows of one key stay in order.
int32_t JobActors::ShardOf(size_t sender) const {
  return int32_t(sender) % parts_.job->sink_shards;
}

// A file sink belongs to one shard: its files are few and large. Records are spread over all.
Status JobActors::PlanOutboxes() {
  for (const auto& [index, from] : SendersOfSinks()) {
    if (direct_of_.contains(index)) continue;
    const auto file = parts_.sinks->files.find(index);
    for (size_t sender : from) {
      const int32_t shard = file == parts_.sinks->files.end()
                                ? ShardOf(sender)
                                : ShardOfFiles(file->second, parts_.job->sink_shards);
      outbox_inputs_[shard][sender].push_back(index);
    }
  }
  // Everyone may have dead letters.
  for (size_t sender = 0; sender < wired_.size(); ++sender) {
    const int32_t shard = parts_.sinks->letter_files.has_value() ? 0 : ShardOf(sender);
    outbox_inputs_[shard][sender].push_back(kDeadLetterSink);
  }
  return Status::OK();
}

OutboxOptions JobActors::OutboxOf(int32_t shard) {
  const proto::ShardState* const restored = RestoredShard(parts_.state->restored(), shard);
  OutboxOptions options;
  options.shard = shard;
  options.file_prefix = std::to_string(parts_.state->term()) + "-" + std::to_string(shard);
  if (restored != nullptr) options.next_row = restored->next_row();
  options.inputs = outbox_inputs_[shard].size();
  options.records = parts_.sinks->MakeEncoders();
  for (const auto& [index, sink] : parts_.sinks->files) {
    if (ShardOfFiles(sink, parts_.job->sink_shards) == shard) {
      options.files.emplace(index, OutboxFile(sink, restored));
    }
  }
  if (!parts_.sinks->letter_files.has_value()) {
    options.letter_records = parts_.sinks->MakeLetterEncoder();
  } else if (shard == 0) {
    options.letter_files = OutboxFile(*parts_.sinks->letter_files, restored);
  }
  return options;
}

// The first shard has the files of dead letters, and so the others are among its inputs.
Status JobActors::SpawnOutboxes() {
  std::vector<int32_t> shards;
  for (const auto& [shard, inputs] : outbox_inputs_) {
    if (shard != 0) shards.push_back(shard);
  }
  shards.push_back(0);
  for (int32_t shard : shards) {
    const ParticipantId participant = next_participant();
    auto outbox = std::make_unique<Outbox>(OutboxOf(shard), parts_.state->storage(), parts_.clock,
                                           parts_.new_account());
    OutboxParts parts{"outbox." + std::to_string(shard), participant, std::move(outbox), {}};
    if (const auto publisher = segment_publishers_.find(shard);
        publisher != segment_publishers_.end()) {
      parts.publisher = publisher->second;
    }
    wired_.push_back(
        {SpawnOutbox(*system_, std::move(parts), parts_.clock, parts_.worker_observer), {}});
    for (const auto& [sender, sinks] : outbox_inputs_[shard]) {
      LinkSinks(sender, size_t(participant.value()), sinks);
    }
    if (shard != 0 && parts_.sinks->letter_files.has_value()) {
      outbox_inputs_[0][size_t(participant.value())].push_back(kDeadLetterSink);
    }
  }
  return Status::OK();
}

// The readers or tasks that run what belongs to `owner`.
const std::vector<size_t>& JobActors::SendersOf(NodeId owner) const {
  const auto readers = readers_of_.find(owner);
  return readers != readers_of_.end() ? readers->second : tasks_of_.at(owner);
}

// Asked before the keyed node above has its tasks, if there is one: each has as many.
size_t JobActors::InputsOf(NodeId keyed) const {
  size_t rows = 0;
  for (const NodeId owner : parts_.plan->OwnersOf(parts_.plan->node(keyed).input())) {
    const auto readers = readers_of_.find(owner);
    rows += readers != readers_of_.end() ? readers->second.size() : size_t(parts_.parallelism);
  }
  const auto* node = std::get_if<WindowAggregateNode>(&parts_.plan->node(keyed).kind);
  const bool takes_panes = node != nullptr && node->panes_of.value() >= 0;
  return takes_panes ? rows + size_t(parts_.parallelism) : rows;
}

void JobActors::Link(size_t sender, size_t receiver, Connect::Channel channel) {
  Connect& from = wired_[sender].connect;
  Connect& to = wired_[receiver].connect;
  channel.receiver = wired_[receiver].actor;
  channel.input = int32_t(to.inputs.size());
  from.outputs.push_back(std::move(channel));
  to.inputs.push_back({wired_[sender].actor, int32_t(from.outputs.size()) - 1});
}

void JobActors::LinkTask(size_t sender, size_t receiver, NodeId window, TaskIndex task) {
  Connect::Channel channel;
  channel.node = window;
  channel.task = task;
  Link(sender, receiver, std::move(channel));
}

void JobActors::LinkSinks(size_t sender, size_t receiver, std::vector<int32_t> sinks) {
  Connect::Channel channel;
  channel.sinks = std::move(sinks);
  Link(sender, receiver, std::move(channel));
}

void JobActors::WireTasks() {
  for (const auto& [window, tasks] : tasks_of_) {
    const PlanNode& node = parts_.plan->node(window);
    std::vector<size_t> senders;
    for (const NodeId owner : parts_.plan->OwnersOf(node.input())) {
      const std::vector<size_t>& rows = SendersOf(owner);
      senders.insert(senders.end(), rows.begin(), rows.end());
    }
    const auto* of_window = std::get_if<WindowAggregateNode>(&node.kind);
    const NodeId giver = of_window == nullptr ? NodeId(-1) : of_window->panes_of;
    if (giver.value() >= 0) {
      const std::vector<size_t>& givers = tasks_of_.at(giver);
      senders.insert(senders.end(), givers.begin(), givers.end());
    }
    for (size_t sender : senders) {
      for (size_t index = 0; index < tasks.size(); ++index) {
        LinkTask(sender, tasks[index], window, TaskIndex(int32_t(index)));
      }
    }
  }
}

// Every actor has its channels before any reader starts.
void JobActors::Launch() {
  for (Wired& wired : wired_) {
    wired.connect.coordinator = coordinator_;
    caf::anon_send(wired.actor, std::move(wired.connect));
    wired.connect = Connect();
  }
  for (const caf::actor& publisher : publishers_) {
    caf::anon_send(publisher, ConnectPublisher{coordinator_});
  }
  caf::anon_send(coordinator_, Tick::value);
  for (OpenedSource& source : *parts_.sources) {
    const auto& readers = readers_of_.at(source.node);
    for (size_t i = 0; i < readers.size(); ++i) {
      caf::anon_send(wired_[readers[i]].actor, std::move(source.starts[i]));
    }
  }
}

}  // namespace millrace
