// For tests of the link: what goes over a connection, as bytes.
#pragma once

#include <string>

#include "engine/link/link_frame.h"
#include "engine/link/link_handshake.h"

namespace millrace {

inline std::string LinkBytesOf(const LinkOutput& output) {
  std::string bytes(output.header.data(), output.header_bytes);
  if (output.payload) bytes += output.payload->ToString();
  return bytes;
}

}  // namespace millrace
