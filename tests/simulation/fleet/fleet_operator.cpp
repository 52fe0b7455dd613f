#include "tests/simulation/fleet/fleet_operator.h"

#include <algorithm>

namespace millrace::simulation {

FleetOperator::FleetOperator(FleetSurroundings* fleet, std::vector<std::string> jobs)
    : fleet_(fleet), jobs_(std::move(jobs)) {}

void FleetOperator::AskAny(FleetCoordinator* coordinator) {
  Random& random = fleet_->world->random;
  const std::string& job = jobs_[size_t(random.Below(int64_t(jobs_.size())))];
  const int64_t wish = random.Below(100);
  if (!coordinator->state().jobs().contains(job) || wish < 15) return Apply(coordinator, job);
  if (wish < 22) {
    return ApplyFile(coordinator, job, coordinator->state().jobs().at(job).record.file());
  }
  if (wish < 55) return Rescale(coordinator, job, int32_t(random.Below(kPartitions + 2)));
  if (wish < 68) return SetDesire(coordinator, job, proto::JOB_PAUSED);
  if (wish < 73) return SetDesire(coordinator, job, proto::JOB_CANCELED);
  if (wish < 95) return SetDesire(coordinator, job, proto::JOB_RUNNING);
  Remove(coordinator, job);
}

void FleetOperator::Apply(FleetCoordinator* coordinator, const std::string& job) {
  Random& random = fleet_->world->random;
  FleetJobFile file;
  file.parallelism = random.Chance(700) ? 0 : int32_t(1 + random.Below(kPartitions));
  file.attempts = random.Chance(850) ? 1000 : 2;
  file.version = ++files_;
  ApplyFile(coordinator, job, file.Text());
}

void FleetOperator::ApplyFile(FleetCoordinator* coordinator, const std::string& job,
                              const std::string& file) {
  asking_ = job;
  const Status status = coordinator->Apply(job, file, ++wall_);
  Note(*coordinator, job, status);
  if (!status.ok()) return;
  const proto::JobRecord& record = promised_.at(job);
  if (record.file() != file || record.desire() != proto::JOB_RUNNING) {
    // A job that has finished stays so.
    if (!record.finished()) fleet_->world->Fail("job " + job + " is not as it was applied");
  }
}

void FleetOperator::SetDesire(FleetCoordinator* coordinator, const std::string& job,
                              proto::JobDesire desire) {
  asking_ = job;
  const Status status = coordinator->SetDesire(job, desire);
  Note(*coordinator, job, status);
  if (status.ok() && promised_.at(job).desire() != desire) {
    fleet_->world->Fail("job " + job + " is not as it is desired");
  }
}

void FleetOperator::Rescale(FleetCoordinator* coordinator, const std::string& job,
                            int32_t parallelism) {
  asking_ = job;
  const Status status = coordinator->Rescale(job, parallelism);
  Note(*coordinator, job, status);
  if (status.ok() && promised_.at(job).parallelism() != parallelism) {
    fleet_->world->Fail("job " + job + " is not rescaled");
  }
}

void FleetOperator::Remove(FleetCoordinator* coordinator, const std::string& job) {
  asking_ = job;
  const Status status = coordinator->Remove(job);
  Note(*coordinator, job, status);
}

void FleetOperator::Note(const FleetCoordinator& coordinator, const std::string& job,
                         const Status& status) {
  asking_.clear();
  ++fleet_->events->wishes;
  fleet_->world->Trace("wish about job " + job + " of " + coordinator.incarnation() + ": " +
                       status.ToString());
  if (!status.ok()) return;
  const auto known = coordinator.state().jobs().find(job);
  if (known == coordinator.state().jobs().end()) {
    if (promised_.contains(job)) removed_.insert(promised_.at(job).created());
    promised_.erase(job);
    return;
  }
  promised_[job] = known->second.record;
}

std::optional<std::string> FleetOperator::Forgotten(const proto::Catalog& catalog) const {
  std::map<std::string, const proto::JobRecord*> records;
  for (const proto::JobRecord& record : catalog.jobs()) {
    records[record.name()] = &record;
    const bool back = removed_.contains(record.created()) && record.name() != asking_;
    if (back) return "job " + record.name() + " was removed, and is back";
  }
  for (const auto& [name, promised] : promised_) {
    if (name == asking_) continue;
    const auto found = records.find(name);
    if (found == records.end()) return "job " + name + " is forgotten";
    const proto::JobRecord& record = *found->second;
    const bool as_promised =
        record.version() > promised.version() ||
        (record.version() == promised.version() && record.file() == promised.file() &&
         record.desire() == promised.desire() && record.parallelism() == promised.parallelism());
    if (record.created() != promised.created() || !as_promised) {
      return "what was promised of job " + name + " is forgotten";
    }
  }
  return std::nullopt;
}

void FleetOperator::OnCatalog(const proto::Catalog& catalog, const std::string& by) {
  const auto forgotten = Forgotten(catalog);
  if (forgotten.has_value()) fleet_->world->Fail("a catalog that " + by + " writes: " + *forgotten);
}

}  // namespace millrace::simulation
