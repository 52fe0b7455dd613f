#include "engine/event_time/idleness.h"

namespace millrace {

Idleness::Idleness(Micros idle_after) : idle_after_(idle_after) {}

void Idleness::OnRecord() { OnInterrupted(); }

void Idleness::OnEndConfirmed(MonotonicTime now) {
  const MonotonicTime gap = now - last_answer_;
  if (at_end_ && gap >= MonotonicTime(0) && gap <= kAnswerGapMax) {
    confirmed_ += gap;
  } else {
    confirmed_ = MonotonicTime(0);
  }
  at_end_ = true;
  last_answer_ = now;
  idle_ = confirmed_ >= idle_after_;
}

void Idleness::OnInterrupted() {
  at_end_ = false;
  idle_ = false;
  confirmed_ = MonotonicTime(0);
}

}  // namespace millrace
