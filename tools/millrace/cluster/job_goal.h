// What a command waits for a job to be. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "proto/admin.pb.h"

namespace millrace {

struct JobGoal {
  std::vector<std::string> states;  // any of these
  int64_t after_attempt = -1;       // in an attempt after this one
  bool rescaled = false;            // and no rescale can be taken back any more
};

enum class GoalVerdict {
  kNotYet,
  kReached,
  kHopeless,  // the job has ended: without another command it will not come
};

GoalVerdict JudgeGoal(const proto::JobStatus& job, const JobGoal& goal);

// "state=running", "state=finished,failed". User error "usage": names the states.
Result<JobGoal> ParseGoal(std::string_view text);

// "running", "running or finished".
std::string GoalText(const JobGoal& goal);
// "job x is failed (why)".
std::string StateText(const proto::JobStatus& job);

}  // namespace millrace
