#include "engine/windows/accumulator_update.h"

#include <xxhash.h>

#include <array>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "engine/windows/accumulate_numbers.h"
#include "engine/windows/accumulator_objects.h"
#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

// T: as in the column; Wide: as accumulated.
template <typename T, typename Wide, unsigned kParts, bool kNulls>
void AddNumbers(const RowBlock& block, const ColumnReader& column, size_t base) {
  const T* values = column.Values<T>();
  const size_t count = block.rows.size();
  for (size_t i = 0; i < count; ++i) {
    const uint32_t row = block.rows[i];
    char* fields = block.accumulators[i] + base;
    if constexpr (kNulls) {
      if (column.IsNull(row)) {
        ++FieldAt<int64_t>(fields, 0);
        continue;
      }
    }
    const Wide x = values[row];
    if constexpr ((kParts & kSum) != 0) {
      constexpr size_t kOffset = PartOffset(kParts, kSum);
      if constexpr (std::is_same_v<Wide, double>) {
        FieldAt<DoubleSum>(fields, kOffset).Add(x);
      } else {
        FieldAt<Int128>(fields, kOffset).Add(x);
      }
    }
    if constexpr ((kParts & kSquares) != 0) {
      FieldAt<DoubleSum>(fields, PartOffset(kParts, kSquares)).Add(ExactSquare(x));
    }
    if constexpr ((kParts & kMin) != 0) {
      TakeExtreme(x, &FieldAt<Wide>(fields, PartOffset(kParts, kMin)));
    }
    if constexpr ((kParts & kMax) != 0) {
      TakeLargest(x, &FieldAt<Wide>(fields, PartOffset(kParts, kMax)));
    }
  }
}

using Loop = void (*)(const RowBlock&, const ColumnReader&, size_t);

// Indexed by the numeric parts, twice: without nulls, then with.
template <typename T, typename Wide, size_t... kIndex>
constexpr std::array<Loop, sizeof...(kIndex)> LoopsOf(std::index_sequence<kIndex...>) {
  return {AddNumbers<T, Wide, kIndex % (kNumericParts + 1), (kIndex > kNumericParts)>...};
}

template <typename T, typename Wide>
void Dispatch(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  static constexpr auto kLoops =
      LoopsOf<T, Wide>(std::make_index_sequence<2 * (kNumericParts + 1)>());
  const unsigned parts = measure.parts & kNumericParts;
  if (parts == 0 && !column.may_be_null()) return;
  kLoops[parts + (column.may_be_null() ? kNumericParts + 1 : 0)](block, column, measure.base);
}

void CountNulls(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  if (!column.may_be_null()) return;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    FieldAt<int64_t>(block.accumulators[i], measure.base) += column.IsNull(block.rows[i]);
  }
}

void AddTrues(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  CountNulls(block, column, measure);
  if (!measure.Has(kTrues)) return;
  const size_t offset = measure.Offset(kTrues);
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (column.IsNull(row)) continue;
    FieldAt<int64_t>(block.accumulators[i], offset) += int64_t(column.Fixed(row));
  }
}

void AddTexts(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  CountNulls(block, column, measure);
  for (const unsigned part : {kMin, kMax}) {
    if (!measure.Has(part)) continue;
    const size_t offset = measure.Offset(part);
    for (size_t i = 0; i < block.rows.size(); ++i) {
      if (column.IsNull(block.rows[i])) continue;
      const std::string_view text = column.Text(block.rows[i]);
      std::string*& kept = FieldAt<std::string*>(block.accumulators[i], offset);
      if (kept == nullptr) {
        kept = new std::string(text);
      } else if (part == kMin ? text < *kept : text > *kept) {
        kept->assign(text);
      }
    }
  }
}

// As ValueList has it.
double ListedValue(const ColumnReader& column, uint32_t row) {
  switch (column.type()) {
    case Type::kInteger:
    case Type::kDate:
      return column.Values<int32_t>()[row];
    case Type::kBigint:
    case Type::kTimestamp:
      return std::bit_cast<double>(column.Values<int64_t>()[row]);
    default:
      return column.Values<double>()[row];
  }
}

int64_t AddValues(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  const size_t offset = measure.Offset(kValues);
  int64_t added = 0;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (column.IsNull(row)) continue;
    ObjectAt<ValueList>(block.accumulators[i], offset).values.push_back(ListedValue(column, row));
    ++added;
  }
  return added * int64_t(sizeof(double));
}

// Calls `add` with the object of every row whose argument is not null, and the row; returns what
// the calls return, summed.
template <typename T, typename Add>
int64_t AddToObjects(const RowBlock& block, const ColumnReader& column, size_t offset, Add add) {
  int64_t bytes = 0;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (!column.IsNull(row)) bytes += add(ObjectAt<T>(block.accumulators[i], offset), row);
  }
  return bytes;
}

int64_t AddDistinct(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  return AddToObjects<DistinctSet>(
      block, column, measure.Offset(kDistinct), [&](DistinctSet& set, uint32_t row) {
        return column.is_text() ? set.InsertText(column.Text(row)) : set.Insert(column.Fixed(row));
      });
}

int64_t AddCounts(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  return AddToObjects<ValueCounts>(block, column, measure.Offset(kCounts),
                                   [&](ValueCounts& counts, uint32_t row) {
                                     return column.is_text() ? counts.AddText(column.Text(row))
                                                             : counts.Add(OrderedBits(column, row));
                                   });
}

int64_t AddSketch(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  const double* const values = column.Values<double>();
  return AddToObjects<QuantileSketch>(
      block, column, measure.Offset(kSketch),
      [&](QuantileSketch& sketch, uint32_t row) { return sketch.Add(values[row]); });
}

int64_t AddRegisters(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  return AddToObjects<DistinctSketch>(block, column, measure.Offset(kRegisters),
                                      [&](DistinctSketch& sketch, uint32_t row) {
                                        if (column.is_text()) {
                                          const std::string_view text = column.Text(row);
                                          return sketch.Add(XXH3_64bits(text.data(), text.size()));
                                        }
                                        const uint64_t bits = column.Fixed(row);
                                        return sketch.Add(XXH3_64bits(&bits, sizeof(bits)));
                                      });
}

// `by`: null where the values are ordered by themselves alone.
int64_t AddSeries(const RowBlock& block, const ColumnReader& column, const ColumnReader* by,
                  const Measure& measure) {
  const size_t offset = measure.Offset(kSeries);
  int64_t bytes = 0;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (column.IsNull(row) || (by != nullptr && by->IsNull(row))) continue;
    auto& series = ObjectAt<Series>(block.accumulators[i], offset);
    const int64_t before = series.bytes();
    const int64_t place = by == nullptr ? 0 : OrderedBits(*by, row);
    if (column.is_text()) {
      series.AddText(place, column.Text(row));
    } else {
      series.Add(place, OrderedBits(column, row));
    }
    bytes += series.bytes() - before;
  }
  return bytes;
}

void AddEdges(const RowBlock& block, const ColumnReader& column, const ColumnReader& by,
              const Measure& measure) {
  for (const unsigned part : {kFirst, kLast}) {
    if (!measure.Has(part)) continue;
    const size_t offset = measure.Offset(part);
    for (size_t i = 0; i < block.rows.size(); ++i) {
      const uint32_t row = block.rows[i];
      if (column.IsNull(row) || by.IsNull(row)) continue;
      auto& edge = FieldAt<EdgeValue>(block.accumulators[i], offset);
      const int64_t place = OrderedBits(by, row);
      if (column.is_text()) {
        TakeTextEdge(&edge, place, column.Text(row), part == kFirst);
      } else {
        TakeEdge(&edge, {place, OrderedBits(column, row)}, part == kFirst);
      }
    }
  }
}

void AddPairs(const RowBlock& block, const ColumnReader& y_column, const ColumnReader& x_column,
              const Measure& measure) {
  const size_t offset = measure.Offset(kPair);
  const double* const ys = y_column.Values<double>();
  const double* const xs = x_column.Values<double>();
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (y_column.IsNull(row) || x_column.IsNull(row)) continue;
    auto& sums = FieldAt<PairSums>(block.accumulators[i], offset);
    sums.y.Add(ys[row]);
    sums.x.Add(xs[row]);
    sums.yy.Add(ExactSquare(ys[row]));
    sums.xx.Add(ExactSquare(xs[row]));
    sums.yx.Add(ExactProduct(ys[row], xs[row]));
  }
}

int64_t AddBeside(const RowBlock& block, const ColumnReader& column, const ColumnReader& second,
                  const Measure& measure) {
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    FieldAt<int64_t>(block.accumulators[i], measure.base) +=
        column.IsNull(row) || second.IsNull(row);
  }
  if (column.type() == Type::kNull || second.type() == Type::kNull) return 0;
  if (measure.Has(kPair)) AddPairs(block, column, second, measure);
  AddEdges(block, column, second, measure);
  return measure.Has(kSeries) ? AddSeries(block, column, &second, measure) : 0;
}

int64_t AddMeasure(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  switch (column.type()) {
    case Type::kDouble:
      Dispatch<double, double>(block, column, measure);
      break;
    case Type::kInteger:
    case Type::kDate:
      Dispatch<int32_t, int64_t>(block, column, measure);
      break;
    case Type::kBigint:
    case Type::kTimestamp:
      Dispatch<int64_t, int64_t>(block, column, measure);
      break;
    case Type::kText:
      AddTexts(block, column, measure);
      break;
    case Type::kReal:
      CountNulls(block, column, measure);
      break;
    case Type::kBoolean:
      AddTrues(block, column, measure);
      break;
    default:
      CountNulls(block, column, measure);
      return 0;
  }
  int64_t bytes = 0;
  if (measure.Has(kValues)) bytes += AddValues(block, column, measure);
  if (measure.Has(kDistinct)) bytes += AddDistinct(block, column, measure);
  if (measure.Has(kCounts)) bytes += AddCounts(block, column, measure);
  if (measure.Has(kSketch)) bytes += AddSketch(block, column, measure);
  if (measure.Has(kRegisters)) bytes += AddRegisters(block, column, measure);
  if (measure.Has(kSeries)) bytes += AddSeries(block, column, nullptr, measure);
  return bytes;
}

}  // namespace

AccumulatorUpdate::AccumulatorUpdate(const AccumulatorLayout* layout)
    : layout_(layout), selected_(layout->filters().size()) {}

Status AccumulatorUpdate::Bind(const arrow::RecordBatch& batch) {
  filters_.clear();
  arguments_.clear();
  seconds_.clear();
  for (const int filter : layout_->filters()) {
    ARROW_ASSIGN_OR_RAISE(ColumnReader column, ColumnReader::Make(*batch.column(filter)));
    if (column.type() != Type::kBoolean && column.type() != Type::kNull) {
      return InternalError("bad_column_type", "the filter of an aggregate is not boolean");
    }
    filters_.push_back(column);
  }
  for (const Measure& measure : layout_->measures()) {
    ARROW_ASSIGN_OR_RAISE(ColumnReader column, ColumnReader::Make(*batch.column(measure.argument)));
    if (column.type() != measure.type && column.type() != Type::kNull) {
      return InternalError("bad_column_type", "column " + std::to_string(measure.argument) +
                                                  " is " + std::string(TypeName(column.type())) +
                                                  ", planned was " +
                                                  std::string(TypeName(measure.type)));
    }
    arguments_.push_back(column);
    seconds_.emplace_back();
    if (measure.second < 0) continue;
    ARROW_ASSIGN_OR_RAISE(seconds_.back(), ColumnReader::Make(*batch.column(measure.second)));
    if (seconds_.back().type() != measure.second_type && seconds_.back().type() != Type::kNull) {
      return InternalError("bad_column_type", "column " + std::to_string(measure.second) +
                                                  " beside an argument is not as planned");
    }
  }
  return Status::OK();
}

void AccumulatorUpdate::CountFilters(const RowBlock& block) {
  for (size_t filter = 0; filter < filters_.size(); ++filter) {
    Selected& selected = selected_[filter];
    selected.rows.clear();
    selected.accumulators.clear();
    const ColumnReader& column = filters_[filter];
    const size_t offset = AccumulatorLayout::FilterOffset(filter);
    for (size_t i = 0; i < block.rows.size(); ++i) {
      if (column.IsNull(block.rows[i]) || column.Fixed(block.rows[i]) == 0) continue;
      ++FieldAt<int64_t>(block.accumulators[i], offset);
      selected.rows.push_back(block.rows[i]);
      selected.accumulators.push_back(block.accumulators[i]);
    }
  }
}

RowBlock AccumulatorUpdate::BlockOf(const Measure& measure, const RowBlock& all) const {
  if (measure.filter < 0) return all;
  // The count of a filter's rows stands at its index + 1.
  const Selected& selected = selected_[measure.rows_offset / sizeof(int64_t) - 1];
  return {selected.rows, selected.accumulators};
}

int64_t AccumulatorUpdate::Apply(const RowBlock& block) {
  for (char* accumulators : block.accumulators) ++FieldAt<int64_t>(accumulators, 0);
  CountFilters(block);
  int64_t bytes = 0;
  for (size_t i = 0; i < arguments_.size(); ++i) {
    const Measure& measure = layout_->measures()[i];
    const RowBlock rows = BlockOf(measure, block);
    bytes += measure.second < 0 ? AddMeasure(rows, arguments_[i], measure)
                                : AddBeside(rows, arguments_[i], seconds_[i], measure);
  }
  return bytes;
}

}  // namespace millrace
