#include "engine/checkpoint/outbox_ledger.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

proto::Segment SegmentOf(const std::string& path, int64_t epoch, int64_t first_row, int64_t rows) {
  proto::Segment segment;
  segment.mutable_file()->set_path(path);
  segment.mutable_file()->set_bytes(10);
  segment.set_epoch(epoch);
  segment.set_first_row(first_row);
  segment.set_rows(rows);
  return segment;
}

proto::ShardState Records(int32_t shard, const std::string& path, int64_t epoch, int64_t first_row,
                          int64_t rows) {
  proto::ShardState state;
  state.set_shard(shard);
  state.set_next_row(first_row + rows);
  if (rows > 0) *state.add_segments() = SegmentOf(path, epoch, first_row, rows);
  return state;
}

proto::ShardState FileRows(const std::string& path, int64_t epoch, bool rolled) {
  proto::ShardState state;
  state.set_shard(0);
  proto::FileSinkState* const file = state.add_files();
  file->set_sink("f");
  if (!path.empty()) *file->add_open() = SegmentOf(path, epoch, 0, 1);
  if (rolled) file->add_rolls()->set_epoch(epoch);
  return state;
}

// "0@2: a b" for what is released of shard 0 with epoch 2; "f@2: a" for a roll.
std::string Text(const Released& released) {
  std::string text;
  const auto add = [&](const std::string& head, const auto& segments) {
    text += (text.empty() ? "" : "; ") + head;
    for (const proto::Segment& segment : segments) text += " " + segment.file().path();
  };
  for (const ReleasedSegments& shard : released.shards) {
    add(std::to_string(shard.shard) + "@" + std::to_string(shard.epoch.value()), shard.segments);
  }
  for (const ReleasedRoll& roll : released.rolls) {
    add(roll.sink + "@" + std::to_string(roll.roll.epoch()), roll.roll.segments());
  }
  return text;
}

TEST(OutboxLedger, ReleasesASegmentOnceWithTheEpochThatCommitsIt) {
  OutboxLedger ledger(2, {}, Epoch(0));
  ledger.Add(Records(0, "a", 1, 0, 5), Epoch(1));
  ledger.Add(Records(1, "", 1, 0, 0), Epoch(1));
  EXPECT_EQ(ledger.unpublished_epochs(), 0);  // not committed
  EXPECT_TRUE(ledger.all_published());
  EXPECT_FALSE(ledger.empty());
  EXPECT_EQ(Text(ledger.Commit(Epoch(1))), "0@1 a; 1@1");
  ledger.Add(Records(0, "b", 2, 5, 3), Epoch(2));
  EXPECT_EQ(Text(ledger.Commit(Epoch(2))), "0@2 b; 1@2");
  EXPECT_EQ(ledger.unpublished_epochs(), 2);
  EXPECT_EQ(ledger.unpublished_bytes(), 20);
  EXPECT_FALSE(ledger.all_published());
}

TEST(OutboxLedger, DropsWhatIsConfirmedAndKeepsTheRestInTheSnapshot) {
  OutboxLedger ledger(1, {}, Epoch(0));
  ledger.Add(Records(0, "a", 1, 0, 5), Epoch(1));
  ledger.Commit(Epoch(1));
  ledger.Add(Records(0, "b", 2, 5, 3), Epoch(2));
  ledger.Commit(Epoch(2));
  EXPECT_TRUE(ledger.OnPublished(0, Epoch(1), 6));  // one row of b too
  const auto snapshot = ledger.Snapshot();
  ASSERT_EQ(snapshot.size(), 1u);
  EXPECT_EQ(snapshot[0].next_row(), 8);
  EXPECT_EQ(snapshot[0].published_epoch(), 1);
  EXPECT_EQ(snapshot[0].published_row(), 6);
  ASSERT_EQ(snapshot[0].segments_size(), 1);
  EXPECT_EQ(snapshot[0].segments(0).file().path(), "b");
  EXPECT_EQ(ledger.unpublished_epochs(), 1);
  EXPECT_TRUE(ledger.OnPublished(0, Epoch(2), 8));
  EXPECT_TRUE(ledger.empty());
  EXPECT_TRUE(ledger.all_published());
  EXPECT_EQ(ledger.unpublished_epochs(), 0);
}

TEST(OutboxLedger, AConfirmationThatIsDoubledOrOldChangesNothing) {
  OutboxLedger ledger(1, {}, Epoch(0));
  ledger.Add(Records(0, "a", 1, 0, 5), Epoch(1));
  ledger.Commit(Epoch(1));
  EXPECT_TRUE(ledger.OnPublished(0, Epoch(1), 5));
  ledger.OnPublished(0, Epoch(1), 5);
  EXPECT_FALSE(ledger.OnPublished(0, Epoch(0), 2));
  EXPECT_EQ(ledger.Snapshot()[0].published_row(), 5);
  EXPECT_EQ(ledger.Snapshot()[0].published_epoch(), 1);
}

TEST(OutboxLedger, SegmentsOfAnAbandonedEpochGoWithTheNext) {
  OutboxLedger ledger(1, {}, Epoch(0));
  ledger.Add(Records(0, "a", 1, 0, 5), Epoch(1));  // epoch 1 is never committed
  ledger.Add(Records(0, "b", 2, 5, 1), Epoch(2));
  EXPECT_EQ(Text(ledger.Commit(Epoch(2))), "0@2 a b");
  EXPECT_EQ(ledger.unpublished_epochs(), 1);
}

TEST(OutboxLedger, ARollTakesWhatIsOpenAndIsReleasedWhenItsEpochIsCommitted) {
  OutboxLedger ledger(1, {}, Epoch(0));
  ledger.Add(FileRows("a", 1, false), Epoch(1));
  EXPECT_EQ(Text(ledger.Commit(Epoch(1))), "0@1");
  EXPECT_EQ(ledger.unpublished_epochs(), 0);  // open files do not count
  EXPECT_TRUE(ledger.all_published());
  ledger.Add(FileRows("b", 2, true), Epoch(2));
  EXPECT_FALSE(ledger.OnRollWritten(0, "f", Epoch(2)));  // not committed
  EXPECT_EQ(Text(ledger.Commit(Epoch(2))), "0@2; f@2 a b");
  ledger.Add(FileRows("c", 3, false), Epoch(3));
  EXPECT_EQ(Text(ledger.Commit(Epoch(3))), "0@3");  // once
  EXPECT_EQ(ledger.unpublished_epochs(), 1);
  EXPECT_FALSE(ledger.OnRollWritten(0, "g", Epoch(2)));
  EXPECT_TRUE(ledger.OnRollWritten(0, "f", Epoch(2)));
  EXPECT_FALSE(ledger.OnRollWritten(0, "f", Epoch(2)));
  EXPECT_TRUE(ledger.all_published());
  EXPECT_FALSE(ledger.empty());  // c is open
  const auto snapshot = ledger.Snapshot();
  EXPECT_EQ(snapshot[0].files(0).open(0).file().path(), "c");
  EXPECT_EQ(snapshot[0].files(0).rolls_size(), 0);
}

TEST(OutboxLedger, TheLastEpochRollsWhatIsOpenAndNothingTwice) {
  OutboxLedger ledger(1, {}, Epoch(0));
  ledger.Add(FileRows("a", 1, true), Epoch(1));
  ledger.RollAll(Epoch(1));
  EXPECT_EQ(ledger.Snapshot()[0].files(0).rolls_size(), 1);
  ledger.Commit(Epoch(1));
  ledger.Add(FileRows("b", 2, false), Epoch(2));
  ledger.RollAll(Epoch(2));
  EXPECT_EQ(Text(ledger.Commit(Epoch(2))), "0@2; f@2 b");
}

std::vector<proto::ShardState> Saved() {
  OutboxLedger before(1, {}, Epoch(0));
  before.Add(Records(0, "a", 1, 0, 5), Epoch(1));
  before.Commit(Epoch(1));
  before.Add(Records(0, "b", 2, 5, 3), Epoch(2));
  before.Add(FileRows("r", 2, true), Epoch(2));
  before.Add(FileRows("open", 2, false), Epoch(2));
  before.OnPublished(0, Epoch(1), 5);
  return before.Snapshot();
}

TEST(OutboxLedger, WhatWasRestoredIsReleasedAtTheStartAndNotAgain) {
  OutboxLedger ledger(1, Saved(), Epoch(2));
  EXPECT_EQ(Text(ledger.Recovered()), "0@2 b; f@2 r");
  EXPECT_TRUE(ledger.recovered_left());
  EXPECT_EQ(ledger.unpublished_epochs(), 1);
  ledger.Add(Records(0, "c", 3, 8, 1), Epoch(3));
  EXPECT_EQ(Text(ledger.Commit(Epoch(3))), "0@3 c");
  EXPECT_EQ(ledger.unpublished_epochs(), 2);
  EXPECT_TRUE(ledger.OnPublished(0, Epoch(2), 8));
  EXPECT_TRUE(ledger.recovered_left());  // the roll
  EXPECT_TRUE(ledger.OnRollWritten(0, "f", Epoch(2)));
  EXPECT_FALSE(ledger.recovered_left());
  EXPECT_EQ(ledger.unpublished_epochs(), 1);
  const auto snapshot = ledger.Snapshot();
  EXPECT_EQ(snapshot[0].next_row(), 9);
  EXPECT_EQ(snapshot[0].segments(0).file().path(), "c");
  EXPECT_EQ(snapshot[0].files(0).open(0).file().path(), "open");
}

TEST(OutboxLedger, ASnapshotRestoresToItself) {
  const auto saved = Saved();
  const OutboxLedger ledger(1, saved, Epoch(2));
  ASSERT_EQ(ledger.Snapshot().size(), 1u);
  EXPECT_EQ(ledger.Snapshot()[0].SerializeAsString(), saved[0].SerializeAsString());
}

}  // namespace
}  // namespace millrace
