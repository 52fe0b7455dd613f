// What a coordinator knows of a job, and what people are told of it: how it is, and why it gives no
// output. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/bounded_sequence.h"
#include "coordinator/cluster_state.h"
#include "coordinator/job_coordinator.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"

namespace millrace {

// A line of a job's log.
struct JobLine {
  EventTime wall;
  bool is_warning = false;
  std::string where;  // "coordinator", or a worker's name
  std::string message;
};
using JobLog = BoundedSequence<JobLine>;

struct JobRow {
  std::string sink;
  std::string json;
};
using JobRows = BoundedSequence<JobRow>;

struct JobView {
  proto::JobRecord record;
  JobPhase phase = JobPhase::kWaiting;
  std::string why;
  MonotonicTime in_phase{0};
  int64_t attempt = 0;
  int64_t restarts = 0;
  std::string last_failure;
  std::vector<std::string> slots;  // each slot's worker, while an attempt lives
  std::vector<std::string> notes;  // what limits it, for people

  // Of an attempt that lives.
  int64_t checkpoints = 0;
  int64_t last_epoch = 0;
  std::optional<MonotonicTime> since_checkpoint;
  MonotonicTime checkpoint_interval{0};
  int64_t unpublished_epochs = 0;
  int64_t unpublished_bytes = 0;
  Blocked blocked = Blocked::kNo;
  MonotonicTime blocked_for{0};
  struct Source {
    std::string stream;
    SourceProgress progress;
  };
  std::vector<Source> sources;
  std::map<std::string, std::string> sinks;          // target by name, for people
  std::map<std::string, proto::AttemptLoad> loads;   // by worker
  std::map<std::string, int64_t> longest_latencies;  // by sink, microseconds, lately
  std::map<std::string, std::string>
      last_warnings;  // by who told it: "sink.0", "readings.reader.1"

  EventTime wall;  // now
};

// Where the rows of a sink go: "kafka topic alerts".
std::string TargetOf(const SinkSpec& sink);

proto::JobStatus StatusOf(const JobView& view);
// All but the log.
proto::JobDescription DescriptionOf(const JobView& view);
// Why there is no output, or less than there might be; what matters most first. A line each, and
// what to do about it.
std::vector<std::string> FindingsOf(const JobView& view);

proto::LogLine LineOf(const JobLog::Entry& entry);

}  // namespace millrace
