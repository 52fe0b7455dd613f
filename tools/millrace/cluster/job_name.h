// JOB on the command line: a job's name, or a job file. docs/cli.md, "Names and files".
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace CLI {
class App;
}

namespace millrace {

// By how it is written, not by what is there: what has a dot or a slash is a file, which no name
// has.
bool IsJobFile(std::string_view job);
// User error "usage": it is a file, or nothing.
Status CheckJobName(std::string_view job);

// The first positional argument of commands that take a name.
void AddJobName(CLI::App* command, std::string* job);

}  // namespace millrace
