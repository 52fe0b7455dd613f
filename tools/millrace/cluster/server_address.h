// Where coordinators' admin APIs are: what --server says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/loopback.h"

namespace millrace {

struct ServerAddress {
  bool tls = false;
  std::string host;  // a name or a numeric address, without brackets
  int port = 0;
  std::string prefix;  // of its paths, before /api/v1; mostly empty: "/millrace"

  std::string ToString() const;  // "https://[::1]:8443/millrace"
  bool IsLoopback() const { return IsLoopbackHost(host); }
  friend bool operator==(const ServerAddress&, const ServerAddress&) = default;
};

inline constexpr std::string_view kDefaultServer = "http://127.0.0.1:8080";

// One or more, with commas between them: "http://HOST[:PORT][/PREFIX]", "https://...", and
// "HOST:PORT", which is http. User error: "bad_server".
Result<std::vector<ServerAddress>> ParseServers(std::string_view text);

}  // namespace millrace
