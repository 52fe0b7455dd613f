// What LinkNetwork has in its I/O thread: who is connected, in which session, and who is dialed.
// Everything here is called in that thread, but what LinkOutbox guards and `counters`.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/env/clock.h"
#include "engine/link/link_connection.h"
#include "engine/link/link_network.h"

namespace millrace {

// Frames on their way from any thread to the I/O thread.
struct LinkOutbox {
  std::mutex mutex;
  // ---- guarded by mutex ----
  std::vector<LinkBytes> frames;
  int64_t bytes = 0;       // of them, and of those that the session keeps
  bool scheduled = false;  // the I/O thread will look
  bool overflowed = false;
  bool closed = false;  // the session is lost
};

class LinkNode {
 public:
  LinkNode(LinkOptions options, std::unique_ptr<LinkTls> tls, LinkObserver* observer);
  ~LinkNode();

  LinkLoop& loop() { return loop_; }
  // Before the loop runs.
  Result<uint16_t> Listen();
  void Start();
  // Ends the loop once the peers are told.
  void Stop();

  void Connect(const LinkAddress& address, LinkRole role);
  void Disconnect(const LinkAddress& address);
  void Close(LinkSessionId session);
  // Takes what waits in its outbox.
  void TakeOutbox(LinkSessionId session);

  // ---- from any thread ----
  std::shared_ptr<LinkOutbox> OutboxOf(LinkSessionId session) const;
  LinkCounters counters() const;

 private:
  struct Dialer;
  struct Session;
  class Link;
  using SessionPointer = std::shared_ptr<Session>;

  MonotonicTime Now() const { return clock_.Monotonic(); }
  template <typename Change>
  void Count(const Change& change) {
    std::lock_guard lock(counters_mutex_);
    change(counters_);
  }
  void CountRefusal(const Status& why);

  // ---- links ----
  void OnAccepted(std::unique_ptr<LinkSocket> socket);
  std::unique_ptr<LinkTlsChannel> MakeChannel(bool is_client);
  void AddLink(std::unique_ptr<LinkSocket> socket, const std::shared_ptr<Dialer>& dialer);
  // Closes it and forgets it; its session stays, its dialer dials again.
  void DropLink(std::shared_ptr<Link> link);
  void DropUnconfirmed(const std::string& node, const Link* but);
  size_t unopened_links() const;

  // ---- sessions ----
  void Open(const std::shared_ptr<Link>& link, const LinkPeer& peer);
  void Attach(const std::shared_ptr<Link>& link, const SessionPointer& session,
              uint64_t peer_received, std::optional<MonotonicTime> confirmed);
  void Lose(SessionPointer session, Status why);
  // Loses it where its state says so; true: it is lost.
  bool CheckLost(const SessionPointer& session);
  void Flush(const SessionPointer& session);
  void ReleaseOutbox(Session* session);
  SessionPointer FindAccepted(const std::string& wire_id) const;

  // ---- dialing ----
  void Dial(const std::shared_ptr<Dialer>& dialer);
  void OnDialed(const std::shared_ptr<Dialer>& dialer, Result<std::unique_ptr<LinkSocket>> socket);
  void DialLater(const std::shared_ptr<Dialer>& dialer);
  // A connection was not made, or not accepted.
  void TellDialer(Dialer* dialer, const Status& why);

  void Tick();

  const LinkOptions options_;
  const std::unique_ptr<LinkTls> tls_;
  LinkObserver* const observer_;
  const SystemClock clock_;
  LinkLoop loop_;
  std::minstd_rand random_;
  bool stopping_ = false;

  LinkAdmission admission_;
  std::set<std::shared_ptr<Link>> links_;
  std::map<std::string, std::shared_ptr<Dialer>> dialers_;  // by address
  std::map<LinkSessionId, SessionPointer> sessions_;
  uint64_t last_session_ = 0;
  uint64_t last_attempt_ = 0;

  mutable std::mutex outboxes_mutex_;
  std::map<LinkSessionId, std::shared_ptr<LinkOutbox>> outboxes_;  // guarded by outboxes_mutex_
  mutable std::mutex counters_mutex_;
  LinkCounters counters_;  // guarded by counters_mutex_
};

}  // namespace millrace
