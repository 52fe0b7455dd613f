// Messages between the processes of a cluster: what coordinator and workers tell each other, and
// what the actors of jobs do. For each actor in another process there is a proxy here, an actor
// that takes the same messages and sends them over the link; what comes over a link is given to the
// actors that are registered. docs/cluster-protocol.md.
//
// Messages between two actors arrive in order and once, or the session is lost: then whoever relied
// on it is told, and an attempt of a job that did cannot go on.
#pragma once

#include <atomic>
#include <caf/all.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/env/clock.h"
#include "engine/exchange/refusal_log.h"
#include "engine/layout/job_layout.h"
#include "engine/link/link_network.h"
#include "engine/wire/message_codec.h"
#include "proto/cluster.pb.h"

namespace millrace {

// One start of a job.
struct AttemptId {
  std::string job;
  int64_t attempt = 0;
  friend auto operator<=>(const AttemptId&, const AttemptId&) = default;
};

// What the process does about its peers; what else the link tells is logged. Called in the link's
// thread: must not block.
class ExchangeObserver {
 public:
  virtual ~ExchangeObserver() = default;
  virtual void OnPeerOpened(LinkSessionId session, const LinkPeer& peer) = 0;
  virtual void OnPeerLost(LinkSessionId session, const LinkPeer& peer, const Status& why) = 0;
  virtual void OnControl(LinkSessionId session, proto::ClusterMessage message) = 0;
};

struct ExchangeCounters {
  int64_t messages_in = 0;
  int64_t messages_out = 0;
  int64_t stale_messages = 0;  // of attempts that are not here, or no more
  int64_t bad_messages = 0;
};

// Any thread, but where it says otherwise.
class Exchange final : private LinkObserver {
 public:
  // `observer` and `clock` outlive it. Fails as LinkNetwork::Start does.
  static Result<std::unique_ptr<Exchange>> Start(LinkOptions options, ExchangeObserver* observer,
                                                 const Clock* clock);
  // No callback comes after it.
  ~Exchange() override;

  LinkNetwork& network() { return *network_; }

  // "session_lost", "peer_too_slow".
  Status SendControl(LinkSessionId session, const proto::ClusterMessage& message);

  // From now on, messages for these actors of the attempt are given to them.
  void Register(const AttemptId& id, std::map<Address, caf::actor> actors);
  // Later ones are dropped and counted.
  void Unregister(const AttemptId& id);
  // An actor that stands for the one at `address`, at the other end of `session`. Ends at Stop.
  caf::actor MakeProxy(caf::actor_system& system, LinkSessionId session, const AttemptId& id,
                       Address address);

  ExchangeCounters counters() const;
  RefusalLog& refusals() { return refusals_; }

 private:
  // One session's codec. Messages are encoded in the order in which they are sent.
  struct Session {
    explicit Session(LinkPeer of)
        : peer(std::move(of)), encoder(peer.protocol), decoder(peer.protocol) {}
    const LinkPeer peer;
    std::mutex sending;
    MessageEncoder encoder;  // guarded by sending
    MessageDecoder decoder;  // of the link's thread
  };

  Exchange(ExchangeObserver* observer, const Clock* clock) : observer_(observer), clock_(clock) {}
  std::shared_ptr<Session> Find(LinkSessionId session) const;
  void SendToActor(LinkSessionId session, const MessageEnvelope& envelope,
                   const WireMessage& message);
  void TakeControl(LinkSessionId session, const LinkBytes& frame);
  void TakeActorMessage(LinkSessionId session, const LinkBytes& frame);
  // Null where there is none, or none any more.
  caf::actor ReceiverOf(const MessageEnvelope& envelope) const;
  void CloseForBadMessage(LinkSessionId session, const Status& why);

  // LinkObserver
  void OnOpened(LinkSessionId session, const LinkPeer& peer) override;
  void OnFrame(LinkSessionId session, LinkBytes frame) override;
  void OnLost(LinkSessionId session, const Status& why) override;
  void OnRefused(const std::string& address, const Status& why) override;
  void OnWarning(const Status& warning) override;

  ExchangeObserver* const observer_;
  const Clock* const clock_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<LinkSessionId, std::shared_ptr<Session>> sessions_;
  std::map<AttemptId, std::map<Address, caf::actor>> attempts_;
  std::atomic<int64_t> messages_in_{0};
  std::atomic<int64_t> messages_out_{0};
  std::atomic<int64_t> stale_messages_{0};
  std::atomic<int64_t> bad_messages_{0};
  RefusalLog refusals_;
  std::unique_ptr<LinkNetwork> network_;  // its thread uses all of the above
};

}  // namespace millrace
