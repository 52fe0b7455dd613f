#include "engine/over/over_operator.h"

#include <arrow/table_builder.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "engine/plan/over_functions.h"
#include "engine/windows/aggregate_result.h"
#include "engine/windows/ordered_bits.h"

namespace millrace {
namespace {

constexpr size_t kPrefetchAhead = 12;

bool IsFramed(const OverCall& call) { return LooksAtFrame(call.function); }

bool IsOfRun(OverFunction function) {
  return function == OverFunction::kUnchangedRows || function == OverFunction::kUnchangedSince;
}

Status Malformed(const std::string& what) { return InternalError("malformed_plan", what); }

Status CheckColumns(const OverNode& node, const Schema& input, const Schema& output) {
  const auto is_there = [&](int column, bool may_be_none) {
    return column == -1 ? may_be_none : column >= 0 && size_t(column) < input.fields.size();
  };
  bool good = is_there(node.event_time, false) &&
              output.fields.size() == node.carried.size() + node.calls.size();
  for (const int column : node.keys) good = good && is_there(column, false);
  for (const int column : node.carried) good = good && is_there(column, false);
  for (const OverCall& call : node.calls) {
    good = good && is_there(call.argument, true) && is_there(call.otherwise, true) &&
           is_there(call.aggregate.argument, true) && is_there(call.aggregate.second, true) &&
           is_there(call.aggregate.filter, true);
  }
  return good ? Status::OK() : Malformed("an OVER over columns that are not there");
}

}  // namespace

// ---- Making ------------------------------------------------------------------------------------

Result<std::unique_ptr<OverOperator>> OverOperator::Make(const OverNode& node, const Schema& input,
                                                         const Schema& output) {
  ARROW_RETURN_NOT_OK(CheckColumns(node, input, output));
  // Key columns are those of the partition, and rows need not have them; but for those that
  // functions take, and those of which one key has several values (0 and -0).
  std::set<int> arguments;
  for (const OverCall& call : node.calls) {
    arguments.insert({call.argument, call.otherwise, call.aggregate.argument, call.aggregate.second,
                      call.aggregate.filter});
  }
  std::vector<int> stored;
  std::vector<Type> types;
  for (int column = 0; column < int(input.fields.size()); ++column) {
    const Type type = input.fields[size_t(column)].type;
    const bool is_key = std::ranges::find(node.keys, column) != node.keys.end();
    if (column == node.event_time) continue;
    if (is_key && !IsFloating(type) && !arguments.contains(column)) continue;
    stored.push_back(column);
    types.push_back(type);
  }
  auto made = std::unique_ptr<OverOperator>(
      new OverOperator(node, input, output.ToArrow(), std::move(stored), std::move(types)));
  ARROW_RETURN_NOT_OK(made->Init(input));
  return made;
}

OverOperator::OverOperator(const OverNode& node, const Schema& input,
                           std::shared_ptr<arrow::Schema> output, std::vector<int> stored,
                           std::vector<Type> stored_types)
    : OrderedOperator(node.keys, input),
      node_(node),
      output_(std::move(output)),
      stored_(std::move(stored)),
      rows_(stored_, std::move(stored_types)) {}

OverOperator::~OverOperator() { ForgetMemory(); }

Status OverOperator::Init(const Schema& input) {
  for (const int column : node_.carried) {
    carried_.push_back(SourceOf(column));
    carried_types_.push_back(input.fields[size_t(column)].type);
  }
  // Lanes see a batch of the arguments alone.
  std::vector<int> arguments;
  Schema schema;
  const auto place = [&](int column) {
    if (column < 0) return -1;
    const auto known = std::ranges::find(arguments, column);
    if (known != arguments.end()) return int(known - arguments.begin());
    arguments.push_back(column);
    argument_sources_.push_back(SourceOf(column));
    argument_types_.push_back(input.fields[size_t(column)].type);
    schema.fields.push_back(input.fields[size_t(column)]);
    return int(arguments.size()) - 1;
  };
  std::vector<OverFrame> frames;
  std::vector<std::vector<AggregateSpec>> aggregates;
  for (const OverCall& spec : node_.calls) {
    Call call;
    call.spec = spec;
    if (spec.argument >= 0) call.argument = SourceOf(spec.argument);
    if (spec.otherwise >= 0) call.otherwise = SourceOf(spec.otherwise);
    if (IsFramed(spec)) {
      const auto known = std::ranges::find(frames, spec.frame);
      call.lane = int(known - frames.begin());
      if (known == frames.end()) {
        frames.push_back(spec.frame);
        aggregates.emplace_back();
      }
    }
    if (spec.function == OverFunction::kAggregate && NeedsOrder(spec.aggregate.function)) {
      call.ordered = OrderedOf(spec.aggregate, call.lane);
    } else if (spec.function == OverFunction::kAggregate) {
      AggregateSpec moved = spec.aggregate;
      moved.argument = place(moved.argument);
      moved.second = place(moved.second);
      moved.filter = place(moved.filter);
      call.aggregate = int(aggregates[size_t(call.lane)].size());
      aggregates[size_t(call.lane)].push_back(std::move(moved));
    }
    if (IsOfRun(spec.function)) {
      call.run = RunOf(spec.argument, input.fields[size_t(spec.argument)].type);
    }
    // What may be of a row that is gone.
    const bool from_first = spec.frame.from_first;
    if (spec.function == OverFunction::kLastValueIgnoreNulls ||
        (from_first && (spec.function == OverFunction::kFirstValue ||
                        spec.function == OverFunction::kNthValue))) {
      call.kept = int(kept_count_++);
      keeping_.resize(frames.size());
      keeping_[size_t(call.lane)].push_back(calls_.size());
    }
    calls_.push_back(std::move(call));
  }
  ARROW_ASSIGN_OR_RAISE(OverFrames made, OverFrames::Make(frames, aggregates));
  frames_ = std::make_unique<OverFrames>(std::move(made));
  keeping_.resize(frames.size());
  sums_.resize(frames.size());
  arguments_ = schema.ToArrow();
  MeasureReach();
  return Status::OK();
}

int OverOperator::OrderedOf(const AggregateSpec& spec, int lane) {
  for (size_t i = 0; i < ordered_.size(); ++i) {
    const Ordered& known = ordered_[i];
    if (known.lane == lane && known.column == spec.argument && known.filter_column == spec.filter) {
      return int(i);
    }
  }
  Ordered& added = ordered_.emplace_back();
  added.lane = lane;
  added.column = spec.argument;
  added.filter_column = spec.filter;
  added.argument = SourceOf(spec.argument);
  if (spec.filter >= 0) added.filter = SourceOf(spec.filter);
  added.type = spec.argument_type;
  return int(ordered_.size()) - 1;
}

int OverOperator::RunOf(int column, Type type) {
  const auto known = std::ranges::find(runs_, column, &Run::column);
  const int index = int(known - runs_.begin());
  if (known == runs_.end()) runs_.push_back({column, SourceOf(column), type});
  return index;
}

// How far rows are looked for, before the current one and after it.
void OverOperator::MeasureReach() {
  for (const OverCall& call : node_.calls) {
    switch (call.function) {
      case OverFunction::kRowNumber:
      case OverFunction::kRank:
      case OverFunction::kDenseRank:
      case OverFunction::kUnchangedRows:
      case OverFunction::kUnchangedSince:
        forgets_ = false;
        continue;
      case OverFunction::kLag:
        rows_back_ = std::max(rows_back_, call.rows);
        forgets_ = forgets_ && call.rows == 0;
        continue;
      case OverFunction::kLead:
        rows_ahead_ = std::max(rows_ahead_, call.rows);
        continue;
      default:
        break;
    }
    const OverFrame& frame = call.frame;
    forgets_ = forgets_ && !frame.from_first && (frame.is_range || frame.first >= 0);
    const bool seeks = frame.is_range && !frame.from_first &&
                       ((call.function == OverFunction::kFirstValue && frame.first > 0) ||
                        (call.function == OverFunction::kIsLast && frame.first >= 0));
    if (seeks) {
      seek_ahead_ = std::max(seek_ahead_, frame.last);
      seek_from_ = std::max(seek_from_, frame.first);
    } else {
      int64_t& ahead = frame.is_range ? range_ahead_ : rows_ahead_;
      ahead = std::max(ahead, frame.last);
    }
    if (frame.is_range && !frame.from_first) {
      has_range_back_ = true;
      range_back_ = std::max(range_back_, -frame.first);
    }
  }
}

std::string OverOperator::Fingerprint() const {
  std::string text = "over";
  for (const int key : node_.keys) text += " key " + std::to_string(key);
  for (size_t i = 0; i < stored_.size(); ++i) {
    text += " column " + std::to_string(stored_[i]) + " " + std::string(TypeName(rows_.type(i)));
  }
  for (const OverCall& call : node_.calls) {
    text += " call " + std::to_string(int(call.function));
    if (call.function == OverFunction::kAggregate) {
      const AggregateSpec& spec = call.aggregate;
      text += " of " + std::to_string(int(spec.function));
      for (const int column : {spec.argument, spec.second, spec.filter}) {
        text += " " + std::to_string(column);
      }
    } else {
      text += " of " + std::to_string(call.argument) + " rows " + std::to_string(call.rows);
    }
    if (!IsFramed(call)) continue;
    text += call.frame.is_range ? " range" : " rows";
    text += call.frame.from_first ? " from first" : " from " + std::to_string(call.frame.first);
    text += " to " + std::to_string(call.frame.last);
  }
  return text;
}

// ---- Rows that come ----------------------------------------------------------------------------

Status OverOperator::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                         std::span<const uint32_t> selection) {
  ARROW_RETURN_NOT_OK(keys_.Bind(batch));
  ARROW_RETURN_NOT_OK(rows_.Bind(batch));
  ColumnReader times;
  ARROW_ASSIGN_OR_RAISE(const int64_t* const values, TimesOf(batch, node_.event_time, &times));
  const int64_t least = watermark_.time_since_epoch().count();
  counts_.rows_added += int64_t(selection.size());
  arrived_.clear();
  for (size_t i = 0; i < selection.size(); ++i) {
    if (i + kPrefetchAhead < selection.size()) {
      keys_.Prefetch(hashes[selection[i + kPrefetchAhead]]);
    }
    const uint32_t row = selection[i];
    if (times.IsNull(row) || values[row] < least || watermark_ == kEventTimeMax) {
      ++counts_.rows_too_late;
      continue;
    }
    const uint32_t index = keys_.FindOrInsert(hashes[row], row);
    if (index >= chains_.size()) chains_.resize(index + 1);
    Chain& chain = chains_[index];
    const auto place = uint32_t(arrived_.size());
    if (chain.first == kNoRow) {
      chain.first = place;
      chained_.push_back(index);
    } else {
      arrived_[chain.last].next = place;
    }
    chain.last = place;
    arrived_.push_back({row, kNoRow});
  }
  // A partition after the other, so that its rows come to lie beside each other.
  for (const uint32_t index : chained_) {
    Partition& partition = PartitionOf(index);
    Touch(index);
    int64_t first = INT64_MAX;
    for (uint32_t at = chains_[index].first; at != kNoRow; at = arrived_[at].next) {
      const uint32_t row = arrived_[at].row;
      Insert(&partition, rows_.Store(values[row], row));
      first = std::min(first, values[row]);
    }
    SetDue(index, first);
    chains_[index].first = kNoRow;
  }
  chained_.clear();
  Settle();
  return FlushIfLarge();
}

void OverOperator::Settle() {
  OrderedOperator::Settle();
  while (!held_.empty() && !(IsThere(held_.top().of) &&
                             partitions_[held_.top().of.partition].held == held_.top().time)) {
    held_.pop();
  }
}

EventTime OverOperator::OutputWatermark() const {
  if (held_.empty()) return watermark_;
  return std::min(watermark_, EventTime(Micros(held_.top().time)));
}

// ---- Giving out rows ---------------------------------------------------------------------------

Result<KeyedOutput> OverOperator::NextOutput(int64_t rows_max) {
  KeyedOutput output;
  taken_.clear();
  to_sum_.clear();
  entries_.reset();
  for (int64_t left = std::max<int64_t>(rows_max, 1); left > 0 && HasOutput();) {
    const uint32_t index = due_.top().of.partition;
    due_.pop();
    Touch(index);  // as it is
    partitions_[index].due = INT64_MAX;
    ARROW_ASSIGN_OR_RAISE(const int64_t released, Release(index, left));
    taken_.push_back(index);
    left -= std::max<int64_t>(released, 1);
    Settle();
  }
  entries_.reset();
  if (taken_.empty()) return output;
  ARROW_RETURN_NOT_OK(SumUp());
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
  columns_.resize(size_t(output_->num_fields()));
  for (size_t i = 0; i < columns_.size(); ++i) columns_[i] = builder->GetField(int(i));
  emitted_runs_.clear();
  emitted_slots_.clear();
  for (const uint32_t index : taken_) ARROW_RETURN_NOT_OK(Emit(index));
  for (size_t i = 0; i < carried_.size(); ++i) {
    ARROW_RETURN_NOT_OK(AppendCarried(carried_[i], carried_types_[i], columns_[i]));
  }
  for (const uint32_t index : taken_) {
    DropRows(index);
    Reschedule(index);
  }
  Settle();
  ARROW_RETURN_NOT_OK(FlushIfLarge());
  ARROW_ASSIGN_OR_RAISE(output.batch, builder->Flush());
  return output;
}

// Takes rows that the watermark has passed into the order, about `rows_max` of them, and all of one
// time; returns how many. Those that are to be summed up are listed.
Result<int64_t> OverOperator::Release(uint32_t index, int64_t rows_max) {
  ARROW_RETURN_NOT_OK(Load(index));
  Partition& partition = partitions_[index];
  const int64_t end = partition.end();
  const int64_t before = partition.released;
  int64_t last = 0;
  while (partition.released < end) {
    const int64_t time = TimeAt(partition, partition.released);
    if (!IsDue(time)) break;
    if (partition.released - before >= rows_max && time != last) break;
    last = time;
    rows_.Prefetch(SlotAt(partition, partition.released));
    ++partition.released;
  }
  const bool is_all = partition.released == end || !IsDue(TimeAt(partition, partition.released));
  partition.released_until = is_all ? watermark_.time_since_epoch().count() : last + 1;
  if (partition.lanes.empty() && !frames_->lanes().empty()) {
    partition.lanes.resize(frames_->lanes().size(), LanePlace::Before(partition.first));
  }
  partition.kept.resize(kept_count_);
  partition.runs.resize(runs_.size());
  partition.ordered.resize(ordered_.size());
  if (frames_->has_aggregates() && partition.back == RowStore::kNone) {
    partition.back = frames_->TakeBacks();
  }
  if (frames_->has_rows()) {
    // All that were summed up stand before those that were not.
    for (int64_t row = partition.released - 1; row >= partition.first; --row) {
      const uint32_t slot = SlotAt(partition, row);
      if (rows_.tag(slot) != RowStore::kNone) break;
      to_sum_.push_back(slot);
    }
  }
  return partition.released - before;
}

// The accumulators of all rows that are new in the order.
Status OverOperator::SumUp() {
  if (to_sum_.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(arguments_, arrow::default_memory_pool()));
  std::vector<uint32_t> accumulators;
  accumulators.reserve(to_sum_.size());
  for (const uint32_t slot : to_sum_) {
    accumulators.push_back(frames_->TakeRow());
    rows_.tag(slot) = accumulators.back();
  }
  for (size_t i = 0; i < argument_sources_.size(); ++i) {
    arrow::ArrayBuilder* const column = builder->GetField(int(i));
    ARROW_RETURN_NOT_OK(column->Reserve(int64_t(to_sum_.size())));
    const Type type = argument_types_[i];
    for (const uint32_t slot : to_sum_) {
      ARROW_RETURN_NOT_OK(AppendCell(CellOf(argument_sources_[i], slot), type, column));
    }
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::RecordBatch> batch, builder->Flush());
  return frames_->Apply(*batch, accumulators);
}

CellValue OverOperator::CellOf(const Kept& kept) {
  CellValue cell;
  cell.is_null = kept.is_null;
  cell.bits = kept.bits;
  cell.text = kept.text;
  return cell;
}

// Whether all rows that calls look at from `row` are in order.
bool OverOperator::IsComplete(const Partition& partition, int64_t row) const {
  if (row + rows_ahead_ >= partition.released) return false;
  return PlusSaturated(TimeAt(partition, row), AheadOf(partition, row)) < partition.released_until;
}

int64_t OverOperator::AheadOf(const Partition& partition, int64_t row) const {
  if (seek_ahead_ <= range_ahead_ || row >= partition.released) return range_ahead_;
  const int64_t last = partition.released - 1;
  const int64_t from = PlusSaturated(TimeAt(partition, row), seek_from_);
  const bool is_there = row < last && TimeAt(partition, last) >= from;
  return is_there ? range_ahead_ : seek_ahead_;
}

Status OverOperator::Emit(uint32_t index) {
  Partition& partition = partitions_[index];
  if (partition.emitted == partition.released) return Status::OK();
  ReadKey(keys_.bytes(index));
  const bool is_end = IsEnd(partition);
  const int64_t before = partition.emitted;
  while (partition.emitted < partition.released) {
    const int64_t row = partition.emitted;
    if (!is_end && !IsComplete(partition, row)) break;
    const int64_t time = TimeAt(partition, row);
    if (partition.dense_rank == 0 || time != partition.last_time) {
      partition.rank_first = row;
      ++partition.dense_rank;
      partition.last_time = time;
    }
    for (size_t lane = 0; lane < partition.lanes.size(); ++lane) {
      Slide(&partition, lane, row, time);
      const Lane& of = frames_->lanes()[lane];
      if (!of.has_aggregates) continue;
      sums_[lane] = frames_->Sum(of, partition.lanes[lane], partition.back, InPlace(partition));
    }
    const uint32_t slot = SlotAt(partition, row);
    for (size_t i = 0; i < runs_.size(); ++i) {
      partition.runs[i].Take(CellOf(runs_[i].argument, slot), runs_[i].type, time);
    }
    for (size_t i = 0; i < calls_.size(); ++i) {
      ARROW_RETURN_NOT_OK(AppendCall(partition, calls_[i], row, columns_[carried_.size() + i]));
    }
    emitted_slots_.push_back(slot);
    ++partition.emitted;
  }
  const auto rows = size_t(partition.emitted - before);
  counts_.rows_counted += int64_t(rows);
  if (rows > 0) emitted_runs_.push_back({index, rows});
  return Status::OK();
}

// Calls `append` with the cell of every row that is given out, and how many in a row have it.
template <typename Append>
Status OverOperator::ForEachEmitted(const Source& source, Append append) {
  constexpr size_t kAhead = 8;
  switch (source.kind) {
    case Source::Kind::kStored:
      for (size_t i = 0; i < emitted_slots_.size(); ++i) {
        if (i + kAhead < emitted_slots_.size()) rows_.Prefetch(emitted_slots_[i + kAhead]);
        ARROW_RETURN_NOT_OK(append(rows_.cell(emitted_slots_[i], source.index), 1));
      }
      return Status::OK();
    case Source::Kind::kTime:
      for (const uint32_t slot : emitted_slots_) {
        ARROW_RETURN_NOT_OK(append(CellValue{false, uint64_t(rows_.time(slot)), {}}, 1));
      }
      return Status::OK();
    case Source::Kind::kKey:
      for (const EmittedRun& run : emitted_runs_) {
        ReadKey(keys_.bytes(run.partition));
        ARROW_RETURN_NOT_OK(append(key_[source.index], run.rows));
      }
      return Status::OK();
  }
  return Status::OK();
}

Status OverOperator::AppendCarried(const Source& source, Type type, arrow::ArrayBuilder* builder) {
  ARROW_RETURN_NOT_OK(builder->Reserve(int64_t(emitted_slots_.size())));
  // To builders that have room for all.
  const auto append_fixed = [&]<typename Builder, typename Value>(Builder* typed, Value value_of) {
    return ForEachEmitted(source, [&](const CellValue& cell, size_t times) {
      for (size_t i = 0; i < times; ++i) {
        if (cell.is_null) {
          typed->UnsafeAppendNull();
        } else {
          typed->UnsafeAppend(value_of(cell.bits));
        }
      }
      return Status::OK();
    });
  };
  const auto as_integer = [](uint64_t bits) { return int64_t(bits); };
  switch (type) {
    case Type::kDouble:
      return append_fixed(static_cast<arrow::DoubleBuilder*>(builder),
                          [](uint64_t bits) { return std::bit_cast<double>(bits); });
    case Type::kBigint:
      return append_fixed(static_cast<arrow::Int64Builder*>(builder), as_integer);
    case Type::kTimestamp:
      return append_fixed(static_cast<arrow::TimestampBuilder*>(builder), as_integer);
    default:
      return ForEachEmitted(source, [&](const CellValue& cell, size_t times) {
        for (size_t i = 0; i < times; ++i) {
          ARROW_RETURN_NOT_OK(AppendCell(cell, type, builder));
        }
        return Status::OK();
      });
  }
}

// To the frame of `row`.
void OverOperator::Slide(Partition* partition, size_t lane, int64_t row, int64_t time) {
  const OverFrame& frame = frames_->lanes()[lane].frame;
  LanePlace& place = partition->lanes[lane];
  MoveFirst(partition, lane, row, time);
  if (frame.is_range) {
    const int64_t last = PlusSaturated(time, frame.last);
    while (place.hi < partition->released && TimeAt(*partition, place.hi) <= last) {
      AddRow(partition, lane, place.hi);
    }
    return;
  }
  const int64_t end = std::min(row + frame.last + 1, partition->released);
  while (place.hi < end) AddRow(partition, lane, place.hi);
}

// Leaves out the rows before the frame of `row`, which may be the next that is to come, at `time`
// or later.
void OverOperator::MoveFirst(Partition* partition, size_t lane, int64_t row, int64_t time) {
  const Lane& of = frames_->lanes()[lane];
  if (of.frame.from_first) return;
  LanePlace& place = partition->lanes[lane];
  int64_t lo = place.lo;
  if (of.frame.is_range) {
    const int64_t first = PlusSaturated(time, of.frame.first);
    while (lo < partition->released && TimeAt(*partition, lo) < first) ++lo;
  } else {
    lo = std::max(lo, std::min(row + of.frame.first, partition->released));
  }
  if (!ordered_.empty()) TakeOff(partition, lane, std::min(lo, place.hi));
  frames_->MoveTo(of, &place, partition->back, lo, InPlace(*partition));
}

bool OverOperator::OrderedValue(const Ordered& ordered, uint32_t slot, int64_t* value) const {
  if (ordered.filter_column >= 0) {
    const CellValue filter = CellOf(ordered.filter, slot);
    if (filter.is_null || filter.bits == 0) return false;
  }
  const CellValue cell = CellOf(ordered.argument, slot);
  *value =
      IsFloating(ordered.type) ? OrderedBits(std::bit_cast<double>(cell.bits)) : int64_t(cell.bits);
  return !cell.is_null;
}

// The rows of the lane from its first one up to `end` go from the ordered values.
void OverOperator::TakeOff(Partition* partition, size_t lane, int64_t end) {
  for (size_t i = 0; i < ordered_.size(); ++i) {
    if (ordered_[i].lane != int(lane)) continue;
    std::vector<int64_t>& values = partition->ordered[i];
    for (int64_t row = partition->lanes[lane].lo; row < end; ++row) {
      int64_t value = 0;
      if (!OrderedValue(ordered_[i], SlotAt(*partition, row), &value)) continue;
      values.erase(std::ranges::lower_bound(values, value));
    }
  }
}

// As PostgreSQL's percentiles of a group: percentile_cont between the values at floor and ceiling
// of fraction * (n - 1), percentile_disc the one at ceiling(fraction * n), counted from 1.
Status OverOperator::AppendPercentile(const Ordered& ordered, const std::vector<int64_t>& values,
                                      const AggregateSpec& spec, arrow::ArrayBuilder* builder) {
  if (values.empty()) return builder->AppendNull();
  const auto count = double(values.size());
  if (spec.function == AggregateFunction::kPercentileCont) {
    const double position = spec.fraction * (count - 1);
    const auto first = size_t(std::floor(position));
    const double low = DoubleOfOrdered(values[first]);
    const double high = DoubleOfOrdered(values[size_t(std::ceil(position))]);
    const double part = position - double(first);
    return static_cast<arrow::DoubleBuilder*>(builder)->Append(
        part == 0 ? low : low + part * (high - low));
  }
  const auto place = std::max<int64_t>(int64_t(std::ceil(spec.fraction * count)), 1);
  CellValue cell;
  cell.is_null = false;
  const int64_t value = values[size_t(place - 1)];
  cell.bits =
      IsFloating(ordered.type) ? std::bit_cast<uint64_t>(DoubleOfOrdered(value)) : uint64_t(value);
  return AppendCell(cell, spec.result, builder);
}

void OverOperator::AddRow(Partition* partition, size_t lane, int64_t row) {
  for (size_t i = 0; i < ordered_.size(); ++i) {
    int64_t value = 0;
    if (ordered_[i].lane != int(lane) ||
        !OrderedValue(ordered_[i], SlotAt(*partition, row), &value))
      continue;
    std::vector<int64_t>& values = partition->ordered[i];
    values.insert(std::ranges::upper_bound(values, value), value);
  }
  for (const size_t index : keeping_[lane]) {
    const Call& call = calls_[index];
    Kept& kept = partition->kept[size_t(call.kept)];
    const CellValue cell = CellOf(call.argument, SlotAt(*partition, row));
    const bool wanted = call.spec.function == OverFunction::kLastValueIgnoreNulls ? !cell.is_null
                        : call.spec.function == OverFunction::kFirstValue
                            ? row == 0
                            : row == call.spec.rows - 1;
    if (!wanted) continue;
    kept.row = row;
    kept.is_null = cell.is_null;
    kept.bits = cell.bits;
    kept.text = cell.text;
    if (!cell.text.empty()) kept.bits = 0;  // a pointer
  }
  frames_->Add(frames_->lanes()[lane], &partition->lanes[lane], partition->back,
               InPlace(*partition));
}

Status OverOperator::AppendCall(const Partition& partition, const Call& call, int64_t row,
                                arrow::ArrayBuilder* builder) {
  const auto append_number = [&](int64_t number) {
    return static_cast<arrow::Int64Builder*>(builder)->Append(number);
  };
  const auto append_of = [&](int64_t at) {
    return AppendCell(CellOf(call.argument, SlotAt(partition, at)), call.spec.result, builder);
  };
  const auto append_otherwise = [&] {
    if (call.spec.otherwise < 0) return builder->AppendNull();
    return AppendCell(CellOf(call.otherwise, SlotAt(partition, row)), call.spec.result, builder);
  };
  switch (call.spec.function) {
    case OverFunction::kRowNumber:
      return append_number(row + 1);
    case OverFunction::kRank:
      return append_number(partition.rank_first + 1);
    case OverFunction::kDenseRank:
      return append_number(partition.dense_rank);
    case OverFunction::kLag:
      return row >= call.spec.rows ? append_of(row - call.spec.rows) : append_otherwise();
    case OverFunction::kLead:
      return row + call.spec.rows < partition.released ? append_of(row + call.spec.rows)
                                                       : append_otherwise();
    case OverFunction::kUnchangedRows:
    case OverFunction::kUnchangedSince: {
      if (CellOf(call.argument, SlotAt(partition, row)).is_null) return builder->AppendNull();
      const UnchangedRun& run = partition.runs[size_t(call.run)];
      if (call.spec.function == OverFunction::kUnchangedRows) return append_number(run.rows());
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(run.since());
    }
    default:
      break;
  }
  const Lane& lane = frames_->lanes()[size_t(call.lane)];
  const LanePlace& place = partition.lanes[size_t(call.lane)];
  const int64_t lo = lane.frame.from_first ? 0 : place.lo;
  switch (call.spec.function) {
    case OverFunction::kAggregate: {
      if (call.ordered >= 0) {
        return AppendPercentile(ordered_[size_t(call.ordered)],
                                partition.ordered[size_t(call.ordered)], call.spec.aggregate,
                                builder);
      }
      const EventTime time(Micros(TimeAt(partition, row)));
      return AppendResult(lane.layout, lane.layout.outputs()[size_t(call.aggregate)],
                          sums_[size_t(call.lane)], time, builder, &counts_.results_out_of_range);
    }
    case OverFunction::kIsLast:
      return static_cast<arrow::BooleanBuilder*>(builder)->Append(place.hi == row + 1);
    case OverFunction::kLastValue:
      return lo < place.hi ? append_of(place.hi - 1) : builder->AppendNull();
    case OverFunction::kLastValueIgnoreNulls: {
      const Kept& kept = partition.kept[size_t(call.kept)];
      return kept.row >= lo ? AppendCell(CellOf(kept), call.spec.result, builder)
                            : builder->AppendNull();
    }
    default: {
      const int64_t at =
          lo + (call.spec.function == OverFunction::kNthValue ? call.spec.rows : 1) - 1;
      if (at >= place.hi) return builder->AppendNull();
      if (call.kept < 0) return append_of(at);
      return AppendCell(CellOf(partition.kept[size_t(call.kept)]), call.spec.result, builder);
    }
  }
}

// ---- Rows that go ------------------------------------------------------------------------------

// Those that no row to come looks back at.
void OverOperator::DropRows(uint32_t index) {
  Partition& partition = partitions_[index];
  const int64_t next = partition.emitted;
  const int64_t next_time =
      next < partition.released ? TimeAt(partition, next) : partition.released_until;
  int64_t keep = std::max(partition.first, next - rows_back_);
  for (size_t i = 0; i < partition.lanes.size(); ++i) {
    const LanePlace& place = partition.lanes[i];
    const bool from_first = frames_->lanes()[i].frame.from_first;
    MoveFirst(&partition, i, next, next_time);
    keep = std::min(keep, from_first ? place.hi : place.lo);
  }
  // The last row of a frame, for last_value.
  for (const Call& call : calls_) {
    if (call.spec.function != OverFunction::kLastValue) continue;
    keep = std::min(keep, partition.lanes[size_t(call.lane)].hi - 1);
  }
  keep = std::max(keep, partition.first);
  for (int64_t row = partition.first; row < keep; ++row) rows_.Prefetch(SlotAt(partition, row));
  while (partition.first < keep) {
    DropRow(index, partition.rows[partition.begin]);
    ++partition.begin;
    ++partition.first;
  }
  Compact(&partition);
}

void OverOperator::DropRow(uint32_t index, uint32_t slot) {
  if (frames_->has_rows() && rows_.tag(slot) != RowStore::kNone) frames_->FreeRow(rows_.tag(slot));
  OrderedOperator::DropRow(index, slot);
}

// When something is to do with it next; or it goes.
void OverOperator::Reschedule(uint32_t index) {
  Partition& partition = partitions_[index];
  const bool is_empty = InMemory(partition) == 0 && partition.blocks.empty();
  const bool is_done = IsEnd(partition) && partition.emitted == partition.released &&
                       partition.released == partition.end();
  if (is_done || (is_empty && forgets_)) {
    Remove(index);
    return;
  }
  constexpr int64_t kEnd = INT64_MAX - 1;
  int64_t due = FirstWaiting(partition);
  int64_t held = INT64_MAX;
  if (partition.emitted < partition.released) {
    held = TimeAt(partition, partition.emitted);
    const bool waits_for_rows = partition.emitted + rows_ahead_ >= partition.released;
    const int64_t ahead = AheadOf(partition, partition.emitted);
    due = std::min(due, waits_for_rows ? kEnd : std::min(kEnd, PlusSaturated(held, ahead)));
  } else if (has_range_back_ && partition.first < partition.released) {
    // All of them can be dropped then, but for those that are counted back to.
    const int64_t last = PlusSaturated(TimeAt(partition, partition.released - 1), range_back_);
    if (last >= partition.released_until) due = std::min(due, std::min(kEnd, last));
  }
  SetDue(index, due);
  if (held != partition.held) {
    partition.held = held;
    if (held != INT64_MAX) held_.push({held, {index, partition.version}});
  }
}

void OverOperator::Remove(uint32_t index) {
  Partition& partition = partitions_[index];
  while (InMemory(partition) > 0) DropRow(index, partition.rows[partition.begin++]);
  if (partition.back != RowStore::kNone) frames_->FreeBacks(partition.back);
  Forget(index);
}

KeyedOperatorStats OverOperator::stats() const {
  KeyedOperatorStats stats = counts_;
  stats.open_panes = int64_t(rows_.used());
  stats.keys = int64_t(keys_.size());
  stats.index_bytes =
      IndexBytes() + int64_t(held_.size() * sizeof(At) + chains_.capacity() * sizeof(Chain));
  stats.state_bytes = stats.index_bytes + rows_.MemoryBytes() + frames_->MemoryBytes(rows_.used()) +
                      PendingBytes() +
                      int64_t(rows_.used() * (sizeof(uint32_t) + sizeof(int64_t) +
                                              ordered_.size() * sizeof(int64_t)));
  return stats;
}

}  // namespace millrace
