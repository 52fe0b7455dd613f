// The actors' runtime. Everything that works has a thread of its own; what is scheduled is the
// coordinator.
#pragma once

#include <caf/all.hpp>
#include <optional>

namespace millrace {

class ActorSystem {
 public:
  ActorSystem();
  // Waits for every actor, however many end at once; each must have been told to.
  //
  // caf::actor_system alone does not (CAF 0.17): it stops its clock when the last actor has left
  // the registry, but each then still has a word for the clock, whose queue takes 63. With more
  // actors than that in between, they wait for the clock and the destructor for them, for ever.
  ~ActorSystem();

  // For a thread that has made actors, before a system of theirs ends on another one: CAF leaves a
  // reference to the system's logger with each thread that makes actors, and the destructor waits
  // for all but its own, for ever.
  static void LeaveThread();

  caf::actor_system& operator*() { return *system_; }

 private:
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
  size_t own_threads_ = 0;  // of the runtime itself
};

}  // namespace millrace
