// One reading of a smoke detector and its JSON text: the eighteen fields of the public data set's
// producers, always in the same order, about 330 bytes. Values are kept as whole numbers of the
// last written digit, so that the text never depends on floating-point formatting.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace millrace {

enum SmokeColumn : int {
  kTemperature,
  kHumidity,
  kTvoc,
  kEco2,
  kRawH2,
  kRawEthanol,
  kPressure,
  kPm1,
  kPm25,
  kNc05,
  kNc1,
  kNc25,
  kCnt,
  kFireAlarm,
};
inline constexpr int kSmokeColumnCount = 14;

struct SmokeColumnForm {
  std::string_view name;     // the JSON key
  int decimals = 0;          // digits after the point
  std::string_view literal;  // `,"name":`
};
const std::array<SmokeColumnForm, kSmokeColumnCount>& SmokeColumns();

struct SmokeReading {
  EventTime event_time{};
  // In units of the last digit: 21.37 with two decimals is 2137.
  std::array<int32_t, kSmokeColumnCount> values{};
  uint32_t null_mask = 0;  // bit c: column c is written as null

  bool is_null(int column) const { return (null_mask >> column & 1) != 0; }
};

inline constexpr size_t kReadingTextMax = 512;
inline constexpr size_t kDeviceNameMax = 32;

// Writes the reading as JSON to `text` (at least kReadingTextMax bytes) and returns its length.
// `device` and `location` are at most kDeviceNameMax bytes that need no escape. The event time is
// written to the millisecond, in UTC, with Z; its year must lie in 1970..9999.
size_t WriteReading(const SmokeReading& reading, std::string_view device, std::string_view location,
                    char* text);

}  // namespace millrace
