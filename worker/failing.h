// How an actor fails on what a library throws: nothing is caught on the way (docs/architecture.md,
// "Errors"), the actor's state tells the coordinator, and the actor ends.
#pragma once

#include <caf/all.hpp>
#include <exception>

namespace millrace {

// `state` has Thrown(const std::exception_ptr&) and lives until `self` is cleaned up.
template <typename State>
void FailOnException(caf::event_based_actor* self, State* state) {
  self->set_exception_handler([state](std::exception_ptr& thrown) -> caf::error {
    state->Thrown(thrown);
    return caf::exit_reason::unhandled_exception;
  });
}

}  // namespace millrace
