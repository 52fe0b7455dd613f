#include "tools/millrace/job_actors.h"

#include <algorithm>
#include <thread>

namespace millrace {
namespace {

Micros RollInterval(const SinkSpec& spec) {
  if (const auto* parquet = std::get_if<ParquetSinkSpec>(&spec.target)) {
    return parquet->roll_interval;
  }
  if (const auto* files = std::get_if<FilesSinkSpec>(&spec.target)) return files->roll_interval;
  return Micros(0);
}

void SetScheduler(caf::actor_system_config* config, int32_t parallelism) {
  const auto cores = int32_t(std::max(1u, std::thread::hardware_concurrency()));
  // The default policy sleeps up to 10 ms when idle, and takes at least four threads.
  config->set("scheduler.policy", caf::atom("sharing"));
  config->set("scheduler.max-threads", size_t(std::clamp(parallelism, 1, cores)));
  config->set("scheduler.max-throughput", size_t(4));
}

}  // namespace

JobActors::JobActors(const JobParts& parts) : parts_(parts) {
  SetScheduler(&config_, parts_.parallelism);
  system_ = std::make_unique<caf::actor_system>(config_);
}

JobActors::~JobActors() {
  for (const Wired& wired : wired_) caf::anon_send(wired.actor, Stop::value);
  if (coordinator_) caf::anon_send(coordinator_, Stop::value);
  // References among the actors form cycles through Connect; each drops its own when it ends.
  wired_.clear();
  coordinator_ = nullptr;
  system_.reset();
}

Status JobActors::Start() {
  CoordinatorPlan coordinator;
  coordinator.checkpoint_interval = parts_.job->checkpoint_interval;
  ARROW_RETURN_NOT_OK(SpawnReaders(&coordinator));
  ARROW_RETURN_NOT_OK(SpawnTasks());
  SpawnPublishers();
  WireTasks();
  WireDeadLetters();
  coordinator.participants = int32_t(wired_.size());
  std::map<ParticipantId, caf::actor> readers;
  for (const auto& [source, participants] : readers_of_) {
    for (size_t reader : participants) {
      readers[ParticipantId(int32_t(reader))] = wired_[reader].actor;
    }
  }
  coordinator_ = SpawnCoordinator(*system_, std::move(coordinator), std::move(readers),
                                  parts_.clock, parts_.job_observer);
  Launch();
  return Status::OK();
}

void JobActors::RequestStop() {
  if (coordinator_) caf::anon_send(coordinator_, StopJob::value);
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
  CoordinatorPlan::SourcePlan source_plan{source->node, bounded, {}, {}};
  for (size_t i = 0; i < source->starts.size(); ++i) {
    const ParticipantId participant = next_participant();
    ARROW_ASSIGN_OR_RAISE(auto input, source->source->MakeReader());
    ReaderOptions options;
    options.source = source->node;
    if (!bounded) options.end_when_idle = parts_.end_when_idle;
    ARROW_ASSIGN_OR_RAISE(auto reader,
                          Reader::Make(*parts_.plan, options, std::move(input), parts_.account));
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
  std::map<NodeId, EventTime> horizons;
  for (const OpenedSource& source : *parts_.sources) horizons[source.node] = source.horizon;
  for (const PlanNode& node : plan.nodes) {
    if (!std::holds_alternative<WindowAggregateNode>(node.kind)) continue;
    for (int32_t index = 0; index < parts_.parallelism; ++index) {
      ARROW_ASSIGN_OR_RAISE(
          auto task, Task::Make(plan, node.id, InputsOf(node.id), horizons[plan.SourceOf(node.id)],
                                parts_.account));
      const ParticipantId participant = next_participant();
      const std::string name = node.name + "." + std::to_string(index);
      wired_.push_back({SpawnTask(*system_, {name, participant, std::move(task)}, parts_.clock,
                                  parts_.worker_observer),
                        {}});
      tasks_of_[node.id].push_back(size_t(participant.value()));
    }
  }
  return Status::OK();
}

// A publisher has an input from every sender above its nodes.
std::map<int32_t, std::set<size_t>> JobActors::SendersOfSinks() const {
  std::map<int32_t, std::set<size_t>> senders;
  for (const PlanNode& node : parts_.plan->nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    const auto& from = SendersOf(parts_.plan->OwnerOf(node.id));
    senders[sink->sink_index].insert(from.begin(), from.end());
  }
  return senders;
}

void JobActors::SpawnPublishers() {
  const auto spawn = [&](int32_t sink, const std::string& name,
                         std::unique_ptr<Publisher> publisher) {
    const ParticipantId participant = next_participant();
    publisher_of_[sink] = size_t(participant.value());
    wired_.push_back({SpawnPublisher(*system_, {name, participant, std::move(publisher)},
                                     parts_.clock, parts_.worker_observer),
                      {}});
  };
  const auto senders = SendersOfSinks();
  for (const auto& [index, from] : senders) {
    spawn(
        index, "sink." + std::to_string(index),
        std::make_unique<Publisher>(std::move((*parts_.sinks)[size_t(index)]), nullptr, from.size(),
                                    RollInterval(parts_.job->sinks[size_t(index)]), parts_.clock));
  }
  // Everyone sends dead letters.
  spawn(kDeadLetterSink, "dead_letters",
        std::make_unique<Publisher>(nullptr, std::move(*parts_.dead_letters), wired_.size(),
                                    Micros(0), parts_.clock));
  for (const auto& [index, from] : senders) {
    for (size_t sender : from) {
      Link(sender, publisher_of_[index], index, NodeId(-1), TaskIndex(0));
    }
  }
}

// The readers or tasks that run what belongs to `owner`.
const std::vector<size_t>& JobActors::SendersOf(NodeId owner) const {
  const auto readers = readers_of_.find(owner);
  return readers != readers_of_.end() ? readers->second : tasks_of_.at(owner);
}

// Asked before the window above has its tasks, if there is one: each has as many.
size_t JobActors::InputsOf(NodeId window) const {
  const auto readers = readers_of_.find(parts_.plan->OwnerOf(parts_.plan->node(window).input));
  return readers != readers_of_.end() ? readers->second.size() : size_t(parts_.parallelism);
}

void JobActors::Link(size_t sender, size_t receiver, int32_t sink, NodeId node, TaskIndex task) {
  Connect& from = wired_[sender].connect;
  Connect& to = wired_[receiver].connect;
  from.outputs.push_back({wired_[receiver].actor, int32_t(to.inputs.size()), sink, node, task});
  to.inputs.push_back({wired_[sender].actor, int32_t(from.outputs.size()) - 1});
}

void JobActors::WireTasks() {
  for (const auto& [window, tasks] : tasks_of_) {
    for (size_t sender : SendersOf(parts_.plan->OwnerOf(parts_.plan->node(window).input))) {
      for (size_t index = 0; index < tasks.size(); ++index) {
        Link(sender, tasks[index], -1, window, TaskIndex(int32_t(index)));
      }
    }
  }
}

void JobActors::WireDeadLetters() {
  const size_t letters = publisher_of_.at(kDeadLetterSink);
  for (size_t sender = 0; sender < letters; ++sender) {
    Link(sender, letters, kDeadLetterSink, NodeId(-1), TaskIndex(0));
  }
}

// Every actor has its channels before any reader starts.
void JobActors::Launch() {
  for (Wired& wired : wired_) {
    wired.connect.coordinator = coordinator_;
    caf::anon_send(wired.actor, std::move(wired.connect));
    wired.connect = Connect();
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
