// A worker of a cluster: keeps a session to the coordinator, makes and ends attempts as it is told,
// and says that it is alive. One thread decides; attempts start and end on threads of their own.
// docs/cluster.md.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/env/event_queue.h"
#include "engine/exchange/exchange_metrics.h"
#include "engine/metrics/loop_pulse.h"
#include "worker/attempt.h"
#include "worker/known_peers.h"

namespace millrace {

struct ClusterWorkerOptions {
  LinkOptions link;  // `self.attributes` is made of `offer`
  std::vector<LinkAddress> coordinators;
  proto::WorkerOffer offer;
  AttemptSurroundings surroundings;  // but for the exchange
  LoopPulse* pulse = nullptr;        // of the thread that decides
};

class ClusterWorker final : private ExchangeObserver {
 public:
  static Result<std::unique_ptr<ClusterWorker>> Start(ClusterWorkerOptions options);
  // Every attempt ends where it stands.
  ~ClusterWorker() override;

  // Asks the coordinator to take what runs here; any thread.
  void RequestLeave();
  // Whether the coordinator has said that it may go, within `timeout`.
  bool MayLeaveWithin(std::chrono::milliseconds timeout);
  // A coordinator knows it; for readiness.
  bool registered() const { return registered_; }
  uint16_t port() const { return exchange_->network().port(); }

 private:
  // An attempt and the thread that starts it, then ends it.
  struct Running {
    proto::Deploy deploy;
    LinkSessionId coordinator;
    std::unique_ptr<Attempt> attempt;  // of the thread until `started`
    bool starting = false;
    bool started = false;
    bool ending = false;
    MonotonicTime asked{0};
    std::jthread thread;
  };
  explicit ClusterWorker(ClusterWorkerOptions options)
      : options_(std::move(options)), exchange_metrics_(options_.surroundings.metrics) {}

  // ExchangeObserver: puts what happened before the thread that decides.
  void OnPeerOpened(LinkSessionId session, const LinkPeer& peer) override;
  void OnPeerLost(LinkSessionId session, const LinkPeer& peer, const Status& why) override;
  void OnControl(LinkSessionId session, proto::ClusterMessage message) override;

  void Run(const std::stop_token& stop);
  void Beat();
  void SendWatchedRows();
  void UpdateMetrics();
  // Of the coordinators that are there, to the one with the highest term.
  void ChooseCoordinator();
  void TakeDeploy(LinkSessionId session, proto::Deploy deploy);
  Status Dial(const proto::PeerWorker& peer);
  void StartWhenPeersAreThere();
  void OnStarted(const AttemptId& id, const Status& status);
  void EndAttempt(AttemptId id);
  void OnEnded(AttemptId id);
  // Takes what is shown of a deleted job away, once no attempt of it is here.
  void ForgetIfEnded(const std::string& job);
  std::vector<AttemptId> Attempts() const;
  // `unreachable`: the worker that is why; or empty.
  void TellDeployed(const Running& running, const Status& status,
                    const std::string& unreachable = {});
  void Send(LinkSessionId session, const proto::ClusterMessage& message);

  ClusterWorkerOptions options_;
  std::atomic<bool> registered_{false};

  EventQueue events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool may_leave_ = false;  // guarded by mutex_

  // Of the thread that decides.
  struct KnownCoordinator {
    std::string name;
    int64_t term = 0;
    int32_t protocol = 0;  // of the session
  };
  std::map<LinkSessionId, KnownCoordinator> coordinators_;  // that there are sessions to
  std::optional<LinkSessionId> coordinator_;                // the one that leads
  int64_t term_ = 0;  // the highest that was seen: an older coordinator is not listened to
  int64_t beats_ = 0;
  bool leaving_ = false;
  KnownPeers peers_;
  std::map<std::string, LinkAddress> dialed_;  // by name
  std::map<AttemptId, std::unique_ptr<Running>> attempts_;
  std::set<std::string> deleted_;  // jobs of which something is shown yet
  ExchangeMetrics exchange_metrics_;

  std::unique_ptr<Exchange> exchange_;
  std::jthread thread_;
};

}  // namespace millrace
