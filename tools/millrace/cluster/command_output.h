// Data on standard output, everything else on standard error.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace millrace {

// All of it, at once. Where nobody reads any more (`... | head`), the process ends as any other in
// a pipe does, by SIGPIPE. External error: "output_failed".
Status WriteOutput(std::string_view text);

// A line on standard error.
void Tell(std::string_view text);
// "error: ...", where it is one, made safe for a terminal; the exit code.
int Conclude(const Status& status);

}  // namespace millrace
