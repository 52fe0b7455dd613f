// Whether what is said to a host stays on this machine. By its name; what a name means is for the
// resolver to say.
#pragma once

#include <string_view>

namespace millrace {

inline bool IsLoopbackHost(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace millrace
