#include "worker/known_peers.h"

#include <utility>

namespace millrace {

void KnownPeers::OnOpened(const std::string& name, Peer peer) {
  peers_[name] = std::move(peer);
  untold_.insert(name);
}

void KnownPeers::OnLost(const std::string& name, uint64_t session) {
  const auto found = peers_.find(name);
  if (found != peers_.end() && found->second.session == session) peers_.erase(found);
}

const KnownPeers::Peer* KnownPeers::Find(const std::string& name) const {
  const auto found = peers_.find(name);
  return found == peers_.end() ? nullptr : &found->second;
}

void KnownPeers::TellAllAnew() {
  for (const auto& [name, peer] : peers_) untold_.insert(name);
}

std::vector<std::string> KnownPeers::TakeUntold() {
  std::vector<std::string> names;
  for (const std::string& name : std::exchange(untold_, {})) {
    if (peers_.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace millrace
