// Named places at which tests end the process as kill -9 would, or hold a thread. In the product
// the functions do nothing: what they do is decided by the library that is linked
// (millrace_crash_point, or millrace_crash_point_armed in tests/cluster's programs).
//
// Armed, each reads its variable once: MILLRACE_CRASH_AT=NAME[:N], and the N-th arrival (default:
// the first) at NAME ends the process with SIGKILL; MILLRACE_HOLD_AT=NAME[:N], and the thread that
// arrives then never goes on.
#pragma once

namespace millrace {

void CrashPoint(const char* name);
void HoldPoint(const char* name);

}  // namespace millrace
