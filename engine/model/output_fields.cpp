#include "engine/model/output_fields.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/model/kafka_fields.h"
#include "engine/model/stream_fields.h"

namespace millrace {
namespace {

constexpr int64_t kRollBytesMin = 4 << 10;
constexpr int64_t kRollBytesMax = int64_t{16} << 30;
constexpr int64_t kConsoleRowsMax = 1'000'000;

// As Prometheus names labels.
bool IsLabelName(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

std::map<std::string, PlacedText> ReadTemplates(const JobFileContext& context,
                                                const YamlEntry& entry) {
  std::map<std::string, PlacedText> templates;
  for (const YamlEntry& item : ReadMap(context, *entry.value, "a map of texts")) {
    if (!IsLabelName(item.key)) {
      context.Error(item.place, Quoted(item.key) +
                                    " is not a name here: letters, digits and '_', no digit first");
      continue;
    }
    if (item.key == "alertname") {
      context.Error(item.place, "'alertname' is the alert's own name and cannot be set");
      continue;
    }
    auto text = ReadPlacedText(context, *item.value);
    if (!text) continue;
    for (const char* secret : {"${env:", "${file:"}) {
      if (const size_t at = text->text.find(secret); at != std::string::npos) {
        context.Error(text->PlaceAt(at),
                      "secrets are put into Kafka properties, topics and paths only");
      }
    }
    templates.emplace(item.key, std::move(*text));
  }
  return templates;
}

std::optional<AlertSpec> ReadAlert(const JobFileContext& context, const YamlNode& node) {
  AlertSpec alert;
  alert.place = node.place;
  const MapFields fields(context, node, node.place, "an alert",
                         {"alert", "stream", "expr", "labels", "annotations"});
  if (!fields.is_map()) return std::nullopt;
  if (const YamlEntry* entry = fields.Require("alert")) {
    Assign(ReadText(context, *entry->value, "the alert's name"), &alert.alert);
    alert.place = entry->value->place;
  }
  if (const YamlEntry* entry = fields.Require("stream")) {
    Assign(ReadPlacedText(context, *entry->value, "the name of a stream"), &alert.stream);
  }
  if (const YamlEntry* entry = fields.Require("expr")) {
    Assign(ReadPlacedText(context, *entry->value, "a condition in SQL"), &alert.expr);
  }
  if (const YamlEntry* entry = fields.Find("labels")) {
    alert.labels = ReadTemplates(context, *entry);
  }
  if (const YamlEntry* entry = fields.Find("annotations")) {
    alert.annotations = ReadTemplates(context, *entry);
  }
  return alert;
}

void ReadKeyColumn(const JobFileContext& context, const YamlNode& node, KafkaSinkSpec* spec) {
  auto name = ReadPlacedText(context, node, "the name of a column");
  if (!name) return;
  const auto same = [&](const PlacedText& other) { return other.text == name->text; };
  if (std::ranges::any_of(spec->key, same)) {
    context.Error(node.place, "the column " + Quoted(name->text) + " is in the key twice");
    return;
  }
  spec->key.push_back(std::move(*name));
}

void ReadRecordKey(const JobFileContext& context, const YamlNode& node, KafkaSinkSpec* spec) {
  if (node.kind != YamlNode::Kind::kList) return ReadKeyColumn(context, node, spec);
  for (const YamlNode* item : ReadList(context, node, "a column or a list of columns")) {
    ReadKeyColumn(context, *item, spec);
  }
}

// What records are of: rows of a stream, which may say their `key`, or others, which have one.
enum class RecordsOf { kStream, kAlerts, kDeadLetters };

std::optional<KafkaSinkSpec> ReadKafkaSink(const JobFileContext& context, const YamlEntry& entry,
                                           RecordsOf records) {
  KafkaSinkSpec spec;
  std::vector<std::string> known = {"topic", "key", "properties"};
  if (records == RecordsOf::kDeadLetters) std::erase(known, "key");
  const MapFields fields(context, *entry.value, entry.place, "'kafka'", std::move(known));
  if (!fields.is_map()) return std::nullopt;
  const YamlEntry* const key = fields.Find("key");
  if (key != nullptr && records == RecordsOf::kAlerts) {
    context.Error(key->place, "'key' goes with a stream",
                  "the key of an alert says what it is about");
  } else if (key != nullptr && records == RecordsOf::kStream) {
    ReadRecordKey(context, *key->value, &spec);
  }
  if (const YamlEntry* found = fields.Require("topic")) {
    Assign(ReadTopic(context, *found->value), &spec.topic);
  }
  if (const YamlEntry* found = fields.Find("properties")) {
    spec.properties = ReadKafkaProperties(context, *found->value);
  }
  return spec;
}

// `path`, `roll_bytes`, `roll_interval`: what all sinks of files share.
template <typename Spec>
void ReadRolling(const JobFileContext& context, const MapFields& fields, Spec* spec) {
  if (const YamlEntry* found = fields.Require("path")) {
    Assign(ReadLocalPath(context, *found->value), &spec->path);
  }
  if (const YamlEntry* found = fields.Find("roll_bytes")) {
    Assign(ReadBytes(context, *found->value, kRollBytesMin, kRollBytesMax), &spec->roll_bytes);
  }
  if (const YamlEntry* found = fields.Find("roll_interval")) {
    Assign(ReadDuration(context, *found->value, std::chrono::seconds(1), std::chrono::days(1)),
           &spec->roll_interval);
  }
}

std::optional<ParquetSinkSpec> ReadParquetSink(const JobFileContext& context,
                                               const YamlEntry& entry) {
  ParquetSinkSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'parquet'",
                         {"path", "partition_by", "roll_bytes", "roll_interval"});
  if (!fields.is_map()) return std::nullopt;
  ReadRolling(context, fields, &spec);
  const YamlEntry* found = fields.Find("partition_by");
  if (found == nullptr) return spec;
  for (const YamlNode* item : ReadList(context, *found->value, "a list of columns")) {
    const auto name = ReadText(context, *item, "the name of a column");
    if (!name || !CheckSqlName(context, item->place, *name, "column name")) continue;
    if (std::find(spec.partition_by.begin(), spec.partition_by.end(), *name) !=
        spec.partition_by.end()) {
      context.Error(item->place, Quoted(*name) + " is given twice");
      continue;
    }
    spec.partition_by.push_back(*name);
  }
  return spec;
}

std::optional<FilesSinkSpec> ReadFilesSink(const JobFileContext& context, const YamlEntry& entry) {
  static const std::vector<std::string> formats = {"json", "csv"};
  FilesSinkSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'files'",
                         {"path", "format", "roll_bytes", "roll_interval"});
  if (!fields.is_map()) return std::nullopt;
  ReadRolling(context, fields, &spec);
  if (const YamlEntry* found = fields.Find("format")) {
    if (found->value->kind == YamlNode::Kind::kText && found->value->text == "parquet") {
      context.Error(found->value->place, "expected json or csv, found 'parquet'",
                    "use 'parquet' in place of 'files'");
    } else if (auto choice = ReadChoice(context, *found->value, formats)) {
      spec.format = *choice == 0 ? Format::kJson : Format::kCsv;
    }
  }
  return spec;
}

std::optional<ConsoleSinkSpec> ReadConsoleSink(const JobFileContext& context,
                                               const YamlEntry& entry) {
  ConsoleSinkSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'console'", {"rows_per_second_max"});
  if (!fields.is_map()) return std::nullopt;
  if (const YamlEntry* found = fields.Find("rows_per_second_max")) {
    Assign(ReadInteger(context, *found->value, 1, kConsoleRowsMax), &spec.rows_per_second_max);
  }
  return spec;
}

void ReadSinkInput(const JobFileContext& context, const MapFields& fields, SinkSpec* sink) {
  static const std::vector<std::string> inputs = {"stream", "alerts"};
  const YamlEntry* input = fields.RequireOneOf(inputs);
  if (input == nullptr) return;
  if (input->key == "stream") {
    sink->stream = ReadPlacedText(context, *input->value, "the name of a stream");
    return;
  }
  static const std::vector<std::string> which = {"all"};
  sink->all_alerts = ReadChoice(context, *input->value, which).has_value();
}

void ReadSinkRows(const JobFileContext& context, const MapFields& fields, const YamlEntry& rows,
                  SinkSpec* sink) {
  static const std::vector<std::string> which = {"final", "changes"};
  sink->rows_place = rows.place;
  const auto chosen = ReadChoice(context, *rows.value, which);
  sink->rows = chosen == 1u ? SinkRows::kChanges : SinkRows::kFinal;
  if (fields.Find("alerts") != nullptr) {
    context.Error(rows.place, "'rows' goes with 'stream' only: an alert is not taken back");
  } else if (chosen == 1u && fields.Find("kafka") == nullptr && fields.Find("console") == nullptr) {
    context.Error(rows.value->place,
                  "'changes' goes with kafka and console only: what stands in a file is not "
                  "taken back",
                  "leave 'rows' out: files take each window once, when it is final");
  }
}

std::optional<SinkSpec> ReadSink(const JobFileContext& context, const YamlNode& node) {
  static const std::vector<std::string> targets = {"kafka", "parquet", "files", "console"};
  SinkSpec sink;
  sink.place = node.place;
  const MapFields fields(
      context, node, node.place, "a sink",
      {"stream", "alerts", "kafka", "parquet", "files", "console", "delivery", "rows"});
  if (!fields.is_map()) return std::nullopt;
  ReadSinkInput(context, fields, &sink);
  if (const YamlEntry* rows = fields.Find("rows")) ReadSinkRows(context, fields, *rows, &sink);
  if (const YamlEntry* delivery = fields.Find("delivery")) {
    static const std::vector<std::string> deliveries = {"exactly_once", "at_least_once"};
    const auto chosen = ReadChoice(context, *delivery->value, deliveries);
    sink.delivery = chosen == 1u ? Delivery::kAtLeastOnce : Delivery::kExactlyOnce;
    if (chosen == 1u && (!sink.all_alerts || fields.Find("kafka") == nullptr)) {
      context.Error(delivery->value->place,
                    "'at_least_once' is for alerts to Kafka: their id makes repeats recognisable");
    }
  }
  const YamlEntry* target = fields.RequireOneOf(targets);
  if (target == nullptr) return sink;
  if (target->key == "kafka") {
    const RecordsOf records = sink.all_alerts ? RecordsOf::kAlerts : RecordsOf::kStream;
    Assign(ReadKafkaSink(context, *target, records), &sink.target);
  } else if (target->key == "parquet") {
    Assign(ReadParquetSink(context, *target), &sink.target);
  } else if (target->key == "files") {
    Assign(ReadFilesSink(context, *target), &sink.target);
  } else {
    Assign(ReadConsoleSink(context, *target), &sink.target);
  }
  return sink;
}

// Where a target writes, the same for two that would meet; empty for the console.
struct Destination {
  std::string identity;
  std::string shown;
};

Destination PathDestination(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return {"path " + normal, "path " + Quoted(path)};
}

struct DestinationOf {
  const JobSpec& job;

  Destination operator()(const KafkaSinkSpec& kafka) const {
    if (kafka.topic.empty()) return {};
    // The same topic name in another cluster is another topic.
    std::string brokers;
    for (const auto* properties : {&kafka.properties, &job.kafka_properties}) {
      const auto found = properties->find("bootstrap.servers");
      if (found == properties->end()) continue;
      brokers = found->second;
      break;
    }
    return {"topic " + kafka.topic + " at " + brokers, "topic '" + kafka.topic + "'"};
  }
  Destination operator()(const ParquetSinkSpec& parquet) const {
    return parquet.path.empty() ? Destination{} : PathDestination(parquet.path);
  }
  Destination operator()(const FilesSinkSpec& files) const {
    return files.path.empty() ? Destination{} : PathDestination(files.path);
  }
  Destination operator()(const ConsoleSinkSpec&) const { return {}; }
};

}  // namespace

std::vector<AlertSpec> ReadAlerts(const JobFileContext& context, const YamlNode& node) {
  std::vector<AlertSpec> alerts;
  std::map<std::string, int> lines;
  for (const YamlNode* item : ReadList(context, node, "a list of alerts")) {
    std::optional<AlertSpec> alert = ReadAlert(context, *item);
    if (!alert) continue;
    const auto [first, inserted] = lines.emplace(alert->alert, alert->place.line);
    if (!inserted && !alert->alert.empty()) {
      context.Error(alert->place, "alert " + Quoted(alert->alert) +
                                      " is given twice; first on line " +
                                      std::to_string(first->second));
    }
    alerts.push_back(std::move(*alert));
  }
  return alerts;
}

std::vector<SinkSpec> ReadSinks(const JobFileContext& context, const YamlNode& node) {
  std::vector<SinkSpec> sinks;
  for (const YamlNode* item : ReadList(context, node, "a list of sinks")) {
    if (auto sink = ReadSink(context, *item)) sinks.push_back(std::move(*sink));
  }
  return sinks;
}

std::optional<DeadLetterSpec> ReadDeadLetters(const JobFileContext& context,
                                              const YamlEntry& entry) {
  static const std::vector<std::string> targets = {"kafka", "files"};
  DeadLetterSpec spec;
  spec.place = entry.place;
  const MapFields fields(context, *entry.value, entry.place, "'dead_letters'", targets);
  if (!fields.is_map()) return std::nullopt;
  const YamlEntry* target = fields.RequireOneOf(targets);
  if (target == nullptr) return std::nullopt;
  if (target->key == "kafka") {
    Assign(ReadKafkaSink(context, *target, RecordsOf::kDeadLetters), &spec.target);
    return spec;
  }
  const MapFields files(context, *target->value, target->place, "'files'", {"path"});
  FilesSinkSpec sink;
  if (const YamlEntry* path = files.Require("path")) {
    Assign(ReadLocalPath(context, *path->value), &sink.path);
  }
  spec.target = sink;
  return spec;
}

void CheckTargets(const JobFileContext& context, const JobSpec& job) {
  std::map<std::string, SourcePlace> first_places;
  const auto check = [&](const Destination& destination, SourcePlace place) {
    if (destination.identity.empty()) return;
    const auto [first, inserted] = first_places.emplace(destination.identity, place);
    if (inserted) return;
    context.Error(place, "two sinks write to " + destination.shown + "; the first is on line " +
                             std::to_string(first->second.line));
  };
  for (const SinkSpec& sink : job.sinks) {
    check(std::visit(DestinationOf{job}, sink.target), sink.place);
  }
  if (job.dead_letters) {
    check(std::visit(DestinationOf{job}, job.dead_letters->target), job.dead_letters->place);
  }
}

}  // namespace millrace
