#include "tools/simulator/hydraulics.h"

#include <algorithm>
#include <utility>

#include "tools/simulator/account_text.h"
#include "tools/simulator/text.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kPs1 = 0;
constexpr int kPressureCount = 6;  // PS1 to PS6 come first
constexpr int kEps1 = 6;
constexpr int kFs1 = 7;
constexpr int kTs1 = 9;
constexpr int kTemperatureCount = 4;
constexpr int kVs1 = 13;
constexpr int kCe = 14;
constexpr int kCp = 15;
constexpr int kSe = 16;

// A fault's part of a cycle, seconds.
constexpr int64_t kOverpressureFrom = 30, kOverpressureEnd = 35;
constexpr int64_t kOverheatingFrom = 20, kOverheatingEnd = 50;
constexpr int64_t kMillisPerSecond = 1000;
constexpr size_t kMessageMax = 256;

// Load at the beginning of each second of a cycle; straight lines between.
double LoadAt(int64_t second) {
  if (second < 10) return 0.2;
  if (second < 20) return 1.0;
  if (second < 40) return 0.5;
  return 0.25;
}

template <size_t N>
int32_t OneOf(const int32_t (&values)[N], SeededRandom* random) {
  return values[random->Below(N)];
}

int32_t ToFixed(double value, int32_t decimals) {
  static constexpr double kScales[] = {1, 10, 100, 1000};
  const double scaled = value * kScales[decimals];
  return int32_t(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

std::string Message(const Delivery::Way& way, std::string_view rig,
                    const HydraulicSensorForm& sensor, int64_t cycle, int64_t sample,
                    int32_t value) {
  char text[kMessageMax];
  char* out = PutText(text, "{\"rig\":\"");
  out = PutText(out, rig);
  out = PutText(out, "\",\"sensor\":\"");
  out = PutText(out, sensor.name);
  out = PutText(out, "\",\"cycle\":");
  out = PutUnsigned(out, uint64_t(cycle));
  out = PutText(out, ",\"sample_idx\":");
  out = PutUnsigned(out, uint64_t(sample));
  out = PutText(out, ",\"value\":");
  if (way.wrong_type()) {
    out = PutText(out, "\"broken wire\"");
  } else if (way.is_null) {
    out = PutText(out, "null");
  } else {
    out = PutFixed(out, value, sensor.decimals);
  }
  out = PutText(out, ",\"timestamp\":\"");
  out = PutTime(out, way.event_time);
  out = PutText(out, "\",\"sampling_rate_hz\":");
  out = PutUnsigned(out, uint64_t(sensor.rate));
  *out++ = '}';
  return std::string(text, size_t(out - text));
}

}  // namespace

const std::array<HydraulicSensorForm, kHydraulicSensorCount>& HydraulicSensors() {
  static constexpr std::array<HydraulicSensorForm, kHydraulicSensorCount> kSensors = {{
      {"PS1", 100, 2, 150, 38, 0.8},
      {"PS2", 100, 2, 104, 15, 0.9},
      {"PS3", 100, 3, 1.9, 0.3, 0.05},
      {"PS4", 100, 3, 9.7, 0, 0.04},
      {"PS5", 100, 3, 9.8, 0, 0.03},
      {"PS6", 100, 3, 9.6, 0, 0.03},
      {"EPS1", 100, 1, 2350, 350, 8},
      {"FS1", 10, 3, 6.7, -1.5, 0.1},
      {"FS2", 10, 3, 10.2, 0, 0.03},
      {"TS1", 1, 3, 36, 1, 0.1},
      {"TS2", 1, 3, 41, 1, 0.1},
      {"TS3", 1, 3, 39, 1, 0.1},
      {"TS4", 1, 3, 31, 1, 0.1},
      {"VS1", 1, 3, 0.55, 0.1, 0.03},
      {"CE", 1, 3, 47, 0, 0.4},
      {"CP", 1, 3, 2.15, 0, 0.03},
      {"SE", 1, 3, 62, 5, 0.5},
  }};
  return kSensors;
}

HydraulicSource::HydraulicSource(const HydraulicSettings& hydraulics, const FleetSettings& settings,
                                 std::vector<int32_t> partition_counts)
    : FleetSource(settings, std::move(partition_counts)), hydraulics_(hydraulics) {
  rigs_.resize(size_t(hydraulics.rigs));
  // The last sensors are the ones with a fault: stuck ones first, then those with gaps.
  const int32_t sensors = hydraulics.rigs * kHydraulicSensorCount;
  const int32_t first_gap = sensors - hydraulics.gap_sensors;
  const int32_t first_stuck = first_gap - hydraulics.stuck_sensors;
  for (int32_t r = 0; r < hydraulics.rigs; ++r) {
    Rig& rig = rigs_[size_t(r)];
    rig.name = "rig-" + std::to_string(r + 1);
    rig.random = SeededRandom(settings.seed ^ (uint64_t(r) + 1) * 0xd1342543de82ef95);
    for (int32_t s = 0; s < kHydraulicSensorCount; ++s) {
      Sensor& sensor = rig.sensors[size_t(s)];
      const int32_t index = r * kHydraulicSensorCount + s;
      sensor.gaps = index >= first_gap;
      sensor.stuck = index >= first_stuck && !sensor.gaps;
      sensor.stuck_from = 20 + rig.random.Below(60);
      sensor.gap_from = 5 + rig.random.Below(20);
      sensor.gap_length = 5 + rig.random.Below(25);
      const std::string name = rig.name + " " + std::string(HydraulicSensors()[size_t(s)].name);
      if (sensor.stuck) stuck_.push_back(name);
      if (sensor.gaps) silent_.push_back(name);
    }
  }
}

void HydraulicSource::BeginCycle(Rig* rig) {
  static constexpr int32_t kCoolers[] = {3, 20, 100};
  static constexpr int32_t kValves[] = {73, 80, 90, 100};
  static constexpr int32_t kAccumulators[] = {90, 100, 115, 130};
  SeededRandom& random = rig->random;
  const bool changed = cycle_ == 0 || random.Below(3) == 0;
  if (changed) {
    rig->condition.cooler = OneOf(kCoolers, &random);
    rig->condition.valve = OneOf(kValves, &random);
    rig->condition.pump = int32_t(random.Below(3));
    rig->condition.accumulator = OneOf(kAccumulators, &random);
  }
  rig->condition.stable = changed ? 1 : 0;
  rig->overpressure = random.Chance(hydraulics_.overpressure_share);
  rig->overheating = random.Chance(hydraulics_.overheating_share);
  overpressures_ += rig->overpressure;
  overheatings_ += rig->overheating;
}

bool HydraulicSource::Step(int64_t second, Delivery* delivery) {
  if (in_cycle_ == 0) {
    if (hydraulics_.cycles > 0 && cycle_ == hydraulics_.cycles) return false;
    for (Rig& rig : rigs_) BeginCycle(&rig);
  }
  if (in_cycle_ < kCycleSeconds) {
    for (Rig& rig : rigs_) {
      for (int s = 0; s < kHydraulicSensorCount; ++s) StepSensor(&rig, s, second, delivery);
    }
  }
  ++in_cycle_;
  if (in_cycle_ == kCycleSeconds) {
    for (const Rig& rig : rigs_) SendLabel(rig, delivery);
  }
  if (in_cycle_ == kCycleSeconds + hydraulics_.pause_seconds) {
    ++cycle_;
    in_cycle_ = 0;
  }
  return true;
}

double HydraulicSource::TrueValue(const Rig& rig, int index, int64_t second,
                                  double fraction) const {
  const HydraulicSensorForm& form = HydraulicSensors()[size_t(index)];
  const double from = LoadAt(second), to = LoadAt((second + 1) % kCycleSeconds);
  double value = form.idle + form.load * (from + (to - from) * fraction);
  const Condition& condition = rig.condition;
  const double hot = condition.cooler == 3 ? 2 : condition.cooler == 20 ? 1 : 0;
  if (index < 2) value += 0.05 * (condition.accumulator - 130) - 3.0 * condition.pump;
  if (index == kEps1) value -= 40.0 * condition.pump;
  if (index == kFs1) value -= 0.4 * condition.pump;
  if (index >= kTs1 && index < kTs1 + kTemperatureCount) value += 10 * hot;
  if (index == kVs1) value += 0.002 * (100 - condition.valve) + 0.03 * hot;
  if (index == kCe) value -= 14 * hot;
  if (index == kCp) value -= 0.4 * hot;
  if (index == kSe) value -= 5.0 * condition.pump + 0.1 * (100 - condition.valve);
  if (index == kPs1 && rig.overpressure && second >= kOverpressureFrom &&
      second < kOverpressureEnd) {
    value += 170;
  }
  if (index == kTs1 && rig.overheating && second >= kOverheatingFrom && second < kOverheatingEnd) {
    value += 68;
  }
  return value;
}

void HydraulicSource::StepSensor(Rig* rig, int index, int64_t second, Delivery* delivery) {
  const HydraulicSensorForm& form = HydraulicSensors()[size_t(index)];
  Sensor& sensor = rig->sensors[size_t(index)];
  const bool silent = sensor.gaps && cycle_ % 2 == 0 && in_cycle_ >= sensor.gap_from &&
                      in_cycle_ < sensor.gap_from + sensor.gap_length;
  for (int64_t i = 0; i < form.rate; ++i) {
    const double fraction = double(i) / double(form.rate);
    const double noise = form.noise * (2 * rig->random.Unit() - 1);
    int32_t value = ToFixed(TrueValue(*rig, index, in_cycle_, fraction) + noise, form.decimals);
    if (index < kPressureCount && rig->random.Chance(hydraulics_.spike_share)) {
      value += ToFixed(60 + 60 * rig->random.Unit(), form.decimals);
      spikes_ += !silent;
    }
    if (silent) continue;
    if (sensor.stuck && second >= sensor.stuck_from && sensor.has_last) value = sensor.last;
    sensor.last = value;
    sensor.has_last = true;
    const Delivery::Way way =
        delivery->Draw(start() + seconds(second) + milliseconds(i * kMillisPerSecond / form.rate));
    delivery->Send(way, index, rig->name,
                   Message(way, rig->name, form, cycle_, in_cycle_ * form.rate + i, value));
  }
}

void HydraulicSource::SendLabel(const Rig& rig, Delivery* delivery) {
  // Known when the cycle is over. The time is a number, as the original has it.
  const int64_t cycle_start = cycle_ * (kCycleSeconds + hydraulics_.pause_seconds);
  const Delivery::Way way =
      delivery->Plain(start() + seconds(cycle_start + kCycleSeconds) - milliseconds(1));
  const int64_t millis = way.event_time.time_since_epoch().count() / 1000;
  const Condition& condition = rig.condition;
  char text[kMessageMax];
  char* out = PutText(text, "{\"rig\":\"");
  out = PutText(out, rig.name);
  out = PutText(out, "\",\"cycle\":");
  out = PutUnsigned(out, uint64_t(cycle_));
  for (const auto& [name, value] : {std::pair("cooler", condition.cooler),
                                    {"valve", condition.valve},
                                    {"pump", condition.pump},
                                    {"accumulator", condition.accumulator},
                                    {"stable", condition.stable}}) {
    out = PutText(out, ",\"label_");
    out = PutText(out, name);
    out = PutText(out, "\":");
    out = PutUnsigned(out, uint64_t(value));
  }
  out = PutText(out, ",\"timestamp\":");
  out = PutUnsigned(out, uint64_t(millis / kMillisPerSecond));
  *out++ = '.';
  out = PutPadded(out, uint32_t(millis % kMillisPerSecond), 3);
  *out++ = '}';
  ++labels_;
  delivery->Send(way, kHydraulicSensorCount, rig.name, std::string(text, size_t(out - text)));
}

void HydraulicSource::WriteAccount(AccountText* text) const {
  text->Add("labels", labels_);
  text->Add("spikes", spikes_);
  text->Add("overpressure_cycles", overpressures_);
  text->Add("overheating_cycles", overheatings_);
  text->AddList("stuck_sensors", stuck_);
  text->AddList("gap_sensors", silent_);
}

namespace {

class HydraulicsProfile final : public Profile {
 public:
  std::string name() const override { return "hydraulics"; }
  std::string description() const override {
    return "Hydraulic rigs: 17 sensors, a topic each, and labels";
  }
  DeliveryFaults default_faults() const override { return {}; }
  int32_t default_partitions() const override { return 1; }

  void AddFlags(CLI::App* command) override {
    HydraulicSettings& h = hydraulics_;
    command
        ->add_option("--topic-prefix", prefix_, "topics are this and a sensor's name, or `labels`")
        ->capture_default_str();
    command->add_option("--rigs", h.rigs, "rigs; the key of a message is its rig")
        ->capture_default_str()
        ->check(CLI::Range(1, 10'000));
    command
        ->add_option("--cycles", h.cycles,
                     "cycles of 60 s, 43,680 messages and a label each, a rig; 0: until Ctrl-C")
        ->capture_default_str()
        ->check(CLI::Range(int64_t(0), int64_t(1) << 40));
    command->add_option("--pause", h.pause_seconds, "seconds between two cycles")
        ->capture_default_str()
        ->check(CLI::Range(0, 86'400));
    const auto share = [&](const char* flag, double* value, const char* what) {
      command->add_option(flag, *value, what)->capture_default_str()->check(CLI::Range(0.0, 1.0));
    };
    share("--spike-share", &h.spike_share,
          "share of the samples of PS1 to PS6 that jump by 60 to 120 bar");
    share("--overpressure-share", &h.overpressure_share,
          "share of cycles with PS1 above 300 bar for 5 s");
    share("--overheating-share", &h.overheating_share,
          "share of cycles with TS1 above 100 degrees for 30 s");
    command
        ->add_option("--stuck-sensors", h.stuck_sensors,
                     "sensors whose value stops changing in the first minutes")
        ->capture_default_str();
    command
        ->add_option("--gap-sensors", h.gap_sensors,
                     "sensors that are silent for 5 to 30 s of every second cycle")
        ->capture_default_str();
  }

  Status Check() const override {
    if (hydraulics_.stuck_sensors < 0 || hydraulics_.gap_sensors < 0 ||
        int64_t(hydraulics_.stuck_sensors) + hydraulics_.gap_sensors >
            int64_t(hydraulics_.rigs) * kHydraulicSensorCount) {
      return UserError("bad_simulation", "stuck and gap sensors together must be at most 17 a rig");
    }
    return Status::OK();
  }

  std::vector<std::string> Topics() const override {
    std::vector<std::string> topics;
    for (const HydraulicSensorForm& sensor : HydraulicSensors()) {
      topics.push_back(prefix_ + std::string(sensor.name));
    }
    topics.push_back(prefix_ + "labels");
    return topics;
  }

  Micros Covered(int64_t readings) const override {
    const int64_t cycles = std::max(hydraulics_.cycles,
                                    readings / (kMessagesPerCycle * int64_t(hydraulics_.rigs)) + 1);
    return seconds(cycles * (kCycleSeconds + hydraulics_.pause_seconds));
  }

  std::unique_ptr<FleetSource> Make(const FleetSettings& settings,
                                    std::vector<int32_t> partition_counts) const override {
    return std::make_unique<HydraulicSource>(hydraulics_, settings, std::move(partition_counts));
  }

  void WriteOptions(AccountText* text) const override {
    text->AddText("topic_prefix", prefix_);
    text->Add("rigs", hydraulics_.rigs);
    text->Add("cycles", hydraulics_.cycles);
    text->Add("pause_seconds", hydraulics_.pause_seconds);
    text->AddNumber("spike_share", hydraulics_.spike_share);
    text->AddNumber("overpressure_share", hydraulics_.overpressure_share);
    text->AddNumber("overheating_share", hydraulics_.overheating_share);
    text->Add("stuck_sensors", hydraulics_.stuck_sensors);
    text->Add("gap_sensors", hydraulics_.gap_sensors);
  }

 private:
  HydraulicSettings hydraulics_;
  std::string prefix_ = "hydraulic-";
};

}  // namespace

std::unique_ptr<Profile> MakeHydraulicsProfile() { return std::make_unique<HydraulicsProfile>(); }

}  // namespace millrace
