#include "engine/lookups/lookup.h"

#include <arrow/array/concatenate.h>
#include <arrow/compute/api.h>
#include <arrow/util/bit_util.h>

#include <algorithm>

#include "engine/operators/take_rows.h"

namespace millrace {
namespace {

// Indexes over the vector's memory, which must outlive them, null where they are negative.
Result<std::shared_ptr<arrow::Array>> BorrowNullable(const std::vector<int32_t>& rows) {
  const auto count = int64_t(rows.size());
  if (std::ranges::none_of(rows, [](int32_t row) { return row < 0; })) return Borrow(rows);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> validity, arrow::AllocateEmptyBitmap(count));
  int64_t nulls = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (rows[size_t(i)] < 0) {
      ++nulls;
    } else {
      arrow::bit_util::SetBit(validity->mutable_data(), i);
    }
  }
  return std::make_shared<arrow::Int32Array>(count, arrow::Buffer::Wrap(rows), std::move(validity),
                                             nulls);
}

}  // namespace

LookupSnapshot::LookupSnapshot(std::vector<std::shared_ptr<const LookupTable>> tables, int64_t rows)
    : tables_(std::move(tables)), rows_(rows) {}

int64_t LookupSnapshot::bytes() const {
  int64_t bytes = 0;
  for (const auto& table : tables_) bytes += table->value_bytes() + table->index_bytes();
  return bytes;
}

LookupMatches LookupSnapshot::Find(const LookupKeys& keys) const {
  LookupMatches matches;
  matches.rows.resize(size_t(keys.size()));
  tables_.front()->Find(keys, matches.rows);
  if (tables_.size() == 1) return matches;
  // What a newer table has goes over those behind it.
  std::vector<int32_t> found;
  matches.tables.assign(matches.rows.size(), 0);
  for (size_t number = 1; number < tables_.size(); ++number) {
    found.resize(matches.rows.size());
    tables_[number]->Find(keys, found);
    for (size_t i = 0; i < found.size(); ++i) {
      if (matches.rows[i] != LookupTable::kNone || found[i] == LookupTable::kNone) continue;
      matches.rows[i] = found[i];
      matches.tables[i] = uint8_t(number);
    }
  }
  for (size_t i = 0; i < matches.rows.size(); ++i) {
    int32_t& row = matches.rows[i];
    if (row != LookupTable::kNone && tables_[matches.tables[i]]->IsDeleted(row)) {
      row = LookupTable::kNone;
    }
  }
  return matches;
}

Result<arrow::ArrayVector> LookupSnapshot::Take(const LookupMatches& matches,
                                                const std::vector<int>& columns) const {
  if (tables_.size() > 1) return TakeOfSeveral(matches, columns);
  ARROW_ASSIGN_OR_RAISE(const auto indexes, BorrowNullable(matches.rows));
  arrow::ArrayVector arrays;
  for (const int column : columns) {
    ARROW_ASSIGN_OR_RAISE(auto taken, TakeValues(tables_[0]->batch().column(column), indexes));
    arrays.push_back(std::move(taken));
  }
  return arrays;
}

// What each table has is taken from it, put together, and put in order.
Result<arrow::ArrayVector> LookupSnapshot::TakeOfSeveral(const LookupMatches& matches,
                                                         const std::vector<int>& columns) const {
  std::vector<std::vector<int32_t>> of_table(tables_.size());
  std::vector<int32_t> within(matches.rows.size(), LookupTable::kNone);
  for (size_t i = 0; i < matches.rows.size(); ++i) {
    if (matches.rows[i] == LookupTable::kNone) continue;
    std::vector<int32_t>& rows = of_table[matches.tables[i]];
    within[i] = int32_t(rows.size());
    rows.push_back(matches.rows[i]);
  }
  std::vector<int32_t> begins;
  int32_t begin = 0;
  for (const std::vector<int32_t>& rows : of_table) {
    begins.push_back(begin);
    begin += int32_t(rows.size());
  }
  for (size_t i = 0; i < within.size(); ++i) {
    if (within[i] != LookupTable::kNone) within[i] += begins[matches.tables[i]];
  }
  ARROW_ASSIGN_OR_RAISE(const auto order, BorrowNullable(within));
  arrow::ArrayVector arrays;
  for (const int column : columns) {
    arrow::ArrayVector parts;
    for (size_t number = 0; number < tables_.size(); ++number) {
      const auto& values = tables_[number]->batch().column(column);
      ARROW_ASSIGN_OR_RAISE(auto part, TakeValues(values, Borrow(of_table[number])));
      parts.push_back(std::move(part));
    }
    ARROW_ASSIGN_OR_RAISE(const auto together, arrow::Concatenate(parts));
    ARROW_ASSIGN_OR_RAISE(auto taken, TakeValues(together, order));
    arrays.push_back(std::move(taken));
  }
  return arrays;
}

Result<std::shared_ptr<const LookupSnapshot>> Lookup::Current() const {
  const std::lock_guard lock(mutex_);
  ARROW_RETURN_NOT_OK(broken_);
  if (snapshot_ == nullptr) return InternalError("lookup_not_read", spec_.name + " was not read");
  return snapshot_;
}

void Lookup::Show(std::shared_ptr<const LookupSnapshot> snapshot, int64_t rows_without_key,
                  EventTime now) {
  const std::lock_guard lock(mutex_);
  snapshot_.swap(snapshot);  // what there was goes without the lock
  rows_without_key_ = rows_without_key;
  ++refreshes_;
  last_refresh_ = now;
}

void Lookup::Break(const Status& why) {
  const std::lock_guard lock(mutex_);
  if (broken_.ok()) broken_ = why;
}

LookupFigures Lookup::figures() const {
  LookupFigures figures;
  figures.misses = misses_;
  figures.failures = failures_;
  const std::lock_guard lock(mutex_);
  if (snapshot_ != nullptr) {
    figures.rows = snapshot_->rows();
    figures.bytes = snapshot_->bytes();
  }
  figures.rows_without_key = rows_without_key_;
  figures.refreshes = refreshes_;
  figures.last_refresh = last_refresh_;
  return figures;
}

}  // namespace millrace
