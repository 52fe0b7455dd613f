#include "coordinator/restart_cause.h"

namespace millrace {

std::string_view RestartCauseName(RestartCause cause) {
  switch (cause) {
    case RestartCause::kOther:
      return "other";
    case RestartCause::kFailed:
      return "failed";
    case RestartCause::kWorkerLost:
      return "worker_lost";
    case RestartCause::kPeerLost:
      return "peer_lost";
    case RestartCause::kWorkerLeft:
      return "worker_left";
    case RestartCause::kWorkersChanged:
      return "workers_changed";
    case RestartCause::kRescaled:
      return "rescaled";
    case RestartCause::kApplied:
      return "applied";
    case RestartCause::kResumed:
      return "resumed";
    case RestartCause::kStopTimeout:
      return "stop_timeout";
  }
  return "other";
}

RestartCause RestartCauseOf(const Status& failure) {
  const ErrorDetail* const detail = ErrorDetail::Of(failure);
  if (detail == nullptr) return RestartCause::kFailed;
  for (const RestartCause cause :
       {RestartCause::kWorkerLost, RestartCause::kPeerLost, RestartCause::kStopTimeout}) {
    if (detail->code() == RestartCauseName(cause)) return cause;
  }
  return RestartCause::kFailed;
}

}  // namespace millrace
