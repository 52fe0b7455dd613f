// Writes numbers and times as text into a buffer that is long enough, without allocation and
// without floating point: the same bytes everywhere. Each returns the end of what it wrote.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/base/time.h"

namespace millrace {

inline char* PutText(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* PutUnsigned(char* out, uint64_t value);
// `value` with exactly `width` digits; value < 10^width.
char* PutPadded(char* out, uint32_t value, int width);
// A whole number of the last digit's units, with 0 to 3 digits after the point.
char* PutFixed(char* out, int32_t value, int decimals);
// "2022-06-09T00:08:51.007Z"; years 1970..9999.
char* PutTime(char* out, EventTime time);

}  // namespace millrace
