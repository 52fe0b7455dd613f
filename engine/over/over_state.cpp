// What OverOperator keeps in its store besides rows in order: the heads of its partitions. Format:
// docs/state-format.md, "OVER".
#include <algorithm>
#include <utility>

#include "engine/ordered/ordered_state.h"
#include "engine/over/over_operator.h"

namespace millrace {

template class OrderedOperator<OverPartition>;

Status OverOperator::Open(StateStore* store, uint16_t operator_number) {
  return OpenState(store, operator_number, "other keys, columns or functions");
}

Status OverOperator::OnTakenOver(uint32_t index) {
  const Partition& partition = partitions_[index];
  if (partition.held != INT64_MAX) held_.push({partition.held, {index, partition.version}});
  return Status::OK();
}

Status OverOperator::TakeOverHead(std::string_view value, Partition* partition,
                                  uint64_t* hash) const {
  StateDecoder in(&value);
  *hash = in.Take64();
  partition->first = in.TakeTally();
  partition->emitted = in.TakeTally();
  partition->released = in.TakeTally();
  partition->rank_first = in.TakeTally();
  partition->dense_rank = in.TakeTally();
  for (int64_t* time :
       {&partition->released_until, &partition->last_time, &partition->due, &partition->held}) {
    *time = int64_t(in.Take64());
  }
  in.Require(partition->first <= partition->emitted && partition->emitted <= partition->released &&
             partition->rank_first <= partition->emitted &&
             partition->dense_rank <= partition->emitted);
  in.Require(partition->first <= std::max<int64_t>(0, partition->emitted - rows_back_));
  return in.status();
}

void OverOperator::AppendHead(uint32_t index, std::string* value) const {
  const Partition& partition = partitions_[index];
  StateEncoder out(value);
  out.Put64(keys_.hash(index));
  for (const int64_t count : {partition.first, partition.emitted, partition.released,
                              partition.rank_first, partition.dense_rank}) {
    out.Put64(uint64_t(count));
  }
  for (const int64_t time :
       {partition.released_until, partition.last_time, partition.due, partition.held}) {
    out.Put64(uint64_t(time));
  }
  // Nothing of it was in order yet.
  const bool has_lanes = partition.lanes.size() == frames_->lanes().size();
  for (size_t i = 0; i < frames_->lanes().size(); ++i) {
    const Lane& lane = frames_->lanes()[i];
    if (!lane.frame.from_first) continue;
    out.Put64(has_lanes ? uint64_t(partition.lanes[i].hi) : 0);
    out.Put8(has_lanes && lane.has_aggregates ? 1 : 0);
    if (has_lanes && lane.has_aggregates) {
      lane.layout.Save(frames_->Back(partition.back, lane), value);
    }
  }
  for (const Call& call : calls_) {
    if (call.kept < 0 || !call.spec.frame.from_first) continue;
    const Kept none;
    const Kept& kept = partition.kept.empty() ? none : partition.kept[size_t(call.kept)];
    out.Put64(uint64_t(kept.row + 1));
    out.Put8(kept.is_null ? 0 : 1);
    if (kept.is_null) continue;
    if (IsTextual(call.spec.result)) {
      out.PutText(kept.text);
    } else {
      out.Put64(kept.bits);
    }
  }
  for (size_t i = 0; i < runs_.size(); ++i) {
    const UnchangedRun run = partition.runs.empty() ? UnchangedRun() : partition.runs[i];
    run.Save(runs_[i].type, &out);
  }
}

void OverOperator::ForgetMemory() {
  std::vector<uint32_t> backs, sums;
  for (Partition& partition : partitions_) {
    if (!partition.is_there) continue;
    for (size_t i = partition.begin; i < partition.rows.size(); ++i) {
      const uint32_t tag = rows_.tag(partition.rows[i]);
      if (tag != RowStore::kNone) sums.push_back(tag);
    }
    if (partition.back != RowStore::kNone) backs.push_back(partition.back);
    partition.lanes = {};
    partition.kept = {};
    partition.runs = {};
    partition.ordered = {};
    partition.back = RowStore::kNone;
  }
  frames_->Clear(backs, sums);
  OrderedOperator::ForgetMemory();
  rows_.Clear();
}

Status OverOperator::LoadHead(std::string_view value, Partition* to) {
  Partition& partition = *to;
  StateDecoder in(&value);
  for (int i = 0; i < 10; ++i) in.Take64();
  ARROW_RETURN_NOT_OK(in.status());
  partition.lanes.assign(frames_->lanes().size(), LanePlace::Before(partition.first));
  if (frames_->has_aggregates()) partition.back = frames_->TakeBacks();
  for (size_t i = 0; i < frames_->lanes().size(); ++i) {
    const Lane& lane = frames_->lanes()[i];
    if (!lane.frame.from_first) continue;
    LanePlace& place = partition.lanes[i];
    place.lo = place.mid = 0;
    place.hi = in.TakeTally();
    const bool has_sums = in.Take8() != 0;
    in.Require(has_sums <= lane.has_aggregates);
    ARROW_RETURN_NOT_OK(in.status());
    if (!has_sums) continue;
    char* const row = frames_->Back(partition.back, lane);
    ARROW_RETURN_NOT_OK(lane.layout.Restore(&value, row));
    if (!lane.layout.IsWhole(row)) return StateDamaged("a partition's sums are not whole");
    if (FieldAt<int64_t>(row, 0) != place.hi) {
      return StateDamaged("a partition's sums are not of its rows");
    }
  }
  for (const LanePlace& place : partition.lanes) {
    if (place.hi < partition.first || place.hi > partition.released) {
      return StateDamaged("a frame ends where there are no rows");
    }
  }
  for (const Call& call : calls_) {
    if (call.spec.function != OverFunction::kLastValue || !call.spec.frame.from_first) continue;
    const int64_t end = partition.lanes[size_t(call.lane)].hi;
    if (end > 0 && end <= partition.first) return StateDamaged("the last row of a frame is gone");
  }
  partition.kept.resize(kept_count_);
  for (const Call& call : calls_) {
    if (call.kept < 0 || !call.spec.frame.from_first) continue;
    Kept& kept = partition.kept[size_t(call.kept)];
    kept.row = in.TakeTally() - 1;
    kept.is_null = in.Take8() == 0;
    if (kept.is_null) continue;
    if (IsTextual(call.spec.result)) {
      kept.text = in.TakeText();
    } else {
      kept.bits = in.Take64();
    }
  }
  partition.runs.resize(runs_.size());
  for (size_t i = 0; i < runs_.size(); ++i) {
    partition.runs[i].Restore(runs_[i].type, &in);
    in.Require(partition.runs[i].rows() <= partition.emitted);
  }
  ARROW_RETURN_NOT_OK(in.status());
  if (!value.empty()) return StateDamaged("a partition's head is longer than it should be");
  return Status::OK();
}

}  // namespace millrace
