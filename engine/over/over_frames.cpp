#include "engine/over/over_frames.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace millrace {

Result<OverFrames> OverFrames::Make(const std::vector<OverFrame>& frames,
                                    const std::vector<std::vector<AggregateSpec>>& aggregates) {
  OverFrames made;
  for (size_t i = 0; i < frames.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(AccumulatorLayout layout, AccumulatorLayout::Make(aggregates[i]));
    if (layout.has_values()) {
      return InternalError("bad_aggregate", "an aggregate of OVER that needs all of its values");
    }
    Lane lane{frames[i], std::move(layout), made.row_bytes_, !aggregates[i].empty()};
    if (lane.has_aggregates) {
      made.row_bytes_ += lane.layout.row_bytes();
      made.has_objects_ = made.has_objects_ || lane.layout.has_objects();
    }
    made.lanes_.push_back(std::move(lane));
  }
  made.slab_ = RowSlab(made.row_bytes_);
  made.merged_.reset(new char[std::max<size_t>(made.row_bytes_, 1)]);
  for (const Lane& lane : made.lanes_) {
    if (lane.has_aggregates) lane.layout.Initialise(made.merged_.get() + lane.offset);
  }
  return made;
}

OverFrames::~OverFrames() {
  if (merged_ == nullptr) return;  // moved from
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates) lane.layout.Destroy(merged_.get() + lane.offset);
  }
}

uint32_t OverFrames::Take() {
  const uint32_t slot = slab_.Take();
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates) lane.layout.Initialise(Row(slot, lane));
  }
  return slot;
}

void OverFrames::Free(uint32_t slot) {
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates && lane.layout.has_objects()) lane.layout.Destroy(Row(slot, lane));
  }
  slab_.Free(slot);
}

void OverFrames::Clear(const std::vector<uint32_t>& in_use) {
  if (has_objects_) {
    for (const uint32_t slot : in_use) Free(slot);
  }
  slab_ = RowSlab(row_bytes_);
}

Status OverFrames::Apply(const arrow::RecordBatch& batch, const std::vector<uint32_t>& slots) {
  std::vector<uint32_t> rows(slots.size());
  std::iota(rows.begin(), rows.end(), 0u);
  std::vector<char*> accumulators(slots.size());
  for (const Lane& lane : lanes_) {
    if (!lane.has_aggregates) continue;
    for (size_t i = 0; i < slots.size(); ++i) accumulators[i] = Row(slots[i], lane);
    AccumulatorUpdate update(&lane.layout);
    ARROW_RETURN_NOT_OK(update.Bind(batch));
    update.Apply({rows, accumulators});
  }
  return Status::OK();
}

void OverFrames::Add(const Lane& lane, LanePlace* place, uint32_t back, uint32_t slot) const {
  ++place->hi;
  if (lane.has_aggregates) lane.layout.Merge(Row(back, lane), Row(slot, lane));
}

void OverFrames::Reset(const Lane& lane, uint32_t back) const {
  char* const row = Row(back, lane);
  if (lane.layout.has_objects()) lane.layout.Destroy(row);
  lane.layout.Initialise(row);
}

char* OverFrames::Sum(const Lane& lane, const LanePlace& place, uint32_t back, uint32_t front) {
  char* const newer = Row(back, lane);
  if (lane.frame.from_first || place.lo >= place.mid) return newer;
  char* const older = Row(front, lane);
  if (place.mid == place.hi) return older;
  char* const merged = merged_.get() + lane.offset;
  if (lane.layout.has_objects()) {
    lane.layout.Destroy(merged);
    lane.layout.Initialise(merged);
    lane.layout.Merge(merged, older);
  } else {
    std::memcpy(merged, older, lane.layout.row_bytes());
  }
  lane.layout.Merge(merged, newer);
  return merged;
}

}  // namespace millrace
