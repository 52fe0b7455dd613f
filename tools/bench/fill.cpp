// bench-fill BROKERS TOPIC READINGS [DEVICES [HOT]]: makes a topic of four partitions and fills it
// with full-width smoke readings: 1,000 devices, event time one second a round from
// 2022-06-09T00:08:51Z, uniform values from a fixed seed. Fewer readings are a prefix of more.
// With HOT, every device reports in the first round, and after it only the first HOT do.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tools/simulator/partitioner.h"
#include "tools/simulator/random.h"
#include "tools/simulator/reading.h"
#include "tools/simulator/topic_producer.h"

namespace millrace {
namespace {

constexpr std::chrono::seconds kStart(1'654'733'331);

struct Range {
  int32_t low;
  int32_t high;  // exclusive
};
// In the columns' last written digits.
constexpr Range kRanges[kSmokeColumnCount] = {
    {1000, 4000},   {2000, 9000},     {0, 1200}, {400, 1500}, {11000, 14000},
    {15000, 21000}, {930000, 940000}, {0, 2000}, {0, 3000},   {0, 8000},
    {0, 15000},     {0, 5000},        {0, 1},    {0, 1},
};

void Draw(int64_t round, SeededRandom* random, SmokeReading* reading) {
  reading->event_time = EventTime(kStart + std::chrono::seconds(round) +
                                  std::chrono::milliseconds(random->Below(1000)));
  for (int column = 0; column < kSmokeColumnCount; ++column) {
    const Range& range = kRanges[column];
    reading->values[size_t(column)] =
        range.low + int32_t(random->Below(uint32_t(range.high - range.low)));
  }
  reading->values[kCnt] = int32_t(round);
  reading->values[kFireAlarm] = random->Below(20) == 0 ? 1 : 0;
}

Status Fill(const TopicTarget& target, int64_t readings, int32_t devices, int32_t hot) {
  ARROW_ASSIGN_OR_RAISE(auto producer, TopicProducer::Open(target));
  SeededRandom random(42);
  int64_t bytes = 0;
  SmokeReading reading;
  const int32_t partitions = producer->partition_counts()[0];
  char text[kReadingTextMax];
  char key[kDeviceNameMax];
  std::string location = "building_a";
  for (int64_t i = 0; i < readings; ++i) {
    const int64_t later = i - devices;
    const int32_t device = int32_t(later < 0 ? i : later % hot);
    const int64_t round = later < 0 ? 0 : 1 + later / hot;
    const int key_size = std::snprintf(key, sizeof(key), "dev-%04d", int(device));
    location.back() = char('a' + device % 3);
    Draw(round, &random, &reading);
    const std::string_view name(key, size_t(key_size));
    const size_t size = WriteReading(reading, name, location, text);
    bytes += int64_t(size);
    ARROW_RETURN_NOT_OK(producer->Produce(0, PartitionOfKey(name, partitions), name, {text, size},
                                          reading.event_time));
    if (i % 1024 == 0) ARROW_RETURN_NOT_OK(producer->Poll());
  }
  ARROW_RETURN_NOT_OK(producer->Flush(std::chrono::minutes(2)));
  std::printf("{\"readings\": %lld, \"bytes_per_reading\": %.1f}\n",
              static_cast<long long>(producer->acknowledged()),
              readings > 0 ? double(bytes) / double(readings) : 0.0);
  return Status::OK();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    std::fprintf(stderr, "usage: bench-fill BROKERS TOPIC READINGS [DEVICES [HOT]]\n");
    return 2;
  }
  const int64_t readings = std::atoll(argv[3]);
  const int32_t devices = argc > 4 ? std::atoi(argv[4]) : 1000;
  const int32_t hot = argc > 5 ? std::atoi(argv[5]) : devices;
  if (readings < 1 || devices < 1 || devices > 1'000'000 || hot < 1 || hot > devices) {
    std::fprintf(stderr,
                 "bench-fill: READINGS, DEVICES and HOT must be positive, HOT <= DEVICES\n");
    return 2;
  }
  millrace::TopicTarget target;
  target.brokers = argv[1];
  target.topics = {argv[2]};
  target.create = true;
  target.partitions = 4;
  const millrace::Status status = millrace::Fill(target, readings, devices, hot);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench-fill: %s\n", status.message().c_str());
  return 1;
}
