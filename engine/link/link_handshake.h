// Who may begin a connection, and in which session: the decisions of a handshake. Pure.
// docs/cluster-protocol.md explains the rules; proto/link.proto has the messages.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "proto/link.pb.h"

namespace millrace {

enum class LinkRole { kCoordinator, kWorker };

// The oldest and the newest version that this build speaks.
inline constexpr int32_t kLinkProtocolOldest = 1;
inline constexpr int32_t kLinkProtocolNewest = 1;
// The attributes of a Hello.
inline constexpr size_t kLinkAttributesBytesMax = 16 << 10;

// What a node says of itself, but for its session.
struct LinkIdentity {
  std::string cluster;  // a DNS label: lower-case letters, digits, '-'; at most 63
  std::string node;     // letters, digits, '.', '_', '-'; at most 253
  LinkRole role = LinkRole::kWorker;
  std::string incarnation;  // 32 hexadecimal digits
  int32_t protocol_min = kLinkProtocolOldest;
  int32_t protocol_max = kLinkProtocolNewest;
  std::string attributes = {};
};

// "coordinator", "worker".
std::string_view LinkRoleName(LinkRole role);
// 32 random hexadecimal digits.
std::string MakeLinkId();

// User errors: "bad_cluster_name", "bad_node_name", "bad_protocol", "attributes_too_large".
Status CheckLinkIdentity(const LinkIdentity& identity);

proto::LinkHello MakeLinkHello(const LinkIdentity& self);

// A Hello that goes together with `self`.
struct JudgedHello {
  LinkIdentity peer;
  int32_t protocol = 0;  // that both speak
};
// Errors: "no_common_protocol", "wrong_cluster", "wrong_role" (none of `roles`), "self" (this
// process), "garbage" (a field that cannot be).
Result<JudgedHello> JudgeLinkHello(const LinkIdentity& self, const std::vector<LinkRole>& roles,
                                   const proto::LinkHello& hello);
// Errors: "garbage".
Result<proto::LinkHello> ParseLinkHello(const std::string& bytes);
Result<proto::LinkAnswer> ParseLinkAnswer(const std::string& bytes);

// What a refusal is called in an answer and to the observer; "refused" where it has no code.
std::string LinkCodeOf(const Status& status);
// A refusal as the side that dials sees it.
Status RefusedByPeer(const proto::LinkAnswer& answer);

// What the accepting side knows of those who dial, and decides by it. Bounded: 4096 names.
class LinkAdmission {
 public:
  struct Decision {
    // Not OK: refused. Codes: "unknown_session" (given up here, or of another incarnation of this
    // process), "incarnation_replaced" (a younger process has this name), "stale_attempt" (a later
    // connection of the same process has come), "too_many_peers".
    Status status;
    bool resume = false;    // the session that the Hello names goes on; else it is a new one
    std::string ends;       // a session that has come to its end by this; empty: none
    bool replaced = false;  // `ends` was another incarnation's
  };
  Decision Admit(const proto::LinkHello& hello);
  // `session` is open (a connection of it has been confirmed).
  void OnOpened(const std::string& node, const std::string& session);
  // `session` was given up, or replaced.
  void OnEnded(const std::string& node, const std::string& session);

 private:
  struct Peer {
    std::string incarnation;
    uint64_t attempt = 0;
    std::string session;  // open; empty: none
  };
  // The last ones of a set.
  class Remembered {
   public:
    void Add(const std::string& id);
    bool Has(const std::string& id) const { return ids_.contains(id); }

   private:
    std::set<std::string> ids_;
    std::deque<std::string> order_;
  };

  Status MakeRoom(const std::string& node);

  std::map<std::string, Peer> peers_;  // by node
  Remembered replaced_;                // incarnations
  Remembered ended_;                   // sessions
};

}  // namespace millrace
