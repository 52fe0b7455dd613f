#include "engine/env/file_limit.h"

#include <sys/resource.h>

namespace millrace {

void RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // up to the hard limit nothing refuses it
}

}  // namespace millrace
