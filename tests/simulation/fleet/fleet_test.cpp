#include "tests/simulation/fleet/fleet.h"

#include <gtest/gtest.h>

#include <iostream>

namespace millrace::simulation {
namespace {

TEST(FleetSimulation, Placeholder) { EXPECT_FALSE(SimulateFleet({1}).failure.has_value()); }

}  // namespace
}  // namespace millrace::simulation
