// Sensors in buildings, after a public course project: sensor n measures temperature, humidity,
// pressure or motion by n % 4, in building a, b or c by n % 3, at an interval of its own between
// 0.5 and 2 s that varies by half a second. Values are normally distributed about 20 degrees, 50 %
// and 1013 hPa; one reading in four is of degraded quality.
//
// Faults: sensors whose values are far too high for some minutes, that stop changing, or that are
// silent for a while; single values far off. Only + - * on doubles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/simulator/profile.h"
#include "tools/simulator/random.h"

namespace millrace {

struct BuildingSettings {
  int32_t sensors = 5;
  double spike_share = 0;     // of readings (not of motion)
  int32_t hot_sensors = 0;    // too high for a while: the first ones
  int32_t stuck_sensors = 0;  // the last ones, before those with gaps
  int32_t gap_sensors = 0;    // the last ones
};

class BuildingSource final : public FleetSource {
 public:
  BuildingSource(const BuildingSettings& building, const FleetSettings& settings,
                 std::vector<int32_t> partition_counts);
  void WriteAccount(AccountText* text) const override;

 protected:
  bool Step(int64_t second, Delivery* delivery) override;

 private:
  struct Sensor {
    std::string name;
    std::string building;
    int32_t kind = 0;
    int64_t interval_ms = 0;
    int64_t next_ms = 0;  // since the start
    bool hot = false;
    bool stuck = false;
    bool gaps = false;
    int64_t fault_from = 0;    // second; of gaps and heat: of each ten minutes
    int64_t fault_length = 0;  // seconds
    bool has_last = false;
    int32_t last = 0;
    SeededRandom random{0};
  };

  void Report(Sensor* sensor, Delivery* delivery);
  int32_t Draw(Sensor* sensor);

  BuildingSettings building_;
  std::vector<Sensor> sensors_;
  int64_t spikes_ = 0;
  int64_t degraded_ = 0;
  std::vector<std::string> hot_;
  std::vector<std::string> stuck_;
  std::vector<std::string> silent_;
};

}  // namespace millrace
