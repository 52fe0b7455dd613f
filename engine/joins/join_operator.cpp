#include "engine/joins/join_operator.h"

#include <arrow/table_builder.h>

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

constexpr size_t kPrefetchAhead = 12;

Status CheckNode(const JoinNode& node, const Schema& input, const Schema& output) {
  const auto is_there = [&](int column) {
    return column >= 0 && size_t(column) < input.fields.size();
  };
  bool good = is_there(node.event_time) && is_there(node.is_right) &&
              output.fields.size() == node.left.size() + node.right.size();
  for (const auto* columns : {&node.keys, &node.left, &node.right}) {
    good = good && std::ranges::all_of(*columns, is_there);
  }
  good = good && input.fields[size_t(node.is_right)].type == Type::kBoolean;
  if (!good) return InternalError("malformed_plan", "a join over columns that are not there");
  if (node.lower > node.upper || node.lower.count() == INT64_MIN) {
    return InternalError("malformed_plan", "a join over no time");
  }
  if (node.latest_only && (node.keeps_right || node.upper > Micros(0))) {
    return InternalError("malformed_plan", "a join with the latest row that waits for others");
  }
  return Status::OK();
}

std::vector<int> With(std::vector<int> columns, int last) {
  columns.push_back(last);
  return columns;
}

}  // namespace

// ---- Making ------------------------------------------------------------------------------------

Result<std::unique_ptr<JoinOperator>> JoinOperator::Make(const JoinNode& node, const Schema& input,
                                                         const Schema& output) {
  ARROW_RETURN_NOT_OK(CheckNode(node, input, output));
  return std::unique_ptr<JoinOperator>(new JoinOperator(node, input, output.ToArrow(),
                                                        ColumnsOf(node, input, node.left),
                                                        ColumnsOf(node, input, node.right)));
}

JoinOperator::JoinOperator(const JoinNode& node, const Schema& input,
                           std::shared_ptr<arrow::Schema> output, SideColumns left,
                           SideColumns right)
    : OrderedOperator(With(node.keys, node.is_right), input),
      node_(node),
      output_(std::move(output)),
      columns_{std::move(left), std::move(right)},
      rows_{{columns_[0].stored, columns_[0].types}, {columns_[1].stored, columns_[1].types}},
      keeps_{node.keeps_left, node.keeps_right},
      resolves_{node.keeps_left && !node.latest_only, node.keeps_right},
      nearest_{node.lower.count(), -node.upper.count()},
      farthest_{node.upper.count(), -node.lower.count()} {}

// Those of a side that come out, but for the time and what all rows of a key have in common.
JoinOperator::SideColumns JoinOperator::ColumnsOf(const JoinNode& node, const Schema& input,
                                                  const std::vector<int>& columns) {
  SideColumns side;
  for (int column = 0; column < int(input.fields.size()); ++column) {
    const Type type = input.fields[size_t(column)].type;
    const bool is_key = std::ranges::find(node.keys, column) != node.keys.end();
    if (column == node.event_time || (is_key && !IsFloating(type))) continue;
    if (std::ranges::find(columns, column) == columns.end()) continue;
    side.stored.push_back(column);
    side.types.push_back(type);
  }
  for (const int column : columns) {
    side.output.push_back(PlaceOf(column, node.event_time, side.stored, node.keys));
  }
  return side;
}

std::string JoinOperator::Fingerprint() const {
  std::string text = "join";
  for (const int key : node_.keys) text += " key " + std::to_string(key);
  for (const int side : {0, 1}) {
    text += side == 0 ? " left" : " right";
    for (size_t i = 0; i < rows_[side].columns(); ++i) {
      text += " " + std::to_string(columns_[side].stored[i]) + " " +
              std::string(TypeName(rows_[side].type(i)));
    }
    if (keeps_[side]) text += " kept";
  }
  text += " from " + std::to_string(node_.lower.count());
  text += " to " + std::to_string(node_.upper.count());
  if (node_.latest_only) text += " latest";
  return text;
}

// ---- Rows that come ----------------------------------------------------------------------------

Status JoinOperator::BindKeys(const arrow::RecordBatch& batch) {
  ARROW_RETURN_NOT_OK(keys_.Bind(batch));
  null_keys_.clear();
  for (const int key : node_.keys) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader column, ColumnReader::Make(*batch.column(key)));
    if (column.may_be_null()) null_keys_.push_back(column);
  }
  return Status::OK();
}

bool JoinOperator::HasNullKey(int64_t row) const {
  return std::ranges::any_of(null_keys_,
                             [&](const ColumnReader& column) { return column.IsNull(row); });
}

Status JoinOperator::Add(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes,
                         std::span<const uint32_t> selection) {
  ARROW_RETURN_NOT_OK(BindKeys(batch));
  for (RowStore& rows : rows_) ARROW_RETURN_NOT_OK(rows.Bind(batch));
  ARROW_ASSIGN_OR_RAISE(const ColumnReader is_right,
                        ColumnReader::Make(*batch.column(node_.is_right)));
  if (is_right.type() != Type::kBoolean || is_right.may_be_null()) {
    return InternalError("bad_column_type", "a join's column of sides is no boolean, or has nulls");
  }
  ColumnReader times;
  ARROW_ASSIGN_OR_RAISE(const int64_t* const values, TimesOf(batch, node_.event_time, &times));
  const int64_t least = watermark_.time_since_epoch().count();
  counts_.rows_added += int64_t(selection.size());
  for (size_t i = 0; i < selection.size(); ++i) {
    if (i + kPrefetchAhead < selection.size()) {
      keys_.Prefetch(hashes[selection[i + kPrefetchAhead]]);
    }
    const uint32_t row = selection[i];
    if (times.IsNull(row) || values[row] < least || watermark_ == kEventTimeMax) {
      ++counts_.rows_too_late;
      continue;
    }
    const size_t side = is_right.Fixed(row);
    if (!keeps_[side] && HasNullKey(row)) {
      ++counts_.rows_counted;
      continue;
    }
    const uint32_t index = keys_.FindOrInsert(hashes[row], row);
    const bool is_new = index >= partitions_.size() || !partitions_[index].is_there;
    JoinSide& partition = PartitionOf(index);
    if (is_new) Connect(index);
    Touch(index);
    Insert(&partition, rows_[side].Store(values[row], row));
    SetDue(index, values[row]);
  }
  Settle();
  return FlushIfLarge();
}

void JoinOperator::Connect(uint32_t index) {
  const std::string_view bytes = keys_.bytes(index);
  ReadKey(bytes);
  JoinSide& side = partitions_[index];
  side.is_right = key_.back().bits != 0;
  key_.pop_back();
  side.may_pair = std::ranges::none_of(key_, &CellValue::is_null);
  std::string other(bytes);
  other[other.size() - sizeof(uint64_t)] = side.is_right ? 0 : 1;
  const uint32_t found = keys_.Find(keys_.hash(index), other);
  if (found == KeyTable::kNone) return;
  side.other = found;
  partitions_[found].other = index;
}

JoinOperator::Both JoinOperator::BothOf(uint32_t index) {
  JoinSide* const side = &partitions_[index];
  JoinSide* const other = side->other == RowStore::kNone ? nullptr : &partitions_[side->other];
  return side->is_right ? Both{other, side} : Both{side, other};
}

// ---- Giving out rows ---------------------------------------------------------------------------

EventTime JoinOperator::OutputWatermark() const { return MovedBack(watermark_, node_.delay()); }

Result<KeyedOutput> JoinOperator::NextOutput(int64_t rows_max) {
  KeyedOutput output;
  taken_.clear();
  keys_of_.clear();
  for (std::vector<uint32_t>& slots : slots_) slots.clear();
  entries_.reset();
  for (int64_t left = std::max<int64_t>(rows_max, 1); left > 0 && HasOutput();) {
    const uint32_t index = due_.top().of.partition;
    ARROW_ASSIGN_OR_RAISE(const int64_t advanced, Advance(index, left));
    taken_.push_back(index);
    left -= std::max<int64_t>(advanced, 1);
    Settle();
  }
  entries_.reset();
  if (!keys_of_.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto builder,
                          arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
    std::vector<arrow::ArrayBuilder*> columns(size_t(output_->num_fields()));
    for (size_t i = 0; i < columns.size(); ++i) columns[i] = builder->GetField(int(i));
    const std::span all(columns);
    ARROW_RETURN_NOT_OK(AppendColumns(false, all.first(node_.left.size())));
    ARROW_RETURN_NOT_OK(AppendColumns(true, all.subspan(node_.left.size())));
    ARROW_ASSIGN_OR_RAISE(output.batch, builder->Flush());
  }
  for (const uint32_t index : taken_) {
    const Both both = BothOf(index);
    const int64_t position = PositionOf(both);
    for (JoinSide* const side : {both.left, both.right}) {
      if (side == nullptr) continue;
      DropRows(side, position);
      Reschedule(side);
    }
  }
  Settle();
  ARROW_RETURN_NOT_OK(FlushIfLarge());
  return output;
}

Result<int64_t> JoinOperator::Advance(uint32_t index, int64_t rows_max) {
  const Both both = BothOf(index);
  for (JoinSide* const side : {both.left, both.right}) {
    if (side == nullptr) continue;
    ARROW_RETURN_NOT_OK(LoadSide(side));
    if (IsDue(side->due)) {
      Touch(IndexOf(*side));  // as it is
      side->due = INT64_MAX;
    }
    Release(side);
  }
  // Rows of it are to be tagged.
  const auto has_next = [](const JoinSide* side) { return NextTime(side) != INT64_MAX; };
  for (const auto& [side, other] : {std::pair(both.left, both.right), {both.right, both.left}}) {
    if (side != nullptr && ResolvesSide(*side) && has_next(other)) Touch(IndexOf(*side));
  }
  int64_t left = rows_max;
  while (left > 0) {
    const int64_t left_next = NextTime(both.left);
    const int64_t right_next = NextTime(both.right);
    const int64_t left_resolves = ResolveTime(both.left);
    const int64_t right_resolves = ResolveTime(both.right);
    const int64_t next = std::min(left_next, right_next);
    const int64_t resolves = std::min(left_resolves, right_resolves);
    // All rows up to that time have been taken then.
    if (resolves < next && IsDue(resolves)) {
      Resolve(left_resolves <= right_resolves ? both.left : both.right);
      --left;
    } else if (next == INT64_MAX) {
      break;
    } else if (right_next <= left_next) {
      left -= Pair(both.right, both.left, left);
    } else {
      left -= Pair(both.left, both.right, left);
    }
  }
  return rows_max - left;
}

// Rows that the watermark has passed are in order.
void JoinOperator::Release(JoinSide* side) {
  const int64_t end = side->end();
  if (side->released == end || !IsDue(side->time(side->released))) return;
  Touch(IndexOf(*side));
  while (side->released < end && IsDue(side->time(side->released))) ++side->released;
  side->released_until = watermark_.time_since_epoch().count();
}

int64_t JoinOperator::NextTime(const JoinSide* side) {
  return side != nullptr && side->taken < side->released ? side->time(side->taken) : INT64_MAX;
}

int64_t JoinOperator::ResolveTime(const JoinSide* side) const {
  if (side == nullptr || !ResolvesSide(*side) || side->resolved == side->taken) return INT64_MAX;
  const int64_t reach = std::max<int64_t>(0, farthest_[side->is_right ? 1 : 0]);
  return std::min(kLastTime, PlusSaturated(side->time(side->resolved), reach));
}

int64_t JoinOperator::PositionOf(const Both& both) const {
  return std::min(
      {NextTime(both.left), NextTime(both.right), watermark_.time_since_epoch().count()});
}

// The next row of `side` with those of `other`, at most `rows_max` of them; where that is not all,
// it goes on with the rest when it is called again. Returns for how many rows it counts.
int64_t JoinOperator::Pair(JoinSide* side, JoinSide* other, int64_t rows_max) {
  const uint32_t slot = side->slot(side->taken);
  if (node_.latest_only) {
    if (!side->is_right) PairWithLatest(side, other);
  } else if (other != nullptr && side->may_pair) {
    MoveNear(other, side->time(side->taken));
    const int64_t from = std::max(side->probed, other->near_begin);
    const int64_t to = std::min(other->near_end, from + rows_max);
    for (int64_t row = from; row < to; ++row) Give(*side, slot, other->slot(row));
    if (ResolvesSide(*side) && from < to) rows_[side->is_right ? 1 : 0].tag(slot) = kPaired;
    for (int64_t row = from; row < to && ResolvesSide(*other); ++row) {
      other->row_store->tag(other->slot(row)) = kPaired;
    }
    if (to < other->near_end) {
      side->probed = to;
      return to - from;
    }
    side->probed = -1;
    ++side->taken;
    return 1 + std::max<int64_t>(0, to - from);
  }
  ++side->taken;
  return 1;
}

void JoinOperator::PairWithLatest(JoinSide* left, JoinSide* right) {
  const uint32_t slot = left->slot(left->taken);
  if (right != nullptr && left->may_pair) {
    MoveNear(right, left->time(left->taken));
    if (right->near_begin < right->near_end) {
      Give(*left, slot, right->slot(right->near_end - 1));
      return;
    }
  }
  if (node_.keeps_left) Give(*left, slot, RowStore::kNone);
}

// The next row of which it is known now whether it is in a pair.
void JoinOperator::Resolve(JoinSide* side) {
  const uint32_t slot = side->slot(side->resolved++);
  if (side->row_store->tag(slot) != kPaired) Give(*side, slot, RowStore::kNone);
}

void JoinOperator::MoveNear(JoinSide* side, int64_t time) const {
  const size_t other = side->is_right ? 0 : 1;
  const int64_t first = PlusSaturated(time, nearest_[other]);
  int64_t& begin = side->near_begin;
  while (begin < side->taken && side->time(begin) < first) ++begin;
  // Rows that are taken are not after `time`.
  if (farthest_[other] >= 0) {
    side->near_end = side->taken;
    return;
  }
  const int64_t last = PlusSaturated(time, farthest_[other]);
  int64_t& end = side->near_end;
  while (end < side->taken && side->time(end) <= last) ++end;
}

void JoinOperator::Give(const JoinSide& side, uint32_t slot, uint32_t other_slot) {
  slots_[side.is_right ? 1 : 0].push_back(slot);
  slots_[side.is_right ? 0 : 1].push_back(other_slot);
  keys_of_.push_back(IndexOf(side));
}

Status JoinOperator::AppendColumns(bool is_right, std::span<arrow::ArrayBuilder* const> builders) {
  const size_t side = is_right ? 1 : 0;
  for (size_t i = 0; i < builders.size(); ++i) {
    const ColumnPlace& place = columns_[side].output[i];
    switch (place.kind) {
      case ColumnPlace::Kind::kTime:
        ARROW_RETURN_NOT_OK(rows_[side].AppendTimes(slots_[side], builders[i]));
        break;
      case ColumnPlace::Kind::kStored:
        ARROW_RETURN_NOT_OK(rows_[side].AppendColumn(slots_[side], place.index, builders[i]));
        break;
      case ColumnPlace::Kind::kKey:
        ARROW_RETURN_NOT_OK(AppendKeys(is_right, place.index, builders[i]));
        break;
    }
  }
  return Status::OK();
}

Status JoinOperator::AppendKeys(bool is_right, size_t key, arrow::ArrayBuilder* builder) {
  const std::vector<uint32_t>& slots = slots_[is_right ? 1 : 0];
  ARROW_RETURN_NOT_OK(builder->Reserve(int64_t(slots.size())));
  uint32_t read = KeyTable::kNone;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == RowStore::kNone) {
      ARROW_RETURN_NOT_OK(builder->AppendNull());
      continue;
    }
    if (keys_of_[i] != read) ReadKey(keys_.bytes(keys_of_[i]));
    read = keys_of_[i];
    ARROW_RETURN_NOT_OK(AppendCell(key_[key], builder));
  }
  return Status::OK();
}

// ---- Rows that go ------------------------------------------------------------------------------

void JoinOperator::DropRows(JoinSide* side, int64_t position) {
  int64_t keep = side->taken;
  if (ResolvesSide(*side)) {
    keep = side->resolved;
  } else if (node_.latest_only && !side->is_right) {
    // It has its pair.
  } else if (position != INT64_MAX) {
    MoveNear(side, position);
    keep = side->near_begin;
    // Rows to come are later, and take the last of those that are near already.
    if (node_.latest_only) keep = std::max(keep, side->near_end - 1);
  }
  if (keep <= side->first) return;
  const uint32_t index = IndexOf(*side);
  Touch(index);
  counts_.rows_counted += keep - side->first;
  for (; side->first < keep; ++side->first) DropRow(index, side->rows[side->begin++]);
  Compact(side);
  side->near_begin = std::max(side->near_begin, keep);
  side->near_end = std::max(side->near_end, keep);
}

// When something is to do with it next; or it goes.
void JoinOperator::Reschedule(JoinSide* side) {
  const uint32_t index = IndexOf(*side);
  if (side->in_memory() == 0 && side->blocks.empty()) {
    if (side->other != RowStore::kNone) partitions_[side->other].other = RowStore::kNone;
    Forget(index);
    return;
  }
  int64_t due = std::min({FirstWaiting(*side), NextTime(side), ResolveTime(side)});
  if (!ResolvesSide(*side) && side->first < side->taken) {
    // All of them can be dropped then.
    const int64_t reach = farthest_[side->is_right ? 1 : 0];
    due = std::min({due, kLastTime, PlusSaturated(side->time(side->taken - 1), reach)});
  }
  if (due == side->due) return;
  side->due = INT64_MAX;
  SetDue(index, due);
}

KeyedOperatorStats JoinOperator::stats() const {
  KeyedOperatorStats stats = counts_;
  const size_t rows = rows_[0].used() + rows_[1].used();
  stats.open_panes = int64_t(rows);
  stats.keys = int64_t(keys_.size());
  stats.index_bytes = IndexBytes();
  stats.state_bytes = stats.index_bytes + rows_[0].MemoryBytes() + rows_[1].MemoryBytes() +
                      PendingBytes() + int64_t(rows * sizeof(uint32_t));
  return stats;
}

}  // namespace millrace
