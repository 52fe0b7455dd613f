// Versions of what processes of a cluster say to each other. A build speaks the current one and the
// one before, so that a cluster can be upgraded process by process. docs/cluster-protocol.md.
#pragma once

#include <cstdint>

namespace millrace {

// 1: every frame of rows carries its schema. 2: a schema travels once a session.
inline constexpr int32_t kProtocolMin = 1;
inline constexpr int32_t kProtocolMax = 2;

}  // namespace millrace
