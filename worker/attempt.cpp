#include "worker/attempt.h"

#include <arrow/filesystem/localfs.h>

#include "engine/endpoints/job_sources.h"
#include "engine/endpoints/plan_fingerprint.h"

namespace millrace {

Attempt::Attempt(const AttemptSurroundings& surroundings, proto::Deploy deploy,
                 std::map<std::string, LinkSessionId> peers, LinkSessionId coordinator)
    : surroundings_([&] {
        AttemptSurroundings own = surroundings;
        own.connectors.stopping = &giving_up_;
        own.connectors.run_id = surroundings.worker + "-" + std::to_string(deploy.attempt());
        return own;
      }()),
      deploy_(std::move(deploy)),
      peers_(std::move(peers)),
      coordinator_(coordinator),
      id_{deploy_.job(), deploy_.attempt()},
      families_(surroundings_.metrics, id_.job),
      metrics_(families_) {}

Attempt::~Attempt() {
  giving_up_ = true;
  surroundings_.exchange->Unregister(id_);
  for (const auto& [address, proxy] : proxies_) caf::anon_send(proxy, Stop::value);
  proxies_.clear();
  if (host_ == nullptr) return;
  host_.reset();
  metrics_.UpdateCounters(*Account(), report_->figures(), lookups_->tables());
}

Status Attempt::Start() {
  ARROW_RETURN_NOT_OK(ReadJob());
  ARROW_RETURN_NOT_OK(OpenEndpoints());
  return MakeActors();
}

Status Attempt::ReadJob() {
  std::string warnings;
  ARROW_ASSIGN_OR_RAISE(
      job_, CheckJobText(deploy_.file_name(), deploy_.file(), SystemSecrets(), &warnings));
  if (PlanFingerprint(job_->plan) != deploy_.plan_fingerprint()) {
    return ExternalError("other_plan",
                         "worker '" + surroundings_.worker +
                             "' plans this job in another way than the coordinator: they are of "
                             "different builds; finish the upgrade",
                         Retry::kYes);
  }
  LayoutRequest request;
  request.parallelism = deploy_.parallelism();
  for (const proto::SourceDeployment& source : deploy_.sources()) {
    if (const PlanNode* const node = SourceOf(source)) request.readers[node->id] = source.readers();
  }
  const auto sources = std::ranges::count_if(job_->plan.nodes, [](const PlanNode& node) {
    return std::holds_alternative<SourceNode>(node.kind);
  });
  const bool whole = deploy_.sources_size() == sources &&
                     int64_t(request.readers.size()) == sources && deploy_.parallelism() >= 1 &&
                     deploy_.parallelism() <= kKeyGroupCount;
  if (whole) layout_ = LayOut(job_->spec, job_->plan, request);
  const int32_t workers = deploy_.workers_size();
  const auto is_one = [&](int32_t worker) { return worker >= 0 && worker < workers; };
  if (!whole || deploy_.worker_of_size() != int32_t(layout_.actors.size()) ||
      !std::ranges::all_of(deploy_.worker_of(), is_one)) {
    return InternalError("bad_deployment", "the deployment does not fit its job");
  }
  return Status::OK();
}

const PlanNode* Attempt::SourceOf(const proto::SourceDeployment& source) const {
  const auto found = std::ranges::find_if(job_->plan.nodes, [&](const PlanNode& node) {
    return node.name == source.node() && std::holds_alternative<SourceNode>(node.kind);
  });
  return found == job_->plan.nodes.end() ? nullptr : &*found;
}

int32_t Attempt::WorkerOf(Address address) const { return deploy_.worker_of(address.value()); }

bool Attempt::IsHere(Address address) const {
  return deploy_.workers(WorkerOf(address)).name() == surroundings_.worker;
}

Status Attempt::OpenEndpoints() {
  const JobSpec& spec = job_->spec;
  ARROW_ASSIGN_OR_RAISE(
      storage_, CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(),
                                        surroundings_.storage + "/" + id_.job + "/checkpoints"));
  ARROW_ASSIGN_OR_RAISE(lookups_, JobLookups::Open(spec, job_->plan, surroundings_.connectors,
                                                   surroundings_.clock, giving_up_));
  for (int32_t i = 0; i < int32_t(layout_.actors.size()); ++i) {
    const ActorPlan& actor = layout_.at(Address(i));
    if (actor.kind != ActorKind::kReader || !IsHere(Address(i))) continue;
    if (sources_.contains(actor.node)) continue;
    int32_t readers_here = 0;
    for (const Address reader : layout_.ReadersOf(actor.node)) readers_here += IsHere(reader);
    ARROW_ASSIGN_OR_RAISE(sources_[actor.node],
                          MakeSource(spec, job_->plan.node(actor.node), surroundings_.connectors,
                                     readers_here, surroundings_.clock));
  }
  return AttemptWithBackoff(*surroundings_.clock, giving_up_, "opening sinks", [&] {
    ARROW_ASSIGN_OR_RAISE(sinks_, OpenJobSinks(spec, job_->plan, surroundings_.connectors,
                                               /*leftovers=*/{}, surroundings_.clock));
    return Status::OK();
  });
}

Status Attempt::MakeActors() {
  report_ = std::make_unique<WorkerReport>(families_, surroundings_.clock);
  tap_ = std::make_unique<RowTap>(job_->plan, surroundings_.clock);
  TaskStatesOptions states;
  states.folder = surroundings_.local_folder + "/" + id_.job;
  states.attempt = id_.attempt;
  states.memory_bytes = job_->spec.state_memory_bytes;
  states.restored = deploy_.has_restored() ? &deploy_.restored() : nullptr;
  states.storage = storage_.get();
  states_ = std::make_unique<TaskStates>(std::move(states));

  HostedJob hosted;
  hosted.job = &job_->spec;
  hosted.plan = &job_->plan;
  hosted.layout = &layout_;
  hosted.clock = surroundings_.clock;
  hosted.observer = report_.get();
  hosted.is_here = [this](Address address) { return IsHere(address); };
  hosted.new_account = [this] { return &accounts_.emplace_back(job_->plan); };
  hosted.lineage.job = id_.job;
  hosted.lineage.generation = deploy_.generation();
  hosted.lineage.ancestors.assign(deploy_.ancestors().begin(), deploy_.ancestors().end());
  hosted.lineage.accept_foreign = deploy_.accept_foreign();
  hosted.states = states_.get();
  hosted.parallelism = deploy_.parallelism();
  for (const proto::SourceDeployment& source : deploy_.sources()) {
    hosted.watermarks[SourceOf(source)->id] = EventTime(Micros(source.watermark()));
  }
  for (const auto& [node, source] : sources_) hosted.sources[node] = source.get();
  hosted.sinks = sinks_.get();
  hosted.lookups = lookups_->tables();
  hosted.tap = tap_.get();
  host_ = std::make_unique<JobHost>(std::move(hosted));
  ARROW_RETURN_NOT_OK(host_->Spawn());

  std::map<Address, caf::actor> here;
  for (int32_t i = 0; i < int32_t(layout_.actors.size()); ++i) {
    if (IsHere(Address(i))) here[Address(i)] = host_->ActorAt(Address(i));
  }
  // Before any channel is given: what comes over the link afterwards finds its receiver.
  surroundings_.exchange->Register(id_, std::move(here));
  host_->Connect([this](Address address) { return Proxy(address); });
  return Status::OK();
}

caf::actor Attempt::Proxy(Address address) {
  caf::actor& proxy = proxies_[address];
  if (!proxy) {
    const LinkSessionId session = address == kCoordinatorAddress
                                      ? coordinator_
                                      : peers_.at(deploy_.workers(WorkerOf(address)).name());
    proxy = surroundings_.exchange->MakeProxy(host_->system(), session, id_, address);
  }
  return proxy;
}

std::unique_ptr<JobAccount> Attempt::Account() const {
  auto sum = std::make_unique<JobAccount>(job_->plan);
  for (const JobAccount& account : accounts_) sum->Add(account);
  return sum;
}

void Attempt::UpdateMetrics() {
  const auto account = Account();
  const RunFigures figures = report_->figures();
  metrics_.UpdateCounters(*account, figures, lookups_->tables());
  metrics_.UpdateGauges(*account, figures, lookups_->tables(), surroundings_.clock->Wall());
}

void Attempt::LoadStreams(const RunFigures& figures, proto::AttemptLoad* load) const {
  std::map<std::string, proto::StreamLoad> streams;
  const auto account = Account();
  for (const auto& [name, stream] : account->streams()) {
    proto::StreamLoad& of = streams[name];
    of.set_name(name);
    of.set_records_in(stream->rows_in);
    of.set_filtered(stream->filtered);
    of.set_late(stream->late);
    of.set_dead_letters(account->DeadLettersOf(name));
    of.set_windows_fired(stream->windows_fired);
    of.set_watermark(stream->watermark);
    of.set_lag_records(-1);
  }
  for (const auto& [name, records] : figures.lag) {
    if (const auto found = streams.find(name); found != streams.end()) {
      found->second.set_lag_records(records);
    }
  }
  for (const auto& [name, census] : figures.KeysByStream()) {
    const auto found = streams.find(name);
    if (found == streams.end()) continue;
    found->second.set_keys_behind(census.behind);
    found->second.set_keys_offline(census.offline);
    found->second.set_furthest_behind(FurthestBehind(census));
  }
  for (auto& [name, stream] : streams) *load->add_streams() = std::move(stream);
}

void Attempt::LoadSlots(const RunFigures& figures, proto::AttemptLoad* load) const {
  std::map<int32_t, MonotonicTime> cpu;
  for (int32_t i = 0; i < int32_t(layout_.actors.size()); ++i) {
    const ActorPlan& actor = layout_.at(Address(i));
    const bool of_slot = actor.kind == ActorKind::kReader || actor.kind == ActorKind::kTask;
    if (!of_slot || !IsHere(Address(i))) continue;
    const auto used = figures.cpu_times.find(actor.name);
    cpu[actor.index] += used == figures.cpu_times.end() ? MonotonicTime(0) : used->second;
  }
  for (const auto& [slot, used] : cpu) {
    proto::SlotLoad& of_slot = *load->add_slots();
    of_slot.set_slot(slot);
    of_slot.set_cpu_micros(std::chrono::duration_cast<Micros>(used).count());
  }
}

void Attempt::Tell(EventTime wall, const std::string& message, proto::Beat* beat) const {
  proto::WorkerLine& line = *beat->add_lines();
  line.set_job(id_.job);
  line.set_wall(wall.time_since_epoch().count());
  line.set_message(message);
}

void Attempt::Report(proto::Beat* beat) {
  proto::AttemptLoad& load = *beat->add_attempts();
  load.set_job(id_.job);
  load.set_attempt(id_.attempt);
  const RunFigures figures = report_->figures();
  int64_t lag = figures.lag.empty() ? -1 : 0;
  for (const auto& [stream, records] : figures.lag) lag += records;
  load.set_lag_records(lag);
  load.set_state_bytes(figures.state_bytes);
  LoadSlots(figures, &load);
  LoadStreams(figures, &load);
  const WorkerReport::News news = report_->TakeNews();
  for (const auto& [name, stats] : figures.sinks) {
    proto::SinkLoad& sink = *load.add_sinks();
    sink.set_name(name);
    sink.set_records_out(stats.rows_written);
    const auto latency = news.latencies.find(name);
    sink.set_latency(latency == news.latencies.end()
                         ? -1
                         : std::chrono::duration_cast<Micros>(latency->second).count());
  }
  for (const WorkerReport::News::Warning& warning : news.warnings) {
    Tell(warning.wall, warning.who + ": " + warning.message, beat);
  }
  if (news.dropped_warnings > 0) {
    Tell(surroundings_.clock->Wall(),
         "and " + std::to_string(news.dropped_warnings) + " more warnings", beat);
  }
}

}  // namespace millrace
