// A table of a million devices, as tools/bench/lookup.yaml has it: finding the devices of a batch
// of readings by their name, and taking a text or a number of what was found.
#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>

#include "engine/lookups/lookup.h"

namespace millrace {
namespace {

constexpr int64_t kDevices = 1'000'000;
constexpr int64_t kBatch = 2048;
constexpr size_t kBatches = 488;  // about as many readings as devices

std::string DeviceName(int64_t number) {
  char text[32];
  std::snprintf(text, sizeof(text), "dev-%04lld", static_cast<long long>(number));
  return text;
}

LookupSpec Spec() {
  LookupSpec spec;
  spec.name = "devices";
  for (const auto& [name, type] : {std::pair("device_id", Type::kText),
                                   {"room", Type::kText},
                                   {"correction", Type::kDouble}}) {
    SourceColumn column;
    column.field.name = name;
    column.field.type = type;
    spec.columns.push_back(std::move(column));
  }
  spec.key.push_back({"device_id", {}});
  return spec;
}

std::shared_ptr<arrow::Array> Names(const std::vector<int64_t>& numbers) {
  arrow::StringBuilder builder;
  for (const int64_t number : numbers) builder.Append(DeviceName(number)).Warn();
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<const LookupTable> MakeTable() {
  const LookupSpec spec = Spec();
  const LookupLayout layout = MakeLookupLayout(spec, {0, 1, 2});
  std::vector<int64_t> numbers;
  for (int64_t row = 0; row < kDevices; ++row) numbers.push_back(row * 7'919 % kDevices);
  arrow::StringBuilder rooms;
  arrow::DoubleBuilder corrections;
  LookupTableBuilder::Places places{"devices", {}};
  for (const int64_t number : numbers) {
    rooms.Append("room " + std::to_string(number % 5'000)).Warn();
    corrections.Append(double(number % 16) / 8).Warn();
    places.offsets.push_back(number);
  }
  LookupTableBuilder builder(layout, {}, LookupTableBuilder::Kind::kTable);
  const auto batch = arrow::RecordBatch::Make(
      layout.schema.ToArrow(), kDevices,
      {Names(numbers), rooms.Finish().ValueOrDie(), corrections.Finish().ValueOrDie()});
  builder.Add(batch, std::move(places)).Warn();
  return builder.Finish().ValueOrDie();
}

const LookupSnapshot& Snapshot() {
  static const LookupSnapshot snapshot({MakeTable()}, kDevices);
  return snapshot;
}

// Batches of keys: devices at random.
const std::vector<std::shared_ptr<arrow::RecordBatch>>& Batches() {
  static const auto batches = [] {
    std::mt19937_64 random(1);
    std::vector<std::shared_ptr<arrow::RecordBatch>> made;
    const auto schema = arrow::schema({arrow::field("device_id", arrow::utf8())});
    for (size_t i = 0; i < kBatches; ++i) {
      std::vector<int64_t> numbers;
      for (int64_t row = 0; row < kBatch; ++row) {
        numbers.push_back(int64_t(random() % uint64_t(kDevices)));
      }
      made.push_back(arrow::RecordBatch::Make(schema, kBatch, {Names(numbers)}));
    }
    return made;
  }();
  return batches;
}

void HashNames(benchmark::State& state) {
  const auto& batches = Batches();
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(LookupKeys::Make(batches[next++ % kBatches], nullptr).ValueOrDie());
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(HashNames);

void FindNames(benchmark::State& state) {
  const LookupSnapshot& snapshot = Snapshot();
  const auto& batches = Batches();
  size_t next = 0;
  for (auto _ : state) {
    const auto keys = LookupKeys::Make(batches[next++ % kBatches], nullptr).ValueOrDie();
    benchmark::DoNotOptimize(snapshot.Find(keys));
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(FindNames);

// After finding them; 1: texts, 2: numbers.
void FindAndTake(benchmark::State& state) {
  const LookupSnapshot& snapshot = Snapshot();
  const auto& batches = Batches();
  size_t next = 0;
  for (auto _ : state) {
    const auto keys = LookupKeys::Make(batches[next++ % kBatches], nullptr).ValueOrDie();
    const LookupMatches matches = snapshot.Find(keys);
    benchmark::DoNotOptimize(snapshot.Take(matches, {int(state.range(0))}).ValueOrDie());
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(FindAndTake)->Arg(1)->Arg(2);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
