// What PaneAggregate keeps in its store: taking over, sealing, writing, evicting. Format:
// docs/state-format.md.
#include <algorithm>

#include "engine/state/state_key.h"
#include "engine/windows/pane_aggregate.h"
#include "engine/windows/state_entry.h"

namespace millrace {

std::string PaneAggregate::Cut() const {
  std::string text = "size " + std::to_string(node_.size.count()) + " slide " +
                     std::to_string(node_.slide.count()) + " offset " +
                     std::to_string(geometry_.offset);
  if (node_.cumulates) text += " cumulating";
  return text;
}

// ---- Taking over -------------------------------------------------------------------------------

// Which panes there are, the store knows best: of several tasks' state it may have a part only.
// From one to the next is a seek, past all its entries.
Status PaneAggregate::TakeOver(StateIterator* entries) {
  // Sealed with nothing due, so the watermark says which window is next.
  if (watermark_ != kEventTimeMin) {
    for (View& view : views_) SkipEmptyWindows(&view);
  }
  while (entries->Valid()) {
    ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
    const int64_t index = geometry_.PaneOf(parts.time);
    if (geometry_.PaneLast(index) != parts.time || IsDue(final(), geometry_.LastWindowOf(index))) {
      return StateDamaged("there is a pane that should not be there");
    }
    Pane& pane = panes_[index];
    pane.is_written = true;
    pane.has_lower = true;
    entries->Seek(StateTimeEnd(format_.operator_number, parts.time));
  }
  return Status::OK();
}

// ---- What has to be written --------------------------------------------------------------------

void PaneAggregate::MarkTouched() {
  for (size_t i = 0; i < row_accumulators_.size(); ++i) {
    if (AccumulatorSlab::HeaderOf(row_accumulators_[i]).touched != seal_number_) [[unlikely]]
      Touch(row_keys_[i], row_panes_[i]);
  }
}

void PaneAggregate::Touch(uint32_t key, int64_t pane) {
  const Member member{key, slots_.Find(key, pane)};
  RowHeader& header = AccumulatorSlab::HeaderOf(slab_.Row(member.slot));
  PaneEntry* const its_pane = PaneAt(pane);
  if (header.touched == seal_number_ - 1) WriteMember(its_pane, member);
  header.touched = seal_number_;
  its_pane->second.dirty.push_back(member);
}

Status PaneAggregate::SealChanges() {
  for (auto& [index, pane] : panes_) {
    if (pane.dirty.empty()) continue;
    pane.sealed.swap(pane.dirty);
    sealed_panes_.push_back(index);
  }
  DeleteFreed();
  return Status::OK();
}

// What was freed before the barrier is of no epoch from here on. Every pane between two freed ones
// is freed, or was never there.
void PaneAggregate::DeleteFreed() {
  if (!freed_.has_value()) return;
  writer_.batch()->DeleteRange(
      StateTimeBegin(format_.operator_number, geometry_.PaneLast(freed_->first)),
      StateTimeEnd(format_.operator_number, geometry_.PaneLast(freed_->second)));
  freed_.reset();
}

// ---- Writing -----------------------------------------------------------------------------------

Result<bool> PaneAggregate::WriteSealed(int64_t entries_max) {
  if (!sealed_) return false;
  int64_t left = std::max<int64_t>(entries_max, 1);
  while (!retired_.empty() && left > 0) {
    PaneEntry& pane = *retired_.begin();
    ARROW_RETURN_NOT_OK(WriteSealedOf(&pane, &left));
    if (!pane.second.sealed.empty()) return true;
    FreePane(&pane);
    retired_.erase(retired_.begin());
  }
  while (!sealed_panes_.empty() && left > 0) {
    // One that is not there was retired.
    const auto pane = panes_.find(sealed_panes_.back());
    if (pane != panes_.end()) ARROW_RETURN_NOT_OK(WriteSealedOf(&*pane, &left));
    if (pane == panes_.end() || pane->second.sealed.empty()) sealed_panes_.pop_back();
  }
  if (!retired_.empty() || !sealed_panes_.empty()) return true;
  ARROW_RETURN_NOT_OK(FinishSealed());
  return false;
}

Status PaneAggregate::WriteSealedOf(PaneEntry* pane, int64_t* left) {
  std::vector<Member>& sealed = pane->second.sealed;
  for (; !sealed.empty() && *left > 0; --*left) {
    const Member member = sealed.back();
    sealed.pop_back();
    RowHeader& header = AccumulatorSlab::HeaderOf(slab_.Row(member.slot));
    if (header.touched != seal_number_ - 1) continue;  // written when it was touched
    WriteMember(pane, member);
    header.touched = 0;
    ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  }
  if (sealed.empty()) std::vector<Member>().swap(sealed);
  return Status::OK();
}

void PaneAggregate::WriteMember(PaneEntry* pane, const Member& member) {
  Write(geometry_.PaneLast(pane->first), member.key, slab_.Row(member.slot));
  pane->second.is_written = true;
}

// ---- Evicting ----------------------------------------------------------------------------------

Status PaneAggregate::EvictAll() {
  DeleteFreed();
  for (PaneEntry& pane : panes_) {
    for (const Member& member : pane.second.dirty) {
      WriteMember(&pane, member);
      ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
    }
  }
  ARROW_RETURN_NOT_OK(writer_.Flush());
  if (slots_.size() > 0) ++chunk_;
  ForgetMemory();
  return Status::OK();
}

// Every pane stays: each has entries now.
void PaneAggregate::ForgetMemory() {
  for (auto& [index, pane] : panes_) {
    if (layout_.has_objects()) {
      for (const Member& member : pane.members) layout_.Destroy(slab_.Row(member.slot));
    }
    pane = Pane();
    pane.is_written = true;
    pane.has_lower = true;
  }
  object_bytes_ = 0;
  keys_ = KeyTable(node_.keys);
  slots_ = PaneTable();
  slab_ = AccumulatorSlab(layout_.row_bytes());
}

}  // namespace millrace
