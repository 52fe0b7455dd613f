#include "tests/simulation/simulated_job.h"

#include "tests/simulation/simulated_files.h"

namespace millrace::simulation {
namespace {

constexpr int kReadings = 60;  // a partition
constexpr int64_t kRowsOfPoll = 8;
// What the topic "hot" can never take.
constexpr std::string_view kTooHot = "|100";

class Source final : public SourceReader {
 public:
  Source(const Readings* readings, Random* random) : readings_(readings), random_(random) {}

  Status Start(const std::vector<StartPosition>& positions) override {
    for (const StartPosition& position : positions) {
      next_[position.partition] = position.offset.value_or(0);
    }
    return Status::OK();
  }
  Result<Polled> Poll(int64_t) override {
    Polled polled;
    for (auto& [partition, next] : next_) {
      const auto& all = readings_->at(partition);
      if (next >= int64_t(all.size())) {
        polled.events.push_back({SourceEvent::Kind::kPartitionEnded, partition, 0, 0, ""});
        continue;
      }
      const int64_t end =
          std::min(int64_t(all.size()), next + random_->Below(kRowsOfPoll));  // often none
      if (end > next) {
        ARROW_ASSIGN_OR_RAISE(auto batch, MakeBatch(partition, all, next, end));
        polled.batches.push_back(std::move(batch));
      }
      next = end;
      polled.more = true;
    }
    return polled;
  }
  void SetWakeUp(std::function<void()>) override {}
  Status Commit(const std::vector<CommittedPosition>&) override { return Status::OK(); }
  int64_t LagRecords() const override { return 0; }
  void Stop() override {}

 private:
  static Result<SourceBatch> MakeBatch(const TopicPartition& partition,
                                       const std::vector<test::Reading>& all, int64_t begin,
                                       int64_t end) {
    arrow::StringBuilder keys;
    arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                  arrow::default_memory_pool());
    arrow::DoubleBuilder values;
    auto origins = std::make_shared<Origins>();
    auto originals = std::make_shared<test::Originals>();
    origins->source = partition;
    SourceBatch batch;
    batch.partition = partition;
    for (int64_t offset = begin; offset < end; ++offset) {
      const test::Reading& reading = all[size_t(offset)];
      const std::string bytes = "record " + std::to_string(offset);
      if (reading.malformed) {
        batch.rejected.push_back({offset, "malformed", "not JSON", bytes, ""});
        continue;
      }
      ARROW_RETURN_NOT_OK(keys.Append(reading.key));
      ARROW_RETURN_NOT_OK(times.Append(reading.seconds * 1'000'000));
      ARROW_RETURN_NOT_OK(values.Append(reading.value));
      origins->offsets.push_back(offset);
      originals->values.push_back(bytes);
      batch.record_timestamps.push_back(reading.record_seconds * 1'000'000);
    }
    ARROW_ASSIGN_OR_RAISE(auto key_array, keys.Finish());
    ARROW_ASSIGN_OR_RAISE(auto time_array, times.Finish());
    ARROW_ASSIGN_OR_RAISE(auto value_array, values.Finish());
    static const auto kSchema = test::MakePlan().node(test::kSource).output.ToArrow();
    batch.rows.batch = arrow::RecordBatch::Make(kSchema, key_array->length(),
                                                {key_array, time_array, value_array});
    batch.rows.origins = origins;
    batch.originals = originals;
    batch.next_offset = end;
    batch.last_record_offset = end - 1;
    batch.bytes = 10 * (end - begin);
    return batch;
  }

  const Readings* readings_;
  Random* random_;
  std::map<TopicPartition, int64_t> next_;
};

class RowEncoder final : public RecordEncoder {
 public:
  explicit RowEncoder(std::string topic) : topic_(std::move(topic)) {}
  Status Encode(const Rows& rows, EventTime, std::vector<DeadLetter>* rejected,
                const VisitRecord& visit) override {
    for (int64_t row = 0; row < rows.size(); ++row) {
      const std::string text = RowText(*rows.batch, row);
      if (topic_ == "hot" && text.ends_with(kTooHot)) {
        DeadLetter letter;
        letter.value = text;
        letter.reason = "too_large";
        letter.stream = topic_;
        rejected->push_back(std::move(letter));
        continue;
      }
      OutboxRecord record;
      record.topic = topic_;
      record.value = text;
      ARROW_RETURN_NOT_OK(visit(record));
    }
    return Status::OK();
  }
  int64_t non_finite_values() const override { return 0; }

 private:
  const std::string topic_;
};

class LetterEncoder final : public DeadLetterEncoder {
 public:
  Status Encode(const DeadLetter& letter, const VisitRecord& visit) override {
    const std::string text = letter.stream + "|" + letter.reason + "|" +
                             std::to_string(letter.source.partition) + "/" +
                             std::to_string(letter.offset) + "|" + letter.value;
    OutboxRecord record;
    record.topic = "dead";
    record.value = text;
    return visit(record);
  }
};

}  // namespace

JobPlan MakeSimulatedPlan() {
  JobPlan plan = test::MakePlan();
  const Schema hot = plan.node(test::kHot).output;
  SinkNode files;
  files.sink_index = kFileSink;
  test::AddNode(&plan, "sink.2", "hot", test::kHot, hot, files);
  AlertNode alerts;
  AlertRule rule;
  rule.alert = "Hot";
  rule.condition = test::HotCondition();
  alerts.rules.push_back(std::move(rule));
  alerts.keys = {0};
  alerts.time_column = 1;
  const NodeId alert =
      test::AddNode(&plan, "alerts", "hot", test::kHot, AlertSchema(), std::move(alerts)).id;
  SinkNode sink;
  sink.sink_index = kAlertSink;
  test::AddNode(&plan, "sink.3", "hot", alert, AlertSchema(), sink);
  return plan;
}

Readings MakeReadings(uint64_t seed) {
  Random random(seed ^ 0x5EED);
  Readings readings;
  for (int32_t partition = 0; partition < 2; ++partition) {
    int64_t now = 1000 + random.Below(50);
    for (int i = 0; i < kReadings; ++i) {
      now += random.Below(12);
      test::Reading reading;
      reading.key = "device-" + std::to_string(random.Below(4));
      reading.value = double(random.Below(201)) / 2;
      reading.seconds = now - random.Below(25);
      reading.record_seconds = now;
      if (random.Chance(60)) reading.seconds = now - 60 - random.Below(100);  // late
      if (random.Chance(30)) reading.seconds = now + 1000;                    // future
      if (random.Chance(30)) reading.value = 100;
      reading.malformed = random.Chance(30);
      readings[{"t", partition}].push_back(reading);
    }
  }
  return readings;
}

std::unique_ptr<SourceReader> MakeSource(const Readings* readings, Random* random) {
  return std::make_unique<Source>(readings, random);
}

std::unique_ptr<RecordEncoder> MakeRowEncoder(std::string topic) {
  return std::make_unique<RowEncoder>(std::move(topic));
}

std::unique_ptr<DeadLetterEncoder> MakeLetterEncoder() { return std::make_unique<LetterEncoder>(); }

}  // namespace millrace::simulation
