#include "tools/millrace/job_actors.h"

namespace millrace {

JobActors::JobActors(const JobParts& parts) : parts_(parts) {}

JobActors::~JobActors() {
  leader_.reset();
  host_.reset();
}

Status JobActors::Start() {
  LayoutRequest request;
  request.parallelism = parts_.parallelism;
  for (const OpenedSource& source : *parts_.sources) {
    request.readers[source.node] = int32_t(source.starts.size());
  }
  layout_ = LayOut(*parts_.job, *parts_.plan, request);

  TaskStatesOptions states;
  states.folder = parts_.claim->Folder("local");
  states.attempt = parts_.claim->term();
  states.memory_bytes = parts_.state_memory_bytes;
  states.restored = parts_.claim->restored();
  states.storage = parts_.claim->storage();
  states_ = std::make_unique<TaskStates>(std::move(states));

  const RecoveryPlan& recovery = parts_.claim->plan();
  HostedJob hosted;
  hosted.job = parts_.job;
  hosted.plan = parts_.plan;
  hosted.layout = &layout_;
  hosted.clock = parts_.clock;
  hosted.observer = parts_.worker_observer;
  hosted.new_account = parts_.new_account;
  hosted.lineage = {parts_.job->name, recovery.generation, recovery.ancestors,
                    recovery.accept_foreign};
  hosted.states = states_.get();
  hosted.parallelism = parts_.parallelism;
  for (OpenedSource& source : *parts_.sources) {
    hosted.watermarks[source.node] = source.watermark;
    hosted.sources[source.node] = source.source.get();
  }
  hosted.sinks = parts_.sinks;
  hosted.lookups = parts_.lookups;
  hosted.end_when_idle = parts_.end_when_idle;
  host_ = std::make_unique<JobHost>(std::move(hosted));
  ARROW_RETURN_NOT_OK(host_->Spawn());

  const auto here = [this](Address address) { return host_->ActorAt(address); };
  leader_ = std::make_unique<JobLeader>(
      LedJob{parts_.job, &layout_, parts_.claim, parts_.clock, parts_.job_observer, parts_.sources},
      host_->system(), here);
  host_->Connect([this](Address) { return leader_->coordinator(); });
  leader_->Launch();
  return Status::OK();
}

void JobActors::RequestStop() {
  if (leader_ != nullptr) leader_->RequestStop();
}

void JobActors::RequestSavepoint(const std::string& name) {
  if (leader_ != nullptr) leader_->RequestSavepoint(name);
}

}  // namespace millrace
