// Sockets and timers of one thread. All that is Asio stands behind this, in link_io.cpp.
//
// Callbacks come from within Run, never from within the call that asks for them, and not after
// what they belong to (the socket, the loop) is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"

namespace millrace {

struct LinkAddress {
  std::string host;  // a name or a numeric address, without brackets
  uint16_t port = 0;

  std::string ToString() const;  // "worker-1:7401", "[::1]:7401"
  friend bool operator==(const LinkAddress&, const LinkAddress&) = default;
};

// Reads "host:port" and "[::1]:port". User error: "bad_address".
Result<LinkAddress> ParseLinkAddress(std::string_view text);
// Whether `host` is a number that is not loopback's. Of a name only resolving it can tell.
bool IsForeignAddress(const std::string& host);

// Closed when it is destroyed. Used in the loop's thread only.
class LinkSocket {
 public:
  virtual ~LinkSocket() = default;
  // Reads what is there into `into`, which stays valid until `done` or until the socket is gone.
  // One at a time. Error: "connection_closed".
  virtual void Read(std::span<char> into, std::function<void(Result<size_t>)> done) = 0;
  // Writes all of `parts`, as Read. One at a time.
  virtual void Write(const std::vector<std::string_view>& parts,
                     std::function<void(Status)> done) = 0;
  // Nothing more is written; the other side reads what was, and then the end.
  virtual void ShutDownWriting() = 0;
  virtual const std::string& peer() const = 0;
};

class LinkLoop {
 public:
  LinkLoop();
  ~LinkLoop();

  // Until Stop.
  void Run();
  // From any thread.
  void Stop();
  void Post(std::function<void()> what);

  // The rest: before Run, or in its thread.
  void After(MonotonicTime delay, std::function<void()> what);
  // The port; blocks while a name is resolved. `accepted` is called for each connection.
  // User errors: "bad_address", "port_taken", "tls_required" (`loopback_only`, and it is not).
  Result<uint16_t> Listen(const LinkAddress& address, bool loopback_only,
                          std::function<void(std::unique_ptr<LinkSocket>)> accepted);
  void StopListening();
  // Names are resolved in a thread that all connections share: one that takes long delays others.
  // Errors: "unreachable", "connect_timeout"; "tls_required" (user).
  void Connect(const LinkAddress& address, MonotonicTime timeout, bool loopback_only,
               std::function<void(Result<std::unique_ptr<LinkSocket>>)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
