// For tests: lookups of devices, with rows written as JSON lines.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/connectors/message/message_decoder.h"
#include "engine/lookups/lookup.h"

namespace millrace::test {

// NAME: TYPE, ... as LookupSpec::columns; `key`: their names.
inline LookupSpec LookupOf(std::vector<std::pair<std::string, Type>> columns,
                           std::vector<std::string> key) {
  LookupSpec spec;
  spec.name = "devices";
  for (auto& [name, type] : columns) {
    SourceColumn column;
    column.field.name = name;
    column.field.type = type;
    column.from = name;
    spec.columns.push_back(std::move(column));
  }
  for (std::string& name : key) spec.key.push_back({std::move(name), {}});
  return spec;
}

inline LookupLayout WholeLayout(const LookupSpec& spec) {
  std::set<int> used;
  for (size_t i = 0; i < spec.columns.size(); ++i) used.insert(int(i));
  return MakeLookupLayout(spec, used);
}

// A row a line, with the columns of the layout.
inline std::shared_ptr<arrow::RecordBatch> BatchOf(const LookupSpec& spec,
                                                   const LookupLayout& layout,
                                                   const std::vector<std::string>& lines) {
  SourceStreamSpec source;
  source.columns = spec.columns;
  MessageDecoder decoder(source, layout.columns);
  DecodedMessage decoded;
  EXPECT_TRUE(decoder.Reserve(int64_t(lines.size())).ok());
  for (const std::string& line : lines) {
    decoder.Append(line, &decoded);
    EXPECT_TRUE(decoded.refused.empty()) << line << ": " << decoded.refused[0].failure.message;
  }
  return decoder.Finish().ValueOrDie();
}

inline LookupTableBuilder::Places PlacesOf(const std::string& source, int64_t rows) {
  LookupTableBuilder::Places places{source, {}};
  for (int64_t row = 0; row < rows; ++row) places.offsets.push_back(row);
  return places;
}

// A table of one batch, from "devices.json".
inline Result<std::shared_ptr<const LookupTable>> TableOf(const LookupSpec& spec,
                                                          const LookupLayout& layout,
                                                          const std::vector<std::string>& lines,
                                                          LookupLimits limits = {}) {
  LookupTableBuilder builder(layout, limits, LookupTableBuilder::Kind::kTable);
  ARROW_RETURN_NOT_OK(
      builder.Add(BatchOf(spec, layout, lines), PlacesOf("devices.json", int64_t(lines.size()))));
  return builder.Finish();
}

// A lookup that holds these rows.
inline std::shared_ptr<Lookup> HeldLookup(const LookupSpec& spec, const LookupLayout& layout,
                                          const std::vector<std::string>& lines) {
  auto lookup = std::make_shared<Lookup>(spec, layout);
  auto table = TableOf(spec, layout, lines).ValueOrDie();
  const int64_t rows = table->rows();
  lookup->Show(std::make_shared<LookupSnapshot>(std::vector{std::move(table)}, rows), 0,
               EventTime{});
  return lookup;
}

// Keys to look for: a batch with the key columns, from lines as the lookup's own.
inline LookupKeys KeysOf(const LookupSpec& spec, const LookupLayout& layout,
                         const std::vector<std::string>& lines,
                         std::shared_ptr<arrow::Array> times = nullptr) {
  const auto batch = BatchOf(spec, layout, lines);
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  for (const int column : layout.key) {
    arrays.push_back(batch->column(column));
    fields.push_back(batch->schema()->field(column));
  }
  return LookupKeys::Make(
             arrow::RecordBatch::Make(arrow::schema(fields), batch->num_rows(), arrays),
             std::move(times))
      .ValueOrDie();
}

inline std::shared_ptr<arrow::Array> TimesOf(const std::vector<std::optional<int64_t>>& micros) {
  arrow::TimestampBuilder times(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  for (const auto& time : micros) EXPECT_TRUE(times.AppendOrNull(time).ok());
  return times.Finish().ValueOrDie();
}

}  // namespace millrace::test
