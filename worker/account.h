// The account of a job: what became of every reading, a stream. "Readings in = rows counted +
// filtered + dead letters" is checked at the end of a run and shown while it goes on.
//
// Every participant (reader, task, outbox) keeps one of its own, and a checkpoint holds each as it
// was at the barrier; so the account survives restarts, and balances at every epoch. The job's is
// their sum and what was restored.
//
// Counters are relaxed atomics, added to once a batch; maps are fixed once the job is planned,
// except labels (a mutex, once a batch that has any).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/plan/plan.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

// One stream of the job file. A source's rows are records; a query's rows are its input's.
struct StreamAccount {
  std::atomic<int64_t> rows_in{0};        // that reached the stream
  std::atomic<int64_t> filtered{0};       // left out by WHERE
  std::atomic<int64_t> counted{0};        // passed on; below a window: in windows that have closed
  std::atomic<int64_t> open{0};           // in windows that are still open
  std::atomic<int64_t> bytes_in{0};       // of records; sources only
  std::atomic<int64_t> lost{0};           // records that were gone before they were read
  std::atomic<int64_t> empty_records{0};  // that held no reading
  std::atomic<int64_t> late{0};           // of the dead letters, those for lateness
  std::atomic<int64_t> windows_fired{0};  // rows out of the window, before HAVING
  std::atomic<int64_t> rows_out{0};       // rows of the stream itself
  std::atomic<int64_t> output_filtered{0};    // by HAVING
  std::atomic<int64_t> output_failed{0};      // window rows whose expression failed
  std::atomic<int64_t> watermark{INT64_MIN};  // microseconds; not part of a checkpoint's account
};

class JobAccount {
 public:
  explicit JobAccount(const JobPlan& plan);

  // The stream must be one of the plan's.
  StreamAccount& stream(const std::string& name) { return *streams_.at(name); }
  const std::map<std::string, std::unique_ptr<StreamAccount>>& streams() const { return streams_; }

  // Readings that ended as dead letters.
  void AddDeadLetters(const std::string& stream, const std::string& reason, int64_t count);
  // Rows of output that ended as dead letters and leave the readings' account alone: rows of
  // windows and conditions of alerts that failed, rows that their target could not take. `origin`:
  // the stream, or the sink.
  void AddOutputDeadLetters(const std::string& origin, const std::string& reason, int64_t count);
  // All of them, by stream or sink and reason.
  std::map<std::pair<std::string, std::string>, int64_t> DeadLetters() const;
  // Alerts raised, by name.
  void AddAlerts(const std::string& alert, int64_t count);
  std::map<std::string, int64_t> Alerts() const;
  // Rows sealed for a sink, exactly once.
  void AddSinkRows(const std::string& sink, int64_t count);
  std::map<std::string, int64_t> SinkRows() const;
  // Readings of `stream` that ended as dead letters.
  int64_t DeadLettersOf(const std::string& stream) const;

  // Rows that the stream received and that are neither counted, filtered, open nor dead: 0, or
  // something was lost.
  int64_t Difference(const std::string& stream) const;

  // As a checkpoint keeps it; and adding one to another. Streams that the plan does not have are
  // left out: they went with an edit of the job.
  proto::AccountCounts Counts() const;
  void Add(const proto::AccountCounts& counts);
  // Its counts, and its watermarks where they are later.
  void Add(const JobAccount& other);

 private:
  using Labels = std::map<std::pair<std::string, std::string>, int64_t>;

  std::map<std::string, std::unique_ptr<StreamAccount>> streams_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Labels dead_letters_;  // readings
  Labels output_dead_letters_;
  Labels alerts_;     // origin: the alert
  Labels sink_rows_;  // origin: the sink
};

}  // namespace millrace
