// Rows and dead letters as the body of a message, on the sender's side. body_parts.h says what a
// body is.
#pragma once

#include <arrow/buffer.h>
#include <arrow/datum.h>
#include <arrow/record_batch.h>

#include <memory>
#include <string_view>
#include <vector>

#include "engine/wire/frame.h"
#include "proto/exchange.pb.h"

namespace millrace {

// Lays out what is to be sent, without copying it: pieces of memory in order. One for each encoder,
// used again and again.
class BodyLayout {
 public:
  // Replaces what was laid out, and says in `control` what it is. Of the rows only those that are
  // selected. `data` must live until Write. "unsendable_rows" (internal): parts that do not fit
  // together.
  Status LayOut(const DataFrame& data, proto::ExchangeRows* control);
  Status LayOut(const std::vector<DeadLetter>& letters, proto::ExchangeLetters* control);
  // Nothing: no metadata and an empty body.
  void Clear();

  // Of the record batch that was laid out (a Flatbuffers message); empty: it has no rows.
  std::string_view metadata() const;
  int64_t body_bytes() const { return bytes_; }
  // Writes body_bytes() to `body`.
  void Write(uint8_t* body) const;

 private:
  struct Piece {
    const void* data;
    int64_t bytes;
    bool ends_part;  // what follows begins at a multiple of 8
  };

  // What is sent of a batch: all, from a first row on, or rows picked out.
  struct Picked {
    int64_t rows = 0;
    int64_t first = 0;
    const uint32_t* list = nullptr;  // null: rows from `first` on
    uint32_t operator[](int64_t i) const { return list ? list[i] : uint32_t(first + i); }
  };
  static Result<Picked> Pick(const DataFrame& data);

  // Returns the bytes that the batch takes.
  Result<int64_t> AddBatch(const arrow::RecordBatch& batch, const Picked& picked);
  Result<int64_t> AddPayload(const arrow::RecordBatch& batch);
  // Rows picked out of a column, in memory of `words` or of their own.
  static Result<std::shared_ptr<arrow::ArrayData>> TakeColumn(
      const std::shared_ptr<arrow::ArrayData>& column, const Picked& picked,
      const arrow::Datum& indexes, std::vector<uint64_t>* words);
  // Those of the picked rows; `scratch` holds them where they do not stand together.
  template <typename Number>
  void AddVector(const std::vector<Number>& values, const Picked& picked,
                 std::vector<Number>* scratch);
  template <typename Number>
  void AddAll(const std::vector<Number>& values);
  Status AddOriginals(const Rows& rows, const Picked& picked, proto::ExchangeRows* control);
  void AddTexts(const std::vector<std::string_view>& texts);
  void AddPiece(const void* data, int64_t bytes, bool ends_part);

  std::vector<Piece> pieces_;
  int64_t bytes_ = 0;
  std::shared_ptr<arrow::Buffer> metadata_;
  std::vector<std::shared_ptr<arrow::Buffer>> kept_;  // that pieces lie in

  std::vector<std::vector<uint64_t>> words_;  // values that were picked out, a column
  std::vector<uint64_t> hashes_;
  std::vector<uint64_t> items_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> indexes_;
  std::vector<int32_t> original_rows_;
  std::vector<int32_t> renumbered_;
  std::vector<int32_t> originals_;
  std::vector<std::string_view> values_;
  std::vector<std::string_view> keys_;
  std::vector<uint32_t> value_ends_;
  std::vector<uint32_t> key_ends_;
};

}  // namespace millrace
