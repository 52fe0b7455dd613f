// Rows of windows that are not final: which groups have changed, and giving them out again.
#include <algorithm>

#include "engine/windows/pane_aggregate.h"

namespace millrace {

void PaneAggregate::MarkChanged() {
  const bool runs = node_.changes_every > Micros(0);
  // Panes before `late_end` are in a window that has been given out on time, those from
  // `open_begin` on in one that has not.
  int64_t late_end = INT64_MIN;
  int64_t open_begin = INT64_MIN;
  if (const int64_t next = on_time().next_window; next > INT64_MIN) {
    if (gives_twice_) late_end = geometry_.LastPaneOf(next - 1) + 1;
    open_begin = geometry_.FirstPaneOf(next);
  }
  for (size_t i = 0; i < row_accumulators_.size(); ++i) {
    RowHeader& header = AccumulatorSlab::HeaderOf(row_accumulators_[i]);
    const int64_t pane = row_panes_[i];
    const uint32_t key = row_keys_[i];
    if (runs && pane >= open_begin && header.is_changed == 0) {
      header.is_changed = 1;
      PaneAt(pane)->second.changed.push_back({key, slots_.Find(key, pane)});
      has_changed_ = true;
    }
    if (pane < late_end && header.is_late == 0) {
      header.is_late = 1;
      PaneAt(pane)->second.late.push_back({key, slots_.Find(key, pane)});
      has_late_ = true;
    }
  }
}

bool PaneAggregate::HasChanges(WindowChanges which) const {
  return has_late_ || (has_changed_ && which == WindowChanges::kAll);
}

void PaneAggregate::ShowChanges(WindowChanges which) {
  if (has_late_) {
    Take(&Pane::late, {.kind = RowKind::kCorrection,
                       .keys = {},
                       .window = final().next_window,
                       .end = on_time().next_window,
                       .group = {}});
    has_late_ = false;
  }
  if (has_changed_ && which == WindowChanges::kAll) {
    Take(&Pane::changed, {.kind = RowKind::kRunning,
                          .keys = {},
                          .window = on_time().next_window,
                          .end = INT64_MAX,
                          .group = {}});
    has_changed_ = false;
  }
}

void PaneAggregate::Take(std::vector<Member> Pane::*list, Changes changes) {
  for (auto& [index, pane] : panes_) {
    std::vector<Member>& members = pane.*list;
    if (members.empty()) continue;
    std::vector<uint32_t>& keys = changes.keys[index];
    for (const Member& member : members) {
      RowHeader& header = AccumulatorSlab::HeaderOf(slab_.Row(member.slot));
      if (list == &Pane::late) {
        header.is_late = 0;
      } else {
        header.is_changed = 0;
      }
      keys.push_back(member.key);
    }
    std::vector<Member>().swap(members);
  }
  if (NextGroup(&changes)) showing_.push_back(std::move(changes));
}

bool PaneAggregate::NextGroup(Changes* changes) {
  const auto first = changes->keys.lower_bound(geometry_.FirstPaneOf(changes->window));
  if (first == changes->keys.end()) return false;
  changes->window = std::max(changes->window, geometry_.FirstWindowOf(first->first));
  if (changes->window >= changes->end) return false;
  changes->group.clear();
  changes->next = 0;
  const int64_t last = geometry_.LastPaneOf(changes->window);
  for (auto pane = first; pane != changes->keys.end() && pane->first <= last; ++pane) {
    changes->group.insert(changes->group.end(), pane->second.begin(), pane->second.end());
  }
  std::ranges::sort(changes->group);
  const auto repeated = std::ranges::unique(changes->group);
  changes->group.erase(repeated.begin(), repeated.end());
  return true;
}

Status PaneAggregate::GiveChanges(WindowRows* out) {
  Changes& changes = showing_.front();
  char* const row = merged_.get();
  for (; out->left > 0; --out->left) {
    out->window = changes.window;
    const uint32_t key = changes.group[changes.next];
    layout_.Initialise(row);
    Status status = MergeGroup(key, changes.window, row);
    if (status.ok()) status = AppendRow(row, keys_.bytes(key), keys_.hash(key), out);
    layout_.Destroy(row);
    ARROW_RETURN_NOT_OK(status);
    if (++changes.next < changes.group.size()) continue;
    ++changes.window;
    if (NextGroup(&changes)) continue;
    showing_.pop_front();
    return Status::OK();
  }
  return Status::OK();
}

Status PaneAggregate::MergeGroup(uint32_t key, int64_t window, char* row) {
  std::vector<StoredPane> stored;
  auto [pane, end] = PanesOf(geometry_, window);
  for (; pane != end; ++pane) {
    const uint32_t slot = slots_.Find(key, pane->first);
    if (slot != PaneTable::kNoSlot) layout_.Merge(row, slab_.Row(slot));
    if (!pane->second.has_lower) continue;
    const int64_t time = geometry_.PaneLast(pane->first);
    stored.push_back({time, false, writer_.KeyOf(time, keys_.hash(key), keys_.bytes(key))});
  }
  if (stored.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto merge, StoredMerge::Make(store_, &format_, chunk_, stored));
  return merge->Valid() ? merge->Next(row) : Status::OK();
}

}  // namespace millrace
