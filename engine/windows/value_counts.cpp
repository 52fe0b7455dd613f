#include "engine/windows/value_counts.h"

#include <algorithm>

namespace millrace {
namespace {

// Of an entry in a table: pointers, hash, allocation.
constexpr int64_t kEntryBytes = 48;

// More frequent, or as frequent and less.
template <typename Entry>
bool IsBefore(const Entry& left, const Entry& right) {
  return left.second != right.second ? left.second > right.second : left.first < right.first;
}

template <typename Map>
const typename Map::key_type& ModeOf(const Map& counts) {
  return std::ranges::min_element(counts, IsBefore<typename Map::value_type>)->first;
}

}  // namespace

int64_t ValueCounts::Add(int64_t bits, int64_t count) {
  const auto [entry, added] = fixed_.try_emplace(bits, 0);
  entry->second += count;
  if (!added) return 0;
  bytes_ += kEntryBytes;
  return kEntryBytes;
}

int64_t ValueCounts::AddText(std::string_view text, int64_t count) {
  const auto found = texts_.find(text);
  if (found != texts_.end()) {
    found->second += count;
    return 0;
  }
  texts_.emplace(text, count);
  const int64_t grown = kEntryBytes + int64_t(sizeof(std::string) + text.size());
  bytes_ += grown;
  return grown;
}

int64_t ValueCounts::MergeFrom(const ValueCounts& other) {
  const int64_t before = bytes_;
  for (const auto& [bits, count] : other.fixed_) Add(bits, count);
  for (const auto& [text, count] : other.texts_) AddText(text, count);
  return bytes_ - before;
}

int64_t ValueCounts::Mode() const { return ModeOf(fixed_); }
std::string_view ValueCounts::TextMode() const { return ModeOf(texts_); }

void ValueCounts::Save(StateEncoder* out) const {
  out->Put64(fixed_.size() + texts_.size());
  for (const auto& [bits, count] : fixed_) {
    out->Put64(uint64_t(bits));
    out->Put64(uint64_t(count));
  }
  for (const auto& [text, count] : texts_) {
    out->PutText(text);
    out->Put64(uint64_t(count));
  }
}

void ValueCounts::Restore(StateDecoder* in, bool is_text) {
  const uint64_t entries = in->TakeCount(is_text ? 12 : 16);
  for (uint64_t i = 0; i < entries; ++i) {
    if (is_text) {
      const std::string_view text = in->TakeText();
      AddText(text, in->TakeTally());
    } else {
      const auto bits = int64_t(in->Take64());
      Add(bits, in->TakeTally());
    }
  }
}

}  // namespace millrace
