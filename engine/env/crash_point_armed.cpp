#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "engine/env/crash_point.h"

namespace millrace {
namespace {

struct Armed {
  std::string name;
  long arrivals = 1;  // the one that counts
  std::atomic<long> seen{0};

  explicit Armed(const char* variable) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) return;
    name = text;
    const size_t colon = name.find(':');
    if (colon == std::string::npos) return;
    arrivals = std::atol(name.c_str() + colon + 1);
    name.resize(colon);
  }

  bool IsDue(const char* at) { return !name.empty() && name == at && ++seen == arrivals; }
};

}  // namespace

void CrashPoint(const char* name) {
  static Armed armed("MILLRACE_CRASH_AT");
  if (armed.IsDue(name)) kill(getpid(), SIGKILL);
}

void HoldPoint(const char* name) {
  static Armed armed("MILLRACE_HOLD_AT");
  if (!armed.IsDue(name)) return;
  while (true) pause();
}

}  // namespace millrace
