// How long a value has been the same: rows in a row with one value, nulls left out. Equality is
// PostgreSQL's: NaN equals itself, and 0 is -0.
#pragma once

#include <cstdint>
#include <string>

#include "engine/model/types.h"
#include "engine/ordered/cell_value.h"
#include "engine/windows/state_bytes.h"

namespace millrace {

class UnchangedRun {
 public:
  // The next row, of event time `time`. All cells are of one type.
  void Take(const CellValue& cell, Type type, int64_t time);
  int64_t rows() const { return rows_; }    // that have the last value; 0: there was none
  int64_t since() const { return since_; }  // event time of the first of them

  // docs/state-format.md, "OVER". Restore leaves what is wrong to the decoder's status.
  void Save(Type type, StateEncoder* out) const;
  void Restore(Type type, StateDecoder* in);

 private:
  int64_t rows_ = 0;
  int64_t since_ = 0;
  uint64_t bits_ = 0;  // equal where values are
  std::string text_;
};

}  // namespace millrace
