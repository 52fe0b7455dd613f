// Time zones by their IANA names ("Europe/Berlin"), from the system's database (Debian's tzdata),
// each read once, when it is first named. The rules at the end of a zone's file hold for all times
// to come, as in PostgreSQL. Looked up when a query is bound, where they are literals, and else a
// row at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

// Does not change; from any thread.
class TimeZone {
 public:
  // In any letter case. Null where there is none of this name. Lives as long as the process.
  static const TimeZone* Find(std::string_view name);
  // All, to suggest from; none where the machine has no database.
  static const std::vector<std::string>& Names();

  ~TimeZone();

  // The wall clock at a moment, both in microseconds since 1970-01-01 00:00 (of the wall clock, of
  // UTC). Nothing where 64 bits do not hold it.
  std::optional<int64_t> ToLocal(int64_t utc_micros) const;
  // The moment at which the wall clock shows this. When clocks go forward, what they leave out
  // counts on from before; when they go back, the second of the two moments is meant: PostgreSQL's
  // choice.
  std::optional<int64_t> ToUtc(int64_t local_micros) const;
  // Seconds that the wall clock is ahead of UTC.
  int64_t OffsetSeconds(int64_t utc_micros) const;

 private:
  struct Rules;
  explicit TimeZone(std::unique_ptr<Rules> rules);
  static std::unique_ptr<TimeZone> Load(const std::string& name);

  std::unique_ptr<Rules> rules_;
};

}  // namespace millrace
