// Whether what is said to a host stays on this machine: an address of 127.0.0.0/8, ::1, or the name
// localhost. What any other name means is for the resolver to say, so it is not taken for one.
#pragma once

#include <arpa/inet.h>

#include <string>

namespace millrace {

inline bool IsLoopbackHost(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace millrace
