#include "tools/simulator/simulate_command.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <string>
#include <utility>

#include "tools/simulator/account_text.h"
#include "tools/simulator/profile.h"
#include "tools/simulator/simulate_flags.h"
#include "tools/simulator/smoke.h"

namespace millrace {
namespace {

struct SmokeCommand {
  SmokeOptions options;
  CommonFlags flags;
  std::string topic = "smoke_sensor_data";

  Status Read(const Clock& clock) {
    SmokeFleet& fleet = options.fleet;
    ARROW_ASSIGN_OR_RAISE(const EventTimeFlags times, ReadCommonFlags(flags, &options));
    fleet.max_delay = times.max_delay;
    fleet.pane = times.pane;
    fleet.max_future = times.max_future;
    const Micros covered = std::chrono::seconds(options.readings / fleet.devices);
    ARROW_ASSIGN_OR_RAISE(fleet.start, ReadStart(flags, clock.Wall(), covered));
    options.target.topics = {topic};
    return CheckFleet(fleet);
  }

  Status Simulate(const Clock& clock) {
    return RunAndAccount(&options, flags, [&]() -> Result<std::string> {
      ARROW_ASSIGN_OR_RAISE(const SmokeRun run, RunSmokeSimulator(options, clock));
      return FormatAccount(options, run);
    });
  }
};

void AddSmokeFlags(CLI::App* smoke, SmokeFleet* fleet) {
  smoke->add_option("--devices", fleet->devices, "devices, one reading each a second of event time")
      ->default_val(fleet->devices)
      ->check(CLI::Range(1, 1'000'000));
  smoke
      ->add_option("--stuck-devices", fleet->stuck_devices,
                   "devices whose values stop changing after some minutes")
      ->capture_default_str();
  smoke
      ->add_option("--gap-devices", fleet->gap_devices,
                   "devices that are silent for some minutes of each hour")
      ->capture_default_str();
  smoke
      ->add_option("--fires-per-day", fleet->fires_per_device_day, "fire episodes a device and day")
      ->capture_default_str();
}

void AddSmokeCommand(CLI::App* simulate, int* exit_code) {
  CLI::App* smoke = simulate->add_subcommand("smoke", "A fleet of smoke detectors");
  const auto command = std::make_shared<SmokeCommand>();
  SmokeFleet& fleet = command->options.fleet;
  AddTargetFlags(smoke, &command->options.target, &command->flags);
  smoke->add_option("--topic", command->topic, "topic to fill")->capture_default_str();
  AddSendFlags(smoke, &command->options);
  AddTimeFlags(smoke, {fleet.max_delay, fleet.pane, fleet.max_future}, &fleet.seed,
               &command->flags);
  AddShareFlags(smoke, {&fleet.null_share, &fleet.late_share, &fleet.malformed_share,
                        &fleet.future_share, &fleet.duplicate_share});
  AddSmokeFlags(smoke, &fleet);
  smoke->callback([command, exit_code] {
    *exit_code = RunCommand([&](const Clock& clock) { return command->Read(clock); },
                            [&](const Clock& clock) { return command->Simulate(clock); });
  });
}

// Any other profile.
struct FleetCommand {
  std::unique_ptr<Profile> profile;
  FleetSettings settings;
  SendOptions options;
  CommonFlags flags;

  Status Read(const Clock& clock) {
    ARROW_ASSIGN_OR_RAISE(const EventTimeFlags times, ReadCommonFlags(flags, &options));
    settings.faults.max_delay = times.max_delay;
    settings.faults.pane = times.pane;
    settings.faults.max_future = times.max_future;
    ARROW_ASSIGN_OR_RAISE(settings.start,
                          ReadStart(flags, clock.Wall(), profile->Covered(options.readings)));
    if (settings.start < EventTime(Micros(0)) ||
        settings.start > EventTime(std::chrono::days(36'500))) {
      return UserError("bad_simulation", "start must lie between 1970 and 2069");
    }
    options.target.topics = profile->Topics();
    ARROW_RETURN_NOT_OK(CheckFaults(settings.faults));
    return profile->Check();
  }

  Status Simulate(const Clock& clock) {
    return RunAndAccount(&options, flags, [&]() -> Result<std::string> {
      std::unique_ptr<FleetSource> source;
      const auto make_source = [&](const std::vector<int32_t>& partition_counts) {
        source = profile->Make(settings, partition_counts);
        return source.get();
      };
      ARROW_ASSIGN_OR_RAISE(const SendOutcome outcome, SendRecords(options, make_source, clock));
      return Account(*source, outcome);
    });
  }

  std::string Account(const FleetSource& source, const SendOutcome& outcome) const {
    AccountText text(0);
    source.delivered().Write(&text);
    source.WriteAccount(&text);
    text.Add("complete", outcome.complete ? "true" : "false");
    text.AddNumber("seconds", outcome.seconds);
    AccountText told(2);
    profile->WriteOptions(&told);
    const DeliveryFaults& faults = settings.faults;
    told.Add("readings", options.readings);
    told.AddNumber("rate", options.rate);
    told.Add("seed", std::to_string(settings.seed));
    told.AddText("start", FormatTimestamp(settings.start));
    told.AddNumber("null_share", faults.null_share);
    told.AddNumber("late_share", faults.late_share);
    told.AddNumber("malformed_share", faults.malformed_share);
    told.AddNumber("future_share", faults.future_share);
    told.AddNumber("duplicate_share", faults.duplicate_share);
    told.AddText("max_delay", FormatDuration(faults.max_delay));
    told.AddText("pane", FormatDuration(faults.pane));
    told.AddText("max_future", FormatDuration(faults.max_future));
    text.Add("options", told.Close());
    return text.Close() + "\n";
  }
};

void AddFleetCommand(CLI::App* simulate, std::unique_ptr<Profile> profile, int* exit_code) {
  CLI::App* fleet = simulate->add_subcommand(profile->name(), profile->description());
  const auto command = std::make_shared<FleetCommand>();
  DeliveryFaults& faults = command->settings.faults;
  faults = profile->default_faults();
  command->options.target.partitions = profile->default_partitions();
  AddTargetFlags(fleet, &command->options.target, &command->flags);
  AddSendFlags(fleet, &command->options);
  AddTimeFlags(fleet, {faults.max_delay, faults.pane, faults.max_future}, &command->settings.seed,
               &command->flags);
  AddShareFlags(fleet, {&faults.null_share, &faults.late_share, &faults.malformed_share,
                        &faults.future_share, &faults.duplicate_share});
  profile->AddFlags(fleet);
  command->profile = std::move(profile);
  fleet->callback([command, exit_code] {
    *exit_code = RunCommand([&](const Clock& clock) { return command->Read(clock); },
                            [&](const Clock& clock) { return command->Simulate(clock); });
  });
}

}  // namespace

void AddSimulateCommand(CLI::App& app, int* exit_code) {
  CLI::App* simulate = app.add_subcommand("simulate", "Send simulated sensor readings to Kafka");
  simulate->require_subcommand(1);
  AddSmokeCommand(simulate, exit_code);
  AddFleetCommand(simulate, MakeHydraulicsProfile(), exit_code);
  AddFleetCommand(simulate, MakeBuildingSensorsProfile(), exit_code);
  AddFleetCommand(simulate, MakeVehiclesProfile(), exit_code);
}

}  // namespace millrace
