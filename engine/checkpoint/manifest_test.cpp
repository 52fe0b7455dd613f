#include "engine/checkpoint/manifest.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

proto::AccountCounts Account(const std::string& stream, int64_t rows_in, int64_t late_letters) {
  proto::AccountCounts account;
  proto::StreamCounts* const counts = account.add_streams();
  counts->set_stream(stream);
  counts->set_rows_in(rows_in);
  counts->set_output_failed(1);
  proto::LabelledCount* const letters = account.add_dead_letters();
  letters->set_origin(stream);
  letters->set_reason("late");
  letters->set_count(late_letters);
  return account;
}

TEST(SumAccounts, AddsEntryByEntry) {
  const auto a = Account("s", 10, 2), b = Account("s", 5, 1), c = Account("t", 1, 0);
  const proto::AccountCounts* const all[] = {&a, &b, &c};
  const proto::AccountCounts sum = SumAccounts(all);
  ASSERT_EQ(sum.streams_size(), 2);
  EXPECT_EQ(sum.streams(0).stream(), "s");
  EXPECT_EQ(sum.streams(0).rows_in(), 15);
  EXPECT_EQ(sum.streams(0).output_failed(), 2);
  EXPECT_EQ(sum.streams(1).rows_in(), 1);
  ASSERT_EQ(sum.dead_letters_size(), 2);
  EXPECT_EQ(sum.dead_letters(0).count(), 3);
  EXPECT_EQ(sum.dead_letters(1).count(), 0);
}

TEST(BuildManifest, HoldsWhatEveryParticipantAcknowledged) {
  PendingCheckpoint checkpoint;
  checkpoint.epoch = Epoch(7);
  proto::Acknowledgement reader, task, outbox;
  reader.mutable_reader()->set_source("readings");
  *reader.mutable_account() = Account("s", 10, 2);
  task.mutable_task()->set_operator_id("window");
  outbox.mutable_shard()->set_next_row(99);  // the ledger's counts
  *outbox.mutable_account() = Account("s", 1, 0);
  checkpoint.acknowledgements = {
      {ParticipantId(0), reader}, {ParticipantId(1), task}, {ParticipantId(2), outbox}};
  proto::ShardState shard;
  shard.set_next_row(5);
  const JobIdentity identity{"job", "g", {"parent"}, 3, 1};
  const proto::Manifest manifest =
      BuildManifest(identity, checkpoint, {shard}, Account("s", 100, 1), EventTime(Micros(42)));
  EXPECT_EQ(manifest.job(), "job");
  EXPECT_EQ(manifest.generation(), "g");
  EXPECT_EQ(manifest.ancestors(0), "parent");
  EXPECT_EQ(manifest.term(), 3);
  EXPECT_EQ(manifest.epoch(), 7);
  EXPECT_EQ(manifest.created(), 42);
  EXPECT_EQ(manifest.key_groups(), 720);
  EXPECT_EQ(manifest.sink_shards(), 1);
  EXPECT_FALSE(manifest.finished());
  ASSERT_EQ(manifest.readers_size(), 1);
  EXPECT_EQ(manifest.readers(0).source(), "readings");
  ASSERT_EQ(manifest.tasks_size(), 1);
  EXPECT_EQ(manifest.tasks(0).operator_id(), "window");
  ASSERT_EQ(manifest.shards_size(), 1);
  EXPECT_EQ(manifest.shards(0).next_row(), 5);
  EXPECT_EQ(manifest.account().streams(0).rows_in(), 111);
  EXPECT_EQ(manifest.account().dead_letters(0).count(), 3);
}

TEST(ForEachStoredFile, VisitsStateAndEverySegment) {
  proto::Manifest manifest;
  manifest.add_tasks()->add_files()->set_path("state");
  proto::ShardState* const shard = manifest.add_shards();
  shard->add_segments()->mutable_file()->set_path("segment");
  proto::FileSinkState* const sink = shard->add_files();
  sink->add_open()->mutable_file()->set_path("open");
  sink->add_rolls()->add_segments()->mutable_file()->set_path("rolled");
  std::vector<std::string> paths;
  ForEachStoredFile(manifest, [&](const proto::StoredFile& file) { paths.push_back(file.path()); });
  EXPECT_EQ(paths, (std::vector<std::string>{"state", "segment", "open", "rolled"}));
}

TEST(DistinctFiles, AreEachOnceUnlessTheyAreSaidToDiffer) {
  proto::Manifest manifest;
  const auto add = [&](const std::string& path, uint64_t checksum) {
    proto::StoredFile* const file = manifest.add_tasks()->add_files();
    file->set_path(path);
    file->set_checksum(checksum);
  };
  add("b", 1);
  add("a", 1);
  add("b", 1);
  add("b", 2);
  std::vector<std::pair<std::string, uint64_t>> found;
  for (const proto::StoredFile* file : DistinctFiles(manifest)) {
    found.emplace_back(file->path(), file->checksum());
  }
  EXPECT_EQ(found, (std::vector<std::pair<std::string, uint64_t>>{{"b", 1}, {"a", 1}, {"b", 2}}));
}

TEST(SourceWatermark, IsTheLeastThatAReaderOfTheSourceHadSent) {
  proto::Manifest manifest;
  EXPECT_EQ(SourceWatermark(manifest, "a"), kEventTimeMin);
  const auto add = [&](const std::string& source, int64_t forwarded) {
    proto::ReaderState* const reader = manifest.add_readers();
    reader->set_source(source);
    reader->set_forwarded(forwarded);
  };
  add("a", 70);
  add("b", 10);
  add("a", 60);
  EXPECT_EQ(SourceWatermark(manifest, "a"), EventTime(Micros(60)));
  EXPECT_EQ(SourceWatermark(manifest, "b"), EventTime(Micros(10)));
}

}  // namespace
}  // namespace millrace
