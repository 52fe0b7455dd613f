// Tells mistakes that a planner finds in a job file, and not again those that the file's reader has
// told.
#pragma once

#include <string>

#include "engine/base/diagnostics.h"

namespace millrace {

class PlanMistakes {
 public:
  // What `diagnostics` holds by now is the reader's. It outlives this.
  explicit PlanMistakes(Diagnostics* diagnostics)
      : diagnostics_(diagnostics), told_before_(diagnostics->items().size()) {}

  void Error(SourcePlace place, const std::string& message, const std::string& hint = "") const {
    for (size_t i = 0; i < told_before_; ++i) {
      const Diagnostic& item = diagnostics_->items()[i];
      if (item.severity == Severity::kError && item.place == place && place.line > 0) return;
    }
    diagnostics_->Error(place, message, hint);
  }
  Diagnostics* diagnostics() const { return diagnostics_; }

 private:
  Diagnostics* diagnostics_;
  size_t told_before_;
};

}  // namespace millrace
