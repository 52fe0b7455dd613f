#include "tools/simulator/reading.h"

#include <gtest/gtest.h>

#include "tools/simulator/partitioner.h"

namespace millrace {
namespace {

SmokeReading FirstReading() {
  SmokeReading reading;
  reading.event_time = EventTime(Micros(1'654'733'331'007'000));
  reading.values = {-2131, 5706, 1128, 400, 13085, 20140, 939714, 5, 250, 12000, 45, 621, 7, 1};
  return reading;
}

std::string Written(const SmokeReading& reading) {
  char text[kReadingTextMax];
  return std::string(text, WriteReading(reading, "dev-0042", "building_a", text));
}

TEST(Reading, IsWrittenFieldByField) {
  EXPECT_EQ(Written(FirstReading()),
            R"({"UTC":1654733331,"timestamp":"2022-06-09T00:08:51.007Z","device_id":"dev-0042",)"
            R"("location":"building_a","Temperature[C]":-21.31,"Humidity[%]":57.06,)"
            R"("TVOC[ppb]":1128,"eCO2[ppm]":400,"Raw H2":13085,"Raw Ethanol":20140,)"
            R"("Pressure[hPa]":939.714,"PM1.0":0.05,"PM2.5":2.50,"NC0.5":120.00,"NC1.0":0.045,)"
            R"("NC2.5":0.621,"CNT":7,"Fire Alarm":1})");
}

TEST(Reading, NullsAndSmallNegativesAndTheNextSecond) {
  SmokeReading reading = FirstReading();
  reading.values[kTemperature] = -5;
  reading.null_mask = 1u << kHumidity | 1u << kFireAlarm;
  reading.event_time += std::chrono::hours(23) + std::chrono::minutes(51);
  const std::string text = Written(reading);
  EXPECT_NE(text.find(R"("timestamp":"2022-06-09T23:59:51.007Z")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("Temperature[C]":-0.05,"Humidity[%]":null,"TVOC[ppb]":1128)"),
            std::string::npos)
      << text;
  EXPECT_TRUE(text.ends_with(R"("CNT":7,"Fire Alarm":null})")) << text;
}

// The values of Kafka's own test of Utils.murmur2.
TEST(Partitioner, IsThatOfTheJavaClient) {
  EXPECT_EQ(int32_t(KafkaMurmur2("21")), -973932308);
  EXPECT_EQ(int32_t(KafkaMurmur2("foobar")), -790332482);
  EXPECT_EQ(int32_t(KafkaMurmur2("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(int32_t(KafkaMurmur2("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(int32_t(KafkaMurmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")), -58897971);
  EXPECT_EQ(int32_t(KafkaMurmur2("abc")), 479470107);
  EXPECT_EQ(PartitionOfKey("21", 7), int32_t((uint32_t(-973932308) & 0x7fffffffu) % 7));
}

}  // namespace
}  // namespace millrace
