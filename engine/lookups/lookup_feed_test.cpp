// Lookups that are read and kept up to date: files in a folder, and a topic that a test plays.
#include "engine/lookups/lookup_feed.h"

#include <arrow/filesystem/localfs.h>
#include <gmock/gmock.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "engine/connectors/tombstone.h"
#include "engine/lookups/lookup_testing.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using Lines = std::vector<std::string>;

constexpr auto kDeadline = std::chrono::seconds(20);

// The models of devices: "x-y".
std::string ModelsOf(const Lookup& lookup, const Lines& devices) {
  const auto snapshot = lookup.Current();
  if (!snapshot.ok()) return snapshot.status().message();
  Lines lines;
  lines.reserve(devices.size());
  for (const std::string& device : devices) lines.push_back(R"({"device":")" + device + "\"}");
  const LookupMatches matches =
      (*snapshot)->Find(test::KeysOf(lookup.spec(), lookup.layout(), lines));
  const auto models = (*snapshot)->Take(matches, {1}).ValueOrDie()[0];
  std::string text;
  for (int64_t row = 0; row < models->length(); ++row) {
    text += models->IsNull(row)
                ? "-"
                : std::string(static_cast<const arrow::StringArray&>(*models).GetView(row));
  }
  return text;
}

LookupSpec Devices() {
  return test::LookupOf({{"device", Type::kText}, {"model", Type::kText}}, {"device"});
}

// What feeds tell, from any thread.
class Told {
 public:
  std::function<void(const std::string&)> Warn() {
    return [this](const std::string& message) {
      {
        const std::lock_guard lock(mutex_);
        lines_.push_back(message);
      }
      changed_.notify_all();
    };
  }
  // The first line with `part`; "" where none comes.
  std::string Await(const std::string& part) {
    std::unique_lock lock(mutex_);
    std::string found;
    changed_.wait_for(lock, kDeadline, [&] {
      for (const std::string& line : lines_) {
        if (found.empty() && line.find(part) != std::string::npos) found = line;
      }
      return !found.empty();
    });
    return found;
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return lines_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Lines lines_;  // guarded by mutex_
};

template <typename Condition>
bool Await(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class FileLookupTest : public testing::Test {
 protected:
  FileLookupTest() : folder_(testing::TempDir() + "lookup." + std::to_string(::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    spec_ = Devices();
    spec_.input = FilesSourceSpec{{folder_}};
    options_.clock = &clock_;
    options_.warn = told_.Warn();
  }
  ~FileLookupTest() override { std::filesystem::remove_all(folder_); }

  // As a careful writer does: never half a file.
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/." + name) << text;
    std::filesystem::rename(folder_ + "/." + name, folder_ + "/" + name);
  }
  Status Open() {
    lookup_ = std::make_shared<Lookup>(spec_, test::WholeLayout(spec_));
    ARROW_ASSIGN_OR_RAISE(
        feed_, OpenFileLookup(lookup_, std::make_shared<arrow::fs::LocalFileSystem>(), options_));
    return Status::OK();
  }

  const std::string folder_;
  SystemClock clock_;
  Told told_;
  LookupSpec spec_;
  LookupFeedOptions options_;
  std::shared_ptr<Lookup> lookup_;
  std::unique_ptr<LookupFeed> feed_;
};

TEST_F(FileLookupTest, ReadsAllFilesOfAFolder) {
  Write("a.json", "{\"device\":\"a\",\"model\":\"x\"}\n\n{\"device\":\"b\",\"model\":\"y\"}\n");
  Write("b.jsonl", "[{\"device\":\"c\",\"model\":\"z\"},{\"model\":\"w\"}]\n");
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(ModelsOf(*lookup_, {"c", "b", "a", "d"}), "zyx-");
  const LookupFigures figures = lookup_->figures();
  EXPECT_EQ(figures.rows, 3);
  EXPECT_EQ(figures.rows_without_key, 1);
  EXPECT_EQ(figures.refreshes, 1);
  EXPECT_GT(figures.bytes, 0);
  EXPECT_EQ(told_.Await("null"),
            "lookup devices: 1 rows have a null in their key and are never found");
}

TEST_F(FileLookupTest, ReadsCsvWithFieldsOfItsOwn) {
  spec_.format = Format::kCsv;
  spec_.csv.delimiter = ';';
  spec_.csv.null_text = "NA";
  Write("a.csv", "model;device;more\nx;a;1\n\"y;z\";b;2\nNA;c;3\n");
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(ModelsOf(*lookup_, {"a", "b", "c"}), "xy;z-");
}

TEST_F(FileLookupTest, SaysWhatCannotBeRead) {
  EXPECT_THAT(Open().message(), HasSubstr("lookup devices: no file in the folder"));
  Write("a.json", "{\"device\":\"a\",\"model\":\"x\"}\n{\"device\":7}\n");
  EXPECT_THAT(Open().message(), testing::AllOf(HasSubstr("lookup devices: "),
                                               HasSubstr("a.json, row 1: column 'device'")));
  Write("a.json", "{\"device\":\"a\"}\n{\"device\":\"b\"}\n{\"device\":\"a\"}\n");
  EXPECT_EQ(Open().message(), "lookup devices: device = 'a' is there twice: " + folder_ +
                                  "/a.json, row 0 and " + folder_ + "/a.json, row 2");
  Write("a.json", "{\"device\":\"a\"}\n{\"device\":\"b\"}\n");
  options_.limits.rows_max = 1;
  EXPECT_EQ(Open().message(), "lookup devices: more than 1 rows: the table is kept in memory");
  options_.limits.rows_max = 2;
  const std::atomic<bool> stopping{true};
  options_.stopping = &stopping;
  EXPECT_THAT(Open().message(), HasSubstr("stopped"));
}

TEST_F(FileLookupTest, RefreshesAndKeepsWhatItHasWhereThatFails) {
  spec_.refresh = std::chrono::milliseconds(5);
  Write("a.json", R"({"device":"a","model":"x"})");
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(ModelsOf(*lookup_, {"a"}), "x");
  Write("a.json", R"({"device":"a","model":"y"})");
  ASSERT_TRUE(Await([&] { return ModelsOf(*lookup_, {"a"}) == "y"; }));
  Write("a.json", "{");
  EXPECT_THAT(told_.Await("a.json, row 0"),
              HasSubstr("a refresh failed, rows stay as they were: lookup devices: "));
  EXPECT_GT(lookup_->figures().failures, 0);
  std::filesystem::remove(folder_ + "/a.json");
  EXPECT_THAT(told_.Await("no file in the folder"), HasSubstr("a refresh failed"));
  EXPECT_EQ(ModelsOf(*lookup_, {"a"}), "y");
  Write("a.json", "{\"device\":\"a\"}\n{\"device\":\"a\"}\n");
  EXPECT_THAT(told_.Await("is there twice"), HasSubstr("a refresh failed"));
  EXPECT_EQ(ModelsOf(*lookup_, {"a"}), "y");
  Write("a.json", R"({"device":"a","model":"z"})");
  ASSERT_TRUE(Await([&] { return ModelsOf(*lookup_, {"a"}) == "z"; }));
  feed_.reset();
  const int64_t refreshes = lookup_->figures().refreshes;
  Write("a.json", R"({"device":"a","model":"w"})");
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(lookup_->figures().refreshes, refreshes) << "its thread has ended";
}

// Readers see one table or the other, never a mixture, while they are swapped.
TEST_F(FileLookupTest, ReadersSeeOneTableOrTheOther) {
  spec_.refresh = std::chrono::milliseconds(1);
  const auto file = [](char model) {
    std::string text;
    for (int i = 0; i < 200; ++i) {
      text += "{\"device\":\"" + std::to_string(i) + "\",\"model\":\"" + model + "\"}\n";
    }
    return text;
  };
  Write("a.json", file('x'));
  ASSERT_TRUE(Open().ok());
  std::atomic<bool> done{false};
  std::atomic<int64_t> mixed{0}, seen_x{0}, seen_y{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const std::string models = ModelsOf(*lookup_, {"0", "77", "199"});
        seen_x += models == "xxx";
        seen_y += models == "yyy";
        mixed += models != "xxx" && models != "yyy";
        lookup_->CountMisses(1);
      }
    });
  }
  for (int i = 0; i < 10; ++i) {
    const int64_t before = lookup_->figures().refreshes;
    Write("a.json", file(i % 2 == 0 ? 'y' : 'x'));
    EXPECT_TRUE(Await([&] { return lookup_->figures().refreshes > before + 1; }));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_GT(seen_x, 0);
  EXPECT_GT(seen_y, 0);
}

// A topic of two partitions that a test adds records to.
class PlayedTopic {
 public:
  struct Record {
    int32_t partition = 0;
    std::string key;
    std::optional<std::string> value;
  };

  void Send(const std::vector<Record>& records) {
    std::function<void()> wake_up;
    {
      const std::lock_guard lock(mutex_);
      for (const Record& record : records) records_[record.partition].push_back(record);
      wake_up = wake_up_;
    }
    if (wake_up) wake_up();
  }
  void Fail(Status status) {
    const std::lock_guard lock(mutex_);
    fails_ = std::move(status);
  }
  void Tell(SourceEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }

  LookupTopic Open(const LookupSpec& spec) {
    LookupTopic topic;
    topic.source = std::make_unique<PlayedSource>(this, spec);
    topic.ends = [this]() -> Result<std::map<TopicPartition, int64_t>> {
      const std::lock_guard lock(mutex_);
      return std::map<TopicPartition, int64_t>{{{"devices", 0}, int64_t(records_[0].size())},
                                               {{"devices", 1}, int64_t(records_[1].size())}};
    };
    return topic;
  }

 private:
  class Keys final : public OriginalRecords {
   public:
    Lines keys;
    std::string_view ValueOfRow(int64_t) const override { return {}; }
    std::string_view KeyOfRow(int64_t row) const override { return keys[size_t(row)]; }
  };

  class PlayedReader final : public SourceReader {
   public:
    PlayedReader(PlayedTopic* topic, const LookupSpec& spec) : topic_(topic) {
      source_.columns = spec.columns;
      for (size_t i = 0; i < spec.columns.size(); ++i) used_.push_back(int(i));
    }
    ~PlayedReader() override { SetWakeUp(nullptr); }
    Status Start(const std::vector<StartPosition>& positions) override {
      EXPECT_EQ(positions.size(), 2u);
      return Status::OK();
    }
    // Two records a partition at most.
    Result<Polled> Poll(int64_t) override {
      const std::lock_guard lock(topic_->mutex_);
      ARROW_RETURN_NOT_OK(topic_->fails_);
      Polled polled;
      for (int32_t partition : {0, 1}) {
        const auto& records = topic_->records_[partition];
        size_t& next = next_[partition];
        if (next == records.size()) continue;
        ARROW_ASSIGN_OR_RAISE(SourceBatch batch, Read(partition, records, &next));
        polled.batches.push_back(std::move(batch));
        polled.more |= next < records.size();
      }
      polled.events.assign(topic_->events_.begin(), topic_->events_.end());
      topic_->events_.clear();
      return polled;
    }
    void SetWakeUp(std::function<void()> wake_up) override {
      const std::lock_guard lock(topic_->mutex_);
      topic_->wake_up_ = std::move(wake_up);
    }
    Status Commit(const std::vector<CommittedPosition>&) override { return Status::OK(); }
    int64_t LagRecords() const override { return -1; }
    void Stop() override {}

   private:
    Result<SourceBatch> Read(int32_t partition, const std::deque<Record>& records, size_t* next) {
      SourceBatch batch;
      batch.partition = {"devices", partition};
      auto origins = std::make_shared<Origins>();
      auto keys = std::make_shared<Keys>();
      MessageDecoder decoder(source_, used_);
      DecodedMessage decoded;
      for (int i = 0; i < 2 && *next < records.size(); ++i, ++*next) {
        const Record& record = records[*next];
        const auto offset = int64_t(*next);
        if (!record.value.has_value()) {
          batch.rejected.push_back({offset, std::string(kTombstone), "", "", record.key});
          continue;
        }
        decoder.Append(*record.value, &decoded);
        for (size_t row = 0; row < decoded.rows.size(); ++row) {
          origins->offsets.push_back(offset);
          keys->keys.push_back(record.key);
        }
        for (const auto& refused : decoded.refused) {
          batch.rejected.push_back(
              {offset, refused.failure.reason, refused.failure.message, "", record.key});
        }
      }
      ARROW_ASSIGN_OR_RAISE(batch.rows.batch, decoder.Finish());
      batch.rows.origins = origins;
      batch.originals = keys;
      batch.next_offset = int64_t(*next);
      return batch;
    }

    PlayedTopic* const topic_;
    SourceStreamSpec source_;
    std::vector<int> used_;
    std::map<int32_t, size_t> next_;
  };

  class PlayedSource final : public Source {
   public:
    PlayedSource(PlayedTopic* topic, LookupSpec spec) : topic_(topic), spec_(std::move(spec)) {}
    Result<Partitions> Discover(Micros) override {
      return Partitions{{{"devices", 0}, {"devices", 1}}, {}};
    }
    Result<std::unique_ptr<SourceReader>> MakeReader() override {
      return std::make_unique<PlayedReader>(topic_, spec_);
    }
    bool bounded() const override { return false; }

   private:
    PlayedTopic* const topic_;
    const LookupSpec spec_;
  };

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<int32_t, std::deque<Record>> records_;
  std::deque<SourceEvent> events_;
  Status fails_;
  std::function<void()> wake_up_;
};

class TopicLookupTest : public testing::Test {
 protected:
  TopicLookupTest() {
    spec_ = Devices();
    spec_.input = KafkaSourceSpec{{"devices"}, {}, {}};
    options_.clock = &clock_;
    options_.warn = told_.Warn();
  }
  ~TopicLookupTest() override { feed_.reset(); }

  Status Open() {
    lookup_ = std::make_shared<Lookup>(spec_, test::WholeLayout(spec_));
    ARROW_ASSIGN_OR_RAISE(feed_, OpenTopicLookup(lookup_, topic_.Open(spec_), options_));
    return Status::OK();
  }
  static PlayedTopic::Record Row(int32_t partition, const std::string& device,
                                 const std::string& model) {
    return {partition, device, R"({"device":")" + device + R"(","model":")" + model + "\"}"};
  }
  bool AwaitModels(const Lines& devices, const std::string& models) {
    return Await([&] { return ModelsOf(*lookup_, devices) == models; });
  }

  SystemClock clock_;
  Told told_;
  PlayedTopic topic_;
  LookupSpec spec_;
  LookupFeedOptions options_;
  std::shared_ptr<Lookup> lookup_;
  std::unique_ptr<LookupFeed> feed_;
};

TEST_F(TopicLookupTest, IsReadToItsEndAndFollowed) {
  topic_.Send({Row(0, "a", "1"),
               Row(0, "b", "2"),
               Row(0, "a", "3"),
               Row(1, "c", "4"),
               {0, "b", std::nullopt}});
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(ModelsOf(*lookup_, {"a", "b", "c"}), "3-4");
  EXPECT_EQ(lookup_->figures().rows, 2);
  topic_.Send({Row(1, "d", "5"), {1, "c", std::nullopt}, Row(0, "a", "6")});
  EXPECT_TRUE(AwaitModels({"a", "b", "c", "d"}, "6--5"));
  EXPECT_EQ(lookup_->figures().rows, 2);
  EXPECT_EQ(told_.count(), 0u);
}

TEST_F(TopicLookupTest, MayBeEmpty) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(ModelsOf(*lookup_, {"a"}), "-");
  topic_.Send({Row(0, "a", "1")});
  EXPECT_TRUE(AwaitModels({"a"}, "1"));
}

TEST_F(TopicLookupTest, DoesNotBeginWithARecordThatCannotBeRead) {
  topic_.Send({Row(0, "a", "1"), {0, "b", "{"}, {0, "c", "{"}, Row(0, "c", "2")});
  const Status status = Open();
  EXPECT_THAT(status.message(),
              HasSubstr("lookup devices: 1 records cannot be read, and no later one of their key "
                        "stands for them; one of them: topic devices, partition 0, offset 1: "));
  topic_.Send({{0, "b", std::nullopt}});
  EXPECT_TRUE(Open().ok());
}

TEST_F(TopicLookupTest, TellsRecordsThatCannotBeReadLater) {
  topic_.Send({Row(0, "a", "1")});
  ASSERT_TRUE(Open().ok());
  topic_.Send({{0, "a", "{"}, Row(0, "b", "2")});
  EXPECT_TRUE(AwaitModels({"a", "b"}, "12"));
  EXPECT_THAT(told_.Await("cannot be read"), HasSubstr("the rows of their keys stay as they were"));
  EXPECT_EQ(lookup_->figures().failures, 1);
  SourceEvent event;
  event.message = "partition 0 is interrupted";
  topic_.Tell(event);
  EXPECT_EQ(told_.Await("interrupted"), "lookup devices: partition 0 is interrupted");
}

TEST_F(TopicLookupTest, BreaksWhenItCannotBeFollowed) {
  topic_.Send({Row(0, "a", "1")});
  ASSERT_TRUE(Open().ok());
  topic_.Fail(ExternalError("topic_deleted", "topic devices was deleted", Retry::kNo));
  EXPECT_THAT(told_.Await("which ends the job"), HasSubstr("topic devices was deleted"));
  EXPECT_TRUE(AwaitModels({"a"}, "lookup devices: topic devices was deleted"));
}

TEST_F(TopicLookupTest, BreaksWhenItGrowsTooLarge) {
  options_.limits.rows_max = 1;
  topic_.Send({Row(0, "a", "1")});
  ASSERT_TRUE(Open().ok());
  topic_.Send({Row(0, "b", "1")});
  EXPECT_TRUE(AwaitModels({"a"}, "lookup devices: more than 1 rows: the table is kept in memory"));
  topic_.Send({Row(0, "c", "1")});
  EXPECT_THAT(Open().message(), HasSubstr("more than 1 rows"));
}

}  // namespace
}  // namespace millrace
