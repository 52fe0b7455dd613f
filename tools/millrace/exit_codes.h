// What the command line exits with. docs/cli.md.
#pragma once

namespace millrace {

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;    // no such job, savepoint, ...
inline constexpr int kExitNotAllowed = 4;  // no token, or its role may not
inline constexpr int kExitConflict = 5;    // not in this state
inline constexpr int kExitTimeout = 124;   // as of timeout(1)

}  // namespace millrace
