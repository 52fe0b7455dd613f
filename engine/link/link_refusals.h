// The reasons for which connections are refused, and sessions are ended for what a peer sent
// (docs/cluster-protocol.md), as they are counted and logged.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace {

inline constexpr std::string_view kOtherLinkRefusal = "other";
inline constexpr std::array<std::string_view, 19> kLinkRefusals = {
    "no_common_protocol", "wrong_cluster",  "wrong_role",           "self",
    "wrong_tls_name",     "tls_failed",     "tls_required",         "bad_magic",
    "oversize_handshake", "garbage",        "handshake_timeout",    "too_many_handshakes",
    "unknown_session",    "stale_attempt",  "incarnation_replaced", "too_many_peers",
    "oversize_frame",     "protocol_error", kOtherLinkRefusal,
};

// `code`, or "other" where it is none of them: a peer may call its reason anything.
inline std::string_view LinkRefusalOf(std::string_view code) {
  const auto found = std::ranges::find(kLinkRefusals, code);
  return found == kLinkRefusals.end() ? kOtherLinkRefusal : *found;
}

}  // namespace millrace
