#include "engine/exchange/refusal_log.h"

#include "engine/link/link_handshake.h"
#include "engine/link/link_refusals.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

void TellLeftOutOf(std::string_view reason, LogLimit* limit, MonotonicTime now) {
  const int64_t left_out = limit->TakeLeftOut(now);
  if (left_out == 0) return;
  LogWarn("more connections were refused than are logged",
          {{"reason", reason}, {"not_logged", left_out}});
}

}  // namespace

void RefusalLog::OnRefused(const std::string& address, const Status& why, MonotonicTime now) {
  const std::string_view reason = LinkRefusalOf(LinkCodeOf(why));
  const std::lock_guard lock(mutex_);
  LogLimit& limit = limits_.try_emplace(reason, kLinesMax, kWindow).first->second;
  TellLeftOutOf(reason, &limit, now);
  if (!limit.Take(now)) return;
  LogStatus(LogLevel::kWarn, "a connection was refused", why, {{"address", address}});
}

void RefusalLog::TellLeftOut(MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  for (auto& [reason, limit] : limits_) TellLeftOutOf(reason, &limit, now);
}

}  // namespace millrace
