#include "tools/millrace/cluster/api_client.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/message_text.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/exit_codes.h"

namespace millrace {
namespace {

constexpr std::string_view kPrefix = "/api/v1";
constexpr int kRetrySecondsMax = 5;
constexpr size_t kQuotedBytesMax = 200;

std::string_view CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? std::string_view() : std::string_view(detail->code());
}

// What the server says about its answer that is none of the wanted ones.
std::string Said(const HttpAnswer& answer, const std::string& path) {
  proto::ApiError error;
  if (ParseJson(answer.body, &error).ok() && !error.message().empty()) return error.message();
  if (answer.status == 401) return "it asks for a token";
  if (answer.status == 403) return "the token's role may not do this";
  if (answer.status == 404) {
    return fmt::format(
        "the server has no {}{}: it is an older coordinator, or none at all (--server)", kPrefix,
        path);
  }
  std::string text = fmt::format("HTTP status {}", answer.status);
  if (!answer.body.empty()) {
    text += ": " + EscapeLine(std::string_view(answer.body).substr(0, kQuotedBytesMax));
  }
  return text;
}

Status ErrorOf(const HttpAnswer& answer, const std::string& path, bool has_token) {
  const std::string said = Said(answer, path);
  switch (answer.status) {
    case 401:
      return UserError("not_allowed",
                       said + (has_token ? "" : "; --token-file or MILLRACE_TOKEN_FILE gives one"));
    case 403:
      return UserError("not_allowed", said);
    case 404:
      return UserError("not_found", said);
    case 409:
      return UserError("conflict", said);
    case 503:
      return ExternalError("busy", said, Retry::kYes);
    default:
      break;
  }
  if (answer.status >= 400 && answer.status < 500) return UserError("refused", said);
  return ExternalError("server_failed", "the coordinator failed: " + said, Retry::kNo);
}

// Whether the request may be sent to another server after this failure: it has had no effect.
bool HadNoEffect(const Status& failure, const HttpRequest& request) {
  const std::string_view code = CodeOf(failure);
  return code == "unreachable" ||
         (request.method == "GET" && (code == "connection_broken" || code == "no_answer"));
}

Status WithUnknownOutcome(const Status& failure, const HttpRequest& request) {
  const std::string_view code = CodeOf(failure);
  if (request.method == "GET" || (code != "no_answer" && code != "connection_broken")) {
    return failure;
  }
  return ExternalError(
      code, failure.message() + "; it may have been done all the same: millrace get jobs shows it",
      Retry::kNo);
}

}  // namespace

ApiClient::ApiClient(ApiClientOptions options, HttpTransport* transport, const Clock* clock,
                     std::function<void(Micros)> pause)
    : options_(std::move(options)),
      transport_(transport),
      clock_(clock),
      pause_(std::move(pause)) {}

Result<ApiClient::Round> ApiClient::AskInTurn(const HttpRequest& request, MonotonicTime deadline) {
  Round round;
  const size_t count = options_.servers.size();
  for (size_t i = 0; i < count; ++i) {
    const size_t index = (first_ + i) % count;
    auto time = std::chrono::duration_cast<Micros>(deadline - clock_->Monotonic());
    // One that stands still leaves time for the others, where they may be asked.
    if (request.method == "GET") time /= int64_t(count - i);
    if (time <= Micros(0)) break;
    auto answer = transport_->Send(options_.servers[index], request, time);
    if (!answer.ok()) {
      if (!HadNoEffect(answer.status(), request)) {
        return WithUnknownOutcome(answer.status(), request);
      }
      if (CodeOf(answer.status()) != "unreachable") round.failure = answer.status();
      round.told += (round.told.empty() ? "" : "; ") + answer.status().message();
    } else if (answer->status == 503) {
      round.busy = *std::move(answer);
    } else {
      first_ = index;
      round.answer = *std::move(answer);
      return round;
    }
  }
  return round;
}

Result<HttpAnswer> ApiClient::Send(HttpRequest request) {
  const std::string path = request.path;
  request.path = std::string(kPrefix) + path;
  request.headers.emplace_back("Accept", "application/json");
  request.headers.emplace_back("User-Agent", "millrace");
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  if (!options_.token.empty()) {
    request.headers.emplace_back("Authorization", "Bearer " + options_.token);
  }
  const MonotonicTime deadline = clock_->Monotonic() + options_.timeout;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(Round round, AskInTurn(request, deadline));
    if (round.answer.has_value()) return *std::move(round.answer);
    if (!round.busy.has_value()) {
      if (!round.failure.ok()) return round.failure;
      return ExternalError("unreachable",
                           "no coordinator answers (" + round.told +
                               "): is it running? --server or MILLRACE_SERVER says where",
                           Retry::kYes);
    }
    const Micros pause =
        std::chrono::seconds(std::clamp(round.busy->retry_after_seconds, 1, kRetrySecondsMax));
    if (clock_->Monotonic() + pause >= deadline) {
      return ErrorOf(*round.busy, path, !options_.token.empty());
    }
    pause_(pause);
  }
}

Status ApiClient::Get(const std::string& path, google::protobuf::Message* into) {
  std::string etag;
  return GetIfChanged(path, &etag, into).status();
}

Result<bool> ApiClient::GetIfChanged(const std::string& path, std::string* etag,
                                     google::protobuf::Message* into) {
  HttpRequest request;
  request.path = path;
  if (!etag->empty()) request.headers.emplace_back("If-None-Match", *etag);
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(std::move(request)));
  if (answer.status == 304 && !etag->empty()) return false;
  if (answer.status != 200) return ErrorOf(answer, path, !options_.token.empty());
  ARROW_RETURN_NOT_OK(ParseJson(answer.body, into));
  *etag = answer.etag;
  return true;
}

Status ApiClient::Post(const std::string& path, const google::protobuf::Message* body,
                       google::protobuf::Message* into) {
  HttpRequest request;
  request.method = "POST";
  request.path = path;
  if (body != nullptr) request.body = ToJsonLine(*body);
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(std::move(request)));
  if (answer.status < 200 || answer.status > 299) {
    return ErrorOf(answer, path, !options_.token.empty());
  }
  return into == nullptr ? Status::OK() : ParseJson(answer.body, into);
}

Status ApiClient::Delete(const std::string& path) {
  HttpRequest request;
  request.method = "DELETE";
  request.path = path;
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(std::move(request)));
  if (answer.status < 200 || answer.status > 299) {
    return ErrorOf(answer, path, !options_.token.empty());
  }
  return Status::OK();
}

std::string PathPart(std::string_view name) {
  std::string part;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                       std::string_view("-_~").find(c) != std::string_view::npos;
    part += plain ? std::string(1, c) : fmt::format("%{:02X}", uint8_t(c));
  }
  return part;
}

std::string JobPath(std::string_view job, std::string_view rest) {
  return "/jobs/" + PathPart(job) + std::string(rest);
}

int ExitCodeOf(const Status& status) {
  if (status.ok()) return kExitOk;
  const std::string_view code = CodeOf(status);
  if (code == "not_found") return kExitNotFound;
  if (code == "not_allowed") return kExitNotAllowed;
  if (code == "conflict") return kExitConflict;
  if (code == "no_answer" || code == "timeout") return kExitTimeout;
  if (code == "usage" || code == "bad_server" || code == "bad_duration") return kExitUsage;
  return kExitError;
}

bool IsPassing(const Status& status) {
  const std::string_view code = CodeOf(status);
  return code == "unreachable" || code == "no_answer" || code == "connection_broken" ||
         code == "busy";
}

}  // namespace millrace
