// For tests: rows with every type of column, as a batch; and the rows that a window aggregate gives
// out, as plain values by window and key.
#pragma once

#include <arrow/api.h>

#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/windows/key_hash.h"
#include "engine/windows/window_aggregate.h"

namespace millrace {

struct TestRow {
  int64_t time = 0;
  std::optional<std::string> device;
  std::optional<double> x;
  std::optional<int32_t> small;
  std::optional<int64_t> big;
  std::optional<bool> flag;
  std::optional<int64_t> seen_at;
};

// Columns of the batch.
enum Column : int { kTime, kDevice, kX, kSmall, kBig, kFlag, kSeenAt };

inline const Schema& TestSchema() {
  static const Schema schema{{{"time", Type::kTimestamp, "", false},
                              {"device", Type::kText, "", false},
                              {"x", Type::kDouble, "", false},
                              {"small", Type::kInteger, "", false},
                              {"big", Type::kBigint, "", false},
                              {"flag", Type::kBoolean, "", false},
                              {"seen_at", Type::kTimestamp, "", false}}};
  return schema;
}

inline std::shared_ptr<arrow::RecordBatch> ToBatch(std::span<const TestRow> rows) {
  const auto schema = TestSchema().ToArrow();
  const auto builder =
      arrow::RecordBatchBuilder::Make(schema, arrow::default_memory_pool()).ValueOrDie();
  const auto append = [&]<typename Builder>(int column, const auto& value, Builder*) {
    auto* typed = static_cast<Builder*>(builder->GetField(column));
    const Status status = value ? typed->Append(*value) : typed->AppendNull();
    if (!status.ok()) status.Abort();
  };
  for (const TestRow& row : rows) {
    append(kTime, std::optional(row.time), static_cast<arrow::TimestampBuilder*>(nullptr));
    append(kDevice, row.device, static_cast<arrow::StringBuilder*>(nullptr));
    append(kX, row.x, static_cast<arrow::DoubleBuilder*>(nullptr));
    append(kSmall, row.small, static_cast<arrow::Int32Builder*>(nullptr));
    append(kBig, row.big, static_cast<arrow::Int64Builder*>(nullptr));
    append(kFlag, row.flag, static_cast<arrow::BooleanBuilder*>(nullptr));
    append(kSeenAt, row.seen_at, static_cast<arrow::TimestampBuilder*>(nullptr));
  }
  return builder->Flush().ValueOrDie();
}

using Cell = std::variant<std::monostate, bool, int64_t, double, std::string>;
using CellRow = std::vector<Cell>;  // window start, window end, keys, aggregates

inline Cell CellAt(const arrow::Array& array, int64_t row) {
  if (array.IsNull(row)) return {};
  switch (array.type_id()) {
    case arrow::Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(array).Value(row);
    case arrow::Type::INT32:
      return int64_t(static_cast<const arrow::Int32Array&>(array).Value(row));
    case arrow::Type::INT64:
      return static_cast<const arrow::Int64Array&>(array).Value(row);
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampArray&>(array).Value(row);
    case arrow::Type::DOUBLE:
      return static_cast<const arrow::DoubleArray&>(array).Value(row);
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(array).GetString(row);
    default:
      return std::string("unexpected type");
  }
}

inline void AppendCells(const arrow::RecordBatch& batch, std::vector<CellRow>* rows) {
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    CellRow& cells = rows->emplace_back();
    for (const auto& column : batch.columns()) cells.push_back(CellAt(*column, row));
  }
}

// A query over TestSchema.
struct TestQuery {
  Micros size{60};
  Micros slide{60};
  Micros offset{0};
  std::vector<int> keys;
  std::vector<AggregateSpec> aggregates;
  Micros gap{0};  // of sessions; the rest of the geometry means nothing then
  Micros allowed_lateness{0};
  bool gives_changes = false;
  Micros changes_every{0};
  bool gives_panes = false;
  std::optional<KeyClock> clock = {};
  bool cumulates = false;

  WindowAggregateNode Node() const {
    WindowAggregateNode node;
    node.gap = gap;
    node.allowed_lateness = allowed_lateness;
    node.gives_changes = gives_changes;
    node.changes_every = changes_every;
    node.gives_panes = gives_panes;
    node.clock = clock;
    node.cumulates = cumulates;
    node.size = size;
    node.slide = slide;
    node.pane = Micros(std::gcd(size.count(), slide.count()));
    node.offset = offset;
    node.event_time = kTime;
    node.keys = keys;
    node.aggregates = aggregates;
    return node;
  }
  Schema Output() const {
    Schema schema{{{"window_start", Type::kTimestamp, "", false},
                   {"window_end", Type::kTimestamp, "", false}}};
    for (const int key : keys) schema.fields.push_back(TestSchema().fields[size_t(key)]);
    for (size_t i = 0; i < aggregates.size(); ++i) {
      schema.fields.push_back({"a" + std::to_string(i), aggregates[i].result, "", false});
    }
    return schema;
  }
  std::unique_ptr<WindowAggregate> Make() const {
    return WindowAggregate::Make(Node(), TestSchema(), Output()).ValueOrDie();
  }
};

inline AggregateSpec Aggregate(AggregateFunction function, int argument, Type result,
                               int filter = -1) {
  AggregateSpec spec;
  spec.function = function;
  spec.argument = argument;
  spec.filter = filter;
  spec.argument_type = argument < 0 ? Type::kNull : TestSchema().fields[size_t(argument)].type;
  spec.result = result;
  return spec;
}

inline AggregateSpec Percentile(int argument, double fraction, int filter = -1) {
  AggregateSpec spec =
      Aggregate(AggregateFunction::kPercentileCont, argument, Type::kDouble, filter);
  spec.fraction = fraction;
  return spec;
}

// With what stands beside the argument.
inline AggregateSpec Beside(AggregateFunction function, int argument, int second, Type result,
                            int filter = -1) {
  AggregateSpec spec = Aggregate(function, argument, result, filter);
  spec.second = second;
  spec.second_type = TestSchema().fields[size_t(second)].type;
  return spec;
}

inline AggregateSpec CountDistinct(int argument) {
  AggregateSpec spec = Aggregate(AggregateFunction::kCount, argument, Type::kBigint);
  spec.distinct = true;
  return spec;
}

// `same_hash`: every key collides with every other.
inline void AddRows(WindowAggregate* aggregate, const TestQuery& query,
                    std::span<const TestRow> rows, bool same_hash = false) {
  const auto batch = ToBatch(rows);
  std::vector<uint64_t> hashes;
  Status status = HashKeys(*batch, query.keys, &hashes);
  if (same_hash) hashes.assign(rows.size(), 12345);
  std::vector<uint32_t> selection(rows.size());
  std::iota(selection.begin(), selection.end(), 0u);
  if (status.ok()) status = aggregate->Add(*batch, hashes, selection);
  if (!status.ok()) status.Abort();
}

// Everything that is due.
inline std::vector<CellRow> Drain(WindowAggregate* aggregate, int64_t rows_max = 1000) {
  std::vector<CellRow> rows;
  while (aggregate->HasOutput()) {
    const auto batch = aggregate->NextOutput(rows_max).ValueOrDie().batch;
    if (batch == nullptr || batch->num_rows() == 0 || batch->num_rows() > rows_max) {
      Status::Invalid("HasOutput, and not 1 to rows_max rows").Abort();
    }
    AppendCells(*batch, &rows);
  }
  if (aggregate->NextOutput(rows_max).ValueOrDie().batch != nullptr) {
    Status::Invalid("rows although HasOutput said none").Abort();
  }
  return rows;
}

inline std::vector<CellRow> Close(WindowAggregate* aggregate, int64_t rows_max = 1000) {
  aggregate->AdvanceTo(kEventTimeMax);
  return Drain(aggregate, rows_max);
}

}  // namespace millrace
