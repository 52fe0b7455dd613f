#include "engine/plan/aggregates.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

using enum AggregateFunction;
using Arg = AggregateArgument;
using Gives = AggregateResult;
using With = AggregateSecond;

constexpr AggregateInfo Plain(std::string_view name, AggregateFunction function, Arg argument,
                              Gives result, std::string_view summary) {
  AggregateInfo info;
  info.name = name;
  info.function = function;
  info.argument = argument;
  info.result = result;
  info.summary = summary;
  return info;
}

constexpr AggregateInfo Of(std::string_view name, AggregateFunction function, With second,
                           Arg argument, Gives result, std::string_view summary) {
  AggregateInfo info = Plain(name, function, argument, result, summary);
  info.second = second;
  return info;
}

constexpr AggregateInfo WithUnit(AggregateInfo info) {
  info.keeps_unit = true;
  return info;
}

constexpr AggregateInfo MayBeDistinct(AggregateInfo info) {
  info.may_be_distinct = true;
  return info;
}

constexpr AggregateInfo WithinGroup(AggregateInfo info) {
  info.form = AggregateForm::kWithinGroup;
  return info;
}

constexpr std::array kCatalog = std::to_array<AggregateInfo>({
    MayBeDistinct(Plain("count", kCount, Arg::kAny, Gives::kBigint, "how many are not null")),
    MayBeDistinct(WithUnit(Plain("sum", kSum, Arg::kNumber, Gives::kSum, "sum"))),
    MayBeDistinct(WithUnit(Plain("avg", kAvg, Arg::kNumber, Gives::kDouble, "arithmetic mean"))),
    MayBeDistinct(WithUnit(Plain("min", kMin, Arg::kOrdered, Gives::kArgument, "least"))),
    MayBeDistinct(WithUnit(Plain("max", kMax, Arg::kOrdered, Gives::kArgument, "greatest"))),
    WithUnit(Plain("range", kRange, Arg::kDouble, Gives::kDouble, "greatest less least")),
    WithUnit(Plain("stddev", kStddevSamp, Arg::kNumber, Gives::kDouble,
                   "standard deviation of a sample")),
    WithUnit(Plain("stddev_samp", kStddevSamp, Arg::kNumber, Gives::kDouble,
                   "standard deviation of a sample")),
    WithUnit(Plain("stddev_pop", kStddevPop, Arg::kNumber, Gives::kDouble,
                   "standard deviation of a population")),
    Plain("variance", kVarSamp, Arg::kNumber, Gives::kDouble, "variance of a sample"),
    Plain("var_samp", kVarSamp, Arg::kNumber, Gives::kDouble, "variance of a sample"),
    Plain("var_pop", kVarPop, Arg::kNumber, Gives::kDouble, "variance of a population"),
    WithinGroup(WithUnit(Of("percentile_cont", kPercentileCont, With::kFraction, Arg::kDouble,
                            Gives::kDouble,
                            "exact percentile, between two values where none is "
                            "at the fraction"))),
    WithinGroup(WithUnit(Of("percentile_disc", kPercentileDisc, With::kFraction, Arg::kMoment,
                            Gives::kArgument,
                            "exact percentile: the first value at or above the "
                            "fraction"))),
    WithUnit(
        Plain("median", kPercentileCont, Arg::kDouble, Gives::kDouble, "`percentile_cont(0.5)`")),
    WithUnit(Of("approx_percentile", kApproxPercentile, With::kFraction, Arg::kDouble,
                Gives::kDouble, "percentile within 1 % of its value, in little memory")),
    WithinGroup(WithUnit(Plain("mode", kMode, Arg::kAny, Gives::kArgument,
                               "the most frequent; of several the least"))),
    Plain("bool_and", kBoolAnd, Arg::kBoolean, Gives::kBoolean, "whether all are true"),
    Plain("every", kBoolAnd, Arg::kBoolean, Gives::kBoolean, "whether all are true"),
    Plain("bool_or", kBoolOr, Arg::kBoolean, Gives::kBoolean, "whether any is true"),
    Plain("approx_count_distinct", kApproxCountDistinct, Arg::kAny, Gives::kBigint,
          "how many different ones, with a standard error of 0.8 %"),
    WithUnit(Of("first", kFirst, With::kEventTime, Arg::kAny, Gives::kArgument,
                "of the earliest event time; of several the least")),
    WithUnit(Of("last", kLast, With::kEventTime, Arg::kAny, Gives::kArgument,
                "of the latest event time; of several the greatest")),
    WithUnit(Of("arg_min", kFirst, With::kBy, Arg::kAny, Gives::kArgument,
                "x where y is least; of several the least")),
    WithUnit(Of("min_by", kFirst, With::kBy, Arg::kAny, Gives::kArgument, "`arg_min`")),
    WithUnit(Of("arg_max", kLast, With::kBy, Arg::kAny, Gives::kArgument,
                "x where y is greatest; of several the greatest")),
    WithUnit(Of("max_by", kLast, With::kBy, Arg::kAny, Gives::kArgument, "`arg_max`")),
    Of("corr", kCorr, With::kPair, Arg::kDouble, Gives::kDouble, "correlation coefficient"),
    Of("covar_pop", kCovarPop, With::kPair, Arg::kDouble, Gives::kDouble,
       "covariance of a population"),
    Of("covar_samp", kCovarSamp, With::kPair, Arg::kDouble, Gives::kDouble,
       "covariance of a sample"),
    Of("regr_slope", kRegrSlope, With::kPair, Arg::kDouble, Gives::kDouble,
       "slope of the least-squares line y = slope * x + intercept"),
    Of("regr_intercept", kRegrIntercept, With::kPair, Arg::kDouble, Gives::kDouble,
       "intercept of the least-squares line"),
    Of("regr_r2", kRegrR2, With::kPair, Arg::kDouble, Gives::kDouble,
       "square of the correlation coefficient"),
    Of("regr_count", kRegrCount, With::kPair, Arg::kDouble, Gives::kBigint,
       "rows in which both are not null"),
    Of("regr_avgx", kRegrAvgX, With::kPair, Arg::kDouble, Gives::kDouble, "mean of x"),
    Of("regr_avgy", kRegrAvgY, With::kPair, Arg::kDouble, Gives::kDouble, "mean of y"),
    Of("regr_sxx", kRegrSxx, With::kPair, Arg::kDouble, Gives::kDouble,
       "sum of squares of x about its mean"),
    Of("regr_syy", kRegrSyy, With::kPair, Arg::kDouble, Gives::kDouble,
       "sum of squares of y about its mean"),
    Of("regr_sxy", kRegrSxy, With::kPair, Arg::kDouble, Gives::kDouble,
       "sum of products of x and y about their means"),
    WithUnit(Of("time_weighted_avg", kTimeWeightedAvg, With::kEventTime, Arg::kDouble,
                Gives::kDouble,
                "mean of the values by how long each was the last one: from the "
                "first reading to the end of the window")),
    WithUnit(Of("increase", kIncrease, With::kEventTime, Arg::kDouble, Gives::kDouble,
                "by how much a counter grew from the first reading to the last; a smaller value "
                "is a reset to zero")),
    Of("rate", kRate, With::kEventTime, Arg::kDouble, Gives::kDouble,
       "`increase` a second between the first reading and the last"),
    MayBeDistinct(Of("string_agg", kStringAgg, With::kSeparator, Arg::kText, Gives::kText,
                     "texts joined, by event time; at most 1 MiB")),
    MayBeDistinct(Of("array_agg", kArrayAgg, With::kEventTime, Arg::kAny, Gives::kJson,
                     "all values as a JSON array, by event time; at most 1 MiB")),
});

}  // namespace

std::span<const AggregateInfo> AggregateCatalog() { return kCatalog; }

const AggregateInfo* FindAggregate(std::string_view name) {
  const auto found = std::ranges::find(kCatalog, name, &AggregateInfo::name);
  return found == kCatalog.end() ? nullptr : &*found;
}

const std::vector<std::string>& AggregateNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    all.reserve(kCatalog.size());
    for (const AggregateInfo& info : kCatalog) all.emplace_back(info.name);
    return all;
  }();
  return names;
}

bool TakesArgument(const AggregateInfo& info, Type type) {
  switch (info.argument) {
    case Arg::kAny:
      return type != Type::kInterval &&
             (type != Type::kJson || info.function == AggregateFunction::kCount);
    case Arg::kNumber:
    case Arg::kDouble:
      return IsNumeric(type);
    case Arg::kOrdered:
      return IsNumeric(type) || type == Type::kText || type == Type::kDate ||
             type == Type::kTimestamp;
    case Arg::kMoment:
      return IsNumeric(type) || type == Type::kDate || type == Type::kTimestamp;
    case Arg::kBoolean:
      return type == Type::kBoolean;
    case Arg::kText:
      return type == Type::kText;
  }
  return false;
}

Type ResultType(const AggregateInfo& info, Type argument) {
  switch (info.result) {
    case Gives::kBigint:
      return Type::kBigint;
    case Gives::kDouble:
      return Type::kDouble;
    case Gives::kBoolean:
      return Type::kBoolean;
    case Gives::kText:
    case Gives::kJson:
      return Type::kText;
    case Gives::kArgument:
      return argument;
    case Gives::kSum:
      return argument == Type::kInteger ? Type::kBigint : Type::kDouble;
  }
  return Type::kNull;
}

}  // namespace millrace
