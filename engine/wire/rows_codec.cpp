#include "engine/wire/rows_codec.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/memory_pool.h>

#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "engine/connectors/source.h"
#include "engine/wire/bad_message.h"

namespace millrace {
namespace {

namespace compute = arrow::compute;
namespace ipc = arrow::ipc;

static_assert(std::endian::native == std::endian::little, "numbers are sent as they are in memory");

constexpr int64_t Padded(int64_t bytes) { return (bytes + 7) / 8 * 8; }

Status Unsendable(std::string_view why) { return InternalError("unsendable_rows", why); }

const std::shared_ptr<arrow::Schema>& LetterSchema() {
  static const auto schema = arrow::schema(
      {arrow::field("value", arrow::binary()), arrow::field("key", arrow::binary()),
       arrow::field("reason", arrow::binary()), arrow::field("message", arrow::binary()),
       arrow::field("stream", arrow::binary()), arrow::field("topic", arrow::binary()),
       arrow::field("partition", arrow::int32()), arrow::field("offset", arrow::int64()),
       arrow::field("index", arrow::int32())});
  return schema;
}

ipc::IpcWriteOptions WriteOptions() {
  ipc::IpcWriteOptions options = ipc::IpcWriteOptions::Defaults();
  options.alignment = 8;
  options.use_threads = false;
  return options;
}

// Nothing that is not compressed needs memory, and what is compressed could need any amount: there
// is none.
ipc::IpcReadOptions ReadOptions() {
  static arrow::CappedMemoryPool none(arrow::default_memory_pool(), 0);
  ipc::IpcReadOptions options = ipc::IpcReadOptions::Defaults();
  options.memory_pool = &none;
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
  uint64_t values = 0;
  uint64_t keys = 0;
  for (const int32_t row : originals_) {
    values += rows.originals->ValueOfRow(row).size();
    keys += rows.originals->KeyOfRow(row).size();
    if (std::max(values, keys) > UINT32_MAX) return Unsendable("records of more than 4 GiB");
    value_ends_.push_back(uint32_t(values));
    key_ends_.push_back(uint32_t(keys));
  }
  AddAll(value_ends_);
  AddAll(key_ends_);
  const auto add = [&](std::string_view bytes) {
    AddPiece(bytes.data(), int64_t(bytes.size()), false);
  };
  for (const int32_t row : originals_) add(rows.originals->ValueOfRow(row));
  AddPiece(nullptr, 0, true);
  for (const int32_t row : originals_) add(rows.originals->KeyOfRow(row));
  AddPiece(nullptr, 0, true);
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

// ---- receiving ---------------------------------------------------------------------------------

namespace {

// A body, taken part by part.
class BodyReader {
 public:
  explicit BodyReader(const std::shared_ptr<arrow::Buffer>& body) : body_(body) {}

  int64_t left() const { return body_->size() - at_; }
  // With what pads it to a multiple of 8.
  Result<std::shared_ptr<arrow::Buffer>> Take(int64_t bytes) {
    if (bytes < 0 || bytes > left() || Padded(bytes) > left()) {
      return BadMessage("a body that is shorter than it says");
    }
    auto part = arrow::SliceBuffer(body_, at_, bytes);
    at_ += Padded(bytes);
    return part;
  }
  // `count` is at most kFrameRowsMax.
  template <typename Number>
  Result<std::shared_ptr<std::vector<Number>>> TakeVector(int64_t count) {
    ARROW_ASSIGN_OR_RAISE(const auto part, Take(count * int64_t(sizeof(Number))));
    const auto* const values = reinterpret_cast<const Number*>(part->data());
    return std::make_shared<std::vector<Number>>(values, values + count);
  }

 private:
  const std::shared_ptr<arrow::Buffer>& body_;
  int64_t at_ = 0;
};

// Of text or bytes with offsets of 32 bits: each row's bytes lie in the data. Arrow's own cheap
// check has looked at the sizes of the buffers.
bool OffsetsAreInOrder(const arrow::ArrayData& column) {
  const int32_t* const offsets = column.GetValues<int32_t>(1);
  const int64_t data_bytes = column.buffers[2] == nullptr ? 0 : column.buffers[2]->size();
  bool ordered = offsets[0] >= 0 && offsets[column.length] <= data_bytes;
  for (int64_t row = 0; row < column.length; ++row) {
    ordered &= offsets[row] <= offsets[row + 1];
  }
  return ordered;
}

Status VerifyColumn(const arrow::Array& column, int64_t rows) {
  if (column.length() != rows) return BadMessage("a column of another length");
  arrow::ArrayData& data = *column.data();
  if (const Status status = column.Validate(); !status.ok()) return BadMessage(status.message());
  if (arrow::is_binary_like(data.type->id()) && !OffsetsAreInOrder(data)) {
    return BadMessage("a column of text whose offsets are out of order");
  }
  // Counted again: memory for what is not null is made by it.
  if (data.type->id() != arrow::Type::NA && data.buffers[0] != nullptr) {
    const int64_t told = data.null_count;
    data.null_count = arrow::kUnknownNullCount;
    if (data.GetNullCount() != told) return BadMessage("a column with a wrong count of nulls");
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch(
    const std::shared_ptr<arrow::Schema>& schema, int64_t rows,
    const std::shared_ptr<arrow::Buffer>& metadata, std::shared_ptr<arrow::Buffer> body) {
  if (rows == 0) {
    if (metadata->size() != 0 || body->size() != 0) return BadMessage("a batch without rows");
    return arrow::RecordBatch::MakeEmpty(schema);
  }
  static const ipc::IpcReadOptions options = ReadOptions();
  const auto opened = ipc::Message::Open(metadata, std::move(body));
  if (!opened.ok()) return BadMessage(opened.status().message());
  if ((*opened)->type() != ipc::MessageType::RECORD_BATCH) {
    return BadMessage("no record batch where one must be");
  }
  const auto read = ipc::ReadRecordBatch(**opened, schema, /*dictionary_memo=*/nullptr, options);
  if (!read.ok()) return BadMessage(read.status().message());
  if ((*read)->num_rows() != rows) return BadMessage("a batch of another number of rows");
  for (int i = 0; i < (*read)->num_columns(); ++i) {
    ARROW_RETURN_NOT_OK(VerifyColumn(*(*read)->column(i), rows));
  }
  return *read;
}

// Records that came with rows. They lie in the message.
class ReceivedOriginals final : public OriginalRecords {
 public:
  // Ends of the values and keys, in the order of the records.
  struct Texts {
    std::shared_ptr<arrow::Buffer> ends;
    std::shared_ptr<arrow::Buffer> bytes;

    std::string_view Of(int64_t row) const {
      const auto* const end = reinterpret_cast<const uint32_t*>(ends->data());
      const uint32_t begin = row == 0 ? 0 : end[row - 1];
      return std::string_view(*bytes).substr(begin, end[row] - begin);
    }
  };

  ReceivedOriginals(Texts values, Texts keys)
      : values_(std::move(values)), keys_(std::move(keys)) {}

  std::string_view ValueOfRow(int64_t row) const override { return values_.Of(row); }
  std::string_view KeyOfRow(int64_t row) const override { return keys_.Of(row); }
  int64_t bytes() const override { return values_.bytes->size() + keys_.bytes->size(); }

 private:
  const Texts values_;
  const Texts keys_;
};

// How many bytes texts with these ends take.
Result<int64_t> LastOf(const arrow::Buffer& ends) {
  const auto* const end = reinterpret_cast<const uint32_t*>(ends.data());
  const size_t count = size_t(ends.size()) / sizeof(uint32_t);
  for (size_t i = 1; i < count; ++i) {
    if (end[i] < end[i - 1]) return BadMessage("records that end before they begin");
  }
  return count == 0 ? 0 : int64_t(end[count - 1]);
}

Result<std::shared_ptr<const OriginalRecords>> ReadOriginals(int64_t count, BodyReader* body) {
  ReceivedOriginals::Texts values;
  ReceivedOriginals::Texts keys;
  ARROW_ASSIGN_OR_RAISE(values.ends, body->Take(count * int64_t(sizeof(uint32_t))));
  ARROW_ASSIGN_OR_RAISE(keys.ends, body->Take(count * int64_t(sizeof(uint32_t))));
  ARROW_ASSIGN_OR_RAISE(const int64_t value_bytes, LastOf(*values.ends));
  ARROW_ASSIGN_OR_RAISE(const int64_t key_bytes, LastOf(*keys.ends));
  ARROW_ASSIGN_OR_RAISE(values.bytes, body->Take(value_bytes));
  ARROW_ASSIGN_OR_RAISE(keys.bytes, body->Take(key_bytes));
  return std::make_shared<const ReceivedOriginals>(std::move(values), std::move(keys));
}

Status ReadOrigins(const proto::ExchangeRows& control, BodyReader* body, Rows* rows) {
  if (control.origin().partition() < 0) return BadMessage("a negative partition");
  auto origins = std::make_shared<Origins>();
  origins->source = {control.origin().topic(), control.origin().partition()};
  ARROW_ASSIGN_OR_RAISE(const auto offsets, body->TakeVector<int64_t>(control.rows()));
  origins->offsets = std::move(*offsets);
  if (control.has_indexes()) {
    ARROW_ASSIGN_OR_RAISE(const auto indexes, body->TakeVector<int32_t>(control.rows()));
    origins->indexes = std::move(*indexes);
  }
  rows->origins = std::move(origins);
  return Status::OK();
}

// After the origins: the records, and which of them a row is of.
Status ReadRecords(const proto::ExchangeRows& control, BodyReader* body, Rows* rows) {
  int32_t last = -1;  // the highest number that a row names
  if (control.has_original_rows()) {
    ARROW_ASSIGN_OR_RAISE(auto numbers, body->TakeVector<int32_t>(control.rows()));
    for (const int32_t number : *numbers) {
      if (number < 0) return BadMessage("a row of a negative record");
      last = std::max(last, number);
    }
    rows->original_rows = std::move(numbers);
  } else {
    last = int32_t(control.rows()) - 1;
  }
  if (!control.has_originals()) return Status::OK();
  if (rows->origins == nullptr) return BadMessage("records without origins");
  if (control.originals() <= last || control.originals() > kFrameRowsMax) {
    return BadMessage("rows of records that are not there");
  }
  ARROW_ASSIGN_OR_RAISE(rows->originals, ReadOriginals(control.originals(), body));
  return Status::OK();
}

Status VerifyCounts(int64_t rows, int64_t batch_bytes) {
  if (rows < 0 || rows > kFrameRowsMax) return BadMessage("an impossible number of rows");
  if (batch_bytes < 0 || batch_bytes % 8 != 0) return BadMessage("an impossible size of a batch");
  return Status::OK();
}

std::string TextAt(const arrow::Array& column, int64_t row) {
  return std::string(static_cast<const arrow::BinaryArray&>(column).GetView(row));
}

}  // namespace

Status DecodeRows(const proto::ExchangeRows& control, const std::shared_ptr<arrow::Schema>& schema,
                  const std::shared_ptr<arrow::Buffer>& metadata,
                  const std::shared_ptr<arrow::Buffer>& body, DataFrame* data) {
  ARROW_RETURN_NOT_OK(VerifyCounts(control.rows(), control.batch_bytes()));
  if (control.kind() < 0 || control.kind() > int32_t(RowKind::kCorrection)) {
    return BadMessage("rows of an unknown kind");
  }
  BodyReader reader(body);
  ARROW_ASSIGN_OR_RAISE(auto batch_bytes, reader.Take(control.batch_bytes()));
  Rows& rows = data->rows;
  ARROW_ASSIGN_OR_RAISE(rows.batch,
                        ReadBatch(schema, control.rows(), metadata, std::move(batch_bytes)));
  rows.kind = RowKind(control.kind());
  rows.are_panes = control.are_panes();
  if (control.has_hashes()) {
    ARROW_ASSIGN_OR_RAISE(data->hashes, reader.TakeVector<uint64_t>(control.rows()));
  }
  if (control.has_items()) {
    ARROW_ASSIGN_OR_RAISE(rows.items, reader.TakeVector<uint64_t>(control.rows()));
  }
  if (control.has_origin()) ARROW_RETURN_NOT_OK(ReadOrigins(control, &reader, &rows));
  ARROW_RETURN_NOT_OK(ReadRecords(control, &reader, &rows));
  if (reader.left() != 0) return BadMessage("a body that is longer than it says");
  if (data->sink >= 0) return Status::OK();
  if (data->hashes == nullptr) return BadMessage("rows of a window without hashes");
  data->selection.resize(size_t(control.rows()));
  std::iota(data->selection.begin(), data->selection.end(), 0u);
  return Status::OK();
}

Result<std::vector<DeadLetter>> DecodeLetters(const proto::ExchangeLetters& control,
                                              const std::shared_ptr<arrow::Buffer>& metadata,
                                              const std::shared_ptr<arrow::Buffer>& body) {
  ARROW_RETURN_NOT_OK(VerifyCounts(control.letters(), control.batch_bytes()));
  if (control.batch_bytes() != body->size()) return BadMessage("a body of another size");
  ARROW_ASSIGN_OR_RAISE(const auto batch,
                        ReadBatch(LetterSchema(), control.letters(), metadata, body));
  for (const auto& column : batch->columns()) {
    if (column->null_count() > 0) return BadMessage("a dead letter without all of its parts");
  }
  const auto& partitions = static_cast<const arrow::Int32Array&>(*batch->column(6));
  const auto& offsets = static_cast<const arrow::Int64Array&>(*batch->column(7));
  const auto& indexes = static_cast<const arrow::Int32Array&>(*batch->column(8));
  std::vector<DeadLetter> letters(size_t(control.letters()));
  for (int64_t row = 0; row < control.letters(); ++row) {
    DeadLetter& letter = letters[size_t(row)];
    letter.value = TextAt(*batch->column(0), row);
    letter.key = TextAt(*batch->column(1), row);
    letter.reason = TextAt(*batch->column(2), row);
    letter.message = TextAt(*batch->column(3), row);
    letter.stream = TextAt(*batch->column(4), row);
    letter.source = {TextAt(*batch->column(5), row), partitions.Value(row)};
    letter.offset = offsets.Value(row);
    letter.index = indexes.Value(row);
  }
  return letters;
}

}  // namespace millrace
