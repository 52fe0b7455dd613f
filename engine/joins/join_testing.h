// For tests: rows of both sides of a join as a batch, and what a join gives by definition: every
// left row looked at with every right one.
#pragma once

#include <arrow/api.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/joins/join_operator.h"
#include "engine/windows/key_hash.h"
#include "engine/windows/window_state_rows.h"

namespace millrace {

struct JoinRow {
  bool is_right = false;
  int64_t time = 0;
  std::optional<std::string> name;
  std::optional<double> level;
  std::optional<int32_t> floor;
  std::optional<int64_t> window;
  // In the columns of its side.
  std::optional<std::string> text;
  std::optional<int64_t> number;
  std::optional<double> x;
};

// Columns of the batch.
struct In {
  enum : int {
    kIsRight,
    kEventTime,
    kName,
    kLevel,
    kFloor,
    kWindow,
    kLeftText,
    kLeftNumber,
    kLeftX,
    kRightText,
    kRightNumber,
    kRightX
  };
};

inline const Schema& JoinInput() {
  static const Schema schema{{{"is_right", Type::kBoolean, "", false},
                              {"time", Type::kTimestamp, "", false},
                              {"name", Type::kText, "", false},
                              {"level", Type::kDouble, "", false},
                              {"floor", Type::kInteger, "", false},
                              {"window", Type::kTimestamp, "", false},
                              {"left_text", Type::kText, "", false},
                              {"left_number", Type::kBigint, "", false},
                              {"left_x", Type::kDouble, "", false},
                              {"right_text", Type::kText, "", false},
                              {"right_number", Type::kBigint, "", false},
                              {"right_x", Type::kDouble, "", false}}};
  return schema;
}

inline std::shared_ptr<arrow::RecordBatch> JoinBatch(std::span<const JoinRow> rows) {
  const auto builder =
      arrow::RecordBatchBuilder::Make(JoinInput().ToArrow(), arrow::default_memory_pool())
          .ValueOrDie();
  const auto append = [&]<typename Builder>(int column, const auto& value, Builder*) {
    auto* const typed = static_cast<Builder*>(builder->GetField(column));
    const Status status = value ? typed->Append(*value) : typed->AppendNull();
    EXPECT_TRUE(status.ok()) << status;
  };
  arrow::StringBuilder* const text = nullptr;
  arrow::DoubleBuilder* const real = nullptr;
  arrow::Int64Builder* const number = nullptr;
  arrow::TimestampBuilder* const time = nullptr;
  for (const JoinRow& row : rows) {
    append(In::kIsRight, std::optional(row.is_right), static_cast<arrow::BooleanBuilder*>(nullptr));
    append(In::kEventTime, std::optional(row.time), time);
    append(In::kName, row.name, text);
    append(In::kLevel, row.level, real);
    append(In::kFloor, row.floor, static_cast<arrow::Int32Builder*>(nullptr));
    append(In::kWindow, row.window, time);
    JoinRow none;
    const JoinRow& left = row.is_right ? none : row;
    const JoinRow& right = row.is_right ? row : none;
    append(In::kLeftText, left.text, text);
    append(In::kLeftNumber, left.number, number);
    append(In::kLeftX, left.x, real);
    append(In::kRightText, right.text, text);
    append(In::kRightNumber, right.number, number);
    append(In::kRightX, right.x, real);
  }
  return builder->Flush().ValueOrDie();
}

// All that there is comes out.
inline JoinNode JoinOf(std::vector<int> keys, int64_t lower, int64_t upper) {
  JoinNode node;
  node.is_right = In::kIsRight;
  node.event_time = In::kEventTime;
  node.keys = std::move(keys);
  node.lower = Micros(lower);
  node.upper = Micros(upper);
  node.left = {In::kEventTime, In::kName,     In::kLevel,      In::kFloor,
               In::kWindow,    In::kLeftText, In::kLeftNumber, In::kLeftX};
  node.right = {In::kEventTime, In::kName,      In::kLevel,       In::kFloor,
                In::kWindow,    In::kRightText, In::kRightNumber, In::kRightX};
  return node;
}

inline std::unique_ptr<JoinOperator> MakeJoin(const JoinNode& node) {
  Schema output;
  for (const auto* columns : {&node.left, &node.right}) {
    for (const int column : *columns) output.fields.push_back(JoinInput().fields[size_t(column)]);
  }
  return JoinOperator::Make(node, JoinInput(), output).ValueOrDie();
}

inline std::unique_ptr<JoinOperator> OpenJoin(StateStore* store, const JoinNode& node) {
  auto join = MakeJoin(node);
  const Status status = join->Open(store, kTestOperator);
  EXPECT_TRUE(status.ok()) << status;
  return join;
}

inline void AddTo(JoinOperator* join, const JoinNode& node, std::span<const JoinRow> rows) {
  const auto batch = JoinBatch(rows);
  std::vector<uint64_t> hashes;
  ASSERT_TRUE(HashKeys(*batch, node.keys, &hashes).ok());
  std::vector<uint32_t> selection(rows.size());
  std::iota(selection.begin(), selection.end(), 0u);
  const Status status = join->Add(*batch, hashes, selection);
  ASSERT_TRUE(status.ok()) << status;
}

inline std::vector<CellRow> DrainOf(JoinOperator* join, int64_t rows_max = 1000) {
  std::vector<CellRow> rows;
  while (join->HasOutput()) {
    const auto output = join->NextOutput(rows_max);
    EXPECT_TRUE(output.ok()) << output.status();
    if (!output.ok()) break;
    if (output->batch == nullptr) continue;
    EXPECT_LE(output->batch->num_rows(), rows_max);
    AppendCells(*output->batch, &rows);
  }
  return rows;
}

inline void SealAndWriteAll(JoinOperator* join) {
  ASSERT_TRUE(join->Seal().ok());
  while (join->WriteSealed(2).ValueOrDie()) {
  }
}

// ---- By definition -----------------------------------------------------------------------------

// A row that comes out, and when: once the watermark is behind `at`. What comes of one key comes in
// the order of `at`, pairs before rows without one; pairs in the order of the later row, right ones
// first, then of the other; rows without one by side, left ones first.
struct JoinedRow {
  int64_t at = 0;
  std::tuple<bool, bool, size_t, size_t> order;
  const JoinRow* left = nullptr;
  const JoinRow* right = nullptr;
};

// Rows of one time are in the order of all columns (those of the key are equal): numbers, NaN
// behind them, nulls last, and -0 before 0.
inline bool IsJoinRowBefore(const JoinRow& left, const JoinRow& right) {
  if (left.time != right.time) return left.time < right.time;
  const auto compare = [](const auto& a, const auto& b) {
    if (!a || !b) return int(!a) - int(!b);
    return *a < *b ? -1 : *b < *a ? 1 : 0;
  };
  const auto compare_doubles = [](const std::optional<double>& a, const std::optional<double>& b) {
    if (!a || !b) return int(!a) - int(!b);
    if (std::isnan(*a) || std::isnan(*b)) return int(std::isnan(*a)) - int(std::isnan(*b));
    if (*a == *b) return int(std::signbit(*b)) - int(std::signbit(*a));
    return *a < *b ? -1 : 1;
  };
  for (const int order : {compare(left.name, right.name), compare_doubles(left.level, right.level),
                          compare(left.floor, right.floor), compare(left.window, right.window),
                          compare(left.text, right.text), compare(left.number, right.number),
                          compare_doubles(left.x, right.x)}) {
    if (order != 0) return order < 0;
  }
  return false;
}

// Of the key's columns: what is equal has one text.
inline std::string JoinKeyOf(const JoinRow& row, const std::vector<int>& keys, bool* has_null) {
  std::string text;
  *has_null = false;
  const auto add = [&](const auto& value, const auto& to_text) {
    *has_null = *has_null || !value;
    text += value ? "=" + to_text(*value) + ";" : "null;";
  };
  const auto number = [](auto value) { return std::to_string(value); };
  for (const int key : keys) {
    if (key == In::kName) add(row.name, [](const std::string& name) { return name; });
    if (key == In::kFloor) add(row.floor, number);
    if (key == In::kWindow) add(row.window, number);
    if (key == In::kLevel) {
      add(row.level, [](double level) {
        return std::isnan(level) ? "NaN" : std::to_string(level == 0 ? 0 : level);
      });
    }
  }
  return text;
}

// By key, in order. `rows` outlive it and are put in order.
inline std::map<std::string, std::vector<JoinedRow>> JoinByDefinition(const JoinNode& node,
                                                                      std::vector<JoinRow>* rows) {
  std::ranges::stable_sort(*rows, IsJoinRowBefore);
  const int64_t lower = node.lower.count(), upper = node.upper.count();
  std::map<std::string, std::vector<JoinedRow>> joined;
  std::set<const JoinRow*> paired;
  const auto key = [&](const JoinRow& row) {
    bool has_null = false;
    return JoinKeyOf(row, node.keys, &has_null);
  };
  for (const JoinRow& left : *rows) {
    bool has_null = false;
    const std::string left_key = JoinKeyOf(left, node.keys, &has_null);
    if (left.is_right || has_null) continue;
    std::vector<JoinedRow> pairs;
    for (const JoinRow& right : *rows) {
      const int64_t apart = right.time - left.time;
      if (!right.is_right || apart < lower || apart > upper || key(right) != left_key) continue;
      if (node.latest_only) pairs.clear();
      const bool by_left = left.time >= right.time;
      const auto left_rank = size_t(&left - rows->data());
      const auto right_rank = size_t(&right - rows->data());
      pairs.push_back(
          {std::max(left.time, right.time),
           {false, by_left, by_left ? left_rank : right_rank, by_left ? right_rank : left_rank},
           &left,
           &right});
      if (node.latest_only) continue;
      paired.insert({&left, &right});
    }
    if (node.latest_only && !pairs.empty()) paired.insert(&left);
    auto& all = joined[left_key];
    all.insert(all.end(), pairs.begin(), pairs.end());
  }
  for (const JoinRow& row : *rows) {
    if (!(row.is_right ? node.keeps_right : node.keeps_left) || paired.contains(&row)) continue;
    const auto rank = size_t(&row - rows->data());
    JoinedRow& alone = joined[key(row)].emplace_back();
    (row.is_right ? alone.right : alone.left) = &row;
    alone.at = row.time + std::max<int64_t>(0, row.is_right ? -lower : upper);
    alone.order = {true, row.is_right, rank, 0};
    // It is known at once.
    if (node.latest_only) alone.order = {false, true, rank, 0};
  }
  for (auto& [_, all] : joined) {
    std::ranges::sort(all, {}, [](const JoinedRow& row) { return std::pair(row.at, row.order); });
  }
  return joined;
}

// The first column is no null where the row has the side.
inline CellRow CellsOf(const JoinedRow& row) {
  const auto batch = JoinBatch(std::vector<JoinRow>{row.left != nullptr ? *row.left : JoinRow(),
                                                    row.right != nullptr ? *row.right : JoinRow()});
  CellRow cells;
  for (int column = In::kEventTime; column <= In::kLeftX; ++column) {
    cells.push_back(row.left == nullptr ? Cell() : CellAt(*batch->column(column), 0));
  }
  for (int column = In::kEventTime; column <= In::kRightX; ++column) {
    if (column >= In::kLeftText && column <= In::kLeftX) continue;
    cells.push_back(row.right == nullptr ? Cell() : CellAt(*batch->column(column), 1));
  }
  return cells;
}

}  // namespace millrace
