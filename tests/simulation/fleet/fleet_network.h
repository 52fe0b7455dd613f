// The network of a simulated fleet: sessions between processes, as engine/link makes them. What is
// sent in a session comes once and in order, or not at all; a session is lost when one side has not
// been heard by the other for a while, each side finding out by itself; lost is for ever.
// docs/cluster-protocol.md, "A session".
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/fleet/fleet_world.h"

namespace millrace::simulation {

// A process that has sessions.
class NetworkNode : public FleetProcess {
 public:
  using FleetProcess::FleetProcess;
  virtual bool listening() const = 0;
  virtual void OnOpened(uint64_t session, NetworkNode* peer) = 0;
  virtual void OnLost(uint64_t session, const std::string& peer, const std::string& why) = 0;
};

class Network {
 public:
  explicit Network(FleetWorld* world);

  // At most one process of a name is there at a time.
  void Attach(NetworkNode* node) { nodes_[node->name()] = node; }
  // It is gone, without a word to anybody.
  void Detach(NetworkNode* node);
  // It was frozen: looks at the time before it believes what has come.
  void OnWake(NetworkNode* node);

  // `from` keeps a session to who has that name, until it is gone.
  void Dial(NetworkNode* from, const std::string& to);
  // At the other side `what` is called, if the session is still there.
  void Send(uint64_t session, const NetworkNode* from, std::function<void()> what);
  void Close(uint64_t session, const NetworkNode* by);
  bool IsOpen(uint64_t session, const NetworkNode* at) const;
  // Null where it is gone.
  NetworkNode* PeerOf(uint64_t session, const NetworkNode* at) const;

  // One way.
  void Cut(const std::string& from, const std::string& to, MonotonicTime until);
  void Heal();
  bool IsCut(const std::string& from, const std::string& to) const;

 private:
  struct Side {
    NetworkNode* node = nullptr;  // null: the process is gone
    std::string name;
    bool open = true;
    MonotonicTime heard{0};  // that the other side hears this one is known for then
    MonotonicTime patience{0};
    std::deque<std::pair<MonotonicTime, std::function<void()>>> coming;
  };
  struct Session {
    std::array<Side, 2> sides;
  };

  void Look();
  void Redial(NetworkNode* from, const std::string& to);
  void Open(NetworkNode* from, NetworkNode* to);
  void Lose(uint64_t session, int side, const std::string& why);
  void Deliver(uint64_t session, int side);
  Session* Find(uint64_t session);
  static int SideOf(const Session& session, const NetworkNode* node);
  bool Connected(const Session& session) const;
  // Forgets sessions that both sides have lost.
  void Forget(uint64_t session);

  FleetWorld* const world_;
  uint64_t last_session_ = 0;
  std::map<std::string, NetworkNode*> nodes_;
  std::map<uint64_t, Session> sessions_;
  std::map<std::pair<std::string, std::string>, MonotonicTime> cuts_;
};

}  // namespace millrace::simulation
