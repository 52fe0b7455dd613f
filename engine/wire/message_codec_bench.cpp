// A batch of 2,048 rows of a key, ten doubles and hashes to another process: whole, and one in
// four.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>

#include "engine/wire/wire_testing.h"

namespace millrace {
namespace {

using testing::Must;

constexpr int64_t kRows = 2048;
const MessageEnvelope kEnvelope = {"meters", 7, Address(12), Address(3)};
constexpr MonotonicTime kNow = std::chrono::seconds(1);

std::shared_ptr<arrow::RecordBatch> Batch() {
  std::mt19937_64 random(42);
  arrow::FieldVector fields = {arrow::field("device_id", arrow::utf8())};
  arrow::ArrayVector columns;
  arrow::StringBuilder keys;
  for (int64_t row = 0; row < kRows; ++row) {
    char key[16];
    std::snprintf(key, sizeof(key), "dev-%04d", int(random() % 1000));
    Must(keys.Append(key));
  }
  columns.push_back(keys.Finish().ValueOrDie());
  for (int column = 0; column < 10; ++column) {
    arrow::DoubleBuilder values;
    for (int64_t row = 0; row < kRows; ++row) Must(values.Append(double(random() % 1000) / 8));
    fields.push_back(arrow::field("value_" + std::to_string(column), arrow::float64()));
    columns.push_back(values.Finish().ValueOrDie());
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), kRows, columns);
}

// Every `one_in`-th row or so, as hashes fall.
WireMessage Message(uint64_t one_in) {
  std::mt19937_64 random(7);
  DataFrame data;
  data.rows.batch = Batch();
  auto hashes = std::make_shared<std::vector<uint64_t>>();
  for (int64_t row = 0; row < kRows; ++row) {
    hashes->push_back(random());
    if (hashes->back() % one_in == 0) data.selection.push_back(uint32_t(row));
  }
  data.hashes = std::move(hashes);
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(data);
  frame->bytes = 200'000;
  return ChannelFrame{1, std::move(frame)};
}

// Arguments: protocol, one row in so many.
void Encode(benchmark::State& state) {
  const WireMessage message = Message(uint64_t(state.range(1)));
  MessageEncoder encoder(int32_t(state.range(0)));
  int64_t bytes = 0;
  for (auto _ : state) {
    bytes = encoder.Encode(kEnvelope, message, kNow).ValueOrDie()->size();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.counters["frame_bytes"] = double(bytes);
}

void Decode(benchmark::State& state) {
  const WireMessage message = Message(uint64_t(state.range(1)));
  MessageEncoder encoder(int32_t(state.range(0)));
  MessageDecoder decoder(int32_t(state.range(0)));
  // The first teaches the schema.
  decoder.Open(encoder.Encode(kEnvelope, message, kNow).ValueOrDie()).ValueOrDie();
  const auto bytes = encoder.Encode(kEnvelope, message, kNow).ValueOrDie();
  for (auto _ : state) {
    const OpenedMessage opened = decoder.Open(bytes).ValueOrDie();
    benchmark::DoNotOptimize(decoder.Decode(opened, kNow).ValueOrDie());
  }
  state.SetBytesProcessed(state.iterations() * bytes->size());
}

void EncodeCredit(benchmark::State& state) {
  MessageEncoder encoder(2);
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder.Encode(kEnvelope, Credit{1, 200'000}, kNow).ValueOrDie());
  }
}

void DecodeCredit(benchmark::State& state) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  const auto bytes = encoder.Encode(kEnvelope, Credit{1, 200'000}, kNow).ValueOrDie();
  for (auto _ : state) {
    const OpenedMessage opened = decoder.Open(bytes).ValueOrDie();
    benchmark::DoNotOptimize(decoder.Decode(opened, kNow).ValueOrDie());
  }
}

BENCHMARK(Encode)->ArgsProduct({{1, 2}, {1, 4}});
BENCHMARK(Decode)->ArgsProduct({{1, 2}, {1, 4}});
BENCHMARK(EncodeCredit);
BENCHMARK(DecodeCredit);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
