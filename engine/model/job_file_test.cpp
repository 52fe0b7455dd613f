// What is told about wrong job files stands in testdata/mistakes.txt; here are the values read
// from right ones, the example of docs/job-file.md, limits, and mutated files.
#include "engine/model/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string ReadFile(const std::string& path) {
  std::ifstream stream(std::string(MILLRACE_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

SecretLookup TestSecrets() {
  SecretLookup secrets;
  secrets.env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "USER_NAME") return "ada";
    if (name == "BROKERS") return "kafka-1:9092";
    return std::nullopt;
  };
  secrets.file = [](const std::string& path) -> std::optional<std::string> {
    if (path == "/run/secrets/kafka") return "s3cret";
    return std::nullopt;
  };
  return secrets;
}

struct Read {
  JobSpec job;
  std::string told;
};

Read ReadText(const std::string& text) {
  Diagnostics diagnostics("job.yaml", text);
  Read read;
  read.job = ReadJobFile(TestSecrets(), &diagnostics);
  read.told = diagnostics.Render();
  return read;
}

// The first fenced block of YAML in the reference.
std::string DocumentedExample() {
  const std::string document = ReadFile("docs/job-file.md");
  const std::string fence = "```yaml\n";
  const size_t begin = document.find(fence) + fence.size();
  return document.substr(begin, document.find("```\n", begin) - begin);
}

std::string Job(const std::string& spec) {
  return "apiVersion: millrace.dev/v1\nkind: StreamJob\nmetadata: {name: fleet}\nspec:\n" + spec;
}

TEST(JobFile, TellsEveryMistakeWithItsPlace) {
  std::istringstream lines(ReadFile("engine/model/testdata/mistakes.txt"));
  struct Case {
    std::string name, text, told;
  };
  std::vector<Case> cases;
  bool in_told = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("=== ")) {
      cases.push_back({line.substr(4), "", ""});
      in_told = false;
    } else if (line == ">>>") {
      in_told = true;
    } else if (!cases.empty()) {
      (in_told ? cases.back().told : cases.back().text) += line + "\n";
    }
  }
  ASSERT_GE(cases.size(), 30u);
  for (const Case& item : cases) {
    EXPECT_EQ(ReadText(item.text).told, item.told) << item.name;
  }
}

// `missing: null` is YAML's null, quoted it is the word; and so is a `to` that is left empty.
TEST(JobFile, ReadsLookupsWithNullsInThem) {
  const Read read = ReadText(
      Job("  streams: {r: {kafka: {topic: r}, columns: {a: text}}}\n"
          "  lookups:\n"
          "    a: {files: {path: a}, format: csv, csv: {delimiter: ;}, key: k, missing: null,\n"
          "        columns: {k: date, s: timestamp}, valid: {from: s, to: null}}\n"
          "    b: {kafka: {topics: [b], properties: {client.id: x}}, format: csv, key: [k, s],\n"
          "        columns: {s: integer, k: real}, missing: 'null'}\n"
          "  sinks: [{stream: r, console: {}}]\n"));
  EXPECT_EQ(read.told, "");
  ASSERT_EQ(read.job.lookups.size(), 2u);
  EXPECT_TRUE(read.job.streams_complete);
  const LookupSpec& a = read.job.lookups[0];
  EXPECT_EQ(a.csv.delimiter, ';');
  EXPECT_EQ(a.valid_from->text, "s");
  EXPECT_FALSE(a.valid_to || a.missing_is_dead_letter);
  const LookupSpec& b = read.job.lookups[1];
  EXPECT_EQ(std::get<KafkaSourceSpec>(b.input).properties.at("client.id"), "x");
  EXPECT_EQ(b.csv.fields, (std::vector<std::string>{"s", "k"}));
  EXPECT_EQ(b.key[1].text, "s");
  EXPECT_FALSE(b.missing_is_dead_letter);
}

TEST(JobFile, ReadsTheDocumentedExample) {
  const Read read = ReadText(DocumentedExample());
  EXPECT_EQ(read.told, "");
  const JobSpec& job = read.job;
  EXPECT_EQ(job.name, "smoke-detection");
  EXPECT_EQ(job.checkpoint.interval, seconds(5));
  EXPECT_EQ(job.checkpoint.timeout, minutes(2));
  EXPECT_EQ(job.checkpoint.retain, 5);
  EXPECT_EQ(job.checkpoint.outbox_bytes_max, int64_t{4} << 30);
  EXPECT_EQ(job.state_memory_bytes, int64_t{2} << 30);
  EXPECT_EQ(job.sink_shards, 8);
  EXPECT_EQ(job.parallelism, 2);
  EXPECT_EQ(job.restart.attempts, 5);
  EXPECT_EQ(job.restart.within, minutes(20));
  EXPECT_EQ(job.restart.backoff_min, seconds(1));
  EXPECT_EQ(job.restart.backoff_max, seconds(30));
  EXPECT_EQ(job.kafka_properties.at("bootstrap.servers"), "kafka-1:9092");
  EXPECT_EQ(job.kafka_properties.at("sasl.password"), "s3cret");
  EXPECT_EQ(job.kafka_properties.at("fetch.wait.max.ms"), "50");
  ASSERT_EQ(job.streams.size(), 3u);
  EXPECT_EQ(job.streams[0].name, "readings");
  const auto& source = std::get<SourceStreamSpec>(job.streams[0].kind);
  const auto& kafka = std::get<KafkaSourceSpec>(source.input);
  EXPECT_EQ(kafka.topics, std::vector<std::string>{"smoke_sensor_data"});
  EXPECT_EQ(kafka.start_from.kind, StartFrom::Kind::kTimestamp);
  EXPECT_EQ(FormatTimestamp(kafka.start_from.timestamp), "2026-01-31T10:00:00.000000Z");
  EXPECT_EQ(kafka.on_data_loss, OnDataLoss::kContinue);
  EXPECT_EQ(kafka.partition_discovery, seconds(30));
  ASSERT_TRUE(kafka.keyed_by);
  EXPECT_EQ(kafka.keyed_by->column.text, "device_id");
  EXPECT_EQ(kafka.keyed_by->partitions, 12);
  EXPECT_EQ(kafka.keyed_by->partitioner, Partitioner::kCrc32);
  ASSERT_EQ(source.columns.size(), 4u);
  EXPECT_EQ(source.columns[0].field, (Field{"device_id", Type::kText, "", false}));
  EXPECT_EQ(source.columns[1].timestamp_unit, TimestampUnit::kMillis);
  EXPECT_EQ(source.columns[2].field, (Field{"temperature", Type::kDouble, "Cel", false}));
  EXPECT_EQ(source.columns[2].from, "Temperature[C]");
  EXPECT_TRUE(source.columns[2].accept_text);
  EXPECT_FALSE(source.columns[3].accept_text);
  ASSERT_TRUE(source.event_time);
  EXPECT_EQ(source.event_time->column, "observed_at");
  EXPECT_EQ(source.event_time->max_delay, minutes(10));
  EXPECT_EQ(source.event_time->idle_after, seconds(45));
  EXPECT_EQ(source.event_time->max_future, minutes(5));
  const auto& history = std::get<SourceStreamSpec>(job.streams[1].kind);
  EXPECT_EQ(history.format, Format::kCsv);
  EXPECT_EQ(std::get<FilesSourceSpec>(history.input).paths,
            (std::vector<std::string>{"/data/2024", "/data/2025/*.csv"}));
  EXPECT_EQ(history.csv.null_text, "NA");
  EXPECT_THAT(std::get<QueryStreamSpec>(job.streams[2].kind).sql.text,
              testing::StartsWith("SELECT window_start, window_end, device_id,\n       avg"));
  ASSERT_EQ(job.lookups.size(), 2u);
  const LookupSpec& devices = job.lookups[0];
  EXPECT_EQ(devices.name, "devices");
  EXPECT_EQ(std::get<FilesSourceSpec>(devices.input).paths,
            std::vector<std::string>{"/fleet/devices.parquet"});
  EXPECT_EQ(devices.format, Format::kParquet);
  ASSERT_EQ(devices.columns.size(), 4u);
  EXPECT_EQ(devices.columns[2].field, (Field{"since", Type::kTimestamp, "", false}));
  ASSERT_EQ(devices.key.size(), 1u);
  EXPECT_EQ(devices.key[0].text, "device_id");
  EXPECT_EQ(devices.valid_from->text, "since");
  EXPECT_EQ(devices.valid_to->text, "until");
  EXPECT_EQ(devices.refresh, minutes(5));
  EXPECT_TRUE(devices.missing_is_dead_letter);
  const LookupSpec& rooms = job.lookups[1];
  EXPECT_EQ(std::get<KafkaSourceSpec>(rooms.input).topics, std::vector<std::string>{"rooms"});
  EXPECT_EQ(rooms.format, Format::kJson);
  EXPECT_EQ(rooms.columns[1].from, "$.place.floor");
  EXPECT_EQ(rooms.key[0].text, "room");
  EXPECT_FALSE(rooms.valid_from || rooms.valid_to || rooms.refresh);
  EXPECT_FALSE(rooms.missing_is_dead_letter);
  ASSERT_EQ(job.alerts.size(), 1u);
  EXPECT_EQ(job.alerts[0].alert, "CriticalTemperature");
  EXPECT_EQ(job.alerts[0].stream.text, "metrics");
  EXPECT_EQ(job.alerts[0].expr.text, "avg_temperature > 80");
  EXPECT_EQ(job.alerts[0].labels.at("severity").text, "critical");
  EXPECT_EQ(job.alerts[0].annotations.at("summary").text,
            "{{ avg_temperature }} on {{ device_id }}");
  ASSERT_EQ(job.sinks.size(), 5u);
  EXPECT_EQ(std::get<KafkaSinkSpec>(job.sinks[0].target).topic, "smoke_metrics");
  EXPECT_EQ(std::get<KafkaSinkSpec>(job.sinks[0].target).properties.at("linger.ms"), "5");
  const auto& record_key = std::get<KafkaSinkSpec>(job.sinks[0].target).key;
  ASSERT_EQ(record_key.size(), 2u);
  EXPECT_EQ(record_key[0].text, "device_id");
  EXPECT_EQ(record_key[1].text, "window_end");
  const auto& parquet = std::get<ParquetSinkSpec>(job.sinks[1].target);
  EXPECT_EQ(parquet.path, "/lake/smoke");
  EXPECT_EQ(parquet.partition_by, (std::vector<std::string>{"date", "device_id"}));
  EXPECT_EQ(parquet.roll_bytes, 128 << 20);
  EXPECT_EQ(parquet.roll_interval, minutes(10));
  EXPECT_TRUE(job.sinks[2].all_alerts);
  EXPECT_EQ(std::get<FilesSinkSpec>(job.sinks[2].target).format, Format::kCsv);
  EXPECT_EQ(job.sinks[2].delivery, Delivery::kExactlyOnce);
  EXPECT_EQ(std::get<KafkaSinkSpec>(job.sinks[3].target).topic, "smoke_alerts");
  EXPECT_TRUE(job.sinks[3].all_alerts);
  EXPECT_EQ(job.sinks[3].delivery, Delivery::kAtLeastOnce);
  EXPECT_EQ(std::get<ConsoleSinkSpec>(job.sinks[4].target).rows_per_second_max, 20);
  ASSERT_TRUE(job.dead_letters);
  EXPECT_EQ(std::get<KafkaSinkSpec>(job.dead_letters->target).topic, "smoke_dead_letters");
}

TEST(JobFile, HowCsvIsWritten) {
  const Read read = ReadText(R"(apiVersion: millrace.dev/v1
kind: StreamJob
metadata: {name: csv}
spec:
  kafka: {properties: {bootstrap.servers: b}}
  streams:
    own:
      kafka: {topic: a}
      format: csv
      columns: {b: {type: json, from: Second}, a: text}
    told:
      kafka: {topic: b}
      format: csv
      csv: {delimiter: "\t", quote: none, fields: [x, y z], rest: true, null_text: NA}
      columns: {a: {type: text, from: y z}}
    packs:
      kafka: {topic: c}
      format: senml
      columns: {v: {type: double, accept_text: true}}
  sinks:
    - {stream: own, console: {}}
)");
  EXPECT_EQ(read.told, "");
  const auto source = [&](size_t index) -> const SourceStreamSpec& {
    return std::get<SourceStreamSpec>(read.job.streams[index].kind);
  };
  // Without fields: the columns, in their order.
  EXPECT_EQ(source(0).csv.fields, (std::vector<std::string>{"Second", "a"}));
  EXPECT_EQ(source(0).csv.delimiter, ',');
  EXPECT_EQ(source(0).csv.quote, '"');
  EXPECT_FALSE(source(0).csv.rest);
  EXPECT_EQ(source(0).columns[0].field.type, Type::kJson);
  EXPECT_EQ(source(1).csv.fields, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(source(1).csv.delimiter, '\t');
  EXPECT_EQ(source(1).csv.quote, std::nullopt);
  EXPECT_TRUE(source(1).csv.rest);
  EXPECT_EQ(source(1).csv.null_text, "NA");
  EXPECT_EQ(source(2).format, Format::kSenml);
  EXPECT_TRUE(source(2).columns[0].accept_text);
}

TEST(JobFile, DefaultsAreTheSpecs) {
  const Read read = ReadText(
      Job("  streams:\n    r: {kafka: {topic: raw}, columns: {a: double, t: timestamp},\n"
          "        event_time: {column: t, max_delay: 0}}\n"
          "  sinks:\n    - {stream: r, parquet: {path: out}}\n    - {stream: r, console: {}}\n"));
  EXPECT_EQ(read.told, "");
  EXPECT_EQ(read.job.checkpoint.interval, seconds(1));
  EXPECT_EQ(read.job.checkpoint.timeout, minutes(10));
  EXPECT_EQ(read.job.checkpoint.retain, 3);
  EXPECT_EQ(read.job.checkpoint.outbox_bytes_max, int64_t{1} << 30);
  EXPECT_EQ(read.job.state_memory_bytes, int64_t{1} << 30);
  EXPECT_EQ(read.job.sink_shards, 4);
  EXPECT_EQ(read.job.sinks[0].delivery, Delivery::kExactlyOnce);
  EXPECT_FALSE(read.job.parallelism);
  EXPECT_EQ(read.job.restart.attempts, 10);
  EXPECT_EQ(read.job.restart.within, minutes(10));
  EXPECT_EQ(read.job.restart.backoff_min, milliseconds(500));
  EXPECT_EQ(read.job.restart.backoff_max, minutes(1));
  EXPECT_FALSE(read.job.dead_letters);
  const auto& source = std::get<SourceStreamSpec>(read.job.streams[0].kind);
  EXPECT_EQ(source.format, Format::kJson);
  EXPECT_EQ(source.columns[0].from, "a");
  EXPECT_EQ(source.event_time->max_delay, Micros(0));
  EXPECT_EQ(source.event_time->idle_after, seconds(30));
  EXPECT_FALSE(source.event_time->max_future);
  const auto& kafka = std::get<KafkaSourceSpec>(source.input);
  EXPECT_EQ(kafka.start_from.kind, StartFrom::Kind::kEarliest);
  EXPECT_EQ(kafka.on_data_loss, OnDataLoss::kFail);
  EXPECT_EQ(kafka.partition_discovery, seconds(10));
  const auto& parquet = std::get<ParquetSinkSpec>(read.job.sinks[0].target);
  EXPECT_EQ(parquet.roll_bytes, 64 << 20);
  EXPECT_EQ(parquet.roll_interval, minutes(1));
  EXPECT_EQ(std::get<ConsoleSinkSpec>(read.job.sinks[1].target).rows_per_second_max, 50);
}

TEST(JobFile, ParallelismByItselfNoRestartsAndOneKeyColumn) {
  const Read read =
      ReadText(Job("  parallelism: auto\n"
                   "  restart: {attempts: 0, backoff_min: 1m}\n"
                   "  streams: {r: {kafka: {topic: raw}, columns: {a: double}}}\n"
                   "  sinks: [{stream: r, kafka: {topic: out, key: a}}]\n"));
  EXPECT_EQ(read.told, "");
  EXPECT_FALSE(read.job.parallelism);
  EXPECT_EQ(read.job.restart.attempts, 0);
  EXPECT_EQ(read.job.restart.backoff_min, minutes(1));
  const auto& key = std::get<KafkaSinkSpec>(read.job.sinks[0].target).key;
  ASSERT_EQ(key.size(), 1u);
  EXPECT_EQ(key[0].text, "a");
  EXPECT_EQ(key[0].place, (SourcePlace{8, 48}));
}

TEST(JobFile, OffsetsSizesMergesAndSecrets) {
  const Read read =
      ReadText(Job("  checkpoint: {interval: 200ms}\n"
                   "  kafka: {properties: &shared {sasl.username: '${env:USER_NAME}', debug: ''}}\n"
                   "  streams:\n"
                   "    r:\n"
                   "      kafka:\n"
                   "        topics: [a, 'b-${env:USER_NAME}']\n"
                   "        start_from: {offsets: {0: 12, 7: 9007199254740993}}\n"
                   "        properties: {<<: *shared, check.crcs: true}\n"
                   "      columns: {a: int8}\n"
                   "  sinks:\n"
                   "    - {stream: r, files: {path: out, roll_bytes: 16KiB, roll_interval: 1s}}\n"
                   "    - {stream: r, parquet: {path: out2, roll_bytes: 4096}}\n"
                   "  dead_letters: {files: {path: '/dead/${env:USER_NAME}'}}\n"));
  EXPECT_EQ(read.told, "");
  EXPECT_EQ(read.job.checkpoint.interval, milliseconds(200));
  EXPECT_EQ(read.job.checkpoint.timeout, minutes(10));
  const auto& source = std::get<SourceStreamSpec>(read.job.streams[0].kind);
  const auto& kafka = std::get<KafkaSourceSpec>(source.input);
  EXPECT_EQ(kafka.topics, (std::vector<std::string>{"a", "b-ada"}));
  EXPECT_EQ(kafka.start_from.offsets, (std::map<int32_t, int64_t>{{0, 12}, {7, 9007199254740993}}));
  EXPECT_EQ(kafka.properties,
            (std::map<std::string, std::string>{
                {"sasl.username", "ada"}, {"debug", ""}, {"check.crcs", "true"}}));
  EXPECT_EQ(std::get<FilesSinkSpec>(read.job.sinks[0].target).roll_bytes, 16384);
  EXPECT_EQ(std::get<ParquetSinkSpec>(read.job.sinks[1].target).roll_bytes, 4096);
  EXPECT_EQ(std::get<FilesSinkSpec>(read.job.dead_letters->target).path, "/dead/ada");
}

// The place of the first `needle` in the query of a job whose stream says `sql_yaml`.
SourcePlace PlaceInSql(const std::string& sql_yaml, const std::string& needle) {
  const Read read = ReadText(Job("  streams:\n    q:\n      sql: " + sql_yaml +
                                 "\n  sinks:\n    - {stream: q, console: {}}\n"));
  EXPECT_EQ(read.told, "");
  const PlacedText& sql = std::get<QueryStreamSpec>(read.job.streams.at(0).kind).sql;
  const size_t offset = sql.text.find(needle);
  EXPECT_NE(offset, std::string::npos) << sql.text;
  return sql.PlaceAt(offset);
}

TEST(JobFile, PlacesInsideEveryKindOfText) {
  // `sql:` stands on line 7, its value from column 12.
  EXPECT_EQ(PlaceInSql("SELECT x FROM r", "x"), (SourcePlace{7, 19}));
  EXPECT_EQ(PlaceInSql("!!str SELECT x FROM r", "x"), (SourcePlace{7, 25}));
  EXPECT_EQ(PlaceInSql("|\n        SELECT a,\n               \u00e9, x\n", "x"),
            (SourcePlace{9, 19}));
  EXPECT_EQ(PlaceInSql("&q |2-\n          SELECT x", "SELECT"), (SourcePlace{8, 11}));
  EXPECT_EQ(PlaceInSql("|\n\n          SELECT\n          x", "x"), (SourcePlace{10, 11}));
  EXPECT_EQ(PlaceInSql(">\n        SELECT a,\n        x\n\n        FROM r", "x"),
            (SourcePlace{9, 9}));
  EXPECT_EQ(PlaceInSql(">\n        SELECT a,\n        x\n\n        FROM r", "FROM"),
            (SourcePlace{11, 9}));
  EXPECT_EQ(PlaceInSql("SELECT a,\n        x FROM\n          r", "x FROM"), (SourcePlace{8, 9}));
  EXPECT_EQ(PlaceInSql("SELECT a,\n        x FROM\n          r", "r"), (SourcePlace{9, 11}));
  EXPECT_EQ(PlaceInSql("'SELECT ''a'', x FROM r'", "x"), (SourcePlace{7, 27}));
  EXPECT_EQ(PlaceInSql("\"SELECT \\\"a\\\",\\n\\u00e9, x\"", "x"), (SourcePlace{7, 36}));
  EXPECT_EQ(PlaceInSql("\"SELECT a, \\\n          x\"", "x"), (SourcePlace{8, 11}));
}

TEST(JobFile, AcceptsAByteOrderMarkAndWindowsLines) {
  EXPECT_EQ(ReadText("\xEF\xBB\xBF" + Job("  streams:\r\n    q: {sql: SELECT 1}\r\n  sinks:\r\n"
                                          "    - {stream: q, console: {}}\r\n"))
                .told,
            "");
  EXPECT_EQ(ReadText("\xEF\xBB\xBFkind: X\n").told.substr(0, 23), "job.yaml:1:2: error: 'a");
}

TEST(JobFile, LimitsHold) {
  EXPECT_EQ(ReadText(std::string((1 << 20) + 1, '#')).told,
            "job.yaml: error: the file has 1048577 bytes; at most 1 MiB is read\n");
  EXPECT_EQ(ReadText("a: b\nc: \xFF\n").told.substr(0, 73),
            "job.yaml:2:4: error: expected UTF-8 text without control characters\n     ");
  EXPECT_EQ(ReadText("a: \"\x04\"\n").told.substr(0, 20), "job.yaml:1:5: error:");
  const std::string deep = "a: " + std::string(64, '[') + std::string(64, ']');
  EXPECT_THAT(ReadText(deep).told, testing::StartsWith("job.yaml:1:67: error: nested deeper"));
  EXPECT_THAT(ReadText("a: " + std::string(1'000'000, '[')).told,
              testing::HasSubstr(": error: nested deeper than 64 levels\n"));
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    laughs += name + ": &" + name + " [" + alias;
    for (int k = 1; k < 10; ++k) laughs += ", " + alias;
    laughs += "]\n";
  }
  EXPECT_THAT(ReadText(laughs).told,
              testing::HasSubstr("error: aliases make more than 8 MiB of this file\n"));
  std::string streams;
  for (int i = 0; i < 2001; ++i) streams += "    s" + std::to_string(i) + ": {sql: SELECT 1}\n";
  EXPECT_THAT(ReadText(Job("  streams:\n" + streams)).told,
              testing::HasSubstr("error: a map has at most 2000 keys, found 2001\n"));
}

// Every prefix of the example and thousands of small changes to it are read without harm; what is
// told lies inside the file.
TEST(JobFile, MutatedFilesAreTold) {
  const std::string example = DocumentedExample();
  const auto check = [](const std::string& text) {
    Diagnostics diagnostics("job.yaml", text);
    ReadJobFile(TestSecrets(), &diagnostics);
    const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
    for (const Diagnostic& item : diagnostics.items()) {
      ASSERT_GE(item.place.line, 0) << text;
      ASSERT_LE(item.place.line, lines) << text;
      ASSERT_EQ(item.message.find('\n'), std::string::npos) << item.message;
    }
    diagnostics.Render();
  };
  for (size_t size = 0; size < example.size(); ++size) check(example.substr(0, size));
  constexpr int kMutations = 3000;
  std::mt19937 random(20260131);
  const std::string_view letters =
      "{}[]:,-&*!|>'\"%@`#?<~ \n\t\\$\xC3\x01"
      "0a";
  for (int round = 0; round < kMutations; ++round) {
    std::string text = example;
    for (int change = 0; change <= round % 4; ++change) {
      const size_t at = random() % text.size();
      const char letter = letters[random() % letters.size()];
      switch (random() % 4) {
        case 0:
          text[at] = letter;
          break;
        case 1:
          text.insert(at, 1 + random() % 3, letter);
          break;
        case 2:
          text.erase(at, 1 + random() % 20);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), 30));
          break;
      }
    }
    check(text);
  }
}

// A quarter of a mebibyte of what parsers are slow or recursive at. That each ends at all, within
// the time that the whole test has, is what is asserted, and that it is told.
TEST(JobFile, HostileFilesAreTold) {
  for (const char* pattern :
       {"[",    "{",     "- ",     "? ",      "a: ",  "a: {",  "&a ",   "!a ",   "[a, ",
        "{a: ", "'",     "\"a\" ", "*a ",     "- - ", "a\n",   "- a\n", "? a\n", "-\n",
        "a:\n", "[a]: ", "# \n",   "|\n",     "a b ", "---\n", "%A\n",  "{? ",   "[? ",
        ": ",   "- ? ",  "{a: [",  "\"\\x41", "\t",   ","}) {
    std::string text;
    while (text.size() + std::strlen(pattern) < (1 << 18)) text += pattern;
    Diagnostics diagnostics("job.yaml", text);
    ReadJobFile(TestSecrets(), &diagnostics);
    EXPECT_TRUE(diagnostics.has_errors()) << pattern;
  }
}

TEST(SystemSecrets, ReadsEnvironmentAndFiles) {
  const SecretLookup secrets = SystemSecrets();
  const std::string path = testing::TempDir() + "/millrace_model_secret";
  std::ofstream(path) << "s3cret\r\n";
  EXPECT_EQ(secrets.file(path), "s3cret");
  std::filesystem::remove(path);
  EXPECT_EQ(secrets.file(path), std::nullopt);
  EXPECT_EQ(secrets.file(testing::TempDir()), std::nullopt);
  ::setenv("MILLRACE_MODEL_TEST", "set", 1);
  EXPECT_EQ(secrets.env("MILLRACE_MODEL_TEST"), "set");
  ::unsetenv("MILLRACE_MODEL_TEST");
  EXPECT_EQ(secrets.env("MILLRACE_MODEL_TEST"), std::nullopt);
}

}  // namespace
}  // namespace millrace
