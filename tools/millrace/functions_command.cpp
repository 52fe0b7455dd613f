#include "tools/millrace/functions_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "engine/operators/cell_text.h"
#include "engine/plan/aggregates.h"
#include "engine/plan/functions.h"
#include "tools/millrace/exit_codes.h"

namespace millrace {
namespace {

struct Entry {
  std::string kind;  // operator, function, aggregate
  std::string name;
  std::vector<std::string> args;
  std::string result;
  std::string summary;
  bool variadic = false;
};

std::vector<Entry> AllEntries() {
  std::vector<Entry> entries;
  for (const FunctionSignature& signature : FunctionCatalog()) {
    Entry& entry = entries.emplace_back();
    entry.kind = IsOperatorName(signature.name) ? "operator" : "function";
    entry.name = signature.name;
    for (const Type type : signature.args) entry.args.emplace_back(TypeName(type));
    entry.result = TypeName(signature.result);
    entry.summary = signature.summary;
    entry.variadic = signature.variadic;
  }
  for (const AggregateInfo& info : AggregateCatalog()) {
    Entry& entry = entries.emplace_back();
    entry.kind = "aggregate";
    entry.name = info.name;
    entry.summary = info.summary;
  }
  std::ranges::stable_sort(entries, [](const Entry& left, const Entry& right) {
    return std::pair(left.kind, left.name) < std::pair(right.kind, right.name);
  });
  return entries;
}

void PrintJson(const Entry& entry) {
  std::string line = "{\"kind\":";
  AppendJsonString(entry.kind, &line);
  line += ",\"name\":";
  AppendJsonString(entry.name, &line);
  line += ",\"args\":[";
  for (size_t i = 0; i < entry.args.size(); ++i) {
    if (i > 0) line += ",";
    AppendJsonString(entry.args[i], &line);
  }
  line += "],\"variadic\":";
  line += entry.variadic ? "true" : "false";
  line += ",\"result\":";
  AppendJsonString(entry.result, &line);
  line += ",\"summary\":";
  AppendJsonString(entry.summary, &line);
  std::cout << line << "}\n";
}

void PrintRow(const Entry& entry) {
  std::string call = entry.name;
  if (entry.kind != "aggregate") {
    call += "(";
    for (size_t i = 0; i < entry.args.size(); ++i) call += (i > 0 ? ", " : "") + entry.args[i];
    call += entry.variadic ? ", ...)" : ")";
  }
  constexpr size_t kCallWidth = 48, kResultWidth = 18;
  call.resize(std::max(call.size() + 1, kCallWidth), ' ');
  std::string result = entry.result;
  result.resize(std::max(result.size() + 1, kResultWidth), ' ');
  std::cout << call << result << entry.summary << "\n";
}

struct FunctionsOptions {
  std::string output = "table";
  std::string prefix;
};

int RunFunctions(const FunctionsOptions& options) {
  bool any = false;
  for (const Entry& entry : AllEntries()) {
    if (!entry.name.starts_with(options.prefix)) continue;
    any = true;
    options.output == "json" ? PrintJson(entry) : PrintRow(entry);
  }
  if (any) return kExitOk;
  std::cerr << "no function, operator or aggregate begins with '" << options.prefix << "'\n";
  return kExitError;
}

}  // namespace

void AddFunctionsCommand(CLI::App* app, int* exit_code) {
  CLI::App* const functions =
      app->add_subcommand("functions", "List the operators, functions and aggregates of SQL");
  const auto options = std::make_shared<FunctionsOptions>();
  functions->add_option("prefix", options->prefix, "Only those whose name begins so");
  functions->add_option("-o,--output", options->output, "table or json (an object a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  functions->callback([options, exit_code] { *exit_code = RunFunctions(*options); });
}

}  // namespace millrace
