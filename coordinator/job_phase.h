// Where a job of a cluster is in its life, and which ways lead from where to where.
// docs/cluster.md, "Jobs and attempts".
#pragma once

#include <string_view>

namespace millrace {

enum class JobPhase {
  kWaiting,  // for workers, or for a pause after a failure to pass
  kPreparing,
  kDeploying,
  kRunning,
  kStopping,  // one more checkpoint, then the attempt ends
  kEnding,    // until no actor of the attempt lives
  kPaused,
  kCanceled,
  kFinished,  // every source has ended, every window is closed
  kFailed,    // given up: it failed too often
};

std::string_view JobPhaseName(JobPhase phase);  // "waiting"

// Whether a job may go from one to the other.
bool IsLegalTransition(JobPhase from, JobPhase to);

}  // namespace millrace
