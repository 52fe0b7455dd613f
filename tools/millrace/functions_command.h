// `millrace functions`: what SQL may call, from the catalogues that docs/sql.md is made from.
#pragma once

#include <string>

namespace millrace {

// `output`: "table" or "json", one object a line. Only names that begin with `prefix`. The exit
// code: 1 where there is none.
int RunFunctions(const std::string& output, const std::string& prefix);

}  // namespace millrace
