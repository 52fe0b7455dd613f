#include "tools/simulator/generator.h"

#include <arrow/scalar.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "tools/simulator/partitioner.h"
#include "tools/simulator/smoke.h"

namespace millrace {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr int32_t kPartitions = 4;

struct Sent {
  int32_t partition;
  EventTime record_time;
  std::string key;
  std::string value;
};

std::vector<Sent> Generate(const SmokeFleet& fleet, int64_t count, SmokeAccount* account) {
  EXPECT_TRUE(CheckFleet(fleet).ok());
  SmokeGenerator generator(fleet, kPartitions);
  std::vector<Sent> sent;
  for (int64_t i = 0; i < count; ++i) {
    const SimulatedRecord record = *generator.Next();
    sent.push_back(
        {record.partition, record.record_time, std::string(record.key), std::string(record.value)});
  }
  *account = generator.account();
  return sent;
}

SmokeFleet FaultyFleet() {
  SmokeFleet fleet;
  fleet.devices = 40;
  fleet.seed = 7;
  fleet.start = EventTime(seconds(1'700'000'000));
  fleet.late_share = 0.02;
  fleet.malformed_share = 0.01;
  fleet.future_share = 0.005;
  fleet.duplicate_share = 0.01;
  fleet.stuck_devices = 2;
  fleet.gap_devices = 3;
  fleet.fires_per_device_day = 24;
  return fleet;
}

// A value as an independent reader sees it; none: not a reading.
struct Parsed {
  std::string device;
  EventTime event_time;
  std::array<std::optional<double>, kSmokeColumnCount> values;
};

std::optional<Parsed> Parse(const std::string& text) {
  static simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(text).get(root) != simdjson::SUCCESS || !root.is_object()) return {};
  Parsed parsed;
  parsed.device = std::string(std::string_view(root["device_id"]));
  const std::string_view time = root["timestamp"];
  const auto scalar =
      arrow::Scalar::Parse(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), time).ValueOrDie();
  parsed.event_time = EventTime(Micros(static_cast<arrow::TimestampScalar&>(*scalar).value));
  for (int c = 0; c < kSmokeColumnCount; ++c) {
    const simdjson::dom::element value = root[SmokeColumns()[size_t(c)].name];
    if (value.is_null()) continue;
    double number = 0;
    if (value.get(number) != simdjson::SUCCESS) return {};
    parsed.values[size_t(c)] = number;
  }
  return parsed;
}

TEST(Generator, TheSameSeedGivesTheSameBytesAndAnotherDoesNot) {
  SmokeAccount account;
  SmokeFleet fleet = FaultyFleet();
  const auto first = Generate(fleet, 20'000, &account);
  const auto second = Generate(fleet, 20'000, &account);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_EQ(first[i].value, second[i].value);
    ASSERT_EQ(first[i].record_time, second[i].record_time);
    ASSERT_EQ(first[i].partition, second[i].partition);
  }
  fleet.seed = 8;
  EXPECT_NE(Generate(fleet, 1, &account)[0].value, first[0].value);
}

TEST(Generator, AccountEqualsACountFromTheBytesAlone) {
  const SmokeFleet fleet = FaultyFleet();
  SmokeAccount account;
  const auto sent = Generate(fleet, 120'000, &account);
  std::vector<std::vector<EventTime>> seen(kPartitions);
  int64_t malformed = 0, future = 0, late = 0, counted = 0, alarms = 0;
  std::map<std::string, int64_t> counted_of;
  std::array<int64_t, kSmokeColumnCount> nulls{};
  std::vector<EventTime> largest(kPartitions, kEventTimeMin);
  for (const Sent& record : sent) {
    const auto parsed = Parse(record.value);
    if (!parsed) {
      ++malformed;
      continue;
    }
    ASSERT_EQ(parsed->device, record.key);
    if (parsed->event_time - record.record_time > fleet.max_future) {
      ++future;
      continue;
    }
    // Late: the minute's end is no later than the watermark.
    EventTime& max = largest[size_t(record.partition)];
    const auto minute = std::chrono::floor<minutes>(parsed->event_time);
    const bool is_late = max != kEventTimeMin && minute + minutes(1) <= max - minutes(10);
    max = std::max(max, parsed->event_time);
    if (is_late) {
      ++late;
      continue;
    }
    ++counted;
    ++counted_of[parsed->device];
    alarms += parsed->values[kFireAlarm] == 1.0;
    for (size_t c = 0; c < nulls.size(); ++c) nulls[c] += !parsed->values[c].has_value();
  }
  EXPECT_EQ(account.readings, 120'000);
  EXPECT_EQ(account.malformed(), malformed);
  EXPECT_EQ(account.future, future);
  EXPECT_EQ(account.late, late);
  EXPECT_EQ(account.counted, counted);
  EXPECT_EQ(account.fire_alarms, alarms);
  EXPECT_EQ(account.nulls, nulls);
  EXPECT_EQ(malformed + future + late + counted, 120'000);
  for (const DeviceAccount& device : account.devices) {
    EXPECT_EQ(device.counted, counted_of[device.device]) << device.device;
  }
}

TEST(Generator, SharesAreKept) {
  const SmokeFleet fleet = FaultyFleet();
  SmokeAccount account;
  const int64_t count = 200'000;  // 5,000 s of 40 devices
  Generate(fleet, count, &account);
  const auto expect_share = [&](int64_t number, double share) {
    EXPECT_NEAR(double(number) / double(count), share, share * 0.15) << number;
  };
  expect_share(account.malformed(), 0.01);
  expect_share(account.future, 0.005);
  expect_share(account.duplicates, 0.01);
  for (int64_t nulls : account.nulls) expect_share(nulls, 0.02 * double(account.counted) / count);
  // Held-back readings are under way for 11 to 16 minutes of the run's 83.
  EXPECT_GT(account.late, int64_t(count * 0.02 * 0.75));
  EXPECT_LT(account.late, int64_t(count * 0.02));
  // What is held back comes late, save second copies.
  EXPECT_NEAR(double(account.late), double(account.held_back), double(account.late) * 0.01);
  EXPECT_GT(account.truncated, 0);
  EXPECT_GT(account.not_json, 0);
  EXPECT_GT(account.wrong_type, 0);
}

TEST(Generator, ACleanFleetIsCountedWholeThoughItsPartitionsAreOutOfOrder) {
  SmokeFleet fleet;
  fleet.start = EventTime(seconds(1'700'000'000));
  SmokeAccount account;
  const auto sent = Generate(fleet, 150'000, &account);
  EXPECT_EQ(account.counted, 150'000);
  int64_t out_of_order = 0;
  std::vector<EventTime> largest(kPartitions, kEventTimeMin);
  for (const Sent& record : sent) {
    EventTime& max = largest[size_t(record.partition)];
    const EventTime time = Parse(record.value)->event_time;
    out_of_order += time < max;
    max = std::max(max, time);
    EXPECT_GT(record.record_time, time);
    ASSERT_LE(record.record_time, time + minutes(1));
  }
  EXPECT_GT(out_of_order, 10'000);
}

TEST(Generator, EachDeviceReportsOnceASecondInItsPartition) {
  SmokeFleet fleet;
  fleet.devices = 5;
  fleet.start = EventTime(seconds(1'700'000'000));
  SmokeAccount account;
  std::map<std::string, std::set<EventTime>> times;
  for (const Sent& record : Generate(fleet, 5'000, &account)) {
    EXPECT_TRUE(times[record.key].insert(Parse(record.value)->event_time).second);
    EXPECT_EQ(record.partition, PartitionOfKey(record.key, kPartitions));
  }
  ASSERT_EQ(times.size(), 5u);
  for (const auto& [device, of_device] : times) {
    const EventTime first = *of_device.begin();
    EXPECT_LT(first - fleet.start, seconds(1));
    for (EventTime time : of_device) EXPECT_EQ((time - first) % seconds(1), Micros(0));
  }
}

TEST(Generator, StuckDevicesStopChangingAndGapDevicesAreSilent) {
  SmokeFleet fleet = FaultyFleet();
  fleet.null_share = 0;
  fleet.future_share = 0;
  SmokeAccount account;
  const auto sent = Generate(fleet, 150'000, &account);
  EXPECT_EQ(account.stuck_devices, (std::vector<std::string>{"dev-0035", "dev-0036"}));
  EXPECT_EQ(account.gap_devices, (std::vector<std::string>{"dev-0037", "dev-0038", "dev-0039"}));
  EXPECT_GE(account.gaps, 3);
  std::map<std::string, std::set<double>> temperatures;
  for (const Sent& record : sent) {
    const auto parsed = Parse(record.value);
    if (!parsed || parsed->event_time < fleet.start + seconds(700)) continue;
    temperatures[parsed->device].insert(*parsed->values[kTemperature]);
  }
  EXPECT_EQ(temperatures["dev-0035"].size(), 1u);
  EXPECT_EQ(temperatures["dev-0036"].size(), 1u);
  EXPECT_GT(temperatures["dev-0000"].size(), 20u);
  int64_t silent = 0;
  for (const DeviceAccount& device : account.devices) {
    silent += device.readings < account.devices[0].readings - 100;
  }
  EXPECT_EQ(silent, 3);
}

TEST(Generator, ValuesLieInTheDataSetsRangesAndFiresRaiseThem) {
  SmokeFleet fleet = FaultyFleet();
  SmokeAccount account;
  double hottest = 0, calm_hottest = 0;
  int64_t alarms = 0;
  for (const Sent& record : Generate(fleet, 200'000, &account)) {
    const auto parsed = Parse(record.value);
    if (!parsed) continue;
    const auto& values = parsed->values;
    const auto expect_within = [&](int column, double low, double high) {
      if (!values[size_t(column)]) return;
      ASSERT_GE(*values[size_t(column)], low) << record.value;
      ASSERT_LE(*values[size_t(column)], high) << record.value;
    };
    expect_within(kTemperature, -40, 125);
    expect_within(kHumidity, 0, 100);
    expect_within(kTvoc, 0, 60000);
    expect_within(kEco2, 400, 60000);
    expect_within(kPressure, 950, 1050);
    expect_within(kPm25, 0, 1000);
    const double temperature = values[kTemperature].value_or(0);
    hottest = std::max(hottest, temperature);
    if (values[kFireAlarm] == 1.0) ++alarms;
    if (values[kFireAlarm] == 0.0 && values[kTvoc].value_or(9999) < 700) {
      calm_hottest = std::max(calm_hottest, temperature);
    }
  }
  EXPECT_GT(account.fires, 10);
  EXPECT_GT(alarms, 1000);
  EXPECT_GT(hottest, 80);
  EXPECT_LT(calm_hottest, 40);
}

TEST(Generator, RefusesWhatMakesNoSense) {
  SmokeFleet fleet;
  fleet.start = EventTime(seconds(1));
  EXPECT_TRUE(CheckFleet(fleet).ok());
  fleet.devices = 0;
  EXPECT_EQ(ErrorDetail::Of(CheckFleet(fleet))->code(), "bad_simulation");
  fleet.devices = 3;
  fleet.stuck_devices = 2;
  fleet.gap_devices = 2;
  EXPECT_FALSE(CheckFleet(fleet).ok());
  fleet.gap_devices = 1;
  fleet.late_share = 0.6;
  fleet.future_share = 0.6;
  EXPECT_FALSE(CheckFleet(fleet).ok());
}

TEST(Simulate, StartsADayBackOrEarlier) {
  const EventTime now(seconds(1'700'000'000));
  EXPECT_EQ(FormatTimestamp(DefaultStart(now, seconds(0))), "2023-11-13T22:13:00.000000Z");
  EXPECT_LE(DefaultStart(now, seconds(1'000'000)) + seconds(1'000'000), now);
}

TEST(Simulate, AccountIsJson) {
  SmokeOptions options;
  options.target.topics = {"a\"b"};
  options.fleet = FaultyFleet();
  SmokeRun run;
  Generate(options.fleet, 1000, &run.account);
  simdjson::dom::parser parser;
  const std::string text = FormatAccount(options, run);
  const simdjson::dom::element root = parser.parse(text);
  EXPECT_EQ(int64_t(root["readings"]), 1000);
  EXPECT_EQ(std::string_view(root["options"]["topic"]), "a\"b");
  EXPECT_EQ(int64_t(root["devices"]["dev-0003"]["readings"]), run.account.devices[3].readings);
  EXPECT_EQ(bool(root["complete"]), false);
}

}  // namespace
}  // namespace millrace
