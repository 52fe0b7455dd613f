#include "tools/millrace/cluster/output_form.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace millrace {
namespace {

void Add(CLI::App* command, OutputForm* form, const std::map<std::string, OutputForm>& names,
         const char* shown, const char* what) {
  command
      ->add_option_function<std::string>(
          "-o,--output", [form, names](const std::string& name) { *form = names.at(name); }, what)
      ->type_name(shown)
      ->check([names](const std::string& name) {
        return names.contains(name) ? std::string() : "'" + name + "' is no form of output";
      });
}

}  // namespace

void AddOutputFlag(CLI::App* command, OutputForm* form) {
  Add(command, form,
      {{"table", OutputForm::kTable},
       {"wide", OutputForm::kWide},
       {"json", OutputForm::kJson},
       {"yaml", OutputForm::kYaml},
       {"name", OutputForm::kName}},
      "table|wide|json|yaml|name", "How it is shown; default: table");
}

void AddTextOutputFlag(CLI::App* command, OutputForm* form) {
  Add(command, form,
      {{"text", OutputForm::kTable}, {"json", OutputForm::kJson}, {"yaml", OutputForm::kYaml}},
      "text|json|yaml", "How it is shown; default: text");
}

}  // namespace millrace
