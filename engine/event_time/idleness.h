// Whether a partition is idle: only after fetches have shown its end continuously for
// `idle_after`, counted only while the reader was running and asking. A paused, failing or lagging
// partition is never idle, so a broker that is away for a minute makes nothing late. Pure.
#pragma once

#include <cstdint>

#include "engine/base/time.h"

namespace millrace {

class Idleness {
 public:
  explicit Idleness(Micros idle_after);

  // A record was read.
  void OnRecord();
  // The reader asked and the broker answered that the position is the end, at `now`. Time counts
  // between two such answers that are at most `answer_gap_max` apart; a larger gap (the reader was
  // paused, the broker away) starts the count anew.
  void OnEndConfirmed(MonotonicTime now);
  // Reading is paused, failing or lagging: starts the count anew.
  void OnInterrupted();

  bool idle() const { return idle_; }

  // Answers come at least this often from a broker that is there.
  static constexpr MonotonicTime kAnswerGapMax = std::chrono::seconds(2);

 private:
  MonotonicTime idle_after_;
  bool at_end_ = false;
  bool idle_ = false;
  MonotonicTime last_answer_{0};
  MonotonicTime confirmed_{0};
};

}  // namespace millrace
