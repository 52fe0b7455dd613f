#include "tools/simulator/simulate_command.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

// The exit code; whatever the command line, nothing listens at the broker's address, and these
// are refused before anyone asks it.
int ExitCodeOf(const std::string& flags, const std::string& fleet = "smoke") {
  CLI::App app;
  int exit_code = -1;
  AddSimulateCommand(app, &exit_code);
  try {
    app.parse("simulate " + fleet + " --brokers 127.0.0.1:1 " + flags);
  } catch (const CLI::ParseError& error) {
    return 100 + error.get_exit_code();
  }
  return exit_code;
}

TEST(SimulateCommand, RefusesFlagsThatMakeNoSense) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCodeOf("--start yesterday"), 2);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("--start 'yesterday' is no time"),
            std::string::npos);
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCodeOf("--max-delay ten"), 2);
  EXPECT_EQ(ExitCodeOf("-X novalue"), 2);
  EXPECT_EQ(ExitCodeOf("--devices 3 --gap-devices 2 --stuck-devices 2"), 2);
  EXPECT_EQ(ExitCodeOf("--late-share 0.6 --future-share 0.6"), 2);
  testing::internal::GetCapturedStderr();
  EXPECT_GT(ExitCodeOf("--null-share 1.5"), 100);
  EXPECT_GT(ExitCodeOf("--devices 0"), 100);
  EXPECT_GT(ExitCodeOf("--unknown"), 100);
}

TEST(SimulateCommand, EveryFleetRefusesFlagsThatMakeNoSense) {
  testing::internal::CaptureStderr();
  for (const char* fleet : {"hydraulics", "building-sensors", "vehicles"}) {
    EXPECT_EQ(ExitCodeOf("--start yesterday", fleet), 2) << fleet;
    EXPECT_EQ(ExitCodeOf("--start 1969-12-31T00:00:00Z", fleet), 2) << fleet;
    EXPECT_EQ(ExitCodeOf("--late-share 0.6 --future-share 0.6", fleet), 2) << fleet;
    EXPECT_EQ(ExitCodeOf("-X no.such.property=1", fleet), 1) << fleet;
    EXPECT_GT(ExitCodeOf("--devices 3", fleet), 100) << fleet;
  }
  EXPECT_EQ(ExitCodeOf("--stuck-sensors 17 --gap-sensors 1", "hydraulics"), 2);
  EXPECT_EQ(ExitCodeOf("--sensors 3 --hot-sensors 4", "building-sensors"), 2);
  EXPECT_EQ(ExitCodeOf("--cars 3 --stuck-cars 2 --gap-cars 2", "vehicles"), 2);
  testing::internal::GetCapturedStderr();
}

TEST(SimulateCommand, RefusesPropertiesThatDoNotExist) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCodeOf("-X no.such.property=1"), 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("no.such.property"), std::string::npos);
}

}  // namespace
}  // namespace millrace
