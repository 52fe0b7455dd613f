// The checksum of everything that is stored: XXH3-64 without a seed. It finds damage, not malice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace millrace {

uint64_t Checksum(std::string_view bytes);
// 16 hexadecimal digits, for people.
std::string ChecksumText(uint64_t checksum);

// Of bytes that come in parts.
class StreamChecksum {
 public:
  StreamChecksum();
  void Add(std::string_view bytes);
  uint64_t Sum() const;

 private:
  std::shared_ptr<void> state_;
};

}  // namespace millrace
