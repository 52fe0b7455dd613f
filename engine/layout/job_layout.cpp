#include "engine/layout/job_layout.h"

#include <algorithm>
#include <set>

namespace millrace {
namespace {

class LayoutMaker {
 public:
  LayoutMaker(const JobSpec& job, const JobPlan& plan, const LayoutRequest& request)
      : job_(job), plan_(plan), request_(request) {
    layout_.routes = RoutesOf(job, plan);
  }

  JobLayout Make() && {
    AddReaders();
    AddTasks();
    AddDirectPublishers();
    PlanOutboxes();
    AddOutboxes();
    LinkTasks();
    layout_.participants = int32_t(layout_.actors.size());
    AddPublishers();
    return std::move(layout_);
  }

 private:
  Address Add(ActorKind kind, std::string name) {
    ActorPlan actor;
    actor.kind = kind;
    actor.name = std::move(name);
    layout_.actors.push_back(std::move(actor));
    return Address(int32_t(layout_.actors.size()) - 1);
  }
  ActorPlan& At(Address address) { return layout_.actors[size_t(address.value())]; }

  void AddReaders() {
    for (const PlanNode& node : plan_.nodes) {
      if (!std::holds_alternative<SourceNode>(node.kind)) continue;
      for (int32_t index = 0; index < request_.readers.at(node.id); ++index) {
        AddOfNode(ActorKind::kReader, node, ".reader.", index);
      }
    }
  }

  void AddTasks() {
    for (const PlanNode& node : plan_.nodes) {
      if (!IsKeyed(node)) continue;
      for (int32_t index = 0; index < request_.parallelism; ++index) {
        AddOfNode(ActorKind::kTask, node, ".", index);
      }
    }
  }

  void AddOfNode(ActorKind kind, const PlanNode& node, const std::string& infix, int32_t index) {
    const Address address = Add(kind, node.name + infix + std::to_string(index));
    At(address).node = node.id;
    At(address).index = index;
    senders_of_[node.id].push_back(address);
  }

  // Which senders have rows for a sink: those above its nodes.
  std::map<int32_t, std::set<Address>> SendersOfSinks() const {
    std::map<int32_t, std::set<Address>> senders;
    for (const PlanNode& node : plan_.nodes) {
      const auto* sink = std::get_if<SinkNode>(&node.kind);
      if (sink == nullptr) continue;
      for (const NodeId owner : plan_.OwnersOf(node.id)) {
        const auto& from = senders_of_.at(owner);
        senders[sink->sink_index].insert(from.begin(), from.end());
      }
    }
    return senders;
  }

  void AddDirectPublishers() {
    const auto senders = SendersOfSinks();
    for (const auto& [index, sink] : layout_.routes.sinks) {
      if (sink.route != SinkRoute::kDirect) continue;
      const Address address = Add(ActorKind::kDirectPublisher, SinkName(index));
      At(address).sink = index;
      for (const Address sender : senders.at(index)) LinkSinks(sender, address, {index});
    }
  }

  // Rows of one sender go to one shard, so that rows of one key stay in order.
  int32_t ShardOf(Address sender) const { return sender.value() % job_.sink_shards; }

  // A file sink belongs to one shard: its files are few and large. Records are spread over all.
  void PlanOutboxes() {
    for (const auto& [index, senders] : SendersOfSinks()) {
      const SinkRoutes::Sink& sink = layout_.routes.sinks.at(index);
      if (sink.route == SinkRoute::kDirect) continue;
      for (const Address sender : senders) {
        const int32_t shard = sink.route == SinkRoute::kFiles ? sink.shard : ShardOf(sender);
        outbox_inputs_[shard][sender].push_back(index);
      }
    }
    // Everyone may have dead letters.
    for (int32_t sender = 0; sender < int32_t(layout_.actors.size()); ++sender) {
      AddLetters(Address(sender));
    }
  }
  void AddLetters(Address sender) {
    const auto& files = layout_.routes.letter_files;
    const int32_t shard = files.has_value() ? files->shard : ShardOf(sender);
    outbox_inputs_[shard][sender].push_back(kDeadLetterSink);
  }

  // The one that has the files of dead letters comes last: the others are among its inputs.
  void AddOutboxes() {
    const auto& letters = layout_.routes.letter_files;
    const int32_t last = letters.has_value() ? letters->shard : 0;
    std::vector<int32_t> shards;
    for (const auto& [shard, inputs] : outbox_inputs_) {
      if (shard != last) shards.push_back(shard);
    }
    shards.push_back(last);
    for (const int32_t shard : shards) {
      const Address address = Add(ActorKind::kOutbox, "outbox." + std::to_string(shard));
      At(address).shard = shard;
      for (const auto& [sender, sinks] : outbox_inputs_[shard]) {
        LinkSinks(sender, address, sinks);
      }
      if (shard != last && letters.has_value()) AddLetters(address);
    }
  }

  void LinkTasks() {
    for (const PlanNode& node : plan_.nodes) {
      if (!IsKeyed(node)) continue;
      std::vector<Address> senders;
      for (const NodeId owner : plan_.OwnersOf(node.input())) {
        const auto& rows = senders_of_.at(owner);
        senders.insert(senders.end(), rows.begin(), rows.end());
      }
      const auto* window = std::get_if<WindowAggregateNode>(&node.kind);
      if (window != nullptr && window->panes_of.value() >= 0) {
        const auto& givers = senders_of_.at(window->panes_of);
        senders.insert(senders.end(), givers.begin(), givers.end());
      }
      for (const Address sender : senders) {
        for (const Address task : senders_of_.at(node.id)) LinkTask(sender, task);
      }
    }
  }

  void Link(Address sender, ChannelPlan channel) {
    ActorPlan& from = At(sender);
    ActorPlan& to = At(channel.receiver);
    channel.input = int32_t(to.inputs.size());
    from.outputs.push_back(std::move(channel));
    to.inputs.push_back({sender, int32_t(from.outputs.size()) - 1});
  }
  void LinkTask(Address sender, Address task) {
    ChannelPlan channel;
    channel.receiver = task;
    channel.node = At(task).node;
    channel.task = TaskIndex(At(task).index);
    Link(sender, std::move(channel));
  }
  void LinkSinks(Address sender, Address receiver, std::vector<int32_t> sinks) {
    ChannelPlan channel;
    channel.receiver = receiver;
    channel.sinks = std::move(sinks);
    Link(sender, std::move(channel));
  }

  // Those who publish what a checkpoint covers: one for each shard's segments, one a file sink.
  void AddPublishers() {
    for (int32_t shard = 0; layout_.routes.has_records() && shard < job_.sink_shards; ++shard) {
      const Address address =
          Add(ActorKind::kSegmentPublisher, "publisher." + std::to_string(shard));
      At(address).shard = shard;
    }
    for (const auto& [index, sink] : layout_.routes.sinks) {
      if (sink.route != SinkRoute::kFiles) continue;
      AddRollPublisher(SinkName(index), index, sink.shard);
    }
    if (const auto& letters = layout_.routes.letter_files; letters.has_value()) {
      AddRollPublisher("dead_letters", kDeadLetterSink, letters->shard);
    }
  }
  void AddRollPublisher(const std::string& name, int32_t sink, int32_t shard) {
    const Address address = Add(ActorKind::kRollPublisher, name);
    At(address).sink = sink;
    At(address).shard = shard;
  }

  const JobSpec& job_;
  const JobPlan& plan_;
  const LayoutRequest& request_;
  JobLayout layout_;
  std::map<NodeId, std::vector<Address>> senders_of_;  // readers of a source, tasks of a node
  // Shard -> sender -> the sinks that it sends there.
  std::map<int32_t, std::map<Address, std::vector<int32_t>>> outbox_inputs_;
};

}  // namespace

std::vector<Address> JobLayout::ReadersOf(NodeId source) const {
  std::vector<Address> readers;
  for (size_t i = 0; i < actors.size(); ++i) {
    if (actors[i].kind == ActorKind::kReader && actors[i].node == source) {
      readers.push_back(Address(int32_t(i)));
    }
  }
  return readers;
}

std::vector<Address> JobLayout::PublishersOf(Address outbox) const {
  std::vector<Address> publishers;
  for (size_t i = size_t(participants); i < actors.size(); ++i) {
    if (actors[i].shard == at(outbox).shard) publishers.push_back(Address(int32_t(i)));
  }
  return publishers;
}

JobLayout LayOut(const JobSpec& job, const JobPlan& plan, const LayoutRequest& request) {
  return LayoutMaker(job, plan, request).Make();
}

}  // namespace millrace
