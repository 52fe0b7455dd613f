// Cars that report speed, engine speed and gear every second, after a public course project: all
// three are drawn evenly (0 to 200 km/h, 0 to 8000 rpm, gears 1 to 7), so nearly every reading
// breaks a rule. The dimension tables of jobs/vehicle-telemetry know the first 20 cars.
//
// Faults: cars that stop changing, or that are silent for a while.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/simulator/profile.h"
#include "tools/simulator/random.h"

namespace millrace {

// Of the car with this number, from 0: nine digits, different for the first 900 million cars. The
// dimension tables are written by the same rule.
constexpr int64_t CarId(int64_t number) {
  return 100'000'000 + (number * 37'123'457 + 7) % 900'000'000;
}

struct VehicleSettings {
  int32_t cars = 20;
  int32_t stuck_cars = 0;  // the last ones, before those with gaps
  int32_t gap_cars = 0;    // the last ones
};

class VehicleSource final : public FleetSource {
 public:
  VehicleSource(const VehicleSettings& vehicles, const FleetSettings& settings,
                std::vector<int32_t> partition_counts);
  void WriteAccount(AccountText* text) const override;

 protected:
  bool Step(int64_t second, Delivery* delivery) override;

 private:
  struct Car {
    std::string id;
    int64_t phase_ms = 0;  // where in each second it reports
    bool stuck = false;
    bool gaps = false;
    int64_t fault_from = 0;  // second; of gaps: of each ten minutes
    int64_t fault_length = 0;
    int32_t speed = 0;
    int32_t rpm = 0;
    int32_t gear = 0;
    SeededRandom random{0};
  };

  VehicleSettings vehicles_;
  std::vector<Car> cars_;  // by the time at which they report in a second
  std::vector<std::string> stuck_;
  std::vector<std::string> silent_;
};

}  // namespace millrace
