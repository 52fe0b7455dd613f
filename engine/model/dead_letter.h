// A dead letter: the original record and why it did not count.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/ids.h"

namespace millrace {

struct DeadLetter {
  std::string value;
  std::string key;
  std::string reason;  // lower_snake_case: "late", "future", "malformed", "division_by_zero", ...
  std::string message;
  std::string stream;
  TopicPartition source;  // topic empty: not from a source record (a window's row)
  int64_t offset = -1;
  int32_t index = -1;  // of the reading in a record that holds several; -1: all of the record
};

}  // namespace millrace
