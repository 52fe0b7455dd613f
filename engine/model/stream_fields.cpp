#include "engine/model/stream_fields.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "engine/model/csv_fields.h"
#include "engine/model/json_path.h"
#include "engine/model/kafka_fields.h"

namespace millrace {
namespace {

// In the order of Format; tables have the first three.
const std::vector<std::string> kFormats = {"json", "csv", "parquet", "senml"};
const std::vector<std::string> kTimestampUnits = {"iso8601", "seconds", "millis", "micros",
                                                  "nanos"};

// "Temperature[C]" becomes "temperature_c": a name to suggest. Empty beyond ASCII.
std::string FoldedName(std::string_view name) {
  std::string folded;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) return "";
    if (std::isalnum(byte)) {
      folded += char(std::tolower(byte));
    } else if (!folded.empty() && folded.back() != '_') {
      folded += '_';
    }
  }
  while (!folded.empty() && folded.back() == '_') folded.pop_back();
  if (!folded.empty() && std::isdigit(static_cast<unsigned char>(folded[0]))) folded.insert(0, "_");
  return folded;
}

std::optional<Type> ReadColumnType(const JobFileContext& context, const YamlNode& node) {
  const auto text = ReadText(context, node, "a type: " + OneOf(ColumnTypeNames()));
  if (!text) return std::nullopt;
  const std::optional<Type> type = TypeFromName(*text);
  if (type && *type != Type::kInterval) return type;
  std::string hint = Nearest(*text, ColumnTypeNames());
  hint = hint.empty() ? "known: " + OneOf(ColumnTypeNames()) : "did you mean '" + hint + "'?";
  context.Error(node.place, "unknown column type " + Quoted(*text), hint);
  return std::nullopt;
}

bool IsJson(Format format) { return format == Format::kJson || format == Format::kSenml; }

// What a column says beyond its type, and whether that goes with its type and the format.
void ReadColumnOptions(const JobFileContext& context, const MapFields& fields, Format format,
                       SourceColumn* column) {
  if (const YamlEntry* entry = fields.Find("from")) {
    Assign(ReadText(context, *entry->value), &column->from);
    if (IsJson(format)) {
      std::string error;
      ParseJsonPath(column->from, &error);
      if (!error.empty()) {
        context.Error(entry->value->place, Quoted(column->from) + " is no path: " + error,
                      "write $.key, $['any key'] or $.list[0]");
      }
    }
  }
  if (const YamlEntry* entry = fields.Find("unit")) {
    Assign(ReadText(context, *entry->value, "a unit such as Cel"), &column->field.unit);
  }
  const bool is_timestamp = column->field.type == Type::kTimestamp;
  if (const YamlEntry* entry = fields.Find("timestamp")) {
    if (!is_timestamp) {
      context.Error(entry->place, "'timestamp' goes with columns of type timestamp only");
    } else if (auto unit = ReadChoice(context, *entry->value, kTimestampUnits)) {
      column->timestamp_unit = TimestampUnit(*unit);
    }
  }
  if (const YamlEntry* entry = fields.Find("accept_text")) {
    const bool is_text = IsTextual(column->field.type) || column->field.type == Type::kDate ||
                         (is_timestamp && column->timestamp_unit == TimestampUnit::kIso8601);
    if (!IsJson(format)) {
      context.Error(entry->place, "'accept_text' goes with formats json and senml only");
    } else if (is_text) {
      context.Error(entry->place, "'accept_text' goes with numbers and booleans only");
    } else {
      Assign(ReadBoolean(context, *entry->value), &column->accept_text);
    }
  }
}

std::optional<SourceColumn> ReadColumn(const JobFileContext& context, const YamlEntry& entry,
                                       Format format) {
  std::string hint;
  if (const std::string folded = FoldedName(entry.key); !folded.empty()) {
    hint = "name it " + Quoted(folded) + " and say from: " + Quoted(entry.key);
  }
  bool good = CheckSqlName(context, entry.place, entry.key, "column name", hint);
  SourceColumn column;
  column.field.name = entry.key;
  column.from = entry.key;
  column.place = entry.place;
  std::optional<Type> type;
  if (entry.value->kind == YamlNode::Kind::kMap) {
    const MapFields fields(context, *entry.value, entry.place, "column " + Quoted(entry.key),
                           {"type", "from", "unit", "timestamp", "accept_text"});
    if (const YamlEntry* found = fields.Require("type")) {
      type = ReadColumnType(context, *found->value);
    }
    column.field.type = type.value_or(Type::kText);
    if (type) ReadColumnOptions(context, fields, format, &column);
  } else {
    type = ReadColumnType(context, *entry.value);
    column.field.type = type.value_or(Type::kText);
  }
  // A column of a wrong type still exists: nothing that names it is told as well.
  if (!good) return std::nullopt;
  return column;
}

std::vector<SourceColumn> ReadColumns(const JobFileContext& context, const YamlEntry& entry,
                                      Format format) {
  std::vector<SourceColumn> columns;
  std::map<std::string, const YamlEntry*> from;
  for (const YamlEntry& item : ReadMap(context, *entry.value, "a map of columns")) {
    std::optional<SourceColumn> column = ReadColumn(context, item, format);
    if (!column) continue;
    const auto [first, inserted] = from.emplace(column->from, &item);
    if (!inserted) {
      context.Error(item.place, "columns " + Quoted(first->second->key) + " and " +
                                    Quoted(item.key) + " both read " + Quoted(column->from));
    }
    columns.push_back(std::move(*column));
  }
  return columns;
}

void CheckEventTimeColumn(const JobFileContext& context, const YamlNode& node,
                          const std::string& name, const SourceStreamSpec& spec) {
  std::vector<std::string> timestamps;
  for (const SourceColumn& column : spec.columns) {
    if (column.field.type == Type::kTimestamp) timestamps.push_back(column.field.name);
    if (column.field.name != name || column.field.type == Type::kTimestamp) continue;
    context.Error(node.place, "the column of event time must be a timestamp; '" + name + "' is " +
                                  std::string(TypeName(column.field.type)));
    return;
  }
  for (const std::string& timestamp : timestamps) {
    if (timestamp == name) return;
  }
  context.Error(node.place, "there is no column " + Quoted(name), Suggest(name, timestamps));
}

// Columns by which rows can be told apart, each once.
std::vector<PlacedText> ReadKeyColumns(const JobFileContext& context, const YamlNode& node,
                                       const SourceStreamSpec& source) {
  std::vector<PlacedText> key;
  std::vector<std::string> names;
  for (const SourceColumn& column : source.columns) names.push_back(column.field.name);
  const auto read = [&](const YamlNode& item) {
    std::optional<PlacedText> name = ReadPlacedText(context, item, "the name of a column");
    if (!name) return;
    const auto column = std::ranges::find(names, name->text);
    if (!names.empty() && column == names.end()) {
      context.Error(item.place, "there is no column " + Quoted(name->text),
                    Suggest(name->text, names));
    } else if (std::ranges::find(key, name->text, &PlacedText::text) != key.end()) {
      context.Error(item.place, Quoted(name->text) + " is in the key already");
    } else if (!names.empty() &&
               source.columns[size_t(column - names.begin())].field.type == Type::kJson) {
      context.Error(item.place, "a column of type json cannot be a key");
    } else {
      key.push_back(std::move(*name));
    }
  };
  if (node.kind == YamlNode::Kind::kList) {
    for (const YamlNode* item : ReadList(context, node, "a list of columns")) read(*item);
  } else {
    read(node);
  }
  return key;
}

std::optional<PerKeySpec> ReadPerKey(const JobFileContext& context, const YamlEntry& entry,
                                     const SourceStreamSpec& source) {
  PerKeySpec spec;
  spec.place = entry.place;
  const MapFields fields(context, *entry.value, entry.place, "'per_key'", {"key", "offline_for"});
  if (!fields.is_map()) return std::nullopt;
  if (const YamlEntry* found = fields.Require("key")) {
    spec.key = ReadKeyColumns(context, *found->value, source);
  }
  if (const YamlEntry* found = fields.Require("offline_for")) {
    Assign(ReadDuration(context, *found->value, std::chrono::milliseconds(1), kLongestDuration),
           &spec.offline_for);
  }
  return spec;
}

EventTimeSpec ReadEventTime(const JobFileContext& context, const YamlEntry& entry,
                            const SourceStreamSpec& source) {
  EventTimeSpec spec;
  spec.place = entry.place;
  const MapFields fields(context, *entry.value, entry.place, "'event_time'",
                         {"column", "max_delay", "idle_after", "max_future", "per_key"});
  if (const YamlEntry* found = fields.Require("column")) {
    if (auto name = ReadText(context, *found->value, "the name of a column")) {
      spec.column = *name;
      if (!source.columns.empty()) {
        CheckEventTimeColumn(context, *found->value, *name, source);
      }
    }
  }
  if (const YamlEntry* found = fields.Require("max_delay")) {
    Assign(ReadDuration(context, *found->value, Micros(0), kLongestDuration), &spec.max_delay);
  }
  if (const YamlEntry* found = fields.Find("idle_after")) {
    Assign(ReadDuration(context, *found->value, std::chrono::milliseconds(100), kLongestDuration),
           &spec.idle_after);
  }
  if (const YamlEntry* found = fields.Find("per_key")) {
    spec.per_key = ReadPerKey(context, *found, source);
  }
  if (const YamlEntry* found = fields.Find("max_future")) {
    if (std::holds_alternative<FilesSourceSpec>(source.input)) {
      context.Error(found->place,
                    "'max_future' goes with Kafka only: rows of files have no record "
                    "timestamp to hold it against");
    } else {
      spec.max_future = ReadDuration(context, *found->value, Micros(0), kLongestDuration);
    }
  }
  return spec;
}

std::optional<PlacedDuration> ReadPlacedDuration(const JobFileContext& context,
                                                 const YamlEntry& entry, Micros min, Micros max) {
  const std::optional<Micros> value = ReadDuration(context, *entry.value, min, max);
  if (!value) return std::nullopt;
  return PlacedDuration{*value, entry.place};
}

std::optional<FilesSourceSpec> ReadFilesSource(const JobFileContext& context,
                                               const YamlEntry& entry, Format format,
                                               CsvSpec* csv) {
  static const std::vector<std::string> keys = {"paths", "path"};
  FilesSourceSpec spec;
  const MapFields fields(context, *entry.value, entry.place, "'files'",
                         {"path", "paths", "null_text"});
  if (!fields.is_map()) return std::nullopt;
  if (const YamlEntry* found = fields.RequireOneOf(keys)) {
    if (found->key == "path") {
      if (auto path = ReadLocalPath(context, *found->value)) spec.paths.push_back(*path);
    } else {
      for (const YamlNode* item : ReadList(context, *found->value, "a list of paths")) {
        if (auto path = ReadLocalPath(context, *item)) spec.paths.push_back(*path);
      }
    }
  }
  if (const YamlEntry* found = fields.Find("null_text")) {
    if (format != Format::kCsv) {
      context.Error(found->place, "'null_text' goes with format csv only");
    } else {
      Assign(ReadText(context, *found->value), &csv->null_text);
    }
  }
  return spec;
}

Format ReadSourceFormat(const JobFileContext& context, const MapFields& fields, bool is_kafka,
                        SourceUse use) {
  const YamlEntry* entry = is_kafka ? fields.Find("format") : fields.Require("format");
  if (entry == nullptr) return Format::kJson;
  const auto known = std::span(kFormats).first(use == SourceUse::kTable ? 3 : 4);
  const auto choice = ReadChoice(context, *entry->value, known);
  if (!choice) return Format::kJson;
  if (is_kafka && Format(*choice) == Format::kParquet) {
    context.Error(entry->value->place, "parquet cannot be read from Kafka",
                  use == SourceUse::kTable ? "known: json or csv" : "known: json, csv or senml");
  }
  return Format(*choice);
}

// A record's key is text.
void CheckKeyedBy(const JobFileContext& context, const PlacedText& name,
                  const SourceStreamSpec& source) {
  std::vector<std::string> texts;
  for (const SourceColumn& column : source.columns) {
    if (column.field.type == Type::kText) texts.push_back(column.field.name);
    if (column.field.name != name.text) continue;
    if (column.field.type == Type::kText) return;
    context.Error(name.place, "a topic is keyed by a text, and column " + Quoted(name.text) +
                                  " has type " + std::string(TypeName(column.field.type)));
    return;
  }
  context.Error(name.place, "there is no column " + Quoted(name.text), Suggest(name.text, texts));
}

void ReadSource(const JobFileContext& context, const MapFields& fields, const YamlEntry& input,
                SourceStreamSpec* spec) {
  ReadSourceInput(context, fields, input, SourceUse::kStream, spec);
  const auto* const kafka = std::get_if<KafkaSourceSpec>(&spec->input);
  if (kafka != nullptr && kafka->keyed_by.has_value() && !kafka->keyed_by->column.text.empty() &&
      !spec->columns.empty()) {
    CheckKeyedBy(context, kafka->keyed_by->column, *spec);
  }
  if (const YamlEntry* entry = fields.Find("event_time")) {
    spec->event_time = ReadEventTime(context, *entry, *spec);
  }
}

}  // namespace

void ReadSourceInput(const JobFileContext& context, const MapFields& fields, const YamlEntry& input,
                     SourceUse use, SourceStreamSpec* spec) {
  const bool is_kafka = input.key == "kafka";
  spec->format = ReadSourceFormat(context, fields, is_kafka, use);
  const YamlEntry* const csv = fields.Find("csv");
  if (csv != nullptr && spec->format != Format::kCsv) {
    context.Error(csv->place, "'csv' goes with format csv only");
  } else if (csv != nullptr) {
    spec->csv = ReadCsv(context, *csv);
  }
  if (is_kafka) {
    spec->input = (use == SourceUse::kTable ? ReadKafkaTable(context, input)
                                            : ReadKafkaSource(context, input))
                      .value_or(KafkaSourceSpec{});
  } else {
    spec->input =
        ReadFilesSource(context, input, spec->format, &spec->csv).value_or(FilesSourceSpec{});
  }
  if (const YamlEntry* entry = fields.Require("columns")) {
    spec->columns = ReadColumns(context, *entry, spec->format);
  }
  if (spec->format == Format::kCsv) {
    SettleCsvFields(context, csv == nullptr ? input.place : csv->place, spec);
  }
}

std::optional<std::string> ReadLocalPath(const JobFileContext& context, const YamlNode& node) {
  const auto path = ReadResolvedText(context, node, "a path");
  if (!path) return std::nullopt;
  if (path->empty() || path->find('\0') != std::string::npos) {
    context.Error(node.place, Quoted(node.text) + " is not a path");
    return std::nullopt;
  }
  const size_t scheme = path->find("://");
  if (scheme == std::string::npos) return path;
  context.Error(node.place,
                Quoted(path->substr(0, scheme + 3)) + " is not supported by this version",
                "give the path of a local file or folder");
  return std::nullopt;
}

std::optional<StreamSpec> ReadStream(const JobFileContext& context, const YamlEntry& entry) {
  static const std::vector<std::string> kinds = {"kafka", "files", "sql"};
  StreamSpec stream;
  stream.name = entry.key;
  stream.place = entry.place;
  CheckSqlName(context, entry.place, entry.key, "stream name");
  const MapFields fields(context, *entry.value, entry.place, "stream " + Quoted(entry.key),
                         {"kafka", "files", "sql", "format", "csv", "columns", "event_time",
                          "allowed_lateness", "emit", "panes_of", "accept_delay"});
  if (!fields.is_map()) return std::nullopt;
  const YamlEntry* kind = fields.RequireOneOf(kinds);
  if (kind == nullptr) return stream;
  if (kind->key != "sql") {
    for (const char* key : {"allowed_lateness", "emit", "panes_of"}) {
      if (const YamlEntry* found = fields.Find(key)) {
        context.Error(found->place, "'" + found->key + "' goes with 'sql' over a window only");
      }
    }
    if (const YamlEntry* found = fields.Find("accept_delay")) {
      context.Error(found->place, "'accept_delay' goes with 'sql' only");
    }
    SourceStreamSpec source;
    ReadSource(context, fields, *kind, &source);
    stream.kind = std::move(source);
    return stream;
  }
  for (const char* key : {"format", "csv", "columns", "event_time"}) {
    if (const YamlEntry* found = fields.Find(key)) {
      context.Error(found->place, "'" + found->key + "' does not go with 'sql'");
    }
  }
  QueryStreamSpec query;
  Assign(ReadPlacedText(context, *kind->value, "a query in SQL"), &query.sql);
  if (const YamlEntry* found = fields.Find("allowed_lateness")) {
    query.allowed_lateness = ReadPlacedDuration(context, *found, Micros(0), kLongestDuration);
  }
  if (const YamlEntry* found = fields.Find("emit")) {
    const MapFields emit(context, *found->value, found->place, "'emit'", {"changes_every"});
    if (const YamlEntry* every = emit.is_map() ? emit.Require("changes_every") : nullptr) {
      query.changes_every =
          ReadPlacedDuration(context, *every, std::chrono::milliseconds(100), std::chrono::days(1));
    }
  }
  if (const YamlEntry* found = fields.Find("panes_of")) {
    query.panes_of = ReadPlacedText(context, *found->value, "the name of a stream");
  }
  if (const YamlEntry* found = fields.Find("accept_delay")) {
    if (ReadBoolean(context, *found->value).value_or(false)) query.accept_delay = found->place;
  }
  stream.kind = std::move(query);
  return stream;
}

}  // namespace millrace
