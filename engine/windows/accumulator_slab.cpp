#include "engine/windows/accumulator_slab.h"

#include <new>

namespace millrace {
namespace {

constexpr size_t kCacheLine = 64;

}  // namespace

AccumulatorSlab::AccumulatorSlab(size_t row_bytes)
    : stride_((sizeof(RowHeader) + row_bytes + kCacheLine - 1) / kCacheLine * kCacheLine) {}

uint32_t AccumulatorSlab::Take() {
  if (!free_.empty()) {
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (next_ % kRowsPerChunk == 0 && next_ / kRowsPerChunk == chunks_.size()) {
    char* chunk = static_cast<char*>(std::aligned_alloc(kCacheLine, kRowsPerChunk * stride_));
    if (chunk == nullptr) throw std::bad_alloc();
    chunks_.emplace_back(chunk);
  }
  return next_++;
}

void AccumulatorSlab::Free(uint32_t slot) {
  free_.push_back(slot);
  if (free_.size() < next_) return;
  free_.clear();
  next_ = 0;
  if (chunks_.size() > 1) chunks_.resize(1);
}

}  // namespace millrace
