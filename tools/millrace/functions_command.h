// `millrace functions`: what SQL may call, from the catalogues that docs/sql.md is made from.
#pragma once

namespace CLI {
class App;
}

namespace millrace {

void AddFunctionsCommand(CLI::App* app, int* exit_code);

}  // namespace millrace
