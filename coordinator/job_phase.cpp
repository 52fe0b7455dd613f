#include "coordinator/job_phase.h"

namespace millrace {

std::string_view JobPhaseName(JobPhase phase) {
  switch (phase) {
    case JobPhase::kWaiting:
      return "waiting";
    case JobPhase::kPreparing:
      return "preparing";
    case JobPhase::kDeploying:
      return "deploying";
    case JobPhase::kRunning:
      return "running";
    case JobPhase::kStopping:
      return "stopping";
    case JobPhase::kEnding:
      return "ending";
    case JobPhase::kPaused:
      return "paused";
    case JobPhase::kCanceled:
      return "canceled";
    case JobPhase::kFinished:
      return "finished";
    case JobPhase::kFailed:
      return "failed";
  }
  return "unknown";
}

bool IsLegalTransition(JobPhase from, JobPhase to) {
  using enum JobPhase;
  switch (from) {
    case kWaiting:
      return to == kPreparing || to == kPaused || to == kCanceled;
    case kPreparing:
      return to == kDeploying || to == kWaiting || to == kPaused || to == kCanceled ||
             to == kFinished || to == kFailed;
    case kDeploying:
      return to == kRunning || to == kEnding;
    case kRunning:
      return to == kStopping || to == kEnding;
    case kStopping:
      return to == kEnding;
    case kEnding:
      return to == kWaiting || to == kPaused || to == kCanceled || to == kFinished || to == kFailed;
    case kPaused:
      return to == kWaiting || to == kCanceled;
    case kFailed:
      return to == kWaiting || to == kCanceled;
    case kCanceled:
    case kFinished:
      return to == kWaiting;
  }
  return false;
}

}  // namespace millrace
