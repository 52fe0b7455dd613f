#include "engine/link/link_handshake.h"

#include <algorithm>
#include <optional>
#include <random>

namespace millrace {
namespace {

constexpr size_t kClusterNameMax = 63;
constexpr size_t kNodeNameMax = 253;
constexpr size_t kIdDigits = 32;
constexpr size_t kPeersMax = 4096;
constexpr size_t kRememberedMax = 4096;
constexpr size_t kMessageBytesMax = 512;

Status Refuse(std::string_view code, const std::string& message) {
  return ExternalError(code, message, Retry::kYes);
}

bool IsLower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsClusterName(const std::string& name) {
  return !name.empty() && name.size() <= kClusterNameMax && IsLower(name.front()) &&
         IsLower(name.back()) &&
         std::ranges::all_of(name, [](char c) { return IsLower(c) || c == '-'; });
}

bool IsNodeName(const std::string& name) {
  return !name.empty() && name.size() <= kNodeNameMax && std::ranges::all_of(name, [](char c) {
    return IsLower(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
  });
}

bool IsId(const std::string& id) {
  return id.size() == kIdDigits && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::optional<LinkRole> RoleOf(proto::LinkRole role) {
  switch (role) {
    case proto::LINK_ROLE_COORDINATOR:
      return LinkRole::kCoordinator;
    case proto::LINK_ROLE_WORKER:
      return LinkRole::kWorker;
    default:
      return std::nullopt;
  }
}

// What a peer sent, fit for a log.
std::string Printable(std::string text) {
  text.resize(std::min(text.size(), kMessageBytesMax));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::string Versions(int32_t min, int32_t max) {
  return min == max ? std::to_string(min) : std::to_string(min) + " to " + std::to_string(max);
}

}  // namespace

std::string_view LinkRoleName(LinkRole role) {
  return role == LinkRole::kCoordinator ? "coordinator" : "worker";
}

std::string MakeLinkId() {
  std::random_device random;
  std::string id;
  while (id.size() < kIdDigits) {
    for (unsigned bits = random(), i = 0; i < 8; ++i, bits >>= 4)
      id += "0123456789abcdef"[bits & 15];
  }
  return id;
}

Status CheckLinkIdentity(const LinkIdentity& identity) {
  if (!IsClusterName(identity.cluster)) {
    return UserError("bad_cluster_name",
                     "a cluster's name has 1 to 63 lower-case letters, digits "
                     "and '-', none at its ends: \"" +
                         Printable(identity.cluster) + "\"");
  }
  if (!IsNodeName(identity.node)) {
    return UserError("bad_node_name",
                     "a node's name has 1 to 253 letters, digits, '.', '_' and '-': \"" +
                         Printable(identity.node) + "\"");
  }
  if (identity.protocol_min < 1 || identity.protocol_max < identity.protocol_min) {
    return UserError("bad_protocol", "protocol versions " + std::to_string(identity.protocol_min) +
                                         " to " + std::to_string(identity.protocol_max) +
                                         " are no range; this build speaks " +
                                         Versions(kLinkProtocolOldest, kLinkProtocolNewest));
  }
  if (identity.attributes.size() > kLinkAttributesBytesMax) {
    return UserError("attributes_too_large",
                     "the attributes have " + std::to_string(identity.attributes.size()) +
                         " bytes, at most " + std::to_string(kLinkAttributesBytesMax));
  }
  return Status::OK();
}

proto::LinkHello MakeLinkHello(const LinkIdentity& self) {
  proto::LinkHello hello;
  hello.set_cluster(self.cluster);
  hello.set_node(self.node);
  hello.set_role(self.role == LinkRole::kCoordinator ? proto::LINK_ROLE_COORDINATOR
                                                     : proto::LINK_ROLE_WORKER);
  hello.set_incarnation(self.incarnation);
  hello.set_protocol_min(self.protocol_min);
  hello.set_protocol_max(self.protocol_max);
  hello.set_attributes(self.attributes);
  return hello;
}

Result<JudgedHello> JudgeLinkHello(const LinkIdentity& self, const std::vector<LinkRole>& roles,
                                   const proto::LinkHello& hello) {
  JudgedHello judged;
  // First: all else may mean something else in a version that is not spoken here.
  judged.protocol = std::min(self.protocol_max, hello.protocol_max());
  if (judged.protocol < std::max(self.protocol_min, hello.protocol_min())) {
    return Refuse("no_common_protocol",
                  "speaks protocol " + Versions(hello.protocol_min(), hello.protocol_max()) +
                      ", this build " + Versions(self.protocol_min, self.protocol_max));
  }
  if (hello.cluster() != self.cluster) {
    return Refuse("wrong_cluster", "is of the cluster \"" + Printable(hello.cluster()) +
                                       "\", this node of \"" + self.cluster + "\"");
  }
  const std::optional<LinkRole> role = RoleOf(hello.role());
  if (!role || std::ranges::find(roles, *role) == roles.end()) {
    return Refuse("wrong_role", "is a " + std::string(role ? LinkRoleName(*role) : "stranger") +
                                    ", which is not expected here");
  }
  if (!IsNodeName(hello.node()) || !IsId(hello.incarnation()) ||
      hello.attributes().size() > kLinkAttributesBytesMax) {
    return Refuse("garbage",
                  "sent a Hello with a name, an incarnation or attributes that cannot be");
  }
  if (hello.incarnation() == self.incarnation) return Refuse("self", "is this process itself");
  judged.peer = {.cluster = hello.cluster(),
                 .node = hello.node(),
                 .role = *role,
                 .incarnation = hello.incarnation(),
                 .protocol_min = hello.protocol_min(),
                 .protocol_max = hello.protocol_max(),
                 .attributes = hello.attributes()};
  return judged;
}

Result<proto::LinkHello> ParseLinkHello(const std::string& bytes) {
  proto::LinkHello hello;
  if (!hello.ParseFromString(bytes)) return Refuse("garbage", "the peer's Hello cannot be read");
  return hello;
}

Result<proto::LinkAnswer> ParseLinkAnswer(const std::string& bytes) {
  proto::LinkAnswer answer;
  if (!answer.ParseFromString(bytes)) return Refuse("garbage", "the peer's answer cannot be read");
  return answer;
}

std::string LinkCodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "refused" : detail->code();
}

Status RefusedByPeer(const proto::LinkAnswer& answer) {
  return Refuse(Printable(answer.refusal()),
                "refused by the peer: this node " + Printable(answer.message()));
}

void LinkAdmission::Remembered::Add(const std::string& id) {
  if (!ids_.insert(id).second) return;
  order_.push_back(id);
  if (order_.size() <= kRememberedMax) return;
  ids_.erase(order_.front());
  order_.pop_front();
}

LinkAdmission::Decision LinkAdmission::Admit(const proto::LinkHello& hello) {
  Decision decision;
  if (!IsId(hello.session())) {
    decision.status = Refuse("garbage", "sent a session that cannot be");
    return decision;
  }
  if (replaced_.Has(hello.incarnation())) {
    decision.status = Refuse("incarnation_replaced",
                             "was replaced by a younger process with the name " + hello.node());
    return decision;
  }
  decision.status = MakeRoom(hello.node());
  if (!decision.status.ok()) return decision;
  Peer& peer = peers_[hello.node()];
  if (peer.incarnation == hello.incarnation() && hello.attempt() <= peer.attempt) {
    decision.status = Refuse("stale_attempt", "has made a later connection");
    return decision;
  }
  if (!peer.incarnation.empty() && peer.incarnation != hello.incarnation()) {
    replaced_.Add(peer.incarnation);
    decision.ends = peer.session;
    decision.replaced = true;
    peer = Peer();
  }
  peer.incarnation = hello.incarnation();
  peer.attempt = hello.attempt();
  decision.resume = hello.resume();
  if (hello.resume()) {
    if (peer.session == hello.session()) return decision;
    decision.status = Refuse("unknown_session", "asks for a session that is not known here");
  } else if (ended_.Has(hello.session()) || peer.session == hello.session()) {
    decision.status = Refuse("unknown_session", "begins a session that is over");
  } else if (!peer.session.empty()) {
    // Who dials has given it up.
    decision.ends = peer.session;
  }
  return decision;
}

void LinkAdmission::OnOpened(const std::string& node, const std::string& session) {
  peers_[node].session = session;
}

void LinkAdmission::OnEnded(const std::string& node, const std::string& session) {
  ended_.Add(session);
  const auto peer = peers_.find(node);
  if (peer != peers_.end() && peer->second.session == session) peer->second.session.clear();
}

Status LinkAdmission::MakeRoom(const std::string& node) {
  if (peers_.size() < kPeersMax || peers_.contains(node)) return Status::OK();
  const auto idle =
      std::ranges::find_if(peers_, [](const auto& peer) { return peer.second.session.empty(); });
  if (idle == peers_.end()) {
    return Refuse("too_many_peers",
                  "is one more than the " + std::to_string(kPeersMax) + " peers of this node");
  }
  peers_.erase(idle);
  return Status::OK();
}

}  // namespace millrace
