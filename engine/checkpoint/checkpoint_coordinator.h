// Coordinator side of checkpoints: when an epoch opens, who has acknowledged it, and whether it is
// completed or abandoned. Pure: time and facts are arguments; the caller sends barriers, commits
// manifests and releases output. docs/exactly-once.md, "The protocol".
//
// An epoch's life: opened -> acknowledged by all -> being committed -> completed; or abandoned
// before that. One is pending at a time: where a period is too short for what has to be written, it
// stretches. Nothing of an epoch may be published before OnCommitted.
//
// Epoch numbers are never used twice, not even after a restart (the caller begins after the last
// number that any process may have opened).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

using ParticipantId = Id<struct ParticipantIdTag, int32_t>;

enum class AckResult {
  kAccepted,
  kDuplicate,     // this participant had acknowledged this epoch
  kLate,          // the epoch was abandoned: what it says of output still counts
  kUnknownEpoch,  // never opened
  kUnknownParticipant,
};

// Opened and not decided.
struct PendingCheckpoint {
  Epoch epoch;
  MonotonicTime opened{0};
  std::map<ParticipantId, proto::Acknowledgement> acknowledgements;
  bool committing = false;  // everyone has acknowledged, and it was taken
};

// Its manifest is in the log: it holds whatever happens.
struct CompletedCheckpoint {
  Epoch epoch;
  MonotonicTime opened{0};
  MonotonicTime completed{0};
  int64_t bytes = 0;           // of everything that it refers to
  int64_t uploaded_bytes = 0;  // of them, those that no earlier one had
};

struct CheckpointLimits {
  MonotonicTime interval{0};
  // An epoch that is not acknowledged by everyone in this time is abandoned.
  MonotonicTime timeout = std::chrono::minutes(10);
  // No epoch opens while more than these wait to be published.
  int64_t unpublished_epochs_max = 10;
  int64_t outbox_bytes_max = int64_t(1) << 30;
};

// What keeps an epoch from opening although its time has come.
enum class Blocked {
  kNo,
  kPending,    // the one before is not decided: the period stretches
  kEpochs,     // too many unpublished epochs: readers pause
  kOutbox,     // too many unpublished bytes: readers pause
  kRecovered,  // output of before the restart is being published
};

class CheckpointCoordinator {
 public:
  // `last`: the highest epoch number that may have been used.
  CheckpointCoordinator(int32_t participants, CheckpointLimits limits, Epoch last);

  // How much output of completed epochs is not published yet; asked for before MaybeOpen.
  struct Unpublished {
    int64_t epochs = 0;
    int64_t bytes = 0;
    bool recovered = false;  // some of it was restored
  };
  // The epoch to open now, or none; then blocked() says why, once its time has come.
  std::optional<Epoch> MaybeOpen(MonotonicTime now, const Unpublished& unpublished);
  // Opens one whatever the interval and the limits say: the last of a job, a savepoint's. None may
  // be pending.
  Epoch OpenNow(MonotonicTime now);
  Blocked blocked() const { return blocked_; }

  AckResult Acknowledge(ParticipantId participant, Epoch epoch, proto::Acknowledgement what);

  // The pending checkpoint, once, when everyone has acknowledged it: to be committed.
  const PendingCheckpoint* TakeAcknowledged();
  // Its manifest is in the log. None: `epoch` is not the one being committed.
  std::optional<CompletedCheckpoint> OnCommitted(Epoch epoch, MonotonicTime now);
  // The pending epoch will not be completed (its files are damaged, the store is away). False: it
  // is not pending.
  bool Abandon(Epoch epoch);
  // The pending epoch if its timeout has passed.
  std::optional<Epoch> TimedOut(MonotonicTime now) const;

  const std::optional<PendingCheckpoint>& pending() const { return pending_; }
  Epoch last_opened() const { return last_opened_; }
  Epoch last_completed() const { return last_completed_; }
  // Participants that have not acknowledged the pending epoch.
  std::vector<ParticipantId> Missing() const;

 private:
  int32_t participants_;
  CheckpointLimits limits_;
  std::optional<PendingCheckpoint> pending_;
  Epoch last_opened_;
  Epoch first_;  // opened by this coordinator
  Epoch last_completed_;
  std::vector<Epoch> acknowledged_;  // by participant: the last
  std::optional<MonotonicTime> last_open_time_;
  Blocked blocked_ = Blocked::kNo;
};

}  // namespace millrace
