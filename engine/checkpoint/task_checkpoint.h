// Task side of a checkpoint, after alignment: sealed -> written -> gathered -> acknowledged. Pure:
// the task seals and writes; its store gathers in the background. docs/exactly-once.md, "The task".
//
// Invariants: an epoch is acknowledged only after its files are safe in the storage; the state of
// the next epoch is not sealed before the last one is written; epochs rise.
#pragma once

#include <optional>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

class TaskCheckpoint {
 public:
  enum class Gathered {
    kAcknowledge,
    kStale,  // a later epoch was sealed meanwhile: the coordinator gave this one up
  };

  // The barrier is on every input. Fails (internal) where the epoch does not rise or the one before
  // is not written yet.
  Status OnBarrier(Epoch epoch);
  // Everything sealed is in the store's queue: the store may gather the epoch.
  void OnWritten();
  // The files of `epoch` are in the storage.
  Gathered OnGathered(Epoch epoch);

  // Sealed and not all written: slices are to be written between frames, and all of it before the
  // next barrier is taken.
  bool writing() const { return writing_; }
  Epoch epoch() const { return epoch_; }
  // Gathering goes on in the background.
  bool gathering() const { return gathering_.has_value(); }

 private:
  Epoch epoch_;
  bool writing_ = false;
  std::optional<Epoch> gathering_;
};

}  // namespace millrace
