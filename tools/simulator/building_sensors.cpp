#include "tools/simulator/building_sensors.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "tools/simulator/account_text.h"
#include "tools/simulator/text.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

struct Kind {
  std::string_view type;
  std::string_view unit;
  double mean = 0;
  double deviation = 0;
  double heat = 0;  // added by a hot sensor
  double low = 0;   // what the sensor can measure
  double high = 0;
};
constexpr Kind kKinds[] = {{"temperature", "celsius", 20, 5, 22, -40, 125},
                           {"humidity", "percent", 50, 15, 35, 0, 100},
                           {"pressure", "hPa", 1013, 10, 30, 300, 1250},
                           {"motion", "boolean", 0, 0, 0, 0, 1}};
constexpr int32_t kMotion = 3;
constexpr int64_t kFaultPeriodSeconds = 600;
constexpr size_t kMessageMax = 256;

// Twelve uniform numbers make a normal one, near enough: deviation 1, at most 6 from 0.
double Normal(SeededRandom* random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random->Unit();
  return sum;
}

std::string Message(const Delivery::Way& way, std::string_view sensor, const Kind& kind,
                    std::string_view building, int32_t value, bool motion, bool degraded) {
  char text[kMessageMax];
  char* out = PutText(text, "{\"sensor_id\":\"");
  out = PutText(out, sensor);
  out = PutText(out, "\",\"sensor_type\":\"");
  out = PutText(out, kind.type);
  out = PutText(out, "\",\"location\":\"");
  out = PutText(out, building);
  out = PutText(out, "\",\"value\":");
  if (way.wrong_type()) {
    out = PutText(out, "\"n/a\"");
  } else if (way.is_null) {
    out = PutText(out, "null");
  } else {
    out = PutFixed(out, value, motion ? 0 : 2);
  }
  out = PutText(out, ",\"unit\":\"");
  out = PutText(out, kind.unit);
  out = PutText(out, "\",\"timestamp\":\"");
  out = PutTime(out, way.event_time);
  out = PutText(out, degraded ? "\",\"quality\":\"degraded\"}" : "\",\"quality\":\"good\"}");
  return std::string(text, size_t(out - text));
}

}  // namespace

BuildingSource::BuildingSource(const BuildingSettings& building, const FleetSettings& settings,
                               std::vector<int32_t> partition_counts)
    : FleetSource(settings, std::move(partition_counts)), building_(building) {
  const int32_t first_gap = building.sensors - building.gap_sensors;
  const int32_t first_stuck = first_gap - building.stuck_sensors;
  sensors_.resize(size_t(building.sensors));
  for (int32_t n = 0; n < building.sensors; ++n) {
    Sensor& sensor = sensors_[size_t(n)];
    sensor.random = SeededRandom(settings.seed ^ (uint64_t(n) + 1) * 0xd1342543de82ef95);
    sensor.name = "sensor_" + std::to_string(n);
    sensor.building = std::string("building_") + char('a' + n % 3);
    sensor.kind = n % int32_t(std::size(kKinds));
    sensor.interval_ms = 500 + sensor.random.Below(1501);
    sensor.next_ms = sensor.random.Below(1000);
    sensor.hot = n < building.hot_sensors;
    sensor.gaps = n >= first_gap;
    sensor.stuck = n >= first_stuck && !sensor.gaps;
    sensor.fault_from = 30 + sensor.random.Below(120);
    sensor.fault_length = 60 + sensor.random.Below(120);
    if (sensor.hot) hot_.push_back(sensor.name);
    if (sensor.stuck) stuck_.push_back(sensor.name);
    if (sensor.gaps) silent_.push_back(sensor.name);
  }
}

bool BuildingSource::Step(int64_t second, Delivery* delivery) {
  // Earliest first; a sensor may report twice in a second.
  while (true) {
    const auto next = std::ranges::min_element(sensors_, {}, &Sensor::next_ms);
    if (next->next_ms >= (second + 1) * 1000) return true;
    Report(&*next, delivery);
  }
}

int32_t BuildingSource::Draw(Sensor* sensor) {
  const Kind& kind = kKinds[sensor->kind];
  SeededRandom& random = sensor->random;
  if (sensor->kind == kMotion) return int32_t(random.Below(2));
  double value = kind.mean + kind.deviation * Normal(&random);
  const int64_t of_period = sensor->next_ms / 1000 % kFaultPeriodSeconds;
  const bool at_fault =
      of_period >= sensor->fault_from && of_period < sensor->fault_from + sensor->fault_length;
  if (sensor->hot && at_fault) value += kind.heat;
  if (random.Chance(building_.spike_share)) {
    value += (random.Below(2) == 0 ? -8 : 8) * kind.deviation;
    ++spikes_;
  }
  const double scaled = 100 * std::clamp(value, kind.low, kind.high);
  return int32_t(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

void BuildingSource::Report(Sensor* sensor, Delivery* delivery) {
  const int64_t at_ms = sensor->next_ms;
  const int64_t second = at_ms / 1000;
  const int64_t of_period = second % kFaultPeriodSeconds;
  int32_t value = Draw(sensor);
  const bool degraded = sensor->random.Below(4) == 0;
  sensor->next_ms += std::max<int64_t>(100, sensor->interval_ms - 500 + sensor->random.Below(1001));
  if (sensor->gaps && of_period >= sensor->fault_from &&
      of_period < sensor->fault_from + sensor->fault_length) {
    return;
  }
  if (sensor->stuck && second >= sensor->fault_from && sensor->has_last) value = sensor->last;
  sensor->last = value;
  sensor->has_last = true;
  degraded_ += degraded;
  const Delivery::Way way = delivery->Draw(start() + milliseconds(at_ms));
  delivery->Send(way, 0, sensor->name,
                 Message(way, sensor->name, kKinds[sensor->kind], sensor->building, value,
                         sensor->kind == kMotion, degraded));
}

void BuildingSource::WriteAccount(AccountText* text) const {
  text->Add("spikes", spikes_);
  text->Add("degraded", degraded_);
  text->AddList("hot_sensors", hot_);
  text->AddList("stuck_sensors", stuck_);
  text->AddList("gap_sensors", silent_);
}

namespace {

class BuildingSensorsProfile final : public Profile {
 public:
  std::string name() const override { return "building-sensors"; }
  std::string description() const override { return "Temperature, humidity, pressure, motion"; }
  DeliveryFaults default_faults() const override {
    DeliveryFaults faults;
    faults.max_delay = std::chrono::seconds(5);
    faults.pane = std::chrono::seconds(10);
    return faults;
  }
  int32_t default_partitions() const override { return 3; }

  void AddFlags(CLI::App* command) override {
    BuildingSettings& b = building_;
    command->add_option("--topic", topic_, "topic to fill")->capture_default_str();
    command->add_option("--sensors", b.sensors, "sensors, a reading each every 0.5 to 2 s")
        ->capture_default_str()
        ->check(CLI::Range(1, 100'000));
    command
        ->add_option("--spike-share", b.spike_share,
                     "share of readings eight deviations off (not of motion)")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    command
        ->add_option("--hot-sensors", b.hot_sensors,
                     "sensors whose values are far too high for 1 to 3 of each ten minutes")
        ->capture_default_str();
    command
        ->add_option("--stuck-sensors", b.stuck_sensors,
                     "sensors whose value stops changing in the first minutes")
        ->capture_default_str();
    command
        ->add_option("--gap-sensors", b.gap_sensors,
                     "sensors that are silent for 1 to 3 of each ten minutes")
        ->capture_default_str();
  }

  Status Check() const override {
    const BuildingSettings& b = building_;
    if (b.hot_sensors < 0 || b.stuck_sensors < 0 || b.gap_sensors < 0 ||
        int64_t(b.hot_sensors) + b.stuck_sensors + b.gap_sensors > b.sensors) {
      return UserError("bad_simulation",
                       "hot, stuck and gap sensors together must be at most the sensors");
    }
    return Status::OK();
  }

  std::vector<std::string> Topics() const override { return {topic_}; }

  // A reading each 1.25 s in the mean.
  Micros Covered(int64_t readings) const override {
    return milliseconds(1250 * readings / building_.sensors);
  }

  std::unique_ptr<FleetSource> Make(const FleetSettings& settings,
                                    std::vector<int32_t> partition_counts) const override {
    return std::make_unique<BuildingSource>(building_, settings, std::move(partition_counts));
  }

  void WriteOptions(AccountText* text) const override {
    text->AddText("topic", topic_);
    text->Add("sensors", building_.sensors);
    text->AddNumber("spike_share", building_.spike_share);
    text->Add("hot_sensors", building_.hot_sensors);
    text->Add("stuck_sensors", building_.stuck_sensors);
    text->Add("gap_sensors", building_.gap_sensors);
  }

 private:
  BuildingSettings building_;
  std::string topic_ = "iot-sensors";
};

}  // namespace

std::unique_ptr<Profile> MakeBuildingSensorsProfile() {
  return std::make_unique<BuildingSensorsProfile>();
}

}  // namespace millrace
