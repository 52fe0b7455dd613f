#include "engine/windows/distinct_set.h"

namespace millrace {
namespace {

constexpr int64_t kFixedBytes = 16;  // at most half full
constexpr int64_t kTextBytes = 56;   // node and string, without the text

}  // namespace

uint64_t* DistinctSet::Find(uint64_t bits) {
  const size_t mask = table_.size() - 1;
  uint64_t mixed = bits * 0x9E3779B97F4A7C15u;
  mixed ^= mixed >> 32;
  size_t i = mixed & mask;
  while (table_[i] != 0 && table_[i] != bits) i = (i + 1) & mask;
  return &table_[i];
}

void DistinctSet::Grow() {
  const std::vector<uint64_t> old = std::move(table_);
  table_.assign(old.empty() ? 16 : old.size() * 2, 0);
  for (const uint64_t bits : old) {
    if (bits != 0) *Find(bits) = bits;
  }
}

int64_t DistinctSet::Insert(uint64_t bits) {
  if (bits == 0) {
    if (has_zero_) return 0;
    has_zero_ = true;
  } else {
    if ((fixed_count_ + 1) * 2 > table_.size()) Grow();
    uint64_t* place = Find(bits);
    if (*place == bits) return 0;
    *place = bits;
  }
  ++fixed_count_;
  bytes_ += kFixedBytes;
  return kFixedBytes;
}

int64_t DistinctSet::InsertText(std::string_view text) {
  if (texts_.find(text) != texts_.end()) return 0;
  texts_.emplace(text);
  const int64_t bytes = kTextBytes + int64_t(text.size());
  bytes_ += bytes;
  return bytes;
}

void DistinctSet::MergeFrom(const DistinctSet& other) {
  other.ForEachFixed([this](uint64_t bits) { Insert(bits); });
  other.ForEachText([this](std::string_view text) { InsertText(text); });
}

void DistinctSet::Clear() { *this = DistinctSet(); }

void DistinctSet::ForEachFixed(const std::function<void(uint64_t)>& visit) const {
  if (has_zero_) visit(0);
  for (const uint64_t bits : table_) {
    if (bits != 0) visit(bits);
  }
}

void DistinctSet::ForEachText(const std::function<void(std::string_view)>& visit) const {
  for (const std::string& text : texts_) visit(text);
}

void DistinctSet::Save(StateEncoder* out) const {
  out->Put64(size());
  ForEachFixed([out](uint64_t bits) { out->Put64(bits); });
  ForEachText([out](std::string_view text) { out->PutText(text); });
}

void DistinctSet::Restore(StateDecoder* in, bool is_text) {
  const uint64_t count = in->TakeCount(is_text ? 4 : 8);
  for (uint64_t i = 0; i < count; ++i) {
    if (is_text) {
      InsertText(in->TakeText());
    } else {
      Insert(in->Take64());
    }
  }
}

}  // namespace millrace
