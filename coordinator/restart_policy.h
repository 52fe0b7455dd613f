// What follows the failures of one job: a pause before its next attempt, or no more attempts. Pure:
// time is an argument. docs/cluster.md, "Failures".
//
// A failure of the job counts against `spec.restart`: each pause is twice the one before, and more
// failures than `attempts` within `within` are the end. A failure of the cluster (a worker or a
// session is lost) costs nothing where the attempt had completed a checkpoint, so that output goes
// on in seconds; where attempt after attempt completes none, pauses double too. It ends the job in
// one case only: more often than `attempts` (and than three times), one after the other, a worker
// was lost under it before its first checkpoint. Then a reading may be what ends the processes.
#pragma once

#include <deque>
#include <string>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/job.h"

namespace millrace {

// Nothing that the job is to blame for, nor whoever wrote it: workers and sessions lost, another
// process that leads the job, builds that differ during an upgrade.
bool IsOfTheCluster(const Status& failure);

class RestartPolicy {
 public:
  struct Verdict {
    MonotonicTime pause{0};
    bool give_up = false;
    std::string why;  // for people; ends with the failure's message
  };

  // The next attempt begins.
  void OnAttempt() { progressed_ = false; }
  // It completed a checkpoint: whatever fails now is at another place.
  void OnCheckpoint();
  // The attempt ended with `failure`. `running`: it had begun to read. `from`: where it had gone on
  // from, for people.
  Verdict OnFailure(const Status& failure, bool running, const std::string& from,
                    const RestartSpec& spec, MonotonicTime now);
  // Somebody has looked after it: nothing counts any more.
  void Forget() { *this = RestartPolicy(); }

  // Failures that a retry does not help against, the same one after the other, without a checkpoint
  // in between: so many are enough to know.
  static constexpr int64_t kSamePlaceMax = 3;

 private:
  Verdict OfTheCluster(const Status& failure, bool running, const std::string& from,
                       const RestartSpec& spec);
  void CountSame(const Status& failure);

  std::deque<MonotonicTime> failures_;  // of the job; at most `attempts` + 1
  int64_t broken_ = 0;                  // by the cluster, since the last checkpoint
  int64_t lost_ = 0;                    // while reading: a worker, since the last checkpoint
  bool progressed_ = false;             // this attempt has completed a checkpoint
  std::string last_;                    // the last failure's code and message, without numbers
  int64_t same_ = 0;                    // such failures in a row, since the last checkpoint
};

}  // namespace millrace
