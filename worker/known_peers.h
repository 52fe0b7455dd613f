// The workers that a worker has sessions to, and which of them its coordinator has yet to hear of:
// a beat names those only. docs/cluster-protocol.md, "Beats". Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace millrace {

class KnownPeers {
 public:
  struct Peer {
    uint64_t session = 0;
    std::string incarnation;
  };

  // In place of an earlier session.
  void OnOpened(const std::string& name, Peer peer);
  // Of another session than the last one: without effect.
  void OnLost(const std::string& name, uint64_t session);
  // Null: none.
  const Peer* Find(const std::string& name) const;

  // The coordinator was told that there is no session to it, or that one is lost: if there is one,
  // it is to hear so.
  void TellAnew(const std::string& name) { untold_.insert(name); }
  // Another coordinator, or another session to it: it knows nothing.
  void TellAllAnew();
  // What a beat names. A session to the coordinator carries each beat once and in order, or is
  // lost.
  std::vector<std::string> TakeUntold();

 private:
  std::map<std::string, Peer> peers_;
  std::set<std::string> untold_;  // some may have gone
};

}  // namespace millrace
