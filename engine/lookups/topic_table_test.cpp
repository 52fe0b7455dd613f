#include "engine/lookups/topic_table.h"

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <random>

#include "engine/connectors/tombstone.h"
#include "engine/lookups/lookup_testing.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Lines = std::vector<std::string>;

// A record of a topic: its Kafka key, and its value; none is a tombstone.
struct Record {
  std::string key;
  std::optional<std::string> value;
};

class Keys final : public OriginalRecords {
 public:
  Lines keys;
  std::string_view ValueOfRow(int64_t) const override { return {}; }
  std::string_view KeyOfRow(int64_t row) const override { return keys[size_t(row)]; }
};

class TopicTableTest : public testing::Test {
 protected:
  void Begin(LookupSpec spec, LookupLimits limits = {}) {
    spec_ = std::move(spec);
    layout_ = test::WholeLayout(spec_);
    offset_ = 0;
    table_ = std::make_unique<TopicTable>(spec_, layout_, limits);
  }

  // As a reader gives them.
  Status Add(const std::vector<Record>& records) {
    SourceStreamSpec source;
    source.format = spec_.format;
    source.csv = spec_.csv;
    source.columns = spec_.columns;
    for (const SourceColumn& column : spec_.columns) source.csv.fields.push_back(column.from);
    MessageDecoder decoder(source, layout_.columns);
    DecodedMessage decoded;
    SourceBatch batch;
    batch.partition = {"devices", 3};
    auto origins = std::make_shared<Origins>();
    auto keys = std::make_shared<Keys>();
    for (const Record& record : records) {
      const int64_t offset = offset_++;
      if (!record.value.has_value()) {
        batch.rejected.push_back({offset, std::string(kTombstone), "", "", record.key});
        continue;
      }
      decoder.Append(*record.value, &decoded);
      for (size_t i = 0; i < decoded.rows.size(); ++i) {
        origins->offsets.push_back(offset);
        keys->keys.push_back(record.key);
      }
      for (const auto& refused : decoded.refused) {
        batch.rejected.push_back(
            {offset, refused.failure.reason, refused.failure.message, *record.value, record.key});
      }
    }
    batch.rows.batch = decoder.Finish().ValueOrDie();
    batch.rows.origins = origins;
    batch.originals = keys;
    return table_->Add(batch);
  }

  // The second column of the rows of these keys ("-": none), after a step.
  std::string ValuesOf(const Lines& keys) {
    auto stepped = table_->Step();
    EXPECT_TRUE(stepped.ok()) << stepped.status();
    snapshot_ = *stepped;
    Lines lines;
    lines.reserve(keys.size());
    for (const std::string& key : keys) {
      lines.push_back("{\"" + spec_.columns[0].field.name + "\":" + key + "}");
    }
    const LookupMatches matches = snapshot_->Find(test::KeysOf(spec_, layout_, lines));
    const auto values = snapshot_->Take(matches, {1}).ValueOrDie()[0];
    EXPECT_TRUE(values->ValidateFull().ok());
    std::string text;
    for (int64_t row = 0; row < values->length(); ++row) {
      text += values->IsNull(row)
                  ? "-"
                  : std::string(static_cast<const arrow::StringArray&>(*values).GetView(row));
    }
    return text;
  }

  static LookupSpec Devices() {
    return test::LookupOf({{"device", Type::kText}, {"model", Type::kText}}, {"device"});
  }
  static std::string Row(const std::string& device, const std::string& model) {
    return R"({"device":")" + device + R"(","model":")" + model + "\"}";
  }

  LookupSpec spec_;
  LookupLayout layout_;
  std::unique_ptr<TopicTable> table_;
  std::shared_ptr<const LookupSnapshot> snapshot_;
  int64_t offset_ = 0;
};

TEST_F(TopicTableTest, HoldsTheLastRowOfEachKey) {
  Begin(Devices());
  EXPECT_EQ(ValuesOf({R"("a")"}), "-") << "nothing yet";
  ASSERT_TRUE(Add({{"a", Row("a", "1")}, {"b", Row("b", "2")}, {"a", Row("a", "3")}}).ok());
  EXPECT_EQ(table_->pending(), 3);
  EXPECT_EQ(ValuesOf({R"("a")", R"("b")", R"("c")"}), "32-");
  EXPECT_EQ(table_->pending(), 0);
  EXPECT_EQ(snapshot_->rows(), 2);
  const auto before = snapshot_;
  ASSERT_TRUE(Add({{"c", Row("c", "4")}, {"b", std::nullopt}, {"a", Row("a", "5")}}).ok());
  EXPECT_EQ(ValuesOf({R"("a")", R"("b")", R"("c")"}), "5-4");
  EXPECT_EQ(snapshot_->rows(), 2);
  EXPECT_EQ(before->rows(), 2) << "who has it still sees it as it was";
  ASSERT_TRUE(Add({{"b", std::nullopt}, {"b", Row("b", "6")}, {"d", std::nullopt}}).ok());
  EXPECT_EQ(ValuesOf({R"("a")", R"("b")", R"("c")", R"("d")"}), "564-");
  EXPECT_EQ(snapshot_->rows(), 3);
  EXPECT_EQ(table_->bad_records(), 0);
}

TEST_F(TopicTableTest, ReadsKeysOfTombstonesAsObjects) {
  Begin(test::LookupOf({{"device", Type::kText}, {"model", Type::kText}, {"n", Type::kInteger}},
                       {"device", "n"}));
  ASSERT_TRUE(Add({{"", R"({"device":"a","n":1,"model":"x"})"},
                   {"", R"({"device":"a","n":2,"model":"y"})"},
                   {R"({"n":1,"device":"a","more":[]})", std::nullopt}})
                  .ok());
  EXPECT_EQ(table_->bad_records(), 0);
  ASSERT_TRUE(table_->Step().ok());
  EXPECT_EQ(table_->Step().ValueOrDie()->rows(), 1);
  ASSERT_TRUE(Add({{"a", std::nullopt}, {R"({"device":"a"})", std::nullopt}}).ok());
  EXPECT_EQ(table_->bad_records(), 2);
  EXPECT_THAT(table_->FirstBad(), HasSubstr("topic devices, partition 3, offset "));
  EXPECT_EQ(table_->Step().ValueOrDie()->rows(), 1);
}

TEST_F(TopicTableTest, ReadsKeysOfTombstonesAsTheValueOfOneColumn) {
  Begin(test::LookupOf({{"id", Type::kBigint}, {"name", Type::kText}}, {"id"}));
  ASSERT_TRUE(Add({{"1", R"({"id":1,"name":"x"})"},
                   {"2", R"({"id":2,"name":"y"})"},
                   {"3", R"({"id":3,"name":"z"})"},
                   {"1", std::nullopt},
                   {R"({"id":3})", std::nullopt}})
                  .ok());
  EXPECT_EQ(ValuesOf({"1", "2", "3"}), "-y-");
  ASSERT_TRUE(Add({{"two", std::nullopt}}).ok());
  EXPECT_EQ(
      table_->FirstBad(),
      "topic devices, partition 3, offset 5: no value, and its key cannot be read: column id: "
      "expected bigint, found 'two'");
  table_->ForgetBad();
  ASSERT_TRUE(Add({{"", std::nullopt}}).ok());
  EXPECT_EQ(table_->FirstBad(),
            "topic devices, partition 3, offset 6: no value, and its key has a null in it");
  EXPECT_EQ(ValuesOf({"1", "2", "3"}), "-y-");
}

TEST_F(TopicTableTest, ReadsKeysOfTombstonesAsLinesOfCsv) {
  LookupSpec spec = test::LookupOf(
      {{"device", Type::kText}, {"model", Type::kText}, {"n", Type::kInteger}}, {"n", "device"});
  spec.format = Format::kCsv;
  Begin(spec);
  ASSERT_TRUE(Add({{"", "a,x,1"}, {"", "b,y,2"}, {"1,a", std::nullopt}, {"2", std::nullopt}}).ok());
  EXPECT_EQ(table_->bad_records(), 1);
  EXPECT_EQ(table_->Step().ValueOrDie()->rows(), 1);
}

TEST_F(TopicTableTest, ALaterRecordOfAKeyStandsForOneThatCannotBeRead) {
  Begin(Devices());
  ASSERT_TRUE(Add({{"a", "{"}, {"b", "{"}, {"c", Row("c", "1")}, {"a", Row("a", "1")}}).ok());
  EXPECT_EQ(table_->bad_records(), 1);
  EXPECT_THAT(table_->FirstBad(), HasSubstr("topic devices, partition 3, offset 1: "));
  ASSERT_TRUE(Add({{"b", std::nullopt}}).ok());
  EXPECT_EQ(table_->bad_records(), 0);
  ASSERT_TRUE(Add({{"a", Row("a", "1")}, {"a", "{"}}).ok());
  EXPECT_EQ(table_->bad_records(), 1) << "the bad one is the later";
  ASSERT_TRUE(Add({{"", "{"}, {"", Row("x", "1")}}).ok());
  EXPECT_EQ(table_->bad_records(), 2) << "nothing stands for a record without a key";
}

TEST_F(TopicTableTest, CountsRowsWithoutAKey) {
  Begin(Devices());
  ASSERT_TRUE(Add({{"a", R"({"model":"x"})"}, {"b", Row("b", "1")}}).ok());
  EXPECT_EQ(ValuesOf({R"("b")"}), "1");
  EXPECT_EQ(table_->rows_without_key(), 1);
  EXPECT_EQ(snapshot_->rows(), 1);
}

TEST_F(TopicTableTest, SaysWhichLimitIsPassed) {
  Begin(Devices(), {2, 1 << 20});
  ASSERT_TRUE(Add({{"a", Row("a", "1")}, {"b", Row("b", "1")}}).ok());
  ASSERT_TRUE(table_->Step().ok());
  ASSERT_TRUE(Add({{"a", Row("a", "2")}, {"c", Row("c", "1")}, {"b", std::nullopt}}).ok());
  ASSERT_TRUE(table_->Step().ok()) << "two keys again";
  ASSERT_TRUE(Add({{"d", Row("d", "1")}}).ok());
  EXPECT_EQ(table_->Step().status().message(), "more than 2 rows: the table is kept in memory");
}

// Against std::map, with few and many changes a step; few tables stay, and a change copies little.
TEST_F(TopicTableTest, HoldsWhatAMapHolds) {
  std::mt19937 random(5);
  for (const int changes_max : {1, 40, 3000}) {
    Begin(Devices());
    std::map<std::string, std::string> expected;
    for (int step = 0; step < 40; ++step) {
      std::vector<Record> records;
      const int changes = 1 + int(random() % unsigned(changes_max));
      for (int i = 0; i < changes; ++i) {
        const std::string device = std::to_string(random() % unsigned(changes_max * 4));
        if (random() % 3 == 0) {
          records.push_back({device, std::nullopt});
          expected.erase(device);
        } else {
          const std::string model = std::to_string(random() % 10);
          records.push_back({device, Row(device, model)});
          expected[device] = model;
        }
      }
      ASSERT_TRUE(Add(records).ok());
      Lines keys;
      std::string wanted;
      for (int i = 0; i < 200; ++i) {
        const std::string device = std::to_string(random() % unsigned(changes_max * 4 + 2));
        keys.push_back("\"" + device + "\"");
        const auto found = expected.find(device);
        wanted += found == expected.end() ? "-" : found->second;
      }
      ASSERT_EQ(ValuesOf(keys), wanted) << changes_max << " " << step;
      ASSERT_EQ(snapshot_->rows(), int64_t(expected.size()));
      ASSERT_LE(snapshot_->tables().size(), 9u);
    }
  }
}

TEST_F(TopicTableTest, AChangeOfALargeTableLeavesItAsItIs) {
  Begin(Devices());
  std::vector<Record> records;
  records.reserve(20'000);
  for (int i = 0; i < 20'000; ++i) {
    records.push_back({"", Row(std::to_string(i), "x")});
  }
  ASSERT_TRUE(Add(records).ok());
  const auto large = table_->Step().ValueOrDie()->tables().front();
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(Add({{"", Row(std::to_string(i), "y")}}).ok());
    ASSERT_EQ(table_->Step().ValueOrDie()->tables().back(), large) << i;
  }
  EXPECT_EQ(ValuesOf({R"("0")", R"("499")", R"("500")"}), "yyx");
}

}  // namespace
}  // namespace millrace
