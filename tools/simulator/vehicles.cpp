#include "tools/simulator/vehicles.h"

#include <algorithm>
#include <utility>

#include "tools/simulator/account_text.h"
#include "tools/simulator/text.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kGapPeriodSeconds = 600;
constexpr size_t kMessageMax = 256;

char* PutHex(char* out, uint64_t value, int digits) {
  for (int i = digits; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
  return out + digits;
}

// A random UUID (version 4).
char* PutUuid(char* out, uint64_t high, uint64_t low) {
  high = (high & ~uint64_t(0xf000)) | 0x4000;
  low = (low & ~(uint64_t(3) << 62)) | uint64_t(1) << 63;
  out = PutHex(out, high >> 32, 8);
  *out++ = '-';
  out = PutHex(out, high >> 16 & 0xffff, 4);
  *out++ = '-';
  out = PutHex(out, high & 0xffff, 4);
  *out++ = '-';
  out = PutHex(out, low >> 48, 4);
  *out++ = '-';
  return PutHex(out, low & 0xffff'ffff'ffff, 12);
}

}  // namespace

VehicleSource::VehicleSource(const VehicleSettings& vehicles, const FleetSettings& settings,
                             std::vector<int32_t> partition_counts)
    : FleetSource(settings, std::move(partition_counts)), vehicles_(vehicles) {
  const int32_t first_gap = vehicles.cars - vehicles.gap_cars;
  const int32_t first_stuck = first_gap - vehicles.stuck_cars;
  cars_.resize(size_t(vehicles.cars));
  for (int32_t n = 0; n < vehicles.cars; ++n) {
    Car& car = cars_[size_t(n)];
    car.random = SeededRandom(settings.seed ^ (uint64_t(n) + 1) * 0xd1342543de82ef95);
    car.id = std::to_string(CarId(n));
    car.phase_ms = car.random.Below(1000);
    car.gaps = n >= first_gap;
    car.stuck = n >= first_stuck && !car.gaps;
    car.fault_from = 30 + car.random.Below(120);
    car.fault_length = 60 + car.random.Below(120);
    if (car.stuck) stuck_.push_back(car.id);
    if (car.gaps) silent_.push_back(car.id);
  }
  std::ranges::stable_sort(cars_, {}, &Car::phase_ms);
}

bool VehicleSource::Step(int64_t second, Delivery* delivery) {
  for (Car& car : cars_) {
    SeededRandom& random = car.random;
    const uint64_t id_high = random.Next(), id_low = random.Next();
    const int32_t speed = int32_t(random.Below(201));
    const int32_t rpm = int32_t(random.Below(8001));
    const int32_t gear = 1 + int32_t(random.Below(7));
    const int64_t of_period = second % kGapPeriodSeconds;
    if (car.gaps && of_period >= car.fault_from && of_period < car.fault_from + car.fault_length) {
      continue;
    }
    if (!car.stuck || second < car.fault_from) {
      car.speed = speed;
      car.rpm = rpm;
      car.gear = gear;
    }
    const Delivery::Way way =
        delivery->Draw(start() + seconds(second) + milliseconds(car.phase_ms));
    char text[kMessageMax];
    char* out = PutText(text, "{\"event_id\":\"");
    out = PutUuid(out, id_high, id_low);
    out = PutText(out, "\",\"event_time\":\"");
    out = PutTime(out, way.event_time);
    out = PutText(out, "\",\"car_id\":");
    out = PutText(out, car.id);
    out = PutText(out, ",\"speed\":");
    if (way.wrong_type()) {
      out = PutText(out, "\"fast\"");
    } else if (way.is_null) {
      out = PutText(out, "null");
    } else {
      out = PutUnsigned(out, uint64_t(car.speed));
    }
    out = PutText(out, ",\"rpm\":");
    out = PutUnsigned(out, uint64_t(car.rpm));
    out = PutText(out, ",\"gear\":");
    out = PutUnsigned(out, uint64_t(car.gear));
    *out++ = '}';
    delivery->Send(way, 0, car.id, std::string(text, size_t(out - text)));
  }
  return true;
}

void VehicleSource::WriteAccount(AccountText* text) const {
  text->AddList("stuck_cars", stuck_);
  text->AddList("gap_cars", silent_);
}

namespace {

class VehiclesProfile final : public Profile {
 public:
  std::string name() const override { return "vehicles"; }
  std::string description() const override { return "Cars: speed, engine speed and gear"; }
  DeliveryFaults default_faults() const override {
    DeliveryFaults faults;
    faults.max_delay = std::chrono::minutes(20);
    faults.pane = std::chrono::minutes(1);
    return faults;
  }
  int32_t default_partitions() const override { return 4; }

  void AddFlags(CLI::App* command) override {
    command->add_option("--topic", topic_, "topic to fill")->capture_default_str();
    command
        ->add_option("--cars", vehicles_.cars,
                     "cars, a reading each a second; the tables of the job know 20")
        ->capture_default_str()
        ->check(CLI::Range(1, 1'000'000));
    command
        ->add_option("--stuck-cars", vehicles_.stuck_cars,
                     "cars whose values stop changing in the first minutes")
        ->capture_default_str();
    command
        ->add_option("--gap-cars", vehicles_.gap_cars,
                     "cars that are silent for 1 to 3 of each ten minutes")
        ->capture_default_str();
  }

  Status Check() const override {
    if (vehicles_.stuck_cars < 0 || vehicles_.gap_cars < 0 ||
        int64_t(vehicles_.stuck_cars) + vehicles_.gap_cars > vehicles_.cars) {
      return UserError("bad_simulation", "stuck and gap cars together must be at most the cars");
    }
    return Status::OK();
  }

  std::vector<std::string> Topics() const override { return {topic_}; }
  Micros Covered(int64_t readings) const override { return seconds(readings / vehicles_.cars); }

  std::unique_ptr<FleetSource> Make(const FleetSettings& settings,
                                    std::vector<int32_t> partition_counts) const override {
    return std::make_unique<VehicleSource>(vehicles_, settings, std::move(partition_counts));
  }

  void WriteOptions(AccountText* text) const override {
    text->AddText("topic", topic_);
    text->Add("cars", vehicles_.cars);
    text->Add("stuck_cars", vehicles_.stuck_cars);
    text->Add("gap_cars", vehicles_.gap_cars);
  }

 private:
  VehicleSettings vehicles_;
  std::string topic_ = "sensors-sample";
};

}  // namespace

std::unique_ptr<Profile> MakeVehiclesProfile() { return std::make_unique<VehiclesProfile>(); }

}  // namespace millrace
