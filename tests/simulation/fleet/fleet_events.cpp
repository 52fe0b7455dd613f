#include "tests/simulation/fleet/fleet_events.h"

#include <algorithm>
#include <sstream>

namespace millrace::simulation {

void FleetEvents::Add(const FleetEvents& other) {
  constexpr int64_t FleetEvents::*kCounts[] = {
      &FleetEvents::terms,    &FleetEvents::two_led,   &FleetEvents::superseded,
      &FleetEvents::killed,   &FleetEvents::frozen,    &FleetEvents::cuts,
      &FleetEvents::wishes,   &FleetEvents::attempts,  &FleetEvents::moves,
      &FleetEvents::given_up, &FleetEvents::named,     &FleetEvents::left,
      &FleetEvents::dropped,  &FleetEvents::leftovers, &FleetEvents::fenced,
      &FleetEvents::commits,  &FleetEvents::kept,      &FleetEvents::calms,
      &FleetEvents::takeovers};
  for (const auto count : kCounts) this->*count += other.*count;
  hours += other.hours;
  restless = std::max(restless, other.restless);
  slowest = std::max(slowest, other.slowest);
}

std::string FleetEvents::Text() const {
  std::ostringstream text;
  text << "hours " << hours << ", terms " << terms << ", two leading " << two_led << ", superseded "
       << superseded << ", killed " << killed << ", frozen " << frozen << ", cuts " << cuts
       << ", wishes " << wishes << ", attempts " << attempts << ", moves " << moves << ", given up "
       << given_up << ", named " << named << ", left " << left << ", dropped " << dropped
       << ", left over " << leftovers << ", fenced " << fenced << ", commits " << commits
       << ", kept slots " << kept << ", calms " << calms << ", takeovers " << takeovers
       << ", the slowest " << slowest << " s, attempts a disturbance at most " << restless;
  return text.str();
}

}  // namespace millrace::simulation
