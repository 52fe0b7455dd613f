// A job as its file says it, checked for form but not yet planned: what docs/job-file.md describes.
// Read by ReadJobFile (job_file.h). SQL stands here as text with its place; engine/plan binds it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/diagnostics.h"
#include "engine/base/time.h"
#include "engine/model/types.h"

namespace millrace {

// Text of the job file with where it stands. A block scalar (`sql: |`) keeps its line structure:
// line n of the text is line place.line + n of the file (place.line: the first line of the text),
// each indented by place.column - 1 characters. Other scalars (folded, quoted with escapes, plain
// over several lines) list where text and file part: `pieces`, in order of their offsets.
struct PlacedText {
  struct Piece {
    size_t offset = 0;  // the first byte of the text that stands at `place`
    SourcePlace place;
  };
  std::string text;
  SourcePlace place;
  std::vector<Piece> pieces = {};
  // The place in the file of byte `offset` of the text.
  SourcePlace PlaceAt(size_t offset) const;
};

// Where reading starts when no offset is committed.
struct StartFrom {
  enum class Kind { kEarliest, kLatest, kTimestamp, kOffsets };
  Kind kind = Kind::kEarliest;
  EventTime timestamp{};               // kTimestamp: first record at or after it
  std::map<int32_t, int64_t> offsets;  // kOffsets: partition -> offset; others earliest
};

enum class OnDataLoss { kFail, kContinue };

// How a topic's producers choose the partition of a record's key.
// PartitionerNames() has their names, in this order.
enum class Partitioner {
  kMurmur2,  // Java's client, and what is built on it
  kCrc32,    // librdkafka's `consistent` and `consistent_random`
  kFnv1a,
};

// kafka.keyed_by: a record's key is the text of `column`, and its partition is what `partitioner`
// makes of it. Says where the work is best done; results do not depend on whether it is true.
struct KeyedBySpec {
  PlacedText column;
  int32_t partitions = 0;
  Partitioner partitioner = Partitioner::kMurmur2;
};

struct KafkaSourceSpec {
  std::vector<std::string> topics;
  // librdkafka's own properties, passed through. bootstrap.servers is here or comes from
  // --brokers / spec.kafka.
  std::map<std::string, std::string> properties;
  StartFrom start_from;
  OnDataLoss on_data_loss = OnDataLoss::kFail;
  Micros partition_discovery = std::chrono::seconds(10);
  std::optional<KeyedBySpec> keyed_by = {};
};

struct FilesSourceSpec {
  // Local files, folders (every file in them with the format's ending, by name) or globs.
  std::vector<std::string> paths;
};

enum class Format { kJson, kCsv, kParquet, kSenml };

// How CSV is written.
struct CsvSpec {
  char delimiter = ',';
  std::optional<char> quote = '"';  // unset: quotes mean nothing
  // The cells of a line, in order; columns are read by these names. Empty: from Kafka the columns
  // themselves, in their order; in files the first line is a header.
  std::vector<std::string> fields;
  bool rest = false;      // the last field is the rest of the line, whatever stands in it
  std::string null_text;  // cells with exactly this text are null (besides empty ones)
};

// How a timestamp column is written: ISO 8601 text, or a number since the epoch in a unit.
enum class TimestampUnit { kIso8601, kSeconds, kMillis, kMicros, kNanos };

struct SourceColumn {
  Field field;
  std::string from;  // the key in the message, the CSV header or the Parquet column
  TimestampUnit timestamp_unit = TimestampUnit::kIso8601;
  // Numbers and booleans written as JSON text ("21.5") are taken only with `accept_text: true`.
  bool accept_text = false;
  SourcePlace place;
};

// event_time.per_key: each key has a watermark of its own.
struct PerKeySpec {
  std::vector<PlacedText> key;  // columns of the source
  // A key whose watermark is this far behind the fleet's is offline: what is open of it closes.
  Micros offline_for{0};
  SourcePlace place;
};

struct EventTimeSpec {
  std::string column;
  Micros max_delay{0};
  Micros idle_after = std::chrono::seconds(30);
  std::optional<Micros> max_future;  // against the record's Kafka timestamp; unset: no check
  std::optional<PerKeySpec> per_key = {};
  SourcePlace place;
};

// spec.streams.NAME with kafka: or files:
struct SourceStreamSpec {
  std::variant<KafkaSourceSpec, FilesSourceSpec> input;
  Format format = Format::kJson;
  CsvSpec csv;  // kCsv
  std::vector<SourceColumn> columns;
  std::optional<EventTimeSpec> event_time;
};

// A duration with where it stands.
struct PlacedDuration {
  Micros value{0};
  SourcePlace place;
};

// spec.streams.NAME with sql:
struct QueryStreamSpec {
  PlacedText sql;
  // Of windows: readings that come no later than this after a window's end still count.
  std::optional<PlacedDuration> allowed_lateness = {};
  // Of windows: how often rows of open windows come out (wall time) for those who take changes.
  std::optional<PlacedDuration> changes_every = {};
  // Of windows: the stream whose panes are put together, in place of adding each reading again.
  std::optional<PlacedText> panes_of = {};
  // Grouping without the key of event_time.per_key, so late, is meant.
  std::optional<SourcePlace> accept_delay = {};
};

// A table that streams are joined with: spec.lookups.NAME with kafka: (a compacted topic) or
// files:.
struct LookupSpec {
  std::string name;
  SourcePlace place;
  std::variant<KafkaSourceSpec, FilesSourceSpec> input;
  Format format = Format::kJson;
  CsvSpec csv;  // kCsv
  std::vector<SourceColumn> columns;
  std::vector<PlacedText> key;  // columns; a key has one row, or one at a time
  // Columns between which a row is valid: from `valid_from` on, up to and without `valid_to`; null
  // there: for ever. Unset: a key has one row.
  std::optional<PlacedText> valid_from = {};
  std::optional<PlacedText> valid_to = {};
  std::optional<Micros> refresh = {};  // of files: how often they are read again; unset: never
  // What becomes of a row whose key is not in the table: by the JOIN, or a dead letter.
  bool missing_is_dead_letter = false;
};

struct StreamSpec {
  std::string name;
  SourcePlace place;
  std::variant<SourceStreamSpec, QueryStreamSpec> kind;
};

struct AlertSpec {
  std::string alert;
  SourcePlace place;
  PlacedText stream;
  PlacedText expr;
  std::map<std::string, PlacedText> labels;       // values are templates: {{ column }}
  std::map<std::string, PlacedText> annotations;  // values are templates
};

struct KafkaSinkSpec {
  std::string topic;
  std::map<std::string, std::string> properties;
  // Columns whose values are the record key, in order; empty: those that rows are grouped by, if
  // any. Of a sink that takes a stream.
  std::vector<PlacedText> key = {};
};

struct ParquetSinkSpec {
  std::string path;
  std::vector<std::string> partition_by;  // output columns, or `date` (of window_end / event time)
  int64_t roll_bytes = 64 << 20;
  Micros roll_interval = std::chrono::minutes(1);  // wall time
};

struct FilesSinkSpec {
  std::string path;
  Format format = Format::kJson;  // JSON lines or CSV
  int64_t roll_bytes = 64 << 20;
  Micros roll_interval = std::chrono::minutes(1);
};

struct ConsoleSinkSpec {
  int64_t rows_per_second_max = 50;  // more are counted and summed up in one line
};

// When rows reach a sink: once their checkpoint is complete, exactly once; or at once, so that
// after a crash some may come again (alerts to Kafka only; their id makes repeats recognisable).
enum class Delivery { kExactlyOnce, kAtLeastOnce };

// Which rows of a window a sink takes: one a group, when nothing changes it any more; or a row at
// the window's end, and others before and after whenever it has changed.
enum class SinkRows { kFinal, kChanges };

struct SinkSpec {
  SourcePlace place;
  Delivery delivery = Delivery::kExactlyOnce;
  SinkRows rows = SinkRows::kFinal;
  SourcePlace rows_place;  // where `rows` is given
  // Exactly one of: a stream by name, or all alerts.
  std::optional<PlacedText> stream;
  bool all_alerts = false;
  std::variant<KafkaSinkSpec, ParquetSinkSpec, FilesSinkSpec, ConsoleSinkSpec> target;
};

struct DeadLetterSpec {
  std::variant<KafkaSinkSpec, FilesSinkSpec> target;
  SourcePlace place;
};

struct CheckpointSpec {
  Micros interval = std::chrono::seconds(1);
  // One that is not complete after this time is given up; the next one makes up for it.
  Micros timeout = std::chrono::minutes(10);
  int64_t retain = 3;  // complete ones kept
  // Readers pause while more output than this waits to be published.
  int64_t outbox_bytes_max = int64_t(1) << 30;
};

// What a cluster does when a job fails: it starts the job again from its last checkpoint, after a
// pause that begins with `backoff_min` and doubles with each failure up to `backoff_max`. `millrace
// run` ends instead.
struct RestartSpec {
  int64_t attempts = 10;  // at most so many restarts `within`; the next failure ends the job
  Micros within = std::chrono::minutes(10);
  Micros backoff_min = std::chrono::milliseconds(500);
  Micros backoff_max = std::chrono::minutes(1);  // no less than backoff_min
};

struct JobSpec {
  std::string name;       // metadata.name; also its uid
  std::string file_name;  // as given to ReadJobFile
  CheckpointSpec checkpoint;
  // Parts of the output that are published side by side; fixed for the life of a generation.
  int32_t sink_shards = 4;
  int64_t state_memory_bytes = int64_t(1) << 30;  // of open windows and their store
  // Tasks of each keyed node, and readers of a source at most. Unset: `auto`, by the cores of the
  // process, or by a cluster's workers.
  std::optional<int32_t> parallelism;
  RestartSpec restart;
  std::map<std::string, std::string> kafka_properties;  // spec.kafka.properties: for all of the job
  std::vector<StreamSpec> streams;                      // in the file's order
  bool streams_complete = false;                        // every stream was read without a mistake
  std::vector<LookupSpec> lookups;                      // in the file's order
  std::vector<AlertSpec> alerts;
  std::vector<SinkSpec> sinks;
  std::optional<DeadLetterSpec> dead_letters;  // unset: JSON lines under the data folder
};

}  // namespace millrace
