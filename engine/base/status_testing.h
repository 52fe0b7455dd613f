// For tests: which error it is.
#pragma once

#include <string>

#include "engine/base/status.h"

namespace millrace {

// The code, or, where there is none, all that it says.
inline std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

}  // namespace millrace
