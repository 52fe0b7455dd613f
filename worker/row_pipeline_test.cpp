// Unfolded readings in a pipeline: what the account counts and what becomes a dead letter.
#include "worker/row_pipeline.h"

#include <arrow/builder.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

using Lines = std::vector<std::string>;

class Texts final : public OriginalRecords {
 public:
  explicit Texts(Lines lines) : lines_(std::move(lines)) {}
  std::string_view ValueOfRow(int64_t row) const override { return lines_[size_t(row)]; }
  std::string_view KeyOfRow(int64_t) const override { return ""; }

 private:
  Lines lines_;
};

// Says what comes out.
class Listing final : public Outlet {
 public:
  explicit Listing(const JobPlan& plan) : plan_(plan) {}

  void ToWindow(NodeId node, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t> selection) override {
    rows[plan_.node(node).stream] += int64_t(selection.size());
  }
  void ToSink(NodeId node, int, const Rows& out) override {
    rows["sink of " + plan_.node(node).stream] += out.size();
  }
  void ToDeadLetters(std::vector<DeadLetter> letters) override {
    for (const DeadLetter& letter : letters) {
      dead.push_back(letter.stream + " " + letter.value + " " + letter.message);
    }
  }

  std::map<std::string, int64_t> rows;
  Lines dead;

 private:
  const JobPlan& plan_;
};

class RowPipelineTest : public testing::Test {
 protected:
  RowPipelineTest() {
    job_.Readings()
        .Query("samples",
               "SELECT observed_at, s::integer AS s FROM readings, unnest(device_id::json) AS s "
               "WHERE s::text <> '9'")
        .Query("inverse", "SELECT observed_at, 10 / s AS x FROM samples WHERE s < 100")
        .Query("counts",
               "SELECT window_end, count(*) AS n, sum(10 / (s - 2)) AS x "
               "FROM tumble(samples, INTERVAL '1 minute') GROUP BY window_end")
        .Query("nested",
               "SELECT i::integer AS i FROM samples, "
               "unnest(('[' || s || CASE WHEN s = 3 THEN ',x' ELSE '' END || ']')::json) AS i")
        .Sink("samples")
        .Sink("nested")
        .Sink("inverse")
        .Sink("counts");
    plan_ = job_.Plan();
    EXPECT_FALSE(job_.diagnostics().has_errors());
    account_ = std::make_unique<JobAccount>(plan_);
    pipeline_ = RowPipeline::Make(plan_, NodeId(0), account_.get()).ValueOrDie();
  }

  // Readings with these arrays, all at 10 s; `late`: the index of one that comes when the watermark
  // has passed the end of its window.
  Listing Push(const Lines& arrays, int64_t late = -1) {
    const auto count = int64_t(arrays.size());
    arrow::StringBuilder texts;
    arrow::TimestampBuilder times(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
    for (const std::string& array : arrays) {
      EXPECT_TRUE(texts.Append(array).ok());
      EXPECT_TRUE(times.Append(10'000'000).ok());
    }
    auto origins = std::make_shared<Origins>();
    origins->offsets.resize(arrays.size());
    std::iota(origins->offsets.begin(), origins->offsets.end(), 0);
    SourceBatch batch;
    batch.rows.batch =
        arrow::RecordBatch::Make(plan_.nodes[0].output.ToArrow(), count,
                                 {texts.Finish().ValueOrDie(), times.Finish().ValueOrDie()});
    batch.rows.origins = origins;
    batch.originals = std::make_shared<Texts>(arrays);
    std::vector<EventTime> watermarks(arrays.size(), kEventTimeMin);
    if (late >= 0) watermarks[size_t(late)] = EventTime(Micros(60'000'000));
    Listing listing(plan_);
    EXPECT_TRUE(pipeline_->Push(batch.rows, {&batch, &watermarks}, &listing).ok());
    return listing;
  }

  // in = counted + filtered + dead letters; rows out.
  std::string Account(const std::string& stream) {
    const StreamAccount& account = account_->stream(stream);
    return std::to_string(account.rows_in) + " = " + std::to_string(account.counted) + " + " +
           std::to_string(account.filtered) + " + " +
           std::to_string(account_->DeadLettersOf(stream)) + "; " +
           std::to_string(account.rows_out);
  }

  TestJob job_;
  JobPlan plan_;
  std::unique_ptr<JobAccount> account_;
  std::unique_ptr<RowPipeline> pipeline_;
};

TEST_F(RowPipelineTest, AnUnfoldedReadingIsCountedOnce) {
  const Listing out = Push({"[1,5]", "[]", "[9,9]", "[9,7]", "{}", "[4,\"x\",4]"});
  EXPECT_EQ(Account("samples"), "6 = 2 + 2 + 2; 3");
  EXPECT_EQ(Account("inverse"), "3 = 3 + 0 + 0; 3");
  EXPECT_EQ(
      out.rows,
      (std::map<std::string, int64_t>{
          {"counts", 3}, {"sink of inverse", 3}, {"sink of nested", 3}, {"sink of samples", 3}}));
  EXPECT_EQ(out.dead, (Lines{"samples {} cannot extract elements from an object in device_id::json",
                             "samples [4,\"x\",4] not a JSON number: \"\"x\"\" in s::integer "
                             "(element 2)"}));
  EXPECT_TRUE(pipeline_->unfolds());
}

// Each stream takes all of a reading or nothing of it, with one dead letter of it.
TEST_F(RowPipelineTest, WhatFailsInALaterStreamFailsAsAWhole) {
  const Listing out = Push({"[1,0,5,100]", "[3,2,2]", "[3]"});
  EXPECT_EQ(Account("samples"), "3 = 3 + 0 + 0; 8");
  EXPECT_EQ(Account("inverse"), "8 = 4 + 1 + 3; 4");
  EXPECT_EQ(account_->stream("counts").rows_in, 8);
  EXPECT_EQ(account_->DeadLettersOf("counts"), 3);
  EXPECT_EQ(
      out.rows,
      (std::map<std::string, int64_t>{
          {"counts", 5}, {"sink of inverse", 4}, {"sink of nested", 4}, {"sink of samples", 8}}));
  EXPECT_EQ(Account("nested"), "8 = 4 + 0 + 4; 4");
  ASSERT_EQ(out.dead.size(), 4u);
  EXPECT_EQ(out.dead[0], "inverse [1,0,5,100] division by zero in 10 / s");
  EXPECT_EQ(out.dead[1], "counts [3,2,2] division by zero in 10 / (s - 2)");
  EXPECT_TRUE(out.dead[2].starts_with("nested [3,2,2] invalid input syntax for type json"));
  EXPECT_TRUE(out.dead[3].starts_with("nested [3] invalid input syntax for type json"));
}

TEST_F(RowPipelineTest, ALateReadingIsOneLetter) {
  const Listing out = Push({"[1,5,6]", "[4]"}, /*late=*/0);
  EXPECT_EQ(account_->stream("counts").late, 3);
  EXPECT_EQ(account_->DeadLettersOf("counts"), 3);
  EXPECT_EQ(out.rows.at("counts"), 1);
  ASSERT_EQ(out.dead.size(), 1u);
  EXPECT_TRUE(out.dead[0].starts_with("counts [1,5,6] event time ")) << out.dead[0];
}

// With a watermark a device the tasks say what is late: everything goes to them, with its record.
class Receiving final : public Outlet {
 public:
  void ToWindow(NodeId, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>> of_rows,
                std::span<const uint32_t> selection) override {
    selected += int64_t(selection.size());
    hashes = *of_rows;
    ASSERT_NE(rows.originals, nullptr);
    EXPECT_EQ(rows.originals->bytes(), 1000);
    for (int64_t row = 0; row < rows.size(); ++row) {
      records.emplace_back(rows.originals->ValueOfRow(
          rows.original_rows == nullptr ? row : (*rows.original_rows)[size_t(row)]));
    }
  }
  void ToSink(NodeId, int, const Rows&) override {}
  void ToDeadLetters(std::vector<DeadLetter> letters) override { dead += letters.size(); }

  std::vector<uint64_t> hashes;
  int64_t selected = 0;
  Lines records;
  size_t dead = 0;
};

TEST(ClockedPipeline, RowsThatAreFilteredOutComeAlongAndAreCounted) {
  TestJob job;
  job.Readings()
      .Query("warm", "SELECT device_id, observed_at, level FROM readings WHERE level > 0")
      .Query("windows",
             "SELECT window_end, level, device_id, sum(10 / (level - 5)) AS x "
             "FROM tumble(warm, INTERVAL '1 minute') WHERE level <> 5 "
             "GROUP BY window_end, level, device_id")
      .Sink("windows");
  PerKeySpec per_key;
  per_key.key = {{"device_id", {}}};
  per_key.offline_for = std::chrono::hours(1);
  std::get<SourceStreamSpec>(job.spec().streams[0].kind).event_time->per_key = per_key;
  const JobPlan plan = job.Plan();
  ASSERT_FALSE(job.diagnostics().has_errors()) << job.Messages();
  JobAccount account(plan);
  const auto pipeline = RowPipeline::Make(plan, NodeId(0), &account).ValueOrDie();

  arrow::StringBuilder devices;
  arrow::TimestampBuilder times(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  arrow::Int32Builder levels;
  ASSERT_TRUE(devices.AppendValues({"a", "a", "b", "a"}).ok());
  ASSERT_TRUE(times.AppendValues({10, 20, 30, 40}).ok());
  ASSERT_TRUE(levels.AppendValues({7, 0, 5, 6}).ok());
  SourceBatch source;
  source.bytes = 1000;
  source.originals = std::make_shared<Texts>(Lines{"r0", "r1", "r2", "r3"});
  auto origins = std::make_shared<Origins>();
  origins->offsets = {0, 1, 2, 3};
  source.rows.origins = origins;
  source.rows.batch =
      arrow::RecordBatch::Make(plan.node(NodeId(0)).output.ToArrow(), 4,
                               {*devices.Finish(), *times.Finish(), *levels.Finish()});
  const std::vector<EventTime> watermarks(4, EventTime(std::chrono::hours(5)));
  PipelineContext context;
  context.source = &source;
  context.watermark_before = &watermarks;
  Receiving outlet;
  ASSERT_TRUE(pipeline->Push(source.rows, context, &outlet).ok());
  EXPECT_EQ(outlet.selected, 3);
  EXPECT_EQ(outlet.records, (Lines{"r0", "r2", "r3"}));
  EXPECT_EQ(outlet.dead, 0u);
  EXPECT_EQ(account.stream("warm").filtered, 1);
  EXPECT_EQ(account.stream("windows").rows_in, 3);
  EXPECT_EQ(account.stream("windows").filtered, 1);
  // Rows of one device go to one task, whatever the level.
  EXPECT_NE(outlet.hashes[0], outlet.hashes[2]);
  EXPECT_EQ(KeyGroupOf(outlet.hashes[0]), KeyGroupOf(outlet.hashes[2]));
  EXPECT_NE(KeyGroupOf(outlet.hashes[0]), KeyGroupOf(outlet.hashes[1]));
}

// Which group each row of a window goes to.
class GroupsOfRows final : public Outlet {
 public:
  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>> hashes,
                std::span<const uint32_t> selection) override {
    for (const uint32_t row : selection) groups.push_back(KeyGroupOf((*hashes)[row]).value());
    distinct.insert(hashes->begin(), hashes->end());
  }
  void ToSink(NodeId, int, const Rows&) override {}
  void ToDeadLetters(std::vector<DeadLetter>) override {}

  std::vector<int32_t> groups;
  std::set<uint64_t> distinct;
};

TEST(KeyedTopic, RowsGoToTheGroupOfTheirPartition) {
  TestJob job;
  job.Readings()
      .Query("counts",
             "SELECT window_end, level, device_id, count(*) AS n "
             "FROM tumble(readings, INTERVAL '1 minute') GROUP BY window_end, level, device_id")
      .Sink("counts");
  auto& source = std::get<SourceStreamSpec>(job.spec().streams[0].kind);
  std::get<KafkaSourceSpec>(source.input).keyed_by =
      KeyedBySpec{.column = {"device_id", {}}, .partitions = 6};
  const JobPlan plan = job.Plan();
  ASSERT_EQ(job.Messages(), "");
  JobAccount account(plan);
  const auto pipeline = RowPipeline::Make(plan, NodeId(0), &account).ValueOrDie();

  // Kafka's murmur2 of the keys, without the sign, modulo 6: 0, 0, 4; and of "foobar" 4.
  const Lines keys = {"21", "21", "abc", "foobar", "abc"};
  constexpr int32_t kHashes[] = {-973932308, -973932308, 479470107, -790332482, 479470107};
  std::vector<int32_t> wanted;
  for (const int32_t hash : kHashes) wanted.push_back((hash & 0x7fffffff) % 6 * 120);
  arrow::StringBuilder devices;
  arrow::TimestampBuilder times(ArrowType(Type::kTimestamp), arrow::default_memory_pool());
  arrow::Int32Builder levels;
  for (const std::string& key : keys) {
    ASSERT_TRUE(devices.Append(key).ok());
    ASSERT_TRUE(times.Append(10'000'000).ok());
    ASSERT_TRUE(levels.Append(int32_t(levels.length())).ok());
  }
  ASSERT_TRUE(devices.AppendNull().ok());
  ASSERT_TRUE(times.Append(10'000'000).ok());
  ASSERT_TRUE(levels.Append(0).ok());
  auto origins = std::make_shared<Origins>();
  origins->offsets = {0, 1, 2, 3, 4, 5};
  SourceBatch batch;
  batch.rows.batch = arrow::RecordBatch::Make(
      plan.nodes[0].output.ToArrow(), 6,
      {devices.Finish().ValueOrDie(), times.Finish().ValueOrDie(), levels.Finish().ValueOrDie()});
  batch.rows.origins = origins;
  batch.originals = std::make_shared<Texts>(Lines(6, "{}"));
  const std::vector<EventTime> watermarks(6, kEventTimeMin);
  GroupsOfRows out;
  ASSERT_TRUE(pipeline->Push(batch.rows, {&batch, &watermarks}, &out).ok());
  ASSERT_EQ(out.groups.size(), 6u);
  out.groups.pop_back();  // the row without a device: wherever its keys are
  EXPECT_EQ(out.groups, wanted);
  EXPECT_EQ(out.distinct.size(), 6u) << "keys of one partition stay apart";
}

}  // namespace
}  // namespace millrace
