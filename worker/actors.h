// The worker's actors: thin; each delivers messages to a core (Reader, Task, Outbox, ...) and sends
// what the core says. All may block (on a client, on state, on files) and so are detached: a thread
// each. Each begins with a Connect message and ends when its core is done or at Stop.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <memory>
#include <string>

#include "engine/env/clock.h"
#include "engine/wire/messages.h"
#include "worker/outbox.h"
#include "worker/planned_frames.h"
#include "worker/publisher.h"
#include "worker/reader.h"
#include "worker/roll_publisher.h"
#include "worker/segment_publisher.h"
#include "worker/task.h"
#include "worker/task_state.h"

namespace millrace {

// Where a task's time went since its start.
struct TaskTimes {
  MonotonicTime busy{0};
  MonotonicTime backpressured{0};  // it had no credit
  MonotonicTime idle{0};
};

// What happens inside, for metrics and logs; called from the actors' threads.
class WorkerObserver {
 public:
  virtual ~WorkerObserver() = default;
  virtual void OnWarning(const std::string& who, const std::string& message) = 0;
  // `rows` rows reached their target `after` they were fetched.
  virtual void OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) = 0;
  virtual void OnPublished(const std::string& sink, int64_t rows, int64_t bytes) {}
  virtual void OnSinkStats(const std::string& sink, const SinkStats& stats) = 0;
  virtual void OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) {}
  virtual void OnTaskStats(const std::string& task, const KeyedOperatorStats& stats,
                           const TaskTimes& times) = 0;
  // How far the keys of a task have come that have a watermark each; now and then.
  virtual void OnKeys(const std::string& stream, const std::string& task, const KeyCensus& census) {
  }
  // `took`: from a barrier's first arrival at a task to its last.
  virtual void OnAligned(const std::string& task, MonotonicTime took) = 0;
  // Work for a checkpoint kept a task's rows waiting.
  virtual void OnCheckpointStall(const std::string& task, MonotonicTime took) {}
  virtual void OnLag(const std::string& reader, int64_t records) = 0;
  // Of the thread of a reader or task, since it began.
  virtual void OnCpuTime(const std::string& actor, MonotonicTime used) {}
  virtual void OnStateStored(const std::string& task, const TaskState::Figures& figures) {}
  virtual void OnNonFinite(const std::string& outbox, int64_t values) {}
};

struct ReaderParts {
  std::string name;  // "readings.reader.0"
  ParticipantId participant;
  std::unique_ptr<Reader> reader;
};

struct TaskParts {
  std::string name;  // "metrics.window.0"
  ParticipantId participant;
  std::unique_ptr<TaskState> state;  // outlives the task
  std::unique_ptr<Task> task;
  PlannedFrames planned;
};

struct OutboxParts {
  std::string name;  // "outbox.0"
  ParticipantId participant;
  std::unique_ptr<Outbox> outbox;
  caf::actor publisher;  // of the shard's segments; may be null
  PlannedFrames planned;
};

// Publishers are no participants: what they do is after a checkpoint.
struct SegmentPublisherParts {
  std::string name;  // "publisher.0"
  int32_t shard = 0;
  std::unique_ptr<PublisherOutput> output;  // outlives the publisher
  std::unique_ptr<SegmentPublisher> publisher;
};

struct RollPublisherParts {
  std::string name;  // "sink.1"
  std::unique_ptr<RollPublisher> publisher;
};

// Sinks without a checkpoint: the console, and alerts with delivery: at_least_once.
struct PublisherParts {
  std::string name;  // "sink.0"
  ParticipantId participant;
  std::unique_ptr<Publisher> publisher;
  PlannedFrames planned;
};

// `clock` and `observer` outlive the actors.
caf::actor SpawnReader(caf::actor_system& system, ReaderParts parts, const Clock* clock,
                       WorkerObserver* observer);
caf::actor SpawnTask(caf::actor_system& system, TaskParts parts, const Clock* clock,
                     WorkerObserver* observer);
caf::actor SpawnOutbox(caf::actor_system& system, OutboxParts parts, const Clock* clock,
                       WorkerObserver* observer);
caf::actor SpawnSegmentPublisher(caf::actor_system& system, SegmentPublisherParts parts,
                                 const Clock* clock, WorkerObserver* observer);
caf::actor SpawnRollPublisher(caf::actor_system& system, RollPublisherParts parts,
                              const Clock* clock, WorkerObserver* observer);
caf::actor SpawnPublisher(caf::actor_system& system, PublisherParts parts, const Clock* clock,
                          WorkerObserver* observer);

}  // namespace millrace
