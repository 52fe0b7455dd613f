// What the job file says about Kafka: properties, topics, the start position.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/job_fields.h"

namespace millrace {

// librdkafka's properties as texts. Those that the engine must set itself are refused, with the
// reason.
std::map<std::string, std::string> ReadKafkaProperties(const JobFileContext& context,
                                                       const YamlNode& node);
std::optional<std::string> ReadTopic(const JobFileContext& context, const YamlNode& node);
std::optional<KafkaSourceSpec> ReadKafkaSource(const JobFileContext& context,
                                               const YamlEntry& entry);
// As job files write them.
const std::vector<std::string>& PartitionerNames();
// A compacted topic that is read as a table: one topic, and its properties.
std::optional<KafkaSourceSpec> ReadKafkaTable(const JobFileContext& context,
                                              const YamlEntry& entry);

}  // namespace millrace
