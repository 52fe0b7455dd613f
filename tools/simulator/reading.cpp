#include "tools/simulator/reading.h"

#include <cstring>

namespace millrace {
namespace {

char* Put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* PutUnsigned(char* out, uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = char('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) *out++ = digits[--count];
  return out;
}

// `value` with exactly `width` digits; value < 10^width.
char* PutPadded(char* out, uint32_t value, int width) {
  for (int i = width; i-- > 0; value /= 10) out[i] = char('0' + value % 10);
  return out + width;
}

char* PutFixed(char* out, int32_t value, int decimals) {
  static constexpr uint32_t kPowers[] = {1, 10, 100, 1000};
  uint32_t magnitude = uint32_t(value);
  if (value < 0) {
    *out++ = '-';
    magnitude = 0u - magnitude;
  }
  if (decimals == 0) return PutUnsigned(out, magnitude);
  out = PutUnsigned(out, magnitude / kPowers[decimals]);
  *out++ = '.';
  return PutPadded(out, magnitude % kPowers[decimals], decimals);
}

// "2022-06-09T00:08:51" of the second that `time` lies in. Readings come in order of time, so the
// text of the last second is kept a thread.
std::string_view SecondText(int64_t seconds) {
  struct Kept {
    int64_t seconds = -1;
    char text[19];
  };
  thread_local Kept kept;
  if (kept.seconds != seconds) {
    const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    char* out = PutPadded(kept.text, uint32_t(int(date.year())), 4);
    *out++ = '-';
    out = PutPadded(out, unsigned(date.month()), 2);
    *out++ = '-';
    out = PutPadded(out, unsigned(date.day()), 2);
    *out++ = 'T';
    out = PutPadded(out, uint32_t(clock.hours().count()), 2);
    *out++ = ':';
    out = PutPadded(out, uint32_t(clock.minutes().count()), 2);
    *out++ = ':';
    PutPadded(out, uint32_t(clock.seconds().count()), 2);
    kept.seconds = seconds;
  }
  return {kept.text, sizeof(kept.text)};
}

}  // namespace

const std::array<SmokeColumnForm, kSmokeColumnCount>& SmokeColumns() {
  static constexpr std::array<SmokeColumnForm, kSmokeColumnCount> kColumns = {{
      {"Temperature[C]", 2, ",\"Temperature[C]\":"},
      {"Humidity[%]", 2, ",\"Humidity[%]\":"},
      {"TVOC[ppb]", 0, ",\"TVOC[ppb]\":"},
      {"eCO2[ppm]", 0, ",\"eCO2[ppm]\":"},
      {"Raw H2", 0, ",\"Raw H2\":"},
      {"Raw Ethanol", 0, ",\"Raw Ethanol\":"},
      {"Pressure[hPa]", 3, ",\"Pressure[hPa]\":"},
      {"PM1.0", 2, ",\"PM1.0\":"},
      {"PM2.5", 2, ",\"PM2.5\":"},
      {"NC0.5", 2, ",\"NC0.5\":"},
      {"NC1.0", 3, ",\"NC1.0\":"},
      {"NC2.5", 3, ",\"NC2.5\":"},
      {"CNT", 0, ",\"CNT\":"},
      {"Fire Alarm", 0, ",\"Fire Alarm\":"},
  }};
  return kColumns;
}

size_t WriteReading(const SmokeReading& reading, std::string_view device, std::string_view location,
                    char* text) {
  const int64_t millis = reading.event_time.time_since_epoch().count() / 1000;
  const int64_t seconds = millis / 1000;
  char* out = Put(text, "{\"UTC\":");
  out = PutUnsigned(out, uint64_t(seconds));
  out = Put(out, ",\"timestamp\":\"");
  out = Put(out, SecondText(seconds));
  *out++ = '.';
  out = PutPadded(out, uint32_t(millis % 1000), 3);
  out = Put(out, "Z\",\"device_id\":\"");
  out = Put(out, device);
  out = Put(out, "\",\"location\":\"");
  out = Put(out, location);
  *out++ = '"';
  const auto& columns = SmokeColumns();
  for (int column = 0; column < kSmokeColumnCount; ++column) {
    out = Put(out, columns[size_t(column)].literal);
    out = reading.is_null(column)
              ? Put(out, "null")
              : PutFixed(out, reading.values[size_t(column)], columns[size_t(column)].decimals);
  }
  *out++ = '}';
  return size_t(out - text);
}

}  // namespace millrace
