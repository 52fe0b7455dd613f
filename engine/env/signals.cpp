#include "engine/env/signals.h"

#include <pthread.h>

#include <ctime>

namespace millrace {

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

bool TakeSignal(const sigset_t& signals, std::chrono::milliseconds timeout) {
  const timespec wait{timeout.count() / 1000, (timeout.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

}  // namespace millrace
