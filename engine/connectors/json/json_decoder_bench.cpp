// Decoding of a full-width smoke reading: 329 bytes, 18 keys, 11 or 4 of them used.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>

#include "engine/connectors/json/json_decoder.h"

namespace millrace {
namespace {

std::vector<std::string> Messages(int count) {
  std::mt19937_64 random(42);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * double(random() >> 11) * (1.0 / 9007199254740992.0);
  };
  std::vector<std::string> messages;
  for (int i = 0; i < count; ++i) {
    char text[1024];
    const int size = std::snprintf(
        text, sizeof(text),
        "{\"UTC\":%d,\"timestamp\":\"2022-06-09T00:%02d:%02d.%03d\",\"device_id\":\"dev-%04d\","
        "\"location\":\"building_a\",\"Temperature[C]\":%.2f,\"Humidity[%%]\":%.2f,"
        "\"TVOC[ppb]\":%d,\"eCO2[ppm]\":%d,\"Raw H2\":%d,\"Raw Ethanol\":%d,"
        "\"Pressure[hPa]\":%.3f,\"PM1.0\":%.2f,\"PM2.5\":%.2f,\"NC0.5\":%.2f,\"NC1.0\":%.3f,"
        "\"NC2.5\":%.3f,\"CNT\":%d,\"Fire Alarm\":%d}",
        1654733331 + i / 1000, i / 60 % 60, i % 60, int(random() % 1000), i % 1000, uniform(10, 40),
        uniform(20, 90), int(uniform(0, 1200)), int(uniform(400, 1500)), int(uniform(11000, 14000)),
        int(uniform(15000, 21000)), uniform(930, 940), uniform(0, 20), uniform(0, 30),
        uniform(0, 80), uniform(0, 15), uniform(0, 5), i / 1000, int(uniform(0, 1) < 0.05));
    messages.emplace_back(text, size_t(size));
  }
  return messages;
}

SourceStreamSpec Spec() {
  SourceStreamSpec spec;
  const auto add = [&](std::string name, Type type, std::string from) {
    SourceColumn column;
    column.field.name = std::move(name);
    column.field.type = type;
    column.from = std::move(from);
    spec.columns.push_back(std::move(column));
  };
  add("device_id", Type::kText, "device_id");
  add("observed_at", Type::kTimestamp, "timestamp");
  add("fire_alarm", Type::kBigint, "Fire Alarm");
  for (const char* key : {"Temperature[C]", "Humidity[%]", "TVOC[ppb]", "eCO2[ppm]", "PM2.5",
                          "Pressure[hPa]", "Raw H2", "Raw Ethanol"}) {
    add(key, Type::kDouble, key);
  }
  EventTimeSpec event_time;
  event_time.column = "observed_at";
  spec.event_time = event_time;
  return spec;
}

const std::vector<int> kAllColumns = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
const std::vector<int> kFewColumns = {0, 1, 2, 3};

void Decode(benchmark::State& state, const std::vector<int>& used_columns, bool templates) {
  const auto messages = Messages(20'000);
  JsonDecoder decoder(Spec(), used_columns);
  decoder.set_templates(templates);
  JsonFailure failure;
  size_t next = 0;
  for (auto _ : state) {
    if (!decoder.Append(messages[next], &failure)) state.SkipWithError(failure.message.c_str());
    if (++next == messages.size()) next = 0;
    if (decoder.rows() == 2048) benchmark::DoNotOptimize(decoder.Finish().ValueOrDie());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Decode, ByTemplate, kAllColumns, true);
BENCHMARK_CAPTURE(Decode, FewByTemplate, kFewColumns, true);
BENCHMARK_CAPTURE(Decode, ByTokens, kAllColumns, false);

// What finding the tokens alone costs.
void Index(benchmark::State& state) {
  const auto messages = Messages(20'000);
  JsonDocument document;
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(document.Index(messages[next]));
    if (++next == messages.size()) next = 0;
  }
}
BENCHMARK(Index);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
