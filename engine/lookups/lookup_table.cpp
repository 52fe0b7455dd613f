#include "engine/lookups/lookup_table.h"

#include <arrow/array.h>
#include <arrow/compute/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "engine/base/time.h"
#include "engine/operators/cell_text.h"
#include "engine/operators/take_rows.h"
#include "engine/windows/key_hash.h"

namespace millrace {
namespace {

constexpr int64_t kAlways = INT64_MIN;
constexpr int64_t kForEver = INT64_MAX;
// Keys whose entries are fetched into the cache together.
constexpr int64_t kAtOnce = 64;
constexpr size_t kKeyTextShownMax = 60;

int IndexOfColumn(const LookupSpec& spec, const std::string& name) {
  for (size_t i = 0; i < spec.columns.size(); ++i) {
    if (spec.columns[i].field.name == name) return int(i);
  }
  return -1;
}

// A timestamp column, nulls as `otherwise`.
std::vector<int64_t> TimesOf(const arrow::RecordBatch& batch, int column, int64_t otherwise) {
  std::vector<int64_t> times(size_t(batch.num_rows()), otherwise);
  if (column < 0) return times;
  const auto& array = static_cast<const arrow::TimestampArray&>(*batch.column(column));
  for (int64_t row = 0; row < array.length(); ++row) {
    if (array.IsValid(row)) times[size_t(row)] = array.Value(row);
  }
  return times;
}

std::string FormatBytes(int64_t bytes) {
  return bytes >> 20 << 20 == bytes ? std::to_string(bytes >> 20) + " MiB"
                                    : std::to_string(bytes) + " bytes";
}

}  // namespace

int LookupLayout::FieldOf(int column) const {
  const auto found = std::ranges::find(columns, column);
  return found == columns.end() ? -1 : int(found - columns.begin());
}

LookupLayout MakeLookupLayout(const LookupSpec& spec, const std::set<int>& used) {
  LookupLayout layout;
  std::set<int> kept = used;
  for (const PlacedText& name : spec.key) kept.insert(IndexOfColumn(spec, name.text));
  if (spec.valid_from) kept.insert(IndexOfColumn(spec, spec.valid_from->text));
  if (spec.valid_to) kept.insert(IndexOfColumn(spec, spec.valid_to->text));
  for (const int column : kept) {
    layout.columns.push_back(column);
    layout.schema.fields.push_back(spec.columns[size_t(column)].field);
  }
  for (const PlacedText& name : spec.key) layout.key.push_back(layout.schema.IndexOf(name.text));
  if (spec.valid_from) layout.valid_from = layout.schema.IndexOf(spec.valid_from->text);
  if (spec.valid_to) layout.valid_to = layout.schema.IndexOf(spec.valid_to->text);
  return layout;
}

std::optional<LookupLayout> LookupLayoutOf(const LookupSpec& spec, const JobPlan& plan) {
  std::set<int> used;
  bool is_joined = false;
  for (const PlanNode& node : plan.nodes) {
    const auto* join = std::get_if<LookupNode>(&node.kind);
    if (join == nullptr || join->lookup != spec.name) continue;
    is_joined = true;
    used.insert(join->columns.begin(), join->columns.end());
  }
  if (!is_joined) return std::nullopt;
  return MakeLookupLayout(spec, used);
}

std::string FormatLookupKey(const LookupLayout& layout, const arrow::RecordBatch& keys,
                            const std::vector<int>& columns, int64_t row) {
  std::string text;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) text += ", ";
    text += layout.schema.fields[size_t(layout.key[i])].name + " = ";
    const arrow::Array& array = *keys.column(columns[i]);
    std::string cell;
    AppendCellText(array, row, &cell);
    const bool is_text = array.type_id() == arrow::Type::STRING && array.IsValid(row);
    const bool is_long = cell.size() > kKeyTextShownMax;
    if (is_long) {
      size_t end = kKeyTextShownMax;
      while (end > 0 && (uint8_t(cell[end]) & 0xC0) == 0x80) --end;  // not within a character
      cell.resize(end);
    }
    text += is_text ? "'" + cell + (is_long ? "...'" : "'") : cell;
  }
  return text;
}

Result<LookupKeys> LookupKeys::Make(std::shared_ptr<arrow::RecordBatch> keys,
                                    std::shared_ptr<arrow::Array> times) {
  LookupKeys made;
  std::vector<int> columns(size_t(keys->num_columns()));
  std::iota(columns.begin(), columns.end(), 0);
  ARROW_RETURN_NOT_OK(HashKeys(*keys, columns, &made.hashes_));
  for (const int column : columns) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader reader, ColumnReader::Make(*keys->column(column)));
    made.columns_.push_back(reader);
    made.may_be_null_ |= reader.may_be_null();
  }
  if (times != nullptr) {
    // A literal null has no values.
    if (times->type_id() == arrow::Type::TIMESTAMP) {
      made.time_values_ = static_cast<const arrow::TimestampArray&>(*times).raw_values();
    }
    made.may_be_null_ |= made.time_values_ == nullptr || times->null_count() > 0;
  }
  made.keys_ = std::move(keys);
  made.times_ = std::move(times);
  return made;
}

bool LookupKeys::HasNull(int64_t row) const {
  if (times_ != nullptr && (time_values_ == nullptr || times_->IsNull(row))) return true;
  return std::ranges::any_of(columns_,
                             [row](const ColumnReader& column) { return column.IsNull(row); });
}

int64_t LookupTable::index_bytes() const {
  return int64_t(entries_.size() * sizeof(Entry) + last_.size() * sizeof(int32_t) +
                 (from_.size() + to_.size()) * sizeof(int64_t) + deleted_.size());
}

bool LookupTable::Equals(const LookupKeys& keys, int64_t key, int32_t row) const {
  for (size_t i = 0; i < keys_.size(); ++i) {
    const ColumnReader& wanted = keys.columns()[i];
    const bool same = wanted.is_text() ? wanted.Text(key) == keys_[i].Text(row)
                                       : wanted.Fixed(key) == keys_[i].Fixed(row);
    if (!same) return false;
  }
  return true;
}

size_t LookupTable::Candidate(uint64_t hash, size_t slot) const {
  const size_t mask = entries_.size() - 1;
  const uint32_t tag = TagOf(hash);
  while (entries_[slot].row != kNone && entries_[slot].tag != tag) slot = (slot + 1) & mask;
  return slot;
}

// `slot` is a candidate.
int32_t LookupTable::Probe(const LookupKeys& keys, int64_t key, size_t slot) const {
  const size_t mask = entries_.size() - 1;
  while (entries_[slot].row != kNone && !Equals(keys, key, entries_[slot].row)) {
    slot = Candidate(keys.hash(key), (slot + 1) & mask);
  }
  return entries_[slot].row;
}

// The rows of a key are in the order of `from`, and do not overlap.
int32_t LookupTable::ValidRow(int32_t first, int64_t time) const {
  const auto begin = from_.begin() + first;
  const auto end = from_.begin() + last_[size_t(first)] + 1;
  auto after = std::upper_bound(begin, end, time);
  // Rows that are valid for no time at all may stand before the one that is meant.
  while (after != begin) {
    --after;
    const auto row = size_t(after - from_.begin());
    if (time < to_[row] || to_[row] == kForEver) return int32_t(row);
    if (from_[row] < to_[row]) break;
  }
  return kNone;
}

void LookupTable::Find(const LookupKeys& keys, std::span<int32_t> rows) const {
  if (batch_->num_rows() == 0) {
    std::ranges::fill(rows, kNone);
    return;
  }
  // Each step fetches what the next one reads: entries, where the rows' keys stand, their texts.
  std::array<size_t, kAtOnce> slots;
  for (int64_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const int64_t end = std::min(keys.size(), begin + kAtOnce);
    for (int64_t key = begin; key < end; ++key) __builtin_prefetch(&entries_[Home(keys.hash(key))]);
    for (int64_t key = begin; key < end; ++key) {
      const size_t slot = Candidate(keys.hash(key), Home(keys.hash(key)));
      slots[size_t(key - begin)] = slot;
      const int32_t row = entries_[slot].row;
      if (row == kNone) continue;
      for (const ValuePlace& place : places_) __builtin_prefetch(place.Of(row));
    }
    for (int64_t key = begin; has_text_keys_ && key < end; ++key) {
      const int32_t row = entries_[slots[size_t(key - begin)]].row;
      if (row == kNone) continue;
      for (const ColumnReader& column : keys_) {
        if (column.is_text()) __builtin_prefetch(column.Text(row).data());
      }
    }
    for (int64_t key = begin; key < end; ++key) {
      int32_t& row = rows[size_t(key)];
      row = keys.IsNull(key) ? kNone : Probe(keys, key, slots[size_t(key - begin)]);
      if (row != kNone && !last_.empty()) row = ValidRow(row, keys.time(key));
    }
  }
}

LookupTableBuilder::LookupTableBuilder(const LookupLayout& layout, const LookupLimits& limits,
                                       Kind kind)
    : layout_(layout), limits_(limits), kind_(kind), table_(std::make_shared<LookupTable>()) {}

Status LookupTableBuilder::Add(std::shared_ptr<arrow::RecordBatch> batch, Places places,
                               std::span<const uint8_t> deleted) {
  if (batch->num_rows() == 0) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*batch));
  bytes_ += bytes;
  const auto refuse = [&](const std::string& limit) {
    return UserError("lookup_too_large", "more than " + limit + ": the table is kept in memory");
  };
  if (rows_ + batch->num_rows() > limits_.rows_max) {
    return refuse(std::to_string(limits_.rows_max) + " rows");
  }
  if (bytes_ > limits_.bytes_max) {
    return refuse(FormatBytes(limits_.bytes_max) + " in the columns that are used");
  }
  chunks_.push_back({rows_, std::move(places)});
  if (!deleted.empty()) table_->deleted_.resize(size_t(rows_));
  rows_ += batch->num_rows();
  if (!deleted.empty()) {
    table_->deleted_.insert(table_->deleted_.end(), deleted.begin(), deleted.end());
  } else if (!table_->deleted_.empty()) {
    table_->deleted_.resize(size_t(rows_));
  }
  batches_.push_back(std::move(batch));
  return Status::OK();
}

Result<std::shared_ptr<const LookupTable>> LookupTableBuilder::Finish() {
  const auto schema = layout_.schema.ToArrow();
  if (batches_.empty()) {
    ARROW_ASSIGN_OR_RAISE(table_->batch_, arrow::RecordBatch::MakeEmpty(schema));
  } else {
    ARROW_ASSIGN_OR_RAISE(table_->batch_, arrow::ConcatenateRecordBatches(batches_));
    batches_.clear();
  }
  ARROW_RETURN_NOT_OK(BindKeys());
  ARROW_RETURN_NOT_OK(Index());
  if (layout_.valid_from >= 0) {
    ARROW_RETURN_NOT_OK(OrderByTime());
  } else {
    ARROW_RETURN_NOT_OK(LeaveOut(/*deleted=*/false));
    if (kind_ == Kind::kLatest && table_->has_deleted()) {
      ARROW_RETURN_NOT_OK(LeaveOut(/*deleted=*/true));
    }
  }
  ARROW_ASSIGN_OR_RAISE(table_->value_bytes_, arrow::util::ReferencedBufferSize(*table_->batch_));
  return std::move(table_);
}

Status LookupTableBuilder::BindKeys() {
  table_->keys_.clear();
  table_->places_.clear();
  for (const int column : layout_.key) {
    const arrow::Array& array = *table_->batch_->column(column);
    ARROW_ASSIGN_OR_RAISE(const ColumnReader reader, ColumnReader::Make(array));
    table_->keys_.push_back(reader);
    table_->has_text_keys_ |= reader.is_text();
    LookupTable::ValuePlace place;
    place.bits = reader.is_text() ? 32 : array.type()->bit_width();
    const std::shared_ptr<arrow::Buffer>& values = array.data()->buffers[1];
    if (values != nullptr) place.first = values->data() + array.offset() * place.bits / 8;
    table_->places_.push_back(place);
  }
  return Status::OK();
}

Status LookupTableBuilder::Index() {
  LookupTable& table = *table_;
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  for (const int column : layout_.key) {
    arrays.push_back(table.batch_->column(column));
    fields.push_back(table.batch_->schema()->field(column));
  }
  ARROW_ASSIGN_OR_RAISE(
      const LookupKeys keys,
      LookupKeys::Make(arrow::RecordBatch::Make(arrow::schema(fields), rows_, arrays), nullptr));
  const size_t size = std::bit_ceil(size_t(rows_) + size_t(rows_) / 2 + 2);
  table.entries_.assign(size, {});
  table.shift_ = 64 - std::countr_zero(size);
  if (layout_.valid_from >= 0) next_.assign(size_t(rows_), LookupTable::kNone);
  for (int64_t begin = 0; begin < rows_; begin += kAtOnce) {
    const int64_t end = std::min(rows_, begin + kAtOnce);
    for (int64_t row = begin; row < end; ++row) {
      __builtin_prefetch(&table.entries_[table.Home(keys.hash(row))], 1);
    }
    for (int64_t row = begin; row < end; ++row) {
      if (keys.IsNull(row)) {
        ++table.rows_without_key_;
      } else {
        ARROW_RETURN_NOT_OK(IndexRow(keys, row));
      }
    }
  }
  return Status::OK();
}

// What was replaced, and what has no key; or what says that its key is gone.
Status LookupTableBuilder::LeaveOut(bool deleted) {
  LookupTable& table = *table_;
  std::vector<int32_t> kept;
  kept.reserve(size_t(rows_));
  for (const LookupTable::Entry& entry : table.entries_) {
    if (entry.row == LookupTable::kNone || (deleted && table.IsDeleted(entry.row))) continue;
    kept.push_back(entry.row);
  }
  if (int64_t(kept.size()) == rows_) return Status::OK();
  std::ranges::sort(kept);
  if (deleted) {
    ARROW_RETURN_NOT_OK(TakeRows(kept));
    table.deleted_.clear();
    return Index();
  }
  for (LookupTable::Entry& entry : table.entries_) {
    if (entry.row == LookupTable::kNone) continue;
    entry.row = int32_t(std::ranges::lower_bound(kept, entry.row) - kept.begin());
  }
  return TakeRows(kept);
}

Status LookupTableBuilder::IndexRow(const LookupKeys& keys, int64_t row) {
  LookupTable& table = *table_;
  const size_t mask = table.entries_.size() - 1;
  const uint32_t tag = LookupTable::TagOf(keys.hash(row));
  size_t slot = table.Home(keys.hash(row));
  for (; table.entries_[slot].row != LookupTable::kNone; slot = (slot + 1) & mask) {
    LookupTable::Entry& entry = table.entries_[slot];
    if (entry.tag != tag || !table.Equals(keys, row, entry.row)) continue;
    if (kind_ != Kind::kTable) {
      entry.row = int32_t(row);
      return Status::OK();
    }
    if (next_.empty()) return Repeats(entry.row, row);
    next_[size_t(row)] = next_[size_t(entry.row)];
    next_[size_t(entry.row)] = int32_t(row);
    return Status::OK();
  }
  table.entries_[slot] = {tag, int32_t(row)};
  return Status::OK();
}

// Rows of a key side by side, in the order of time.
Status LookupTableBuilder::OrderByTime() {
  LookupTable& table = *table_;
  table.from_ = TimesOf(*table.batch_, layout_.valid_from, kAlways);
  table.to_ = TimesOf(*table.batch_, layout_.valid_to, kForEver);
  std::vector<int32_t> order;
  order.reserve(size_t(rows_));
  std::vector<int32_t> ends;  // of each key's rows, in `order`
  std::vector<int32_t> of_key;
  for (LookupTable::Entry& entry : table.entries_) {
    if (entry.row == LookupTable::kNone) continue;
    of_key.clear();
    for (int32_t row = entry.row; row != LookupTable::kNone; row = next_[size_t(row)]) {
      of_key.push_back(row);
    }
    std::ranges::sort(of_key, [&](int32_t a, int32_t b) {
      const auto key = [&](int32_t row) {
        return std::tuple(table.from_[size_t(row)], table.to_[size_t(row)], row);
      };
      return key(a) < key(b);
    });
    if (layout_.valid_to < 0) EndWithNext(of_key);
    ARROW_RETURN_NOT_OK(CheckTimes(of_key));
    entry.row = int32_t(order.size());
    order.insert(order.end(), of_key.begin(), of_key.end());
    ends.push_back(int32_t(order.size()));
  }
  next_ = {};
  for (std::vector<int64_t>* times : {&table.from_, &table.to_}) {
    std::vector<int64_t> ordered;
    ordered.reserve(order.size());
    for (const int32_t row : order) ordered.push_back((*times)[size_t(row)]);
    *times = std::move(ordered);
  }
  ARROW_RETURN_NOT_OK(TakeRows(order));
  table.last_.assign(order.size(), 0);
  int32_t first = 0;
  for (const int32_t end : ends) {
    table.last_[size_t(first)] = end - 1;
    first = end;
  }
  return Status::OK();
}

// Without a column that says so, a row is valid until the next one of its key is.
void LookupTableBuilder::EndWithNext(std::span<const int32_t> rows) {
  for (size_t i = 0; i + 1 < rows.size(); ++i) {
    const int64_t next = table_->from_[size_t(rows[i + 1])];
    if (table_->from_[size_t(rows[i])] < next) table_->to_[size_t(rows[i])] = next;
  }
}

Status LookupTableBuilder::CheckTimes(std::span<const int32_t> rows) const {
  const LookupTable& table = *table_;
  const auto from = [&](int32_t row) { return table.from_[size_t(row)]; };
  const auto to = [&](int32_t row) { return table.to_[size_t(row)]; };
  const auto shown = [&](int64_t time) {
    return time == kAlways || time == kForEver ? "null" : FormatTimestamp(EventTime(Micros(time)));
  };
  const auto key = [&](int32_t row) {
    return FormatLookupKey(layout_, *table.batch_, layout_.key, row);
  };
  int32_t before = -1;  // the last row that is valid for some time
  for (const int32_t row : rows) {
    if (from(row) > to(row)) {
      return UserError("bad_validity", key(row) + " is valid from " + shown(from(row)) + " to " +
                                           shown(to(row)) + ", which is before: " + PlaceOf(row));
    }
    if (from(row) == to(row)) continue;
    if (before >= 0 && from(row) < to(before)) {
      return UserError("overlapping_validity",
                       key(row) + " has two rows at " + shown(from(row)) + ": " + PlaceOf(before) +
                           " (valid from " + shown(from(before)) + " to " + shown(to(before)) +
                           ") and " + PlaceOf(row) + " (from " + shown(from(row)) + " to " +
                           shown(to(row)) + ")");
    }
    before = row;
  }
  return Status::OK();
}

Status LookupTableBuilder::TakeRows(const std::vector<int32_t>& rows) {
  arrow::ArrayVector arrays;
  const std::shared_ptr<arrow::Array> indexes = Borrow(rows);
  for (const std::shared_ptr<arrow::Array>& column : table_->batch_->columns()) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> taken, TakeValues(column, indexes));
    arrays.push_back(std::move(taken));
  }
  if (!table_->deleted_.empty()) {
    std::vector<uint8_t> deleted;
    deleted.reserve(rows.size());
    for (const int32_t row : rows) deleted.push_back(table_->deleted_[size_t(row)]);
    table_->deleted_ = std::move(deleted);
  }
  rows_ = int64_t(rows.size());
  table_->batch_ = arrow::RecordBatch::Make(table_->batch_->schema(), rows_, std::move(arrays));
  return BindKeys();
}

Status LookupTableBuilder::Repeats(int64_t first, int64_t second) const {
  return UserError("duplicate_key", FormatLookupKey(layout_, *table_->batch_, layout_.key, second) +
                                        " is there twice: " + PlaceOf(first) + " and " +
                                        PlaceOf(second));
}

std::string LookupTableBuilder::PlaceOf(int64_t row) const {
  auto chunk = std::ranges::upper_bound(chunks_, row, {}, &Chunk::first_row);
  --chunk;
  return chunk->places.source + ", row " +
         std::to_string(chunk->places.offsets[size_t(row - chunk->first_row)]);
}

}  // namespace millrace
