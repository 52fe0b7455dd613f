#include "coordinator/admin_api.h"

#include <google/protobuf/util/json_util.h>
#include <httplib.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>

#include "coordinator/cluster_coordinator.h"
#include "coordinator/job_files.h"
#include "engine/env/loopback.h"
#include "engine/metrics/log.h"
#include "engine/plan/checked_job.h"
#include "engine/storage/savepoints.h"
#include "proto/admin.pb.h"

namespace millrace {
namespace {

constexpr int kTimeoutSeconds = 5;
constexpr size_t kBodyBytesMax = 2 << 20;
constexpr int64_t kPageMax = 1000;
constexpr int64_t kPageDefault = 200;
constexpr size_t kDescribedLines = 20;
constexpr const char* kJson = "application/json";
constexpr const char* kJob = R"(/api/v1/jobs/([^/]+))";

std::string JobPath(const std::string& rest) { return kJob + rest; }

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}";
}

// What changes only because time passes makes no other answer.
template <typename Message>
void ForgetTimes(Message*) {}
void ForgetTimes(proto::JobStatus* status) {
  status->clear_seconds_in_state();
  status->clear_seconds_since_checkpoint();
  status->clear_watermark_delay_seconds();
  status->clear_age();
}
void ForgetTimes(proto::JobList* list) {
  for (proto::JobStatus& status : *list->mutable_jobs()) ForgetTimes(&status);
}
void ForgetTimes(proto::JobDescription* description) {
  ForgetTimes(description->mutable_status());
  for (proto::SourceStatus& source : *description->mutable_sources()) {
    source.clear_watermark_delay_seconds();
  }
}
void ForgetTimes(proto::WorkerList* list) {
  for (proto::WorkerStatus& worker : *list->mutable_workers()) worker.clear_seconds_since_beat();
}

template <typename Message>
void Answer(const httplib::Request& request, const Message& message, httplib::Response* response) {
  Message tagged = message;
  ForgetTimes(&tagged);
  const std::string bytes = tagged.SerializeAsString();
  char tag[32];
  std::snprintf(tag, sizeof(tag), "W/\"%016llx\"",
                static_cast<unsigned long long>(XXH3_64bits(bytes.data(), bytes.size())));
  response->set_header("ETag", tag);
  if (request.get_header_value("If-None-Match") == tag) {
    response->status = 304;
    return;
  }
  response->set_content(ToJson(message), kJson);
}

void AnswerChange(const google::protobuf::Message& message, httplib::Response* response) {
  response->set_content(ToJson(message), kJson);
}

void AnswerError(int status, const std::string& code, const std::string& message,
                 httplib::Response* response) {
  proto::ApiError error;
  error.set_code(code);
  error.set_message(message);
  response->status = status;
  if (status == 503) response->set_header("Retry-After", "1");
  response->set_content(ToJson(error), kJson);
}

int HttpStatusOf(const ErrorDetail& detail) {
  static const std::map<std::string_view, int> kStatuses = {
      {"job_unknown", 404},        {"savepoint_missing", 404},
      {"checkpoint_missing", 404}, {"job_is_running", 409},
      {"job_ended", 409},          {"job_not_running", 409},
      {"savepoint_exists", 409},   {"savepoint_in_progress", 409},
      {"too_many_jobs", 409},      {"superseded", 503},
  };
  const auto found = kStatuses.find(detail.code());
  if (found != kStatuses.end()) return found->second;
  if (detail.domain() == ErrorDomain::kUser) return 400;
  return detail.domain() == ErrorDomain::kInternal ? 500 : 503;
}

void AnswerError(const Status& status, httplib::Response* response) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  if (detail == nullptr) return AnswerError(500, "internal", status.message(), response);
  AnswerError(HttpStatusOf(*detail), std::string(detail->code()), status.message(), response);
}

// What the request's body says.
template <typename Message>
Result<Message> Read(const httplib::Request& request) {
  Message message;
  if (request.body.empty()) return message;
  const auto status = google::protobuf::util::JsonStringToMessage(request.body, &message);
  if (status.ok()) return message;
  return UserError("bad_request", "the body is no " + std::string(message.GetDescriptor()->name()) +
                                      ": " + std::string(status.message().as_string()));
}

// A number among the parameters, or `otherwise`.
Result<int64_t> ReadNumber(const httplib::Request& request, const std::string& name, int64_t most,
                           int64_t otherwise) {
  if (!request.has_param(name)) return otherwise;
  const std::string text = request.get_param_value(name);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most) {
    return number;
  }
  return UserError("bad_parameter",
                   name + "=" + text + ": expected a number from 0 to " + std::to_string(most));
}

// Which page of something that goes on is wanted.
struct PageRequest {
  int64_t after = 0;
  size_t limit = 0;
};

Result<PageRequest> ReadPage(const httplib::Request& request) {
  ARROW_ASSIGN_OR_RAISE(const int64_t after, ReadNumber(request, "after", INT64_MAX, 0));
  ARROW_ASSIGN_OR_RAISE(const int64_t limit, ReadNumber(request, "limit", kPageMax, kPageDefault));
  return PageRequest{after, size_t(limit)};
}

double SecondsOf(MonotonicTime time) { return std::chrono::duration<double>(time).count(); }

void Describe(const std::string& name, const proto::Manifest& manifest,
              proto::SavepointStatus* status) {
  status->set_name(name);
  status->set_state("complete");
  status->set_epoch(manifest.epoch());
  status->set_created(FormatTimestamp(EventTime(Micros(manifest.created()))));
  status->set_generation(manifest.generation());
}

// What answers a request, or why it does not: that is the answer then.
using Handler = std::function<Status(const httplib::Request&, httplib::Response*)>;

httplib::Server::Handler Answering(Handler handler) {
  return
      [handler = std::move(handler)](const httplib::Request& request, httplib::Response& response) {
        const Status status = handler(request, &response);
        if (!status.ok()) AnswerError(status, &response);
      };
}

}  // namespace

Result<std::unique_ptr<AdminApi>> AdminApi::Make(AdminApiOptions options,
                                                 ClusterCoordinator* cluster, const Clock* clock) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return UserError("api_unprotected", "--api-tls-cert and --api-tls-key go together");
  }
  const bool protected_ = !options.tokens.empty() && !options.tls_certificate.empty();
  if (!IsLoopbackHost(options.host) && !protected_) {
    return UserError("api_unprotected",
                     "--api " + options.host +
                         ": beyond loopback the API needs --api-tokens, --api-tls-cert and "
                         "--api-tls-key");
  }
  std::unique_ptr<AdminApi> api(new AdminApi(std::move(options), cluster, clock));
  const AdminApiOptions& own = api->options_;
  if (!own.tokens.empty()) {
    ARROW_ASSIGN_OR_RAISE(api->tokens_, ApiTokens::Load(own.tokens));
  }
  if (!own.tls_certificate.empty()) {
    ARROW_ASSIGN_OR_RAISE(api->certificate_,
                          ServerCertificate::Load({own.tls_certificate, own.tls_key}));
  }
  api->service_ = std::make_unique<HttpService>(HttpServiceOptions{
      own.host, own.port, kTimeoutSeconds, kBodyBytesMax, api->certificate_.get()});
  return api;
}

Status AdminApi::Start() {
  return service_->Start([this](httplib::Server* server) { Route(server); });
}

bool AdminApi::Admit(const httplib::Request& request, httplib::Response* response) {
  if (certificate_ != nullptr) {
    const Status warning = certificate_->TakeWarning();
    if (!warning.ok()) LogStatus(LogLevel::kWarn, "the admin API", warning);
  }
  if (HttpService::busy()) {
    AnswerError(503, "busy", "too many requests wait; ask again", response);
    return false;
  }
  if (tokens_ == nullptr) return true;
  Status warning;
  const auto token = tokens_->Find(request.get_header_value("Authorization"), &warning);
  if (!warning.ok()) LogStatus(LogLevel::kWarn, "the admin API", warning);
  if (!token.has_value()) {
    response->set_header("WWW-Authenticate", "Bearer");
    AnswerError(401, "unauthorized", "a known token is needed: Authorization: Bearer TOKEN",
                response);
    return false;
  }
  const bool changes = request.method != "GET" && request.method != "HEAD";
  if (changes && token->role != ApiRole::kOperator) {
    AnswerError(403, "forbidden",
                "the token of '" + token->name + "' is a viewer's; changes need an operator's",
                response);
    return false;
  }
  if (changes) {
    LogInfo("asked by the API",
            {{"who", token->name}, {"what", request.method + " " + request.path}});
  }
  return true;
}

void AdminApi::Route(httplib::Server* server) {
  server->set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        return Admit(request, &response) ? httplib::Server::HandlerResponse::Unhandled
                                         : httplib::Server::HandlerResponse::Handled;
      });
  server->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return;
    if (response.status == 404) {
      AnswerError(404, "no_such_path", request.method + " " + request.path + ": see /api/v1",
                  &response);
    } else if (response.status == 413) {
      AnswerError(413, "too_large", "a body has at most 2 MiB", &response);
    } else if (response.status >= 400) {
      AnswerError(response.status, "bad_request", "the request cannot be read", &response);
    }
  });
  RouteCluster(server);
  RouteJobs(server);
  RouteChanges(server);
  RouteSavepoints(server);
}

void AdminApi::RouteCluster(httplib::Server* server) {
  server->Get("/api/v1/cluster",
              [this](const httplib::Request& request, httplib::Response& response) {
                proto::ClusterStatus status;
                status.set_cluster(options_.cluster);
                status.set_coordinator(options_.coordinator);
                status.set_term(cluster_->term());
                status.set_build(options_.build);
                status.set_workers(int32_t(cluster_->Workers().size()));
                status.set_jobs(int32_t(cluster_->JobCount()));
                Answer(request, status, &response);
              });
  server->Get("/api/v1/workers",
              [this](const httplib::Request& request, httplib::Response& response) {
                proto::WorkerList list;
                for (const WorkerView& view : cluster_->Workers()) {
                  proto::WorkerStatus& worker = *list.add_workers();
                  worker.set_name(view.info.name);
                  worker.set_slots(view.info.slots);
                  worker.set_exchange_address(view.info.exchange_address);
                  worker.set_build(view.info.build);
                  worker.set_leaving(view.info.leaving);
                  worker.set_state(view.info.leaving ? "leaving" : "active");
                  worker.set_metrics_address(view.info.metrics_address);
                  worker.set_seconds_since_beat(SecondsOf(view.beat_ago));
                  worker.mutable_jobs()->Assign(view.jobs.begin(), view.jobs.end());
                }
                Answer(request, list, &response);
              });
}

void AdminApi::RouteJobs(httplib::Server* server) {
  const auto get = [server](const std::string& path, Handler handler) {
    server->Get(path, Answering(std::move(handler)));
  };
  server->Get("/api/v1/jobs", [this](const httplib::Request& request, httplib::Response& response) {
    proto::JobList list;
    for (const JobView& view : cluster_->Jobs()) *list.add_jobs() = StatusOf(view);
    Answer(request, list, &response);
  });
  get(kJob, [this](const httplib::Request& request, httplib::Response* response) {
    ARROW_ASSIGN_OR_RAISE(const JobView view, cluster_->Job(request.matches[1]));
    Answer(request, StatusOf(view), response);
    return Status::OK();
  });
  get(JobPath("/description"),
      [this](const httplib::Request& request, httplib::Response* response) {
        const std::string name = request.matches[1];
        ARROW_ASSIGN_OR_RAISE(const JobView view, cluster_->Job(name));
        proto::JobDescription description = DescriptionOf(view);
        for (const JobLog::Entry& line : cluster_->LastLines(name, kDescribedLines)) {
          *description.add_log() = LineOf(line);
        }
        Answer(request, description, response);
        return Status::OK();
      });
  get(JobPath("/logs"), [this](const httplib::Request& request, httplib::Response* response) {
    return AnswerLog(request.matches[1], request, response);
  });
  get(JobPath("/tail"), [this](const httplib::Request& request, httplib::Response* response) {
    return AnswerRows(request.matches[1], request, response);
  });
}

Status AdminApi::AnswerLog(const std::string& job, const httplib::Request& request,
                           httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const PageRequest wanted, ReadPage(request));
  ARROW_RETURN_NOT_OK(cluster_->Job(job).status());
  const bool warnings = request.get_param_value("level") == "warn";
  const JobLog::Page page = cluster_->LogOf(job, wanted.after, wanted.limit, warnings);
  proto::LogPage answer;
  for (const JobLog::Entry& line : page.entries) *answer.add_lines() = LineOf(line);
  answer.set_next(page.next);
  answer.set_dropped(page.dropped);
  Answer(request, answer, response);
  return Status::OK();
}

Status AdminApi::AnswerRows(const std::string& job, const httplib::Request& request,
                            httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const PageRequest wanted, ReadPage(request));
  ARROW_ASSIGN_OR_RAISE(const JobView view, cluster_->Job(job));
  const std::string sink = request.get_param_value("sink");
  if (!sink.empty() && !view.sinks.empty() && !view.sinks.contains(sink)) {
    std::string known;
    for (const auto& [of, target] : view.sinks) known += " " + of + " (" + target + ")";
    return UserError("sink_unknown", "there is no sink '" + sink + "':" + known);
  }
  const JobRows::Page page = cluster_->RowsOf(job, wanted.after, wanted.limit, sink);
  proto::TailPage answer;
  for (const JobRows::Entry& row : page.entries) {
    proto::TailRow& shown = *answer.add_rows();
    shown.set_sequence(row.sequence);
    shown.set_sink(row.value.sink);
    shown.set_row(row.value.json);
  }
  answer.set_next(page.next);
  answer.set_dropped(page.dropped);
  Answer(request, answer, response);
  return Status::OK();
}

void AdminApi::RouteChanges(httplib::Server* server) {
  const auto post = [server](const std::string& path, Handler handler) {
    server->Post(path, Answering(std::move(handler)));
  };
  post("/api/v1/jobs", [this](const httplib::Request& request, httplib::Response* response) {
    return Apply(request, response);
  });
  server->Delete(kJob,
                 Answering([this](const httplib::Request& request, httplib::Response* response) {
                   ARROW_RETURN_NOT_OK(cluster_->Remove(request.matches[1]));
                   response->status = 204;
                   return Status::OK();
                 }));
  const auto desire = [this, post](const char* verb, proto::JobDesire wanted) {
    post(JobPath(verb),
         [this, wanted](const httplib::Request& request, httplib::Response* response) {
           const std::string name = request.matches[1];
           ARROW_RETURN_NOT_OK(cluster_->SetDesire(name, wanted));
           return AnswerJob(name, response);
         });
  };
  desire("/pause", proto::JOB_PAUSED);
  desire("/resume", proto::JOB_RUNNING);
  desire("/cancel", proto::JOB_CANCELED);
  post(JobPath("/rescale"), [this](const httplib::Request& request, httplib::Response* response) {
    const std::string name = request.matches[1];
    ARROW_ASSIGN_OR_RAISE(const auto rescale, Read<proto::RescaleRequest>(request));
    if (rescale.parallelism() < 0 || rescale.parallelism() > kKeyGroupCount) {
      return UserError("bad_parallelism", "parallelism is 1 to 720, or 0: as the file says");
    }
    ARROW_RETURN_NOT_OK(cluster_->Rescale(name, rescale.parallelism()));
    return AnswerJob(name, response);
  });
  post(JobPath("/restore"), [this](const httplib::Request& request, httplib::Response* response) {
    return Restore(request.matches[1], request, response);
  });
}

Status AdminApi::Apply(const httplib::Request& request, httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const auto apply, Read<proto::ApplyRequest>(request));
  std::string warnings;
  const std::string file_name = apply.file_name().empty() ? "job file" : apply.file_name();
  ARROW_ASSIGN_OR_RAISE(const auto job,
                        CheckJobText(file_name, apply.file(), SystemSecrets(), &warnings));
  const std::string& name = job->spec.name;
  ARROW_ASSIGN_OR_RAISE(const ApplyAction action,
                        cluster_->Apply(name, file_name, apply.file(), apply.dry_run()));
  proto::ApplyResult result;
  const Result<JobView> view = cluster_->Job(name);
  if (view.ok()) {
    *result.mutable_job() = StatusOf(*view);
  } else {
    result.mutable_job()->set_name(name);
  }
  result.set_action(action == ApplyAction::kCreated   ? "created"
                    : action == ApplyAction::kChanged ? "changed"
                                                      : "unchanged");
  if (!warnings.empty()) result.add_warnings(warnings);
  AnswerChange(result, response);
  return Status::OK();
}

Status AdminApi::AnswerJob(const std::string& name, httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const JobView view, cluster_->Job(name));
  AnswerChange(StatusOf(view), response);
  return Status::OK();
}

// ---- savepoints ---------------------------------------------------------------------------------

// Of a job that is there.
Result<JobFiles> AdminApi::FilesOf(const std::string& job) {
  ARROW_RETURN_NOT_OK(cluster_->Job(job).status());
  return JobFiles::Open(options_.storage, job);
}

void AdminApi::RouteSavepoints(httplib::Server* server) {
  const std::string one = JobPath("/savepoints/([^/]+)");
  server->Get(JobPath("/savepoints"),
              Answering([this](const httplib::Request& request, httplib::Response* response) {
                ARROW_ASSIGN_OR_RAISE(const auto found, Savepoints(request.matches[1]));
                proto::SavepointList list;
                for (const auto& [name, status] : found) *list.add_savepoints() = status;
                Answer(request, list, response);
                return Status::OK();
              }));
  server->Get(one, Answering([this](const httplib::Request& request, httplib::Response* response) {
                const std::string job = request.matches[1];
                const std::string name = request.matches[2];
                ARROW_ASSIGN_OR_RAISE(const auto found, Savepoints(job));
                const auto savepoint = found.find(name);
                if (savepoint == found.end()) {
                  return UserError("savepoint_missing",
                                   "job '" + job + "' has no savepoint '" + name + "'");
                }
                Answer(request, savepoint->second, response);
                return Status::OK();
              }));
  server->Post(JobPath("/savepoints"),
               Answering([this](const httplib::Request& request, httplib::Response* response) {
                 return MakeSavepoint(request.matches[1], request, response);
               }));
  server->Delete(one,
                 Answering([this](const httplib::Request& request, httplib::Response* response) {
                   const std::string name = request.matches[2];
                   ARROW_ASSIGN_OR_RAISE(const JobFiles files, FilesOf(request.matches[1]));
                   ARROW_RETURN_NOT_OK(CheckSavepointName(name));
                   ARROW_RETURN_NOT_OK(files.storage()->RemoveSavepoint(name));
                   response->status = 204;
                   return Status::OK();
                 }));
}

// Those on disk, and those that were begun here and are not (yet) there.
Result<std::map<std::string, proto::SavepointStatus>> AdminApi::Savepoints(const std::string& job) {
  ARROW_ASSIGN_OR_RAISE(const JobFiles files, FilesOf(job));
  ARROW_ASSIGN_OR_RAISE(const auto names, files.storage()->ListSavepoints());
  auto savepoints = cluster_->SavepointsOf(job);
  std::erase_if(savepoints, [](const auto& entry) { return entry.second.state() == "complete"; });
  for (const std::string& name : names) {
    const auto manifest = files.storage()->ReadSavepoint(name);
    proto::SavepointStatus status;
    if (manifest.ok()) {
      Describe(name, *manifest, &status);
    } else {
      status.set_name(name);
      status.set_state("failed");
      status.set_why(manifest.status().message());
    }
    savepoints[name] = std::move(status);
  }
  return savepoints;
}

Status AdminApi::MakeSavepoint(const std::string& job, const httplib::Request& request,
                               httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const auto wanted, Read<proto::SavepointRequest>(request));
  const std::string& name = wanted.name();
  ARROW_ASSIGN_OR_RAISE(const JobView view, cluster_->Job(job));
  ARROW_RETURN_NOT_OK(CheckSavepointName(name));
  ARROW_ASSIGN_OR_RAISE(const JobFiles files, JobFiles::Open(options_.storage, job));
  if (files.storage()->ReadSavepoint(name).ok()) {
    return UserError("savepoint_exists",
                     "job '" + job + "' has a savepoint '" + name + "' already");
  }
  const bool at_rest = view.phase == JobPhase::kPaused || view.phase == JobPhase::kCanceled ||
                       view.phase == JobPhase::kFailed || view.phase == JobPhase::kFinished;
  ARROW_RETURN_NOT_OK(at_rest ? files.MakeSavepoint(name, *clock_)
                              : cluster_->BeginSavepoint(job, name));
  proto::SavepointStatus answer;
  answer.set_name(name);
  answer.set_state("in_progress");
  if (at_rest) {
    ARROW_ASSIGN_OR_RAISE(const auto manifest, files.storage()->ReadSavepoint(name));
    Describe(name, manifest, &answer);
  }
  response->status = at_rest ? 201 : 202;
  AnswerChange(answer, response);
  return Status::OK();
}

Status AdminApi::Restore(const std::string& job, const httplib::Request& request,
                         httplib::Response* response) {
  ARROW_ASSIGN_OR_RAISE(const auto wanted, Read<proto::RestoreRequest>(request));
  ARROW_RETURN_NOT_OK(cluster_->Job(job).status());
  if (wanted.savepoint().empty() == (wanted.epoch() == 0) || wanted.epoch() < 0) {
    return UserError("bad_restore", "expected either a savepoint's name or an epoch");
  }
  if (wanted.epoch() > 0 && !wanted.accept_duplicates()) {
    return UserError("bad_restore",
                     "what was published after that checkpoint is published again: "
                     "accept_duplicates must be true");
  }
  proto::RestorePoint point;
  if (wanted.savepoint().empty()) {
    point.set_epoch(wanted.epoch());
  } else {
    ARROW_RETURN_NOT_OK(CheckSavepointName(wanted.savepoint()));
    ARROW_ASSIGN_OR_RAISE(const JobFiles files, JobFiles::Open(options_.storage, job));
    ARROW_RETURN_NOT_OK(files.storage()->ReadSavepoint(wanted.savepoint()).status());
    point.set_savepoint(wanted.savepoint());
  }
  ARROW_RETURN_NOT_OK(cluster_->Restore(job, point));
  return AnswerJob(job, response);
}

}  // namespace millrace
