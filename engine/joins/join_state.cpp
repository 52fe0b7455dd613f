// What JoinOperator keeps in its store besides rows in order: the heads of its partitions. Format:
// docs/state-format.md, "Joins of streams".
#include "engine/joins/join_operator.h"
#include "engine/ordered/ordered_state.h"

namespace millrace {
namespace {

size_t BitmapBytes(const JoinSide& side) { return size_t(side.released - side.first + 7) / 8; }

}  // namespace

template class OrderedOperator<JoinSide>;

Status JoinOperator::Open(StateStore* store, uint16_t operator_number) {
  return OpenState(store, operator_number, "other keys, columns or bounds of time");
}

// The side is the last column of the key.
RowStore* JoinOperator::RowsOf(std::string_view key) {
  const size_t width = sizeof(uint64_t);
  return &rows_[key.size() >= width && key[key.size() - width] != 0 ? 1 : 0];
}

Status JoinOperator::OnTakenOver(uint32_t index) {
  ReadKey(keys_.bytes(index));
  if (key_.back().is_null || key_.back().bits > 1) return StateDamaged("a row is of no side");
  Connect(index);
  return Status::OK();
}

Status JoinOperator::TakeOverHead(std::string_view value, JoinSide* side, uint64_t* hash) const {
  StateDecoder in(&value);
  *hash = in.Take64();
  side->first = in.TakeTally();
  side->released = in.TakeTally();
  side->released_until = int64_t(in.Take64());
  side->due = int64_t(in.Take64());
  in.Require(side->first <= side->released);
  side->taken = side->released;
  return in.status();
}

void JoinOperator::AppendHead(uint32_t index, std::string* value) const {
  const JoinSide& side = partitions_[index];
  StateEncoder out(value);
  out.Put64(keys_.hash(index));
  for (const int64_t number : {side.first, side.released, side.released_until, side.due}) {
    out.Put64(uint64_t(number));
  }
  if (!ResolvesSide(side)) return;
  std::string paired(BitmapBytes(side), '\0');
  for (int64_t row = side.first; row < side.released; ++row) {
    if (side.row_store->tag(side.slot(row)) != kPaired) continue;
    const auto bit = size_t(row - side.first);
    paired[bit / 8] = char(paired[bit / 8] | 1 << bit % 8);
  }
  value->append(paired);
}

Status JoinOperator::LoadHead(std::string_view value, JoinSide* side) {
  StateDecoder in(&value);
  for (int i = 0; i < 5; ++i) in.Take64();
  ARROW_RETURN_NOT_OK(in.status());
  if (value.size() != (ResolvesSide(*side) ? BitmapBytes(*side) : 0)) {
    return StateDamaged("a partition's head has another length than it should have");
  }
  side->paired = value;
  return Status::OK();
}

Status JoinOperator::LoadSide(JoinSide* side) {
  const bool was_resident = side->is_resident;
  ARROW_RETURN_NOT_OK(Load(IndexOf(*side)));
  if (was_resident) return Status::OK();
  side->near_begin = side->near_end = side->resolved = side->first;
  for (size_t bit = 0; bit < side->paired.size() * 8; ++bit) {
    const int64_t row = side->first + int64_t(bit);
    if (row < side->released && (side->paired[bit / 8] >> bit % 8 & 1) != 0) {
      side->row_store->tag(side->slot(row)) = kPaired;
    }
  }
  side->paired = {};
  return Status::OK();
}

void JoinOperator::ForgetMemory() {
  OrderedOperator::ForgetMemory();
  for (RowStore& rows : rows_) rows.Clear();
}

}  // namespace millrace
