#include "tools/millrace/cluster/server_address.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace millrace {
namespace {

constexpr size_t kServersMax = 16;
constexpr int kHttpPort = 80;
constexpr int kHttpsPort = 443;

bool Take(std::string_view prefix, std::string_view* text) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

std::optional<int> ReadPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (port < 1 || port > 65535) return std::nullopt;
  return port;
}

bool IsHost(std::string_view host, bool numeric) {
  return !host.empty() && std::ranges::all_of(host, [&](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || (numeric && c == ':');
  });
}

bool IsPrefix(std::string_view path) {
  return std::ranges::all_of(path, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/-._~%").find(char(c)) != std::string::npos;
  });
}

Status Bad(std::string_view text, std::string_view why) {
  return UserError("bad_server", "'" + std::string(text) +
                                     "' is no server's address: " + std::string(why) +
                                     "; expected http://HOST:PORT or https://HOST:PORT");
}

Result<ServerAddress> ParseServer(std::string_view text) {
  ServerAddress address;
  std::string_view rest = text;
  const bool http = Take("http://", &rest);
  if (!http) address.tls = Take("https://", &rest);
  if (!http && !address.tls && rest.find("://") != std::string_view::npos) {
    return Bad(text, "it is neither http nor https");
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view prefix = rest.substr(slash);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!IsPrefix(prefix)) return Bad(text, "its path has characters that none may have");
  address.prefix = prefix;
  rest = rest.substr(0, slash);
  const bool bracketed = Take("[", &rest);
  const size_t host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string_view::npos) return Bad(text, "a ']' is missing");
  address.host = rest.substr(0, host_end);
  if (!IsHost(address.host, bracketed)) return Bad(text, "it names no host");
  rest.remove_prefix(std::min(rest.size(), address.host.size() + (bracketed ? 1 : 0)));
  address.port = address.tls ? kHttpsPort : kHttpPort;
  if (rest.empty()) {
    if (!http && !address.tls) return Bad(text, "it has no port");
    return address;
  }
  const std::optional<int> port = Take(":", &rest) ? ReadPort(rest) : std::nullopt;
  if (!port.has_value()) return Bad(text, "its port is no number from 1 to 65535");
  address.port = *port;
  return address;
}

}  // namespace

std::string ServerAddress::ToString() const {
  const bool numeric = host.find(':') != std::string::npos;
  return (tls ? "https://" : "http://") + (numeric ? "[" + host + "]" : host) + ":" +
         std::to_string(port) + prefix;
}

Result<std::vector<ServerAddress>> ParseServers(std::string_view text) {
  std::vector<ServerAddress> servers;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view one = text.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    ARROW_ASSIGN_OR_RAISE(servers.emplace_back(), ParseServer(one));
    if (servers.size() > kServersMax) {
      return UserError("bad_server", "more than " + std::to_string(kServersMax) + " servers");
    }
    if (comma == text.size()) return servers;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace millrace
