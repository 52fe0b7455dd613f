// One line on a terminal that says how far a long run is; nothing in a pipe.
#pragma once

#include <cstdint>

#include "engine/base/time.h"
#include "worker/account.h"

namespace millrace {

class Progress {
 public:
  // Shows only where `wanted` and standard error is a terminal.
  explicit Progress(bool wanted);
  void Show(const JobAccount& account, MonotonicTime elapsed);
  void Clear();

 private:
  bool shown_ = false;
  bool wanted_;
};

}  // namespace millrace
