#include "engine/model/lookup_fields.h"

#include <algorithm>

#include "engine/model/stream_fields.h"

namespace millrace {
namespace {

// The column that a text of the file names; null where there is none, which is told. Columns that
// could not be read have been told already, and nothing more is said of them.
const SourceColumn* FindColumn(const JobFileContext& context, const YamlNode& node,
                               const std::string& name, const LookupSpec& lookup) {
  std::vector<std::string> names;
  for (const SourceColumn& column : lookup.columns) {
    if (column.field.name == name) return &column;
    names.push_back(column.field.name);
  }
  if (!names.empty()) {
    context.Error(node.place, "there is no column " + Quoted(name), Suggest(name, names));
  }
  return nullptr;
}

void ReadKeyColumn(const JobFileContext& context, const YamlNode& node, LookupSpec* lookup) {
  auto name = ReadPlacedText(context, node, "the name of a column");
  if (!name) return;
  const auto same = [&](const PlacedText& other) { return other.text == name->text; };
  if (std::ranges::any_of(lookup->key, same)) {
    context.Error(node.place, "the column " + Quoted(name->text) + " is in the key twice");
    return;
  }
  const SourceColumn* const column = FindColumn(context, node, name->text, *lookup);
  if (column != nullptr && column->field.type == Type::kJson) {
    context.Error(node.place,
                  "the column " + Quoted(name->text) + " is json, which is not compared",
                  "read the part that is the key with from: $.path");
  }
  lookup->key.push_back(std::move(*name));
}

void ReadKey(const JobFileContext& context, const YamlNode& node, LookupSpec* lookup) {
  if (node.kind != YamlNode::Kind::kList) return ReadKeyColumn(context, node, lookup);
  for (const YamlNode* item : ReadList(context, node, "a column or a list of columns")) {
    ReadKeyColumn(context, *item, lookup);
  }
}

std::optional<PlacedText> ReadValidityColumn(const JobFileContext& context, const YamlNode& node,
                                             const LookupSpec& lookup) {
  auto name = ReadPlacedText(context, node, "the name of a column");
  if (!name) return std::nullopt;
  const SourceColumn* const column = FindColumn(context, node, name->text, lookup);
  if (column != nullptr && column->field.type != Type::kTimestamp) {
    context.Error(node.place, "rows are valid between timestamps; " + Quoted(name->text) + " is " +
                                  std::string(TypeName(column->field.type)));
  }
  const auto same = [&](const PlacedText& key) { return key.text == name->text; };
  if (std::ranges::any_of(lookup.key, same)) {
    context.Error(node.place, "the column " + Quoted(name->text) + " is in the key");
  }
  return name;
}

void ReadValidity(const JobFileContext& context, const YamlEntry& entry, LookupSpec* lookup) {
  const MapFields fields(context, *entry.value, entry.place, "'valid'", {"from", "to"});
  if (!fields.is_map()) return;
  if (const YamlEntry* from = fields.Require("from")) {
    lookup->valid_from = ReadValidityColumn(context, *from->value, *lookup);
  }
  const YamlEntry* const to = fields.Find("to");
  if (to == nullptr || to->value->kind == YamlNode::Kind::kNull) return;
  lookup->valid_to = ReadValidityColumn(context, *to->value, *lookup);
  if (lookup->valid_from && lookup->valid_to &&
      lookup->valid_from->text == lookup->valid_to->text) {
    context.Error(to->value->place, "'from' and 'to' are the same column");
  }
}

bool ReadMissing(const JobFileContext& context, const YamlNode& node) {
  static const std::vector<std::string> choices = {"null", "dead_letter"};
  if (node.kind == YamlNode::Kind::kNull) return false;
  return ReadChoice(context, node, choices) == size_t(1);
}

void ReadOptions(const JobFileContext& context, const MapFields& fields, bool is_kafka,
                 LookupSpec* lookup) {
  if (const YamlEntry* found = fields.Find("valid")) {
    if (is_kafka) {
      context.Error(found->place, "'valid' goes with files only",
                    "a topic holds the last row of each key");
    } else {
      ReadValidity(context, *found, lookup);
    }
  }
  if (const YamlEntry* found = fields.Find("refresh")) {
    if (is_kafka) {
      context.Error(found->place, "'refresh' goes with files only", "a topic is followed");
    } else {
      lookup->refresh =
          ReadDuration(context, *found->value, std::chrono::seconds(1), kLongestDuration);
    }
  }
  if (const YamlEntry* found = fields.Find("missing")) {
    lookup->missing_is_dead_letter = ReadMissing(context, *found->value);
  }
}

std::optional<LookupSpec> ReadLookup(const JobFileContext& context, const YamlEntry& entry,
                                     const std::vector<std::string>& streams) {
  static const std::vector<std::string> kinds = {"kafka", "files"};
  LookupSpec lookup;
  lookup.name = entry.key;
  lookup.place = entry.place;
  CheckSqlName(context, entry.place, entry.key, "lookup name");
  if (std::ranges::find(streams, entry.key) != streams.end()) {
    context.Error(entry.place, "there is a stream " + Quoted(entry.key) + " already",
                  "in SQL both would be one name");
  }
  const MapFields fields(
      context, *entry.value, entry.place, "lookup " + Quoted(entry.key),
      {"kafka", "files", "format", "csv", "columns", "key", "valid", "refresh", "missing"});
  if (!fields.is_map()) return std::nullopt;
  const YamlEntry* const input = fields.RequireOneOf(kinds);
  if (input == nullptr) return lookup;
  SourceStreamSpec source;
  ReadSourceInput(context, fields, *input, SourceUse::kTable, &source);
  lookup.input = std::move(source.input);
  lookup.format = source.format;
  lookup.csv = std::move(source.csv);
  lookup.columns = std::move(source.columns);
  if (const YamlEntry* key = fields.Require("key")) ReadKey(context, *key->value, &lookup);
  ReadOptions(context, fields, input->key == "kafka", &lookup);
  return lookup;
}

}  // namespace

std::vector<LookupSpec> ReadLookups(const JobFileContext& context, const YamlNode& node,
                                    const std::vector<std::string>& streams) {
  std::vector<LookupSpec> lookups;
  for (const YamlEntry& entry : ReadMap(context, node, "a map of lookups")) {
    if (auto lookup = ReadLookup(context, entry, streams)) lookups.push_back(std::move(*lookup));
  }
  return lookups;
}

}  // namespace millrace
