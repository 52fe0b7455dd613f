// What the aggregates of a window need to remember of one (key, pane), as one row of bytes.
// Aggregates are taken apart into what they are computed from, kept once for each argument (with
// what stands beside it, as x in corr(y, x)) and filter, a measure, and shared: avg, sum and stddev
// of a column have one sum.
//
// A row: count of rows (int64); count of rows a filter (int64 each); then a measure at its `base`:
//   nulls    int64   rows that pass the filter and whose argument, or what is beside it, is null
//   sum      16      doubles (hi, lo); integers a 128-bit sum
//   squares  16      doubles (hi, lo) of x * x
//   min, max 8 each  double, int64 (integers, timestamps), std::string* (text)
//   trues    int64   rows whose argument is true
//   values   8       ValueList*, for percentiles
//   distinct 8       DistinctSet*
//   pair     80      sums of doubles (hi, lo) each: y, x, y * y, x * x, y * x
//   first    16      ordered bits of what is least beside it; of its argument, or std::string*
//   last     16      the same of what is greatest
//   series   8       Series*
//   counts   8       ValueCounts*
//   sketch   8       QuantileSketch*
//   register 8       DistinctSketch*
// each there only if asked for. Pointers are owned by the row and null until there is a value.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/plan/plan.h"

namespace millrace {

// What a measure keeps, as bits.
inline constexpr unsigned kSum = 1;
inline constexpr unsigned kSquares = 2;
inline constexpr unsigned kMin = 4;
inline constexpr unsigned kMax = 8;
inline constexpr unsigned kTrues = 16;
inline constexpr unsigned kValues = 32;
inline constexpr unsigned kDistinct = 64;
inline constexpr unsigned kPair = 128;
inline constexpr unsigned kFirst = 256;
inline constexpr unsigned kLast = 512;
inline constexpr unsigned kSeries = 1024;
inline constexpr unsigned kCounts = 2048;
inline constexpr unsigned kSketch = 4096;
inline constexpr unsigned kRegisters = 8192;
inline constexpr int kPartCount = 14;
// Pointers to what a row owns, whatever the argument's type.
inline constexpr unsigned kObjectParts =
    kValues | kDistinct | kSeries | kCounts | kSketch | kRegisters;
// Those that the loops over numbers handle together.
inline constexpr unsigned kNumericParts = kSum | kSquares | kMin | kMax;

constexpr size_t PartBytes(unsigned part) {
  if (part == kPair) return 80;
  return part == kSum || part == kSquares || part == kFirst || part == kLast ? 16 : 8;
}

// Offset of `part` from the measure's base; of the next measure with part = 1 << kPartCount.
constexpr size_t PartOffset(unsigned parts, unsigned part) {
  size_t offset = sizeof(int64_t);
  for (unsigned bit = 1; bit < part; bit <<= 1) {
    if (parts & bit) offset += PartBytes(bit);
  }
  return offset;
}

template <typename T>
T& FieldAt(char* row, size_t offset) {
  return *reinterpret_cast<T*>(row + offset);
}
template <typename T>
const T& FieldAt(const char* row, size_t offset) {
  return *reinterpret_cast<const T*>(row + offset);
}

// A 128-bit integer that needs the alignment of its halves only.
struct Int128 {
  uint64_t low;
  int64_t high;

  __int128 value() const { return (__int128(high) << 64) | low; }
  void Add(__int128 by) {
    // Wraps where saved state is none that was ever summed up.
    const auto sum =
        __int128(static_cast<unsigned __int128>(value()) + static_cast<unsigned __int128>(by));
    low = uint64_t(sum);
    high = int64_t(sum >> 64);
  }
};

// A sum of doubles as hi + lo: hi is the plain sum, lo what rounding took from it. Where hi is not
// finite, lo means nothing.
struct DoubleSum {
  double high;
  double low;

  void Add(double value) {
    const double sum = high + value;
    const double shifted = sum - high;
    low += (high - (sum - shifted)) + (value - shifted);
    high = sum;
  }
  void Add(const DoubleSum& other) {
    Add(other.high);
    low += other.low;
  }
};

// Of pairs of doubles, both not null.
struct PairSums {
  DoubleSum y, x, yy, xx, yx;
};

// The value beside the least or greatest of something; at first neither (NoEdge).
struct EdgeValue {
  int64_t by;     // ordered bits
  int64_t value;  // ordered bits; of texts a std::string*, null until there is one
};

struct Measure {
  int argument = -1;
  int second = -1;  // the column beside it
  int filter = -1;
  Type type = Type::kNull;
  Type second_type = Type::kNull;
  unsigned parts = 0;
  size_t base = 0;
  size_t rows_offset = 0;  // of the count of rows that pass the filter

  bool Has(unsigned part) const { return (parts & part) != 0; }
  size_t Offset(unsigned part) const { return offsets[size_t(std::countr_zero(part))]; }

  // Of each part, by its bit; set when the layout is complete.
  std::array<size_t, kPartCount> offsets{};
};

struct AggregateOutput {
  AggregateSpec spec;
  int measure = -1;        // -1: count of rows
  size_t rows_offset = 0;  // of the count of rows that pass the filter
};

class AccumulatorLayout {
 public:
  // Fails (internal) on aggregates that the planner should not have made.
  static Result<AccumulatorLayout> Make(const std::vector<AggregateSpec>& aggregates);

  const std::vector<Measure>& measures() const { return measures_; }
  const std::vector<int>& filters() const { return filters_; }
  const std::vector<AggregateOutput>& outputs() const { return outputs_; }
  size_t row_bytes() const { return initial_.size(); }
  static constexpr size_t FilterOffset(size_t filter) { return sizeof(int64_t) * (filter + 1); }

  void Initialise(char* row) const;
  // Adds what `from` holds; objects are copied.
  void Merge(char* into, const char* from) const;
  // Frees the row's objects; returns how many bytes they counted for.
  int64_t Destroy(char* row) const;

  // What Destroy would return.
  int64_t ObjectBytes(const char* row) const;

  // Whether rows have values for percentiles; have objects of any kind.
  bool has_values() const { return has_values_; }
  bool has_objects() const { return has_objects_; }

  // docs/state-format.md, "Accumulators" (accumulator_state.cpp). Everything but values.
  void Save(const char* row, std::string* bytes) const;
  // Into an initialised row; consumes `bytes`. The row is to be destroyed, whatever comes out.
  Status Restore(std::string_view* bytes, char* row) const;
  // Values that have not been written, a limited number of them; false: there are none.
  bool SaveValues(char* row, std::string* bytes) const;
  // Appends to the values of `row`, which has what Restore gave.
  Status RestoreValues(std::string_view* bytes, char* row) const;
  // Whether the row's objects are what its counts say: what AppendResult relies on.
  bool IsWhole(const char* row) const;

 private:
  // What Merge does with one field of a row.
  struct MergeStep {
    enum class Kind : uint8_t {
      kCount,
      kDoubleSum,
      kIntegerSum,
      kLeastDouble,
      kLargestDouble,
      kLeastInteger,
      kLargestInteger,
    };
    Kind kind;
    uint32_t offset;
  };

  void AddSteps(const Measure& measure);
  size_t FilterIndex(int filter);
  Measure* MeasureFor(const AggregateSpec& spec);
  Status AddOutput(const AggregateSpec& spec);
  void Place();
  void InitialiseEdges(const Measure& measure);

  std::vector<int> filters_;
  std::vector<Measure> measures_;
  std::vector<AggregateOutput> outputs_;
  std::string initial_;
  std::vector<MergeStep> steps_;  // of fields that are numbers
  std::vector<size_t> others_;    // measures that have fields besides
  bool has_values_ = false;
  bool has_objects_ = false;
};

}  // namespace millrace
