#include "tests/simulation/fleet/fleet_network.h"

#include <algorithm>

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;

constexpr auto kLookEvery = milliseconds(200);
// engine/link: a session is lost when the other side is not known to have heard this one for so
// long; the sides' deadlines differ by a ping and its way.
constexpr auto kLostAfter = milliseconds(2500);
constexpr auto kDeadlinesDiffer = milliseconds(400);
constexpr auto kRedialLeast = milliseconds(50), kRedialMost = milliseconds(1000);

}  // namespace

Network::Network(FleetWorld* world) : world_(world) {
  world_->After(kLookEvery, [this] { Look(); });
}

void Network::Detach(NetworkNode* node) {
  nodes_.erase(node->name());
  for (auto& [id, session] : sessions_) {
    for (Side& side : session.sides) {
      if (side.node != node) continue;
      side.node = nullptr;
      side.open = false;
      side.coming.clear();
    }
  }
}

Network::Session* Network::Find(uint64_t session) {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : &found->second;
}

int Network::SideOf(const Session& session, const NetworkNode* node) {
  return session.sides[0].node == node ? 0 : session.sides[1].node == node ? 1 : -1;
}

bool Network::Connected(const Session& session) const {
  const Side &a = session.sides[0], &b = session.sides[1];
  if (a.node == nullptr || b.node == nullptr || a.node->frozen() || b.node->frozen()) return false;
  return !IsCut(a.name, b.name) && !IsCut(b.name, a.name);
}

void Network::Look() {
  world_->After(kLookEvery, [this] { Look(); });
  std::vector<std::pair<uint64_t, int>> lost;
  std::vector<uint64_t> over;
  for (auto& [id, session] : sessions_) {
    const bool connected = Connected(session);
    const bool both = session.sides[0].open && session.sides[1].open;
    if (!session.sides[0].open && !session.sides[1].open) over.push_back(id);
    for (int i = 0; i < 2; ++i) {
      Side& side = session.sides[size_t(i)];
      if (!side.open || side.node->frozen()) continue;
      if (connected && both) {
        side.heard = world_->now;
      } else if (connected || world_->now - side.heard > side.patience) {
        // Connected, and the other side knows it no more: it says so.
        lost.emplace_back(id, i);
      }
    }
  }
  for (const uint64_t id : over) sessions_.erase(id);
  for (const auto& [id, side] : lost) Lose(id, side, "nothing is heard");
}

void Network::OnWake(NetworkNode* node) {
  std::vector<std::pair<uint64_t, int>> lost, alive;
  for (auto& [id, session] : sessions_) {
    const int side = SideOf(session, node);
    if (side < 0 || !session.sides[size_t(side)].open) continue;
    const Side& of = session.sides[size_t(side)];
    (world_->now - of.heard > of.patience ? lost : alive).emplace_back(id, side);
  }
  for (const auto& [id, side] : lost) Lose(id, side, "it was asleep");
  for (const auto& [id, side] : alive) Deliver(id, side);
}

void Network::Dial(NetworkNode* from, const std::string& to) { Redial(from, to); }

void Network::Redial(NetworkNode* from, const std::string& to) {
  const bool there = std::ranges::any_of(sessions_, [&](const auto& entry) {
    const int side = SideOf(entry.second, from);
    return side >= 0 && entry.second.sides[size_t(side)].open &&
           entry.second.sides[size_t(1 - side)].name == to;
  });
  const auto peer = nodes_.find(to);
  if (!there && peer != nodes_.end() && peer->second->listening() && !peer->second->frozen() &&
      !IsCut(from->name(), to) && !IsCut(to, from->name())) {
    Open(from, peer->second);
  }
  from->After(world_->Between(kRedialLeast, kRedialMost), [this, from, to] { Redial(from, to); });
}

void Network::Open(NetworkNode* from, NetworkNode* to) {
  // Whom it takes to be connected still, it takes to be lost now.
  std::vector<uint64_t> before;
  for (const auto& [id, session] : sessions_) {
    const int side = SideOf(session, to);
    if (side >= 0 && session.sides[size_t(side)].open &&
        session.sides[size_t(1 - side)].name == from->name()) {
      before.push_back(id);
    }
  }
  for (const uint64_t id : before) {
    Lose(id, SideOf(*Find(id), to), "another session takes its place");
  }
  const uint64_t id = ++last_session_;
  Session& session = sessions_[id];
  const std::array<NetworkNode*, 2> nodes = {from, to};
  for (size_t i = 0; i < 2; ++i) {
    Side& side = session.sides[i];
    side.node = nodes[i];
    side.name = nodes[i]->name();
    side.heard = world_->now;
    side.patience = kLostAfter + world_->Between(milliseconds(0), kDeadlinesDiffer);
  }
  to->OnOpened(id, from);
  from->OnOpened(id, to);
}

void Network::Lose(uint64_t session, int side, const std::string& why) {
  Session* const found = Find(session);
  if (found == nullptr || side < 0 || !found->sides[size_t(side)].open) return;
  Side& of = found->sides[size_t(side)];
  of.open = false;
  of.coming.clear();
  of.node->OnLost(session, found->sides[size_t(1 - side)].name, why);
}

void Network::Send(uint64_t session, const NetworkNode* from, std::function<void()> what) {
  Session* const found = Find(session);
  if (found == nullptr) return;
  const int side = SideOf(*found, from);
  if (side < 0 || !found->sides[size_t(side)].open) return;
  const int other = 1 - side;
  Side& to = found->sides[size_t(other)];
  if (!to.open) return;
  MonotonicTime due = world_->now + std::chrono::microseconds(200 + world_->random.Below(5000));
  if (world_->random.Chance(20)) due += milliseconds(world_->random.Below(300));
  if (!to.coming.empty()) due = std::max(due, to.coming.back().first);
  to.coming.emplace_back(due, std::move(what));
  world_->At(due, [this, session, other] { Deliver(session, other); });
}

void Network::Deliver(uint64_t session, int side) {
  while (true) {
    Session* const found = Find(session);
    if (found == nullptr) return;
    Side& to = found->sides[size_t(side)];
    const std::string& from = found->sides[size_t(1 - side)].name;
    if (!to.open || to.coming.empty() || to.coming.front().first > world_->now) return;
    if (to.node->frozen()) return;  // OnWake goes on
    if (const auto cut = cuts_.find({from, to.name}); IsCut(from, to.name)) {
      world_->At(cut->second, [this, session, side] { Deliver(session, side); });
      return;
    }
    const auto what = std::move(to.coming.front().second);
    to.coming.pop_front();
    if (!to.node->exited()) what();
  }
}

void Network::Close(uint64_t session, const NetworkNode* by) {
  if (Session* const found = Find(session)) Lose(session, SideOf(*found, by), "closed");
}

bool Network::IsOpen(uint64_t session, const NetworkNode* at) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return false;
  const int side = SideOf(found->second, at);
  return side >= 0 && found->second.sides[size_t(side)].open;
}

NetworkNode* Network::PeerOf(uint64_t session, const NetworkNode* at) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return nullptr;
  const int side = SideOf(found->second, at);
  return side < 0 ? nullptr : found->second.sides[size_t(1 - side)].node;
}

void Network::Cut(const std::string& from, const std::string& to, MonotonicTime until) {
  MonotonicTime& end = cuts_[{from, to}];
  end = std::max(end, until);
}

void Network::Heal() {
  cuts_.clear();
  std::vector<uint64_t> sessions;
  for (const auto& [id, session] : sessions_) sessions.push_back(id);
  for (const uint64_t id : sessions) {
    Deliver(id, 0);
    Deliver(id, 1);
  }
}

bool Network::IsCut(const std::string& from, const std::string& to) const {
  const auto found = cuts_.find({from, to});
  return found != cuts_.end() && found->second > world_->now;
}

}  // namespace millrace::simulation
