// Windows against a recomputation from all rows by definition, over random rows that come in any
// order with nulls, NaN, infinities and duplicates.
#include "engine/windows/window_aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "engine/windows/window_rows.h"

namespace millrace {
namespace {

using F = AggregateFunction;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

std::vector<AggregateSpec> EveryAggregate() {
  std::vector<AggregateSpec> all = {Aggregate(F::kCount, -1, Type::kBigint),
                                    Aggregate(F::kCount, -1, Type::kBigint, kFlag)};
  for (const int filter : {-1, int(kFlag)}) {
    for (const int column : {int(kX), int(kSmall), int(kBig)}) {
      for (const F function : {F::kAvg, F::kStddevSamp, F::kStddevPop, F::kVarSamp, F::kVarPop}) {
        all.push_back(Aggregate(function, column, Type::kDouble, filter));
      }
      const Type sum = column == kSmall ? Type::kBigint : Type::kDouble;
      all.push_back(Aggregate(F::kSum, column, sum, filter));
      for (const double fraction : {0.0, 0.25, 0.5, 0.95, 1.0}) {
        // Of bigints the planner makes doubles first.
        if (column != kBig) all.push_back(Percentile(column, fraction, filter));
      }
    }
    for (const int column : {int(kX), int(kSmall), int(kBig), int(kDevice), int(kSeenAt)}) {
      const Type type = TestSchema().fields[size_t(column)].type;
      all.push_back(Aggregate(F::kMin, column, type, filter));
      all.push_back(Aggregate(F::kMax, column, type, filter));
      all.push_back(Aggregate(F::kCount, column, Type::kBigint, filter));
    }
    all.push_back(Aggregate(F::kBoolAnd, kFlag, Type::kBoolean, filter));
    all.push_back(Aggregate(F::kBoolOr, kFlag, Type::kBoolean, filter));
  }
  for (const int column : {int(kX), int(kSmall), int(kBig), int(kDevice), int(kFlag)}) {
    all.push_back(CountDistinct(column));
  }
  return all;
}

// ---- The recomputation -------------------------------------------------------------------------

Cell ValueOf(const TestRow& row, int column) {
  const auto cell = [](const auto& value) { return value ? Cell(*value) : Cell(); };
  switch (column) {
    case kTime:
      return row.time;
    case kDevice:
      return cell(row.device);
    case kX:
      return cell(row.x);
    case kSmall:
      return row.small ? Cell(int64_t(*row.small)) : Cell();
    case kBig:
      return cell(row.big);
    case kFlag:
      return cell(row.flag);
    default:
      return cell(row.seen_at);
  }
}

// Order of PostgreSQL: NaN last and equal to itself.
bool CellLess(const Cell& left, const Cell& right) {
  if (left.index() == right.index() && std::holds_alternative<double>(left)) {
    const double a = std::get<double>(left);
    const double b = std::get<double>(right);
    return std::isnan(a) ? false : std::isnan(b) ? true : a < b;
  }
  return left < right;
}

struct CellsLess {
  bool operator()(const CellRow& left, const CellRow& right) const {
    return std::ranges::lexicographical_compare(left, right, CellLess);
  }
};

double AsNumber(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? std::get<double>(cell)
                                              : double(std::get<int64_t>(cell));
}

__float128 AsQuad(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? __float128(std::get<double>(cell))
                                              : __float128(std::get<int64_t>(cell));
}

Cell ExpectedPercentile(std::vector<Cell> values, double fraction) {
  std::vector<double> numbers;
  numbers.reserve(values.size());
  for (const Cell& value : values) numbers.push_back(AsNumber(value));
  std::ranges::sort(numbers, [](double a, double b) { return CellLess(a, b); });
  const double position = fraction * double(numbers.size() - 1);
  const double low = numbers[size_t(std::floor(position))];
  const double high = numbers[size_t(std::ceil(position))];
  if (std::floor(position) == std::ceil(position)) return low;
  return low + (position - std::floor(position)) * (high - low);
}

Cell ExpectedVariance(const std::vector<Cell>& values, bool sample, bool root) {
  if (sample && values.size() < 2) return {};
  __float128 mean = 0;
  for (const Cell& value : values) mean += AsQuad(value);
  mean /= __float128(values.size());
  __float128 scatter = 0;
  for (const Cell& value : values) scatter += (AsQuad(value) - mean) * (AsQuad(value) - mean);
  const double variance = double(scatter / __float128(values.size() - (sample ? 1 : 0)));
  return root ? std::sqrt(variance) : variance;
}

Cell Expected(const AggregateSpec& spec, const std::vector<TestRow>& rows) {
  std::vector<Cell> values;
  int64_t count = 0;
  for (const TestRow& row : rows) {
    if (spec.filter >= 0 && ValueOf(row, spec.filter) != Cell(true)) continue;
    ++count;
    if (spec.argument < 0) continue;
    if (const Cell value = ValueOf(row, spec.argument); value.index() != 0) values.push_back(value);
  }
  if (spec.argument < 0) return count;
  if (spec.distinct) {
    std::set<CellRow, CellsLess> distinct;
    for (const Cell& value : values) distinct.insert({value});
    return int64_t(distinct.size());
  }
  if (spec.function == F::kCount) return int64_t(values.size());
  if (values.empty()) return {};
  __float128 sum = 0;
  switch (spec.function) {
    case F::kSum:
    case F::kAvg:
      for (const Cell& value : values) sum += AsQuad(value);
      if (spec.function == F::kAvg) return double(sum / __float128(values.size()));
      return spec.result == Type::kBigint ? Cell(int64_t(sum)) : Cell(double(sum));
    case F::kMin:
      return *std::ranges::min_element(values, CellLess);
    case F::kMax:
      return *std::ranges::max_element(values, CellLess);
    case F::kStddevSamp:
      return ExpectedVariance(values, true, true);
    case F::kStddevPop:
      return ExpectedVariance(values, false, true);
    case F::kVarSamp:
      return ExpectedVariance(values, true, false);
    case F::kVarPop:
      return ExpectedVariance(values, false, false);
    case F::kPercentileCont:
      return ExpectedPercentile(values, spec.fraction);
    case F::kBoolAnd:
      return std::ranges::count(values, Cell(true)) == int64_t(values.size());
    default:
      return std::ranges::count(values, Cell(true)) > 0;
  }
}

// By window end and start, then by keys.
using Windows = std::map<CellRow, CellRow, CellsLess>;

Windows ExpectedWindows(const TestQuery& query, const std::vector<TestRow>& rows) {
  std::map<CellRow, std::vector<TestRow>, CellsLess> groups;
  for (const TestRow& row : rows) {
    int64_t start = FloorTo(At(row.time), query.slide, query.offset).time_since_epoch().count();
    for (; start + query.size.count() > row.time; start -= query.slide.count()) {
      CellRow group = {start + query.size.count(), start};
      for (const int key : query.keys) group.push_back(ValueOf(row, key));
      groups[group].push_back(row);
    }
  }
  Windows windows;
  for (const auto& [group, members] : groups) {
    CellRow values;
    for (const AggregateSpec& spec : query.aggregates) values.push_back(Expected(spec, members));
    windows[group] = values;
  }
  return windows;
}

Windows ByWindow(const TestQuery& query, const std::vector<CellRow>& rows) {
  Windows windows;
  const auto first_value = int64_t(2 + query.keys.size());
  for (const CellRow& row : rows) {
    CellRow group = {row[1], row[0]};
    group.insert(group.end(), row.begin() + 2, row.begin() + first_value);
    EXPECT_TRUE(windows.emplace(group, CellRow(row.begin() + first_value, row.end())).second)
        << "a window and key twice";
  }
  return windows;
}

bool Near(const Cell& left, const Cell& right, double relative) {
  if (left.index() != right.index() || !std::holds_alternative<double>(left)) return left == right;
  const double a = std::get<double>(left);
  const double b = std::get<double>(right);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= relative * std::max(std::abs(a), std::abs(b));
}

std::string Text(const Cell& cell) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return "null";
        } else if constexpr (std::is_same_v<T, std::string>) {
          return "'" + value + "'";
        } else if constexpr (std::is_same_v<T, double>) {
          char text[40];
          std::snprintf(text, sizeof(text), "%.17g", value);
          return text;
        } else {
          return std::to_string(value);
        }
      },
      cell);
}

void ExpectSame(const Windows& found, const Windows& expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  for (auto left = found.begin(), right = expected.begin(); left != found.end(); ++left, ++right) {
    ASSERT_EQ(left->first.size(), right->first.size());
    for (size_t i = 0; i < left->first.size(); ++i) {
      ASSERT_TRUE(Near(left->first[i], right->first[i], 0))
          << Text(left->first[i]) << " and " << Text(right->first[i]);
    }
    for (size_t i = 0; i < left->second.size(); ++i) {
      ASSERT_TRUE(Near(left->second[i], right->second[i], relative))
          << "aggregate " << i << " of the window that ends at " << Text(left->first[0]) << ": "
          << Text(left->second[i]) << ", expected " << Text(right->second[i]);
    }
  }
}

// ---- Random rows -------------------------------------------------------------------------------

std::vector<TestRow> RandomRows(size_t count, int64_t range, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto chance = [&](int in) { return random() % uint64_t(in) == 0; };
  const char* devices[] = {"",        "a", "b", "ab", "sensor-with-a-name-longer-than-fifteen",
                           "\xc3\xa4"};
  std::vector<TestRow> rows(count);
  std::normal_distribution<double> normal(1000, 3);
  for (TestRow& row : rows) {
    row.time = int64_t(random() % uint64_t(range)) - range / 2;
    if (!chance(9)) row.device = devices[random() % std::size(devices)];
    if (!chance(9)) row.x = chance(3) ? double(random() % 5) : normal(random);
    if (chance(300)) row.x = kNan;
    if (chance(300)) row.x = chance(2) ? kInfinity : -kInfinity;
    if (chance(50)) row.x = chance(2) ? 0.0 : -0.0;
    if (!chance(9)) row.small = int32_t(random() % 7) - 3;
    if (chance(40)) row.small = chance(2) ? INT32_MAX : INT32_MIN;
    if (!chance(9)) row.big = int64_t(random() % 1000) - 500;
    if (chance(60)) row.big = chance(2) ? INT64_MAX : INT64_MIN;
    if (!chance(9)) row.flag = chance(2);
    if (!chance(9)) row.seen_at = int64_t(random() % 100'000);
  }
  return rows;
}

void AddCut(WindowAggregate* aggregate, const TestQuery& query, const std::vector<TestRow>& rows,
            size_t batch_max, bool same_hash, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t begin = 0; begin < rows.size();) {
    const size_t size = std::min(rows.size() - begin, 1 + random() % batch_max);
    AddRows(aggregate, query, std::span(rows).subspan(begin, size), same_hash);
    begin += size;
  }
}

struct Case {
  const char* name;
  int64_t size;
  int64_t slide;
  int64_t offset;
  std::vector<int> keys;
  bool same_hash;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class AgainstDefinition : public testing::TestWithParam<Case> {
 protected:
  TestQuery Query() const {
    const Case& param = GetParam();
    return {Micros(param.size), Micros(param.slide), Micros(param.offset), param.keys,
            EveryAggregate()};
  }
};

TEST_P(AgainstDefinition, EveryAggregateOfEveryWindow) {
  const TestQuery query = Query();
  const auto rows = RandomRows(3000, 1500, 7);
  const auto aggregate = query.Make();
  AddCut(aggregate.get(), query, rows, 900, GetParam().same_hash, 3);
  EXPECT_FALSE(aggregate->HasOutput());
  const auto found = Close(aggregate.get(), 5);
  EXPECT_TRUE(std::ranges::is_sorted(found, [](const CellRow& a, const CellRow& b) {
    return a[1] < b[1];
  })) << "windows in order of their end";
  ExpectSame(ByWindow(query, found), ExpectedWindows(query, rows), 1e-12);

  const WindowAggregateStats stats = aggregate->stats();
  EXPECT_EQ(stats.rows_added, 3000);
  EXPECT_EQ(stats.rows_counted, 3000);
  EXPECT_EQ(stats.rows_too_late, 0);
  EXPECT_EQ(stats.open_panes, 0);
  EXPECT_EQ(stats.keys, 0);
}

TEST_P(AgainstDefinition, OrderAndCuttingChangeNothing) {
  const TestQuery query = Query();
  auto rows = RandomRows(2000, 700, 11);
  const auto first = query.Make();
  AddCut(first.get(), query, rows, 2000, GetParam().same_hash, 1);
  const Windows expected = ByWindow(query, Close(first.get()));
  std::mt19937_64 random(5);
  for (int round = 0; round < 3; ++round) {
    std::ranges::shuffle(rows, random);
    const auto again = query.Make();
    AddCut(again.get(), query, rows, round == 0 ? 1 : 300, GetParam().same_hash, random());
    ExpectSame(ByWindow(query, Close(again.get())), expected, 1e-15);
  }
}

TEST_P(AgainstDefinition, WindowsThatFireWhileRowsComeAreTheSame) {
  const TestQuery query = Query();
  auto rows = RandomRows(3000, 3000, 23);
  // Out of order by less than 200.
  std::mt19937_64 random(2);
  std::ranges::sort(rows, {}, [](const TestRow& row) { return row.time; });
  for (size_t i = 0; i + 20 < rows.size(); i += 20) {
    std::shuffle(rows.begin() + int64_t(i), rows.begin() + int64_t(i) + 20, random);
  }
  const auto aggregate = query.Make();
  std::vector<CellRow> found;
  int64_t largest = INT64_MIN;
  for (size_t begin = 0; begin < rows.size(); begin += 50) {
    const auto part = std::span(rows).subspan(begin, std::min<size_t>(50, rows.size() - begin));
    AddRows(aggregate.get(), query, part, GetParam().same_hash);
    for (const TestRow& row : part) largest = std::max(largest, row.time);
    aggregate->AdvanceTo(At(largest - 200));
    for (CellRow& row : Drain(aggregate.get(), 3)) {
      EXPECT_LE(std::get<int64_t>(row[1]), largest - 200);
      found.push_back(std::move(row));
    }
  }
  for (CellRow& row : Close(aggregate.get())) found.push_back(std::move(row));
  ExpectSame(ByWindow(query, found), ExpectedWindows(query, rows), 1e-12);
  EXPECT_EQ(aggregate->stats().rows_too_late, 0);
  EXPECT_EQ(aggregate->stats().rows_counted, 3000);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, AgainstDefinition,
    testing::Values(Case{"Hop5And1", 300, 60, 0, {kDevice}, false},
                    Case{"Hop10And4", 100, 40, 0, {kDevice}, false},
                    Case{"Tumble", 100, 100, 0, {kDevice}, false},
                    Case{"TumbleWithOffset", 100, 100, 37, {kDevice}, false},
                    Case{"HopWithNegativeOffset", 100, 40, -13, {kDevice}, false},
                    Case{"WithoutKeys", 100, 50, 0, {}, false},
                    Case{"CompositeKeys", 300, 100, 0, {kDevice, kSmall, kFlag}, false},
                    Case{"DoubleKey", 300, 300, 0, {kX}, false},
                    Case{"BigintKey", 300, 300, 0, {kBig}, false},
                    Case{"BooleanAndTimestampKeys", 300, 300, 0, {kFlag, kSeenAt}, false},
                    Case{"AllHashesEqual", 200, 100, 0, {kDevice, kSmall}, true}),
    [](const auto& tested) { return std::string(tested.param.name); });

// ---- Single rules ------------------------------------------------------------------------------

TestRow X(int64_t time, std::optional<double> x) {
  TestRow row;
  row.time = time;
  row.device = "d";
  row.x = x;
  return row;
}

CellRow OneWindow(std::vector<AggregateSpec> aggregates, const std::vector<TestRow>& rows) {
  const TestQuery query{Micros(60), Micros(60), Micros(0), {}, std::move(aggregates)};
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, rows);
  const auto found = Close(aggregate.get());
  EXPECT_EQ(found.size(), 1u);
  return {found.at(0).begin() + 2, found.at(0).end()};
}

TEST(WindowAggregate, SumsKeepWhatRoundingWouldTake) {
  const auto values =
      OneWindow({Aggregate(F::kSum, kX, Type::kDouble), Aggregate(F::kAvg, kX, Type::kDouble)},
                {X(0, 1e16), X(1, 1), X(2, 1), X(3, -1e16), X(4, 1)});
  EXPECT_EQ(values, (CellRow{3.0, 0.6}));
}

TEST(WindowAggregate, InfinitiesAndNanAsInPostgreSql) {
  const std::vector<AggregateSpec> all = {
      Aggregate(F::kSum, kX, Type::kDouble), Aggregate(F::kVarPop, kX, Type::kDouble),
      Aggregate(F::kMin, kX, Type::kDouble), Aggregate(F::kMax, kX, Type::kDouble)};
  auto values = OneWindow(all, {X(0, kInfinity), X(1, 5)});
  EXPECT_EQ(values[0], Cell(kInfinity));
  EXPECT_TRUE(std::isnan(std::get<double>(values[1])));
  EXPECT_EQ(values[2], Cell(5.0));
  EXPECT_EQ(values[3], Cell(kInfinity));
  values = OneWindow(all, {X(0, kInfinity), X(1, -kInfinity)});
  EXPECT_TRUE(std::isnan(std::get<double>(values[0])));
  values = OneWindow(all, {X(0, kNan), X(1, 5), X(2, -kInfinity)});
  EXPECT_TRUE(std::isnan(std::get<double>(values[0])));
  EXPECT_EQ(values[2], Cell(-kInfinity));
  EXPECT_TRUE(std::isnan(std::get<double>(values[3])));
  values = OneWindow(all, {X(0, kNan)});
  EXPECT_TRUE(std::isnan(std::get<double>(values[2])));
}

// Expected values: python, with fractions. What is lost is the ratio of squared mean to variance,
// of 32 digits: none that shows at 1e6, half of a double's at 1e9 (plain doubles lose all of both).
TEST(WindowAggregate, VarianceSurvivesALargeMean) {
  const auto variance = [](double mean) {
    std::vector<TestRow> rows;
    for (int i = 1; i <= 4; ++i) rows.push_back(X(i, mean + i * 0.001));
    return std::get<double>(OneWindow({Aggregate(F::kVarSamp, kX, Type::kDouble)}, rows)[0]);
  };
  EXPECT_NEAR(variance(1e6), 1.6666665921608624e-06, 1e-20);
  EXPECT_NEAR(variance(1e9), 1.6665840168646657e-06, 1e-13);
}

TEST(WindowAggregate, VarianceOfEqualValuesIsZeroAndOfOneSampleNull) {
  std::vector<TestRow> equal(1000, X(1, 0.1));
  const std::vector<AggregateSpec> all = {Aggregate(F::kVarPop, kX, Type::kDouble),
                                          Aggregate(F::kStddevSamp, kX, Type::kDouble)};
  const auto values = OneWindow(all, equal);
  EXPECT_EQ(values, (CellRow{0.0, 0.0}));
  EXPECT_EQ(OneWindow(all, {X(0, 7)}), (CellRow{0.0, Cell()}));
}

// PostgreSQL 15: percentile_cont of 0.5, 0.95 and 0.25 within group over 1, 2, 3, 10.
TEST(WindowAggregate, PercentilesInterpolateAsPostgreSql) {
  const auto values = OneWindow({Percentile(kX, 0.5), Percentile(kX, 0.95), Percentile(kX, 0.25)},
                                {X(0, 10), X(1, 1), X(2, std::nullopt), X(3, 3), X(4, 2)});
  EXPECT_EQ(values[0], Cell(2.5));
  EXPECT_DOUBLE_EQ(std::get<double>(values[1]), 8.95);
  EXPECT_EQ(values[2], Cell(1.75));
}

TEST(WindowAggregate, OverNoValueEverythingIsNullButCounts) {
  auto all = EveryAggregate();
  const auto values = OneWindow(
      all,
      {TestRow{
          .time = 3, .device = {}, .x = {}, .small = {}, .big = {}, .flag = {}, .seen_at = {}}});
  for (size_t i = 0; i < all.size(); ++i) {
    const bool is_count = all[i].function == F::kCount;
    const bool of_rows = is_count && all[i].argument < 0 && all[i].filter < 0;
    EXPECT_EQ(values[i], is_count ? Cell(int64_t(of_rows)) : Cell()) << i;
  }
}

TEST(WindowAggregate, IntegerSumsAreExact) {
  std::vector<TestRow> rows(5, X(1, 0));
  for (TestRow& row : rows) {
    row.small = INT32_MAX;
    row.big = INT64_MAX;
  }
  rows[4].big = -3;
  const auto values =
      OneWindow({Aggregate(F::kSum, kSmall, Type::kBigint), Aggregate(F::kSum, kBig, Type::kDouble),
                 Aggregate(F::kAvg, kSmall, Type::kDouble)},
                rows);
  EXPECT_EQ(values, (CellRow{int64_t(10737418235), 36893488147419103225.0, 2147483647.0}));
}

TEST(WindowAggregate, NegativeZeroIsZeroAndNanIsOneKey) {
  const TestQuery query{
      Micros(60), Micros(60), Micros(0), {kX}, {Aggregate(F::kCount, -1, Type::kBigint)}};
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query,
          std::vector<TestRow>{X(0, 0.0), X(1, kNan), X(2, -0.0), X(3, -kNan), X(4, std::nullopt)});
  const auto found = Close(aggregate.get());
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], (CellRow{int64_t(0), int64_t(60), 0.0, int64_t(2)}));
  EXPECT_FALSE(std::signbit(std::get<double>(found[0][2])));
  EXPECT_TRUE(std::isnan(std::get<double>(found[1][2])));
  EXPECT_EQ(found[1][3], Cell(int64_t(2)));
  EXPECT_EQ(found[2], (CellRow{int64_t(0), int64_t(60), Cell(), int64_t(1)}));
}

// Whichever of the two zeros comes first.
TEST(WindowAggregate, ExtremesAndPercentilesHaveNoNegativeZero) {
  AggregateSpec middle = Aggregate(F::kPercentileCont, kX, Type::kDouble);
  middle.fraction = 0.5;
  const std::vector<AggregateSpec> all = {Aggregate(F::kMin, kX, Type::kDouble),
                                          Aggregate(F::kMax, kX, Type::kDouble), middle};
  for (const auto& rows : {std::vector<TestRow>{X(0, 0.0), X(1, -0.0), X(2, 0.0)},
                           std::vector<TestRow>{X(0, -0.0), X(1, 0.0), X(2, -0.0)}}) {
    for (const Cell& cell : OneWindow(all, rows)) {
      EXPECT_EQ(cell, Cell(0.0));
      EXPECT_FALSE(std::signbit(std::get<double>(cell)));
    }
  }
}

TestQuery CountQuery(int64_t size, int64_t slide) {
  return {
      Micros(size), Micros(slide), Micros(0), {kDevice}, {Aggregate(F::kCount, -1, Type::kBigint)}};
}

TEST(WindowAggregate, FiresAWindowWhenTheWatermarkReachesItsEnd) {
  const TestQuery query = CountQuery(60, 20);
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, std::vector<TestRow>{X(30, 1)});
  aggregate->AdvanceTo(At(39));
  EXPECT_FALSE(aggregate->HasOutput());
  aggregate->AdvanceTo(At(40));
  EXPECT_EQ(Drain(aggregate.get()),
            (std::vector<CellRow>{{int64_t(-20), int64_t(40), std::string("d"), int64_t(1)}}));
  aggregate->AdvanceTo(At(10));  // never back
  EXPECT_FALSE(aggregate->HasOutput());
  EXPECT_EQ(aggregate->stats().rows_counted, 0);
  aggregate->AdvanceTo(At(80));
  EXPECT_EQ(Drain(aggregate.get()).size(), 2u);
  EXPECT_EQ(aggregate->stats().rows_counted, 1);
  EXPECT_EQ(aggregate->stats().open_panes, 0);
}

TEST(WindowAggregate, ARowWhoseLastWindowIsDueIsCountedAsTooLate) {
  const TestQuery query = CountQuery(60, 20);
  const auto aggregate = query.Make();
  aggregate->AdvanceTo(At(100));
  AddRows(aggregate.get(), query, std::vector<TestRow>{X(39, 1), X(40, 1), X(100, 1)});
  EXPECT_EQ(aggregate->stats().rows_too_late, 2);
  EXPECT_EQ(aggregate->stats().keys, 1);
  // All windows of 39 (to 80 at most) are due, and of 40 (to 100); 100 is in three.
  EXPECT_EQ(Close(aggregate.get()).size(), 3u);
  EXPECT_EQ(aggregate->stats().rows_counted, 1);
  aggregate->AdvanceTo(kEventTimeMax);
  AddRows(aggregate.get(), query, std::vector<TestRow>{X(INT64_MAX, 1)});
  EXPECT_EQ(aggregate->stats().rows_too_late, 3);
}

TEST(WindowAggregate, RowsBetweenWindowsAreInNone) {
  const TestQuery query = CountQuery(20, 60);
  const auto aggregate = query.Make();
  AddRows(aggregate.get(), query, std::vector<TestRow>{X(5, 1), X(25, 1), X(59, 1), X(79, 1)});
  EXPECT_EQ(Close(aggregate.get()).size(), 2u);
  EXPECT_EQ(aggregate->stats().rows_counted, 4);
}

TEST(WindowAggregate, FarApartInTimeCostsNothing) {
  // Slides of a microsecond over two centuries: only windows with rows may be visited.
  const TestQuery query = CountQuery(2, 1);
  const auto aggregate = query.Make();
  constexpr int64_t kTwoCenturies = int64_t(200) * 365 * 86'400 * 1'000'000;
  AddRows(aggregate.get(), query,
          std::vector<TestRow>{X(kTwoCenturies, 1), X(-kTwoCenturies, 1), X(0, 1)});
  aggregate->AdvanceTo(At(kTwoCenturies - 5));
  EXPECT_EQ(Drain(aggregate.get()).size(), 4u);
  EXPECT_EQ(Close(aggregate.get()).size(), 2u);
}

TEST(WindowAggregate, EventTimesAtTheLimitsDoNotWrap) {
  for (const TestQuery& query : {CountQuery(300, 60), CountQuery(100, 40), CountQuery(7, 7)}) {
    const auto aggregate = query.Make();
    AddRows(aggregate.get(), query,
            std::vector<TestRow>{X(INT64_MAX, 1), X(INT64_MIN + 1, 1), X(INT64_MAX - 1, 1)});
    aggregate->AdvanceTo(At(0));
    int64_t rows = 0;
    for (const CellRow& row : Drain(aggregate.get())) rows += std::get<int64_t>(row[3]);
    // The one row at the beginning of time, once a window that it is in.
    EXPECT_GE(rows, query.size / query.slide);
    EXPECT_LE(rows, query.size / query.slide + 1);
    EXPECT_EQ(aggregate->stats().rows_counted, 1);
    EXPECT_FALSE(Close(aggregate.get()).empty());
    EXPECT_EQ(aggregate->stats().rows_counted, 3);
    EXPECT_EQ(aggregate->stats().open_panes, 0);
  }
}

TEST(WindowAggregate, ALongRunStaysBounded) {
  TestQuery query = CountQuery(300, 100);
  query.aggregates.push_back(Percentile(kX, 0.5));
  query.aggregates.push_back(CountDistinct(kX));
  const auto aggregate = query.Make();
  int64_t early_bytes = 0;
  for (int64_t round = 0; round < 400; ++round) {
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < 200; ++i) {
      TestRow row = X(round * 100 + i % 100, double(i));
      row.device = "device " + std::to_string(round * 50 + i % 100);  // devices come and go
      rows.push_back(row);
    }
    AddRows(aggregate.get(), query, rows);
    aggregate->AdvanceTo(At(round * 100));
    Drain(aggregate.get());
    const WindowAggregateStats stats = aggregate->stats();
    EXPECT_LE(stats.open_panes, 5 * 100);
    EXPECT_LE(stats.keys, 5 * 100);
    if (round == 20) early_bytes = stats.state_bytes;
    if (round > 20) {
      ASSERT_LE(stats.state_bytes, early_bytes + early_bytes / 10);
    }
  }
  Close(aggregate.get());
  EXPECT_EQ(aggregate->stats().rows_counted, 400 * 200);
}

TEST(WindowAggregate, ManyKeysComeInPiecesInTheOrderOfTheirIds) {
  const TestQuery query = CountQuery(60, 30);
  const auto aggregate = query.Make();
  std::vector<TestRow> rows;
  for (int i = 0; i < 6000; ++i) {
    rows.push_back(X(i % 60, 1));
    rows.back().device = std::to_string(i);
  }
  AddRows(aggregate.get(), query, rows);
  aggregate->AdvanceTo(At(60));
  std::vector<int64_t> sizes;
  std::vector<CellRow> found;
  while (aggregate->HasOutput()) {
    const auto batch = aggregate->NextOutput(2000).ValueOrDie().batch;
    sizes.push_back(batch->num_rows());
    AppendCells(*batch, &found);
  }
  // The window that ends at 30 has half of the keys, the next one all.
  ASSERT_EQ(sizes, (std::vector<int64_t>{2000, 1000, 2000, 2000, 2000}));
  for (size_t i = 3000; i < found.size(); ++i) {
    ASSERT_EQ(found[i][2], Cell(std::to_string(i - 3000)));
  }
}

TEST(WindowAggregate, RefusesWhatThePlannerShouldNotHaveMade) {
  TestQuery query = CountQuery(60, 20);
  query.aggregates.push_back(Aggregate(F::kMin, kFlag, Type::kBoolean));
  EXPECT_FALSE(WindowAggregate::Make(query.Node(), TestSchema(), query.Output()).ok());
  query.aggregates = {Aggregate(F::kAvg, kDevice, Type::kDouble)};
  EXPECT_FALSE(WindowAggregate::Make(query.Node(), TestSchema(), query.Output()).ok());
  query.aggregates = {Aggregate(F::kSum, kBig, Type::kBigint)};
  EXPECT_FALSE(WindowAggregate::Make(query.Node(), TestSchema(), query.Output()).ok());
  WindowAggregateNode node = CountQuery(60, 20).Node();
  node.pane = Micros(60);
  EXPECT_FALSE(WindowAggregate::Make(node, TestSchema(), CountQuery(60, 20).Output()).ok());
}

}  // namespace
}  // namespace millrace
