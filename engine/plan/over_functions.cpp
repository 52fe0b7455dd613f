#include "engine/plan/over_functions.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

using enum OverFunction;

constexpr std::array kFunctions = std::to_array<OverFunctionInfo>({
    {"row_number", kRowNumber, 0, 0, false, "row_number()", "number of the row, from 1"},
    {"rank", kRank, 0, 0, false, "rank()", "number of the first row of the same event time"},
    {"dense_rank", kDenseRank, 0, 0, false, "dense_rank()",
     "how many different event times there are up to the row's"},
    {"lag", kLag, 1, 3, false, "lag(x [, n [, otherwise]])",
     "x of the row n rows before (1), `otherwise` (null) where there is none"},
    {"lead", kLead, 1, 3, false, "lead(x [, n [, otherwise]])",
     "the same of the row n rows after, for which the row waits"},
    {"first_value", kFirstValue, 1, 1, true, "first_value(x)", "x of the first row of the frame"},
    {"last_value", kLastValue, 1, 1, true, "last_value(x)", "x of the last row of the frame"},
    {"nth_value", kNthValue, 2, 2, true, "nth_value(x, n)", "x of the n-th row of the frame"},
    {"last_value_ignore_nulls", kLastValueIgnoreNulls, 1, 1, true, "last_value_ignore_nulls(x)",
     "the last x in the frame that is not null"},
});

}  // namespace

std::span<const OverFunctionInfo> OverFunctions() { return kFunctions; }

const OverFunctionInfo* FindOverFunction(std::string_view name) {
  const auto found = std::ranges::find(kFunctions, name, &OverFunctionInfo::name);
  return found == kFunctions.end() ? nullptr : &*found;
}

const std::vector<std::string>& OverFunctionNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    all.reserve(kFunctions.size());
    for (const OverFunctionInfo& info : kFunctions) all.emplace_back(info.name);
    return all;
  }();
  return names;
}

// Accumulators of one row are merged, which may hold texts.
bool FollowsFrames(const AggregateSpec& aggregate) {
  AggregateSpec of_numbers = aggregate;
  of_numbers.argument_type = of_numbers.second_type = Type::kNull;
  return HasFixedState(of_numbers);
}

}  // namespace millrace
