#include "worker/reading_place.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

const TopicPartition kP3{"sensors", 3};

TEST(ReadingPlace, OneRecordOrReading) {
  EXPECT_EQ(PlaceOf({kP3, {1234}}), "sensors/3 offset 1234");
  EXPECT_EQ(PlaceOf({kP3, {1234}, {2}}), "sensors/3 offset 1234, reading 2");
  EXPECT_EQ(PlaceOf({kP3, {1234, 1234}, {0, 1}}), "sensors/3 offset 1234") << "both of one record";
}

TEST(ReadingPlace, SeveralRecordsInAnyOrder) {
  EXPECT_EQ(PlaceOf({kP3, {1300, 1200, 1399}}), "sensors/3 offsets 1200 to 1399");
}

TEST(ReadingPlace, OfNoneNothingIsTold) {
  EXPECT_EQ(PlaceOf({kP3, {}}), "");
  const Status boom = InternalError("exception", "boom");
  EXPECT_EQ(AtPlace(boom, "").message(), "boom");
  EXPECT_EQ(AtPlace(boom, "sensors/3 offset 1").message(), "sensors/3 offset 1: boom");
  EXPECT_TRUE(AtPlace(Status::OK(), "sensors/3 offset 1").ok());
}

}  // namespace
}  // namespace millrace
