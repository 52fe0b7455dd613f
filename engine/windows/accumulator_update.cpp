#include "engine/windows/accumulator_update.h"

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "engine/windows/distinct_set.h"

namespace millrace {
namespace {

// x * x without rounding, as (product, error): Dekker's product with Veltkamp's split. Wrong only
// where the product is not finite or its error is below the least double.
inline DoubleSum ExactSquare(double x) {
  const double product = x * x;
  const double scaled = x * 134217729.0;  // 2^27 + 1
  const double high = scaled - (scaled - x);
  const double low = x - high;
  return {product, ((high * high - product) + 2 * high * low) + low * low};
}

inline DoubleSum ExactSquare(int64_t x) {
  const __int128 product = __int128(x) * x;
  const double high = double(product);
  return {high, double(product - __int128(high))};
}

// NaN is greater than every number; NaN as initial least gives way to anything.
inline void TakeExtreme(double x, double* least) {
  if (x < *least || std::isnan(*least)) *least = x;
}
inline void TakeLargest(double x, double* largest) {
  if (x > *largest || std::isnan(x)) *largest = x;
}
inline void TakeExtreme(int64_t x, int64_t* least) {
  if (x < *least) *least = x;
}
inline void TakeLargest(int64_t x, int64_t* largest) {
  if (x > *largest) *largest = x;
}

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

double AsDouble(const ColumnReader& column, uint32_t row) {
  switch (column.type()) {
    case Type::kInteger:
      return column.Values<int32_t>()[row];
    case Type::kBigint:
      return double(column.Values<int64_t>()[row]);
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
    auto*& list = FieldAt<ValueList*>(block.accumulators[i], offset);
    if (list == nullptr) list = new ValueList();
    list->values.push_back(AsDouble(column, row));
    ++added;
  }
  return added * int64_t(sizeof(double));
}

int64_t AddDistinct(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  const size_t offset = measure.Offset(kDistinct);
  int64_t bytes = 0;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const uint32_t row = block.rows[i];
    if (column.IsNull(row)) continue;
    auto*& set = FieldAt<DistinctSet*>(block.accumulators[i], offset);
    if (set == nullptr) set = new DistinctSet();
    bytes += column.is_text() ? set->InsertText(column.Text(row)) : set->Insert(column.Fixed(row));
  }
  return bytes;
}

int64_t AddMeasure(const RowBlock& block, const ColumnReader& column, const Measure& measure) {
  switch (column.type()) {
    case Type::kDouble:
      Dispatch<double, double>(block, column, measure);
      break;
    case Type::kInteger:
      Dispatch<int32_t, int64_t>(block, column, measure);
      break;
    case Type::kBigint:
    case Type::kTimestamp:
      Dispatch<int64_t, int64_t>(block, column, measure);
      break;
    case Type::kText:
      AddTexts(block, column, measure);
      break;
    case Type::kBoolean:
      AddTrues(block, column, measure);
      break;
    default:
      CountNulls(block, column, measure);
  }
  int64_t bytes = 0;
  if (measure.Has(kValues)) bytes += AddValues(block, column, measure);
  if (measure.Has(kDistinct)) bytes += AddDistinct(block, column, measure);
  return bytes;
}

}  // namespace

AccumulatorUpdate::AccumulatorUpdate(const AccumulatorLayout* layout)
    : layout_(layout), selected_(layout->filters().size()) {}

Status AccumulatorUpdate::Bind(const arrow::RecordBatch& batch) {
  filters_.clear();
  arguments_.clear();
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
    bytes += AddMeasure(BlockOf(measure, block), arguments_[i], measure);
  }
  return bytes;
}

}  // namespace millrace
