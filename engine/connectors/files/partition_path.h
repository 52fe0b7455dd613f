// The folder of a row in Hive's layout: "date=2022-06-13/site=a%2Fb".
#pragma once

#include <arrow/record_batch.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

// One cell as text, without quotes; "" for null. Doubles in their shortest form that reads back,
// timestamps RFC 3339.
void AppendCellText(const arrow::Array& array, Type type, int64_t row, std::string* text);

class PartitionPath {
 public:
  // Fails with "bad_partition", see MakeParquetRollWriter.
  static Result<PartitionPath> Make(const Schema& schema, const std::vector<std::string>& names,
                                    int time_column);

  // Replaces `path`. False where a value is longer than a file system takes (255 bytes escaped), or
  // all together are (3,000 bytes).
  bool Build(const arrow::RecordBatch& batch, int64_t row, std::string* path);

  // The columns that stay in the files, in order.
  const std::vector<int>& file_columns() const { return file_columns_; }

 private:
  struct Part {
    std::string prefix;  // "date="
    int column = -1;
    bool date = false;  // the UTC date of the (timestamp) column
    Type type = Type::kText;
  };
  std::vector<Part> parts_;
  std::vector<int> file_columns_;
  std::string value_;
};

}  // namespace millrace
