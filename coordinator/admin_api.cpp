#include "coordinator/admin_api.h"

#include <google/protobuf/util/json_util.h>
#include <httplib.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>

#include "coordinator/cluster_coordinator.h"
#include "coordinator/job_files.h"
#include "engine/base/diagnostics.h"
#include "engine/metrics/log.h"
#include "engine/plan/checked_job.h"
#include "proto/admin.pb.h"

namespace millrace {
namespace {

constexpr int kTimeoutSeconds = 5;
constexpr size_t kBodyBytesMax = 2 << 20;
constexpr size_t kPageMax = 1000;
constexpr size_t kPageDefault = 200;
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

// What the request's body says, or an answer that says what is wrong with it.
template <typename Message>
bool Read(const httplib::Request& request, Message* message, httplib::Response* response) {
  if (request.body.empty()) return true;
  const auto status = google::protobuf::util::JsonStringToMessage(request.body, message);
  if (status.ok()) return true;
  AnswerError(400, "bad_request",
              "the body is no " + std::string(message->GetDescriptor()->name()) + ": " +
                  std::string(status.message().as_string()),
              response);
  return false;
}

// A number among the parameters, or `otherwise`; an answer where it is none.
bool ReadNumber(const httplib::Request& request, const std::string& name, int64_t most,
                int64_t* number, httplib::Response* response) {
  if (!request.has_param(name)) return true;
  const std::string text = request.get_param_value(name);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  if (error == std::errc() && end == text.data() + text.size() && *number >= 0 && *number <= most) {
    return true;
  }
  AnswerError(400, "bad_parameter",
              name + "=" + text + ": expected a number from 0 to " + std::to_string(most),
              response);
  return false;
}

// As the storage has it: a name is part of a path.
bool CheckSavepointName(const std::string& name, httplib::Response* response) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  if (!name.empty() && name.size() <= 100 && std::ranges::all_of(name, allowed)) return true;
  AnswerError(400, "bad_savepoint_name",
              "a savepoint's name has 1 to 100 letters, digits, '-' and '_'", response);
  return false;
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

// Those on disk, and those that were begun here and are not (yet) there.
Result<std::map<std::string, proto::SavepointStatus>> SavepointsOf(
    const std::string& storage, const std::string& job,
    std::map<std::string, proto::SavepointStatus> begun) {
  ARROW_ASSIGN_OR_RAISE(const JobFiles files, JobFiles::Open(storage, job));
  ARROW_ASSIGN_OR_RAISE(const auto names, files.storage()->ListSavepoints());
  std::erase_if(begun, [](const auto& entry) { return entry.second.state() == "complete"; });
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
    begun[name] = std::move(status);
  }
  return begun;
}

}  // namespace

Result<std::unique_ptr<AdminApi>> AdminApi::Make(AdminApiOptions options,
                                                 ClusterCoordinator* cluster, const Clock* clock) {
  const std::string& host = options.host;
  const bool loopback = host == "localhost" || host.starts_with("127.") || host == "::1";
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return UserError("api_unprotected", "--api-tls-cert and --api-tls-key go together");
  }
  const bool protected_ = !options.tokens.empty() && !options.tls_certificate.empty();
  if (!loopback && !protected_) {
    return UserError("api_unprotected",
                     "--api " + host +
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
                status.set_jobs(int32_t(cluster_->JobNames().size()));
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
  server->Get("/api/v1/jobs", [this](const httplib::Request& request, httplib::Response& response) {
    proto::JobList list;
    for (const JobView& view : cluster_->Jobs()) *list.add_jobs() = StatusOf(view);
    Answer(request, list, &response);
  });
  server->Get(kJob, [this](const httplib::Request& request, httplib::Response& response) {
    const std::string name = request.matches[1];
    const std::optional<JobView> view = cluster_->Job(name);
    if (!view.has_value()) return AnswerUnknown(name, &response);
    Answer(request, StatusOf(*view), &response);
  });
  server->Get(JobPath("/description"),
              [this](const httplib::Request& request, httplib::Response& response) {
                const std::string name = request.matches[1];
                const std::optional<JobView> view = cluster_->Job(name);
                if (!view.has_value()) return AnswerUnknown(name, &response);
                proto::JobDescription description = DescriptionOf(*view);
                for (const JobLog::Entry& line : cluster_->LastLines(name, kDescribedLines)) {
                  *description.add_log() = LineOf(line);
                }
                Answer(request, description, &response);
              });
  server->Get(JobPath("/logs"),
              [this](const httplib::Request& request, httplib::Response& response) {
                const std::string name = request.matches[1];
                int64_t after = 0;
                int64_t limit = kPageDefault;
                if (!ReadNumber(request, "after", INT64_MAX, &after, &response)) return;
                if (!ReadNumber(request, "limit", kPageMax, &limit, &response)) return;
                if (!cluster_->Job(name).has_value()) return AnswerUnknown(name, &response);
                const bool warnings = request.get_param_value("level") == "warn";
                const JobLog::Page page = cluster_->LogOf(name, after, size_t(limit), warnings);
                proto::LogPage answer;
                for (const JobLog::Entry& line : page.entries) *answer.add_lines() = LineOf(line);
                answer.set_next(page.next);
                answer.set_dropped(page.dropped);
                Answer(request, answer, &response);
              });
  server->Get(JobPath("/tail"),
              [this](const httplib::Request& request, httplib::Response& response) {
                const std::string name = request.matches[1];
                int64_t after = 0;
                int64_t limit = kPageDefault;
                if (!ReadNumber(request, "after", INT64_MAX, &after, &response)) return;
                if (!ReadNumber(request, "limit", kPageMax, &limit, &response)) return;
                const std::optional<JobView> view = cluster_->Job(name);
                if (!view.has_value()) return AnswerUnknown(name, &response);
                const std::string sink = request.get_param_value("sink");
                if (!sink.empty() && !view->sinks.empty() && !view->sinks.contains(sink)) {
                  std::string known;
                  for (const auto& [of, target] : view->sinks)
                    known += " " + of + " (" + target + ")";
                  return AnswerError(400, "sink_unknown",
                                     "there is no sink '" + sink + "':" + known, &response);
                }
                const JobRows::Page page = cluster_->RowsOf(name, after, size_t(limit), sink);
                proto::TailPage answer;
                for (const JobRows::Entry& row : page.entries) {
                  proto::TailRow& shown = *answer.add_rows();
                  shown.set_sequence(row.sequence);
                  shown.set_sink(row.value.sink);
                  shown.set_row(row.value.json);
                }
                answer.set_next(page.next);
                answer.set_dropped(page.dropped);
                Answer(request, answer, &response);
              });
}

void AdminApi::RouteChanges(httplib::Server* server) {
  server->Post("/api/v1/jobs", [this](const httplib::Request& request,
                                      httplib::Response& response) { Apply(request, &response); });
  server->Delete(kJob, [this](const httplib::Request& request, httplib::Response& response) {
    const Status status = cluster_->Remove(request.matches[1]);
    if (!status.ok()) return AnswerError(status, &response);
    response.status = 204;
  });
  const auto desire = [this, server](const char* verb, proto::JobDesire wanted) {
    server->Post(JobPath(verb),
                 [this, wanted](const httplib::Request& request, httplib::Response& response) {
                   const std::string name = request.matches[1];
                   AnswerChanged(cluster_->SetDesire(name, wanted), name, &response);
                 });
  };
  desire("/pause", proto::JOB_PAUSED);
  desire("/resume", proto::JOB_RUNNING);
  desire("/cancel", proto::JOB_CANCELED);
  server->Post(JobPath("/rescale"),
               [this](const httplib::Request& request, httplib::Response& response) {
                 const std::string name = request.matches[1];
                 proto::RescaleRequest rescale;
                 if (!Read(request, &rescale, &response)) return;
                 if (rescale.parallelism() < 0 || rescale.parallelism() > kKeyGroupCount) {
                   return AnswerError(400, "bad_parallelism",
                                      "parallelism is 1 to 720, or 0: as the file says", &response);
                 }
                 AnswerChanged(cluster_->Rescale(name, rescale.parallelism()), name, &response);
               });
  server->Post(JobPath("/restore"),
               [this](const httplib::Request& request, httplib::Response& response) {
                 Restore(request.matches[1], request, &response);
               });
}

void AdminApi::Apply(const httplib::Request& request, httplib::Response* response) {
  proto::ApplyRequest apply;
  if (!Read(request, &apply, response)) return;
  std::string warnings;
  const std::string file_name = apply.file_name().empty() ? "job file" : apply.file_name();
  const auto job = CheckJobText(file_name, apply.file(), SystemSecrets(), &warnings);
  if (!job.ok()) return AnswerError(job.status(), response);
  const std::string name = (*job)->spec.name;
  const auto action = cluster_->Apply(name, file_name, apply.file(), apply.dry_run());
  if (!action.ok()) return AnswerError(action.status(), response);
  proto::ApplyResult result;
  const std::optional<JobView> view = cluster_->Job(name);
  if (view.has_value()) {
    *result.mutable_job() = StatusOf(*view);
  } else {
    result.mutable_job()->set_name(name);
  }
  result.set_action(*action == ApplyAction::kCreated   ? "created"
                    : *action == ApplyAction::kChanged ? "changed"
                                                       : "unchanged");
  if (!warnings.empty()) result.add_warnings(warnings);
  AnswerChange(result, response);
}

void AdminApi::AnswerUnknown(const std::string& name, httplib::Response* response) {
  const std::string nearest = NearestName(name, cluster_->JobNames());
  AnswerError(404, "job_unknown",
              "there is no job '" + name + "'" +
                  (nearest.empty() ? "" : "; do you mean '" + nearest + "'?"),
              response);
}

void AdminApi::AnswerJob(const std::string& name, httplib::Response* response) {
  const std::optional<JobView> view = cluster_->Job(name);
  if (!view.has_value()) return AnswerUnknown(name, response);
  AnswerChange(StatusOf(*view), response);
}

void AdminApi::AnswerChanged(const Status& status, const std::string& name,
                             httplib::Response* response) {
  if (!status.ok()) return AnswerError(status, response);
  AnswerJob(name, response);
}

// ---- savepoints ---------------------------------------------------------------------------------

void AdminApi::RouteSavepoints(httplib::Server* server) {
  server->Get(JobPath("/savepoints"),
              [this](const httplib::Request& request, httplib::Response& response) {
                const std::string job = request.matches[1];
                if (!cluster_->Job(job).has_value()) return AnswerUnknown(job, &response);
                const auto found = SavepointsOf(options_.storage, job, cluster_->SavepointsOf(job));
                if (!found.ok()) return AnswerError(found.status(), &response);
                proto::SavepointList list;
                for (const auto& [name, status] : *found) *list.add_savepoints() = status;
                Answer(request, list, &response);
              });
  server->Get(JobPath("/savepoints/([^/]+)"),
              [this](const httplib::Request& request, httplib::Response& response) {
                const std::string job = request.matches[1];
                const std::string name = request.matches[2];
                if (!cluster_->Job(job).has_value()) return AnswerUnknown(job, &response);
                const auto found = SavepointsOf(options_.storage, job, cluster_->SavepointsOf(job));
                if (!found.ok()) return AnswerError(found.status(), &response);
                const auto savepoint = found->find(name);
                if (savepoint != found->end()) return Answer(request, savepoint->second, &response);
                AnswerError(404, "savepoint_missing",
                            "job '" + job + "' has no savepoint '" + name + "'", &response);
              });
  server->Post(JobPath("/savepoints"),
               [this](const httplib::Request& request, httplib::Response& response) {
                 MakeSavepoint(request.matches[1], request, &response);
               });
  server->Delete(JobPath("/savepoints/([^/]+)"),
                 [this](const httplib::Request& request, httplib::Response& response) {
                   const std::string job = request.matches[1];
                   const std::string name = request.matches[2];
                   if (!cluster_->Job(job).has_value()) return AnswerUnknown(job, &response);
                   if (!CheckSavepointName(name, &response)) return;
                   const auto files = JobFiles::Open(options_.storage, job);
                   if (!files.ok()) return AnswerError(files.status(), &response);
                   // A damaged one can be deleted too; one that is not there is told, with the
                   // nearest name.
                   const auto manifest = files->storage()->ReadSavepoint(name);
                   const ErrorDetail* const detail = ErrorDetail::Of(manifest.status());
                   if (detail != nullptr && detail->code() == "savepoint_missing") {
                     return AnswerError(manifest.status(), &response);
                   }
                   const Status removed = files->storage()->RemoveSavepoint(name);
                   if (!removed.ok()) return AnswerError(removed, &response);
                   response.status = 204;
                 });
}

void AdminApi::MakeSavepoint(const std::string& job, const httplib::Request& request,
                             httplib::Response* response) {
  proto::SavepointRequest wanted;
  if (!Read(request, &wanted, response)) return;
  const std::optional<JobView> view = cluster_->Job(job);
  if (!view.has_value()) return AnswerUnknown(job, response);
  if (!CheckSavepointName(wanted.name(), response)) return;
  const auto files = JobFiles::Open(options_.storage, job);
  if (!files.ok()) return AnswerError(files.status(), response);
  if (files->storage()->ReadSavepoint(wanted.name()).ok()) {
    return AnswerError(409, "savepoint_exists",
                       "job '" + job + "' has a savepoint '" + wanted.name() + "' already",
                       response);
  }
  const bool at_rest = view->phase == JobPhase::kPaused || view->phase == JobPhase::kCanceled ||
                       view->phase == JobPhase::kFailed || view->phase == JobPhase::kFinished;
  const Status status = at_rest ? files->MakeSavepoint(wanted.name(), *clock_)
                                : cluster_->BeginSavepoint(job, wanted.name());
  if (!status.ok()) return AnswerError(status, response);
  proto::SavepointStatus answer;
  answer.set_name(wanted.name());
  answer.set_state("in_progress");
  if (at_rest) {
    const auto manifest = files->storage()->ReadSavepoint(wanted.name());
    if (!manifest.ok()) return AnswerError(manifest.status(), response);
    Describe(wanted.name(), *manifest, &answer);
  }
  response->status = at_rest ? 201 : 202;
  AnswerChange(answer, response);
}

void AdminApi::Restore(const std::string& job, const httplib::Request& request,
                       httplib::Response* response) {
  proto::RestoreRequest wanted;
  if (!Read(request, &wanted, response)) return;
  if (!cluster_->Job(job).has_value()) return AnswerUnknown(job, response);
  if (wanted.savepoint().empty() == (wanted.epoch() == 0) || wanted.epoch() < 0) {
    return AnswerError(400, "bad_restore", "expected either a savepoint's name or an epoch",
                       response);
  }
  if (wanted.epoch() > 0 && !wanted.accept_duplicates()) {
    return AnswerError(400, "bad_restore",
                       "what was published after that checkpoint is published again: "
                       "accept_duplicates must be true",
                       response);
  }
  proto::RestorePoint point;
  if (wanted.savepoint().empty()) {
    point.set_epoch(wanted.epoch());
  } else {
    if (!CheckSavepointName(wanted.savepoint(), response)) return;
    const auto files = JobFiles::Open(options_.storage, job);
    if (!files.ok()) return AnswerError(files.status(), response);
    const auto manifest = files->storage()->ReadSavepoint(wanted.savepoint());
    if (!manifest.ok()) return AnswerError(manifest.status(), response);
    point.set_savepoint(wanted.savepoint());
  }
  AnswerChanged(cluster_->Restore(job, point), job, response);
}

}  // namespace millrace
