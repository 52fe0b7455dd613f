// Which connector serves what a job file names: the one place that knows them all.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "engine/connectors/console/console_sink.h"
#include "engine/connectors/files/roll_writer.h"
#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/sink.h"
#include "engine/connectors/source.h"
#include "engine/env/clock.h"
#include "engine/lookups/lookup_feed.h"
#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

struct ConnectorOptions {
  std::string brokers;                          // over what the job file says; may be empty
  std::string data_dir;                         // relative paths of sinks start here
  std::string run_id;                           // part of file names
  const std::atomic<bool>* stopping = nullptr;  // makes blocked writes give up
  std::shared_ptr<ConsoleScreen> screen;        // what console sinks share
};

// `readers_max`: how many readers the source will make at most; they share its prefetch budget.
Result<std::unique_ptr<Source>> MakeSource(const JobSpec& job, const PlanNode& node,
                                           const ConnectorOptions& options, int32_t readers_max,
                                           const Clock* clock);

// A lookup's topic, which is read as a table. `spec.input` is Kafka's.
Result<LookupTopic> MakeLookupTopic(const JobSpec& job, const LookupSpec& spec,
                                    const LookupLayout& layout, const ConnectorOptions& options);

// The console, or Kafka without a checkpoint. `node` is a SinkNode, here and below.
Result<std::unique_ptr<SinkWriter>> MakeDirectSink(const JobSpec& job, const PlanNode& node,
                                                   const ConnectorOptions& options,
                                                   const Clock* clock);

// Parquet and files of lines.
Result<std::unique_ptr<RollWriter>> MakeRollWriter(const JobSpec& job, const PlanNode& node,
                                                   const ConnectorOptions& options);
std::unique_ptr<RollWriter> MakeDeadLetterRolls(const JobSpec& job, const FilesSinkSpec& spec,
                                                const ConnectorOptions& options);

// The job's properties, with --brokers over what its file says.
KafkaProperties KafkaPropertiesOf(const JobSpec& job, const ConnectorOptions& options);
// librdkafka's lines in our log, as `who`'s.
KafkaLog KafkaLogOf(const std::string& who);

}  // namespace millrace
