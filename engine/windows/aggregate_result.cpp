#include "engine/windows/aggregate_result.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/windows/distinct_set.h"

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

// Sum of squares less the square of the sum over n; null where PostgreSQL has null. An infinite or
// NaN value makes it NaN; rounding never makes it negative, and of equal values it is exactly 0.
Status AppendVariance(const Measure& measure, const char* row, int64_t count, bool sample,
                      bool root, arrow::DoubleBuilder* builder) {
  if (sample && count < 2) return builder->AppendNull();
  if (AllEqual(measure, row)) return builder->Append(0.0);
  const Quad sum = SumOf(measure, row);
  const Quad squares = ToQuad(FieldAt<DoubleSum>(row, measure.Offset(kSquares)));
  Quad scatter = squares - sum * sum / Quad(count);
  if (scatter < 0) scatter = 0;
  const double variance = double(scatter / Quad(sample ? count - 1 : count));
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

Status AppendExtreme(const Measure& measure, const char* row, unsigned part,
                     arrow::ArrayBuilder* builder) {
  const size_t offset = measure.Offset(part);
  switch (builder->type()->id()) {
    case arrow::Type::DOUBLE:
      if (measure.type != Type::kDouble) break;
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(
          WithoutNegativeZero(FieldAt<double>(row, offset)));
    case arrow::Type::INT32:
      return static_cast<arrow::Int32Builder*>(builder)->Append(
          int32_t(FieldAt<int64_t>(row, offset)));
    case arrow::Type::INT64:
      return static_cast<arrow::Int64Builder*>(builder)->Append(FieldAt<int64_t>(row, offset));
    case arrow::Type::TIMESTAMP:
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(FieldAt<int64_t>(row, offset));
    case arrow::Type::STRING:
      return static_cast<arrow::StringBuilder*>(builder)->Append(
          *FieldAt<std::string*>(row, offset));
    default:
      break;
  }
  return InternalError("bad_aggregate", "min or max cannot be " + builder->type()->ToString());
}

Status AppendBoolean(bool value, arrow::ArrayBuilder* builder) {
  return static_cast<arrow::BooleanBuilder*>(builder)->Append(value);
}

}  // namespace

Status AppendResult(const AccumulatorLayout& layout, const AggregateOutput& output, char* row,
                    arrow::ArrayBuilder* builder, int64_t* out_of_range) {
  const AggregateSpec& spec = output.spec;
  int64_t count = FieldAt<int64_t>(row, output.rows_offset);
  if (output.measure < 0) return AppendInteger(count, builder, out_of_range);
  const Measure& measure = layout.measures()[size_t(output.measure)];
  count -= FieldAt<int64_t>(row, measure.base);
  if (spec.function == AggregateFunction::kCount) {
    if (spec.distinct) {
      const DistinctSet* set = FieldAt<DistinctSet*>(row, measure.Offset(kDistinct));
      count = set == nullptr ? 0 : int64_t(set->size());
    }
    return AppendInteger(count, builder, out_of_range);
  }
  if (count == 0) return builder->AppendNull();
  auto* doubles = static_cast<arrow::DoubleBuilder*>(builder);
  switch (spec.function) {
    case AggregateFunction::kSum:
      return AppendSum(output, measure, row, builder, out_of_range);
    case AggregateFunction::kAvg:
      return doubles->Append(AverageOf(measure, row, count));
    case AggregateFunction::kMin:
      return AppendExtreme(measure, row, kMin, builder);
    case AggregateFunction::kMax:
      return AppendExtreme(measure, row, kMax, builder);
    case AggregateFunction::kStddevSamp:
      return AppendVariance(measure, row, count, /*sample=*/true, /*root=*/true, doubles);
    case AggregateFunction::kStddevPop:
      return AppendVariance(measure, row, count, /*sample=*/false, /*root=*/true, doubles);
    case AggregateFunction::kVarSamp:
      return AppendVariance(measure, row, count, /*sample=*/true, /*root=*/false, doubles);
    case AggregateFunction::kVarPop:
      return AppendVariance(measure, row, count, /*sample=*/false, /*root=*/false, doubles);
    case AggregateFunction::kPercentileCont:
      return doubles->Append(WithoutNegativeZero(
          Percentile(&FieldAt<ValueList*>(row, measure.Offset(kValues))->values, spec.fraction)));
    case AggregateFunction::kBoolAnd:
      return AppendBoolean(FieldAt<int64_t>(row, measure.Offset(kTrues)) == count, builder);
    case AggregateFunction::kBoolOr:
      return AppendBoolean(FieldAt<int64_t>(row, measure.Offset(kTrues)) > 0, builder);
    default:
      return InternalError("bad_aggregate", "an aggregate function without a result");
  }
}

}  // namespace millrace
