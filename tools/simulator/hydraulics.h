// Hydraulic test rigs: 17 sensors at 100, 10 and 1 Hz over load cycles of 60 s, after the public
// data set "Condition monitoring of hydraulic systems" (UCI), and a label a cycle: the condition of
// cooler, valve, pump and accumulator, on which the values depend. 43,680 messages a rig and cycle.
//
// Faults: single samples of a pressure that jump by more than 50 bar; cycles with PS1 above 300 bar
// or TS1 above 100 degrees for some seconds; sensors that stop changing, or are silent for a while.
// Only + - * on doubles: the same seed gives the same values everywhere.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/simulator/profile.h"
#include "tools/simulator/random.h"

namespace millrace {

inline constexpr int kHydraulicSensorCount = 17;
inline constexpr int64_t kCycleSeconds = 60;
inline constexpr int64_t kMessagesPerCycle = 43'680;

struct HydraulicSensorForm {
  std::string_view name;
  int32_t rate = 1;      // Hz
  int32_t decimals = 0;  // digits after the point
  double idle = 0;       // without load, in good condition
  double load = 0;       // added under full load
  double noise = 0;      // largest difference from the true value
};
const std::array<HydraulicSensorForm, kHydraulicSensorCount>& HydraulicSensors();

struct HydraulicSettings {
  int32_t rigs = 1;
  int64_t cycles = 0;             // 0: without end
  int32_t pause_seconds = 0;      // between two cycles
  double spike_share = 0;         // of the samples of PS1 to PS6
  double overpressure_share = 0;  // of cycles
  double overheating_share = 0;   // of cycles
  int32_t stuck_sensors = 0;      // counted over all rigs
  int32_t gap_sensors = 0;
};

class HydraulicSource final : public FleetSource {
 public:
  // partition_counts: of the sensors' topics, in their order, and of the labels'.
  HydraulicSource(const HydraulicSettings& hydraulics, const FleetSettings& settings,
                  std::vector<int32_t> partition_counts);
  void WriteAccount(AccountText* text) const override;

 protected:
  bool Step(int64_t second, Delivery* delivery) override;

 private:
  // The labels of the data set.
  struct Condition {
    int32_t cooler = 100;       // percent: 3, 20, 100
    int32_t valve = 100;        // percent: 73, 80, 90, 100
    int32_t pump = 0;           // leakage: 0, 1, 2
    int32_t accumulator = 130;  // bar: 90, 100, 115, 130
    int32_t stable = 0;         // 1: the cycle was not yet stable
  };
  struct Sensor {
    bool stuck = false;
    bool gaps = false;
    int64_t stuck_from = 0;  // second since the start
    int64_t gap_from = 0;    // second of every second cycle
    int64_t gap_length = 0;
    bool has_last = false;
    int32_t last = 0;
  };
  struct Rig {
    std::string name;
    SeededRandom random{0};
    Condition condition;
    bool overpressure = false;
    bool overheating = false;
    std::array<Sensor, kHydraulicSensorCount> sensors;
  };

  void BeginCycle(Rig* rig);
  void StepSensor(Rig* rig, int index, int64_t second, Delivery* delivery);
  double TrueValue(const Rig& rig, int index, int64_t second, double fraction) const;
  void SendLabel(const Rig& rig, Delivery* delivery);

  HydraulicSettings hydraulics_;
  std::vector<Rig> rigs_;
  int64_t cycle_ = 0;
  int64_t in_cycle_ = 0;  // second of the present cycle; beyond its end: the pause
  int64_t labels_ = 0;
  int64_t spikes_ = 0;
  int64_t overpressures_ = 0;
  int64_t overheatings_ = 0;
  std::vector<std::string> stuck_;
  std::vector<std::string> silent_;
};

}  // namespace millrace
