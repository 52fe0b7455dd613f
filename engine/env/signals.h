// SIGINT and SIGTERM, taken by a thread that asks for them instead of by a handler.
#pragma once

#include <chrono>
#include <csignal>

namespace millrace {

// From now on both are taken with TakeSignal alone, and SIGPIPE is ignored. Called before threads
// are made.
sigset_t BlockSignals();
// Whether one came within `timeout`.
bool TakeSignal(const sigset_t& signals, std::chrono::milliseconds timeout);

}  // namespace millrace
