// The catalogue of aggregate functions: what each takes and gives. The binder checks calls by it,
// and the table in docs/sql.md is made from it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/types.h"
#include "engine/plan/plan.h"

namespace millrace {

enum class AggregateArgument {
  kAny,      // any type of a column
  kNumber,   // integer, bigint, real, double precision
  kDouble,   // numbers, taken as double precision
  kOrdered,  // numbers, text, date, timestamp
  kMoment,   // numbers, date, timestamp
  kBoolean,
  kText,
};

// What stands beside the argument.
enum class AggregateSecond {
  kNone,
  kPair,       // f(y, x): another number; both as double precision
  kBy,         // f(x, y): a number or a timestamp that says which row
  kEventTime,  // not written: the event time of the row
  kFraction,   // f(x, 0.95): a constant from 0 to 1
  kSeparator,  // f(x, ','): a constant text; and the event time
};

enum class AggregateForm {
  kCall,         // f(x)
  kWithinGroup,  // f(fraction) or f() WITHIN GROUP (ORDER BY x)
};

enum class AggregateResult { kBigint, kDouble, kBoolean, kText, kJson, kArgument, kSum };

struct AggregateInfo {
  std::string_view name;
  AggregateFunction function = AggregateFunction::kCount;
  AggregateArgument argument = AggregateArgument::kNumber;
  AggregateResult result = AggregateResult::kDouble;
  AggregateSecond second = AggregateSecond::kNone;
  AggregateForm form = AggregateForm::kCall;
  bool may_be_distinct = false;
  bool keeps_unit = false;  // of its argument
  std::string_view summary;
};

std::span<const AggregateInfo> AggregateCatalog();
// Null where there is none of this name.
const AggregateInfo* FindAggregate(std::string_view name);
// All names, for suggestions.
const std::vector<std::string>& AggregateNames();

bool TakesArgument(const AggregateInfo& info, Type type);
// PostgreSQL's result types, with numeric kept as double.
Type ResultType(const AggregateInfo& info, Type argument);

}  // namespace millrace
