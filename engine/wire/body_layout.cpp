#include "engine/wire/body_layout.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api.h>
#include <arrow/ipc/writer.h>

#include <bit>
#include <cstring>

#include "engine/connectors/source.h"
#include "engine/wire/body_parts.h"

namespace millrace {
namespace {

namespace compute = arrow::compute;
namespace ipc = arrow::ipc;

static_assert(std::endian::native == std::endian::little, "numbers are sent as they are in memory");

Status Unsendable(std::string_view why) { return InternalError("unsendable_rows", why); }

ipc::IpcWriteOptions WriteOptions() {
  ipc::IpcWriteOptions options = ipc::IpcWriteOptions::Defaults();
  options.alignment = 8;
  options.use_threads = false;
  return options;
}

template <typename Number>
bool Has(const std::shared_ptr<const std::vector<Number>>& values, int64_t rows) {
  return values == nullptr || int64_t(values->size()) == rows;
}

// Bytes of a value of a column of numbers; 0: of other things.
int NumberBytes(const arrow::DataType& type) {
  if (!arrow::is_primitive(type.id()) || type.id() == arrow::Type::BOOL) return 0;
  const int bytes = type.byte_width();
  return bytes == 4 || bytes == 8 ? bytes : 0;
}

template <typename Number>
void Gather(const Number* values, const uint32_t* rows, int64_t count, Number* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = values[rows[i]];
}

// What cannot be sent, or null.
const char* MistakeIn(const DataFrame& data) {
  const Rows& rows = data.rows;
  const int64_t count = rows.size();
  if (rows.batch == nullptr) return "no batch";
  if (data.sink < 0 && data.hashes == nullptr) return "rows of a window without hashes";
  if (!Has(data.hashes, count)) return "not as many hashes as rows";
  if (!Has(rows.items, count)) return "not as many items as rows";
  if (!Has(rows.original_rows, count)) return "not as many rows of records as rows";
  if (rows.originals != nullptr && rows.origins == nullptr) return "records without origins";
  if (rows.origins == nullptr) return nullptr;
  if (int64_t(rows.origins->offsets.size()) != count) return "not as many offsets as rows";
  if (!rows.origins->indexes.empty() && int64_t(rows.origins->indexes.size()) != count) {
    return "not as many indexes as rows";
  }
  return nullptr;
}

}  // namespace

void BodyLayout::Clear() {
  pieces_.clear();
  kept_.clear();
  metadata_.reset();
  bytes_ = 0;
}

std::string_view BodyLayout::metadata() const {
  return metadata_ == nullptr ? std::string_view() : std::string_view(*metadata_);
}

void BodyLayout::AddPiece(const void* data, int64_t bytes, bool ends_part) {
  pieces_.push_back({data, bytes, ends_part});
  bytes_ += bytes;
  if (ends_part) bytes_ = Padded(bytes_);
}

void BodyLayout::Write(uint8_t* body) const {
  uint8_t* out = body;
  for (const Piece& piece : pieces_) {
    if (piece.bytes > 0) std::memcpy(out, piece.data, size_t(piece.bytes));
    out += piece.bytes;
    if (!piece.ends_part) continue;
    const int64_t padding = Padded(out - body) - (out - body);
    std::memset(out, 0, size_t(padding));
    out += padding;
  }
}

Result<BodyLayout::Picked> BodyLayout::Pick(const DataFrame& data) {
  const std::vector<uint32_t>& selection = data.selection;
  Picked picked;
  picked.rows = data.rows.size();
  if (data.sink >= 0 && selection.empty()) return picked;  // all
  picked.rows = int64_t(selection.size());
  if (selection.empty()) return picked;
  if (*std::ranges::max_element(selection) >= data.rows.size()) {
    return Unsendable("a selected row that is not of the batch");
  }
  picked.first = selection.front();
  for (int64_t i = 0; i < picked.rows; ++i) {
    if (selection[size_t(i)] != picked.first + i) {
      picked.list = selection.data();
      break;
    }
  }
  return picked;
}

Result<int64_t> BodyLayout::AddBatch(const arrow::RecordBatch& batch, const Picked& picked) {
  if (picked.rows == 0) return 0;
  if (picked.list == nullptr) {
    if (picked.rows == batch.num_rows()) return AddPayload(batch);
    return AddPayload(*batch.Slice(picked.first, picked.rows));
  }
  static const Status initialized = compute::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  const arrow::Datum indexes(std::make_shared<arrow::UInt32Array>(
      picked.rows, arrow::Buffer::Wrap(picked.list, size_t(picked.rows))));
  arrow::ArrayDataVector columns;
  columns.reserve(size_t(batch.num_columns()));
  if (words_.size() < size_t(batch.num_columns())) words_.resize(size_t(batch.num_columns()));
  for (const std::shared_ptr<arrow::ArrayData>& column : batch.column_data()) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(),
                          TakeColumn(column, picked, indexes, &words_[columns.size()]));
  }
  return AddPayload(*arrow::RecordBatch::Make(batch.schema(), picked.rows, std::move(columns)));
}

Result<std::shared_ptr<arrow::ArrayData>> BodyLayout::TakeColumn(
    const std::shared_ptr<arrow::ArrayData>& column, const Picked& picked,
    const arrow::Datum& indexes, std::vector<uint64_t>* words) {
  // Most columns are of numbers without nulls; a loop over so few rows takes a tenth of what a call
  // of Arrow's does.
  const int width = column->GetNullCount() > 0 ? 0 : NumberBytes(*column->type);
  if (width == 0) {
    ARROW_ASSIGN_OR_RAISE(
        const arrow::Datum taken,
        compute::Take(arrow::Datum(column), indexes, compute::TakeOptions::NoBoundsCheck()));
    return taken.array();
  }
  words->resize(size_t(Padded(picked.rows * width) / 8));
  if (width == 8) {
    Gather(column->GetValues<uint64_t>(1), picked.list, picked.rows, words->data());
  } else {
    Gather(column->GetValues<uint32_t>(1), picked.list, picked.rows,
           reinterpret_cast<uint32_t*>(words->data()));
  }
  auto values = std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(words->data()),
                                                picked.rows * width);
  return arrow::ArrayData::Make(column->type, picked.rows, {nullptr, std::move(values)},
                                /*null_count=*/0);
}

Result<int64_t> BodyLayout::AddPayload(const arrow::RecordBatch& batch) {
  static const ipc::IpcWriteOptions options = WriteOptions();
  ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(ipc::GetRecordBatchPayload(batch, options, &payload));
  metadata_ = std::move(payload.metadata);
  const int64_t begin = bytes_;
  for (std::shared_ptr<arrow::Buffer>& buffer : payload.body_buffers) {
    if (buffer == nullptr || buffer->size() == 0) continue;
    AddPiece(buffer->data(), buffer->size(), true);
    kept_.push_back(std::move(buffer));
  }
  if (bytes_ - begin != payload.body_length) {
    return Unsendable("Arrow lays a batch out in another way than it says");
  }
  return payload.body_length;
}

template <typename Number>
void BodyLayout::AddAll(const std::vector<Number>& values) {
  AddPiece(values.data(), int64_t(values.size() * sizeof(Number)), true);
}

void BodyLayout::AddTexts(const std::vector<std::string_view>& texts) {
  for (const std::string_view text : texts) AddPiece(text.data(), int64_t(text.size()), false);
  AddPiece(nullptr, 0, true);
}

template <typename Number>
void BodyLayout::AddVector(const std::vector<Number>& values, const Picked& picked,
                           std::vector<Number>* scratch) {
  if (picked.list == nullptr) {
    AddPiece(values.data() + picked.first, picked.rows * int64_t(sizeof(Number)), true);
    return;
  }
  scratch->resize(size_t(picked.rows));
  Gather(values.data(), picked.list, picked.rows, scratch->data());
  AddAll(*scratch);
}

Status BodyLayout::LayOut(const DataFrame& data, proto::ExchangeRows* control) {
  Clear();
  if (const char* const mistake = MistakeIn(data)) return Unsendable(mistake);
  const auto& [batch, origins, kind, are_panes, items, originals, original_rows] = data.rows;
  ARROW_ASSIGN_OR_RAISE(const Picked picked, Pick(data));
  if (picked.rows > kFrameRowsMax) {
    return Unsendable(std::to_string(picked.rows) + " rows in one frame, which are at most " +
                      std::to_string(kFrameRowsMax));
  }
  control->set_rows(picked.rows);
  ARROW_ASSIGN_OR_RAISE(const int64_t batch_bytes, AddBatch(*batch, picked));
  control->set_batch_bytes(batch_bytes);
  control->set_kind(int32_t(kind));
  control->set_are_panes(are_panes);
  if (data.hashes != nullptr) {
    control->set_has_hashes(true);
    AddVector(*data.hashes, picked, &hashes_);
  }
  if (items != nullptr) {
    control->set_has_items(true);
    AddVector(*items, picked, &items_);
  }
  if (origins != nullptr) {
    const auto& [source, offsets, indexes] = *origins;
    control->mutable_origin()->set_topic(source.topic);
    control->mutable_origin()->set_partition(source.partition);
    AddVector(offsets, picked, &offsets_);
    if (!indexes.empty()) {
      control->set_has_indexes(true);
      AddVector(indexes, picked, &indexes_);
    }
  }
  if (originals != nullptr) return AddOriginals(data.rows, picked, control);
  if (original_rows != nullptr) {
    control->set_has_original_rows(true);
    AddVector(*original_rows, picked, &original_rows_);
  }
  return Status::OK();
}

// Each record once, however many rows are of it, by new numbers in the order of the rows.
Status BodyLayout::AddOriginals(const Rows& rows, const Picked& picked,
                                proto::ExchangeRows* control) {
  control->set_has_originals(true);
  originals_.clear();
  if (rows.original_rows == nullptr) {
    for (int64_t i = 0; i < picked.rows; ++i) originals_.push_back(int32_t(picked[i]));
  } else {
    original_rows_.clear();
    renumbered_.clear();
    for (int64_t i = 0; i < picked.rows; ++i) {
      const int32_t row = (*rows.original_rows)[picked[i]];
      if (row < 0) return Unsendable("a row of no record");
      if (size_t(row) >= renumbered_.size()) renumbered_.resize(size_t(row) + 1, -1);
      int32_t& number = renumbered_[size_t(row)];
      if (number < 0) {
        number = int32_t(originals_.size());
        originals_.push_back(row);
      }
      original_rows_.push_back(number);
    }
    control->set_has_original_rows(true);
    AddAll(original_rows_);
  }
  control->set_originals(int64_t(originals_.size()));

  value_ends_.clear();
  key_ends_.clear();
  values_.clear();
  keys_.clear();
  uint64_t value_bytes = 0;
  uint64_t key_bytes = 0;
  for (const int32_t row : originals_) {
    values_.push_back(rows.originals->ValueOfRow(row));
    keys_.push_back(rows.originals->KeyOfRow(row));
    value_bytes += values_.back().size();
    key_bytes += keys_.back().size();
    if (std::max(value_bytes, key_bytes) > UINT32_MAX) {
      return Unsendable("records of more than 4 GiB");
    }
    value_ends_.push_back(uint32_t(value_bytes));
    key_ends_.push_back(uint32_t(key_bytes));
  }
  AddAll(value_ends_);
  AddAll(key_ends_);
  AddTexts(values_);
  AddTexts(keys_);
  return Status::OK();
}

Status BodyLayout::LayOut(const std::vector<DeadLetter>& letters, proto::ExchangeLetters* control) {
  Clear();
  if (int64_t(letters.size()) > kFrameRowsMax) return Unsendable("too many dead letters");
  arrow::BinaryBuilder values, keys, reasons, messages, streams, topics;
  arrow::Int32Builder partitions, indexes;
  arrow::Int64Builder offsets;
  for (const DeadLetter& letter : letters) {
    const auto& [value, key, reason, message, stream, source, offset, index] = letter;
    ARROW_RETURN_NOT_OK(values.Append(value));
    ARROW_RETURN_NOT_OK(keys.Append(key));
    ARROW_RETURN_NOT_OK(reasons.Append(reason));
    ARROW_RETURN_NOT_OK(messages.Append(message));
    ARROW_RETURN_NOT_OK(streams.Append(stream));
    ARROW_RETURN_NOT_OK(topics.Append(source.topic));
    ARROW_RETURN_NOT_OK(partitions.Append(source.partition));
    ARROW_RETURN_NOT_OK(offsets.Append(offset));
    ARROW_RETURN_NOT_OK(indexes.Append(index));
  }
  control->set_letters(int64_t(letters.size()));
  if (letters.empty()) return Status::OK();
  arrow::ArrayVector columns;
  for (arrow::ArrayBuilder* builder :
       std::initializer_list<arrow::ArrayBuilder*>{&values, &keys, &reasons, &messages, &streams,
                                                   &topics, &partitions, &offsets, &indexes}) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), builder->Finish());
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t batch_bytes,
                        AddPayload(*arrow::RecordBatch::Make(
                            LetterSchema(), int64_t(letters.size()), std::move(columns))));
  control->set_batch_bytes(batch_bytes);
  return Status::OK();
}

}  // namespace millrace
