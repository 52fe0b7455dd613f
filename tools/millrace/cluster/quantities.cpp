#include "tools/millrace/cluster/quantities.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

namespace millrace {

std::string FormatSeconds(double seconds) {
  if (!(seconds >= 0)) return "-";
  // What would be rounded up to the next unit is of that unit.
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  if (seconds < 59.5) return fmt::format("{:.0f}s", seconds);
  constexpr double kSecondsMax = 1e15;
  const auto whole = int64_t(std::llround(std::fmin(seconds, kSecondsMax)));
  constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86'400;
  if (whole < kHour) return fmt::format("{}m{}s", whole / kMinute, whole % kMinute);
  if (whole < kDay) return fmt::format("{}h{}m", whole / kHour, whole % kHour / kMinute);
  return fmt::format("{}d{}h", whole / kDay, whole % kDay / kHour);
}

std::string FormatCount(int64_t count) {
  if (count < 0) return "-";
  if (count < 100'000) return std::to_string(count);
  if (count < 999'950) return fmt::format("{:.1f}k", double(count) / 1e3);
  if (count < 999'950'000) return fmt::format("{:.1f}M", double(count) / 1e6);
  return fmt::format("{:.1f}G", double(count) / 1e9);
}

std::string FormatBytes(int64_t bytes) {
  if (bytes < 0) return "-";
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const char* unit = "KiB";
  double amount = double(bytes) / 1024;
  for (const char* const next : {"MiB", "GiB", "TiB"}) {
    if (amount < 1023.95) break;
    amount /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", amount, unit);
}

}  // namespace millrace
