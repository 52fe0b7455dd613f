#include "engine/storage/checksum.h"

#include <xxhash.h>

namespace millrace {

namespace {

XXH3_state_t* State(const std::shared_ptr<void>& state) {
  return static_cast<XXH3_state_t*>(state.get());
}

}  // namespace

uint64_t Checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string ChecksumText(uint64_t checksum) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[checksum >> shift & 15]);
  return text;
}

StreamChecksum::StreamChecksum()
    : state_(XXH3_createState(),
             [](void* state) { XXH3_freeState(static_cast<XXH3_state_t*>(state)); }) {
  XXH3_64bits_reset(State(state_));
}

void StreamChecksum::Add(std::string_view bytes) {
  XXH3_64bits_update(State(state_), bytes.data(), bytes.size());
}

uint64_t StreamChecksum::Sum() const { return XXH3_64bits_digest(State(state_)); }

}  // namespace millrace
