// A join with a lookup in a pipeline: what comes out, what the account counts, and what becomes a
// dead letter, in a reader and below a window.
#include <gmock/gmock.h>

#include <numeric>

#include "engine/lookups/lookup_testing.h"
#include "engine/operators/cell_text.h"
#include "worker/fixture.h"

namespace millrace {
namespace {

using test::Column;
using testing::ElementsAre;
using testing::IsEmpty;
using Lines = std::vector<std::string>;

class Listing final : public Outlet {
 public:
  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows& rows) override {
    for (int64_t row = 0; row < rows.size(); ++row) {
      std::string line;
      for (const auto& column : rows.batch->columns()) {
        if (!line.empty()) line += ' ';
        AppendCellText(*column, row, &line);
      }
      lines.push_back(line);
    }
  }
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    for (const DeadLetter& letter : letters) {
      dead.push_back(letter.stream + " " + letter.value + " " + letter.reason + ": " +
                     letter.message);
    }
  }

  Lines lines;
  Lines dead;
};

// readings(key, event_time, value) -> named: key, value of those with a value above 90, joined with
// devices for their model -> a sink.
class LookupPipelineTest : public testing::Test {
 protected:
  LookupPipelineTest() {
    spec_ = test::LookupOf({{"device", Type::kText}, {"model", Type::kText}}, {"device"});
    join_.lookup = "devices";
    join_.keys = {Column(0, Type::kText)};
    join_.columns = {1};
  }

  void MakePlan(NodeId above) {
    plan_ = test::MakePlan();
    plan_.nodes.resize(size_t(above.value()) + 1);
    const Schema input{{{"key", Type::kText, "", false}, {"value", Type::kDouble, "", false}}};
    ProjectNode project;
    if (above == test::kSource) project.filter = test::HotCondition();
    project.columns = above == test::kSource
                          ? std::vector<Expr>{Column(0, Type::kText), Column(2, Type::kDouble)}
                          : std::vector<Expr>{Column(2, Type::kText), Column(4, Type::kDouble)};
    const NodeId first(int32_t(plan_.nodes.size()));
    test::AddNode(&plan_, "named.input", "named", above, input, project);
    Schema joined = input;
    joined.fields.push_back(spec_.columns[1].field);
    test::AddNode(&plan_, "named.devices", "named", first, joined, join_);
    ProjectNode output;
    output.columns = {Column(0, Type::kText), Column(2, Type::kText)};
    const NodeId second(int32_t(plan_.nodes.size()) - 1);
    test::AddNode(&plan_, "named", "named", second, Schema{{joined.fields[0], joined.fields[2]}},
                  output);
    const NodeId third(int32_t(plan_.nodes.size()) - 1);
    test::AddNode(&plan_, "sink.0", "named", third, plan_.nodes.back().output, SinkNode{});
    account_ = std::make_unique<JobAccount>(plan_);
    LookupTables tables;
    tables["devices"] = test::HeldLookup(spec_, test::WholeLayout(spec_),
                                         {R"({"device":"a","model":"x"})", R"({"device":"b"})"});
    pipeline_ = RowPipeline::Make(plan_, above, account_.get(), tables).ValueOrDie();
  }

  // Readings of these keys, those with '!' not above 90.
  Listing Push(const Lines& keys) {
    std::vector<test::Reading> readings;
    auto originals = std::make_shared<test::Originals>();
    auto origins = std::make_shared<Origins>();
    for (const std::string& key : keys) {
      const bool cold = key.ends_with('!');
      readings.push_back({key.substr(0, key.size() - (cold ? 1 : 0)), 10, cold ? 20.0 : 95.0});
      originals->values.push_back("record " + std::to_string(origins->offsets.size()));
      origins->offsets.push_back(int64_t(origins->offsets.size()));
    }
    SourceBatch batch;
    batch.rows = test::RowsOf(readings);
    batch.rows.origins = origins;
    batch.originals = originals;
    std::vector<EventTime> watermarks(keys.size(), kEventTimeMin);
    Listing listing;
    EXPECT_TRUE(pipeline_->Push(batch.rows, {&batch, &watermarks}, &listing).ok());
    return listing;
  }

  // in = counted + filtered + dead letters; rows out.
  std::string Account() {
    const StreamAccount& account = account_->stream("named");
    EXPECT_EQ(account_->Difference("named"), 0);
    return std::to_string(account.rows_in) + " = " + std::to_string(account.counted) + " + " +
           std::to_string(account.filtered) + " + " +
           std::to_string(account_->DeadLettersOf("named")) + "; " +
           std::to_string(account.rows_out);
  }

  LookupSpec spec_;
  LookupNode join_;
  JobPlan plan_;
  std::unique_ptr<JobAccount> account_;
  std::unique_ptr<RowPipeline> pipeline_;
};

TEST_F(LookupPipelineTest, RowsThatFindNothingAreFiltered) {
  MakePlan(test::kSource);
  const Listing listing = Push({"c", "a!", "b", "c!", "a"});
  EXPECT_THAT(listing.lines, ElementsAre("b null", "a x"));
  EXPECT_THAT(listing.dead, IsEmpty());
  EXPECT_EQ(Account(), "5 = 2 + 3 + 0; 2") << "two by WHERE, one by the JOIN";
}

TEST_F(LookupPipelineTest, RowsThatFindNothingStayInALeftJoin) {
  join_.keeps_unmatched = true;
  MakePlan(test::kSource);
  EXPECT_THAT(Push({"c", "a!", "a"}).lines, ElementsAre("c null", "a x"));
  EXPECT_EQ(Account(), "3 = 2 + 1 + 0; 2");
}

TEST_F(LookupPipelineTest, AMissingKeyIsADeadLetterWithItsReading) {
  spec_.missing_is_dead_letter = true;
  MakePlan(test::kSource);
  const Listing listing = Push({"a!", "c", "a", "d"});
  EXPECT_THAT(listing.lines, ElementsAre("a x"));
  EXPECT_THAT(listing.dead,
              ElementsAre("named record 1 missing_key: lookup devices has no row for device = 'c'",
                          "named record 3 missing_key: lookup devices has no row for device = 'd'"))
      << "by the reading's row, though one before it was filtered";
  EXPECT_EQ(Account(), "4 = 1 + 1 + 2; 1");
}

TEST_F(LookupPipelineTest, BelowAWindowARowsDeadLetterIsTheRow) {
  spec_.missing_is_dead_letter = true;
  MakePlan(test::kWindow);
  arrow::TimestampBuilder starts(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  arrow::StringBuilder keys;
  arrow::Int64Builder records;
  arrow::DoubleBuilder totals;
  for (const char* key : {"a", "c"}) {
    ASSERT_TRUE(starts.Append(0).ok() && keys.Append(key).ok() && records.Append(1).ok() &&
                totals.Append(2.5).ok());
  }
  const auto times = *starts.Finish();
  Rows rows;
  rows.batch =
      arrow::RecordBatch::Make(plan_.node(test::kWindow).output.ToArrow(), 2,
                               {times, times, *keys.Finish(), *records.Finish(), *totals.Finish()});
  Listing listing;
  ASSERT_TRUE(pipeline_->Push(rows, {}, &listing).ok());
  EXPECT_THAT(listing.lines, ElementsAre("a x"));
  EXPECT_THAT(listing.dead,
              ElementsAre("named {\"key\":\"c\",\"value\":2.5} missing_key: lookup devices has no "
                          "row for device = 'c'"));
}

TEST_F(LookupPipelineTest, NeedsTheLookupsOfThePlan) {
  MakePlan(test::kSource);
  EXPECT_FALSE(RowPipeline::Make(plan_, test::kSource, account_.get()).ok());
}

}  // namespace
}  // namespace millrace
