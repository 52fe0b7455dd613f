#include "tools/simulator/device.h"

#include <algorithm>
#include <cstdio>

namespace millrace {
namespace {

constexpr int64_t kSecondsPerHour = 3600;
constexpr double kSecondsPerDay = 86400;
constexpr int64_t kFireRise = 90;  // seconds to the full size, and from it back to nothing
constexpr int64_t kFireMin = 300;
constexpr int64_t kFireMax = 900;
constexpr double kAlarmAt = 0.25;  // of a fire's full size

int32_t ToFixed(double value, double scale, double low, double high) {
  const double scaled = std::clamp(value, low, high) * scale;
  return int32_t(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

// Four numbers in [-1, 1) from one draw.
void FourNoises(uint64_t bits, double* noises) {
  for (int i = 0; i < 4; ++i) noises[i] = double(int16_t(bits >> (16 * i))) * 0x1.0p-15;
}

// The mean gap is 1 / fires_per_day; drawn uniformly from 0 to twice that.
int64_t SecondsToNextFire(double fires_per_day, SeededRandom* random) {
  if (fires_per_day <= 0) return INT64_MAX / 2;
  return int64_t(random->Uniform(0, 2 * kSecondsPerDay / fires_per_day)) + 1;
}

}  // namespace

SmokeDevice::SmokeDevice(int32_t index, uint64_t seed, const DeviceBehaviour& behaviour)
    : behaviour_(behaviour), random_(seed ^ (uint64_t(uint32_t(index)) + 1) * 0xd1342543de82ef95) {
  char name[kDeviceNameMax];
  std::snprintf(name, sizeof(name), "dev-%04d", int(index));
  name_ = name;
  location_ = std::string("building_") + char('a' + index % 3);
  phase_ = std::chrono::milliseconds(random_.Below(1000));
  const auto walk = [&](double low, double high, double noise) {
    const double base = random_.Uniform(low, high);
    return Walk{base, base, noise};
  };
  // One device in forty hangs in a cold store, as a part of the data set was taken outdoors.
  const bool cold = random_.Below(40) == 0;
  temperature_ = cold ? walk(-10.2, -3, 0.05) : walk(17, 29, 0.05);
  humidity_ = walk(38, 58, 0.2);
  tvoc_ = walk(60, 500, 8);
  eco2_ = walk(400, 440, 3);
  h2_ = walk(12700, 13200, 8);
  ethanol_ = walk(19300, 20200, 12);
  // The buildings stand at different heights.
  static constexpr double kPressures[] = {1009, 994, 968};
  const double pressure = kPressures[index % 3];
  pressure_ = walk(pressure - 2, pressure + 2, 0.02);
  pm1_ = walk(0.9, 3.5, 0.08);
  stuck_from_ = 60 + random_.Below(600);
  gap_from_ = 120 + random_.Below(1200);
  gap_length_ = 120 + random_.Below(600);
  fire_from_ = SecondsToNextFire(behaviour_.fires_per_day, &random_);
  fire_length_ = kFireMin + random_.Below(uint32_t(kFireMax - kFireMin));
  fire_size_ = random_.Uniform(0.3, 1.0);
}

double SmokeDevice::FireIntensity(int64_t second) {
  if (second < fire_from_) return 0;
  const int64_t age = second - fire_from_;
  if (age >= fire_length_) {
    fire_from_ = second + SecondsToNextFire(behaviour_.fires_per_day, &random_);
    fire_length_ = kFireMin + random_.Below(uint32_t(kFireMax - kFireMin));
    fire_size_ = random_.Uniform(0.3, 1.0);
    return 0;
  }
  if (age == 0) ++fires_started_;
  const int64_t edge = std::min({age, fire_length_ - age, kFireRise});
  return double(edge) / double(kFireRise);
}

void SmokeDevice::StepWalks() {
  double noises[8];
  FourNoises(random_.Next(), noises);
  FourNoises(random_.Next(), noises + 4);
  temperature_.Step(noises[0]);
  humidity_.Step(noises[1]);
  tvoc_.Step(noises[2]);
  eco2_.Step(noises[3]);
  h2_.Step(noises[4]);
  ethanol_.Step(noises[5]);
  pressure_.Step(noises[6]);
  pm1_.Step(noises[7]);
}

bool SmokeDevice::Step(int64_t second, std::array<int32_t, kSmokeColumnCount>* values) {
  StepWalks();
  const double intensity = FireIntensity(second);
  ++count_;
  if (behaviour_.gaps) {
    const int64_t of_hour = second % kSecondsPerHour;
    const bool silent = of_hour >= gap_from_ && of_hour < gap_from_ + gap_length_;
    if (silent && !in_gap_) ++gaps_started_;
    in_gap_ = silent;
    if (silent) return false;
  }
  if (behaviour_.stuck && second > stuck_from_) {
    *values = last_;
    return true;
  }
  const double fire = intensity * fire_size_;
  const double pm1 = std::max(pm1_.value, 0.1) + fire * 180;
  auto& out = *values;
  out[kTemperature] = ToFixed(temperature_.value + fire * 75, 100, -40, 125);
  out[kHumidity] = ToFixed(humidity_.value - fire * 30, 100, 0, 100);
  out[kTvoc] = ToFixed(tvoc_.value + fire * 9000, 1, 0, 60000);
  out[kEco2] = ToFixed(eco2_.value + fire * 2400, 1, 400, 60000);
  out[kRawH2] = ToFixed(h2_.value - fire * 900, 1, 0, 60000);
  out[kRawEthanol] = ToFixed(ethanol_.value - fire * 2500, 1, 0, 60000);
  out[kPressure] = ToFixed(pressure_.value, 1000, 300, 1250);
  out[kPm1] = ToFixed(pm1, 100, 0, 15000);
  out[kPm25] = ToFixed(pm1 * 1.039, 100, 0, 15000);
  out[kNc05] = ToFixed(pm1 * 6.882, 100, 0, 60000);
  out[kNc1] = ToFixed(pm1 * 1.0733, 1000, 0, 60000);
  out[kNc25] = ToFixed(pm1 * 0.02426, 1000, 0, 60000);
  out[kCnt] = count_ - 1;
  out[kFireAlarm] = intensity >= kAlarmAt ? 1 : 0;
  last_ = out;
  return true;
}

}  // namespace millrace
