// A kind of simulated fleet, as the command `simulate` offers it: its flags, and the source of its
// records. To add one: a Profile, named in simulate_command.cpp.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "tools/simulator/delivery.h"
#include "tools/simulator/record.h"

namespace millrace {

class AccountText;

// What every fleet is told.
struct FleetSettings {
  uint64_t seed = 1;
  EventTime start{};  // event time of the first second; not before 1970
  DeliveryFaults faults;
};

// Second by second of event time. A fleet may end (after so many cycles); then all that is under
// way arrives.
class FleetSource : public RecordSource {
 public:
  FleetSource(const FleetSettings& settings, std::vector<int32_t> partition_counts);

  std::optional<SimulatedRecord> Next() final;

  const DeliveryAccount& delivered() const { return delivery_.account(); }
  // What the fleet itself has to tell.
  virtual void WriteAccount(AccountText* text) const = 0;

 protected:
  // Hands over to `delivery` what is measured in this second since the start, each one in order;
  // false: there is no such second.
  virtual bool Step(int64_t second, Delivery* delivery) = 0;
  EventTime start() const { return start_; }

 private:
  EventTime start_;
  Delivery delivery_;
  EventTime until_;
  int64_t second_ = 0;
  bool ended_ = false;
};

class Profile {
 public:
  virtual ~Profile() = default;
  virtual std::string name() const = 0;         // of the subcommand
  virtual std::string description() const = 0;  // in its help
  virtual DeliveryFaults default_faults() const = 0;
  virtual int32_t default_partitions() const = 0;

  // Flags besides the common ones; values are kept in the profile.
  virtual void AddFlags(CLI::App* command) = 0;
  // User error "bad_simulation" for what no single flag can check.
  virtual Status Check() const = 0;
  virtual std::vector<std::string> Topics() const = 0;
  // Event time that so many readings take, or where 0 the whole run if it ends by itself.
  virtual Micros Covered(int64_t readings) const = 0;
  virtual std::unique_ptr<FleetSource> Make(const FleetSettings& settings,
                                            std::vector<int32_t> partition_counts) const = 0;
  virtual void WriteOptions(AccountText* text) const = 0;
};

std::unique_ptr<Profile> MakeHydraulicsProfile();
std::unique_ptr<Profile> MakeBuildingSensorsProfile();
std::unique_ptr<Profile> MakeVehiclesProfile();

}  // namespace millrace
