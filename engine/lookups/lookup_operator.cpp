#include "engine/lookups/lookup_operator.h"

#include <arrow/array.h>

#include <algorithm>
#include <numeric>

#include "engine/operators/take_rows.h"

namespace millrace {
namespace {

// One a row: the first of each.
void AddErrors(std::vector<RowError> added, std::vector<RowError>* errors) {
  if (added.empty()) return;
  std::ranges::move(added, std::back_inserter(*errors));
  std::ranges::stable_sort(*errors, {}, &RowError::row);
  const auto repeated = std::ranges::unique(*errors, {}, &RowError::row);
  errors->erase(repeated.begin(), repeated.end());
}

}  // namespace

Result<std::unique_ptr<LookupOperator>> LookupOperator::Make(const LookupNode& node,
                                                             const Schema& input,
                                                             const Schema& output,
                                                             std::shared_ptr<Lookup> lookup) {
  const LookupLayout& layout = lookup->layout();
  const auto malformed = [&](const std::string& why) {
    return InternalError("malformed_plan", "lookup " + node.lookup + ": " + why);
  };
  if (node.keys.size() != layout.key.size()) return malformed("another number of keys");
  if (node.time.has_value() != (layout.valid_from >= 0)) return malformed("another validity");
  if (output.fields.size() != input.fields.size() + node.columns.size()) {
    return malformed("another number of columns");
  }
  std::unique_ptr<LookupOperator> made(new LookupOperator(node, lookup));
  Schema keys;
  for (size_t i = 0; i < node.keys.size(); ++i) {
    const Field& field = layout.schema.fields[size_t(layout.key[i])];
    if (node.keys[i].type != field.type) return malformed("key " + field.name + " of another type");
    keys.fields.push_back(field);
    ARROW_ASSIGN_OR_RAISE(auto evaluator, Evaluator::Make(node.keys[i], input));
    made->keys_.push_back(std::move(evaluator));
  }
  if (node.time.has_value()) {
    ARROW_ASSIGN_OR_RAISE(made->time_, Evaluator::Make(*node.time, input));
  }
  for (const int column : node.columns) {
    made->columns_.push_back(layout.FieldOf(column));
    if (made->columns_.back() < 0) return malformed("a column that is not kept");
  }
  made->key_schema_ = keys.ToArrow();
  made->output_ = output.ToArrow();
  return made;
}

Result<std::shared_ptr<arrow::Array>> LookupOperator::Evaluate(
    Evaluator* evaluator, const Rows& input, std::vector<RowError>* errors) const {
  ARROW_ASSIGN_OR_RAISE(Evaluated evaluated, evaluator->Evaluate(*input.batch));
  AddErrors(std::move(evaluated.errors), errors);
  return std::move(evaluated.values);
}

Result<LookupKeys> LookupOperator::KeysOf(const Rows& input, std::vector<RowError>* errors) {
  arrow::ArrayVector arrays;
  for (const auto& key : keys_) {
    ARROW_ASSIGN_OR_RAISE(auto array, Evaluate(key.get(), input, errors));
    arrays.push_back(std::move(array));
  }
  times_ = nullptr;
  if (time_ != nullptr) {
    ARROW_ASSIGN_OR_RAISE(times_, Evaluate(time_.get(), input, errors));
  }
  key_values_ = arrow::RecordBatch::Make(key_schema_, input.size(), std::move(arrays));
  return LookupKeys::Make(key_values_, times_);
}

RowError LookupOperator::Missing(int64_t row) const {
  std::vector<int> columns(keys_.size());
  std::iota(columns.begin(), columns.end(), 0);
  RowError error{row, "missing_key", ""};
  error.message = "lookup " + lookup_->spec().name + " has no row for " +
                  FormatLookupKey(lookup_->layout(), *key_values_, columns, row);
  if (times_ == nullptr) return error;
  const bool has_time = times_->type_id() == arrow::Type::TIMESTAMP && times_->IsValid(row);
  error.message +=
      " at " + (has_time ? FormatTimestamp(EventTime(Micros(
                               static_cast<const arrow::TimestampArray&>(*times_).Value(row))))
                         : "null");
  return error;
}

Result<Projected> LookupOperator::Apply(const Rows& input) {
  ARROW_ASSIGN_OR_RAISE(const auto snapshot, lookup_->Current());
  Projected projected;
  ARROW_ASSIGN_OR_RAISE(const LookupKeys keys, KeysOf(input, &projected.errors));
  LookupMatches matches = snapshot->Find(keys);

  RowIndexes kept;
  kept.reserve(size_t(input.size()));
  std::vector<RowError> missing;
  int64_t misses = 0;
  auto failed = projected.errors.begin();
  for (int64_t row = 0; row < input.size(); ++row) {
    if (failed != projected.errors.end() && failed->row == row) {
      ++failed;
      continue;
    }
    if (matches.rows[size_t(row)] == LookupTable::kNone) {
      ++misses;
      if (lookup_->spec().missing_is_dead_letter) {
        missing.push_back(Missing(row));
        continue;
      }
      if (!keeps_unmatched_) {
        ++projected.filtered_out;
        continue;
      }
    }
    kept.push_back(int32_t(row));
  }
  if (misses > 0) lookup_->CountMisses(misses);
  AddErrors(std::move(missing), &projected.errors);

  const bool all_kept = int64_t(kept.size()) == input.size();
  if (all_kept) {
    projected.rows = input;
  } else {
    for (size_t i = 0; i < kept.size(); ++i) {
      matches.rows[i] = matches.rows[size_t(kept[i])];
      if (!matches.tables.empty()) matches.tables[i] = matches.tables[size_t(kept[i])];
    }
    matches.rows.resize(kept.size());
    if (!matches.tables.empty()) matches.tables.resize(kept.size());
    ARROW_ASSIGN_OR_RAISE(projected.rows, TakeRows(input, kept));
  }
  ARROW_ASSIGN_OR_RAISE(arrow::ArrayVector found, snapshot->Take(matches, columns_));
  arrow::ArrayVector arrays = projected.rows.batch->columns();
  std::ranges::move(found, std::back_inserter(arrays));
  projected.rows.batch = arrow::RecordBatch::Make(output_, int64_t(kept.size()), std::move(arrays));
  if (!all_kept) projected.source_rows = std::move(kept);
  key_values_ = nullptr;
  times_ = nullptr;
  return projected;
}

}  // namespace millrace
