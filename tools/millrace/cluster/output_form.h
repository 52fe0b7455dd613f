// -o: how a command shows what it has found.
#pragma once

namespace CLI {
class App;
}

namespace millrace {

enum class OutputForm { kTable, kWide, kJson, kYaml, kName };

// -o table|wide|json|yaml|name.
void AddOutputFlag(CLI::App* command, OutputForm* form);
// -o text|json|yaml, for what has no columns; kTable is text.
void AddTextOutputFlag(CLI::App* command, OutputForm* form);

}  // namespace millrace
