// The job of a simulation: its plan, its readings, its source, and how its rows become records.
//
// readings -> hot (value > 90) -> Kafka "hot", files, alerts -> Kafka "alerts"
//          -> windows of 60 s by 20 s -> Kafka "metrics"; dead letters -> Kafka "dead"
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/outbox/record_encoder.h"
#include "tests/simulation/world.h"
#include "worker/fixture.h"

namespace millrace::simulation {

inline constexpr int32_t kShards = 2;
inline constexpr int32_t kLetterShard = 0;
inline constexpr int32_t kMetricsSink = 0, kHotSink = 1, kFileSink = 2, kAlertSink = 3;
inline constexpr const char* kFileSinkId = "hot>files";

using Readings = std::map<TopicPartition, std::vector<test::Reading>>;

JobPlan MakeSimulatedPlan();
// Two partitions, with late, future and malformed readings, and rows that a topic refuses.
Readings MakeReadings(uint64_t seed);

// `readings` outlive it. Bounded: tells the end of each partition.
std::unique_ptr<SourceReader> MakeSource(const Readings* readings, Random* random);

std::unique_ptr<RecordEncoder> MakeRowEncoder(std::string topic);
std::unique_ptr<DeadLetterEncoder> MakeLetterEncoder();

}  // namespace millrace::simulation
