// A Protobuf message as a file that tells damage from age:
//
//   8  magic      what it is
//   4  format     little-endian
//   n  message    serialised, the same bytes for the same message
//   8  checksum   XXH3-64 of all before, little-endian
//
// Every format keeps the first 12 and the last 8 bytes as they are here, so that a build can name
// a newer one. Reading takes any bytes without aborting.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace millrace {

// More than that is neither written nor read.
inline constexpr int64_t kSealedBytesMax = 512 << 20;

struct SealedKind {
  std::string_view magic;    // 8 bytes
  int32_t format = 1;        // written, and the newest that is read
  std::string_view damaged;  // error code
};

// "message_unwritable" (internal) where it could not be read back: too large, text not in UTF-8.
Result<std::string> Seal(const SealedKind& kind, const google::protobuf::MessageLite& message);

// `name` is the file's, for people. `kind.damaged` (names what differs) or "format_too_new" (names
// both formats).
Status Unseal(const SealedKind& kind, std::string_view bytes, const std::string& name,
              google::protobuf::MessageLite* message);

}  // namespace millrace
