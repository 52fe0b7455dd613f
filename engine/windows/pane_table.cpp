#include "engine/windows/pane_table.h"

#include <bit>
#include <utility>

namespace millrace {
namespace {

constexpr size_t kFirstTableSize = 4096;

}  // namespace

PaneTable::PaneTable() : table_(kFirstTableSize), shift_(64 - std::countr_zero(kFirstTableSize)) {}

uint32_t* PaneTable::Insert(uint32_t key, int64_t pane) {
  if ((size_ + 1) * 2 > table_.size()) Grow();
  const size_t mask = table_.size() - 1;
  size_t i = Home(key, pane);
  while (table_[i].key != kNoKey) i = (i + 1) & mask;
  table_[i] = {pane, key, kNoSlot};
  ++size_;
  return &table_[i].slot;
}

void PaneTable::Grow() {
  const std::vector<Entry> old = std::move(table_);
  table_.assign(old.size() * 2, Entry{});
  --shift_;
  const size_t mask = table_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.key == kNoKey) continue;
    size_t i = Home(entry.key, entry.pane);
    while (table_[i].key != kNoKey) i = (i + 1) & mask;
    table_[i] = entry;
  }
}

void PaneTable::Erase(uint32_t key, int64_t pane) {
  const size_t mask = table_.size() - 1;
  size_t hole = Home(key, pane);
  while (table_[hole].key != key || table_[hole].pane != pane) hole = (hole + 1) & mask;
  for (size_t i = (hole + 1) & mask; table_[i].key != kNoKey; i = (i + 1) & mask) {
    if (((i - Home(table_[i].key, table_[i].pane)) & mask) >= ((i - hole) & mask)) {
      table_[hole] = table_[i];
      hole = i;
    }
  }
  table_[hole] = Entry{};
  --size_;
}

}  // namespace millrace
