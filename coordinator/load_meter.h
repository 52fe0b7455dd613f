// How many cores the slots of jobs keep busy, of what their workers tell with each beat: CPU time
// of a slot's reader and tasks since its attempt began. Pure; one thread.
//
// It is measured a span at a time, and each span counts for half: a burst moves nothing by itself.
// What a job's slots cost is remembered from attempt to attempt, until it is measured anew.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/time.h"

namespace millrace {

class LoadMeter {
 public:
  static constexpr MonotonicTime kSpan = std::chrono::seconds(30);

  void Begin(const std::string& job, int64_t attempt, int32_t slots);
  // What is not of the attempt that began last is left out.
  void Take(const std::string& job, int64_t attempt, int32_t slot, MonotonicTime cpu,
            MonotonicTime now);
  void Forget(const std::string& job) { jobs_.erase(job); }
  // By slot of the last attempt all of whose slots were measured; empty: none was.
  std::vector<double> CoresOf(const std::string& job) const;

 private:
  struct Slot {
    std::optional<MonotonicTime> since;  // of the span that goes on
    MonotonicTime cpu{0};                // then
    std::optional<double> cores;
  };
  struct Job {
    int64_t attempt = 0;
    std::vector<Slot> slots;
    std::vector<double> cores;
  };

  std::map<std::string, Job> jobs_;
};

}  // namespace millrace
