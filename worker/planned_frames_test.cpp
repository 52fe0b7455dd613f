#include "worker/planned_frames.h"

#include <gmock/gmock.h>

#include "worker/fixture.h"

namespace millrace {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

DataFrame Data(std::shared_ptr<arrow::RecordBatch> batch, NodeId node, int32_t sink = -1) {
  DataFrame data;
  data.node = node;
  data.rows.batch = std::move(batch);
  data.sink = sink;
  return data;
}

class PlannedFramesTest : public testing::Test {
 protected:
  Status Check(PlannedFrames* planned, DataFrame data, int32_t input = 0) {
    return planned->Check({input, FrameOf(std::move(data))});
  }

  const JobPlan plan_ = MakePlan();
  const Rows rows_ = RowsOf({{"a", 1, 2.0}});
};

TEST_F(PlannedFramesTest, ATaskTakesRowsOfItsColumns) {
  PlannedFrames planned = PlannedFrames::OfTask(plan_, kWindow, 2);
  EXPECT_TRUE(Check(&planned, Data(rows_.batch, kWindow), 1).ok());
  // The same columns, decoded another time.
  const auto again = arrow::RecordBatch::Make(arrow::schema(rows_.batch->schema()->fields()), 1,
                                              rows_.batch->columns());
  EXPECT_TRUE(Check(&planned, Data(again, kWindow)).ok());
  EXPECT_TRUE(planned.Check({0, FrameOf(WatermarkFrame{})}).ok());
  EXPECT_TRUE(planned.Check({1, FrameOf(EndFrame{})}).ok());
}

TEST_F(PlannedFramesTest, OthersAreRefused) {
  PlannedFrames planned = PlannedFrames::OfTask(plan_, kWindow, 2);
  const auto fewer = *rows_.batch->RemoveColumn(2);
  Status refused = Check(&planned, Data(fewer, kWindow));
  EXPECT_EQ(CodeOf(refused), "unexpected_frame");
  EXPECT_THAT(refused.message(),
              HasSubstr("rows of 2 columns came for 'metrics.window', which takes 3"));
  const auto other =
      *rows_.batch->SetColumn(2, arrow::field("value", arrow::utf8()), rows_.batch->column(0));
  refused = Check(&planned, Data(other, kWindow));
  EXPECT_EQ(CodeOf(refused), "unexpected_frame");
  EXPECT_THAT(refused.message(), HasSubstr("column 3 ('value') is string; it takes double"));
  // One that fits does not make another one fit.
  EXPECT_TRUE(Check(&planned, Data(rows_.batch, kWindow)).ok());
  EXPECT_EQ(CodeOf(Check(&planned, Data(other, kWindow))), "unexpected_frame");
}

TEST_F(PlannedFramesTest, InputsNodesAndSinksAreThoseOfThePlan) {
  PlannedFrames planned = PlannedFrames::OfTask(plan_, kWindow, 2);
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kWindow), 2)), "unexpected_frame");
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kWindow), -1)), "unexpected_frame");
  EXPECT_EQ(CodeOf(planned.Check({2, FrameOf(EndFrame{})})), "unexpected_frame");
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kHot))), "unexpected_frame");
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kWindow, 0))), "unexpected_frame");
}

TEST_F(PlannedFramesTest, ASinkTakesRowsOfItsStream) {
  PlannedFrames planned = PlannedFrames::OfSinks(plan_, {1}, 1);
  EXPECT_TRUE(Check(&planned, Data(rows_.batch, kHotSink, 1)).ok());
  const Status refused = Check(&planned, Data(*rows_.batch->RemoveColumn(0), kHotSink, 1));
  EXPECT_EQ(CodeOf(refused), "unexpected_frame");
  EXPECT_THAT(refused.message(), HasSubstr("sink.1"));
  // Another shard's, and rows of a task.
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kSink, 0))), "unexpected_frame");
  EXPECT_EQ(CodeOf(Check(&planned, Data(rows_.batch, kWindow))), "unexpected_frame");
}

}  // namespace
}  // namespace millrace
