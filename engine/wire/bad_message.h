// What is wrong with bytes that came from another process.
#pragma once

#include <string_view>

#include "engine/base/status.h"

namespace millrace {

// "bad_message" (external).
inline Status BadMessage(std::string_view why) {
  return ExternalError("bad_message", why, Retry::kNo);
}

}  // namespace millrace
