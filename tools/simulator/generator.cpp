#include "tools/simulator/generator.h"

#include <algorithm>
#include <cstring>

#include "tools/simulator/partitioner.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Readings held back arrive up to this much later than what makes them late.
constexpr Micros kHeldBackSpread = minutes(5);
constexpr Micros kHeldBackMargin = seconds(10);
constexpr Micros kSlowMax = seconds(60);
constexpr Micros kFutureSpread = std::chrono::hours(24);

constexpr std::string_view kNotJsonTexts[] = {"ERR 0x1f sensor restarting", "\x01\x02\x03\xff",
                                              "OK\r\n"};

int64_t RingSize(const SmokeFleet& fleet) {
  const Micros longest = fleet.max_delay + fleet.pane + kHeldBackSpread + kHeldBackMargin;
  return longest.count() / kMicrosPerSecond + 70;
}

Status Bad(std::string_view what) { return UserError("bad_simulation", what); }

}  // namespace

Status CheckFleet(const SmokeFleet& fleet) {
  if (fleet.devices < 1 || fleet.devices > 1'000'000) return Bad("devices must be 1..1000000");
  const double special = fleet.late_share + fleet.malformed_share + fleet.future_share;
  for (double share : {fleet.null_share, fleet.late_share, fleet.malformed_share,
                       fleet.future_share, fleet.duplicate_share, special}) {
    if (!(share >= 0 && share <= 1)) {
      return Bad("shares must be 0..1, and late, malformed and future together at most 1");
    }
  }
  if (fleet.stuck_devices < 0 || fleet.gap_devices < 0 ||
      int64_t(fleet.stuck_devices) + fleet.gap_devices > fleet.devices) {
    return Bad("stuck and gap devices together must be at most the devices");
  }
  if (!(fleet.fires_per_device_day >= 0 && fleet.fires_per_device_day <= 1000)) {
    return Bad("fires per device and day must be 0..1000");
  }
  if (fleet.max_delay < Micros(0) || fleet.max_delay > std::chrono::hours(24)) {
    return Bad("max_delay must be 0..24h");
  }
  if (fleet.pane < milliseconds(1) || fleet.pane > std::chrono::hours(24)) {
    return Bad("pane must be 1ms..24h");
  }
  if (fleet.max_future < Micros(0)) return Bad("max_future must not be negative");
  if (fleet.start < EventTime(Micros(0)) || fleet.start > EventTime(std::chrono::days(36'500))) {
    return Bad("start must lie between 1970 and 2069");
  }
  return Status::OK();
}

SmokeGenerator::SmokeGenerator(const SmokeFleet& fleet, int32_t partition_count)
    : fleet_(fleet),
      random_(fleet.seed),
      rule_(fleet.max_delay, fleet.pane, fleet.max_future, partition_count),
      arriving_(size_t(RingSize(fleet))) {
  devices_.reserve(size_t(fleet.devices));
  // The last devices are the ones with a fault: stuck ones first, then those with gaps.
  const int32_t first_gap = fleet.devices - fleet.gap_devices;
  const int32_t first_stuck = first_gap - fleet.stuck_devices;
  for (int32_t index = 0; index < fleet.devices; ++index) {
    DeviceBehaviour behaviour;
    behaviour.fires_per_day = fleet.fires_per_device_day;
    behaviour.gaps = index >= first_gap;
    behaviour.stuck = index >= first_stuck && !behaviour.gaps;
    devices_.emplace_back(index, fleet.seed, behaviour);
    const std::string& name = devices_.back().name();
    partition_of_.push_back(PartitionOfKey(name, partition_count));
    if (behaviour.stuck) account_.stuck_devices.push_back(name);
    if (behaviour.gaps) account_.gap_devices.push_back(name);
    if (fleet.devices <= kDeviceAccountsMax) account_.devices.push_back({.device = name});
  }
  account_.partitions.resize(size_t(partition_count));
  next_device_ = fleet.devices;
}

std::optional<SimulatedRecord> SmokeGenerator::Next() {
  while (true) {
    if (next_due_ < due_.size()) return Send(due_[next_due_++]);
    Pending now;
    if (StepDevice(&now)) return Send(now);
    if (next_device_ == fleet_.devices) StepSecond();
  }
}

void SmokeGenerator::StepSecond() {
  ++second_;
  due_.clear();
  std::swap(due_, arriving_[size_t(second_ % int64_t(arriving_.size()))]);
  next_due_ = 0;
  next_device_ = 0;
}

// False also when the reading of the device is under way or the device is silent.
bool SmokeGenerator::StepDevice(Pending* now) {
  if (next_device_ == fleet_.devices) return false;
  const int32_t index = next_device_++;
  SmokeDevice& device = devices_[size_t(index)];
  if (!device.Step(second_, &now->reading.values)) return false;
  now->device = index;
  now->kind = DrawKind();
  now->draw = uint32_t(random_.Next() >> 32);
  now->reading.event_time = fleet_.start + seconds(second_) + device.phase();
  if (fleet_.null_share > 0) {
    for (int column = 0; column < kSmokeColumnCount; ++column) {
      now->reading.null_mask |= uint32_t(random_.Chance(fleet_.null_share)) << column;
    }
  }
  const Micros delay = DrawDelay(now->kind);
  now->record_time = now->reading.event_time + delay;
  if (now->kind == Kind::kFuture) {
    // The device's clock is ahead; the record's time is right. A minute more than the limit, so
    // that a second copy some seconds later is in the future as well.
    const Micros ahead =
        minutes(1) + Micros(int64_t(random_.Unit() * double(kFutureSpread.count())));
    now->reading.event_time =
        std::chrono::floor<milliseconds>(now->record_time + fleet_.max_future + ahead);
  }
  if (fleet_.duplicate_share > 0 && random_.Chance(fleet_.duplicate_share)) {
    Pending copy = *now;
    copy.second_copy = true;
    copy.record_time += milliseconds(1000 + random_.Below(4000));
    Keep(copy, SecondOf(copy.record_time));
  }
  // What arrives within a second of being measured counts as arriving in this one.
  if (delay < seconds(1)) return true;
  Keep(*now, SecondOf(now->record_time));
  return false;
}

SmokeGenerator::Kind SmokeGenerator::DrawKind() {
  double draw = random_.Unit();
  if ((draw -= fleet_.late_share) < 0) return Kind::kHeldBack;
  if ((draw -= fleet_.future_share) < 0) return Kind::kFuture;
  if (draw >= fleet_.malformed_share) return Kind::kReading;
  static constexpr Kind kMalformed[] = {Kind::kTruncated, Kind::kNotJson, Kind::kWrongType};
  return kMalformed[random_.Below(3)];
}

Micros SmokeGenerator::DrawDelay(Kind kind) {
  if (kind == Kind::kHeldBack) {
    const Micros spread(int64_t(random_.Unit() * double(kHeldBackSpread.count())));
    return std::chrono::floor<milliseconds>(fleet_.max_delay + fleet_.pane + kHeldBackMargin +
                                            spread);
  }
  const uint64_t draw = random_.Next();
  const Micros slow_max = std::min(kSlowMax, fleet_.max_delay / 10);
  if (draw % 10 == 0 && slow_max > seconds(1)) {
    const uint64_t range = uint64_t((slow_max - seconds(1)) / milliseconds(1));
    return seconds(1) + milliseconds((draw >> 8) % range);
  }
  return milliseconds(20 + (draw >> 8) % 900);
}

int64_t SmokeGenerator::SecondOf(EventTime time) const {
  return (time - fleet_.start).count() / kMicrosPerSecond;
}

void SmokeGenerator::Keep(const Pending& pending, int64_t due_second) {
  // The present second's turn has begun: it arrives in the next one at the earliest.
  const int64_t due = std::max(due_second, second_ + 1);
  arriving_[size_t(due % int64_t(arriving_.size()))].push_back(pending);
}

SimulatedRecord SmokeGenerator::Send(const Pending& pending) {
  const SmokeDevice& device = devices_[size_t(pending.device)];
  const int32_t partition = partition_of_[size_t(pending.device)];
  size_t length = WriteReading(pending.reading, device.name(), device.location(), text_);
  length = Spoil(pending, length);
  Count(pending, partition);
  return {.partition = partition,
          .record_time = pending.record_time,
          .key = device.name(),
          .value = std::string_view(text_, length)};
}

// Every strict prefix of an object is invalid JSON.
size_t SmokeGenerator::Spoil(const Pending& pending, size_t length) {
  if (pending.kind == Kind::kTruncated) return 1 + pending.draw % (length - 1);
  if (pending.kind == Kind::kNotJson) {
    const std::string_view text = kNotJsonTexts[pending.draw % std::size(kNotJsonTexts)];
    std::memcpy(text_, text.data(), text.size());
    return text.size();
  }
  if (pending.kind != Kind::kWrongType) return length;
  const std::string_view key = SmokeColumns()[kTemperature].literal;
  char* const end = text_ + length;
  char* const value = std::search(text_, end, key.begin(), key.end()) + key.size();
  char* const rest = std::find(value, end, ',');
  constexpr std::string_view kText = "\"overheated\"";
  const size_t rest_size = size_t(end - rest);
  std::memmove(value + kText.size(), rest, rest_size);
  std::memcpy(value, kText.data(), kText.size());
  return size_t(value - text_) + kText.size() + rest_size;
}

void SmokeGenerator::Count(const Pending& pending, int32_t partition) {
  SmokeAccount& account = account_;
  ++account.readings;
  ++account.partitions[size_t(partition)];
  account.held_back += pending.kind == Kind::kHeldBack;
  account.duplicates += pending.second_copy;
  DeviceAccount* device =
      account.devices.empty() ? nullptr : &account.devices[size_t(pending.device)];
  if (device != nullptr) ++device->readings;
  switch (pending.kind) {
    case Kind::kTruncated:
      ++account.truncated;
      return;
    case Kind::kNotJson:
      ++account.not_json;
      return;
    case Kind::kWrongType:
      ++account.wrong_type;
      return;
    default:
      break;
  }
  const SmokeReading& reading = pending.reading;
  const auto verdict = rule_.Judge(partition, reading.event_time, pending.record_time);
  account.late += verdict == LatenessRule::Verdict::kLate;
  account.future += verdict == LatenessRule::Verdict::kFuture;
  if (verdict != LatenessRule::Verdict::kCounted) return;
  ++account.counted;
  const bool alarm = reading.values[kFireAlarm] == 1 && !reading.is_null(kFireAlarm);
  account.fire_alarms += alarm;
  if (device != nullptr) {
    ++device->counted;
    device->fire_alarms += alarm;
  }
  if (reading.null_mask != 0) {
    for (int c = 0; c < kSmokeColumnCount; ++c) account.nulls[size_t(c)] += reading.is_null(c);
  }
  account.first_event_time = std::min(account.first_event_time, reading.event_time);
  account.last_event_time = std::max(account.last_event_time, reading.event_time);
}

SmokeAccount SmokeGenerator::account() const {
  SmokeAccount account = account_;
  for (const SmokeDevice& device : devices_) {
    account.fires += device.fires_started();
    account.gaps += device.gaps_started();
  }
  return account;
}

}  // namespace millrace
