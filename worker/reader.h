// A reader: some partitions of one source. Polls the connector, keeps each partition's event time,
// sends rows down the row-wise pipeline, reports watermarks and idleness, and cuts its stream with
// barriers. No actor: reader_actor.cpp feeds it, on a thread of its own.
//
// Invariants: a partition's records are processed in order; a record is judged late only against a
// watermark that its partition had (or was given when it came back) before it; a barrier stands
// between polls, so a position at epoch e is exact: what a restart reads again from there is judged
// as it was. Positions are shown to Kafka's tools only once their epoch is complete.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/source.h"
#include "engine/event_time/idleness.h"
#include "engine/event_time/partition_clock.h"
#include "engine/wire/messages.h"
#include "worker/account.h"
#include "worker/row_pipeline.h"
#include "worker/task.h"

namespace millrace {

class ReaderHost {
 public:
  virtual ~ReaderHost() = default;
  virtual Outlet* outlet() = 0;
  virtual bool HasCredit() = 0;
  virtual void SetFetched(MonotonicTime fetched) = 0;
  virtual void Broadcast(const FrameBody& body) = 0;
  virtual void ForwardWatermark(EventTime watermark, MonotonicTime fetched) = 0;
  virtual void Report(WatermarkReport report) = 0;
  virtual void Report(PartitionIdle idle) = 0;
  virtual void Report(PartitionActive active) = 0;
  virtual void Report(PartitionEnded ended) = 0;
  virtual void Report(PartitionFound found) = 0;
  // The barrier is in every channel; what the checkpoint needs of this reader.
  virtual void Acknowledge(Epoch epoch, proto::Acknowledgement what) = 0;
  virtual void Warn(const std::string& message) = 0;
  virtual void Done() = 0;
};

struct ReaderOptions {
  NodeId source;
  int64_t rows_per_poll = 8192;
  // Treat a partition as ended once its end has been confirmed for this long: for demonstrations,
  // tests and batch-like runs over a topic.
  std::optional<Micros> end_when_idle;
};

class Reader {
 public:
  // `plan` and `account` outlive it; `lookups` has those of the plan.
  static Result<std::unique_ptr<Reader>> Make(const JobPlan& plan, ReaderOptions options,
                                              std::unique_ptr<SourceReader> input,
                                              JobAccount* account,
                                              const LookupTables& lookups = {});

  void SetWakeUp(std::function<void()> wake_up) { input_->SetWakeUp(std::move(wake_up)); }
  Status Start(const StartReading& start);
  Status Add(const AddPartition& add);

  // One poll and what follows from it. Returns whether to call again at once; if not, the wake-up,
  // a credit or a floor will be the occasion.
  Result<bool> Step(MonotonicTime now, ReaderHost* host);

  Status OnFloor(const PartitionFloor& floor, ReaderHost* host);
  void OnStreamWatermark(const StreamWatermarkMoved& moved, ReaderHost* host);
  void OnOpenEpoch(Epoch epoch, ReaderHost* host);
  Status OnCompleted(const CheckpointCompleted& completed);
  // Nothing is polled while paused: too much output waits to be published.
  void OnPause(const PauseReading& pause) { paused_ = pause.paused; }
  bool paused() const { return paused_; }
  // After it nothing is sent any more; held records are left for the next start.
  void OnFinish(const FinishReading& finish, ReaderHost* host);
  void Stop();

  // What Step or OnFloor returned, or what was thrown meanwhile, with the place in the input: the
  // reading that fails in the same way by itself, where there is one, else all that were at hand.
  // Nothing is sent. The reader is not used any more.
  Status Locate(const Status& failure) const;

  int64_t lag_records() const { return input_->LagRecords(); }

 private:
  struct Snapshot {
    Epoch epoch;
    int64_t next_offset = 0;
  };
  struct Partition {
    Partition(PartitionClock event_clock, Idleness idle) : clock(event_clock), idleness(idle) {}
    PartitionClock clock;
    Idleness idleness;
    std::optional<Idleness> ending;  // end_when_idle
    int64_t next_offset = 0;
    int64_t last_offset = -1;
    uint64_t last_hash = 0;
    bool reported_idle = false;
    bool needs_floor = true;  // before the next record is judged
    bool asked_floor = false;
    bool ended = false;
    EventTime reported = kEventTimeMin;
    std::deque<SourceBatch> held;    // waits for the floor; at most one poll's
    std::deque<Snapshot> snapshots;  // of epochs that are not completed, oldest first
  };

  Reader(const JobPlan& plan, ReaderOptions options, std::unique_ptr<SourceReader> input,
         JobAccount* account);
  Partition& PartitionOf(const TopicPartition& id);
  Status TakeBatch(SourceBatch batch, MonotonicTime now, ReaderHost* host);
  void LoseRecords(const SourceEvent& event);
  Status Process(Partition* partition, SourceBatch batch, ReaderHost* host);
  void Refuse(SourceBatch* batch, ReaderHost* host);
  Status DropFuture(SourceBatch* batch, ClockedBatch* clocked, ReaderHost* host);
  Status TakeEvent(const SourceEvent& event, MonotonicTime now, ReaderHost* host);
  void ConfirmEnd(const TopicPartition& id, MonotonicTime now, ReaderHost* host);
  void ReportWatermarks(ReaderHost* host);
  proto::ReaderState Snapshots(Epoch epoch);
  bool waiting_for_floor() const;

  const JobPlan& plan_;
  ReaderOptions options_;
  std::unique_ptr<SourceReader> input_;
  JobAccount* account_;
  LookupTables lookups_;
  StreamAccount* stream_;
  std::string stream_name_;
  std::unique_ptr<RowPipeline> pipeline_;
  int event_time_ = -1;
  Micros max_delay_{0};
  Micros max_future_{-1};
  Micros idle_after_{0};
  std::map<TopicPartition, Partition> partitions_;
  MonotonicTime fetched_{0};
  EventTime forwarded_ = kEventTimeMin;  // the last watermark sent to the tasks
  ClockedBatch clocked_;                 // scratch
  SourceBatch current_;                  // goes down the pipeline; else no rows
  bool paused_ = false;
  bool finished_ = false;
};

}  // namespace millrace
