// Why an attempt of a job ended although the job is to go on, as one of few words.
#pragma once

#include <string_view>

#include "engine/base/status.h"

namespace millrace {

enum class RestartCause {
  kOther,
  kFailed,
  kWorkerLost,
  kPeerLost,        // two of its workers have lost each other
  kWorkerLeft,      // in order
  kWorkersChanged,  // it is placed better on those that are there now
  kRescaled,
  kApplied,  // its file was changed
  kResumed,  // it was wanted again before it had ended
  kStopTimeout,
};
inline constexpr RestartCause kRestartCauses[] = {
    RestartCause::kOther,      RestartCause::kFailed,     RestartCause::kWorkerLost,
    RestartCause::kPeerLost,   RestartCause::kWorkerLeft, RestartCause::kWorkersChanged,
    RestartCause::kRescaled,   RestartCause::kApplied,    RestartCause::kResumed,
    RestartCause::kStopTimeout};
std::string_view RestartCauseName(RestartCause cause);  // "worker_lost"
// Of what made an attempt fail.
RestartCause RestartCauseOf(const Status& failure);

}  // namespace millrace
