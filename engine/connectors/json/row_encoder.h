// Rows as JSON objects, as output to Kafka and JSON-lines files is written: keys in column order;
// timestamps RFC 3339 with microseconds and Z; dates as 2022-06-13; reals and doubles with the
// fewest digits that read back to the same value (21, 0.1, 1e+21: exponents only below 1e-5 and
// from 1e15); NaN and infinities become null and are counted; Field::is_json text is embedded as it
// is; integers never in exponent form. Compact, no spaces.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

// One thread at a time.
class JsonRowEncoder {
 public:
  explicit JsonRowEncoder(const Schema& schema);
  // An encoder of some of the columns, in this order (record keys).
  JsonRowEncoder(const Schema& schema, std::vector<int> columns);

  // Appends one object a row to `buffer` and where each ends to `ends`. `batch` is of the schema
  // that the encoder was made from; anything else is an internal error ("schema_mismatch").
  Status Encode(const arrow::RecordBatch& batch, std::string* buffer, std::vector<size_t>* ends);
  int64_t non_finite_values() const { return non_finite_values_; }

 private:
  void EncodeValue(const arrow::Array& column, const Field& field, int64_t row,
                   std::string* buffer);

  std::vector<Field> fields_;              // of the encoded columns
  std::vector<int> columns_;               // their positions in a batch
  std::vector<std::string> key_literals_;  // `{"name":` or `,"name":`
  int64_t non_finite_values_ = 0;
};

// Appends `text` as a JSON string with its quotes. `text` is UTF-8.
void AppendJsonText(std::string_view text, std::string* buffer);

}  // namespace millrace
