// For the worker's tests: a small plan made by hand (no SQL), frames, and a source that replays
// given records. One thread, no actors, no clock.
//
// The plan: readings(key text, event_time timestamp, value double, alarm bigint)
//   -> hot (value > 90) -> sink 1, and -> metrics: hop 60 s by 20 s, key; count, sum -> sink 0.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/connectors/source.h"
#include "engine/plan/functions.h"
#include "engine/plan/plan.h"
#include "worker/reader.h"
#include "worker/task.h"

namespace millrace::test {

struct Reading {
  std::string key;
  int64_t seconds = 0;  // event time
  double value = 0;
  bool malformed = false;
  int64_t record_seconds = 0;  // the record's timestamp; 0: as the event time
  bool poisonous = false;      // asking for its original bytes throws
};

inline constexpr NodeId kSource(0), kHot(1), kHotSink(2), kInput(3), kWindow(4), kOutput(5),
    kSink(6);

inline Expr Column(int column, Type type) {
  Expr expr;
  expr.kind = Expr::Kind::kColumn;
  expr.column = column;
  expr.type = type;
  return expr;
}

inline Expr HotCondition() {
  Expr limit;
  limit.kind = Expr::Kind::kLiteral;
  limit.type = Type::kDouble;
  limit.literal = 90.0;
  Expr call;
  call.kind = Expr::Kind::kCall;
  call.type = Type::kBoolean;
  const std::vector<Type> types = {Type::kDouble, Type::kDouble};
  call.function = ResolveFunction(">", types, {false, false});
  call.args = {Column(2, Type::kDouble), limit};
  return call;
}

// A node of the plan, below `input`.
inline PlanNode& AddNode(JobPlan* plan, std::string name, std::string stream, NodeId input,
                         Schema output, decltype(PlanNode::kind) kind) {
  PlanNode node;
  node.id = NodeId(int32_t(plan->nodes.size()));
  node.name = std::move(name);
  node.stream = std::move(stream);
  if (input.value() >= 0) node.inputs.push_back(input);
  node.output = std::move(output);
  node.kind = std::move(kind);
  plan->nodes.push_back(std::move(node));
  return plan->nodes.back();
}

inline JobPlan MakePlan(Micros max_delay = std::chrono::seconds(30)) {
  JobPlan plan;
  plan.job = "test";
  const Schema readings{{{"key", Type::kText, "", false},
                         {"event_time", Type::kTimestamp, "", false},
                         {"value", Type::kDouble, "", false}}};
  SourceNode source;
  source.spec.event_time = EventTimeSpec{};
  source.spec.event_time->column = "event_time";
  source.spec.event_time->max_delay = max_delay;
  source.spec.event_time->idle_after = std::chrono::seconds(5);
  source.spec.event_time->max_future = std::chrono::minutes(5);
  AddNode(&plan, "readings", "readings", NodeId(-1), readings, source).event_time = 1;

  ProjectNode hot;
  hot.filter = HotCondition();
  hot.columns = {Column(0, Type::kText), Column(1, Type::kTimestamp), Column(2, Type::kDouble)};
  AddNode(&plan, "hot", "hot", kSource, readings, hot).event_time = 1;
  SinkNode hot_sink;
  hot_sink.sink_index = 1;
  AddNode(&plan, "sink.1", "hot", kHot, readings, hot_sink);

  ProjectNode input;
  input.columns = hot.columns;
  AddNode(&plan, "metrics.input", "metrics", kSource, readings, input).event_time = 1;
  WindowAggregateNode window;
  window.size = std::chrono::seconds(60);
  window.slide = std::chrono::seconds(20);
  window.pane = std::chrono::seconds(20);
  window.event_time = 1;
  window.keys = {0};
  AggregateSpec count;
  count.result = Type::kBigint;
  AggregateSpec sum;
  sum.function = AggregateFunction::kSum;
  sum.argument = 2;
  sum.argument_type = Type::kDouble;
  sum.result = Type::kDouble;
  window.aggregates = {count, sum};
  const Schema windows{{{"window_start", Type::kTimestamp, "", false},
                        {"window_end", Type::kTimestamp, "", false},
                        {"key", Type::kText, "", false},
                        {"records", Type::kBigint, "", false},
                        {"total", Type::kDouble, "", false}}};
  PlanNode& node = AddNode(&plan, "metrics.window", "metrics", kInput, windows, window);
  node.window_end = 1;
  ProjectNode output;
  for (size_t i = 0; i < windows.fields.size(); ++i) {
    output.columns.push_back(Column(int(i), windows.fields[i].type));
  }
  AddNode(&plan, "metrics.output", "metrics", kWindow, windows, output);
  SinkNode sink;
  sink.sink_index = 0;
  AddNode(&plan, "sink.0", "metrics", kOutput, windows, sink);
  return plan;
}

template <typename Body>
std::shared_ptr<const Frame> FrameOf(Body body, int64_t bytes = 0) {
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(body);
  frame->bytes = bytes;
  return frame;
}

// As the streams `readings` and `hot` have them, and what enters the window.
inline Rows RowsOf(const std::vector<Reading>& readings) {
  arrow::StringBuilder keys;
  arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                arrow::default_memory_pool());
  arrow::DoubleBuilder values;
  for (const Reading& reading : readings) {
    EXPECT_TRUE(keys.Append(reading.key).ok() && times.Append(reading.seconds * 1'000'000).ok() &&
                values.Append(reading.value).ok());
  }
  static const auto kSchema = MakePlan().node(kSource).output.ToArrow();
  Rows rows;
  rows.batch = arrow::RecordBatch::Make(kSchema, int64_t(readings.size()),
                                        {*keys.Finish(), *times.Finish(), *values.Finish()});
  return rows;
}

class Originals final : public OriginalRecords {
 public:
  std::vector<std::string> values;
  std::string_view ValueOfRow(int64_t row) const override {
    if (values[size_t(row)].empty()) throw std::runtime_error("boom");
    return values[size_t(row)];
  }
  std::string_view KeyOfRow(int64_t) const override { return "key"; }
};

// Replays lists of readings, one a partition; offsets are their indexes. Keeps what is committed.
class ReplaySource final : public SourceReader {
 public:
  std::map<TopicPartition, std::vector<Reading>> records;
  std::map<TopicPartition, CommittedPosition> committed;
  std::deque<SourceEvent> events;  // given out with the next poll
  int64_t batch_rows = 7;
  std::optional<int64_t> empty_batch_to;  // the next poll's batches only move the position
  int polls = 0;

  static uint64_t HashOf(int64_t offset) { return uint64_t(offset + 1) * 1'000'003; }

  Status Start(const std::vector<StartPosition>& positions) override {
    for (const StartPosition& position : positions) {
      next_[position.partition] = position.offset.value_or(0);
    }
    return Status::OK();
  }
  Status AddPartition(const StartPosition& position) override {
    next_[position.partition] = position.offset.value_or(0);
    return Status::OK();
  }
  Result<Polled> Poll(int64_t) override {
    ++polls;
    Polled polled;
    for (auto& [partition, next] : next_) {
      const auto& all = records[partition];
      if (empty_batch_to.has_value()) next = *empty_batch_to;
      if (next >= int64_t(all.size()) && !empty_batch_to.has_value()) continue;
      ARROW_ASSIGN_OR_RAISE(SourceBatch batch, MakeBatch(partition, all, &next));
      polled.batches.push_back(std::move(batch));
      if (next < int64_t(all.size())) polled.more = true;
    }
    empty_batch_to.reset();
    polled.events.assign(events.begin(), events.end());
    events.clear();
    return polled;
  }
  void SetWakeUp(std::function<void()>) override {}
  Status Commit(const std::vector<CommittedPosition>& positions) override {
    for (const CommittedPosition& position : positions) committed[position.partition] = position;
    return Status::OK();
  }
  int64_t LagRecords() const override { return 0; }
  void Stop() override {}

 private:
  Result<SourceBatch> MakeBatch(const TopicPartition& partition, const std::vector<Reading>& all,
                                int64_t* next) {
    arrow::StringBuilder keys;
    arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                  arrow::default_memory_pool());
    arrow::DoubleBuilder values;
    auto origins = std::make_shared<Origins>();
    auto originals = std::make_shared<Originals>();
    origins->source = partition;
    SourceBatch batch;
    batch.partition = partition;
    const bool empty = *next >= int64_t(all.size());
    const int64_t end = std::min<int64_t>(int64_t(all.size()), *next + batch_rows);
    for (; *next < end; ++*next) {
      const Reading& reading = all[size_t(*next)];
      const std::string bytes = "record " + std::to_string(*next);
      if (reading.malformed) {
        batch.rejected.push_back({*next, "malformed", "not JSON", bytes, ""});
        continue;
      }
      ARROW_RETURN_NOT_OK(keys.Append(reading.key));
      ARROW_RETURN_NOT_OK(times.Append(reading.seconds * 1'000'000));
      ARROW_RETURN_NOT_OK(values.Append(reading.value));
      origins->offsets.push_back(*next);
      originals->values.push_back(reading.poisonous ? "" : bytes);
      const int64_t stamp = reading.record_seconds ? reading.record_seconds : reading.seconds;
      batch.record_timestamps.push_back(stamp * 1'000'000);
    }
    ARROW_ASSIGN_OR_RAISE(auto key_array, keys.Finish());
    ARROW_ASSIGN_OR_RAISE(auto time_array, times.Finish());
    ARROW_ASSIGN_OR_RAISE(auto value_array, values.Finish());
    static const auto kSchema = MakePlan().node(kSource).output.ToArrow();
    batch.rows.batch = arrow::RecordBatch::Make(kSchema, key_array->length(),
                                                {key_array, time_array, value_array});
    batch.rows.origins = origins;
    batch.originals = originals;
    batch.next_offset = *next;
    batch.last_record_offset = empty ? -1 : *next - 1;
    batch.last_record_hash = HashOf(batch.last_record_offset);
    batch.bytes = 100;
    return batch;
  }

  std::map<TopicPartition, int64_t> next_;
};

}  // namespace millrace::test
