// The admin API (docs/admin-api.md) as the commands use it: messages of proto/admin.proto asked of
// whichever coordinator leads.
//
// Servers are tried in turn, beginning with the one that answered last: one that cannot be reached
// is passed over, and so is one that answers 503, because it is busy or does not lead. Where any
// answers 503, all are asked again after the pause that it asks for, as long as there is time: one
// of them is about to lead.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"
#include "tools/millrace/cluster/http_transport.h"

namespace google::protobuf {
class Message;
}

namespace millrace {

// Of one request of many.
inline constexpr Micros kRequestTimeout = std::chrono::seconds(10);

struct ApiClientOptions {
  std::vector<ServerAddress> servers;  // at least one
  std::string token;                   // empty: none
  Micros timeout = kRequestTimeout;    // of a request, all servers together
};

// Errors, besides the transport's:
//   "not_found", "not_allowed", "conflict"   by the coordinator: 404, 401 and 403, 409
//   "refused"                                other mistakes in what was asked
//   "busy"                                   503 until the time was over
//   "server_failed"                          a mistake of the coordinator's
//   "bad_answer"                             no message of this API
// Messages of errors may hold what a server said: escape them for a terminal.
class ApiClient {
 public:
  // `transport`, `clock` outlive it. `pause` blocks for so long.
  ApiClient(ApiClientOptions options, HttpTransport* transport, const Clock* clock,
            std::function<void(Micros)> pause);

  // Paths begin after /api/v1: "/jobs".
  Status Get(const std::string& path, google::protobuf::Message* into);
  // False, and `into` as it was: nothing has changed since `etag`. Else `etag` is the new one.
  Result<bool> GetIfChanged(const std::string& path, std::string* etag,
                            google::protobuf::Message* into);
  // `body` and `into` may be null.
  Status Post(const std::string& path, const google::protobuf::Message* body,
              google::protobuf::Message* into);
  Status Delete(const std::string& path);

  // Of the requests that follow.
  void set_timeout(Micros timeout) { options_.timeout = timeout; }
  void Pause(Micros time) const { pause_(time); }
  const Clock& clock() const { return *clock_; }

 private:
  // Any answer but 503.
  Result<HttpAnswer> Send(HttpRequest request);
  struct Round {
    std::optional<HttpAnswer> answer;
    std::optional<HttpAnswer> busy;  // the last 503
    Status failure;                  // the last one, but "unreachable"
    std::string told;                // of all failures
  };
  // Asks servers until one answers.
  Result<Round> AskInTurn(const HttpRequest& request, MonotonicTime deadline);

  ApiClientOptions options_;
  HttpTransport* const transport_;
  const Clock* const clock_;
  const std::function<void(Micros)> pause_;
  size_t first_ = 0;  // the server that is asked first
};

// A part of a path: "jobs/" + PathPart(name).
std::string PathPart(std::string_view name);
// "/jobs/NAME" + rest.
std::string JobPath(std::string_view job, std::string_view rest = "");

// Of an error; its exit code (exit_codes.h).
int ExitCodeOf(const Status& status);
// Whether asking again may help: the coordinator is away, busy, or about to change.
bool IsPassing(const Status& status);

}  // namespace millrace
