#include "engine/model/kafka_fields.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace millrace {
namespace {

constexpr size_t kTopicBytesMax = 249;  // Kafka's own limit
constexpr int64_t kPartitionsMax = 100'000;

struct EngineProperty {
  std::string_view name;
  std::string_view reason;
};

constexpr std::string_view kOffsetsAreOurs = "the job keeps its own offsets";
constexpr std::string_view kPartitionsAreOurs = "the job assigns partitions itself";
constexpr std::string_view kStartFrom = "say 'start_from' of the stream";
constexpr std::string_view kDelivery = "the job sets what delivery needs";

// Properties (with librdkafka's aliases) whose change would lose, repeat or misplace records.
constexpr std::array<EngineProperty, 24> kEngineProperties = {{
    {"auto.commit.enable", kOffsetsAreOurs},
    {"auto.commit.interval.ms", kOffsetsAreOurs},
    {"enable.auto.commit", kOffsetsAreOurs},
    {"enable.auto.offset.store", kOffsetsAreOurs},
    {"offset.store.method", kOffsetsAreOurs},
    {"offset.store.path", kOffsetsAreOurs},
    {"offset.store.sync.interval.ms", kOffsetsAreOurs},
    {"auto.offset.reset", kStartFrom},
    {"group.id", "it is the job's name"},
    {"group.instance.id", kPartitionsAreOurs},
    {"group.protocol.type", kPartitionsAreOurs},
    {"partition.assignment.strategy", kPartitionsAreOurs},
    {"enable.partition.eof", "the job needs it to know a partition's end"},
    {"transactional.id", kDelivery},
    {"enable.idempotence", kDelivery},
    {"enable.gapless.guarantee", kDelivery},
    {"acks", kDelivery},
    {"request.required.acks", kDelivery},
    {"delivery.report.only.error", kDelivery},
    {"produce.offset.report", kDelivery},
    {"partitioner", "records are partitioned by murmur2 of their key, as Java's client does"},
    {"plugin.library.paths", "a job file loads no code"},
    {"enabled_events", "the job reads librdkafka's events itself"},
    {"builtin.features", "it can only be read"},
}};

void ReadTopics(const JobFileContext& context, const MapFields& fields, KafkaSourceSpec* spec) {
  static const std::vector<std::string> keys = {"topics", "topic"};
  const YamlEntry* entry = fields.RequireOneOf(keys);
  if (entry == nullptr) return;
  if (entry->key == "topic") {
    if (auto topic = ReadTopic(context, *entry->value)) spec->topics.push_back(*topic);
    return;
  }
  std::set<std::string> seen;
  for (const YamlNode* item : ReadList(context, *entry->value, "a list of texts")) {
    const auto topic = ReadTopic(context, *item);
    if (!topic) continue;
    if (!seen.insert(*topic).second) {
      context.Error(item->place, "topic " + Quoted(item->text) + " is given twice");
      continue;
    }
    spec->topics.push_back(*topic);
  }
}

void ReadOffsets(const JobFileContext& context, const YamlNode& node, StartFrom* start) {
  start->kind = StartFrom::Kind::kOffsets;
  for (const YamlEntry& entry : ReadMap(context, node, "a map of partition to offset")) {
    YamlNode key;
    key.kind = YamlNode::Kind::kText;
    key.text = entry.key;
    key.place = entry.place;
    const auto partition = ReadInteger(context, key, 0, INT32_MAX);
    const auto offset = ReadInteger(context, *entry.value, 0, INT64_MAX);
    if (!partition || !offset) continue;
    if (!start->offsets.emplace(int32_t(*partition), *offset).second) {
      context.Error(entry.place, "partition " + std::to_string(*partition) + " is given twice");
    }
  }
}

StartFrom ReadStartFrom(const JobFileContext& context, const YamlEntry& entry) {
  static const std::vector<std::string> words = {"earliest", "latest", "{timestamp: TIME}",
                                                 "{offsets: {PARTITION: OFFSET}}"};
  static const std::vector<std::string> keys = {"timestamp", "offsets"};
  StartFrom start;
  const YamlNode& node = *entry.value;
  if (node.kind != YamlNode::Kind::kMap) {
    // The two words alone: the forms of a map are told, never meant.
    if (node.kind == YamlNode::Kind::kText && node.text == words[0]) return start;
    if (node.kind == YamlNode::Kind::kText && node.text == words[1]) {
      start.kind = StartFrom::Kind::kLatest;
      return start;
    }
    const std::string nearest =
        node.kind == YamlNode::Kind::kText ? Nearest(node.text, std::span(words).first(2)) : "";
    context.Error(node.place, "expected " + OneOf(words) + ", found " + Found(node),
                  nearest.empty() ? "" : "did you mean '" + nearest + "'?");
    return start;
  }
  const MapFields fields(context, node, entry.place, "'start_from'", keys);
  const YamlEntry* chosen = fields.RequireOneOf(keys);
  if (chosen == nullptr) return start;
  if (chosen->key == "offsets") {
    ReadOffsets(context, *chosen->value, &start);
  } else {
    start.kind = StartFrom::Kind::kTimestamp;
    Assign(ReadTimestamp(context, *chosen->value), &start.timestamp);
  }
  return start;
}

std::optional<KeyedBySpec> ReadKeyedBy(const JobFileContext& context, const YamlEntry& entry) {
  KeyedBySpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'keyed_by'",
                         {"column", "partitions", "partitioner"});
  if (!fields.is_map()) return std::nullopt;
  if (const YamlEntry* found = fields.Require("column")) {
    Assign(ReadPlacedText(context, *found->value, "the name of a column"), &spec.column);
  }
  if (const YamlEntry* found = fields.Require("partitions")) {
    if (const auto number = ReadInteger(context, *found->value, 1, kPartitionsMax)) {
      spec.partitions = int32_t(*number);
    }
  }
  if (const YamlEntry* found = fields.Find("partitioner")) {
    if (const auto choice = ReadChoice(context, *found->value, PartitionerNames())) {
      spec.partitioner = Partitioner(*choice);
    }
  }
  return spec;
}

}  // namespace

const std::vector<std::string>& PartitionerNames() {
  static const std::vector<std::string> names = {"murmur2", "crc32", "fnv1a"};
  return names;
}

std::map<std::string, std::string> ReadKafkaProperties(const JobFileContext& context,
                                                       const YamlNode& node) {
  std::map<std::string, std::string> properties;
  for (const YamlEntry& entry : ReadMap(context, node, "a map of librdkafka properties")) {
    std::string_view name = entry.key;
    if (name.starts_with("topic.")) {
      // librdkafka's older spelling of topic properties in one map with the others.
      const std::string_view bare = name.substr(6);
      if (bare == "auto.offset.reset" || bare == "acks" || bare == "partitioner") name = bare;
    }
    const auto refused =
        std::find_if(kEngineProperties.begin(), kEngineProperties.end(),
                     [&](const EngineProperty& property) { return property.name == name; });
    if (refused != kEngineProperties.end()) {
      context.Error(entry.place, "'" + entry.key + "' cannot be set", std::string(refused->reason));
      continue;
    }
    if (auto value = ReadResolvedText(context, *entry.value, "a text", /*may_be_empty=*/true)) {
      properties.emplace(entry.key, *value);
    }
  }
  return properties;
}

std::optional<std::string> ReadTopic(const JobFileContext& context, const YamlNode& node) {
  const auto topic = ReadResolvedText(context, node, "the name of a topic");
  if (!topic) return std::nullopt;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (topic->empty() || topic->size() > kTopicBytesMax || *topic == "." || *topic == ".." ||
      !std::all_of(topic->begin(), topic->end(), is_allowed)) {
    context.Error(node.place, Quoted(node.text) +
                                  " is not the name of a topic: letters, digits, '.', '_' and "
                                  "'-', at most 249");
    return std::nullopt;
  }
  return topic;
}

std::optional<KafkaSourceSpec> ReadKafkaSource(const JobFileContext& context,
                                               const YamlEntry& entry) {
  static const std::vector<std::string> on_data_loss = {"fail", "continue"};
  KafkaSourceSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'kafka'",
                         {"topics", "topic", "properties", "start_from", "on_data_loss",
                          "partition_discovery", "keyed_by"});
  if (!fields.is_map()) return std::nullopt;
  ReadTopics(context, fields, &spec);
  if (const YamlEntry* found = fields.Find("properties")) {
    spec.properties = ReadKafkaProperties(context, *found->value);
  }
  if (const YamlEntry* found = fields.Find("start_from")) {
    spec.start_from = ReadStartFrom(context, *found);
  }
  if (const YamlEntry* found = fields.Find("on_data_loss")) {
    if (auto choice = ReadChoice(context, *found->value, on_data_loss)) {
      spec.on_data_loss = *choice == 0 ? OnDataLoss::kFail : OnDataLoss::kContinue;
    }
  }
  if (const YamlEntry* found = fields.Find("partition_discovery")) {
    Assign(
        ReadDuration(context, *found->value, std::chrono::milliseconds(100), std::chrono::hours(1)),
        &spec.partition_discovery);
  }
  if (const YamlEntry* found = fields.Find("keyed_by")) {
    spec.keyed_by = ReadKeyedBy(context, *found);
  }
  return spec;
}

std::optional<KafkaSourceSpec> ReadKafkaTable(const JobFileContext& context,
                                              const YamlEntry& entry) {
  KafkaSourceSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'kafka' of a lookup",
                         {"topics", "topic", "properties"});
  if (!fields.is_map()) return std::nullopt;
  ReadTopics(context, fields, &spec);
  if (spec.topics.size() > 1) {
    context.Error(entry.place, "a lookup reads one topic, found " +
                                   std::to_string(spec.topics.size()) + ": one lookup for each");
  }
  if (const YamlEntry* found = fields.Find("properties")) {
    spec.properties = ReadKafkaProperties(context, *found->value);
  }
  return spec;
}

}  // namespace millrace
