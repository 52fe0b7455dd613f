#include "tools/millrace/job_testing.h"

#include <arrow/api.h>
#include <arrow/filesystem/localfs.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "engine/checkpoint/manifest.h"
#include "engine/connectors/json/json_decoder.h"
#include "engine/connectors/json/row_encoder.h"
#include "engine/layout/spread_partitions.h"
#include "engine/lookups/lookup_feed.h"

namespace millrace::test {
namespace {

uint64_t HashOf(int64_t offset) { return uint64_t(offset + 1) * 1'000'003; }

// Row i of every partition: a second after the one before; device "d<i % 10>"; its temperature
// rises from 0 to 99 and falls back; its humidity is the partition's number.
class FakeReader final : public SourceReader {
 public:
  FakeReader(Schema schema, World* world) : schema_(std::move(schema)), world_(world) {}
  ~FakeReader() override { Stop(); }

  Status Start(const std::vector<StartPosition>& positions) override {
    world_->Change([&] {
      for (const StartPosition& position : positions) {
        next_[position.partition] = position.offset.value_or(0);
        world_->seen.started[position.partition] = next_[position.partition];
        world_->seen.read[position.partition] = next_[position.partition];
      }
    });
    return Status::OK();
  }
  Result<Polled> Poll(int64_t) override {
    const int64_t end = world_->released();
    Polled polled;
    for (auto& [partition, next] : next_) {
      if (next >= world_->poll_fails_at) return world_->poll_fails;
      if (next < end) {
        ARROW_ASSIGN_OR_RAISE(SourceBatch batch, MakeBatch(partition, end, &next));
        polled.batches.push_back(std::move(batch));
      }
      if (next >= world_->rows_per_partition && ended_.insert(partition).second) {
        polled.events.push_back({SourceEvent::Kind::kPartitionEnded, partition, 0, 0, ""});
      }
    }
    polled.more = !polled.batches.empty();
    Tell(polled);
    return polled;
  }
  void SetWakeUp(std::function<void()> wake_up) override {
    world_->SetWakeUp(this, std::move(wake_up));
  }
  Status Commit(const std::vector<CommittedPosition>& positions) override {
    world_->Change([&] {
      for (const CommittedPosition& position : positions) {
        world_->seen.committed[position.partition] = position.offset;
      }
    });
    return Status::OK();
  }
  int64_t LagRecords() const override { return -1; }
  void Stop() override { world_->SetWakeUp(this, nullptr); }

 private:
  class Originals final : public OriginalRecords {
   public:
    std::string_view ValueOfRow(int64_t) const override { return "record"; }
    std::string_view KeyOfRow(int64_t) const override { return "key"; }
  };

  void Tell(const Polled& polled) {
    if (polled.batches.empty()) return;
    world_->Change([&] {
      for (const SourceBatch& batch : polled.batches) {
        world_->seen.rows_read += batch.rows.size();
        world_->seen.read[batch.partition] = batch.next_offset;
      }
    });
  }
  Result<SourceBatch> MakeBatch(const TopicPartition& partition, int64_t end, int64_t* next) {
    const int64_t first = *next;
    *next = std::min(first + world_->rows_per_poll, end);
    ARROW_ASSIGN_OR_RAISE(auto builder, arrow::RecordBatchBuilder::Make(
                                            schema_.ToArrow(), arrow::default_memory_pool()));
    auto origins = std::make_shared<Origins>();
    origins->source = partition;
    for (int64_t row = first; row < *next; ++row) {
      origins->offsets.push_back(row);
      for (int column = 0; column < builder->num_fields(); ++column) {
        ARROW_RETURN_NOT_OK(AppendCell(schema_.fields[size_t(column)].name, partition.partition,
                                       row, builder->GetField(column)));
      }
    }
    SourceBatch batch;
    batch.partition = partition;
    ARROW_ASSIGN_OR_RAISE(batch.rows.batch, builder->Flush());
    batch.rows.origins = std::move(origins);
    batch.originals = std::make_shared<Originals>();
    batch.next_offset = *next;
    batch.last_record_offset = *next - 1;
    batch.last_record_hash = HashOf(*next - 1);
    return batch;
  }
  static Status AppendCell(const std::string& name, int32_t partition, int64_t row,
                           arrow::ArrayBuilder* builder) {
    if (name == "device_id") {
      return static_cast<arrow::StringBuilder*>(builder)->Append("d" + std::to_string(row % 10));
    }
    if (name == "observed_at") {
      return static_cast<arrow::TimestampBuilder*>(builder)->Append(row * 1'000'000);
    }
    if (name == "temperature") {
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(double(row % 100));
    }
    if (name == "humidity") {
      return static_cast<arrow::DoubleBuilder*>(builder)->Append(double(partition));
    }
    return builder->AppendNull();
  }

  const Schema schema_;
  World* const world_;
  std::map<TopicPartition, int64_t> next_;
  std::set<TopicPartition> ended_;
};

// The world's lines of a stream, decoded as those of a topic are.
class LinesReader final : public SourceReader {
 public:
  LinesReader(const SourceNode& node, const std::vector<Lines>& lines, World* world)
      : node_(node), lines_(lines), world_(world) {}
  ~LinesReader() override { Stop(); }

  Status Start(const std::vector<StartPosition>& positions) override {
    for (const StartPosition& position : positions) {
      parts_.push_back({position.partition, position.offset.value_or(0),
                        JsonDecoder(node_.spec, node_.used_columns), false});
    }
    return Status::OK();
  }
  Result<Polled> Poll(int64_t) override {
    const int64_t released = world_->released();
    Polled polled;
    for (Part& part : parts_) {
      const Lines& lines = lines_[size_t(part.partition.partition)];
      const int64_t end =
          std::min({released, int64_t(lines.size()), part.next + world_->rows_per_poll});
      if (part.next < end) {
        ARROW_ASSIGN_OR_RAISE(SourceBatch batch, MakeBatch(lines, end, &part));
        polled.batches.push_back(std::move(batch));
      }
      if (part.next == int64_t(lines.size()) && !std::exchange(part.ended, true)) {
        polled.events.push_back({SourceEvent::Kind::kPartitionEnded, part.partition, 0, 0, ""});
      }
    }
    polled.more = !polled.batches.empty();
    world_->Change([&] {
      for (const Part& part : parts_) world_->seen.read[part.partition] = part.next;
    });
    return polled;
  }
  void SetWakeUp(std::function<void()> wake_up) override {
    world_->SetWakeUp(this, std::move(wake_up));
  }
  Status Commit(const std::vector<CommittedPosition>&) override { return Status::OK(); }
  int64_t LagRecords() const override { return -1; }
  void Stop() override { world_->SetWakeUp(this, nullptr); }

 private:
  struct Part {
    TopicPartition partition;
    int64_t next = 0;
    JsonDecoder decoder;
    bool ended = false;
  };
  class Originals final : public OriginalRecords {
   public:
    Lines lines;
    std::string_view ValueOfRow(int64_t row) const override { return lines[size_t(row)]; }
    std::string_view KeyOfRow(int64_t) const override { return {}; }
  };

  static Result<SourceBatch> MakeBatch(const Lines& lines, int64_t end, Part* part) {
    SourceBatch batch;
    batch.partition = part->partition;
    auto origins = std::make_shared<Origins>();
    auto originals = std::make_shared<Originals>();
    origins->source = part->partition;
    for (; part->next < end; ++part->next) {
      const std::string& line = lines[size_t(part->next)];
      JsonFailure failure;
      if (part->decoder.Append(line, &failure)) {
        origins->offsets.push_back(part->next);
        originals->lines.push_back(line);
      } else {
        batch.rejected.push_back({part->next, failure.reason, failure.message, line, ""});
      }
    }
    ARROW_ASSIGN_OR_RAISE(batch.rows.batch, part->decoder.Finish());
    batch.record_timestamps.assign(origins->offsets.size(), INT64_MIN);
    batch.rows.origins = std::move(origins);
    batch.originals = std::move(originals);
    batch.next_offset = part->next;
    batch.last_record_offset = part->next - 1;
    batch.last_record_hash = HashOf(part->next - 1);
    return batch;
  }

  const SourceNode& node_;
  const std::vector<Lines>& lines_;
  World* const world_;
  std::vector<Part> parts_;
};

class FakeSource final : public Source {
 public:
  FakeSource(const PlanNode& node, bool bounded, World* world)
      : node_(node), bounded_(bounded), world_(world) {}
  Result<Partitions> Discover(Micros) override { return Partitions(); }
  Result<std::unique_ptr<SourceReader>> MakeReader() override {
    const auto lines = world_->input.find(node_.stream);
    if (lines == world_->input.end()) return std::make_unique<FakeReader>(node_.output, world_);
    return std::make_unique<LinesReader>(std::get<SourceNode>(node_.kind), lines->second, world_);
  }
  bool bounded() const override { return bounded_; }

 private:
  const PlanNode& node_;
  const bool bounded_;
  World* const world_;
};

// A sink that is written at once.
class FakeSink final : public SinkWriter {
 public:
  FakeSink(Target* target, World* world) : target_(target), world_(world) {}
  Status Open() override { return Status::OK(); }
  Status Write(const Rows& rows, std::vector<DeadLetter>*) override {
    if (rows.size() == 0) return Status::OK();
    world_->Change([&] {
      if (target_->first_rows > 0) return;
      target_->first_rows = rows.size();
      target_->first_bytes = ApproximateBytes(rows);
    });
    ARROW_RETURN_NOT_OK(world_->Enter(target_));
    world_->Change([&] {
      target_->rows_written += rows.size();
      for (int64_t row = 0; row < rows.size(); ++row) ++target_->rows[TextOf(rows, row)];
    });
    return Status::OK();
  }
  Status Flush() override { return Status::OK(); }
  SinkStats stats() const override { return {}; }
  std::string description() const override { return "a test"; }

 private:
  static std::string TextOf(const Rows& rows, int64_t row) {
    std::string text;
    for (const auto& column : rows.batch->columns()) {
      text += column->GetScalar(row).ValueOrDie()->ToString() + " ";
    }
    return text;
  }

  Target* const target_;
  World* const world_;
};

// Files of lines as the product writes them, with what the test does to them.
class TestRollWriter final : public RollWriter {
 public:
  TestRollWriter(std::unique_ptr<RollWriter> files, Target* target, World* world)
      : files_(std::move(files)), target_(target), world_(world) {}
  Status Open() override { return files_->Open(); }
  Status Check(const Rows& rows, std::vector<uint32_t>* refused,
               std::vector<DeadLetter>* letters) override {
    return files_->Check(rows, refused, letters);
  }
  Result<RollResult> Write(const RollName& name,
                           const std::function<Status(const Visit&)>& each) override {
    ARROW_RETURN_NOT_OK(world_->Enter(target_));
    int64_t left = world_->Look([&] { return target_->batches_max; });
    return files_->Write(name, [&](const Visit& visit) {
      return each([&](const arrow::RecordBatch& batch) {
        if (left-- == 0) return ExternalError("cut_short", "the power is off", Retry::kNo);
        return visit(batch);
      });
    });
  }
  Result<std::optional<std::string>> ReadRegister() override { return files_->ReadRegister(); }
  Status WriteRegister(std::string_view bytes) override { return files_->WriteRegister(bytes); }
  std::string description() const override { return files_->description(); }

 private:
  const std::unique_ptr<RollWriter> files_;
  Target* const target_;
  World* const world_;
};

class TestRecordEncoder final : public RecordEncoder {
 public:
  explicit TestRecordEncoder(const Schema& schema) : encoder_(schema) {}
  Status Encode(const Rows& rows, EventTime, std::vector<DeadLetter>*,
                const VisitRecord& visit) override {
    std::string values;
    std::vector<size_t> ends;
    ARROW_RETURN_NOT_OK(encoder_.Encode(*rows.batch, &values, &ends));
    size_t begin = 0;
    for (const size_t end : ends) {
      OutboxRecord record;
      record.topic = "topic";
      record.value = std::string_view(values).substr(begin, end - begin);
      ARROW_RETURN_NOT_OK(visit(record));
      begin = end;
    }
    return Status::OK();
  }
  int64_t non_finite_values() const override { return 0; }

 private:
  JsonRowEncoder encoder_;
};

// A shard's producer of the world's topic.
class TestOutput final : public PublisherOutput {
 public:
  TestOutput(int32_t shard, Target* target, World* world)
      : shard_(shard), target_(target), world_(world) {}
  Status Initialise() override {
    world_->Change([&] { producer_ = ++world_->topic.producers[shard_]; });
    return Status::OK();
  }
  Result<std::optional<proto::Register>> ReadRegister() override {
    return world_->Look([&] {
      const auto found = world_->topic.registers.find(shard_);
      return found == world_->topic.registers.end() ? std::optional<proto::Register>()
                                                    : found->second;
    });
  }
  TransactionResult Begin() override {
    records_.clear();
    return {TransactionOutcome::kCommitted, Status::OK()};
  }
  TransactionResult Produce(const OutboxRecord& record) override {
    records_.emplace_back(record.value);
    return {TransactionOutcome::kCommitted, Status::OK()};
  }
  TransactionResult Commit(const proto::Register& state) override {
    if (Status status = world_->Enter(target_); !status.ok()) {
      return {TransactionOutcome::kAborted, std::move(status)};
    }
    TransactionResult result{TransactionOutcome::kFenced, Status::Cancelled("fenced")};
    world_->Change([&] {
      Topic& topic = world_->topic;
      if (topic.producers[shard_] != producer_) return;
      topic.records.insert(topic.records.end(), records_.begin(), records_.end());
      topic.registers[shard_] = state;
      result = {TransactionOutcome::kCommitted, Status::OK()};
    });
    return result;
  }

 private:
  const int32_t shard_;
  Target* const target_;
  World* const world_;
  int64_t producer_ = 0;
  Lines records_;
};

class TestSinks final : public JobSinks {
 public:
  explicit TestSinks(World* world) : world_(world) {}
  std::map<int32_t, std::unique_ptr<RecordEncoder>> MakeEncoders() const override {
    std::map<int32_t, std::unique_ptr<RecordEncoder>> encoders;
    for (const auto& [index, schema] : records) {
      encoders[index] = std::make_unique<TestRecordEncoder>(schema);
    }
    return encoders;
  }
  std::unique_ptr<DeadLetterEncoder> MakeLetterEncoder() const override { return nullptr; }
  Result<std::unique_ptr<PublisherOutput>> MakeOutput(int32_t shard) const override {
    Target* const target = &world_->sinks[size_t(records.begin()->first)];
    return std::make_unique<TestOutput>(shard, target, world_);
  }

  std::map<int32_t, Schema> records;

 private:
  World* const world_;
};

// Ends the program if it lives until the deadline: actors that hang are never let go.
class Watchdog {
 public:
  Watchdog()
      : thread_([](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any stopped;
          std::unique_lock lock(mutex);
          stopped.wait_for(lock, stop, kDeadline, [] { return false; });
          if (stop.stop_requested()) return;
          std::fputs("the job's actors hang\n", stderr);
          std::abort();
        }) {}

 private:
  std::jthread thread_;
};

// As engine/endpoints/job_sources.cpp has it.
StartReading::Partition StartOf(const TopicPartition& partition,
                                const std::map<TopicPartition, proto::PartitionPosition>& from) {
  StartReading::Partition start;
  start.start.partition = partition;
  const auto found = from.find(partition);
  if (found == from.end() || found->second.next_offset() < 0) return start;
  const proto::PartitionPosition& position = found->second;
  EXPECT_EQ(position.last_offset(), position.next_offset() - 1);
  EXPECT_EQ(position.last_hash(), HashOf(position.last_offset()));
  start.start.offset = position.next_offset();
  start.watermark = EventTime(Micros(position.watermark()));
  start.last_offset = position.last_offset();
  start.last_hash = position.last_hash();
  return start;
}

}  // namespace

Life::Life(World* world, TestJob job, LifeOptions options)
    : world_(world),
      job_(job.spec()),
      plan_(job.Plan()),
      options_(options),
      account_(std::make_unique<JobAccount>(plan_)) {
  EXPECT_FALSE(job.diagnostics().has_errors()) << job.diagnostics().Render();
  const bool by_hand = options.clock != nullptr;
  job_.checkpoint.interval = by_hand ? kEpochInterval : Micros(std::chrono::milliseconds(1));
  job_.checkpoint.timeout = std::chrono::hours(24 * 365);
}

Status Life::Start() {
  world_->Change([this] {
    world_->seen = Seen();
    world_->killed = false;
  });
  ARROW_RETURN_NOT_OK(OpenState());
  if (already_finished_) return Status::OK();
  for (const PlanNode& node : plan_.nodes) {
    if (std::holds_alternative<SourceNode>(node.kind)) sources_.push_back(OpenSource(node));
  }
  ARROW_RETURN_NOT_OK(OpenLookups());
  ARROW_RETURN_NOT_OK(OpenSinks());
  JobParts parts;
  parts.job = &job_;
  parts.plan = &plan_;
  parts.clock = options_.clock != nullptr ? static_cast<const Clock*>(options_.clock)
                                          : static_cast<const Clock*>(&system_clock_);
  parts.worker_observer = this;
  parts.job_observer = this;
  parts.parallelism = options_.parallelism;
  parts.new_account = [this] { return &accounts_.emplace_back(plan_); };
  parts.claim = claim_.get();
  parts.sources = &sources_;
  parts.sinks = sinks_.get();
  parts.lookups = lookups_;
  actors_ = std::make_unique<JobActors>(parts);
  return actors_->Start();
}

Status Life::OpenLookups() {
  arrow::fs::LocalFileSystem filesystem;
  for (LookupSpec spec : job_.lookups) {
    auto layout = LookupLayoutOf(spec, plan_);
    if (!layout) continue;
    std::string text;
    for (const std::string& line : world_->lookups[spec.name]) text += line + "\n";
    const std::string path = world_->folder.Path("lookup-" + spec.name + ".json");
    std::ofstream(path) << text;
    spec.input = FilesSourceSpec{{path}};
    spec.format = Format::kJson;
    ARROW_ASSIGN_OR_RAISE(auto table,
                          ReadLookupFiles(spec, *layout, {}, &filesystem, /*stopping=*/nullptr));
    const auto lookup = std::make_shared<Lookup>(spec, std::move(*layout));
    const int64_t rows = table->rows();
    lookup->Show(std::make_shared<LookupSnapshot>(std::vector{std::move(table)}, rows), 0,
                 EventTime{});
    lookups_[spec.name] = lookup;
  }
  return Status::OK();
}

Status Life::OpenState() {
  JobClaimOptions options;
  options.folder = world_->folder.Path("state");
  options.job = job_.name;
  options.savepoint = options_.savepoint;
  options.registers = [this](bool) {
    return world_->Look([&] { return world_->topic.registers; });
  };
  options.file_registers = [] { return std::map<std::string, proto::Register>(); };
  ARROW_ASSIGN_OR_RAISE(claim_, JobClaim::Open(std::move(options), &system_clock_, stopping_));
  accounts_.emplace_back(plan_);
  if (claim_->restored() != nullptr) accounts_.front().Add(claim_->restored()->account());
  already_finished_ = claim_->finished();
  if (already_finished_) SumAccounts();
  return Status::OK();
}

OpenedSource Life::OpenSource(const PlanNode& node) const {
  OpenedSource opened;
  opened.node = node.id;
  opened.source = std::make_unique<FakeSource>(node, options_.bounded, world_);
  std::vector<TopicPartition> all;
  const auto lines = world_->input.find(node.stream);
  const int32_t partitions =
      lines == world_->input.end() ? options_.partitions : int32_t(lines->second.size());
  all.reserve(size_t(partitions));
  for (int32_t i = 0; i < partitions; ++i) all.push_back({node.stream, i});
  const size_t readers = size_t(std::min(options_.parallelism, partitions));
  opened.spread = SpreadPartitions(all, readers);
  opened.starts.resize(readers);
  const proto::Manifest* const restored = claim_->restored();
  if (restored != nullptr) opened.watermark = SourceWatermark(*restored, node.name);
  const auto positions = PositionsOf(restored, node.name);
  for (const auto& [partition, reader] : opened.spread) {
    world_->Change([&] { world_->seen.read[partition] = -1; });
    opened.starts[reader].partitions.push_back(StartOf(partition, positions));
  }
  for (StartReading& start : opened.starts) start.forwarded = opened.watermark;
  return opened;
}

Status Life::OpenSinks() {
  auto sinks = std::make_unique<TestSinks>(world_);
  for (const PlanNode& node : plan_.nodes) {
    const auto* sink = std::get_if<SinkNode>(&node.kind);
    if (sink == nullptr) continue;
    const int32_t index = sink->sink_index;
    if (sinks->direct.contains(index) || sinks->files.contains(index) ||
        sinks->records.contains(index)) {
      continue;
    }
    Target* const target = &world_->sinks[size_t(index)];
    if (const auto* files = std::get_if<FilesSinkSpec>(&sink->spec.target)) {
      ARROW_ASSIGN_OR_RAISE(sinks->files[index],
                            OpenFiles(files->path, *files, &node.output, target));
    } else if (std::holds_alternative<KafkaSinkSpec>(sink->spec.target)) {
      sinks->records[index] = node.output;
    } else {
      sinks->direct[index] = std::make_unique<FakeSink>(target, world_);
    }
  }
  FilesSinkSpec letters;
  letters.roll_interval = Micros(0);
  ARROW_ASSIGN_OR_RAISE(sinks->letter_files,
                        OpenFiles("letters", letters, nullptr, &world_->letters));
  sinks_ = std::move(sinks);
  return Status::OK();
}

// `schema`: null for dead letters.
Result<FileSinkParts> Life::OpenFiles(const std::string& name, const FilesSinkSpec& spec,
                                      const Schema* schema, Target* target) const {
  FilesSinkSpec there = spec;
  there.path = world_->folder.Path("out/" + name);
  RollWriterOptions options;
  options.filesystem = std::make_shared<arrow::fs::LocalFileSystem>();
  options.nonce = "term" + std::to_string(claim_->term());
  options.job = job_.name;
  options.sink = name;
  FileSinkParts parts;
  parts.id = schema == nullptr ? LetterFilesId(job_) : name + ">files:" + name;
  parts.name = name;
  parts.schema = schema == nullptr ? LineSchema() : schema->ToArrow();
  parts.roll_bytes = spec.roll_bytes;
  parts.roll_interval = spec.roll_interval;
  std::unique_ptr<RollWriter> files;
  if (schema == nullptr) {
    files = MakeDeadLetterRollWriter(there, options);
  } else {
    ARROW_ASSIGN_OR_RAISE(files, MakeLinesRollWriter(there, *schema, options));
    ARROW_ASSIGN_OR_RAISE(parts.checker, MakeLinesRollWriter(there, *schema, options));
  }
  parts.writer = std::make_unique<TestRollWriter>(std::move(files), target, world_);
  ARROW_RETURN_NOT_OK(parts.writer->Open());
  return parts;
}

void Life::Kill() {
  world_->Change([this] { world_->killed = true; });
  const Watchdog watchdog;
  actors_.reset();
  claim_.reset();
}

Status Life::Wait() {
  world_->Await([this] { return world_->seen.ended.has_value(); });
  const auto ended = world_->Look([this] { return world_->seen.ended; });
  Kill();
  SumAccounts();
  return ended.value_or(InternalError("hangs", "the job has not ended"));
}

void Life::SumAccounts() {
  account_ = std::make_unique<JobAccount>(plan_);
  for (const JobAccount& account : accounts_) account_->Add(account.Counts());
}

}  // namespace millrace::test
