// Rows as JSON objects, as output to Kafka and JSON-lines files is written: keys in column order;
// timestamps RFC 3339 with microseconds and Z; doubles in the shortest form that reads back to the
// same value; NaN and infinities become null and are counted; Field::is_json text is embedded as
// it is; integers never in exponent form. Compact, no spaces.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

class JsonRowEncoder {
 public:
  explicit JsonRowEncoder(const Schema& schema);
  // An encoder of some of the columns, in this order (record keys).
  JsonRowEncoder(const Schema& schema, std::vector<int> columns);

  // Appends one object a row to `buffer` and where each ends to `ends`.
  Status Encode(const arrow::RecordBatch& batch, std::string* buffer, std::vector<size_t>* ends);
  int64_t non_finite_values() const { return non_finite_values_; }

 private:
  std::vector<Field> fields_;
  std::vector<int> columns_;
  std::vector<std::string> key_literals_;  // `{"name":` or `,"name":`
  int64_t non_finite_values_ = 0;
};

}  // namespace millrace
