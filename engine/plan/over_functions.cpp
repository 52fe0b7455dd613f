#include "engine/plan/over_functions.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

using enum OverFunction;
using enum OverForm;

constexpr std::array kFunctions = std::to_array<OverFunctionInfo>({
    {"row_number", kFunction, kRowNumber, 0, 0, "row_number()", "bigint",
     "number of the row, from 1"},
    {"rank", kFunction, kRank, 0, 0, "rank()", "bigint",
     "number of the first row of the same event time"},
    {"dense_rank", kFunction, kDenseRank, 0, 0, "dense_rank()", "bigint",
     "how many different event times there are up to the row's"},
    {"lag", kFunction, kLag, 1, 3, "lag(x [, n [, otherwise]])", "the type of x",
     "x of the row n rows before (1), `otherwise` (null) where there is none"},
    {"lead", kFunction, kLead, 1, 3, "lead(x [, n [, otherwise]])", "the type of x",
     "the same of the row n rows after, for which the row waits"},
    {"first_value", kFunction, kFirstValue, 1, 1, "first_value(x)", "the type of x",
     "x of the first row of the frame"},
    {"last_value", kFunction, kLastValue, 1, 1, "last_value(x)", "the type of x",
     "x of the last row of the frame"},
    {"nth_value", kFunction, kNthValue, 2, 2, "nth_value(x, n)", "the type of x",
     "x of the n-th row of the frame"},
    {"last_value_ignore_nulls", kFunction, kLastValueIgnoreNulls, 1, 1,
     "last_value_ignore_nulls(x)", "the type of x", "the last x in the frame that is not null"},
    {"unchanged_rows", kFunction, kUnchangedRows, 1, 1, "unchanged_rows(x)", "bigint",
     "how many readings in a row, up to this one, have its x; null where x is"},
    {"unchanged_since", kFunction, kUnchangedSince, 1, 1, "unchanged_since(x)", "timestamp",
     "the event time of the first of them"},
    {"unchanged_seconds", kUnchangedSeconds, kUnchangedSince, 1, 1, "unchanged_seconds(x)",
     "double precision", "seconds from the first of them to this reading"},
    {"is_stuck", kIsStuck, kUnchangedRows, 2, 2, "is_stuck(x, n | interval)", "boolean",
     "whether `unchanged_rows(x)` is n or more, or x has been the same for the interval or longer"},
    {"gap_seconds", kGapSeconds, kLag, 0, 0, "gap_seconds()", "double precision",
     "seconds since the reading before; null of the first"},
    {"rate_of_change", kRateOfChange, kLag, 1, 1, "rate_of_change(x)", "double precision",
     "change of x since the reading before, a second; null of the first, where either x is null, "
     "and where no time is between them"},
    {"is_sudden_change", kIsSuddenChange, kLag, 2, 2, "is_sudden_change(x, limit)", "boolean",
     "whether x differs from that of the reading before by more than the limit; null of the first, "
     "and where one of the three is"},
    {"is_silent", kIsSilent, kIsLast, 1, 1, "is_silent(interval)", "boolean",
     "whether no other reading follows this one within the interval, for which the row waits"},
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
