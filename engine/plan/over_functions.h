// Functions that exist with OVER only: what each takes and gives. The table in docs/sql.md is made
// from them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"

namespace millrace {

// What stands for an expression over other calls.
enum class OverForm {
  kFunction,  // for itself
  kUnchangedSeconds,
  kIsStuck,
  kGapSeconds,
  kRateOfChange,
  kIsSuddenChange,
  kIsSilent,
};

struct OverFunctionInfo {
  std::string_view name;
  OverForm form = OverForm::kFunction;
  OverFunction function = OverFunction::kRowNumber;  // of kFunction
  int arguments_min = 0;
  int arguments_max = 0;
  std::string_view call;    // as it is written
  std::string_view result;  // its type, as documented
  std::string_view summary;

  bool is_framed() const { return form == OverForm::kFunction && LooksAtFrame(function); }
  // Of a sensor's health; else one of SQL's.
  bool is_of_health() const {
    return form != OverForm::kFunction || function == OverFunction::kUnchangedRows ||
           function == OverFunction::kUnchangedSince;
  }
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
