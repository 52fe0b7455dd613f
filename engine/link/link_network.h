// Connections between the processes of a cluster: sessions that carry opaque frames, exactly once
// and in order, over connections that come and go. docs/cluster-protocol.md explains the protocol.
//
// One I/O thread a process. It accepts connections at `listen`, and keeps one to each address that
// Connect names: it dials, tries again with growing pauses, and goes on with the session where both
// sides still have it. Only one of two nodes may dial the other: by convention workers dial
// coordinators, and of two workers the one whose name is less.
//
// TLS on both sides, or plaintext between loopback addresses; there is no third way.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/link/link_handshake.h"
#include "engine/link/link_io.h"
#include "engine/link/link_session.h"
#include "engine/link/link_tls.h"

namespace millrace {

// A session, within this process; never used twice.
using LinkSessionId = Id<struct LinkSessionIdTag, uint64_t>;

struct LinkPeer {
  LinkIdentity identity;
  int32_t protocol = 0;  // the version in use: the newest that both speak
  std::string address;   // of its end of the first connection
  std::string session;   // 32 hexadecimal digits, the same on both sides
  bool dialed = false;   // by this node
};

// All are called in the I/O thread and must not block: nothing else is sent or heard meanwhile.
// They may call the network's methods, but Stop and its destructor.
class LinkObserver {
 public:
  virtual ~LinkObserver() = default;
  virtual void OnOpened(LinkSessionId session, const LinkPeer& peer) = 0;
  virtual void OnFrame(LinkSessionId session, LinkBytes frame) = 0;
  // Once for each session that was opened, unless the network was stopped first; nothing follows of
  // it. Codes: "session_timeout", "peer_restarted", "given_up_by_peer", "peer_too_slow",
  // "closed_by_peer", "peer_stopped", "closed" (by this side), "protocol_error", "garbage",
  // "oversize_frame".
  virtual void OnLost(LinkSessionId session, const Status& why) = 0;
  // A connection was refused, by either side, or could not be made. Of an address that is dialed a
  // reason is told once until it changes; of those who connect it is told each time.
  virtual void OnRefused(const std::string& address, const Status& why) = 0;
  // TLS files have changed and cannot be used.
  virtual void OnWarning(const Status& warning) = 0;
};

// The defaults are the cluster's. All need a restart.
struct LinkOptions {
  LinkIdentity self;                  // `incarnation` is made by Start
  std::optional<LinkAddress> listen;  // port 0: any free one
  std::vector<LinkRole> accept_roles = {LinkRole::kCoordinator, LinkRole::kWorker};
  std::optional<LinkTlsFiles> tls;  // none: loopback only
  LinkSessionLimits session;
  size_t frame_bytes_max = 64 << 20;
  MonotonicTime connect_timeout = std::chrono::seconds(1);
  MonotonicTime handshake_timeout = std::chrono::seconds(2);
  MonotonicTime backoff_min = std::chrono::milliseconds(50);
  MonotonicTime backoff_max = std::chrono::seconds(1);
  size_t handshakes_max = 64;  // accepted connections that are not open; more are closed
};

struct LinkCounters {
  int64_t sessions_opened = 0;
  int64_t sessions_resumed = 0;
  int64_t sessions_lost = 0;
  int64_t connections_accepted = 0;
  int64_t connections_dialed = 0;  // made
  int64_t connections_failed = 0;  // dialed and not made, or broken before they were open
  int64_t connections_silent = 0;  // closed because nothing came
  // By reason (link_refusals.h), on whichever side; also what came after a handshake.
  std::map<std::string, int64_t> refused;
  int64_t frames_in = 0;
  int64_t frames_out = 0;
  int64_t bytes_in = 0;  // of frames' payloads
  int64_t bytes_out = 0;
  int64_t resent_frames = 0;
  int64_t duplicate_frames = 0;
};

class LinkNetwork {
 public:
  // `observer` outlives the network. User errors: those of CheckLinkIdentity, LinkTls::Load and
  // LinkLoop::Listen, "bad_limits".
  static Result<std::unique_ptr<LinkNetwork>> Start(LinkOptions options, LinkObserver* observer);
  // As Stop.
  ~LinkNetwork();
  LinkNetwork(const LinkNetwork&) = delete;
  LinkNetwork& operator=(const LinkNetwork&) = delete;

  // Tells the peers ("peer_stopped"), which takes a third of a second at most, and ends the thread;
  // a name that is being resolved may take longer. What waits to be sent is dropped. No callback
  // comes after it. May be called twice.
  void Stop();

  // The rest may be called from any thread and does not block.

  // Keeps a connection to `address`, where a node of this role listens, until Disconnect. Again:
  // without effect. User error: "tls_required".
  Status Connect(const LinkAddress& address, LinkRole role);
  // Its session is lost: "closed".
  void Disconnect(const LinkAddress& address);
  // Ends a session on both sides; "closed" on this one. What waits to be sent is dropped. A
  // connection that this node dials is made again, with a new session.
  void Close(LinkSessionId session);

  // Frames of a session arrive in the order in which they were sent. Codes: "session_lost",
  // "frame_too_large" (internal), "peer_too_slow": more than unacknowledged_bytes_max wait; the
  // session is lost with that.
  Status Send(LinkSessionId session, LinkBytes frame);

  uint16_t port() const;  // that it listens on; 0: none
  const std::string& incarnation() const;
  LinkCounters counters() const;

 private:
  class Impl;
  explicit LinkNetwork(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
