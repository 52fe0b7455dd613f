#include "engine/model/csv_fields.h"

#include <algorithm>

namespace millrace {
namespace {

// A printable ASCII character, or a tab.
std::optional<char> ReadCharacter(const JobFileContext& context, const YamlNode& node,
                                  std::string_view what) {
  const bool is_text = node.kind == YamlNode::Kind::kText && node.text.size() == 1;
  if (is_text && ((node.text[0] >= ' ' && node.text[0] <= '~') || node.text[0] == '\t')) {
    return node.text[0];
  }
  TellExpected(context, node, what);
  return std::nullopt;
}

std::vector<std::string> ReadFields(const JobFileContext& context, const YamlNode& node) {
  std::vector<std::string> fields;
  for (const YamlNode* item : ReadList(context, node, "a list of the cells' names")) {
    const auto name = ReadText(context, *item, "the name of a cell");
    if (!name) continue;
    if (std::ranges::find(fields, *name) != fields.end()) {
      context.Error(item->place, "the field " + Quoted(*name) + " is there twice");
    } else {
      fields.push_back(*name);
    }
  }
  return fields;
}

}  // namespace

CsvSpec ReadCsv(const JobFileContext& context, const YamlEntry& entry) {
  CsvSpec csv;
  const MapFields fields(context, *entry.value, entry.place, "'csv'",
                         {"delimiter", "quote", "fields", "rest", "null_text"});
  if (!fields.is_map()) return csv;
  if (const YamlEntry* found = fields.Find("delimiter")) {
    Assign(ReadCharacter(context, *found->value, "one character, such as ';' or \"\\t\""),
           &csv.delimiter);
  }
  if (const YamlEntry* found = fields.Find("quote")) {
    if (found->value->kind == YamlNode::Kind::kText && found->value->text == "none") {
      csv.quote.reset();
    } else {
      Assign(ReadCharacter(context, *found->value, "one character, or none"), &csv.quote);
    }
    if (csv.quote == csv.delimiter) {
      context.Error(found->place, "'quote' and 'delimiter' are the same character");
    }
  }
  if (const YamlEntry* found = fields.Find("fields")) {
    csv.fields = ReadFields(context, *found->value);
  }
  if (const YamlEntry* found = fields.Find("rest")) {
    Assign(ReadBoolean(context, *found->value), &csv.rest);
  }
  if (const YamlEntry* found = fields.Find("null_text")) {
    Assign(ReadText(context, *found->value), &csv.null_text);
  }
  return csv;
}

void SettleCsvFields(const JobFileContext& context, SourcePlace place, SourceStreamSpec* source) {
  CsvSpec& csv = source->csv;
  const bool is_kafka = std::holds_alternative<KafkaSourceSpec>(source->input);
  if (csv.fields.empty() && is_kafka) {
    for (const SourceColumn& column : source->columns) csv.fields.push_back(column.from);
    return;
  }
  if (csv.fields.empty()) {
    if (csv.rest) context.Error(place, "'rest' needs 'fields', which say what the last cell is");
    return;
  }
  for (const SourceColumn& column : source->columns) {
    if (std::ranges::find(csv.fields, column.from) != csv.fields.end()) continue;
    context.Error(column.place,
                  "column " + Quoted(column.field.name) + " reads " + Quoted(column.from) +
                      ", which is none of 'csv.fields'",
                  Suggest(column.from, csv.fields));
  }
}

}  // namespace millrace
