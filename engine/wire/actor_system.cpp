#include "engine/wire/actor_system.h"

#include <chrono>
#include <thread>

namespace millrace {

ActorSystem::ActorSystem() {
  // The default policy sleeps up to 10 ms when idle, and takes at least four threads.
  config_.set("scheduler.policy", caf::atom("sharing"));
  config_.set("scheduler.max-threads", size_t(1));
  system_.emplace(config_);
  LeaveThread();
  own_threads_ = system_->detached_actors();
}

void ActorSystem::LeaveThread() { caf::logger::set_current_actor_system(nullptr); }

ActorSystem::~ActorSystem() {
  // A thread is counted until its actor is gone. There is nothing to wait on but the count.
  while (system_->detached_actors() > own_threads_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace millrace
