#include "engine/model/job_file.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "engine/base/ids.h"
#include "engine/model/job_fields.h"
#include "engine/model/kafka_fields.h"
#include "engine/model/lookup_fields.h"
#include "engine/model/output_fields.h"
#include "engine/model/stream_fields.h"
#include "engine/model/yaml_document.h"

namespace millrace {
namespace {

constexpr std::string_view kApiVersion = "millrace.dev/v1";
constexpr std::string_view kKind = "StreamJob";
constexpr size_t kJobNameBytesMax = 63;
constexpr size_t kStreamNameShownMax = 128;  // longer ones are refused and never suggested
constexpr size_t kSecretBytesMax = 1 << 20;
constexpr int64_t kRetainMax = 100;
constexpr int64_t kSinkShardsMax = 60;
constexpr int64_t kOutboxBytesMin = int64_t(16) << 20;
constexpr int64_t kOutboxBytesMax = int64_t(1) << 40;
constexpr int64_t kStateMemoryMin = int64_t(64) << 20;
constexpr int64_t kStateMemoryMax = int64_t(1) << 44;
constexpr int64_t kRestartAttemptsMax = 1000;
constexpr auto kBackoffMin = std::chrono::milliseconds(10);

// A label as DNS has it: it becomes part of topic groups, folders and Kubernetes names.
bool IsJobName(std::string_view name) {
  const auto is_letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kJobNameBytesMax && is_letter_or_digit(name.front()) &&
         is_letter_or_digit(name.back()) && std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter_or_digit(c) || c == '-';
         });
}

void CheckExactly(const JobFileContext& context, const YamlEntry* entry, std::string_view wanted) {
  if (entry == nullptr) return;
  const YamlNode& node = *entry->value;
  if (node.kind == YamlNode::Kind::kText && node.text == wanted) return;
  TellExpected(context, node, "'" + std::string(wanted) + "'");
}

void ReadMetadata(const JobFileContext& context, const YamlEntry& entry, JobSpec* job) {
  const MapFields fields(context, *entry.value, entry.place, "'metadata'", {"name"});
  const YamlEntry* found = fields.Require("name");
  if (found == nullptr) return;
  const auto name = ReadText(context, *found->value, "the job's name");
  if (!name) return;
  if (!IsJobName(*name)) {
    context.Error(found->value->place,
                  Quoted(*name) +
                      " is not a job's name: lower case letters, digits and '-', a letter or "
                      "digit first and last, at most 63");
    return;
  }
  job->name = *name;
}

void ReadCheckpoint(const JobFileContext& context, const YamlEntry& entry, CheckpointSpec* spec) {
  const MapFields fields(context, *entry.value, entry.place, "'checkpoint'",
                         {"interval", "timeout", "retain", "outbox_bytes_max"});
  if (const YamlEntry* interval = fields.Find("interval")) {
    Assign(ReadDuration(context, *interval->value, std::chrono::milliseconds(200),
                        std::chrono::hours(1)),
           &spec->interval);
  }
  if (const YamlEntry* timeout = fields.Find("timeout")) {
    Assign(ReadDuration(context, *timeout->value, std::chrono::seconds(1), std::chrono::hours(24)),
           &spec->timeout);
  }
  if (const YamlEntry* retain = fields.Find("retain")) {
    Assign(ReadInteger(context, *retain->value, 1, kRetainMax), &spec->retain);
  }
  if (const YamlEntry* outbox = fields.Find("outbox_bytes_max")) {
    Assign(ReadBytes(context, *outbox->value, kOutboxBytesMin, kOutboxBytesMax),
           &spec->outbox_bytes_max);
  }
}

// A divisor of the number of key groups, so that every shard has as many.
void ReadSinkShards(const JobFileContext& context, const YamlEntry& entry, JobSpec* job) {
  const auto number = ReadInteger(context, *entry.value, 1, kSinkShardsMax);
  if (!number) return;
  if (kKeyGroupCount % *number != 0) {
    context.Error(entry.value->place, std::to_string(*number) + " does not divide " +
                                          std::to_string(kKeyGroupCount) +
                                          ", the number of key groups");
    return;
  }
  job->sink_shards = int32_t(*number);
}

// `auto` leaves it unset.
void ReadParallelism(const JobFileContext& context, const YamlNode& node, JobSpec* job) {
  if (node.kind == YamlNode::Kind::kText && node.text == "auto") return;
  const auto number = ReadInteger(context, node, 1, kKeyGroupCount, "auto");
  if (number) job->parallelism = int32_t(*number);
}

void ReadRestart(const JobFileContext& context, const YamlEntry& entry, RestartSpec* spec) {
  const MapFields fields(context, *entry.value, entry.place, "'restart'",
                         {"attempts", "within", "backoff_min", "backoff_max"});
  if (const YamlEntry* attempts = fields.Find("attempts")) {
    Assign(ReadInteger(context, *attempts->value, 0, kRestartAttemptsMax), &spec->attempts);
  }
  if (const YamlEntry* within = fields.Find("within")) {
    Assign(ReadDuration(context, *within->value, std::chrono::seconds(1), std::chrono::hours(24)),
           &spec->within);
  }
  const YamlEntry* const shortest = fields.Find("backoff_min");
  const YamlEntry* const longest = fields.Find("backoff_max");
  for (const YamlEntry* backoff : {shortest, longest}) {
    if (backoff == nullptr) continue;
    Assign(ReadDuration(context, *backoff->value, kBackoffMin, std::chrono::hours(1)),
           backoff == shortest ? &spec->backoff_min : &spec->backoff_max);
  }
  if (spec->backoff_min <= spec->backoff_max) return;
  context.Error((longest != nullptr ? longest : shortest)->value->place,
                "'backoff_min', " + FormatDuration(spec->backoff_min) +
                    ", is longer than 'backoff_max', " + FormatDuration(spec->backoff_max));
}

void ReadSettings(const JobFileContext& context, const MapFields& spec, JobSpec* job) {
  if (const YamlEntry* entry = spec.Find("checkpoint")) {
    ReadCheckpoint(context, *entry, &job->checkpoint);
  }
  if (const YamlEntry* entry = spec.Find("state")) {
    const MapFields fields(context, *entry->value, entry->place, "'state'", {"memory"});
    if (const YamlEntry* memory = fields.Require("memory")) {
      Assign(ReadBytes(context, *memory->value, kStateMemoryMin, kStateMemoryMax),
             &job->state_memory_bytes);
    }
  }
  if (const YamlEntry* entry = spec.Find("sink_shards")) ReadSinkShards(context, *entry, job);
  if (const YamlEntry* entry = spec.Find("parallelism")) {
    ReadParallelism(context, *entry->value, job);
  }
  if (const YamlEntry* entry = spec.Find("restart")) ReadRestart(context, *entry, &job->restart);
  if (const YamlEntry* entry = spec.Find("kafka")) {
    const MapFields fields(context, *entry->value, entry->place, "'kafka'", {"properties"});
    if (const YamlEntry* properties = fields.Require("properties")) {
      job->kafka_properties = ReadKafkaProperties(context, *properties->value);
    }
  }
}

void CheckStreamExists(const JobFileContext& context, const PlacedText& stream,
                       const std::vector<std::string>& names) {
  if (stream.text.empty() || std::find(names.begin(), names.end(), stream.text) != names.end()) {
    return;
  }
  context.Error(stream.place, "there is no stream " + Quoted(stream.text),
                Suggest(stream.text, names));
}

void ReadSpec(const JobFileContext& context, const YamlEntry& entry, JobSpec* job) {
  const MapFields fields(context, *entry.value, entry.place, "'spec'",
                         {"checkpoint", "parallelism", "restart", "sink_shards", "state", "kafka",
                          "streams", "lookups", "alerts", "sinks", "dead_letters"});
  if (!fields.is_map()) return;
  ReadSettings(context, fields, job);
  std::vector<std::string> names;
  if (const YamlEntry* streams = fields.Require("streams")) {
    const int errors_before = context.diagnostics->error_count();
    for (const YamlEntry& item : ReadMap(context, *streams->value, "a map of streams")) {
      if (item.key.size() <= kStreamNameShownMax) names.push_back(item.key);
      if (auto stream = ReadStream(context, item)) job->streams.push_back(std::move(*stream));
    }
    if (const YamlEntry* lookups = fields.Find("lookups")) {
      job->lookups = ReadLookups(context, *lookups->value, names);
    }
    job->streams_complete = context.diagnostics->error_count() == errors_before;
  }
  if (const YamlEntry* alerts = fields.Find("alerts")) {
    job->alerts = ReadAlerts(context, *alerts->value);
  }
  if (const YamlEntry* sinks = fields.Find("sinks")) {
    job->sinks = ReadSinks(context, *sinks->value);
  }
  if (const YamlEntry* dead_letters = fields.Find("dead_letters")) {
    job->dead_letters = ReadDeadLetters(context, *dead_letters);
  }
  for (const AlertSpec& alert : job->alerts) CheckStreamExists(context, alert.stream, names);
  for (const SinkSpec& sink : job->sinks) {
    if (sink.stream) CheckStreamExists(context, *sink.stream, names);
  }
  CheckTargets(context, *job);
  if (fields.Find("sinks") == nullptr) {
    context.diagnostics->Error(entry.place, "'sinks' is missing in 'spec'",
                               "what this job computes goes nowhere");
  }
}

}  // namespace

SecretLookup SystemSecrets() {
  SecretLookup secrets;
  secrets.env = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  // Without the line end that editors and `kubectl create secret` leave.
  secrets.file = [](const std::string& path) -> std::optional<std::string> {
    std::ifstream stream(path, std::ios::binary);
    std::string text(kSecretBytesMax + 1, '\0');
    if (!stream.is_open()) return std::nullopt;
    stream.read(text.data(), std::streamsize(text.size()));
    if (stream.bad() || !stream.eof()) return std::nullopt;
    text.resize(size_t(stream.gcount()));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  };
  return secrets;
}

JobSpec ReadJobFile(const SecretLookup& secrets, Diagnostics* diagnostics) {
  JobSpec job;
  job.file_name = diagnostics->file_name();
  const YamlDocument document(diagnostics);
  if (document.root() == nullptr) return job;
  std::set<std::pair<SourcePlace, std::string>> told;
  const JobFileContext context{secrets, document, diagnostics, &told};
  const MapFields fields(context, *document.root(), document.root()->place, "a job file",
                         {"apiVersion", "kind", "metadata", "spec"});
  CheckExactly(context, fields.Require("apiVersion"), kApiVersion);
  CheckExactly(context, fields.Require("kind"), kKind);
  if (const YamlEntry* entry = fields.Require("metadata")) ReadMetadata(context, *entry, &job);
  if (const YamlEntry* entry = fields.Require("spec")) ReadSpec(context, *entry, &job);
  return job;
}

}  // namespace millrace
