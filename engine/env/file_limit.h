// How many files and connections the process may have open.
#pragma once

namespace millrace {

// As many as the system lets it. Many systems begin with 1024, for programs that wait with select;
// tables of state alone may be more (docs/state-format.md, "Parts").
void RaiseFileLimit();

}  // namespace millrace
