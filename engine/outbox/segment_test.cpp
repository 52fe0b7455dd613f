#include "engine/outbox/segment.h"

#include <arrow/api.h>
#include <arrow/filesystem/localfs.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "engine/storage/checksum.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// A record that owns its bytes.
struct OwnedRecord {
  std::string topic;
  bool has_key = false;
  std::string key;
  std::string value;
  int64_t timestamp_ms = 0;
  RecordHeaders headers;
  friend bool operator==(const OwnedRecord&, const OwnedRecord&) = default;

  OutboxRecord View() const {
    OutboxRecord record = {topic, has_key, key, value, timestamp_ms, {}};
    for (const auto& [name, text] : headers) record.headers.emplace_back(name, text);
    return record;
  }
  static OwnedRecord Of(const OutboxRecord& record) {
    OwnedRecord owned;
    owned.topic = record.topic;
    owned.has_key = record.has_key;
    owned.key = record.key;
    owned.value = record.value;
    owned.timestamp_ms = record.timestamp_ms;
    for (const auto& [name, text] : record.headers) owned.headers.emplace_back(name, text);
    return owned;
  }
};

std::string CodeOf(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

class SegmentTest : public testing::Test {
 protected:
  SegmentTest() {
    std::string name = (std::filesystem::temp_directory_path() / "millrace-outbox-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    storage_ = *CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), path_);
  }
  ~SegmentTest() override { std::filesystem::remove_all(path_); }

  std::string Random(size_t bytes_max) {
    std::string bytes(random_() % (bytes_max + 1), '\0');
    for (char& c : bytes) c = char(random_());
    return bytes;
  }

  std::vector<OwnedRecord> RandomRecords(size_t count, size_t value_bytes_max) {
    std::vector<OwnedRecord> records(count);
    for (OwnedRecord& record : records) {
      record.topic = "topic-" + std::to_string(random_() % 5);
      record.has_key = random_() % 3 != 0;
      if (record.has_key) record.key = Random(20);
      record.value = Random(value_bytes_max);
      record.timestamp_ms = random_() % 4 == 0 ? int64_t(random_()) : int64_t(random_() % 100);
      for (size_t i = random_() % 4; i > 0; --i) record.headers.emplace_back(Random(9), Random(9));
    }
    return records;
  }

  proto::Segment WriteRecords(const std::vector<OwnedRecord>& records) {
    RecordSegmentWriter writer(*storage_->Create("outbox/" + std::to_string(++files_)));
    for (const OwnedRecord& record : records) EXPECT_TRUE(writer.Append(record.View()).ok());
    EXPECT_EQ(writer.rows(), int64_t(records.size()));
    const proto::Segment segment = *writer.Finish();
    EXPECT_EQ(segment.rows(), int64_t(records.size()));
    EXPECT_TRUE(storage_->Verify(segment.file()).ok());
    return segment;
  }

  Result<std::vector<OwnedRecord>> ReadRecords(const proto::Segment& segment, int64_t skip = 0) {
    records_.clear();
    ARROW_ASSIGN_OR_RAISE(const auto reader, RecordSegmentReader::Open(storage_.get(), segment));
    ARROW_RETURN_NOT_OK(reader->Skip(skip));
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const auto record, reader->Next());
      if (!record) return records_;
      records_.push_back(OwnedRecord::Of(*record));
    }
  }

  std::shared_ptr<arrow::RecordBatch> RandomBatch(int64_t rows) {
    arrow::Int64Builder numbers;
    arrow::StringBuilder texts;
    for (int64_t i = 0; i < rows; ++i) {
      EXPECT_TRUE(
          (random_() % 5 == 0 ? numbers.AppendNull() : numbers.Append(int64_t(random_()))).ok());
      EXPECT_TRUE(texts.Append("text" + std::to_string(random_() % 1000)).ok());
    }
    return arrow::RecordBatch::Make(schema_, rows, {*numbers.Finish(), *texts.Finish()});
  }

  proto::Segment WriteRows(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    auto writer =
        *RowSegmentWriter::Make(*storage_->Create("outbox/" + std::to_string(++files_)), schema_);
    for (const auto& batch : batches) EXPECT_TRUE(writer->Append(*batch).ok());
    return *writer->Finish();
  }

  Status ReadRows(const proto::Segment& segment) {
    batches_.clear();
    return ReadRowSegment(storage_.get(), segment, [&](const auto& batch) {
      batches_.push_back(batch);
      return Status::OK();
    });
  }

  std::string Bytes(const proto::Segment& segment) {
    std::ostringstream bytes;
    bytes << std::ifstream(path_ + "/" + segment.file().path(), std::ios::binary).rdbuf();
    return bytes.str();
  }
  // A segment with these bytes, of which the manifest knows no better.
  proto::Segment WithBytes(const proto::Segment& segment, const std::string& bytes) {
    // A new file each time: to cut and write anew makes some disks wait.
    std::filesystem::remove(path_ + "/" + segment.file().path());
    std::ofstream(path_ + "/" + segment.file().path(), std::ios::binary) << bytes;
    proto::Segment changed = segment;
    changed.mutable_file()->set_bytes(int64_t(bytes.size()));
    changed.mutable_file()->set_checksum(Checksum(bytes));
    return changed;
  }

  // Calls `check` with every truncation, bit flip and lengthening of a segment.
  void ForEachDamage(const proto::Segment& segment,
                     const std::function<void(const proto::Segment&)>& check) {
    const std::string bytes = Bytes(segment);
    for (size_t i = 0; i < bytes.size(); ++i) {
      check(WithBytes(segment, bytes.substr(0, i)));
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[i] = char(flipped[i] ^ (1 << bit));
        check(WithBytes(segment, flipped));
      }
    }
    check(WithBytes(segment, bytes + '\0'));
    WithBytes(segment, bytes);
  }

  std::mt19937_64 random_{7};
  std::string path_;
  std::unique_ptr<CheckpointStorage> storage_;
  int files_ = 0;
  std::vector<OwnedRecord> records_;  // of the last ReadRecords, as far as it came
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
  std::shared_ptr<arrow::Schema> schema_ = arrow::schema(
      {arrow::field("number", arrow::int64(), true, arrow::key_value_metadata({"unit"}, {"Cel"})),
       arrow::field("text", arrow::utf8())});
};

TEST_F(SegmentTest, RecordsComeBack) {
  for (const size_t count : {0, 1, 2, 50, 3000}) {
    const auto records = RandomRecords(count, count > 100 ? 2000 : 50);
    const proto::Segment segment = WriteRecords(records);
    const auto read = ReadRecords(segment);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(*read, records);
  }
}

TEST_F(SegmentTest, ExtremesComeBack) {
  std::vector<OwnedRecord> records(6);
  records[0].timestamp_ms = INT64_MIN;
  records[1].timestamp_ms = INT64_MAX;
  records[2].has_key = true;  // an empty key is a key
  records[3].value = std::string(5 << 20, 'v');
  records[4].topic = std::string(300, 't');
  records[5].headers.assign(1000, {"", ""});
  EXPECT_EQ(*ReadRecords(WriteRecords(records)), records);
}

TEST_F(SegmentTest, SkipsAnyNumberOfRows) {
  const auto records = RandomRecords(2000, 3000);  // three blocks
  const proto::Segment segment = WriteRecords(records);
  ASSERT_GT(segment.file().bytes(), 2 << 20);
  for (const int64_t skip : {0, 1, 600, 700, 1400, 1999, 2000}) {
    const auto read = ReadRecords(segment, skip);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(*read, std::vector<OwnedRecord>(records.begin() + skip, records.end())) << skip;
  }
  EXPECT_EQ(CodeOf(ReadRecords(segment, 2001).status()), "segment_damaged");
  const auto reader = *RecordSegmentReader::Open(storage_.get(), segment);
  for (size_t at = 0; at + 100 <= records.size(); at += 100) {
    ASSERT_TRUE(reader->Skip(99).ok());
    ASSERT_EQ(OwnedRecord::Of(**reader->Next()), records[at + 99]);
  }
  EXPECT_FALSE(reader->Next()->has_value());
}

TEST_F(SegmentTest, NoDamageOfRecordsGoesUnseen) {
  auto records = RandomRecords(12, 20);
  const proto::Segment segment = WriteRecords(records);
  ForEachDamage(segment, [&](const proto::Segment& damaged) {
    const std::string code = CodeOf(ReadRecords(damaged).status());
    ASSERT_TRUE(code == "segment_damaged" || code == "format_too_new") << code;
    // What was given before is right.
    ASSERT_LE(records_.size(), records.size());
    for (size_t i = 0; i < records_.size(); ++i) ASSERT_EQ(records_[i], records[i]);
  });
  EXPECT_EQ(*ReadRecords(segment), records);
}

TEST_F(SegmentTest, BlocksThatAreMovedAreFound) {
  const auto records = RandomRecords(1500, 3000);
  const proto::Segment segment = WriteRecords(records);
  const std::string bytes = Bytes(segment);
  auto length_at = [&](size_t at) {
    return size_t(uint8_t(bytes[at])) | size_t(uint8_t(bytes[at + 1])) << 8 |
           size_t(uint8_t(bytes[at + 2])) << 16 | size_t(uint8_t(bytes[at + 3])) << 24;
  };
  const size_t first = 12;
  const size_t second = first + 12 + length_at(first);
  const size_t third = second + 12 + length_at(second);
  const std::string head = bytes.substr(0, first);
  const std::string one = bytes.substr(first, second - first);
  const std::string two = bytes.substr(second, third - second);
  const std::string rest = bytes.substr(third);
  for (const std::string& moved : {head + two + one + rest, head + one + rest,
                                   head + one + one + two + rest, head + two + rest}) {
    EXPECT_EQ(CodeOf(ReadRecords(WithBytes(segment, moved)).status()), "segment_damaged");
    EXPECT_EQ(CodeOf(ReadRecords(WithBytes(segment, moved), 1500).status()), "segment_damaged");
  }
}

TEST_F(SegmentTest, RecordBlocksBehindGoodChecksumsAreBoundsChecked) {
  const auto records = RandomRecords(12, 20);
  const proto::Segment segment = WriteRecords(records);
  const std::string bytes = Bytes(segment);
  const size_t payload = 12 + 12;
  const size_t end = bytes.size() - 12;
  for (int round = 0; round < 3000; ++round) {
    std::string block = bytes.substr(payload, end - payload);
    for (int i = 0; i < 3; ++i) block[random_() % block.size()] = char(random_());
    // The first block's seed is 0: an XXH3 without one.
    std::string changed = bytes.substr(0, 16);
    const uint64_t sum = Checksum(block);
    for (int i = 0; i < 8; ++i) changed.push_back(char(sum >> (8 * i)));
    const Status status =
        ReadRecords(WithBytes(segment, changed + block + bytes.substr(end))).status();
    ASSERT_TRUE(status.ok() || CodeOf(status) == "segment_damaged") << status.ToString();
  }
}

TEST_F(SegmentTest, ANewerFormatIsNamed) {
  const proto::Segment segment = WriteRecords({});
  std::string bytes = Bytes(segment);
  bytes[8] = 9;
  const Status status = ReadRecords(WithBytes(segment, bytes)).status();
  EXPECT_EQ(CodeOf(status), "format_too_new");
  EXPECT_THAT(status.message(), HasSubstr("of format 9; this build reads up to format 1"));
}

TEST_F(SegmentTest, RecordsTooLargeAreRefused) {
  RecordSegmentWriter writer(*storage_->Create("outbox/1"));
  const std::string value(kRecordBytesMax + 1, 'x');
  OutboxRecord record;
  record.value = value;
  EXPECT_EQ(CodeOf(writer.Append(record)), "record_too_large");
  EXPECT_EQ(writer.rows(), 0);
}

TEST_F(SegmentTest, AMissingSegmentIsNamed) {
  const proto::Segment segment = WriteRecords(RandomRecords(3, 3));
  std::filesystem::remove(path_ + "/" + segment.file().path());
  const Status status = ReadRecords(segment).status();
  EXPECT_EQ(CodeOf(status), "checkpoint_damaged");
  EXPECT_THAT(status.message(), HasSubstr("outbox/1 is damaged: it is missing"));
}

TEST_F(SegmentTest, BatchesComeBack) {
  const std::vector<std::vector<int64_t>> shapes = {{}, {0}, {1}, {3, 0, 7}, {200'000, 1}};
  for (const auto& shape : shapes) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (const int64_t rows : shape) batches.push_back(RandomBatch(rows));
    const proto::Segment segment = WriteRows(batches);
    const Status status = ReadRows(segment);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_EQ(batches_.size(), batches.size());
    for (size_t i = 0; i < batches.size(); ++i) {
      EXPECT_TRUE(batches_[i]->Equals(*batches[i], /*check_metadata=*/true));
    }
  }
}

TEST_F(SegmentTest, ASliceOfABatchComesBack) {
  const auto batch = RandomBatch(1000);
  const proto::Segment segment = WriteRows({batch->Slice(10, 5)});
  EXPECT_LT(segment.file().bytes(), 2000);
  ASSERT_TRUE(ReadRows(segment).ok());
  EXPECT_TRUE(batches_[0]->Equals(*batch->Slice(10, 5)));
}

TEST_F(SegmentTest, NoDamageOfBatchesGoesUnseen) {
  const std::vector<std::shared_ptr<arrow::RecordBatch>> batches = {RandomBatch(3), RandomBatch(2)};
  const proto::Segment segment = WriteRows(batches);
  ForEachDamage(segment, [&](const proto::Segment& damaged) {
    const std::string code = CodeOf(ReadRows(damaged));
    ASSERT_TRUE(code == "segment_damaged" || code == "format_too_new") << code;
    ASSERT_LE(batches_.size(), 2u);
    for (size_t i = 0; i < batches_.size(); ++i) ASSERT_TRUE(batches_[i]->Equals(*batches[i]));
  });
}

TEST_F(SegmentTest, OtherCountsOfRowsAreFound) {
  proto::Segment rows = WriteRows({RandomBatch(3)});
  rows.set_rows(4);
  EXPECT_EQ(CodeOf(ReadRows(rows)), "segment_damaged");
  rows.set_rows(2);
  EXPECT_EQ(CodeOf(ReadRows(rows)), "segment_damaged");
  proto::Segment records = WriteRecords(RandomRecords(3, 3));
  records.set_rows(4);
  EXPECT_EQ(CodeOf(ReadRecords(records).status()), "segment_damaged");
}

TEST_F(SegmentTest, AVisitorsErrorEndsTheReading) {
  const proto::Segment segment = WriteRows({RandomBatch(3), RandomBatch(3)});
  int visited = 0;
  const Status status = ReadRowSegment(storage_.get(), segment, [&](const auto&) {
    ++visited;
    return UserError("enough", "");
  });
  EXPECT_EQ(CodeOf(status), "enough");
  EXPECT_EQ(visited, 1);
}

TEST_F(SegmentTest, TheOtherKindIsRefused) {
  EXPECT_EQ(CodeOf(ReadRows(WriteRecords({}))), "segment_damaged");
  EXPECT_EQ(CodeOf(ReadRecords(WriteRows({})).status()), "segment_damaged");
}

}  // namespace
}  // namespace millrace
