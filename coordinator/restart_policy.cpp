#include "coordinator/restart_policy.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

constexpr std::array<std::string_view, 7> kOfTheCluster = {
    "worker_lost", "peer_lost",      "peer_unreachable", "superseded",
    "other_plan",  "job_is_running", "stop_timeout",
};

// `times`: how many pauses there were before, in a row.
MonotonicTime Doubled(const RestartSpec& spec, int64_t times) {
  MonotonicTime pause = spec.backoff_min;
  for (int64_t i = 0; i < times && pause < spec.backoff_max; ++i) pause *= 2;
  return std::min<MonotonicTime>(pause, spec.backoff_max);
}

std::string_view CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? std::string_view() : std::string_view(detail->code());
}

}  // namespace

bool IsOfTheCluster(const Status& failure) {
  return std::ranges::find(kOfTheCluster, CodeOf(failure)) != kOfTheCluster.end();
}

void RestartPolicy::OnCheckpoint() {
  progressed_ = true;
  broken_ = lost_ = same_ = 0;
}

RestartPolicy::Verdict RestartPolicy::OnFailure(const Status& failure, bool running,
                                                const std::string& from, const RestartSpec& spec,
                                                MonotonicTime now) {
  if (IsOfTheCluster(failure)) return OfTheCluster(failure, running, from, spec);
  CountSame(failure);
  failures_.push_back(now);
  while (now - failures_.front() > spec.within) failures_.pop_front();
  const auto count = int64_t(failures_.size());
  const ErrorDetail* const detail = ErrorDetail::Of(failure);
  Verdict verdict{Doubled(spec, count - 1), true, failure.message()};
  if (detail != nullptr && detail->domain() == ErrorDomain::kUser) return verdict;
  if (same_ >= kSamePlaceMax) {
    verdict.why = "it failed " + std::to_string(same_) +
                  " times in a row at the same place, going on from " + from + ": " + verdict.why;
    return verdict;
  }
  if (count > spec.attempts) {
    verdict.why = "it failed " + std::to_string(count) + " times within " +
                  FormatDuration(spec.within) + ", the last time because of: " + verdict.why;
    return verdict;
  }
  verdict.give_up = false;
  return verdict;
}

RestartPolicy::Verdict RestartPolicy::OfTheCluster(const Status& failure, bool running,
                                                   const std::string& from,
                                                   const RestartSpec& spec) {
  Verdict verdict{MonotonicTime(0), false, failure.message()};
  if (broken_++ > 0) verdict.pause = Doubled(spec, broken_ - 2);
  if (!running || progressed_ || CodeOf(failure) != "worker_lost") return verdict;
  if (++lost_ <= std::max(spec.attempts, kSamePlaceMax)) return verdict;
  verdict.give_up = true;
  verdict.why = std::to_string(lost_) +
                " attempts in a row lost a worker before their first checkpoint, going on from " +
                from + ": a reading behind it may end the process that reads it: " + verdict.why;
  return verdict;
}

void RestartPolicy::CountSame(const Status& failure) {
  const ErrorDetail* const detail = ErrorDetail::Of(failure);
  const bool helps = detail == nullptr || detail->retry() == Retry::kYes;
  // How many rows are at hand when one of them fails differs from attempt to attempt.
  std::string what = std::string(CodeOf(failure)) + "\n" + failure.message();
  std::erase_if(what, [](char c) { return c >= '0' && c <= '9'; });
  if (helps) {
    same_ = 0;
  } else {
    same_ = what == last_ ? same_ + 1 : 1;
  }
  last_ = std::move(what);
}

}  // namespace millrace
