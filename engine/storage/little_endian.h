// Numbers in files: little-endian, whatever the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

template <typename Number>
void AppendLittleEndian(Number number, std::string* bytes) {
  for (size_t i = 0; i < sizeof(Number); ++i) bytes->push_back(char(number >> (8 * i) & 0xFF));
}

// Of the first bytes, which must be there.
template <typename Number>
Number ReadLittleEndian(std::string_view bytes) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number |= Number(Number(static_cast<unsigned char>(bytes[i])) << (8 * i));
  }
  return number;
}

}  // namespace millrace
