// The output side of a job: what its sinks and dead letters need, by kind. Rows that are published
// exactly once go through outboxes (Kafka by records, files by rolls); the console, and alerts with
// delivery: at_least_once, are written at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/files/roll_writer.h"
#include "engine/connectors/sink.h"
#include "engine/endpoints/connectors.h"
#include "engine/layout/sink_routes.h"
#include "engine/outbox/publisher_output.h"
#include "engine/outbox/record_encoder.h"

namespace millrace {

struct FileSinkParts {
  std::string id;    // stable across edits of the job: "minutes>parquet:lake/minutes"
  std::string name;  // part of the files' names
  std::shared_ptr<arrow::Schema> schema;
  std::unique_ptr<RollWriter> writer;   // the publisher's
  std::unique_ptr<RollWriter> checker;  // the outbox's
  int64_t roll_bytes = 0;
  Micros roll_interval{0};
};

// A sink whose rows become records of a topic.
struct RecordSinkParts {
  std::string topic;
  Schema schema;
  std::vector<int> keys;
  int time_column = -1;
  bool tells_row_kind = false;
  int64_t record_bytes_max = 0;
};

class JobSinks {
 public:
  virtual ~JobSinks() = default;

  // By sink index; moved out by who runs them.
  std::map<int32_t, std::unique_ptr<SinkWriter>> direct;
  std::map<int32_t, FileSinkParts> files;
  std::optional<FileSinkParts> letter_files;  // none: dead letters are records
  std::vector<std::string> descriptions;      // for people

  // What a shard needs; each call makes new ones.
  virtual std::map<int32_t, std::unique_ptr<RecordEncoder>> MakeEncoders() const = 0;
  virtual std::unique_ptr<DeadLetterEncoder> MakeLetterEncoder() const = 0;
  virtual Result<std::unique_ptr<PublisherOutput>> MakeOutput(int32_t shard) const = 0;
};

// By file sink: what earlier processes left aside in its folder; to be listed before the job is
// claimed (roll_writer.h).
using Leftovers = std::map<std::string, std::vector<std::string>>;
Result<Leftovers> ListLeftovers(const JobSpec& job, const JobPlan& plan,
                                const ConnectorOptions& options);

// Reaches for Kafka where a sink needs it: topics are found or created, "broker_unreachable"
// (retry). Folders are made, and leftovers removed: "unwritable_path" (user).
Result<std::unique_ptr<JobSinks>> OpenJobSinks(const JobSpec& job, const JobPlan& plan,
                                               const ConnectorOptions& options,
                                               const Leftovers& leftovers, const Clock* clock);

// Registers of the job in Kafka; empty where it writes no records. `fence`: after every producer
// that another process of the job may still have is fenced, so that nothing is published any more.
Result<std::map<int32_t, proto::Register>> ReadJobRegisters(const JobSpec& job,
                                                            const ConnectorOptions& options,
                                                            bool fence);

// By file sink: what its folder says was published last by a job of this name.
Result<std::map<std::string, proto::Register>> ReadFileRegisters(const JobSpec& job,
                                                                 const JobPlan& plan,
                                                                 const ConnectorOptions& options);

// Sinks of which the checkpoint holds rows that are not published, and that the job no longer has.
std::vector<std::string> OrphanedSinks(const JobSpec& job, const proto::Manifest& manifest);

}  // namespace millrace
