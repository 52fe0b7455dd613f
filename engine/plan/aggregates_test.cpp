// docs/sql.md lists the aggregates as they are.
#include "engine/plan/aggregates.h"

#include <gtest/gtest.h>

#include "engine/plan/documented_testing.h"

namespace millrace {
namespace {

std::string_view TakesText(const AggregateInfo& info) {
  switch (info.argument) {
    case AggregateArgument::kAny:
      return "any type";
    case AggregateArgument::kNumber:
    case AggregateArgument::kDouble:
      return "numbers";
    case AggregateArgument::kOrdered:
      return "numbers, text, date, timestamp";
    case AggregateArgument::kMoment:
      return "numbers, date, timestamp";
    case AggregateArgument::kBoolean:
      return "boolean";
    case AggregateArgument::kText:
      return "text";
  }
  return "";
}

std::string_view GivesText(const AggregateInfo& info) {
  switch (info.result) {
    case AggregateResult::kBigint:
      return "bigint";
    case AggregateResult::kDouble:
      return "double precision";
    case AggregateResult::kBoolean:
      return "boolean";
    case AggregateResult::kText:
      return "text";
    case AggregateResult::kJson:
      return "text (JSON)";
    case AggregateResult::kArgument:
      return "the same type";
    case AggregateResult::kSum:
      return "bigint of integer, else double precision";
  }
  return "";
}

std::string CallText(const AggregateInfo& info) {
  const std::string name(info.name);
  if (info.form == AggregateForm::kWithinGroup) {
    const bool fraction = info.second == AggregateSecond::kFraction;
    return name + (fraction ? "(f)" : "()") + " WITHIN GROUP (ORDER BY x)";
  }
  switch (info.second) {
    case AggregateSecond::kPair:
      return name + "(y, x)";
    case AggregateSecond::kBy:
      return name + "(x, y)";
    case AggregateSecond::kFraction:
      return name + "(x, f)";
    case AggregateSecond::kSeparator:
      return name + "(x, separator)";
    case AggregateSecond::kNone:
    case AggregateSecond::kEventTime:
      break;
  }
  return name + "(x)";
}

std::string AggregateTable() {
  std::string table = "| call | takes | gives | computes |\n|---|---|---|---|\n";
  for (const AggregateInfo& info : AggregateCatalog()) {
    table += "| `" + CallText(info) + "` | " + std::string(TakesText(info)) + " | " +
             std::string(GivesText(info)) + " | " + std::string(info.summary) +
             (info.may_be_distinct ? "; may be DISTINCT" : "") + " |\n";
  }
  return table;
}

TEST(AggregatesTest, DocumentedAsTheyAre) { ExpectDocumented("aggregates", AggregateTable()); }

}  // namespace
}  // namespace millrace
