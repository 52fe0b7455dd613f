// Whether the user wants no colour: NO_COLOR is set, to anything but an empty text.
#pragma once

#include <cstdlib>

namespace millrace {

inline bool NoColor() {
  // Nothing in this process changes its environment.
  const char* const value = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr && *value != '\0';
}

}  // namespace millrace
