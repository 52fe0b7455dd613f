#include "tools/simulator/text.h"

namespace millrace {

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

namespace {

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

char* PutTime(char* out, EventTime time) {
  const int64_t millis = time.time_since_epoch().count() / 1000;
  out = PutText(out, SecondText(millis / 1000));
  *out++ = '.';
  out = PutPadded(out, uint32_t(millis % 1000), 3);
  *out++ = 'Z';
  return out;
}

}  // namespace millrace
