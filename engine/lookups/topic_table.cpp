#include "engine/lookups/topic_table.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "engine/connectors/message/csv_cells.h"
#include "engine/connectors/tombstone.h"
#include "engine/operators/take_rows.h"

namespace millrace {
namespace {

constexpr int64_t kMergedAtShare = 4;
constexpr int64_t kPendingRowsMax = 1 << 17;
constexpr int64_t kPendingBytesMax = 64 << 20;
// More bad records than this are not kept apart: they are counted, and nothing mends them.
constexpr size_t kBadKeysMax = 10'000;
constexpr size_t kBadKeyBytesMax = 1024;

std::string PlaceOf(const TopicPartition& partition, int64_t offset) {
  return "topic " + partition.topic + ", partition " + std::to_string(partition.partition) +
         ", offset " + std::to_string(offset);
}

}  // namespace

class TopicTable::TombstoneKeys {
 public:
  TombstoneKeys(const LookupSpec& spec, const LookupLayout& layout) : layout_(layout) {
    source_.format = spec.format;
    source_.csv = spec.csv;
    source_.csv.fields.clear();
    source_.csv.rest = false;
    std::vector<int> used;
    for (const int field : layout.key) {
      const SourceColumn& column = spec.columns[size_t(layout.columns[size_t(field)])];
      used.push_back(int(source_.columns.size()));
      source_.columns.push_back(column);
      source_.csv.fields.push_back(column.from);
    }
    decoder_.emplace(source_, used);
  }

  // False: `why` says what is wrong with it. `row`: of the batch that the key is in, which is that
  // of values, or of what was decoded.
  struct Read {
    bool good = false;
    bool is_value = false;
    int32_t row = 0;
    std::string why;
  };
  Read Take(std::string_view key) {
    Read read;
    const bool is_object = source_.format == Format::kJson && key.starts_with('{');
    if (source_.columns.size() == 1 && !is_object) {
      read.is_value = true;
      read.row = int32_t(values_.length());
      read.good = key.size() <= kCellBytesMax && IsValue(key, &read.why);
      if (read.good) read.good = values_.Append(key).ok();
      return read;
    }
    read.row = int32_t(decoder_->rows());
    decoder_->Append(key, &decoded_);
    read.good = decoded_.rows.size() == 1 && decoded_.refused.empty();
    if (read.good) return read;
    read.why = decoded_.refused.empty() ? "it is not one key" : decoded_.refused[0].failure.message;
    return read;
  }

  // What was taken since the last call, as rows of the table with nothing but their keys.
  Result<std::shared_ptr<arrow::RecordBatch>> FinishDecoded() {
    ARROW_ASSIGN_OR_RAISE(const auto keys, decoder_->Finish());
    return AsRows(keys->columns(), keys->num_rows());
  }
  Result<std::shared_ptr<arrow::RecordBatch>> FinishValues() {
    ARROW_ASSIGN_OR_RAISE(const auto cells, values_.Finish());
    if (cells->length() == 0) return AsRows({}, 0);
    ARROW_ASSIGN_OR_RAISE(
        auto keys, ConvertCells(static_cast<const arrow::BinaryArray&>(*cells), source_.columns[0],
                                source_.csv.null_text, [](int64_t, std::string_view) {}));
    return AsRows({std::move(keys)}, cells->length());
  }

 private:
  static constexpr size_t kCellBytesMax = 1 << 20;

  bool IsValue(std::string_view key, std::string* why) const {
    arrow::BinaryBuilder cell;
    if (!cell.Append(key).ok()) return false;
    const auto array = cell.Finish();
    if (!array.ok()) return false;
    bool good = true;
    const auto converted =
        ConvertCells(static_cast<const arrow::BinaryArray&>(**array), source_.columns[0],
                     source_.csv.null_text, [&](int64_t, std::string_view text) {
                       *why = CellMismatch(source_.columns[0].field, text);
                       good = false;
                     });
    return converted.ok() && good;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> AsRows(const arrow::ArrayVector& keys,
                                                     int64_t rows) const {
    const auto schema = layout_.schema.ToArrow();
    arrow::ArrayVector arrays;
    for (const auto& field : schema->fields()) {
      ARROW_ASSIGN_OR_RAISE(auto nulls, arrow::MakeArrayOfNull(field->type(), rows));
      arrays.push_back(std::move(nulls));
    }
    for (size_t i = 0; i < keys.size(); ++i) arrays[size_t(layout_.key[i])] = keys[i];
    return arrow::RecordBatch::Make(schema, rows, std::move(arrays));
  }

  const LookupLayout& layout_;
  SourceStreamSpec source_;
  std::optional<MessageDecoder> decoder_;
  DecodedMessage decoded_;
  arrow::BinaryBuilder values_;
};

TopicTable::TopicTable(const LookupSpec& spec, const LookupLayout& layout,
                       const LookupLimits& limits)
    : layout_(layout),
      limits_(limits),
      table_limits_({INT32_MAX, 2 * limits.bytes_max}),
      tombstone_keys_(std::make_unique<TombstoneKeys>(spec, layout)) {}

TopicTable::~TopicTable() = default;

Status TopicTable::Add(const SourceBatch& batch) {
  std::vector<Change> changes;
  arrow::RecordBatchVector parts = {batch.rows.batch};
  ARROW_RETURN_NOT_OK(TakeTombstones(batch, &changes, &parts));
  for (int64_t row = 0; row < batch.rows.size(); ++row) {
    const int64_t offset = batch.rows.origins->offsets[size_t(row)];
    changes.push_back({offset, int32_t(row), 0});
    if (!bad_.empty()) Mend(batch.partition, batch.originals->KeyOfRow(row), offset);
  }
  if (changes.empty()) return Status::OK();
  std::shared_ptr<arrow::RecordBatch> together = batch.rows.batch;
  std::vector<uint8_t> deleted;
  if (parts.size() > 1) {
    std::ranges::stable_sort(changes, {}, &Change::offset);
    RowIndexes order;
    for (const Change& change : changes) {
      order.push_back(change.row);
      deleted.push_back(change.deleted);
    }
    ARROW_ASSIGN_OR_RAISE(together, arrow::ConcatenateRecordBatches(parts));
    ARROW_ASSIGN_OR_RAISE(Rows ordered, TakeRows(Rows{std::move(together), nullptr}, order));
    together = std::move(ordered.batch);
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*together));
  pending_bytes_ += bytes;
  pending_rows_ += together->num_rows();
  pending_.push_back(std::move(together));
  pending_deleted_.push_back(std::move(deleted));
  return Status::OK();
}

// Rows of tombstones follow those of the batch: first the ones that were decoded, then values.
Status TopicTable::TakeTombstones(const SourceBatch& batch, std::vector<Change>* changes,
                                  arrow::RecordBatchVector* parts) {
  struct Taken {
    const RejectedRecord* record;
    TombstoneKeys::Read read;
  };
  std::vector<Taken> taken;
  for (const RejectedRecord& record : batch.rejected) {
    if (record.reason != kTombstone) {
      TellBad(batch.partition, record, record.message);
      continue;
    }
    TombstoneKeys::Read read = tombstone_keys_->Take(record.key);
    if (read.good) {
      Mend(batch.partition, record.key, record.offset);
      taken.push_back({&record, std::move(read)});
    } else {
      TellBad(batch.partition, record, "no value, and its key cannot be read: " + read.why);
    }
  }
  if (taken.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto decoded, tombstone_keys_->FinishDecoded());
  ARROW_ASSIGN_OR_RAISE(const auto values, tombstone_keys_->FinishValues());
  const auto first = int32_t(batch.rows.size());
  for (const auto& [record, read] : taken) {
    const auto& keys = read.is_value ? values : decoded;
    const auto is_null = [&](int column) { return keys->column(column)->IsNull(read.row); };
    if (std::ranges::any_of(layout_.key, is_null)) {
      TellBad(batch.partition, *record, "no value, and its key has a null in it");
      continue;
    }
    const int32_t before = first + (read.is_value ? int32_t(decoded->num_rows()) : 0);
    changes->push_back({record->offset, before + read.row, 1});
  }
  parts->push_back(decoded);
  parts->push_back(values);
  return Status::OK();
}

void TopicTable::TellBad(const TopicPartition& partition, const RejectedRecord& record,
                         const std::string& message) {
  Bad bad{partition, record.offset, PlaceOf(partition, record.offset) + ": " + message};
  const bool has_key = !record.key.empty() && record.key.size() <= kBadKeyBytesMax;
  if (has_key && (bad_.size() < kBadKeysMax || bad_.contains(record.key))) {
    bad_[record.key] = std::move(bad);
    return;
  }
  if (bad_without_key_++ == 0) first_bad_without_key_ = std::move(bad.told);
}

// What was wrong with a key's record no longer counts once there is a later one.
void TopicTable::Mend(const TopicPartition& partition, std::string_view kafka_key, int64_t offset) {
  const auto bad = bad_.find(kafka_key);
  if (bad == bad_.end()) return;
  if (bad->second.partition != partition || bad->second.offset < offset) bad_.erase(bad);
}

std::string TopicTable::FirstBad() const {
  return bad_.empty() ? first_bad_without_key_ : bad_.begin()->second.told;
}

void TopicTable::ForgetBad() {
  bad_.clear();
  bad_without_key_ = 0;
  first_bad_without_key_.clear();
}

Result<std::shared_ptr<const LookupSnapshot>> TopicTable::Step() {
  using Kind = LookupTableBuilder::Kind;
  if (pending_rows_ > 0 || tables_.empty()) {
    LookupTableBuilder builder(layout_, table_limits_,
                               tables_.empty() ? Kind::kLatest : Kind::kChanges);
    for (size_t i = 0; i < pending_.size(); ++i) {
      const auto added = builder.Add(std::move(pending_[i]), {}, pending_deleted_[i]);
      if (!added.ok()) return TooManyBytes();
    }
    pending_.clear();
    pending_deleted_.clear();
    pending_rows_ = 0;
    pending_bytes_ = 0;
    ARROW_ASSIGN_OR_RAISE(const auto changes, builder.Finish());
    rows_without_key_ += changes->rows_without_key();
    ARROW_RETURN_NOT_OK(CountRows(*changes));
    tables_.insert(tables_.begin(), changes);
    while (tables_.size() > 1 && tables_[0]->rows() * kMergedAtShare >= tables_[1]->rows()) {
      ARROW_RETURN_NOT_OK(Merge());
    }
    ARROW_RETURN_NOT_OK(CheckLimits());
  }
  return std::make_shared<const LookupSnapshot>(tables_, rows_);
}

// Which of the changed keys are new, and which are gone.
Status TopicTable::CountRows(const LookupTable& changes) {
  if (tables_.empty()) {
    rows_ = changes.rows();
    return Status::OK();
  }
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  for (const int column : layout_.key) {
    arrays.push_back(changes.batch().column(column));
    fields.push_back(changes.batch().schema()->field(column));
  }
  ARROW_ASSIGN_OR_RAISE(
      const LookupKeys keys,
      LookupKeys::Make(arrow::RecordBatch::Make(arrow::schema(fields), changes.rows(), arrays),
                       nullptr));
  const LookupMatches before = LookupSnapshot(tables_, rows_).Find(keys);
  for (int32_t row = 0; row < int32_t(changes.rows()); ++row) {
    const bool was_there = before.rows[size_t(row)] != LookupTable::kNone;
    rows_ += int64_t(!changes.IsDeleted(row)) - int64_t(was_there);
  }
  return Status::OK();
}

// The two newest tables become one.
Status TopicTable::Merge() {
  using Kind = LookupTableBuilder::Kind;
  LookupTableBuilder builder(layout_, table_limits_,
                             tables_.size() == 2 ? Kind::kLatest : Kind::kChanges);
  for (const size_t number : {1, 0}) {
    const LookupTable& table = *tables_[number];
    std::vector<uint8_t> deleted;
    if (table.has_deleted()) {
      deleted.reserve(size_t(table.rows()));
      for (int32_t row = 0; row < int32_t(table.rows()); ++row) {
        deleted.push_back(uint8_t(table.IsDeleted(row)));
      }
    }
    // The table that is shared stays as it is: a batch is only referred to.
    auto batch =
        arrow::RecordBatch::Make(table.batch().schema(), table.rows(), table.batch().columns());
    if (!builder.Add(std::move(batch), {}, deleted).ok()) return TooManyBytes();
  }
  ARROW_ASSIGN_OR_RAISE(tables_[1], builder.Finish());
  tables_.erase(tables_.begin());
  return Status::OK();
}

Status TopicTable::CheckLimits() const {
  int64_t bytes = 0;
  for (const auto& table : tables_) bytes += table->value_bytes();
  if (rows_ > limits_.rows_max) {
    return UserError("lookup_too_large", "more than " + std::to_string(limits_.rows_max) +
                                             " rows: the table is kept in memory");
  }
  // What is replaced is still there until tables are put together.
  if (bytes > limits_.bytes_max + limits_.bytes_max / 2) return TooManyBytes();
  return Status::OK();
}

Status TopicTable::TooManyBytes() const {
  return UserError("lookup_too_large",
                   "more than " + std::to_string(limits_.bytes_max >> 20) +
                       " MiB in the columns that are used: the table is kept in memory");
}

bool TopicTable::is_full() const {
  return pending_rows_ >= kPendingRowsMax || pending_bytes_ >= kPendingBytesMax;
}

}  // namespace millrace
