#include "tests/simulation/process.h"

#include <algorithm>

#include "engine/layout/spread_partitions.h"
#include "engine/state/state_key.h"
#include "engine/windows/window_header.h"

namespace millrace::simulation {
namespace {

constexpr const char* kJob = "test";
constexpr uint16_t kWindowOperator = 1;
// A folder that is there: nothing is written to it, local files are simulated.
constexpr const char* kFolder = ".";

// The first key group of a task.
KeyGroup FirstGroup(int task, int parallelism) {
  int32_t group = 0;
  while (group < kKeyGroupCount && TaskOf(KeyGroup(group), parallelism).value() < task) ++group;
  return KeyGroup(group);
}

std::string Mint(Random* random) {
  std::string id;
  for (int i = 0; i < 32; ++i) id += "0123456789abcdef"[random->Below(16)];
  return id;
}

}  // namespace

class Process::Starter final : public Actor {
 public:
  Starter(Process* process, Site* site) : Actor(site, 1000, "start"), process_(process) {
    Schedule();
  }

 private:
  void Turn() override {
    const Status status = process_->Begin();
    if (site_->dead()) return;
    if (!status.ok()) process_->ended_ = status;
  }
  Process* process_;
};

Process::Process(Universe* universe, int number, Start start)
    : universe_(universe),
      site_(universe->world, number),
      start_(std::move(start)),
      name_(site_.name()),
      plan_(MakeSimulatedPlan()) {
  actors_.push_back(std::make_unique<Starter>(this, &site_));
}

Process::~Process() { Kill(); }

void Process::Kill() {
  site_.Kill();
  for (auto& actor : actors_) actor->Unwind();
}

bool Process::Step() {
  std::vector<Actor*> ready;
  for (auto& actor : actors_) {
    if (actor->ready()) ready.push_back(actor.get());
  }
  if (ready.empty()) return false;
  ready[size_t(universe_->world->random.Below(int64_t(ready.size())))]->Step();
  if (leader_ != nullptr && leader_->ended().has_value()) ended_ = leader_->ended();
  return true;
}

std::optional<MonotonicTime> Process::next() const {
  std::optional<MonotonicTime> next;
  for (const auto& actor : actors_) {
    if (actor->next().has_value()) next = std::min(next.value_or(*actor->next()), *actor->next());
  }
  return next;
}

void Process::RequestStop() {
  if (running_) leader_->RequestStop();
}

Result<Recovered> Process::Recover() {
  RecoveryRequest request;
  request.job = kJob;
  request.owner = name_;
  request.savepoint = start_.savepoint;
  request.minted = Mint(&universe_->world->random);
  request.retain = start_.retain;
  const bool blind = universe_->world->bug == Bug::kFallBackTooFar;
  // Fences first: a transaction in doubt must not be committed after its register was looked at.
  request.registers = [this, blind](bool fence) -> Result<std::map<int32_t, proto::Register>> {
    for (int32_t shard = 0; fence && shard < kShards; ++shard) {
      if (!site_.Step()) return Died();
      universe_->kafka.Fence(shard);
    }
    if (blind) return std::map<int32_t, proto::Register>();
    return universe_->kafka.Registers();
  };
  request.file_registers = [this, blind]() -> Result<std::map<std::string, proto::Register>> {
    std::map<std::string, proto::Register> registers;
    const auto found = FileRegister(universe_->disk);
    if (found.has_value() && !blind) registers[kFileSinkId] = *found;
    return registers;
  };
  return millrace::Recover(request, storage_.get(), log_.get());
}

Status Process::Begin() {
  storage_ = MakeStorage(&site_, &universe_->disk, nullptr);
  log_ = MakeLog(&site_, &universe_->log);
  roll_writer_ = MakeRollWriter(&site_, &universe_->disk, &universe_->log);
  ARROW_ASSIGN_OR_RAISE(const auto leftovers, roll_writer_->Leftovers());
  ARROW_ASSIGN_OR_RAISE(const Recovered recovered, Recover());
  site_.term = recovered.committer.term;
  recovered_ = recovered.plan;
  if (universe_->world->bug == Bug::kReuseEpoch && recovered_.last_epoch.value() > 0) {
    recovered_.last_epoch = Epoch(recovered_.last_epoch.value() - 1);
  }
  for (const std::string& note : recovered_.notes) universe_->world->Trace(name_ + ": " + note);
  ARROW_RETURN_NOT_OK(roll_writer_->RemoveLeftovers(leftovers));
  if (recovered_.kind == RecoveryPlan::Kind::kFinished) {
    found_finished_ = true;
    ended_ = Status::OK();
    return Status::OK();
  }
  if (recovered_.kind == RecoveryPlan::Kind::kRestore) restored_ = recovered_.manifest;
  watermark_ = SourceWatermark(restored_, plan_.node(test::kSource).name);
  universe_->world->Trace(name_ + " goes on from epoch " + std::to_string(restored_.epoch()));
  MakeActors(recovered);
  ConnectAll();
  ARROW_RETURN_NOT_OK(BeginTasks());
  BeginOutboxes();
  ARROW_RETURN_NOT_OK(BeginPublishers());
  leader_->Begin(Peers());
  ARROW_RETURN_NOT_OK(BeginReaders());
  running_ = true;
  return Status::OK();
}

CoordinatorPlan Process::PlanOf(const Recovered& recovered) const {
  CoordinatorPlan plan;
  CoordinatorPlan::SourcePlan source;
  source.node = test::kSource;
  source.bounded = true;
  for (int i = 0; i < start_.readers; ++i) source.readers.push_back(ParticipantId(i));
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, readings] : universe_->readings) partitions.push_back(partition);
  for (const auto& [partition, reader] : SpreadPartitions(partitions, size_t(start_.readers))) {
    source.partitions[partition] = ParticipantId(int32_t(reader));
  }
  source.watermark = watermark_;
  plan.sources.push_back(std::move(source));
  plan.participants = ids();
  plan.limits = start_.limits;
  plan.identity = {kJob, recovered_.generation, recovered_.ancestors, recovered.committer.term,
                   kShards};
  if (recovered_.kind == RecoveryPlan::Kind::kRestore) plan.restored = restored_;
  plan.last_epoch = recovered_.last_epoch;
  return plan;
}

void Process::MakeActors(const Recovered& recovered) {
  const auto keep = [this](auto actor) {
    auto* const raw = actor.get();
    actors_.push_back(std::move(actor));
    return raw;
  };
  leader_ = keep(std::make_unique<Leader>(&site_, 100, PlanOf(recovered)));
  committer_ = keep(std::make_unique<CommitterActor>(
      &site_, 101, &universe_->log,
      std::make_unique<CheckpointCommitter>(recovered.committer, storage_.get(), log_.get())));
  int id = 0;
  const auto name = [](const char* what, int index) {
    return std::string(what) + "." + std::to_string(index);
  };
  for (int i = 0; i < start_.readers; ++i) {
    readers_.push_back(keep(std::make_unique<ReaderActor>(&site_, id++, name("reader", i), leader_,
                                                          start_.credit_bytes)));
  }
  for (int i = 0; i < start_.tasks; ++i) {
    tasks_.push_back(keep(
        std::make_unique<TaskActor>(&site_, id++, name("task", i), leader_, start_.credit_bytes)));
    stores_.push_back(keep(std::make_unique<StoreActor>(&site_, 200 + i, name("store", i))));
  }
  for (int i = 0; i < kShards; ++i) {
    outboxes_.push_back(keep(std::make_unique<OutboxActor>(&site_, id++, name("outbox", i), leader_,
                                                           start_.credit_bytes)));
    segments_.push_back(keep(std::make_unique<SegmentActor>(&site_, 300 + i, i, leader_)));
  }
  rolls_ = keep(std::make_unique<RollActor>(&site_, 400, leader_));
}

// Every sender has a channel to every shard, and gives its rows to one of them.
void Process::ConnectAll() {
  const auto to_outboxes = [this](Participant* sender, int index) {
    for (int shard = 0; shard < kShards; ++shard) {
      std::vector<int32_t> sinks;
      if (index % kShards == shard) sinks = {kMetricsSink, kHotSink, kFileSink, kAlertSink};
      if (shard == kLetterShard) sinks.push_back(kDeadLetterSink);
      if (sinks.empty()) sinks.push_back(-1);  // barriers only
      sender->Connect(outboxes_[size_t(shard)], sinks);
    }
  };
  for (size_t i = 0; i < readers_.size(); ++i) {
    for (TaskActor* task : tasks_) readers_[i]->Connect(task, {});
    to_outboxes(readers_[i], int(i));
  }
  for (size_t i = 0; i < tasks_.size(); ++i) to_outboxes(tasks_[i], int(i));
  for (int shard = 0; shard < kShards; ++shard) {
    if (shard == kLetterShard) continue;
    outboxes_[size_t(shard)]->Connect(outboxes_[kLetterShard], {kDeadLetterSink});
  }
}

LeaderPeers Process::Peers() const {
  LeaderPeers peers;
  for (size_t i = 0; i < readers_.size(); ++i) {
    peers.readers[ParticipantId(int32_t(i))] = readers_[i];
  }
  for (size_t i = 0; i < segments_.size(); ++i) peers.segments[int32_t(i)] = segments_[i];
  peers.rolls = rolls_;
  peers.committer = committer_;
  return peers;
}

Status Process::BeginReaders() {
  std::map<TopicPartition, StartReading::Partition> saved;
  for (const proto::ReaderState& reader : restored_.readers()) {
    for (const proto::PartitionPosition& position : reader.partitions()) {
      const TopicPartition id{position.topic(), position.partition()};
      if (position.next_offset() < 0) continue;  // nothing was read of it yet
      saved[id] = {{id, position.next_offset()},
                   EventTime(Micros(position.watermark())),
                   position.last_offset(),
                   position.last_hash()};
    }
  }
  std::vector<TopicPartition> partitions;
  for (const auto& [partition, readings] : universe_->readings) partitions.push_back(partition);
  std::vector<StartReading> starts(readers_.size());
  for (const auto& [partition, reader] : SpreadPartitions(partitions, readers_.size())) {
    StartReading::Partition from;
    from.start.partition = partition;
    if (const auto found = saved.find(partition); found != saved.end()) from = found->second;
    starts[reader].partitions.push_back(from);
  }
  for (size_t i = 0; i < readers_.size(); ++i) {
    starts[i].forwarded = watermark_;
    accounts_.push_back(std::make_unique<JobAccount>(plan_));
    ARROW_ASSIGN_OR_RAISE(auto reader,
                          Reader::Make(plan_, {test::kSource, 100, std::nullopt},
                                       MakeSource(&universe_->readings, &universe_->world->random),
                                       accounts_.back().get()));
    readers_[i]->Begin(std::move(reader), starts[i]);
  }
  return Status::OK();
}

Status Process::BeginTasks() {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto parts, MakeTask(int(i)));
    tasks_[i]->Begin(std::move(parts));
  }
  return Status::OK();
}

std::string Process::Prefix(const std::string& what, int index) const {
  return std::to_string(site_.term) + "-" + what + "-" + std::to_string(index);
}

Result<std::shared_ptr<TaskParts>> Process::MakeTask(int index) {
  auto parts = std::make_shared<TaskParts>();
  parts->storage = MakeStorage(&site_, &universe_->disk, &parts->local);
  parts->account = std::make_unique<JobAccount>(plan_);
  TaskStateOptions options;
  options.operator_id = plan_.node(test::kWindow).name;
  options.index = index;
  options.parallelism = start_.tasks;
  options.folder = kFolder;
  options.file_prefix = Prefix("window", index);
  std::unique_ptr<TableStore> store;
  ARROW_RETURN_NOT_OK(MakeStore(index, parts.get(), &options, &store));
  StateStore* const raw = store.get();
  parts->state =
      std::make_unique<TaskState>(std::move(options), std::move(store), parts->storage.get());
  TaskOptions task;
  task.node = test::kWindow;
  task.inputs = tasks_[size_t(index)]->inputs();
  task.watermark = watermark_;
  task.state_bytes_max = start_.state_bytes_max;
  ARROW_ASSIGN_OR_RAISE(parts->task, Task::Make(plan_, task, raw, parts->account.get()));
  return parts;
}

// As tools/millrace does: the task's own files where the parallelism is the same, else the key
// groups that fall to it out of all.
Status Process::MakeStore(int index, TaskParts* parts, TaskStateOptions* options,
                          std::unique_ptr<TableStore>* store) {
  StoreActor* const thread = stores_[size_t(index)];
  *store = std::make_unique<TableStore>(&parts->local, [thread](std::function<void()> work) {
    thread->Post(0, "store", std::move(work));
  });
  if (restored_.tasks_size() != start_.tasks) return GatherGroups(index, store->get());
  for (const proto::TaskState& saved : restored_.tasks()) {
    if (saved.index() != index) continue;
    ARROW_ASSIGN_OR_RAISE(options->restored,
                          RestoreStateFolder(saved, parts->storage.get(), kFolder));
    ARROW_RETURN_NOT_OK((*store)->Open(kFolder));
  }
  return Status::OK();
}

Status Process::GatherGroups(int index, TableStore* store) {
  std::vector<std::string> headers;
  const std::string own = StateOperatorKey(kWindowOperator);
  for (const proto::TaskState& saved : restored_.tasks()) {
    LocalFiles local;
    const auto storage = MakeStorage(&site_, &universe_->disk, &local);
    ARROW_RETURN_NOT_OK(RestoreStateFolder(saved, storage.get(), kFolder).status());
    TableStore from(&local, nullptr);
    ARROW_RETURN_NOT_OK(from.Open(kFolder));
    ARROW_ASSIGN_OR_RAISE(const auto entry, from.Scan(own, own + std::string(1, '\0')));
    if (entry->Valid()) headers.emplace_back(entry->value());
    ARROW_RETURN_NOT_OK(CopyKeyGroups(&from, store, kWindowOperator,
                                      FirstGroup(index, start_.tasks),
                                      FirstGroup(index + 1, start_.tasks)));
  }
  if (headers.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string header,
                        MergeWindowHeaders(headers, /*with_counts=*/index == 0));
  StateBatch batch;
  batch.Put(own, header);
  return store->Write(std::move(batch));
}

const proto::ShardState& Process::SavedShard(int32_t shard) const {
  for (const proto::ShardState& saved : restored_.shards()) {
    if (saved.shard() == shard) return saved;
  }
  return proto::ShardState::default_instance();
}

void Process::BeginOutboxes() {
  static const auto kRows = test::MakePlan().node(test::kHot).output.ToArrow();
  for (int shard = 0; shard < kShards; ++shard) {
    const proto::ShardState& saved = SavedShard(shard);
    OutboxOptions options;
    options.shard = shard;
    options.file_prefix = Prefix("outbox", shard);
    options.next_row = saved.next_row();
    options.inputs = outboxes_[size_t(shard)]->inputs();
    options.records[kMetricsSink] = MakeRowEncoder("metrics");
    options.records[kHotSink] = MakeRowEncoder("hot");
    options.records[kAlertSink] = MakeRowEncoder("alerts");
    if (shard == kLetterShard) options.letter_records = MakeLetterEncoder();
    OutboxFileSink files;
    files.id = kFileSinkId;
    files.schema = kRows;
    files.roll_interval = start_.roll_interval;
    for (const proto::FileSinkState& file : saved.files()) {
      for (const proto::Segment& segment : file.open()) {
        files.restored_bytes += segment.file().bytes();
      }
    }
    options.files[kFileSink] = std::move(files);
    accounts_.push_back(std::make_unique<JobAccount>(plan_));
    outboxes_[size_t(shard)]->Begin(std::make_unique<Outbox>(
        std::move(options), storage_.get(), universe_->world, accounts_.back().get()));
  }
}

Status Process::BeginPublishers() {
  const Lineage lineage{kJob, recovered_.generation, recovered_.ancestors,
                        recovered_.accept_foreign};
  for (int32_t shard = 0; shard < kShards; ++shard) {
    const proto::ShardState& saved = SavedShard(shard);
    ShardKnowledge known;
    known.shard = shard;
    known.confirmed_epoch = Epoch(saved.published_epoch());
    known.confirmed_row = saved.published_row();
    known.sealed_epoch = Epoch(restored_.epoch());
    known.sealed_row = saved.next_row();
    OutputOptions options{shard, recovered_.generation, {}};
    options.confirmed.set_generation(recovered_.generation);
    options.confirmed.set_epoch(saved.published_epoch());
    options.confirmed.set_next_row(saved.published_row());
    SegmentParts parts;
    parts.output = MakeOutput(std::move(options), &site_, &universe_->kafka);
    parts.publisher = std::make_unique<SegmentPublisher>(lineage, known, storage_.get(),
                                                         parts.output.get(), universe_->world);
    segments_[size_t(shard)]->Begin(std::move(parts));
  }
  RollPublisherOptions options{lineage, "files", Epoch(restored_.epoch())};
  rolls_->Begin(
      std::make_unique<RollPublisher>(std::move(options), roll_writer_.get(), storage_.get()));
  return Status::OK();
}

}  // namespace millrace::simulation
