#include "tools/simulator/simulate_command.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

// The exit code; whatever the command line, nothing listens at the broker's address, and these
// are refused before anyone asks it.
int ExitCodeOf(const std::string& flags) {
  CLI::App app;
  int exit_code = -1;
  AddSimulateCommand(app, &exit_code);
  try {
    app.parse("simulate smoke --brokers 127.0.0.1:1 " + flags);
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

TEST(SimulateCommand, RefusesPropertiesThatDoNotExist) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCodeOf("-X no.such.property=1"), 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("no.such.property"), std::string::npos);
}

}  // namespace
}  // namespace millrace
