#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "engine/base/diagnostics.h"
#include "engine/base/ids.h"
#include "engine/base/natural_order.h"
#include "engine/base/status.h"
#include "engine/base/time.h"

namespace millrace {
namespace {

TEST(Status, ContextKeepsCodeAndDetail) {
  const Status status =
      WithContext(ExternalError("disk_full", "no space", Retry::kYes), "writing a");
  EXPECT_EQ(status.message(), "writing a: no space");
  ASSERT_NE(ErrorDetail::Of(status), nullptr);
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "disk_full");
  EXPECT_EQ(ErrorDetail::Of(status)->retry(), Retry::kYes);
  EXPECT_EQ(ErrorDetail::Of(Status::OK()), nullptr);
  EXPECT_EQ(ErrorDetail::Of(Status::Invalid("plain")), nullptr);
}

TEST(Status, ExceptionsBecomeStatuses) {
  const auto thrown = FromException(std::make_exception_ptr(std::out_of_range("map::at")));
  EXPECT_EQ(thrown.message(), "map::at");
  EXPECT_EQ(ErrorDetail::Of(thrown)->domain(), ErrorDomain::kInternal);
  EXPECT_EQ(ErrorDetail::Of(FromException(std::make_exception_ptr(std::bad_alloc())))->code(),
            "out_of_memory");
  EXPECT_EQ(ErrorDetail::Of(FromException(std::make_exception_ptr(7)))->code(), "exception");
}

TEST(NaturalOrder, NumbersCompareAsNumbers) {
  const std::vector<std::string> sorted = {"",
                                           "7",
                                           "07",
                                           "10",
                                           "a",
                                           "a-2",
                                           "a-2-b",
                                           "a2",
                                           "a10",
                                           "w-1",
                                           "w-01",
                                           "w-2",
                                           "w-2.9",
                                           "w-2.10",
                                           "wa",
                                           "x1",
                                           "x1000y",
                                           "x1001",
                                           "x99999999999999999999",
                                           "x100000000000000000000",
                                           "é"};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(NaturalLess(sorted[i], sorted[j]), i < j) << sorted[i] << " and " << sorted[j];
    }
  }
}

TEST(Time, FloorsBeforeTheEpochToo) {
  const auto at = [](int64_t micros) { return EventTime(Micros(micros)); };
  EXPECT_EQ(FloorTo(at(59'999'999), std::chrono::minutes(1)), at(0));
  EXPECT_EQ(FloorTo(at(60'000'000), std::chrono::minutes(1)), at(60'000'000));
  EXPECT_EQ(FloorTo(at(-1), std::chrono::minutes(1)), at(-60'000'000));
  EXPECT_EQ(FloorTo(at(-60'000'000), std::chrono::minutes(1)), at(-60'000'000));
  EXPECT_EQ(FloorTo(at(10), Micros(7), Micros(2)), at(9));
}

TEST(Time, FloorsStopAtTheLimits) {
  const auto at = [](int64_t micros) { return EventTime(Micros(micros)); };
  const Micros day = std::chrono::days(1);
  EXPECT_EQ(FloorTo(kEventTimeMin, day), kEventTimeMin);
  EXPECT_EQ(FloorTo(at(INT64_MIN + 1), Micros(1)), at(INT64_MIN + 1));
  EXPECT_EQ(FloorTo(kEventTimeMin, Micros(7), Micros(3)), kEventTimeMin);
  // 106751991 days and 14454775807 us: the start of the last day.
  EXPECT_EQ(FloorTo(kEventTimeMax, day), at(106'751'991LL * 86'400'000'000));
  EXPECT_EQ(FloorTo(at(-5), Micros(INT64_MAX)), at(-INT64_MAX));
  // The difference to the offset does not fit 64 bits.
  EXPECT_EQ(FloorTo(kEventTimeMax, Micros(10), Micros(-9)), at(INT64_MAX - 6));
}

TEST(Time, FormatsAsRfc3339WithMicroseconds) {
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(1'655'129'685'000'001))),
            "2022-06-13T14:14:45.000001Z");
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(-1))), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(FormatTimestamp(kEventTimeMax), "9223372036854775807");
  EXPECT_EQ(FormatTimestamp(kEventTimeMin), "-9223372036854775808");
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(253'402'300'799'999'999))),
            "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(253'402'300'800'000'000))), "253402300800000000");
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(-62'167'219'200'000'000))),
            "0000-01-01T00:00:00.000000Z");
  // The year 67559, of which 16 bits would say 2023.
  EXPECT_EQ(FormatTimestamp(EventTime(Micros(2'069'800'000'000'000'000))), "2069800000000000000");
}

TEST(Time, DurationsReadAndWriteBack) {
  EXPECT_EQ(ParseDuration("10m").ValueOrDie(), std::chrono::minutes(10));
  EXPECT_EQ(ParseDuration("1h30m").ValueOrDie(), std::chrono::minutes(90));
  EXPECT_EQ(ParseDuration("250ms").ValueOrDie(), std::chrono::milliseconds(250));
  EXPECT_EQ(ParseDuration("0").ValueOrDie(), Micros(0));
  EXPECT_EQ(FormatDuration(std::chrono::minutes(90)), "1h30m");
  EXPECT_EQ(FormatDuration(Micros(1'000'250)), "1s250us");
  for (const char* bad : {"", "m", "10", "10 m", "-5s", "5x", "99999999999999d"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
}

TEST(KeyGroups, EveryGroupHasOneTaskAndRangesAreContiguous) {
  for (int32_t parallelism : {1, 2, 7, 720}) {
    int32_t last = 0;
    for (int32_t group = 0; group < kKeyGroupCount; ++group) {
      const int32_t task = TaskOf(KeyGroup(group), parallelism).value();
      EXPECT_TRUE(task == last || task == last + 1);
      last = task;
    }
    EXPECT_EQ(last, parallelism - 1);
  }
}

TEST(Diagnostics, ShowsPlaceCaretAndNearestName) {
  Diagnostics diagnostics("job.yaml", "a: 1\n\u00e9xpr: temprature > 80\n");
  diagnostics.Error({2, 7}, "unknown column 'temprature'",
                    SuggestName("temprature", std::vector<std::string>{"humidity", "temperature"}));
  EXPECT_EQ(diagnostics.Render(),
            "job.yaml:2:7: error: unknown column 'temprature'; did you mean 'temperature'?\n"
            "     2 | \u00e9xpr: temprature > 80\n"
            "       |       ^\n");
  EXPECT_FALSE(diagnostics.ToStatus().ok());
}

TEST(Diagnostics, SuggestsNothingFarFetched) {
  const std::vector<std::string> names = {"temperature", "humidity"};
  EXPECT_EQ(NearestName("pressure", names), "");
  EXPECT_EQ(SuggestName("pressure", names), "known: temperature, humidity");
  EXPECT_EQ(NearestName("HUMIDTIY", names), "humidity");
}

}  // namespace
}  // namespace millrace
