// The hashes decide where state lives: they are held to values of another implementation of
// XXH3-64 (python-xxhash), so that no change goes unseen.
#include "engine/windows/key_hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "engine/windows/window_rows.h"

namespace millrace {
namespace {

std::vector<uint64_t> HashesOf(const std::vector<TestRow>& rows, const std::vector<int>& keys) {
  std::vector<uint64_t> hashes;
  const Status status = HashKeys(*ToBatch(rows), keys, &hashes);
  EXPECT_TRUE(status.ok()) << status;
  return hashes;
}

TestRow Row() {
  TestRow row;
  row.device = "sensor-1";
  row.x = 0.0;
  row.small = -3;
  row.big = 5;
  row.flag = true;
  row.seen_at = 5;
  return row;
}

TEST(HashKeys, IsXxh3OverTheCanonicalBytes) {
  const std::vector<TestRow> rows = {Row()};
  EXPECT_EQ(HashesOf(rows, {kDevice}), std::vector<uint64_t>{0xbb05c9a08b99653a});
  EXPECT_EQ(HashesOf(rows, {kBig}), std::vector<uint64_t>{0x8e03e9aa39aaa78c});
  EXPECT_EQ(HashesOf(rows, {kSeenAt}), std::vector<uint64_t>{0x8e03e9aa39aaa78c});
  EXPECT_EQ(HashesOf(rows, {kFlag}), std::vector<uint64_t>{0x2fbc593564db792e});
  EXPECT_EQ(HashesOf(rows, {kX}), std::vector<uint64_t>{0xc77b3abb6f87acd9});
  EXPECT_EQ(HashesOf(rows, {kDevice, kSmall}), std::vector<uint64_t>{0xca3640da93f43c89});
}

TEST(HashKeys, NullsHaveBytesOfTheirOwn) {
  TestRow null;
  TestRow empty;
  empty.device = "";
  EXPECT_EQ(HashesOf({null, empty}, {kDevice}),
            (std::vector<uint64_t>{0xe6a4067b88da9110, 0x2d06800538d394c2}));
  EXPECT_EQ(HashesOf({null}, {kBig}), std::vector<uint64_t>{0xe6a4067b88da9110});
}

TEST(HashKeys, NegativeZeroIsZeroAndAllNansAreOne) {
  std::vector<TestRow> rows(4);
  rows[0].x = -0.0;
  rows[1].x = std::numeric_limits<double>::quiet_NaN();
  rows[2].x = -std::numeric_limits<double>::quiet_NaN();
  rows[3].x = std::nan("7");
  EXPECT_EQ(HashesOf(rows, {kX}), (std::vector<uint64_t>{0xc77b3abb6f87acd9, 0x0aa61dcfa381c167,
                                                         0x0aa61dcfa381c167, 0x0aa61dcfa381c167}));
}

TEST(HashKeys, WithoutKeysEveryRowHasTheSame) {
  const auto hashes = HashesOf({Row(), TestRow()}, {});
  ASSERT_EQ(hashes.size(), 2u);
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST(HashKeys, OfASliceIsOfItsRows) {
  std::vector<TestRow> rows(20);
  for (int i = 0; i < 20; ++i) {
    rows[size_t(i)].flag = i % 3 == 0;
    if (i % 4 != 0) rows[size_t(i)].device = "device " + std::to_string(i);
    rows[size_t(i)].small = i;
  }
  const std::vector<int> keys = {kFlag, kDevice, kSmall};
  const auto whole = HashesOf(rows, keys);
  std::vector<uint64_t> part;
  ASSERT_TRUE(HashKeys(*ToBatch(rows)->Slice(5, 9), keys, &part).ok());
  EXPECT_EQ(part, std::vector<uint64_t>(whole.begin() + 5, whole.begin() + 14));
  EXPECT_EQ(std::set<uint64_t>(whole.begin(), whole.end()).size(), 20u);
}

TEST(HashKeys, RefusesATypeThatNoColumnHas) {
  const auto schema = arrow::schema({arrow::field("f", arrow::uint8())});
  const auto array = arrow::MakeArrayOfNull(arrow::uint8(), 2).ValueOrDie();
  std::vector<uint64_t> hashes;
  EXPECT_FALSE(HashKeys(*arrow::RecordBatch::Make(schema, 2, {array}), {0}, &hashes).ok());
}

}  // namespace
}  // namespace millrace
