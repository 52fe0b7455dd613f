#include "worker/reader.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api.h>

#include <algorithm>

#include "worker/reading_place.h"

namespace millrace {
namespace {

constexpr int64_t kNoTime = INT64_MIN;
// Of the rows of a poll, what is read at once where each may become many.
constexpr int64_t kUnfoldedShare = 16;

// The rows of a batch for which `keep` is 1, with everything that goes by row.
Status KeepRows(const std::vector<uint8_t>& keep, SourceBatch* batch, ClockedBatch* clocked,
                std::vector<int64_t>* kept) {
  arrow::Int64Builder builder;
  auto origins = std::make_shared<Origins>();
  origins->source = batch->rows.origins->source;
  std::vector<int64_t> timestamps;
  std::vector<EventTime> watermarks;
  for (size_t row = 0; row < keep.size(); ++row) {
    if (!keep[row]) continue;
    kept->push_back(int64_t(row));
    origins->Append(*batch->rows.origins, int64_t(row));
    if (!batch->record_timestamps.empty()) timestamps.push_back(batch->record_timestamps[row]);
    watermarks.push_back(clocked->watermark_before[row]);
  }
  ARROW_RETURN_NOT_OK(builder.AppendValues(*kept));
  ARROW_ASSIGN_OR_RAISE(auto indices, builder.Finish());
  ARROW_ASSIGN_OR_RAISE(auto taken, arrow::compute::Take(batch->rows.batch, indices));
  batch->rows.batch = taken.record_batch();
  batch->rows.origins = std::move(origins);
  batch->record_timestamps = std::move(timestamps);
  clocked->watermark_before = std::move(watermarks);
  return Status::OK();
}

// Original records of the rows that were kept.
class KeptOriginals final : public OriginalRecords {
 public:
  KeptOriginals(std::shared_ptr<const OriginalRecords> all, std::vector<int64_t> kept)
      : all_(std::move(all)), kept_(std::move(kept)) {}
  std::string_view ValueOfRow(int64_t row) const override {
    return all_->ValueOfRow(kept_[size_t(row)]);
  }
  std::string_view KeyOfRow(int64_t row) const override {
    return all_->KeyOfRow(kept_[size_t(row)]);
  }

 private:
  std::shared_ptr<const OriginalRecords> all_;
  std::vector<int64_t> kept_;
};

// Where the output of a trial goes.
class Nowhere final : public Outlet {
 public:
  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows&) override {}
  void ToDeadLetters(std::vector<DeadLetter>) override {}
};

SourceBatch OneRow(const SourceBatch& batch, int64_t row) {
  SourceBatch one;
  one.partition = batch.partition;
  one.rows.batch = batch.rows.batch->Slice(row, 1);
  auto origins = std::make_shared<Origins>();
  origins->source = batch.rows.origins->source;
  origins->Append(*batch.rows.origins, row);
  one.rows.origins = std::move(origins);
  one.originals = std::make_shared<KeptOriginals>(batch.originals, std::vector<int64_t>{row});
  return one;
}

}  // namespace

Reader::Reader(const JobPlan& plan, ReaderOptions options, std::unique_ptr<SourceReader> input,
               JobAccount* account)
    : plan_(plan),
      options_(options),
      input_(std::move(input)),
      account_(account),
      stream_(&account->stream(plan.node(options.source).stream)),
      stream_name_(plan.node(options.source).stream) {
  const PlanNode& node = plan.node(options.source);
  event_time_ = node.event_time;
  if (const auto& spec = std::get<SourceNode>(node.kind).spec.event_time; spec.has_value()) {
    max_delay_ = spec->max_delay;
    idle_after_ = spec->idle_after;
    if (spec->max_future.has_value()) max_future_ = *spec->max_future;
  }
}

Result<std::unique_ptr<Reader>> Reader::Make(const JobPlan& plan, ReaderOptions options,
                                             std::unique_ptr<SourceReader> input,
                                             JobAccount* account, const LookupTables& lookups) {
  auto reader = std::unique_ptr<Reader>(new Reader(plan, options, std::move(input), account));
  ARROW_ASSIGN_OR_RAISE(reader->pipeline_,
                        RowPipeline::Make(plan, options.source, account, lookups));
  reader->lookups_ = lookups;
  // Credit is looked at between polls.
  if (reader->pipeline_->unfolds()) {
    reader->options_.rows_per_poll = std::max<int64_t>(1, options.rows_per_poll / kUnfoldedShare);
  }
  return reader;
}

Reader::Partition& Reader::PartitionOf(const TopicPartition& id) {
  auto found = partitions_.find(id);
  if (found != partitions_.end()) return found->second;
  Partition partition(PartitionClock(max_delay_, max_future_), Idleness(idle_after_));
  if (options_.end_when_idle.has_value()) partition.ending.emplace(*options_.end_when_idle);
  return partitions_.emplace(id, std::move(partition)).first->second;
}

Status Reader::Start(const StartReading& start) {
  forwarded_ = start.forwarded;
  if (forwarded_ != kEventTimeMin) stream_->watermark = forwarded_.time_since_epoch().count();
  std::vector<StartPosition> positions;
  for (const StartReading::Partition& from : start.partitions) {
    Partition& partition = PartitionOf(from.start.partition);
    partition.next_offset = from.start.offset.value_or(-1);
    partition.last_offset = from.last_offset;
    partition.last_hash = from.last_hash;
    if (from.watermark != kEventTimeMin) partition.clock.RaiseTo(from.watermark);
    positions.push_back(from.start);
  }
  return input_->Start(positions);
}

Status Reader::Add(const AddPartition& add) {
  PartitionOf(add.start.partition).next_offset = add.start.offset.value_or(-1);
  return input_->AddPartition(add.start);
}

bool Reader::waiting_for_floor() const {
  return std::any_of(partitions_.begin(), partitions_.end(),
                     [](const auto& entry) { return !entry.second.held.empty(); });
}

Result<bool> Reader::Step(MonotonicTime now, ReaderHost* host) {
  if (finished_ || paused_ || waiting_for_floor() || !host->HasCredit()) return false;
  ARROW_ASSIGN_OR_RAISE(Polled polled, input_->Poll(options_.rows_per_poll));
  if (!polled.batches.empty()) fetched_ = now;
  for (SourceBatch& batch : polled.batches) {
    ARROW_RETURN_NOT_OK(TakeBatch(std::move(batch), now, host));
  }
  for (const SourceEvent& event : polled.events) ARROW_RETURN_NOT_OK(TakeEvent(event, now, host));
  ReportWatermarks(host);
  return polled.more && !waiting_for_floor() && host->HasCredit();
}

Status Reader::TakeBatch(SourceBatch batch, MonotonicTime now, ReaderHost* host) {
  const TopicPartition id = batch.partition;
  Partition& partition = PartitionOf(id);
  // What comes after the end that was asked for is left for the next start.
  if (partition.ended && options_.end_when_idle.has_value()) return Status::OK();
  // Only the position moves (transaction markers, compacted records): nothing to judge, and the
  // partition is no less idle.
  if (batch.last_record_offset < 0 && batch.rows.size() == 0 && batch.rejected.empty() &&
      partition.held.empty()) {
    return Process(&partition, std::move(batch), host);
  }
  partition.idleness.OnRecord();
  if (partition.ending.has_value()) partition.ending->OnRecord();
  if (!partition.needs_floor || event_time_ < 0) return Process(&partition, std::move(batch), host);
  partition.held.push_back(std::move(batch));
  if (!partition.asked_floor) {
    partition.asked_floor = true;
    host->Report(PartitionActive{options_.source, id});
  }
  return Status::OK();
}

Status Reader::OnFloor(const PartitionFloor& floor, ReaderHost* host) {
  if (finished_) return Status::OK();
  Partition& partition = PartitionOf(floor.partition);
  partition.needs_floor = false;
  partition.asked_floor = false;
  partition.reported_idle = false;
  if (floor.floor != kEventTimeMin) partition.clock.RaiseTo(floor.floor);
  std::deque<SourceBatch> held = std::move(partition.held);
  partition.held.clear();
  for (SourceBatch& batch : held) {
    ARROW_RETURN_NOT_OK(Process(&partition, std::move(batch), host));
  }
  ReportWatermarks(host);
  return Status::OK();
}

Status Reader::Process(Partition* partition, SourceBatch batch, ReaderHost* host) {
  host->SetFetched(fetched_);
  partition->next_offset = batch.next_offset;
  stream_->rows_in += batch.rows.size() + int64_t(batch.rejected.size());
  stream_->bytes_in += batch.bytes;
  stream_->empty_records += batch.empty_records;
  if (batch.last_record_offset >= 0) {
    partition->last_offset = batch.last_record_offset;
    partition->last_hash = batch.last_record_hash;
  }
  Refuse(&batch, host);
  if (batch.rows.size() == 0) return Status::OK();

  PipelineContext context;
  if (event_time_ >= 0) {
    const auto& times =
        static_cast<const arrow::TimestampArray&>(*batch.rows.batch->column(event_time_));
    partition->clock.Observe({times.raw_values(), size_t(batch.rows.size())},
                             batch.record_timestamps, &clocked_);
    if (clocked_.future_count > 0) ARROW_RETURN_NOT_OK(DropFuture(&batch, &clocked_, host));
    context.watermark_before = &clocked_.watermark_before;
  }
  stream_->counted += batch.rows.size();
  stream_->rows_out += batch.rows.size();
  current_ = std::move(batch);
  context.source = &current_;
  ARROW_RETURN_NOT_OK(pipeline_->Push(current_.rows, context, host->outlet()));
  current_ = SourceBatch();
  return Status::OK();
}

Status Reader::Locate(const Status& failure) const {
  if (current_.rows.size() == 0) return failure;
  JobAccount account(plan_);
  const auto pipeline = RowPipeline::Make(plan_, options_.source, &account, lookups_);
  if (!pipeline.ok()) return AtPlace(failure, PlaceOf(*current_.rows.origins));
  Nowhere nowhere;
  for (int64_t row = 0; row < current_.rows.size(); ++row) {
    const SourceBatch one = OneRow(current_, row);
    std::vector<EventTime> watermark;
    PipelineContext context;
    context.source = &one;
    if (event_time_ >= 0) {
      watermark = {clocked_.watermark_before[size_t(row)]};
      context.watermark_before = &watermark;
    }
    Status status;
    try {
      status = (*pipeline)->Push(one.rows, context, &nowhere);
    } catch (...) {
      status = FromException(std::current_exception());
    }
    if (!status.ok()) return AtPlace(failure, PlaceOf(*one.rows.origins));
  }
  return AtPlace(failure, PlaceOf(*current_.rows.origins));
}

// Records that could not be decoded, to the dead letters.
void Reader::Refuse(SourceBatch* batch, ReaderHost* host) {
  if (batch->rejected.empty()) return;
  std::vector<DeadLetter> letters;
  for (RejectedRecord& record : batch->rejected) {
    account_->AddDeadLetters(stream_name_, record.reason, 1);
    DeadLetter letter;
    letter.value = std::move(record.value);
    letter.key = std::move(record.key);
    letter.reason = std::move(record.reason);
    letter.message = std::move(record.message);
    letter.stream = stream_name_;
    letter.source = batch->partition;
    letter.offset = record.offset;
    letter.index = record.index;
    letters.push_back(std::move(letter));
  }
  if (!letters.empty()) host->outlet()->ToDeadLetters(std::move(letters));
}

Status Reader::DropFuture(SourceBatch* batch, ClockedBatch* clocked, ReaderHost* host) {
  account_->AddDeadLetters(stream_name_, "future", clocked->future_count);
  const auto& times =
      static_cast<const arrow::TimestampArray&>(*batch->rows.batch->column(event_time_));
  std::vector<DeadLetter> letters;
  std::vector<uint8_t> keep(clocked->is_future.size());
  for (size_t row = 0; row < keep.size(); ++row) {
    keep[row] = !clocked->is_future[row];
    if (keep[row]) continue;
    DeadLetter letter;
    letter.value = std::string(batch->originals->ValueOfRow(int64_t(row)));
    letter.key = std::string(batch->originals->KeyOfRow(int64_t(row)));
    letter.reason = "future";
    letter.message = "event time " + FormatTimestamp(EventTime(Micros(times.Value(int64_t(row))))) +
                     " is more than " + FormatDuration(max_future_) +
                     " after the record's timestamp " +
                     FormatTimestamp(EventTime(Micros(batch->record_timestamps[row])));
    letter.stream = stream_name_;
    letter.source = batch->partition;
    letter.offset = batch->rows.origins->offsets[row];
    letter.index = batch->rows.origins->IndexOf(int64_t(row));
    letters.push_back(std::move(letter));
  }
  if (!letters.empty()) host->outlet()->ToDeadLetters(std::move(letters));
  std::vector<int64_t> kept;
  ARROW_RETURN_NOT_OK(KeepRows(keep, batch, clocked, &kept));
  batch->originals = std::make_shared<KeptOriginals>(batch->originals, std::move(kept));
  return Status::OK();
}

Status Reader::TakeEvent(const SourceEvent& event, MonotonicTime now, ReaderHost* host) {
  switch (event.kind) {
    case SourceEvent::Kind::kPartitionAdded:
      host->Report(PartitionFound{options_.source, {event.partition, event.offset}});
      return Status::OK();
    case SourceEvent::Kind::kEndConfirmed:
      ConfirmEnd(event.partition, now, host);
      return Status::OK();
    case SourceEvent::Kind::kInterrupted: {
      Partition& partition = PartitionOf(event.partition);
      partition.idleness.OnInterrupted();
      if (partition.ending.has_value()) partition.ending->OnInterrupted();
      return Status::OK();
    }
    case SourceEvent::Kind::kPartitionEnded: {
      Partition& partition = PartitionOf(event.partition);
      if (partition.ended) return Status::OK();
      partition.ended = true;
      ReportWatermarks(host);
      host->Report(PartitionEnded{options_.source, event.partition});
      return Status::OK();
    }
    case SourceEvent::Kind::kDataLost:
      LoseRecords(event);
      host->Warn(event.message);
      return Status::OK();
    case SourceEvent::Kind::kWarning:
      host->Warn(event.message);
      return Status::OK();
  }
  return Status::OK();
}

void Reader::LoseRecords(const SourceEvent& event) {
  Partition& partition = PartitionOf(event.partition);
  if (event.until > event.offset) {
    stream_->lost += event.until - event.offset;
    // Held records come before the loss or after it; the position moves when they are processed.
    if (partition.held.empty())
      partition.next_offset = std::max(partition.next_offset, event.until);
    return;
  }
  // The partition was cut off or made again: offsets noted so far mean nothing in what follows.
  partition.next_offset = -1;
  partition.last_offset = -1;
  partition.snapshots.clear();
}

void Reader::ConfirmEnd(const TopicPartition& id, MonotonicTime now, ReaderHost* host) {
  Partition& partition = PartitionOf(id);
  if (!partition.held.empty()) return;
  partition.idleness.OnEndConfirmed(now);
  if (partition.idleness.idle() && !partition.reported_idle) {
    partition.reported_idle = true;
    partition.needs_floor = true;
    ReportWatermarks(host);
    host->Report(PartitionIdle{options_.source, id});
  }
  if (!partition.ending.has_value() || partition.ended) return;
  partition.ending->OnEndConfirmed(now);
  if (!partition.ending->idle()) return;
  partition.ended = true;
  ReportWatermarks(host);
  host->Report(PartitionEnded{options_.source, id});
}

void Reader::ReportWatermarks(ReaderHost* host) {
  WatermarkReport report{options_.source, {}, fetched_};
  for (auto& [id, partition] : partitions_) {
    // Also of one that still needs a floor: what a checkpoint knows of it holds before it has a
    // reading again, and perhaps it never has.
    if (partition.clock.watermark() == partition.reported) continue;
    partition.reported = partition.clock.watermark();
    report.partitions.emplace_back(id, partition.reported);
  }
  if (!report.partitions.empty()) host->Report(std::move(report));
}

void Reader::OnStreamWatermark(const StreamWatermarkMoved& moved, ReaderHost* host) {
  if (finished_) return;
  if (moved.watermark <= forwarded_) return;
  forwarded_ = moved.watermark;
  stream_->watermark = moved.watermark.time_since_epoch().count();
  host->ForwardWatermark(moved.watermark, moved.fetched);
}

proto::ReaderState Reader::Snapshots(Epoch epoch) {
  proto::ReaderState state;
  state.set_source(plan_.node(options_.source).name);
  state.set_forwarded(forwarded_.time_since_epoch().count());
  for (auto& [id, partition] : partitions_) {
    proto::PartitionPosition* const position = state.add_partitions();
    position->set_topic(id.topic);
    position->set_partition(id.partition);
    position->set_next_offset(partition.next_offset);
    position->set_watermark(partition.clock.watermark().time_since_epoch().count());
    position->set_last_offset(partition.last_offset);
    position->set_last_hash(partition.last_hash);
    position->set_ended(partition.ended);
    if (partition.next_offset >= 0) partition.snapshots.push_back({epoch, partition.next_offset});
  }
  return state;
}

void Reader::OnOpenEpoch(Epoch epoch, ReaderHost* host) {
  if (finished_) return;
  proto::Acknowledgement what;
  *what.mutable_reader() = Snapshots(epoch);
  *what.mutable_account() = account_->Counts();
  host->Broadcast(BarrierFrame{epoch});
  host->Acknowledge(epoch, std::move(what));
}

Status Reader::OnCompleted(const CheckpointCompleted& completed) {
  std::vector<CommittedPosition> positions;
  for (auto& [id, partition] : partitions_) {
    std::optional<Snapshot> snapshot;
    while (!partition.snapshots.empty() && partition.snapshots.front().epoch <= completed.epoch) {
      snapshot = partition.snapshots.front();
      partition.snapshots.pop_front();
    }
    if (snapshot.has_value()) positions.push_back({id, snapshot->next_offset, ""});
  }
  if (positions.empty()) return Status::OK();
  return input_->Commit(positions);
}

void Reader::OnFinish(const FinishReading& finish, ReaderHost* host) {
  if (finished_) return;
  // What the end makes due was waiting for no reading: its latency is not measured.
  if (finish.drain) {
    forwarded_ = kEventTimeMax;
    host->ForwardWatermark(kEventTimeMax, MonotonicTime(0));
  }
  OnOpenEpoch(finish.epoch, host);
  finished_ = true;
  for (auto& [id, partition] : partitions_) partition.held.clear();
  host->Broadcast(EndFrame{});
  host->Done();
}

void Reader::Stop() { input_->Stop(); }

}  // namespace millrace
