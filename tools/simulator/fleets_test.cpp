// The fleets beside the smoke detectors: messages, account and faults, read by simdjson.
#include <arrow/scalar.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "tools/simulator/account_text.h"
#include "tools/simulator/building_sensors.h"
#include "tools/simulator/hydraulics.h"
#include "tools/simulator/partitioner.h"
#include "tools/simulator/vehicles.h"

namespace millrace {
namespace {

using std::chrono::seconds;

const EventTime kStart{seconds(1'700'000'040)};  // on a minute

struct Sent {
  int32_t topic;
  int32_t partition;
  EventTime record_time;
  std::string key;
  std::string value;
};

FleetSettings Settings() {
  FleetSettings settings;
  settings.seed = 7;
  settings.start = kStart;
  return settings;
}

FleetSettings Faulty() {
  FleetSettings settings = Settings();
  settings.faults.null_share = 0.02;
  settings.faults.late_share = 0.02;
  settings.faults.malformed_share = 0.01;
  settings.faults.future_share = 0.005;
  settings.faults.duplicate_share = 0.01;
  return settings;
}

std::vector<Sent> Take(RecordSource* source, int64_t count = INT64_MAX) {
  std::vector<Sent> sent;
  while (int64_t(sent.size()) < count) {
    const auto record = source->Next();
    if (!record) break;
    sent.push_back({record->topic, record->partition, record->record_time, std::string(record->key),
                    std::string(record->value)});
  }
  return sent;
}

EventTime TimeOf(std::string_view text) {
  const auto scalar =
      arrow::Scalar::Parse(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), text).ValueOrDie();
  return EventTime(Micros(static_cast<arrow::TimestampScalar&>(*scalar).value));
}

// A reading as an independent reader sees it; none: not one.
struct Parsed {
  std::map<std::string, std::string> texts;
  std::map<std::string, double> numbers;
  EventTime time;
  int64_t nulls = 0;
};

std::optional<Parsed> Parse(const std::string& text, std::string_view value,
                            std::string_view time) {
  static simdjson::dom::parser parser;
  simdjson::dom::object root;
  if (parser.parse(text).get(root) != simdjson::SUCCESS) return {};
  Parsed parsed;
  for (const auto& [key, member] : root) {
    std::string_view member_text;
    double number = 0;
    if (member.is_null()) {
      ++parsed.nulls;
    } else if (member.get(member_text) == simdjson::SUCCESS) {
      if (key == value) return {};
      parsed.texts[std::string(key)] = std::string(member_text);
    } else if (member.get(number) == simdjson::SUCCESS) {
      parsed.numbers[std::string(key)] = number;
    }
  }
  if (parsed.texts.contains(std::string(time))) {
    parsed.time = TimeOf(parsed.texts[std::string(time)]);
  }
  return parsed;
}

// Holds the account against a count from the bytes alone.
void ExpectAccount(const DeliveryAccount& account, const std::vector<Sent>& sent,
                   const DeliveryFaults& faults, std::string_view value, std::string_view time) {
  int64_t malformed = 0, future = 0, late = 0, counted = 0, nulls = 0;
  std::map<std::pair<int32_t, int32_t>, EventTime> largest;
  for (const Sent& record : sent) {
    const auto parsed = Parse(record.value, value, time);
    if (!parsed) {
      ++malformed;
      continue;
    }
    if (parsed->time - record.record_time > faults.max_future) {
      ++future;
      continue;
    }
    EventTime& max =
        largest.try_emplace({record.topic, record.partition}, kEventTimeMin).first->second;
    const EventTime pane_end = FloorTo(parsed->time, faults.pane) + faults.pane;
    const bool is_late = max != kEventTimeMin && pane_end <= max - faults.max_delay;
    max = std::max(max, parsed->time);
    late += is_late;
    counted += !is_late;
    nulls += is_late ? 0 : parsed->nulls;
  }
  EXPECT_EQ(account.readings, int64_t(sent.size()));
  EXPECT_EQ(account.malformed(), malformed);
  EXPECT_EQ(account.future, future);
  EXPECT_EQ(account.late, late);
  EXPECT_EQ(account.counted, counted);
  EXPECT_EQ(account.nulls, nulls);
  for (int64_t number : {malformed, future, late, counted, nulls, account.duplicates}) {
    EXPECT_GT(number, 0);
  }
}

void ExpectSame(const std::vector<Sent>& first, const std::vector<Sent>& second) {
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_EQ(first[i].value, second[i].value);
    ASSERT_EQ(first[i].record_time, second[i].record_time);
    ASSERT_EQ(first[i].topic, second[i].topic);
    ASSERT_EQ(first[i].partition, second[i].partition);
  }
}

std::vector<int32_t> HydraulicPartitions() {
  return std::vector<int32_t>(kHydraulicSensorCount + 1, 2);
}

std::vector<Sent> Hydraulics(const HydraulicSettings& hydraulics, const FleetSettings& settings) {
  HydraulicSource source(hydraulics, settings, HydraulicPartitions());
  return Take(&source);
}

TEST(Hydraulics, ACycleIs43680MessagesInOrderAndALabel) {
  const auto sent = Hydraulics({.rigs = 2, .cycles = 3, .pause_seconds = 2}, Settings());
  ASSERT_EQ(int64_t(sent.size()), 2 * 3 * (kMessagesPerCycle + 1));
  std::map<std::pair<std::string, std::string>, std::vector<double>> samples;
  std::map<std::pair<std::string, int>, EventTime> first;
  for (const Sent& record : sent) {
    EXPECT_EQ(record.partition, PartitionOfKey(record.key, 2));
    const auto parsed = Parse(record.value, "value", "timestamp");
    ASSERT_TRUE(parsed) << record.value;
    ASSERT_EQ(parsed->texts.at("rig"), record.key);
    if (record.topic == kHydraulicSensorCount) continue;
    const HydraulicSensorForm& form = HydraulicSensors()[size_t(record.topic)];
    ASSERT_EQ(parsed->texts.at("sensor"), form.name);
    ASSERT_EQ(parsed->numbers.at("sampling_rate_hz"), form.rate);
    samples[{record.key, std::string(form.name)}].push_back(parsed->numbers.at("sample_idx"));
    // Sample i of cycle c is measured i / rate seconds after the cycle's start.
    const EventTime expected =
        kStart + seconds(62 * int64_t(parsed->numbers.at("cycle"))) +
        Micros(int64_t(parsed->numbers.at("sample_idx")) * 1'000'000 / form.rate);
    ASSERT_EQ(parsed->time, expected) << record.value;
  }
  ASSERT_EQ(samples.size(), 34u);
  for (auto& [sensor, indexes] : samples) {
    const int64_t cycle = int64_t(indexes.size()) / 3;
    EXPECT_TRUE(cycle == 6000 || cycle == 600 || cycle == 60) << sensor.second;
    EXPECT_EQ(std::set<double>(indexes.begin(), indexes.end()).size(), size_t(cycle));
  }
}

TEST(Hydraulics, MessagesAreThoseOfTheOriginalWithARigAndUtc) {
  HydraulicSource source({.cycles = 1}, Settings(), HydraulicPartitions());
  const auto sent = Take(&source);
  const auto ps1 = std::ranges::find(sent, 0, &Sent::topic);
  EXPECT_TRUE(
      ps1->value.starts_with(R"({"rig":"rig-1","sensor":"PS1","cycle":0,"sample_idx":0,"value":)"))
      << ps1->value;
  EXPECT_TRUE(
      ps1->value.ends_with(R"(,"timestamp":"2023-11-14T22:14:00.000Z","sampling_rate_hz":100})"))
      << ps1->value;
  const auto label = std::ranges::find(sent, kHydraulicSensorCount, &Sent::topic);
  EXPECT_TRUE(label->value.starts_with(R"({"rig":"rig-1","cycle":0,"label_cooler":)"))
      << label->value;
  EXPECT_TRUE(label->value.ends_with(R"("timestamp":1700000099.999})")) << label->value;
}

TEST(Hydraulics, TheSameSeedGivesTheSameBytesAndTheAccountIsACountOfThem) {
  const HydraulicSettings hydraulics{.rigs = 2, .cycles = 2, .spike_share = 0.001};
  const FleetSettings settings = Faulty();
  HydraulicSource source(hydraulics, settings, HydraulicPartitions());
  const auto sent = Take(&source);
  ExpectSame(sent, Hydraulics(hydraulics, settings));
  std::vector<Sent> readings;
  for (const Sent& record : sent) {
    if (record.topic < kHydraulicSensorCount) readings.push_back(record);
  }
  DeliveryAccount account = source.delivered();
  const int64_t labels = int64_t(sent.size() - readings.size());
  EXPECT_EQ(labels, 4);
  EXPECT_EQ(account.topics.back(), labels);
  account.readings -= labels;
  account.counted -= labels;
  ExpectAccount(account, readings, settings.faults, "value", "timestamp");
}

TEST(Hydraulics, FaultsAreInTheValues) {
  HydraulicSettings hydraulics{.cycles = 4};
  const auto highest = [&](std::string_view sensor) {
    double high = 0;
    for (const Sent& record : Hydraulics(hydraulics, Settings())) {
      if (record.topic == kHydraulicSensorCount) continue;
      const auto parsed = Parse(record.value, "value", "timestamp");
      if (parsed->texts.at("sensor") == sensor) high = std::max(high, parsed->numbers.at("value"));
    }
    return high;
  };
  EXPECT_LT(highest("PS1"), 195);
  EXPECT_LT(highest("TS1"), 60);
  hydraulics.overpressure_share = 1;
  hydraulics.overheating_share = 1;
  EXPECT_GT(highest("PS1"), 300);
  EXPECT_GT(highest("TS1"), 100);
  EXPECT_LT(highest("PS4"), 10);
  hydraulics = {.cycles = 4, .spike_share = 0.001};
  EXPECT_GT(highest("PS4"), 60);
}

TEST(Hydraulics, StuckSensorsStopChangingAndGapSensorsAreSilent) {
  HydraulicSource source({.cycles = 4, .stuck_sensors = 1, .gap_sensors = 1}, Settings(),
                         HydraulicPartitions());
  std::set<double> stuck;
  int64_t silent = 0;
  for (const Sent& record : Take(&source)) {
    if (record.topic == 15) {  // CP
      const auto parsed = Parse(record.value, "value", "timestamp");
      if (parsed->time >= kStart + seconds(90)) stuck.insert(parsed->numbers.at("value"));
    }
    silent += record.topic == 16;  // SE
  }
  EXPECT_EQ(stuck.size(), 1u);
  EXPECT_LE(silent, 4 * 60 - 2 * 5);
  EXPECT_GE(silent, 4 * 60 - 2 * 30);
  AccountText text(0);
  source.WriteAccount(&text);
  const std::string account = text.Close();
  EXPECT_NE(account.find("\"stuck_sensors\": [\"rig-1 CP\"]"), std::string::npos) << account;
  EXPECT_NE(account.find("\"gap_sensors\": [\"rig-1 SE\"]"), std::string::npos) << account;
}

TEST(BuildingSensors, MessagesAreThoseOfTheOriginal) {
  BuildingSource source({.sensors = 8}, Settings(), {3});
  std::map<std::string, std::set<std::string>> kinds, buildings;
  std::map<std::string, std::vector<EventTime>> times;
  std::map<std::string, double> sums;
  int64_t degraded = 0;
  for (const Sent& record : Take(&source, 20'000)) {
    const auto parsed = Parse(record.value, "value", "timestamp");
    ASSERT_TRUE(parsed) << record.value;
    const std::string& sensor = parsed->texts.at("sensor_id");
    ASSERT_EQ(sensor, record.key);
    EXPECT_EQ(record.partition, PartitionOfKey(sensor, 3));
    kinds[sensor].insert(parsed->texts.at("sensor_type") + " " + parsed->texts.at("unit"));
    buildings[sensor].insert(parsed->texts.at("location"));
    times[sensor].push_back(parsed->time);
    sums[sensor] += parsed->numbers.at("value");
    degraded += parsed->texts.at("quality") == "degraded";
  }
  ASSERT_EQ(times.size(), 8u);
  EXPECT_EQ(kinds["sensor_5"], std::set<std::string>{"humidity percent"});
  EXPECT_EQ(kinds["sensor_7"], std::set<std::string>{"motion boolean"});
  EXPECT_EQ(buildings["sensor_5"], std::set<std::string>{"building_c"});
  EXPECT_NEAR(double(degraded), 5000, 300);
  EXPECT_NEAR(sums["sensor_0"] / double(times["sensor_0"].size()), 20, 0.5);
  EXPECT_NEAR(sums["sensor_1"] / double(times["sensor_1"].size()), 50, 1.5);
  EXPECT_NEAR(sums["sensor_2"] / double(times["sensor_2"].size()), 1013, 1);
  EXPECT_NEAR(sums["sensor_3"] / double(times["sensor_3"].size()), 0.5, 0.05);
  for (auto& [sensor, at] : times) {
    std::ranges::sort(at);
    for (size_t i = 1; i < at.size(); ++i) {
      EXPECT_GE(at[i] - at[i - 1], std::chrono::milliseconds(100)) << sensor;
      EXPECT_LE(at[i] - at[i - 1], std::chrono::milliseconds(2501)) << sensor;
    }
  }
}

TEST(BuildingSensors, TheAccountIsACountOfTheBytes) {
  FleetSettings settings = Faulty();
  settings.faults.max_delay = seconds(5);
  settings.faults.pane = seconds(10);
  const BuildingSettings building{
      .sensors = 20, .spike_share = 0.01, .hot_sensors = 1, .stuck_sensors = 1, .gap_sensors = 1};
  BuildingSource source(building, settings, {3});
  const auto sent = Take(&source, 30'000);
  BuildingSource again(building, settings, {3});
  ExpectSame(sent, Take(&again, 30'000));
  ExpectAccount(source.delivered(), sent, settings.faults, "value", "timestamp");
}

TEST(BuildingSensors, FaultsAreInTheValues) {
  BuildingSource source({.sensors = 8, .hot_sensors = 1, .stuck_sensors = 1, .gap_sensors = 1},
                        Settings(), {3});
  double hottest = 0;
  std::set<double> stuck;
  EventTime last{};
  Micros silent{};
  for (const Sent& record : Take(&source, 6'000)) {
    const auto parsed = Parse(record.value, "value", "timestamp");
    const double value = parsed->numbers.at("value");
    if (record.key == "sensor_0") hottest = std::max(hottest, value);
    if (record.key == "sensor_6" && parsed->time > kStart + seconds(160)) stuck.insert(value);
    if (record.key == "sensor_7") {
      if (last != EventTime{}) silent = std::max(silent, parsed->time - last);
      last = std::max(last, parsed->time);
    }
  }
  EXPECT_GT(hottest, 45);
  EXPECT_EQ(stuck.size(), 1u);
  EXPECT_GE(silent, seconds(59));
  EXPECT_LE(silent, seconds(184));
}

TEST(Vehicles, EachCarReportsOnceASecond) {
  VehicleSource source({}, Settings(), {4});
  std::map<std::string, std::vector<EventTime>> times;
  std::set<std::string> events;
  std::set<double> gears;
  for (const Sent& record : Take(&source, 10'000)) {
    const auto parsed = Parse(record.value, "speed", "event_time");
    ASSERT_TRUE(parsed) << record.value;
    ASSERT_EQ(std::to_string(int64_t(parsed->numbers.at("car_id"))), record.key);
    times[record.key].push_back(parsed->time);
    events.insert(parsed->texts.at("event_id"));
    gears.insert(parsed->numbers.at("gear"));
    EXPECT_LE(parsed->numbers.at("speed"), 200);
    EXPECT_LE(parsed->numbers.at("rpm"), 8000);
  }
  EXPECT_EQ(events.size(), 10'000u);
  EXPECT_EQ(events.begin()->size(), 36u);
  EXPECT_EQ(gears, (std::set<double>{1, 2, 3, 4, 5, 6, 7}));
  ASSERT_EQ(times.size(), 20u);
  for (const auto& [car, at] : times) {
    for (size_t i = 1; i < at.size(); ++i) {
      EXPECT_EQ((at[i] - at[0]) % seconds(1), Micros(0)) << car;
    }
  }
}

TEST(Vehicles, CarsHaveNineDigitsOfTheirOwn) {
  // What the tables of jobs/vehicle-telemetry hold.
  EXPECT_EQ(CarId(0), 100'000'007);
  EXPECT_EQ(CarId(1), 137'123'464);
  EXPECT_EQ(CarId(19), 805'345'690);
  std::set<int64_t> ids;
  for (int64_t n = 0; n < 100'000; ++n) ids.insert(CarId(n));
  EXPECT_EQ(ids.size(), 100'000u);
  EXPECT_GE(*ids.begin(), 100'000'000);
  EXPECT_LE(*ids.rbegin(), 999'999'999);
}

TEST(Vehicles, TheAccountIsACountOfTheBytes) {
  FleetSettings settings = Faulty();
  settings.faults.max_delay = seconds(60);
  settings.faults.pane = seconds(60);
  const VehicleSettings vehicles{.cars = 30, .stuck_cars = 1, .gap_cars = 1};
  VehicleSource source(vehicles, settings, {4});
  const auto sent = Take(&source, 30'000);
  VehicleSource again(vehicles, settings, {4});
  ExpectSame(sent, Take(&again, 30'000));
  ExpectAccount(source.delivered(), sent, settings.faults, "speed", "event_time");
}

TEST(Delivery, AReadingArrivesAfterItWasMeasuredAndWithinTheDelay) {
  VehicleSource source({}, Settings(), {4});
  int64_t out_of_order = 0;
  std::vector<EventTime> largest(4, kEventTimeMin);
  const auto sent = Take(&source, 20'000);
  for (const Sent& record : sent) {
    const EventTime time = Parse(record.value, "speed", "event_time")->time;
    EXPECT_GT(record.record_time, time);
    EXPECT_LE(record.record_time, time + seconds(1) + std::chrono::milliseconds(1));
    out_of_order += time < largest[size_t(record.partition)];
    largest[size_t(record.partition)] = std::max(largest[size_t(record.partition)], time);
  }
  EXPECT_GT(out_of_order, 200);
  EXPECT_EQ(source.delivered().counted, 20'000);
}

TEST(Delivery, RefusesWhatMakesNoSense) {
  DeliveryFaults faults;
  EXPECT_TRUE(CheckFaults(faults).ok());
  faults.late_share = 0.6;
  faults.future_share = 0.6;
  EXPECT_EQ(ErrorDetail::Of(CheckFaults(faults))->code(), "bad_simulation");
  faults = {};
  faults.pane = Micros(0);
  EXPECT_FALSE(CheckFaults(faults).ok());
}

}  // namespace
}  // namespace millrace
