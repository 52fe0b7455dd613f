#include "tools/millrace/cluster/waiting.h"

#include <algorithm>

#include "tools/millrace/cluster/command_output.h"

namespace millrace {
namespace {

constexpr Micros kFirstPause = std::chrono::milliseconds(50);

}  // namespace

bool Absence::GoOnAfter(const Status& failure) {
  if (!IsPassing(failure)) return false;
  if (!away_) Tell(failure.message() + "; trying again");
  away_ = true;
  return true;
}

void Absence::OnAnswer() {
  if (away_) Tell("a coordinator answers again");
  away_ = false;
}

Status Watch(ApiClient* api, const std::string& path, google::protobuf::Message* message,
             const std::function<Status()>& show) {
  std::string etag;
  Absence absence;
  bool answered = false;
  while (true) {
    const Result<bool> changed = api->GetIfChanged(path, &etag, message);
    if (changed.ok()) {
      answered = true;
      absence.OnAnswer();
      if (*changed) ARROW_RETURN_NOT_OK(show());
    } else if (!answered || !absence.GoOnAfter(changed.status())) {
      return changed.status();
    }
    api->Pause(kPollEvery);
  }
}

Status PollUntil(ApiClient* api, const std::string& path, google::protobuf::Message* message,
                 Micros timeout, const std::function<Result<bool>()>& done,
                 const std::function<std::string()>& so_far) {
  const MonotonicTime deadline = api->clock().Monotonic() + timeout;
  std::string etag;
  Absence absence;
  bool answered = false;
  Micros pause = kFirstPause;
  while (true) {
    const auto left = std::chrono::duration_cast<Micros>(deadline - api->clock().Monotonic());
    if (left <= Micros(0)) break;
    api->set_timeout(std::min(left, kRequestTimeout));
    const Result<bool> changed = api->GetIfChanged(path, &etag, message);
    if (changed.ok()) {
      answered = true;
      absence.OnAnswer();
      ARROW_ASSIGN_OR_RAISE(const bool is_done, done());
      if (is_done) return Status::OK();
    } else if (!absence.GoOnAfter(changed.status())) {
      return changed.status();
    }
    api->Pause(std::clamp(left, Micros(0), pause));
    pause = std::min(pause * 2, kPollEvery);
  }
  return ExternalError("timeout",
                       "after " + FormatDuration(timeout) + ": " +
                           (answered ? so_far() : "no coordinator has answered"),
                       Retry::kYes);
}

Result<proto::JobStatus> WaitForJob(ApiClient* api, const std::string& job, const JobGoal& goal,
                                    Micros timeout) {
  proto::JobStatus status;
  ARROW_RETURN_NOT_OK(PollUntil(
      api, JobPath(job), &status, timeout,
      [&]() -> Result<bool> {
        const GoalVerdict verdict = JudgeGoal(status, goal);
        if (verdict != GoalVerdict::kHopeless) return verdict == GoalVerdict::kReached;
        return ExternalError(
            "hopeless", StateText(status) + ", and so will not be " + GoalText(goal), Retry::kNo);
      },
      [&] { return StateText(status) + ", not " + GoalText(goal); }));
  return status;
}

}  // namespace millrace
