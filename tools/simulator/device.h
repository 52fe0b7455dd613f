// One simulated smoke detector: values that drift as the public data set's do (mean-reverting
// random walks around the device's own normal state; particle counts in the data set's fixed
// ratios to PM1.0), and fires that raise temperature, TVOC, eCO2, particles and the alarm for some
// minutes. Only + - * on doubles: the same seed gives the same values everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "tools/simulator/random.h"
#include "tools/simulator/reading.h"

namespace millrace {

// What a fleet does over time; seconds count from the run's start of event time.
struct DeviceBehaviour {
  double fires_per_day = 0;
  bool stuck = false;  // from some second on, every value stays what it was
  bool gaps = false;   // silent for some minutes of each hour
};

class SmokeDevice {
 public:
  SmokeDevice(int32_t index, uint64_t seed, const DeviceBehaviour& behaviour);

  const std::string& name() const { return name_; }          // "dev-0042"
  const std::string& location() const { return location_; }  // "building_a" .. "building_c"
  // Where in each second the device reports.
  Micros phase() const { return phase_; }

  // Moves on to `second` (each one, in order). False: the device is silent in it. `values` are
  // then not touched.
  bool Step(int64_t second, std::array<int32_t, kSmokeColumnCount>* values);

  // Counted over the steps so far.
  int64_t fires_started() const { return fires_started_; }
  int64_t gaps_started() const { return gaps_started_; }

 private:
  struct Walk {
    double base = 0;
    double value = 0;
    double noise = 0;  // largest change a second
    void Step(double unit) { value += 0.01 * (base - value) + noise * unit; }
  };

  double FireIntensity(int64_t second);
  void StepWalks();

  std::string name_;
  std::string location_;
  Micros phase_{0};
  DeviceBehaviour behaviour_;
  SeededRandom random_;
  Walk temperature_, humidity_, tvoc_, eco2_, h2_, ethanol_, pressure_, pm1_;
  int64_t stuck_from_ = 0;
  int64_t gap_from_ = 0;  // of each hour
  int64_t gap_length_ = 0;
  int64_t fire_from_ = 0;  // of the present or next fire
  int64_t fire_length_ = 0;
  double fire_size_ = 0;
  int64_t fires_started_ = 0;
  int64_t gaps_started_ = 0;
  bool in_gap_ = false;
  int32_t count_ = 0;
  std::array<int32_t, kSmokeColumnCount> last_{};
};

}  // namespace millrace
