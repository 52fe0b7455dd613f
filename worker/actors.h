// The worker's actors: thin; each delivers messages to a core (Reader, Task, Publisher) and sends
// what the core says. Readers and publishers block and so are detached (a thread each); tasks are
// scheduled. Each begins with a Connect message and ends when its core is done or at Stop.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <memory>
#include <string>

#include "engine/env/clock.h"
#include "engine/wire/messages.h"
#include "worker/publisher.h"
#include "worker/reader.h"
#include "worker/task.h"

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
  virtual void OnDelivered(const std::string& sink, int64_t rows, MonotonicTime after) = 0;
  virtual void OnSinkStats(const std::string& sink, const SinkStats& stats) = 0;
  virtual void OnRejected(const std::string& sink, const std::vector<DeadLetter>& letters) {}
  virtual void OnTaskStats(const std::string& task, const WindowAggregateStats& stats,
                           const TaskTimes& times) = 0;
  // `took`: from a barrier's first arrival at a task to its last.
  virtual void OnAligned(const std::string& task, MonotonicTime took) = 0;
  virtual void OnLag(const std::string& reader, int64_t records) = 0;
};

struct ReaderParts {
  std::string name;  // "readings.reader.0"
  ParticipantId participant;
  std::unique_ptr<Reader> reader;
};

struct TaskParts {
  std::string name;  // "metrics.window.0"
  ParticipantId participant;
  std::unique_ptr<Task> task;
};

struct PublisherParts {
  std::string name;  // "sink.0", "dead_letters"
  ParticipantId participant;
  std::unique_ptr<Publisher> publisher;
};

// `clock` and `observer` outlive the actors.
caf::actor SpawnReader(caf::actor_system& system, ReaderParts parts, const Clock* clock,
                       WorkerObserver* observer);
caf::actor SpawnTask(caf::actor_system& system, TaskParts parts, const Clock* clock,
                     WorkerObserver* observer);
caf::actor SpawnPublisher(caf::actor_system& system, PublisherParts parts, const Clock* clock,
                          WorkerObserver* observer);

}  // namespace millrace
