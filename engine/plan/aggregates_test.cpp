// docs/sql.md lists the aggregates as they are.
#include "engine/plan/aggregates.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

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
      return "numbers, text, timestamp";
    case AggregateArgument::kMoment:
      return "numbers, timestamp";
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

// MILLRACE_WRITE_DOCS=1 in the environment writes the table instead of comparing it.
TEST(AggregatesTest, DocumentedAsTheyAre) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../docs/sql.md";
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  const std::string document = content.str();
  const std::string open = "<!-- aggregates -->\n";
  const size_t start = document.find(open);
  const size_t end = document.find("<!-- /aggregates -->");
  ASSERT_NE(start, std::string::npos) << path;
  ASSERT_NE(end, std::string::npos) << path;
  const size_t from = start + open.size();
  if (std::getenv("MILLRACE_WRITE_DOCS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(path) << document.substr(0, from) << AggregateTable() << document.substr(end);
    return;
  }
  EXPECT_EQ(document.substr(from, end - from), AggregateTable())
      << "run this test with MILLRACE_WRITE_DOCS=1 to write the table";
}

}  // namespace
}  // namespace millrace
