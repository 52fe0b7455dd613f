#include "engine/windows/aggregate_result.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "engine/windows/accumulate_numbers.h"
#include "engine/windows/accumulator_objects.h"
#include "engine/windows/key_table.h"
#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

// At least 113 bits of mantissa: holds hi + lo, and a 128-bit sum but for its last bits.
#if __LDBL_MANT_DIG__ >= 113
using Quad = long double;
#else
using Quad = __float128;
#endif

Quad ToQuad(const DoubleSum& sum) {
  if (!std::isfinite(sum.high)) return sum.high;
  return Quad(sum.high) + sum.low;
}

Quad SumOf(const Measure& measure, const char* row) {
  const size_t offset = measure.Offset(kSum);
  if (measure.type == Type::kDouble) return ToQuad(FieldAt<DoubleSum>(row, offset));
  return Quad(FieldAt<Int128>(row, offset).value());
}

// Of integers to 106 bits.
DoubleSum SumInDoubles(const Measure& measure, const char* row) {
  const size_t offset = measure.Offset(kSum);
  if (measure.type == Type::kDouble) return FieldAt<DoubleSum>(row, offset);
  const __int128 sum = FieldAt<Int128>(row, offset).value();
  const auto high = double(sum);
  return {high, std::abs(high) < 0x1p126 ? double(sum - __int128(high)) : 0};
}

double AverageOf(const Measure& measure, const char* row, int64_t count) {
  if (measure.type != Type::kDouble) return double(SumOf(measure, row) / Quad(count));
  const DoubleSum& sum = FieldAt<DoubleSum>(row, measure.Offset(kSum));
  if (!std::isfinite(sum.high)) return sum.high;
  // Extended precision rounds once more than Quad does, and costs a fraction of it.
  using Extended = long double;
  return double((Extended(sum.high) + sum.low) / Extended(count));
}

// Whether every value is the same finite double.
bool AllEqual(const Measure& measure, const char* row) {
  if (measure.type != Type::kDouble) return false;
  const double least = FieldAt<double>(row, measure.Offset(kMin));
  return std::isfinite(least) && least == FieldAt<double>(row, measure.Offset(kMax));
}

// a + b without rounding.
DoubleSum ExactSum(double a, double b) {
  DoubleSum sum{a, 0};
  sum.Add(b);
  return sum;
}

// a / n: the quotient, and what it leaves over n.
DoubleSum Quotient(const DoubleSum& a, double n) {
  const double quotient = a.high / n;
  const DoubleSum product = ExactProduct(quotient, n);
  const double left = ((a.high - product.high) - product.low) + a.low;
  return ExactSum(quotient, left / n);
}

// The sum of squares less the square of the sum over n, in doubles of twice the digits; false where
// they may not do: numbers near the ends of their range, or so close to each other that only the
// last of 32 digits are left.
bool FastVariance(const DoubleSum& sums, const DoubleSum& all_squares, double count, double divisor,
                  double* variance) {
  constexpr double kLeast = 1e-200, kLargest = 1e200, kDigits = 0x1p-30;
  const DoubleSum sum = ExactSum(sums.high, sums.low);
  const DoubleSum squares = ExactSum(all_squares.high, all_squares.low);
  if (!(squares.high > kLeast && squares.high < kLargest)) return false;
  DoubleSum square = ExactProduct(sum.high, sum.high);
  square = ExactSum(square.high, square.low + 2 * (sum.high * sum.low));
  const DoubleSum of_mean = Quotient(square, count);
  DoubleSum scatter = ExactSum(squares.high, -of_mean.high);
  scatter = ExactSum(scatter.high, scatter.low + (squares.low - of_mean.low));
  if (!(scatter.high > squares.high * kDigits)) return false;
  *variance = Quotient(scatter, divisor).high;
  return true;
}

// Sum of squares less the square of the sum over n; null where PostgreSQL has null. An infinite or
// NaN value makes it NaN; rounding never makes it negative, and of equal values it is exactly 0.
Status AppendVariance(const Measure& measure, const char* row, int64_t count, bool sample,
                      bool root, arrow::DoubleBuilder* builder) {
  if (sample && count < 2) return builder->AppendNull();
  if (AllEqual(measure, row)) return builder->Append(0.0);
  const auto& all_squares = FieldAt<DoubleSum>(row, measure.Offset(kSquares));
  const int64_t divisor = sample ? count - 1 : count;
  double variance = 0;
  if (!FastVariance(SumInDoubles(measure, row), all_squares, double(count), double(divisor),
                    &variance)) {
    const Quad sum = SumOf(measure, row);
    Quad scatter = ToQuad(all_squares) - sum * sum / Quad(count);
    if (scatter < 0) scatter = 0;
    variance = double(scatter / Quad(divisor));
  }
  return builder->Append(root ? std::sqrt(variance) : variance);
}

// Of 0 and -0, which are equal, one or the other would come out depending on the order of rows.
double WithoutNegativeZero(double value) { return value + 0.0; }

// PostgreSQL's percentile_cont: between the values at floor and ceiling of fraction * (n - 1).
// NaN sorts after every number.
double Percentile(std::vector<double>* values, double fraction) {
  const auto numbers_end = std::partition(values->begin(), values->end(),
                                          [](double value) { return !std::isnan(value); });
  const size_t numbers = size_t(numbers_end - values->begin());
  const double position = fraction * double(values->size() - 1);
  const size_t first = size_t(std::floor(position));
  const size_t second = size_t(std::ceil(position));
  if (first < numbers) {
    std::nth_element(values->begin(), values->begin() + int64_t(first), numbers_end);
  }
  const double low = (*values)[first];
  if (second == first) return low;
  const auto next = values->begin() + int64_t(second);
  const double high = second < numbers ? *std::min_element(next, numbers_end) : *next;
  return low + (position - double(first)) * (high - low);
}

Status AppendInteger(__int128 value, arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  if (value < INT64_MIN || value > INT64_MAX) {
    ++*out_of_range;
    return builder->AppendNull();
  }
  return static_cast<arrow::Int64Builder*>(builder)->Append(int64_t(value));
}

Status AppendSum(const AggregateOutput& output, const Measure& measure, const char* row,
                 arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  if (output.spec.result != Type::kDouble) {
    return AppendInteger(FieldAt<Int128>(row, measure.Offset(kSum)).value(), builder, out_of_range);
  }
  return static_cast<arrow::DoubleBuilder*>(builder)->Append(double(SumOf(measure, row)));
}

// What OrderedBits made of a value of the builder's type.
Status AppendOrdered(int64_t bits, arrow::ArrayBuilder* builder) {
  switch (builder->type()->id()) {
    case arrow::Type::DOUBLE:
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(DoubleOfOrdered(bits));
    case arrow::Type::INT32:
      return static_cast<arrow::Int32Builder*>(builder)->Append(int32_t(bits));
    case arrow::Type::INT64:
      return static_cast<arrow::Int64Builder*>(builder)->Append(bits);
    case arrow::Type::DATE32:
      return static_cast<arrow::Date32Builder*>(builder)->Append(int32_t(bits));
    case arrow::Type::TIMESTAMP:
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(bits);
    case arrow::Type::BOOL:
      return static_cast<arrow::BooleanBuilder*>(builder)->Append(bits != 0);
    default:
      return InternalError("bad_aggregate",
                           "an aggregate cannot be " + builder->type()->ToString());
  }
}

Status AppendText(std::string_view text, arrow::ArrayBuilder* builder) {
  return static_cast<arrow::StringBuilder*>(builder)->Append(text);
}

Status AppendExtreme(const Measure& measure, const char* row, unsigned part,
                     arrow::ArrayBuilder* builder) {
  const size_t offset = measure.Offset(part);
  switch (builder->type()->id()) {
    case arrow::Type::DOUBLE:
      if (measure.type != Type::kDouble) break;
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(
          WithoutNegativeZero(FieldAt<double>(row, offset)));
    case arrow::Type::STRING:
      return AppendText(*FieldAt<std::string*>(row, offset), builder);
    case arrow::Type::BOOL:
      break;
    default:
      return AppendOrdered(FieldAt<int64_t>(row, offset), builder);
  }
  return InternalError("bad_aggregate", "min or max cannot be " + builder->type()->ToString());
}

Status AppendMode(const Measure& measure, const char* row, arrow::ArrayBuilder* builder) {
  const ValueCounts& counts = *FieldAt<ValueCounts*>(row, measure.Offset(kCounts));
  return measure.type == Type::kText ? AppendText(counts.TextMode(), builder)
                                     : AppendOrdered(counts.Mode(), builder);
}

Status AppendEdge(const Measure& measure, const char* row, unsigned part,
                  arrow::ArrayBuilder* builder) {
  const auto& edge = FieldAt<EdgeValue>(row, measure.Offset(part));
  return measure.type == Type::kText ? AppendText(*TextOf(edge), builder)
                                     : AppendOrdered(edge.value, builder);
}

// PostgreSQL's percentile_disc: the value at ceiling(fraction * n), counted from 1.
template <typename T>
T ValueAtFraction(std::vector<T>* values, double fraction) {
  const auto rank = int64_t(std::ceil(fraction * double(values->size())));
  const auto place = values->begin() + std::max<int64_t>(rank - 1, 0);
  std::nth_element(values->begin(), place, values->end());
  return *place;
}

Status AppendPercentileDisc(const Measure& measure, const char* row, double fraction,
                            arrow::ArrayBuilder* builder) {
  const std::vector<double>& values = FieldAt<ValueList*>(row, measure.Offset(kValues))->values;
  std::vector<int64_t> ordered;
  ordered.reserve(values.size());
  const bool is_bits = measure.type == Type::kBigint || measure.type == Type::kTimestamp;
  const bool is_whole = measure.type == Type::kInteger || measure.type == Type::kDate;
  for (const double value : values) {
    ordered.push_back(is_bits    ? std::bit_cast<int64_t>(value)
                      : is_whole ? int64_t(value)
                                 : OrderedBits(value));
  }
  return AppendOrdered(ValueAtFraction(&ordered, fraction), builder);
}

// The sum of different values; integers exactly.
Quad SumOfDistinct(const Measure& measure, const char* row, int64_t* count) {
  const DistinctSet& set = *FieldAt<DistinctSet*>(row, measure.Offset(kDistinct));
  std::vector<int64_t> values;
  set.ForEachFixed([&](uint64_t bits) {
    const auto value = std::bit_cast<double>(bits);
    values.push_back(measure.type == Type::kDouble ? OrderedBits(value) : int64_t(bits));
  });
  // In one order, whatever order they came in.
  std::ranges::sort(values);
  *count = int64_t(values.size());
  Quad sum = 0;
  for (const int64_t value : values) {
    sum += measure.type == Type::kDouble ? Quad(DoubleOfOrdered(value)) : Quad(value);
  }
  return sum;
}

Status AppendDistinct(const AggregateSpec& spec, const Measure& measure, const char* row,
                      arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  int64_t count = 0;
  const Quad sum = SumOfDistinct(measure, row, &count);
  if (spec.result == Type::kBigint) return AppendInteger(__int128(sum), builder, out_of_range);
  const Quad value = spec.function == AggregateFunction::kAvg ? sum / Quad(count) : sum;
  return static_cast<arrow::DoubleBuilder*>(builder)->Append(double(value));
}

// Sums of a pair about the means: PostgreSQL's Sxx, Syy, Sxy.
struct Scatter {
  Quad n, y, x, yy, xx, yx;
};

// What is left of rounding where all values are equal is 0, as there.
Quad AboutMean(const DoubleSum& squares, Quad sum, Quad n) {
  constexpr double kRounding = 0x1p-100;
  const Quad all = ToQuad(squares);
  const Quad scatter = all - sum * sum / n;
  return scatter <= all * n * kRounding ? Quad(0) : scatter;
}

Scatter ScatterOf(const PairSums& sums, int64_t count) {
  Scatter scatter;
  scatter.n = Quad(count);
  scatter.y = ToQuad(sums.y);
  scatter.x = ToQuad(sums.x);
  scatter.yy = AboutMean(sums.yy, scatter.y, scatter.n);
  scatter.xx = AboutMean(sums.xx, scatter.x, scatter.n);
  scatter.yx = ToQuad(sums.yx) - scatter.y * scatter.x / scatter.n;
  return scatter;
}

// PostgreSQL's regression functions (float.c, float8_regr_*): nothing where it has null.
std::optional<double> PairResult(AggregateFunction function, const Scatter& s) {
  using F = AggregateFunction;
  const bool is_vertical = s.xx == 0;
  switch (function) {
    case F::kCovarPop:
      return double(s.yx / s.n);
    case F::kCovarSamp:
      if (s.n < 2) return std::nullopt;
      return double(s.yx / (s.n - 1));
    case F::kCorr:
      if (is_vertical || s.yy == 0) return std::nullopt;
      return std::clamp(double(s.yx) / std::sqrt(double(s.xx) * double(s.yy)), -1.0, 1.0);
    case F::kRegrSlope:
      if (is_vertical) return std::nullopt;
      return double(s.yx / s.xx);
    case F::kRegrIntercept:
      if (is_vertical) return std::nullopt;
      return double((s.y - s.x * s.yx / s.xx) / s.n);
    case F::kRegrR2:
      if (is_vertical) return std::nullopt;
      return s.yy == 0 ? 1.0 : double((s.yx * s.yx) / (s.xx * s.yy));
    case F::kRegrAvgX:
      return double(s.x / s.n);
    case F::kRegrAvgY:
      return double(s.y / s.n);
    case F::kRegrSxx:
      return double(s.xx);
    case F::kRegrSyy:
      return double(s.yy);
    default:
      return double(s.yx);
  }
}

Status AppendSeries(const AggregateSpec& spec, const Measure& measure, char* row,
                    EventTime window_end, arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  Series* const series = FieldAt<Series*>(row, measure.Offset(kSeries));
  auto* const doubles = static_cast<arrow::DoubleBuilder*>(builder);
  switch (spec.function) {
    case AggregateFunction::kTimeWeightedAvg:
      return doubles->Append(TimeWeightedAverage(series, window_end.time_since_epoch().count()));
    case AggregateFunction::kIncrease:
      return doubles->Append(Increase(series));
    case AggregateFunction::kRate: {
      double rate;
      return Rate(series, &rate) ? doubles->Append(rate) : builder->AppendNull();
    }
    default: {
      JoinOptions options;
      options.type = measure.type;
      options.descending = spec.descending;
      options.distinct = spec.distinct;
      options.as_json = spec.function == AggregateFunction::kArrayAgg;
      options.separator = spec.separator;
      std::string joined;
      if (Join(series, options, &joined)) return AppendText(joined, builder);
      ++*out_of_range;
      return builder->AppendNull();
    }
  }
}

Status AppendBoolean(bool value, arrow::ArrayBuilder* builder) {
  return static_cast<arrow::BooleanBuilder*>(builder)->Append(value);
}

}  // namespace

Status AppendResult(const AccumulatorLayout& layout, const AggregateOutput& output, char* row,
                    EventTime window_end, arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  const AggregateSpec& spec = output.spec;
  int64_t count = FieldAt<int64_t>(row, output.rows_offset);
  if (output.measure < 0) return AppendInteger(count, builder, out_of_range);
  const Measure& measure = layout.measures()[size_t(output.measure)];
  count -= FieldAt<int64_t>(row, measure.base);
  using F = AggregateFunction;
  if (spec.function == F::kCount) {
    if (spec.distinct) {
      const DistinctSet* set = FieldAt<DistinctSet*>(row, measure.Offset(kDistinct));
      count = set == nullptr ? 0 : int64_t(set->size());
    }
    return AppendInteger(count, builder, out_of_range);
  }
  if (spec.function == F::kRegrCount) return AppendInteger(count, builder, out_of_range);
  if (spec.function == F::kApproxCountDistinct) {
    const auto* sketch = FieldAt<DistinctSketch*>(row, measure.Offset(kRegisters));
    return AppendInteger(sketch == nullptr ? 0 : sketch->Estimate(), builder, out_of_range);
  }
  if (count == 0) return builder->AppendNull();
  auto* doubles = static_cast<arrow::DoubleBuilder*>(builder);
  switch (spec.function) {
    case F::kSum:
      if (spec.distinct) return AppendDistinct(spec, measure, row, builder, out_of_range);
      return AppendSum(output, measure, row, builder, out_of_range);
    case F::kAvg:
      if (spec.distinct) return AppendDistinct(spec, measure, row, builder, out_of_range);
      return doubles->Append(AverageOf(measure, row, count));
    case F::kMin:
      return AppendExtreme(measure, row, kMin, builder);
    case F::kMax:
      return AppendExtreme(measure, row, kMax, builder);
    case F::kRange:
      return doubles->Append(FieldAt<double>(row, measure.Offset(kMax)) -
                             FieldAt<double>(row, measure.Offset(kMin)));
    case F::kStddevSamp:
      return AppendVariance(measure, row, count, /*sample=*/true, /*root=*/true, doubles);
    case F::kStddevPop:
      return AppendVariance(measure, row, count, /*sample=*/false, /*root=*/true, doubles);
    case F::kVarSamp:
      return AppendVariance(measure, row, count, /*sample=*/true, /*root=*/false, doubles);
    case F::kVarPop:
      return AppendVariance(measure, row, count, /*sample=*/false, /*root=*/false, doubles);
    case F::kPercentileCont:
      return doubles->Append(WithoutNegativeZero(
          Percentile(&FieldAt<ValueList*>(row, measure.Offset(kValues))->values, spec.fraction)));
    case F::kPercentileDisc:
      return AppendPercentileDisc(measure, row, spec.fraction, builder);
    case F::kApproxPercentile:
      return doubles->Append(
          FieldAt<QuantileSketch*>(row, measure.Offset(kSketch))->Quantile(spec.fraction));
    case F::kMode:
      return AppendMode(measure, row, builder);
    case F::kBoolAnd:
      return AppendBoolean(FieldAt<int64_t>(row, measure.Offset(kTrues)) == count, builder);
    case F::kBoolOr:
      return AppendBoolean(FieldAt<int64_t>(row, measure.Offset(kTrues)) > 0, builder);
    case F::kFirst:
      return AppendEdge(measure, row, kFirst, builder);
    case F::kLast:
      return AppendEdge(measure, row, kLast, builder);
    case F::kTimeWeightedAvg:
    case F::kIncrease:
    case F::kRate:
    case F::kStringAgg:
    case F::kArrayAgg:
      return AppendSeries(spec, measure, row, window_end, builder, out_of_range);
    default: {
      const auto& sums = FieldAt<PairSums>(row, measure.Offset(kPair));
      const std::optional<double> value = PairResult(spec.function, ScatterOf(sums, count));
      return value.has_value() ? doubles->Append(*value) : builder->AppendNull();
    }
  }
}

Status AppendWindow(const AccumulatorLayout& layout, WindowTimes times, std::string_view key,
                    size_t key_columns, char* row, std::span<arrow::ArrayBuilder* const> columns,
                    int64_t* out_of_range) {
  const auto append_time = [](arrow::ArrayBuilder* builder, EventTime time) {
    return static_cast<arrow::TimestampBuilder*>(builder)->Append(time.time_since_epoch().count());
  };
  ARROW_RETURN_NOT_OK(append_time(columns[0], times.start));
  ARROW_RETURN_NOT_OK(append_time(columns[1], times.end));
  ARROW_RETURN_NOT_OK(KeyTable::Append(key, columns.subspan(2, key_columns)));
  columns = columns.subspan(2 + key_columns);
  for (size_t i = 0; i < columns.size(); ++i) {
    ARROW_RETURN_NOT_OK(
        AppendResult(layout, layout.outputs()[i], row, times.end, columns[i], out_of_range));
  }
  return Status::OK();
}

}  // namespace millrace
