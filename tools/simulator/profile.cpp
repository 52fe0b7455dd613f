#include "tools/simulator/profile.h"

#include <utility>

namespace millrace {

FleetSource::FleetSource(const FleetSettings& settings, std::vector<int32_t> partition_counts)
    : start_(settings.start),
      delivery_(settings.faults, settings.seed, std::move(partition_counts)),
      until_(settings.start) {}

std::optional<SimulatedRecord> FleetSource::Next() {
  while (true) {
    // A reading arrives after it was measured, so nothing of a later second comes before `until`.
    if (auto record = delivery_.Take(until_)) return record;
    if (ended_) return std::nullopt;
    ended_ = !Step(second_, &delivery_);
    ++second_;
    until_ = ended_ ? kEventTimeMax : start_ + std::chrono::seconds(second_);
  }
}

}  // namespace millrace
