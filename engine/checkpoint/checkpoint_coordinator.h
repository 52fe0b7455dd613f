// Coordinator side of checkpoints: when an epoch opens, who has acknowledged it, and when it is
// complete. Pure: time and facts are arguments; the caller sends barriers and commits positions.
//
// Acknowledgements are cumulative: who acknowledges epoch e has everything up to e safe (a file
// sink acknowledges only when it closes its files, so several epochs may be pending at once).
// Epochs complete in order. At most `pending_max` are pending; then none opens, and blocked_since
// says for how long.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace millrace {

using ParticipantId = Id<struct ParticipantIdTag, int32_t>;

enum class AckResult {
  kAccepted,
  kDuplicate,     // this participant had acknowledged this epoch, or a later one
  kUnknownEpoch,  // never opened
  kUnknownParticipant,
};

struct PendingCheckpoint {
  Epoch epoch;
  MonotonicTime opened{0};
};

struct CompletedCheckpoint {
  Epoch epoch;
  MonotonicTime opened{0};
  MonotonicTime completed{0};
};

class CheckpointCoordinator {
 public:
  CheckpointCoordinator(int32_t participants, MonotonicTime interval, size_t pending_max);

  // The epoch to open now, or none: `interval` after the one before, at most `pending_max` pending.
  std::optional<Epoch> MaybeOpen(MonotonicTime now);
  // Opens one whatever the interval says: the last of a job.
  Epoch OpenNow(MonotonicTime now);

  AckResult Acknowledge(ParticipantId participant, Epoch epoch);

  // The newest epoch that every participant has acknowledged and that was not returned before.
  // Older ones are complete with it.
  std::optional<CompletedCheckpoint> TakeCompleted(MonotonicTime now);

  const std::vector<PendingCheckpoint>& pending() const { return pending_; }
  Epoch last_opened() const { return last_opened_; }
  Epoch last_completed() const { return last_completed_; }
  // Since when the limit has kept an epoch from opening.
  std::optional<MonotonicTime> blocked_since() const { return blocked_since_; }
  // Participants that have not acknowledged the oldest pending epoch.
  std::vector<ParticipantId> Missing() const;

 private:
  std::vector<Epoch> acknowledged_;  // by participant
  MonotonicTime interval_;
  size_t pending_max_;
  std::vector<PendingCheckpoint> pending_;  // oldest first
  Epoch last_opened_;
  Epoch last_completed_;
  std::optional<MonotonicTime> last_open_time_;
  std::optional<MonotonicTime> blocked_since_;
};

}  // namespace millrace
