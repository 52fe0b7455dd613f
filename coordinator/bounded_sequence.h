// The last entries of something that goes on, numbered, for those who ask from time to time what
// is new.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace millrace {

template <typename T>
class BoundedSequence {
 public:
  struct Entry {
    int64_t sequence = 0;  // from 1
    T value;
  };
  struct Page {
    std::vector<Entry> entries;
    int64_t next = 0;     // `after` of the next page
    int64_t dropped = 0;  // entries after `after` that are gone
  };

  explicit BoundedSequence(size_t most) : most_(most) {}

  void Add(T value) {
    entries_.push_back({++last_, std::move(value)});
    if (entries_.size() > most_) entries_.pop_front();
  }
  // As if so many had been added and are gone.
  void Skip(int64_t count) { last_ += count; }

  // Those after a sequence number that `wanted` is true of, at most `limit`.
  template <typename Wanted>
  Page After(int64_t after, size_t limit, const Wanted& wanted) const {
    Page page;
    // A number of another coordinator's, which has counted further: from the start.
    if (after > last_) after = 0;
    page.next = after;
    for (const Entry& entry : entries_) {
      if (entry.sequence <= after) continue;
      page.dropped += entry.sequence - page.next - 1;
      if (page.entries.size() == limit) {
        page.dropped -= entry.sequence - page.next - 1;
        return page;
      }
      page.next = entry.sequence;
      if (wanted(entry.value)) page.entries.push_back(entry);
    }
    return page;
  }
  std::vector<Entry> Last(size_t count) const {
    const size_t kept = std::min(count, entries_.size());
    return {entries_.end() - std::ptrdiff_t(kept), entries_.end()};
  }

 private:
  const size_t most_;
  int64_t last_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace millrace
