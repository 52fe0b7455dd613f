// Where a column of the input of an ordered operator is kept: each row has its event time and the
// columns that are stored; key columns are those of the partition.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/model/types.h"

namespace millrace {

struct ColumnPlace {
  enum class Kind { kTime, kStored, kKey };
  Kind kind = Kind::kTime;
  size_t index = 0;  // of the stored columns, of the keys
};

inline ColumnPlace PlaceOf(int column, int event_time, const std::vector<int>& stored,
                           const std::vector<int>& keys) {
  if (column == event_time) return {ColumnPlace::Kind::kTime, 0};
  const auto place = std::ranges::find(stored, column);
  if (place != stored.end()) return {ColumnPlace::Kind::kStored, size_t(place - stored.begin())};
  const auto key = std::ranges::find(keys, column);
  return {ColumnPlace::Kind::kKey, size_t(key - keys.begin())};
}

// One key has several values of such a column (0 and -0): rows have their own.
constexpr bool IsFloating(Type type) { return type == Type::kReal || type == Type::kDouble; }

}  // namespace millrace
