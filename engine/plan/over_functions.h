// Functions that exist with OVER only: what each takes and gives. The table in docs/sql.md is made
// from them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"

namespace millrace {

struct OverFunctionInfo {
  std::string_view name;
  OverFunction function = OverFunction::kRowNumber;
  int arguments_min = 0;
  int arguments_max = 0;
  bool is_framed = false;  // looks at the frame; else at the partition, whatever the frame
  std::string_view call;   // as it is written
  std::string_view summary;
};

std::span<const OverFunctionInfo> OverFunctions();
// Null where there is none of this name.
const OverFunctionInfo* FindOverFunction(std::string_view name);
inline bool IsOverFunction(std::string_view name) { return FindOverFunction(name) != nullptr; }
// All names, for suggestions.
const std::vector<std::string>& OverFunctionNames();

// Whether what an aggregate remembers can follow a frame that moves.
bool FollowsFrames(const AggregateSpec& aggregate);
// Whether it is computed of the frame's values in order: of frames that do not begin with the
// partition.
constexpr bool NeedsOrder(AggregateFunction function) {
  return function == AggregateFunction::kPercentileCont ||
         function == AggregateFunction::kPercentileDisc;
}

}  // namespace millrace
