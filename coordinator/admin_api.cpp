#include "coordinator/admin_api.h"

#include <google/protobuf/util/json_util.h>
#include <httplib.h>

#include "coordinator/cluster_coordinator.h"
#include "engine/plan/checked_job.h"
#include "proto/admin.pb.h"

namespace millrace {
namespace {

constexpr int kTimeoutSeconds = 5;
constexpr size_t kBodyBytesMax = 2 << 20;
constexpr const char* kJson = "application/json";

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}";
}

void Answer(const google::protobuf::Message& message, httplib::Response* response) {
  response->set_content(ToJson(message), kJson);
}

int HttpStatusOf(const std::string& code) {
  if (code == "job_unknown") return 404;
  if (code == "job_is_running" || code == "job_ended") return 409;
  return 400;
}

void AnswerError(const Status& status, httplib::Response* response) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  proto::ApiError error;
  error.set_code(detail == nullptr ? "internal" : std::string(detail->code()));
  error.set_message(status.message());
  const bool of_the_user = detail != nullptr && detail->domain() == ErrorDomain::kUser;
  response->status = of_the_user ? HttpStatusOf(error.code()) : 500;
  Answer(error, response);
}

// What the request's body says, or an answer that says what is wrong with it.
template <typename Message>
bool Read(const httplib::Request& request, Message* message, httplib::Response* response) {
  if (request.body.empty()) return true;
  const auto status = google::protobuf::util::JsonStringToMessage(request.body, message);
  if (status.ok()) return true;
  AnswerError(UserError("bad_request", "the body is no such message: " +
                                           std::string(status.message().as_string())),
              response);
  return false;
}

double SecondsOf(MonotonicTime time) { return std::chrono::duration<double>(time).count(); }

proto::JobStatus StatusOf(const JobView& view) {
  proto::JobStatus status;
  status.set_name(view.record.name());
  status.set_state(std::string(JobPhaseName(view.phase)));
  status.set_desired(view.record.desire() == proto::JOB_RUNNING  ? "running"
                     : view.record.desire() == proto::JOB_PAUSED ? "paused"
                                                                 : "canceled");
  status.set_why(view.why);
  status.set_parallelism(int32_t(view.slots.size()));
  status.set_wanted_parallelism(view.record.parallelism());
  status.set_lag_records(view.lag_records);
  status.set_state_bytes(view.state_bytes);
  status.set_checkpoints(view.checkpoints);
  status.set_last_epoch(view.last_epoch);
  status.set_attempt(view.attempt);
  status.set_restarts(view.restarts);
  status.set_last_failure(view.last_failure);
  status.mutable_slot_workers()->Assign(view.slots.begin(), view.slots.end());
  status.set_created(view.record.created());
  status.set_version(view.record.version());
  status.set_seconds_in_state(SecondsOf(view.in_phase));
  return status;
}

void AnswerJob(ClusterCoordinator* cluster, const std::string& name, httplib::Response* response) {
  for (const JobView& view : cluster->Jobs()) {
    if (view.record.name() == name) return Answer(StatusOf(view), response);
  }
  AnswerError(UserError("job_unknown", "there is no job '" + name + "'"), response);
}

void AnswerJobOr(const Status& status, ClusterCoordinator* cluster, const std::string& name,
                 httplib::Response* response) {
  if (!status.ok()) return AnswerError(status, response);
  AnswerJob(cluster, name, response);
}

}  // namespace

AdminApi::AdminApi(AdminApiOptions options, ClusterCoordinator* cluster)
    : service_({options.host, options.port, kTimeoutSeconds, kBodyBytesMax}), cluster_(cluster) {}

Status AdminApi::Start() {
  return service_.Start([this](httplib::Server* server) { Route(server); });
}

void AdminApi::Route(httplib::Server* server) {
  server->Get("/api/v1/jobs", [this](const httplib::Request&, httplib::Response& response) {
    proto::JobList list;
    for (const JobView& view : cluster_->Jobs()) *list.add_jobs() = StatusOf(view);
    Answer(list, &response);
  });
  server->Post("/api/v1/jobs", [this](const httplib::Request& request,
                                      httplib::Response& response) {
    proto::ApplyRequest apply;
    if (!Read(request, &apply, &response)) return;
    std::string warnings;
    const auto job = CheckJobText(apply.file_name(), apply.file(), SystemSecrets(), &warnings);
    if (!job.ok()) return AnswerError(job.status(), &response);
    const std::string name = (*job)->spec.name;
    AnswerJobOr(cluster_->Apply(name, apply.file_name(), apply.file()), cluster_, name, &response);
  });
  server->Get(R"(/api/v1/jobs/([^/]+))",
              [this](const httplib::Request& request, httplib::Response& response) {
                AnswerJob(cluster_, request.matches[1], &response);
              });
  server->Delete(R"(/api/v1/jobs/([^/]+))",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   const Status status = cluster_->Remove(request.matches[1]);
                   if (!status.ok()) return AnswerError(status, &response);
                   response.status = 204;
                 });
  const auto desire = [this, server](const char* verb, proto::JobDesire wanted) {
    server->Post(std::string(R"(/api/v1/jobs/([^/]+)/)") + verb,
                 [this, wanted](const httplib::Request& request, httplib::Response& response) {
                   const std::string name = request.matches[1];
                   AnswerJobOr(cluster_->SetDesire(name, wanted), cluster_, name, &response);
                 });
  };
  desire("pause", proto::JOB_PAUSED);
  desire("resume", proto::JOB_RUNNING);
  desire("cancel", proto::JOB_CANCELED);
  server->Post(R"(/api/v1/jobs/([^/]+)/rescale)", [this](const httplib::Request& request,
                                                         httplib::Response& response) {
    const std::string name = request.matches[1];
    proto::RescaleRequest rescale;
    if (!Read(request, &rescale, &response)) return;
    if (rescale.parallelism() < 0 || rescale.parallelism() > kKeyGroupCount) {
      return AnswerError(
          UserError("bad_parallelism", "parallelism is 1 to 720, or 0: as the file says"),
          &response);
    }
    AnswerJobOr(cluster_->Rescale(name, rescale.parallelism()), cluster_, name, &response);
  });
  server->Get("/api/v1/workers", [this](const httplib::Request&, httplib::Response& response) {
    proto::WorkerList list;
    for (const WorkerView& view : cluster_->Workers()) {
      proto::WorkerStatus& worker = *list.add_workers();
      worker.set_name(view.info.name);
      worker.set_slots(view.info.slots);
      worker.set_exchange_address(view.info.exchange_address);
      worker.set_build(view.info.build);
      worker.set_leaving(view.info.leaving);
      worker.set_seconds_since_beat(SecondsOf(view.beat_ago));
    }
    Answer(list, &response);
  });
}

}  // namespace millrace
