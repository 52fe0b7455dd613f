#include "engine/wire/actor_system.h"

#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <thread>
#include <vector>

namespace millrace {
namespace {

// More actors than the runtime's clock can hear at once (actor_system.h). Each is kept where it has
// left the registry and not yet spoken to the clock, for longer than a runtime that does not wait
// needs to stop it; there the destructor hangs.
TEST(ActorSystem, ManyActorsThatEndAtOnceEnd) {
  constexpr size_t kActors = 300;
  std::latch all_left(kActors);
  {
    ActorSystem system;
    std::vector<caf::actor> actors(kActors);
    for (caf::actor& actor : actors) {
      actor = (*system).spawn<caf::detached>([&](caf::event_based_actor* self) {
        self->attach_functor([&](const caf::error&) {
          all_left.arrive_and_wait();
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        });
        return caf::behavior{[self](int) { self->quit(); }};
      });
    }
    for (const caf::actor& actor : actors) caf::anon_send(actor, 1);
  }
  EXPECT_TRUE(all_left.try_wait());
}

// Where a thread that made actors lives on, the system ends on another one all the same.
TEST(ActorSystem, EndsOnAnotherThread) {
  auto system = std::make_unique<ActorSystem>();
  caf::actor actor = (**system).spawn(
      [](caf::event_based_actor* self) { return caf::behavior{[self](int) { self->quit(); }}; });
  ActorSystem::LeaveThread();
  caf::anon_send(std::exchange(actor, nullptr), 1);
  std::thread([&] { system.reset(); }).join();
  EXPECT_EQ(system, nullptr);
}

}  // namespace
}  // namespace millrace
