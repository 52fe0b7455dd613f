// JSON messages into columns, one object a row, read in place and appended to Arrow builders.
//
// A message is accepted as a whole or refused as a whole: everything in it is checked, also what
// the job does not use, and a refused one leaves no trace in the batch. Producers write the same
// keys in the same order, so their layouts are learned and such messages read in place
// (json_template.h); the others are walked token by token, and there the order of keys is learned:
// each is compared with the one expected next before it is looked up. Where a key stands twice the
// last one wins, as in PostgreSQL's jsonb. A key that is missing, and a JSON null, are null; so is
// what a path names in a value that has no such part.
//
// What a column takes:
//   boolean          true, false
//   integer, bigint  numbers without a fraction (21, 21.0, 2e3), in range
//   double           any number, correctly rounded
//   text             strings; with Field::is_json any value, kept as it is written
//   timestamp        ISO 8601 text (ParseTimestamp), or numbers since the epoch where the column
//                    declares their unit; years 1 to 9999; rounded down to microseconds
// With accept_text, booleans and numbers are also taken as text ("21.5", "true").
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/connectors/json/batch_writer.h"
#include "engine/connectors/json/json_places.h"
#include "engine/connectors/json/json_template.h"
#include "engine/json/json_document.h"
#include "engine/model/job.h"

namespace millrace {

// Why a message was refused. reason: "malformed" (not JSON, cut off, invalid UTF-8, no object,
// something after it), "too_deep", "type_mismatch", "number_out_of_range", "missing_event_time",
// "too_large" (the batch cannot hold its text).
struct JsonFailure {
  std::string reason;
  std::string message;  // names the column, what was expected and what was found
};

// One thread at a time. Best one a partition: each learns its producers' order of keys.
class JsonDecoder {
 public:
  // Columns of a batch: spec.columns[used_columns[0]], ... If the stream's event time column is
  // among them, messages in which it is null are refused.
  JsonDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns);

  // Makes room for `rows` rows, so that Append seldom allocates.
  Status Reserve(int64_t rows) { return batch_.Reserve(rows); }

  // Appends one row, or returns false, says why in `failure`, and leaves the batch as it was.
  // `message` need only live during the call; nothing behind its end is read.
  bool Append(std::string_view message, JsonFailure* failure);

  int64_t rows() const { return batch_.rows(); }
  // Takes back the rows appended last, so that `rows` are left.
  void DropRows(int64_t rows) { batch_.DropRows(rows); }

  // Layouts are learned unless told otherwise; the result is the same.
  void set_templates(bool used) { templates_used_ = used; }
  // Messages since the beginning that a learned layout read.
  int64_t rows_by_template() const { return rows_by_template_; }

  // The rows since the last call; the decoder can go on.
  Result<std::shared_ptr<arrow::RecordBatch>> Finish() { return batch_.Finish(); }

 private:
  enum class Cell : uint8_t { kMissing, kNull, kValue, kMismatch, kOutOfRange };

  struct Column {
    Cell cell = Cell::kMissing;
    Type type = Type::kText;
    bool is_json = false;
    bool accept_text = false;
    TimestampUnit unit = TimestampUnit::kIso8601;
    int next_of_place = -1;  // the next column read from the same place
    // The value, by type; text points into the message or to `unescaped`.
    int64_t integer = 0;  // also boolean and timestamp
    double number = 0;
    std::string_view text;
    std::string unescaped;
    uint32_t token = 0;  // where it stands, for messages
    std::string name;
    std::string from;
  };

  struct ExpectedKey {
    std::string raw;
    int place = JsonPlaces::kUnused;
  };

  // Each returns the token after the value or object, or 0 where the message is malformed. `depth`:
  // of the objects and arrays around it.
  uint32_t ReadMessage();
  uint32_t ReadPlace(int place, uint32_t token, int depth);
  uint32_t ReadObject(int place, uint32_t token, int depth);
  uint32_t ReadArray(int place, uint32_t token, int depth);
  uint32_t ReadValue(Column* column, uint32_t token, int depth);
  uint32_t ReadString(Column* column, uint32_t token);
  uint32_t ReadNumber(Column* column, uint32_t token);
  uint32_t ReadBoolean(Column* column, uint32_t token);
  uint32_t ReadNested(Column* column, uint32_t token, int depth);

  static void TakeText(Column* column);
  static void TakeNumber(Column* column, const JsonNumber& number);

  int FindKey(std::string_view raw);
  int FindUnexpectedKey(std::string_view raw);
  void LearnOrder();

  bool ReadByTemplate(std::string_view message);
  void LearnTemplate(std::string_view message);
  JsonTargetColumn TargetOf(int place) const;

  bool CheckCells(JsonFailure* failure);
  bool WriteCells();
  void Refuse(const Column& column, JsonFailure* failure) const;
  std::string Found(uint32_t token) const;

  std::vector<Column> columns_;
  BatchWriter batch_;  // one column a column
  int event_time_ = -1;
  JsonPlaces places_;

  JsonDocument document_;
  bool too_deep_ = false;
  uint32_t failed_token_ = 0;

  std::vector<ExpectedKey> expected_;
  size_t position_ = 0;  // of the key expected next
  bool surprised_ = false;
  int surprises_ = 0;  // messages in a row that were not in the learned order

  bool templates_used_ = true;
  std::vector<JsonTemplate> templates_;
  size_t template_ = 0;       // the one that read last
  size_t next_template_ = 0;  // the one to be replaced next
  int64_t misses_ = 0;        // messages in a row that no template read
  int64_t rows_by_template_ = 0;
};

}  // namespace millrace
