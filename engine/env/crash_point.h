// Named places at which tests end the process as kill -9 would. In the product the function does
// nothing: what it does is decided by the library that is linked (millrace_crash_point, or
// millrace_crash_point_armed in tests/cluster's program).
//
// Armed, it reads MILLRACE_CRASH_AT=NAME[:N] once: the N-th arrival (default: the first) at NAME
// ends the process with SIGKILL.
#pragma once

namespace millrace {

void CrashPoint(const char* name);

}  // namespace millrace
