// Messages that hold readings, into columns. A message is, by the stream's format:
//
//   json    an object: one reading. An array of objects: a reading each.
//   csv     lines, a reading each (csv_line.h)
//   senml   a pack of SenML records (senml.h), a reading each
//
// A message that is not of its format, and one with more than kReadingsPerMessageMax readings, is
// refused as a whole. Else each reading is taken or refused for itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connectors/json/json_decoder.h"
#include "engine/connectors/message/csv_decoder.h"
#include "engine/connectors/message/csv_line.h"
#include "engine/connectors/message/senml.h"

namespace millrace {

inline constexpr int64_t kReadingsPerMessageMax = 100'000;

// What became of a message. Views point into it.
struct DecodedMessage {
  struct Reading {
    std::string_view value;
    int32_t index = -1;  // among those of the message, from 0; -1: it is the message
  };
  struct Refused {
    Reading reading;
    JsonFailure failure;  // as JsonDecoder's, and "too_many_readings", "relative_time"
  };
  std::vector<Reading> rows;  // one a row that was appended, in order
  std::vector<Refused> refused;
};

// One thread at a time. Best one a partition: each learns its producers' order of keys.
class MessageDecoder {
 public:
  MessageDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns);

  Status Reserve(int64_t rows);
  // Replaces what `decoded` holds. `message` need only live during the call.
  void Append(std::string_view message, DecodedMessage* decoded);
  int64_t rows() const { return csv_.has_value() ? csv_->rows() : json_->rows(); }
  // The rows since the last call.
  Result<std::shared_ptr<arrow::RecordBatch>> Finish();

 private:
  void AppendArray(std::string_view message, DecodedMessage* decoded);
  void AppendItems(int64_t rows_before, DecodedMessage* decoded, JsonFailure* whole);
  void AppendLines(std::string_view message, DecodedMessage* decoded);
  void AppendSenml(std::string_view message, DecodedMessage* decoded);
  // Takes back the message's rows and refuses it as a whole.
  void RefuseWhole(std::string_view message, int64_t rows_before, JsonFailure failure,
                   DecodedMessage* decoded);

  std::optional<JsonDecoder> json_;
  JsonDocument document_;
  std::optional<CsvDecoder> csv_;
  std::optional<CsvLineReader> lines_;
  std::optional<SenmlReader> senml_;
  JsonFailure failure_;
};

}  // namespace millrace
