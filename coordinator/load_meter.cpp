#include "coordinator/load_meter.h"

#include <algorithm>

namespace millrace {

void LoadMeter::Begin(const std::string& job, int64_t attempt, int32_t slots) {
  Job& of = jobs_[job];
  of.attempt = attempt;
  of.slots.assign(size_t(slots), Slot());
  if (of.cores.size() != of.slots.size()) return;
  for (size_t i = 0; i < of.slots.size(); ++i) of.slots[i].cores = of.cores[i];
}

void LoadMeter::Take(const std::string& job, int64_t attempt, int32_t slot, MonotonicTime cpu,
                     MonotonicTime now) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end() || found->second.attempt != attempt) return;
  Job& of = found->second;
  if (slot < 0 || size_t(slot) >= of.slots.size()) return;
  Slot& meter = of.slots[size_t(slot)];
  if (!meter.since.has_value()) {
    meter.since = now;
    meter.cpu = cpu;
    return;
  }
  if (now - *meter.since < kSpan) return;
  const double cores = std::max(0.0, std::chrono::duration<double>(cpu - meter.cpu) /
                                         std::chrono::duration<double>(now - *meter.since));
  meter.cores = meter.cores.has_value() ? (*meter.cores + cores) / 2 : cores;
  meter.since = now;
  meter.cpu = cpu;
  const auto is_measured = [](const Slot& each) { return each.cores.has_value(); };
  if (!std::ranges::all_of(of.slots, is_measured)) return;
  of.cores.clear();
  for (const Slot& each : of.slots) of.cores.push_back(*each.cores);
}

std::vector<double> LoadMeter::CoresOf(const std::string& job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? std::vector<double>() : found->second.cores;
}

}  // namespace millrace
