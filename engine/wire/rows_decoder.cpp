#include "engine/wire/rows_decoder.h"

#include <arrow/array.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/memory_pool.h>

#include <bit>
#include <numeric>

#include "engine/connectors/source.h"
#include "engine/wire/bad_message.h"
#include "engine/wire/body_parts.h"

namespace millrace {
namespace {

namespace ipc = arrow::ipc;

static_assert(std::endian::native == std::endian::little, "numbers are sent as they are in memory");

// Nothing that is not compressed needs memory, and what is compressed could need any amount: there
// is none.
ipc::IpcReadOptions ReadOptions() {
  static arrow::CappedMemoryPool none(arrow::default_memory_pool(), 0);
  ipc::IpcReadOptions options = ipc::IpcReadOptions::Defaults();
  options.memory_pool = &none;
  options.use_threads = false;
  return options;
}

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
