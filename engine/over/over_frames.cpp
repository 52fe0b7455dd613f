#include "engine/over/over_frames.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace millrace {
namespace {

// Filters of a lane are bits of a word.
constexpr size_t kFiltersMax = 64;

// Whether a row's share is made of counts, sums and extremes of numbers.
bool IsOfNumbers(const AccumulatorLayout& layout) {
  return layout.filters().size() <= kFiltersMax &&
         std::ranges::all_of(layout.measures(), [](const Measure& measure) {
           const bool is_number = measure.type != Type::kReal && measure.type != Type::kNull &&
                                  !IsTextual(measure.type);
           const unsigned others = measure.parts & ~(kNumericParts | kTrues);
           return measure.second < 0 && others == 0 && (is_number || measure.parts == 0);
         });
}

}  // namespace

Result<OverFrames> OverFrames::Make(const std::vector<OverFrame>& frames,
                                    const std::vector<std::vector<AggregateSpec>>& aggregates) {
  OverFrames made;
  for (size_t i = 0; i < frames.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(AccumulatorLayout layout, AccumulatorLayout::Make(aggregates[i]));
    if (layout.has_values()) {
      return InternalError("bad_aggregate", "an aggregate of OVER that needs all of its values");
    }
    Lane lane{frames[i],       std::move(layout),      made.back_bytes_,
              made.row_bytes_, !aggregates[i].empty(), false};
    if (lane.has_aggregates) {
      const size_t bytes = lane.layout.row_bytes();
      lane.is_of_numbers = IsOfNumbers(lane.layout);
      made.back_bytes_ += bytes;
      (lane.is_of_numbers ? made.front_bytes_ : made.row_bytes_) += bytes;
      made.has_objects_ = made.has_objects_ || lane.layout.has_objects();
    }
    made.lanes_.push_back(std::move(lane));
  }
  made.backs_ = RowSlab(made.back_bytes_);
  made.rows_ = RowSlab(made.row_bytes_);
  made.merged_.reset(new char[std::max<size_t>(made.back_bytes_, 1)]);
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

uint32_t OverFrames::TakeBacks() {
  const uint32_t slot = backs_.Take();
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates) lane.layout.Initialise(Back(slot, lane));
  }
  return slot;
}

void OverFrames::FreeBacks(uint32_t slot) {
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates && lane.layout.has_objects()) lane.layout.Destroy(Back(slot, lane));
  }
  backs_.Free(slot);
}

uint32_t OverFrames::TakeRow() {
  const uint32_t slot = rows_.Take();
  for (const Lane& lane : lanes_) {
    if (lane.has_aggregates && !lane.is_of_numbers) lane.layout.Initialise(Row(slot, lane));
  }
  return slot;
}

void OverFrames::FreeRow(uint32_t slot) {
  for (const Lane& lane : lanes_) {
    if (!lane.has_aggregates || lane.is_of_numbers || !lane.layout.has_objects()) continue;
    lane.layout.Destroy(Row(slot, lane));
  }
  rows_.Free(slot);
}

void OverFrames::Clear(const std::vector<uint32_t>& backs, const std::vector<uint32_t>& rows) {
  if (has_objects_) {
    for (const uint32_t slot : backs) FreeBacks(slot);
    for (const uint32_t slot : rows) FreeRow(slot);
  }
  backs_ = RowSlab(back_bytes_);
  rows_ = RowSlab(row_bytes_);
}

Status OverFrames::Apply(const arrow::RecordBatch& batch, const std::vector<uint32_t>& slots) {
  std::vector<uint32_t> rows(slots.size());
  std::iota(rows.begin(), rows.end(), 0u);
  std::vector<char*> accumulators(slots.size());
  for (const Lane& lane : lanes_) {
    if (!lane.has_aggregates || lane.is_of_numbers) continue;
    for (size_t i = 0; i < slots.size(); ++i) accumulators[i] = Row(slots[i], lane);
    AccumulatorUpdate update(&lane.layout);
    ARROW_RETURN_NOT_OK(update.Bind(batch));
    update.Apply({rows, accumulators});
  }
  return Status::OK();
}

void OverFrames::Reset(const Lane& lane, uint32_t back) const {
  char* const row = Back(back, lane);
  if (lane.layout.has_objects()) lane.layout.Destroy(row);
  lane.layout.Initialise(row);
}

char* OverFrames::Merged(const Lane& lane, const char* older, const char* newer) {
  char* const merged = merged_.get() + lane.offset;
  if (lane.layout.has_objects()) {
    lane.layout.Destroy(merged);
    lane.layout.Initialise(merged);
    lane.layout.Merge(merged, older);
  } else {
    std::memcpy(merged, older, lane.layout.row_bytes());
  }
  if (newer != nullptr) lane.layout.Merge(merged, newer);
  return merged;
}

}  // namespace millrace
