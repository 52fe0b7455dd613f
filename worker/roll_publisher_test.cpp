#include "worker/roll_publisher.h"

#include <arrow/filesystem/localfs.h>
#include <gtest/gtest.h>

#include "engine/outbox/segment.h"
#include "engine/storage/storage_testing.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT

using Lines = std::vector<std::string>;

// Goes through the rows twice, as a writer may, and keeps what it saw.
class FakeRollWriter final : public RollWriter {
 public:
  RollName name;
  std::vector<Lines> passes;
  Status fails;
  std::optional<std::string> register_bytes;
  size_t passes_at_register = 0;
  int registers_written = 0;

  Status Open() override { return Status::OK(); }
  Status Check(const Rows&, std::vector<uint32_t>*, std::vector<DeadLetter>*) override {
    return Status::OK();
  }
  Result<RollResult> Write(const RollName& roll,
                           const std::function<Status(const Visit&)>& each) override {
    name = roll;
    RollResult result;
    for (int pass = 0; pass < 2; ++pass) {
      Lines keys;
      ARROW_RETURN_NOT_OK(each([&](const arrow::RecordBatch& batch) {
        const auto& column = static_cast<const arrow::StringArray&>(*batch.column(0));
        for (int64_t row = 0; row < batch.num_rows(); ++row) keys.push_back(column.GetString(row));
        return fails;
      }));
      result.rows = int64_t(keys.size());
      passes.push_back(std::move(keys));
    }
    return result;
  }
  Result<std::optional<std::string>> ReadRegister() override { return register_bytes; }
  Status WriteRegister(std::string_view bytes) override {
    passes_at_register = passes.size();
    register_bytes = std::string(bytes);
    ++registers_written;
    return Status::OK();
  }
  std::string description() const override { return "a test"; }
};

class RollPublisherTest : public testing::Test {
 protected:
  proto::Segment Segment(const std::string& path,
                         const std::vector<std::vector<Reading>>& batches) {
    auto file = storage_->Create(path).ValueOrDie();
    auto writer =
        RowSegmentWriter::Make(std::move(file), plan_.node(kSource).output.ToArrow()).ValueOrDie();
    for (const auto& batch : batches) EXPECT_TRUE(writer->Append(*RowsOf(batch).batch).ok());
    return writer->Finish().ValueOrDie();
  }

  const JobPlan plan_ = MakePlan();
  StorageTestFolder folder_;
  std::unique_ptr<CheckpointStorage> storage_ =
      CheckpointStorage::Open(std::make_shared<arrow::fs::LocalFileSystem>(), folder_.path())
          .ValueOrDie();
  ReleasedRoll Roll(int64_t epoch) {
    ReleasedRoll roll;
    roll.roll.set_epoch(epoch);
    *roll.roll.add_segments() =
        Segment("outbox/" + std::to_string(epoch) + ".rows", {{{"a"}, {"b"}}});
    return roll;
  }
  void SetRegister(const std::string& generation, int64_t epoch) {
    proto::Register state;
    state.set_generation(generation);
    state.set_epoch(epoch);
    writer_.register_bytes = state.SerializeAsString();
  }
  std::string NotedIn(const std::string& bytes) {
    proto::Register state;
    EXPECT_TRUE(state.ParseFromString(bytes));
    return state.generation() + "@" + std::to_string(state.epoch());
  }

  FakeRollWriter writer_;
  RollPublisher publisher_{
      {{"fleet", "0123abcd", {"parent"}, false}, "sink1", Epoch(18)}, &writer_, storage_.get()};
};

TEST_F(RollPublisherTest, GivesTheRowsOfEverySegmentInOrderAsOftenAsAsked) {
  ReleasedRoll roll;
  roll.shard = 3;
  roll.sink = "hot>parquet:lake";
  roll.roll.set_epoch(17);
  *roll.roll.add_segments() = Segment("outbox/1.rows", {{{"a"}, {"b"}}, {{"c"}}});
  *roll.roll.add_segments() = Segment("outbox/2.rows", {{{"d"}}});
  const RollResult result = publisher_.Publish(roll).ValueOrDie();
  EXPECT_EQ(result.rows, 4);
  EXPECT_EQ(writer_.passes, (std::vector<Lines>{{"a", "b", "c", "d"}, {"a", "b", "c", "d"}}));
  EXPECT_EQ(writer_.name.job, "fleet");
  EXPECT_EQ(writer_.name.generation, "0123abcd");
  EXPECT_EQ(writer_.name.sink, "sink1");
  EXPECT_EQ(writer_.name.shard, 3);
  EXPECT_EQ(writer_.name.epoch, 17);
}

TEST_F(RollPublisherTest, NotesTheEpochBeforeItsFiles) {
  ASSERT_TRUE(publisher_.Publish(Roll(17)).ok());
  EXPECT_EQ(NotedIn(*writer_.register_bytes), "0123abcd@17");
  EXPECT_EQ(writer_.passes_at_register, 0u);
  ASSERT_TRUE(publisher_.Publish(Roll(19)).ok());
  EXPECT_EQ(NotedIn(*writer_.register_bytes), "0123abcd@19");
  EXPECT_EQ(writer_.passes_at_register, 2u);
}

TEST_F(RollPublisherTest, AnEpochThatIsNotedIsNotNotedAgain) {
  SetRegister("0123abcd", 18);
  ASSERT_TRUE(publisher_.Publish(Roll(17)).ok());
  ASSERT_TRUE(publisher_.Publish(Roll(18)).ok());
  EXPECT_EQ(writer_.registers_written, 0);
  ASSERT_TRUE(publisher_.Publish(Roll(19)).ok());
  EXPECT_EQ(writer_.registers_written, 1);
}

TEST_F(RollPublisherTest, AFolderWithMoreThanTheCheckpointKnowsStops) {
  SetRegister("0123abcd", 19);  // the checkpoint is of epoch 18
  EXPECT_EQ(CodeOf(publisher_.Publish(Roll(20)).status()), "published_beyond");
  EXPECT_EQ(writer_.registers_written, 0);
  EXPECT_TRUE(writer_.passes.empty());
}

TEST_F(RollPublisherTest, TheFolderOfAnAncestorIsTakenOver) {
  SetRegister("parent", 40);
  ASSERT_TRUE(publisher_.Publish(Roll(17)).ok());
  EXPECT_EQ(NotedIn(*writer_.register_bytes), "0123abcd@17");
}

TEST_F(RollPublisherTest, TheFolderOfAStrangerIsLeftAlone) {
  SetRegister("stranger", 3);
  EXPECT_EQ(CodeOf(publisher_.Publish(Roll(17)).status()), "generation_is_foreign");
  EXPECT_EQ(writer_.registers_written, 0);
  EXPECT_TRUE(writer_.passes.empty());
}

TEST_F(RollPublisherTest, ARegisterThatCannotBeReadIsToldAndNotOverwritten) {
  writer_.register_bytes = "not a message \xff";
  EXPECT_EQ(CodeOf(publisher_.Publish(Roll(17)).status()), "register_damaged");
  EXPECT_EQ(writer_.registers_written, 0);
}

TEST_F(RollPublisherTest, AWriterThatFailsFailsIt) {
  writer_.fails = ExternalError("disk_full", "no space", Retry::kNo);
  ReleasedRoll roll;
  *roll.roll.add_segments() = Segment("outbox/1.rows", {{{"a"}}});
  EXPECT_EQ(publisher_.Publish(roll).status(), writer_.fails);
}

TEST_F(RollPublisherTest, ADamagedSegmentFailsIt) {
  ReleasedRoll roll;
  *roll.roll.add_segments() = Segment("outbox/1.rows", {{{"a"}}});
  std::string bytes = folder_.Get("outbox/1.rows");
  bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 1);
  folder_.Put("outbox/1.rows", bytes);
  EXPECT_EQ(CodeOf(publisher_.Publish(roll).status()), "segment_damaged");
}

}  // namespace
}  // namespace millrace
