// For tests of OVER: queries over the rows of window_rows.h.
#pragma once

#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/over/over_operator.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {

inline OverFrame RowsFrame(int64_t first, int64_t last) { return {false, false, first, last}; }
inline OverFrame RowsFromFirst(int64_t last) { return {false, true, 0, last}; }
inline OverFrame RangeFrame(int64_t first, int64_t last) { return {true, false, first, last}; }
inline OverFrame Default() { return {}; }

inline OverCall Of(AggregateSpec spec, OverFrame frame) {
  OverCall call;
  call.function = OverFunction::kAggregate;
  call.frame = frame;
  call.result = spec.result;
  call.aggregate = std::move(spec);
  return call;
}

inline OverCall Plain(OverFunction function, int argument = -1, int64_t rows = 0,
                      OverFrame frame = Default(), int otherwise = -1) {
  OverCall call;
  call.function = function;
  call.argument = argument;
  call.rows = rows;
  call.frame = frame;
  call.otherwise = otherwise;
  const bool counts = argument < 0 || function == OverFunction::kUnchangedRows;
  call.result = counts ? Type::kBigint
                : function == OverFunction::kUnchangedSince
                    ? Type::kTimestamp
                    : TestSchema().fields[size_t(argument)].type;
  if (function == OverFunction::kIsLast) call.result = Type::kBoolean;
  return call;
}

// Over TestSchema.
struct OverQuery {
  std::vector<int> keys = {kDevice};
  std::vector<OverCall> calls;
  std::vector<int> carried = {kTime, kDevice, kX, kSmall, kBig, kFlag, kSeenAt};

  OverNode Node() const { return {kTime, keys, carried, calls}; }
  Schema Output() const {
    Schema schema;
    for (const int column : carried) schema.fields.push_back(TestSchema().fields[size_t(column)]);
    for (size_t i = 0; i < calls.size(); ++i) {
      schema.fields.push_back({"c" + std::to_string(i), calls[i].result, "", false});
    }
    return schema;
  }
  std::unique_ptr<OverOperator> Make() const {
    return OverOperator::Make(Node(), TestSchema(), Output()).ValueOrDie();
  }
};

inline std::unique_ptr<OverOperator> OpenOver(StateStore* store, const OverQuery& query) {
  auto made = query.Make();
  const Status status = made->Open(store, kTestOperator);
  EXPECT_TRUE(status.ok()) << status;
  return made;
}

inline std::vector<uint64_t> HashesOf(const arrow::RecordBatch& batch, const OverQuery& query) {
  std::vector<uint64_t> hashes;
  EXPECT_TRUE(HashKeys(batch, query.keys, &hashes).ok());
  return hashes;
}

inline Status AddTo(OverOperator* over, const OverQuery& query, std::span<const TestRow> rows) {
  const auto batch = ToBatch(rows);
  std::vector<uint32_t> selection(rows.size());
  std::iota(selection.begin(), selection.end(), 0u);
  return over->Add(*batch, HashesOf(*batch, query), selection);
}

}  // namespace millrace
