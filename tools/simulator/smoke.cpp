#include "tools/simulator/smoke.h"

#include <algorithm>
#include <thread>

namespace millrace {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kCheckEvery = 256;  // records between looks at the clock when unlimited
constexpr Micros kFlushMax = std::chrono::seconds(60);
constexpr Micros kFlushAfterStopMax = std::chrono::seconds(5);

double SecondsSince(MonotonicTime start, const Clock& clock) {
  return std::chrono::duration<double>(clock.Monotonic() - start).count();
}

// Sends until done or stopped; returns how many were sent.
class Pacer {
 public:
  Pacer(const SmokeOptions& options, const Clock& clock)
      : options_(options), clock_(clock), start_(clock.Monotonic()) {}

  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  // How many records may be sent now, after `sent`; waits a little when none.
  int64_t Allowance(int64_t sent) {
    const double elapsed = SecondsSince(start_, clock_);
    Report(sent, elapsed);
    int64_t allowed = kCheckEvery;
    if (options_.rate > 0) {
      allowed = std::min(allowed, int64_t(elapsed * options_.rate) - sent);
      if (allowed <= 0) std::this_thread::sleep_for(milliseconds(1));
    }
    if (options_.readings > 0) allowed = std::min(allowed, options_.readings - sent);
    return std::max<int64_t>(allowed, 0);
  }

  double seconds() const { return SecondsSince(start_, clock_); }

 private:
  void Report(int64_t sent, double elapsed) {
    if (!options_.progress || elapsed - reported_ < 0.1) return;
    reported_ = elapsed;
    options_.progress(sent, elapsed);
  }

  const SmokeOptions& options_;
  const Clock& clock_;
  MonotonicTime start_;
  double reported_ = 0;
};

class Json {
 public:
  explicit Json(int indent) : indent_(indent) {}
  void Add(std::string_view key, std::string_view raw) {
    text_ += text_.empty() ? "{\n" : ",\n";
    text_.append(size_t(indent_) + 2, ' ');
    text_.append("\"").append(key).append("\": ").append(raw);
  }
  void Add(std::string_view key, int64_t value) { Add(key, std::to_string(value)); }
  void AddText(std::string_view key, std::string_view value) { Add(key, Quote(value)); }
  void AddNumber(std::string_view key, double value) {
    char digits[40];
    std::snprintf(digits, sizeof(digits), "%.10g", value);
    Add(key, digits);
  }
  std::string Close() {
    if (text_.empty()) return "{}";
    return text_ + "\n" + std::string(size_t(indent_), ' ') + "}";
  }
  static std::string Quote(std::string_view value) {
    std::string quoted = "\"";
    for (char c : value) {
      if (uint8_t(c) < 0x20) continue;
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return quoted + "\"";
  }

 private:
  int indent_;
  std::string text_;
};

std::string List(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) text += (text.size() > 1 ? ", " : "") + Json::Quote(name);
  return text + "]";
}

std::string FormatDevices(const std::vector<DeviceAccount>& devices) {
  Json json(2);
  for (const DeviceAccount& device : devices) {
    json.Add(device.device, "{\"readings\": " + std::to_string(device.readings) +
                                ", \"counted\": " + std::to_string(device.counted) +
                                ", \"fire_alarms\": " + std::to_string(device.fire_alarms) + "}");
  }
  return json.Close();
}

std::string FormatOptions(const SmokeOptions& options) {
  const SmokeFleet& fleet = options.fleet;
  Json json(2);
  json.AddText("topic", options.target.topic);
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

void AddCounts(const SmokeAccount& account, Json* json) {
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

EventTime DefaultStart(EventTime now, int64_t readings, int32_t devices) {
  const Micros covered =
      std::chrono::seconds(readings / std::max(devices, 1)) + std::chrono::minutes(10);
  const Micros back = std::max<Micros>(std::chrono::hours(24), covered);
  return FloorTo(now - back, std::chrono::minutes(1));
}

Result<SmokeRun> RunSmokeSimulator(const SmokeOptions& options, const Clock& clock) {
  ARROW_RETURN_NOT_OK(CheckFleet(options.fleet));
  ARROW_ASSIGN_OR_RAISE(auto producer, TopicProducer::Open(options.target));
  SmokeGenerator generator(options.fleet, producer->partition_count());
  Pacer pacer(options, clock);
  int64_t sent = 0;
  while ((options.readings == 0 || sent < options.readings) && !pacer.stopped()) {
    for (int64_t left = pacer.Allowance(sent); left > 0; --left, ++sent) {
      const SimulatedRecord record = generator.Next();
      ARROW_RETURN_NOT_OK(
          producer->Produce(record.partition, record.key, record.value, record.record_time));
    }
    ARROW_RETURN_NOT_OK(producer->Poll());
  }
  const bool complete = options.readings > 0 && sent == options.readings;
  ARROW_RETURN_NOT_OK(producer->Flush(complete ? kFlushMax : kFlushAfterStopMax));
  if (options.progress) options.progress(sent, pacer.seconds());
  return SmokeRun{generator.account(), complete, pacer.seconds()};
}

std::string FormatAccount(const SmokeOptions& options, const SmokeRun& run) {
  const SmokeAccount& account = run.account;
  Json json(0);
  AddCounts(account, &json);
  if (account.counted > 0) {
    json.AddText("first_event_time", FormatTimestamp(account.first_event_time));
    json.AddText("last_event_time", FormatTimestamp(account.last_event_time));
  }
  Json nulls(2);
  for (int column = 0; column < kSmokeColumnCount; ++column) {
    nulls.Add(SmokeColumns()[size_t(column)].name, account.nulls[size_t(column)]);
  }
  json.Add("nulls", nulls.Close());
  json.Add("stuck_devices", List(account.stuck_devices));
  json.Add("gap_devices", List(account.gap_devices));
  std::string partitions;
  for (int64_t records : account.partitions) {
    partitions += (partitions.empty() ? "" : ", ") + std::to_string(records);
  }
  json.Add("partitions", "[" + partitions + "]");
  json.Add("devices", FormatDevices(account.devices));
  json.Add("complete", run.complete ? "true" : "false");
  json.AddNumber("seconds", run.seconds);
  json.Add("options", FormatOptions(options));
  return json.Close() + "\n";
}

}  // namespace millrace
