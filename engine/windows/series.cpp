#include "engine/windows/series.h"

#include <algorithm>
#include <cmath>

#include "engine/base/time.h"
#include "engine/model/timestamp.h"
#include "engine/operators/cell_text.h"
#include "engine/operators/value_text.h"
#include "engine/windows/accumulator_layout.h"
#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

constexpr double kMicrosPerSecond = 1e6;

void SortByTime(Series* series) {
  std::ranges::sort(series->items, {},
                    [](const Series::Item& item) { return std::pair(item.by, item.value); });
}

// In 128 bits: state that is damaged may hold any times.
double Between(int64_t from, int64_t to) { return double(__int128(to) - from); }

double ValueOf(const Series::Item& item) { return DoubleOfOrdered(item.value); }

// Of a float or a double, in the fewest digits.
template <typename T>
void AppendNumber(T value, std::string* out) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  char text[kValueTextBytesMax];
  out->append(text, WriteNumber(value, text));
}

void AppendJson(const Series& series, int64_t value, Type type, std::string* out) {
  switch (type) {
    case Type::kText:
      AppendJsonString(series.texts[size_t(value)], out);
      break;
    case Type::kDouble:
      AppendNumber(DoubleOfOrdered(value), out);
      break;
    case Type::kReal:
      AppendNumber(float(DoubleOfOrdered(value)), out);
      break;
    case Type::kDate:
      AppendJsonString(FormatDate(int32_t(value)), out);
      break;
    case Type::kBoolean:
      out->append(value != 0 ? "true" : "false");
      break;
    case Type::kTimestamp:
      AppendJsonString(FormatTimestamp(EventTime(Micros(value))), out);
      break;
    default:
      out->append(std::to_string(value));
  }
}

}  // namespace

double TimeWeightedAverage(Series* series, int64_t end_micros) {
  SortByTime(series);
  DoubleSum weighted{0, 0};
  const std::vector<Series::Item>& items = series->items;
  const double whole = double(end_micros) - double(items.front().by);
  for (size_t i = 0; i < items.size(); ++i) {
    const int64_t until = i + 1 < items.size() ? items[i + 1].by : end_micros;
    if (until == items[i].by) continue;
    weighted.Add(ValueOf(items[i]) * (Between(items[i].by, until) / whole));
  }
  return std::isfinite(weighted.high) ? weighted.high + weighted.low : weighted.high;
}

double Increase(Series* series) {
  SortByTime(series);
  DoubleSum grown{0, 0};
  for (size_t i = 1; i < series->items.size(); ++i) {
    const double before = ValueOf(series->items[i - 1]);
    const double value = ValueOf(series->items[i]);
    grown.Add(value < before ? value : value - before);
  }
  return std::isfinite(grown.high) ? grown.high + grown.low : grown.high;
}

bool Rate(Series* series, double* rate) {
  const double grown = Increase(series);
  const int64_t first = series->items.front().by, last = series->items.back().by;
  if (first == last) return false;
  *rate = grown / (Between(first, last) / kMicrosPerSecond);
  return true;
}

bool Join(Series* series, const JoinOptions& options, std::string* joined) {
  const bool is_text = options.type == Type::kText;
  std::vector<Series::Item>& items = series->items;
  const auto compare_values = [&](const Series::Item& left, const Series::Item& right) {
    if (!is_text) return left.value < right.value ? -1 : left.value > right.value ? 1 : 0;
    return series->texts[size_t(left.value)].compare(series->texts[size_t(right.value)]);
  };
  std::ranges::sort(items, [&](const Series::Item& left, const Series::Item& right) {
    if (!options.distinct && left.by != right.by) {
      return options.descending ? left.by > right.by : left.by < right.by;
    }
    const int order = compare_values(left, right);
    return options.descending ? order > 0 : order < 0;
  });
  joined->clear();
  if (options.as_json) joined->push_back('[');
  for (size_t i = 0; i < items.size(); ++i) {
    if (options.distinct && i > 0 && compare_values(items[i - 1], items[i]) == 0) continue;
    if (i > 0) joined->append(options.as_json ? std::string(",") : options.separator);
    if (options.as_json) {
      AppendJson(*series, items[i].value, options.type, joined);
    } else {
      joined->append(series->texts[size_t(items[i].value)]);
    }
    if (joined->size() > kJoinedBytesMax) return false;
  }
  if (options.as_json) joined->push_back(']');
  return joined->size() <= kJoinedBytesMax;
}

}  // namespace millrace
