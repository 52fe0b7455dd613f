// The values of one argument in one pane, each with what it is ordered by: for results that depend
// on the order of readings (time-weighted averages, increases, joined texts).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/model/types.h"

namespace millrace {

struct Series {
  struct Item {
    int64_t by = 0;     // ordered bits
    int64_t value = 0;  // ordered bits; of texts the place in `texts`
  };
  std::vector<Item> items;
  std::vector<std::string> texts;
  // The first `written` items are in the store, in parts that are never written again: only what
  // has not been written may be put into another order.
  size_t written = 0;

  void Add(int64_t by, int64_t value) {
    items.push_back({by, value});
    bytes_ += int64_t(sizeof(Item));
  }
  void AddText(int64_t by, std::string_view text) {
    Add(by, int64_t(texts.size()));
    texts.emplace_back(text);
    bytes_ += int64_t(sizeof(std::string) + text.size());
  }
  int64_t bytes() const { return bytes_; }  // approximately
  void MergeFrom(const Series& other) {
    for (const Item& item : other.items) {
      if (other.texts.empty()) {
        Add(item.by, item.value);
      } else {
        AddText(item.by, other.texts[size_t(item.value)]);
      }
    }
  }

 private:
  int64_t bytes_ = 0;
};

// What follows takes a series of at least one value and may put it into another order. Of several
// values at one time all are in their own order, so that the order of arrival does not matter.

// Of doubles over event times, in `end` - first time: each value counts for as long as it is the
// last one. Of values at one time the greatest is the last one.
double TimeWeightedAverage(Series* series, int64_t end_micros);
// How much a counter grew; a value less than the one before counts from zero.
double Increase(Series* series);
// Increase a second from the first time to the last; no value where they are one.
bool Rate(Series* series, double* rate);

// A result of at most kJoinedBytesMax; false where it is longer.
inline constexpr size_t kJoinedBytesMax = 1 << 20;
struct JoinOptions {
  Type type = Type::kText;  // of the values
  bool descending = false;
  bool distinct = false;  // then in the order of the values
  bool as_json = false;   // an array; else joined by the separator
  std::string separator;
};
bool Join(Series* series, const JoinOptions& options, std::string* joined);

}  // namespace millrace
