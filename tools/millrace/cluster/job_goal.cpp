#include "tools/millrace/cluster/job_goal.h"

#include <algorithm>
#include <array>

#include "engine/base/diagnostics.h"

namespace millrace {
namespace {

// As coordinator/cluster_state.h names them.
constexpr std::array<std::string_view, 10> kStates = {
    "waiting", "preparing", "deploying", "running",  "stopping",
    "ending",  "paused",    "canceled",  "finished", "failed"};

bool HasEnded(std::string_view state) {
  return state == "finished" || state == "failed" || state == "canceled";
}

}  // namespace

GoalVerdict JudgeGoal(const proto::JobStatus& job, const JobGoal& goal) {
  if (job.attempt() <= goal.after_attempt) return GoalVerdict::kNotYet;
  const bool in_state = std::ranges::find(goal.states, job.state()) != goal.states.end();
  if (in_state) {
    return goal.rescaled && job.rescaling() ? GoalVerdict::kNotYet : GoalVerdict::kReached;
  }
  return HasEnded(job.state()) ? GoalVerdict::kHopeless : GoalVerdict::kNotYet;
}

Result<JobGoal> ParseGoal(std::string_view text) {
  constexpr std::string_view kKey = "state=";
  const std::vector<std::string> known(kStates.begin(), kStates.end());
  JobGoal goal;
  std::string_view rest = text.starts_with(kKey) ? text.substr(kKey.size()) : std::string_view();
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string state(rest.substr(0, comma));
    if (std::ranges::find(known, state) == known.end()) {
      const std::string nearest = NearestName(state, known);
      std::string names;
      for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
      return UserError("usage", "there is no state '" + state + "'; " +
                                    (nearest.empty() ? "they are: " + names
                                                     : "did you mean '" + nearest + "'?"));
    }
    goal.states.push_back(state);
    rest.remove_prefix(std::min(rest.size(), comma + 1));
  }
  if (goal.states.empty()) {
    return UserError("usage", "--for " + std::string(text) +
                                  ": expected state=STATE[,STATE], as in --for state=running");
  }
  return goal;
}

std::string GoalText(const JobGoal& goal) {
  std::string text;
  for (const std::string& state : goal.states) text += (text.empty() ? "" : " or ") + state;
  return text;
}

std::string StateText(const proto::JobStatus& job) {
  std::string text = "job " + job.name() + " is " + job.state();
  const std::string& why = job.why().empty() ? job.last_failure() : job.why();
  return why.empty() ? text : text + " (" + why + ")";
}

}  // namespace millrace
