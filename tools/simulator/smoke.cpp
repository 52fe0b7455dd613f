#include "tools/simulator/smoke.h"

#include <optional>

#include "tools/simulator/account_text.h"

namespace millrace {
namespace {

std::string FormatDevices(const std::vector<DeviceAccount>& devices) {
  AccountText json(2);
  for (const DeviceAccount& device : devices) {
    json.Add(device.device, "{\"readings\": " + std::to_string(device.readings) +
                                ", \"counted\": " + std::to_string(device.counted) +
                                ", \"fire_alarms\": " + std::to_string(device.fire_alarms) + "}");
  }
  return json.Close();
}

std::string FormatOptions(const SmokeOptions& options) {
  const SmokeFleet& fleet = options.fleet;
  AccountText json(2);
  json.AddText("topic", options.target.topics[0]);
  json.Add("readings", options.readings);
  json.AddNumber("rate", options.rate);
  json.Add("devices", fleet.devices);
  json.Add("seed", std::to_string(fleet.seed));
  json.AddText("start", FormatTimestamp(fleet.start));
  json.AddNumber("null_share", fleet.null_share);
  json.AddNumber("late_share", fleet.late_share);
  json.AddNumber("malformed_share", fleet.malformed_share);
  json.AddNumber("future_share", fleet.future_share);
  json.AddNumber("duplicate_share", fleet.duplicate_share);
  json.Add("stuck_devices", fleet.stuck_devices);
  json.Add("gap_devices", fleet.gap_devices);
  json.AddNumber("fires_per_device_day", fleet.fires_per_device_day);
  json.AddText("max_delay", FormatDuration(fleet.max_delay));
  json.AddText("pane", FormatDuration(fleet.pane));
  json.AddText("max_future", FormatDuration(fleet.max_future));
  return json.Close();
}

void AddCounts(const SmokeAccount& account, AccountText* json) {
  json->Add("readings", account.readings);
  json->Add("counted", account.counted);
  json->Add("late", account.late);
  json->Add("future", account.future);
  json->Add("malformed", account.malformed());
  json->Add("truncated", account.truncated);
  json->Add("not_json", account.not_json);
  json->Add("wrong_type", account.wrong_type);
  json->Add("held_back", account.held_back);
  json->Add("duplicates", account.duplicates);
  json->Add("fire_alarms", account.fire_alarms);
  json->Add("fires", account.fires);
  json->Add("gaps", account.gaps);
}

}  // namespace

Result<SmokeRun> RunSmokeSimulator(const SmokeOptions& options, const Clock& clock) {
  ARROW_RETURN_NOT_OK(CheckFleet(options.fleet));
  std::optional<SmokeGenerator> generator;
  const auto make_source = [&](const std::vector<int32_t>& partition_counts) {
    return &generator.emplace(options.fleet, partition_counts[0]);
  };
  ARROW_ASSIGN_OR_RAISE(const SendOutcome outcome, SendRecords(options, make_source, clock));
  return SmokeRun{outcome, generator->account()};
}

std::string FormatAccount(const SmokeOptions& options, const SmokeRun& run) {
  const SmokeAccount& account = run.account;
  AccountText json(0);
  AddCounts(account, &json);
  if (account.counted > 0) {
    json.AddText("first_event_time", FormatTimestamp(account.first_event_time));
    json.AddText("last_event_time", FormatTimestamp(account.last_event_time));
  }
  AccountText nulls(2);
  for (int column = 0; column < kSmokeColumnCount; ++column) {
    nulls.Add(SmokeColumns()[size_t(column)].name, account.nulls[size_t(column)]);
  }
  json.Add("nulls", nulls.Close());
  json.AddList("stuck_devices", account.stuck_devices);
  json.AddList("gap_devices", account.gap_devices);
  json.AddList("partitions", account.partitions);
  json.Add("devices", FormatDevices(account.devices));
  json.Add("complete", run.complete ? "true" : "false");
  json.AddNumber("seconds", run.seconds);
  json.Add("options", FormatOptions(options));
  return json.Close() + "\n";
}

}  // namespace millrace
