// (key id, pane) -> slot of its accumulators: open addressing, linear probing, deletion by shifting
// back, so that it never fills with graves. At most half full.
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

class PaneTable {
 public:
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  PaneTable();

  // The slot, where kNoSlot means that the caller has to set it. Valid until the next call.
  uint32_t* FindOrInsert(uint32_t key, int64_t pane) {
    const size_t mask = table_.size() - 1;
    for (size_t i = Home(key, pane);; i = (i + 1) & mask) {
      Entry& entry = table_[i];
      if (entry.key == key && entry.pane == pane) return &entry.slot;
      if (entry.key == kNoKey) return Insert(key, pane);
    }
  }
  // kNoSlot where it is not there.
  uint32_t Find(uint32_t key, int64_t pane) const {
    const size_t mask = table_.size() - 1;
    for (size_t i = Home(key, pane);; i = (i + 1) & mask) {
      const Entry& entry = table_[i];
      if (entry.key == key && entry.pane == pane) return entry.slot;
      if (entry.key == kNoKey) return kNoSlot;
    }
  }
  void Prefetch(uint32_t key, int64_t pane) const { __builtin_prefetch(&table_[Home(key, pane)]); }
  // The entry must be there.
  void Erase(uint32_t key, int64_t pane);

  size_t size() const { return size_; }
  size_t MemoryBytes() const { return table_.size() * sizeof(Entry); }

 private:
  struct Entry {
    int64_t pane = 0;
    uint32_t key = kNoKey;
    uint32_t slot = kNoSlot;
  };
  static constexpr uint32_t kNoKey = UINT32_MAX;

  size_t Home(uint32_t key, int64_t pane) const {
    uint64_t mixed = (uint64_t(pane) * 0xD6E8FEB86659FD93u) ^ key;
    mixed ^= mixed >> 32;
    return (mixed * 0x9E3779B97F4A7C15u) >> shift_;
  }
  uint32_t* Insert(uint32_t key, int64_t pane);
  void Grow();

  std::vector<Entry> table_;
  int shift_;
  size_t size_ = 0;
};

}  // namespace millrace
