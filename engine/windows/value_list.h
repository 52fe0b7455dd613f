// All values of one argument in one pane, for exact percentiles.
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

// Numbers as doubles; bigint and timestamps as the bits of a double, never computed with. The first
// `written` values are in the store, in parts that are never written again: only what has not been
// written may be put into another order.
struct ValueList {
  std::vector<double> values;
  size_t written = 0;

  int64_t bytes() const { return int64_t(values.size() * sizeof(double)); }
  void MergeFrom(const ValueList& other) {
    values.insert(values.end(), other.values.begin(), other.values.end());
  }
};

}  // namespace millrace
