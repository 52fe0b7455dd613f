#include "tools/simulator/reading.h"

#include "tools/simulator/text.h"

namespace millrace {

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
  const int64_t seconds = reading.event_time.time_since_epoch().count() / 1'000'000;
  char* out = PutText(text, "{\"UTC\":");
  out = PutUnsigned(out, uint64_t(seconds));
  out = PutText(out, ",\"timestamp\":\"");
  out = PutTime(out, reading.event_time);
  out = PutText(out, "\",\"device_id\":\"");
  out = PutText(out, device);
  out = PutText(out, "\",\"location\":\"");
  out = PutText(out, location);
  *out++ = '"';
  const auto& columns = SmokeColumns();
  for (int column = 0; column < kSmokeColumnCount; ++column) {
    out = PutText(out, columns[size_t(column)].literal);
    out = reading.is_null(column)
              ? PutText(out, "null")
              : PutFixed(out, reading.values[size_t(column)], columns[size_t(column)].decimals);
  }
  *out++ = '}';
  return size_t(out - text);
}

}  // namespace millrace
