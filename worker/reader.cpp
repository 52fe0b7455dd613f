#include "worker/reader.h"

#include <arrow/array.h>
#include <arrow/compute/api.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr int64_t kNoTime = INT64_MIN;

// How long after a reading it may still matter: the largest span below the source.
Micros LargestSpan(const JobPlan& plan, NodeId source) {
  Micros span{0};
  for (const PlanNode& node : plan.nodes) {
    if (plan.SourceOf(node.id) == source) span = std::max(span, node.span);
  }
  return span;
}

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
    origins->offsets.push_back(batch->rows.origins->offsets[row]);
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
  span_ = LargestSpan(plan, options.source);
  if (const auto& spec = std::get<SourceNode>(node.kind).spec.event_time; spec.has_value()) {
    max_delay_ = spec->max_delay;
    idle_after_ = spec->idle_after;
    if (spec->max_future.has_value()) max_future_ = *spec->max_future;
  }
}

Result<std::unique_ptr<Reader>> Reader::Make(const JobPlan& plan, ReaderOptions options,
                                             std::unique_ptr<SourceReader> input,
                                             JobAccount* account) {
  auto reader = std::unique_ptr<Reader>(new Reader(plan, options, std::move(input), account));
  ARROW_ASSIGN_OR_RAISE(reader->pipeline_, RowPipeline::Make(plan, options.source, account));
  return reader;
}

ReplayTracker Reader::NewTracker() const {
  return ReplayTracker(span_, std::max<Micros>(span_ / 64, std::chrono::seconds(1)));
}

Reader::Partition& Reader::PartitionOf(const TopicPartition& id) {
  auto found = partitions_.find(id);
  if (found != partitions_.end()) return found->second;
  Partition partition(PartitionClock(max_delay_, max_future_), Idleness(idle_after_), NewTracker());
  if (options_.end_when_idle.has_value()) partition.ending.emplace(*options_.end_when_idle);
  return partitions_.emplace(id, std::move(partition)).first->second;
}

Status Reader::Start(const StartReading& start) {
  // What an earlier run has published stays published: while readings are read again, neither the
  // committed horizon nor the offset below which all is published may go back, or a second restart
  // would publish parts of windows.
  forwarded_ = start.horizon;
  std::vector<StartPosition> positions;
  for (const StartReading::Partition& from : start.partitions) {
    Partition& partition = PartitionOf(from.start.partition);
    partition.next_offset = from.start.offset.value_or(-1);
    partition.published_before = from.published_before;
    partition.new_floor = from.floor;
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
  if (finished_ || waiting_for_floor() || !host->HasCredit()) return false;
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
  if (batch.rows.size() == 0 && batch.rejected.empty() && partition.held.empty()) {
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
  if (batch.last_record_offset >= 0) {
    partition->last_offset = batch.last_record_offset;
    partition->last_hash = batch.last_record_hash;
  }
  Refuse(*partition, &batch, host);
  if (batch.rows.size() == 0) return Status::OK();

  PipelineContext context;
  const auto& offsets = batch.rows.origins->offsets;
  context.published_rows =
      std::lower_bound(offsets.begin(), offsets.end(), partition->published_before) -
      offsets.begin();
  if (event_time_ >= 0) {
    const auto& times =
        static_cast<const arrow::TimestampArray&>(*batch.rows.batch->column(event_time_));
    std::span<const int64_t> event_times(times.raw_values(), size_t(batch.rows.size()));
    Judge(partition, event_times, batch.record_timestamps, size_t(context.published_rows));
    if (clocked_.future_count > 0) {
      ARROW_RETURN_NOT_OK(DropFuture(&batch, &clocked_, context.published_rows, host));
      const auto& kept = batch.rows.origins->offsets;
      context.published_rows =
          std::lower_bound(kept.begin(), kept.end(), partition->published_before) - kept.begin();
      const auto& kept_times =
          static_cast<const arrow::TimestampArray&>(*batch.rows.batch->column(event_time_));
      event_times = {kept_times.raw_values(), size_t(batch.rows.size())};
    }
    if (span_ > Micros(0)) {
      partition->replay.Observe(batch.rows.origins->offsets, event_times,
                                clocked_.watermark_before);
    }
    context.watermark_before = &clocked_.watermark_before;
  }
  stream_->counted += batch.rows.size();
  stream_->rows_out += batch.rows.size();
  context.source = &batch;
  return pipeline_->Push(batch.rows, context, host->outlet());
}

// What every reading is judged against. An earlier run may have told the stream's watermark to a
// partition that was idle, and its windows are published: the first record that is new to this run
// (row `first_new`, if it is in the batch) is judged against at least that. To a partition that was
// not idle it makes no difference, because its own watermark was not below the stream's.
void Reader::Judge(Partition* partition, std::span<const int64_t> event_times,
                   std::span<const int64_t> record_timestamps, size_t first_new) {
  const auto part = [](std::span<const int64_t> all, size_t from, size_t count) {
    return all.empty() ? all : all.subspan(from, count);
  };
  const size_t count = event_times.size();
  partition->clock.Observe(event_times.first(first_new), part(record_timestamps, 0, first_new),
                           &clocked_);
  if (first_new == count) return;
  partition->clock.RaiseTo(std::exchange(partition->new_floor, kEventTimeMin));
  ClockedBatch* const rest = first_new == 0 ? &clocked_ : &clocked_new_;
  partition->clock.Observe(event_times.subspan(first_new),
                           part(record_timestamps, first_new, count - first_new), rest);
  if (first_new == 0) return;
  const auto append = [](auto* all, const auto& more) {
    all->insert(all->end(), more.begin(), more.end());
  };
  append(&clocked_.watermark_before, rest->watermark_before);
  append(&clocked_.is_future, rest->is_future);
  clocked_.future_count += rest->future_count;
}

// Records that could not be decoded, to the dead letters.
void Reader::Refuse(const Partition& partition, SourceBatch* batch, ReaderHost* host) {
  if (batch->rejected.empty()) return;
  std::vector<DeadLetter> letters;
  for (RejectedRecord& record : batch->rejected) {
    account_->AddDeadLetters(stream_name_, record.reason, 1);
    if (record.offset < partition.published_before) continue;
    DeadLetter letter;
    letter.value = std::move(record.value);
    letter.key = std::move(record.key);
    letter.reason = std::move(record.reason);
    letter.message = std::move(record.message);
    letter.stream = stream_name_;
    letter.source = batch->partition;
    letter.offset = record.offset;
    letters.push_back(std::move(letter));
  }
  if (!letters.empty()) host->outlet()->ToDeadLetters(std::move(letters));
}

Status Reader::DropFuture(SourceBatch* batch, ClockedBatch* clocked, int64_t published,
                          ReaderHost* host) {
  account_->AddDeadLetters(stream_name_, "future", clocked->future_count);
  const auto& times =
      static_cast<const arrow::TimestampArray&>(*batch->rows.batch->column(event_time_));
  std::vector<DeadLetter> letters;
  std::vector<uint8_t> keep(clocked->is_future.size());
  for (size_t row = 0; row < keep.size(); ++row) {
    keep[row] = !clocked->is_future[row];
    if (keep[row] || int64_t(row) < published) continue;
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
  partition.published_before = -1;
  partition.last_offset = -1;
  partition.snapshots.clear();
  partition.replay = NewTracker();
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
    if (partition.clock.watermark() == partition.reported || partition.needs_floor) continue;
    partition.reported = partition.clock.watermark();
    report.partitions.emplace_back(id, partition.reported);
  }
  if (!report.partitions.empty()) host->Report(std::move(report));
}

void Reader::OnStreamWatermark(const StreamWatermarkMoved& moved, ReaderHost* host) {
  if (finished_) return;
  told_ = std::max(told_, moved.watermark);
  if (moved.watermark <= forwarded_) return;
  forwarded_ = moved.watermark;
  stream_->watermark = moved.watermark.time_since_epoch().count();
  host->ForwardWatermark(moved.watermark, moved.fetched);
}

void Reader::Snapshots(Epoch epoch) {
  for (auto& [id, partition] : partitions_) {
    if (partition.next_offset < 0) continue;
    const bool caught_up = partition.next_offset >= partition.published_before;
    const EventTime floor = std::max(partition.new_floor, caught_up ? told_ : kEventTimeMin);
    partition.snapshots.push_back({epoch, partition.next_offset, partition.clock.watermark(), floor,
                                   partition.last_offset, partition.last_hash});
  }
}

void Reader::OnOpenEpoch(Epoch epoch, ReaderHost* host) {
  if (finished_) return;
  Snapshots(epoch);
  host->Broadcast(BarrierFrame{epoch});
  host->AtBarrier(epoch, forwarded_);
}

Status Reader::OnCommit(const CommitPositions& commit) {
  std::vector<CommittedPosition> positions;
  for (auto& [id, partition] : partitions_) {
    std::optional<Snapshot> snapshot;
    while (!partition.snapshots.empty() && partition.snapshots.front().epoch <= commit.epoch) {
      snapshot = partition.snapshots.front();
      partition.snapshots.pop_front();
    }
    if (!snapshot.has_value()) continue;
    const ReplayPoint next{snapshot->next_offset, snapshot->watermark};
    ReplayPoint safe = partition.replay.Safe(commit.horizon, next);
    // Readings that came after the epoch may be among the tracker's.
    if (safe.offset > next.offset) safe = next;
    PositionMetadata metadata;
    metadata.watermark = safe.watermark;
    metadata.horizon = commit.horizon;
    metadata.published_before = std::max(partition.published_before, snapshot->next_offset);
    metadata.floor = snapshot->floor;
    metadata.last_offset = snapshot->last_offset;
    metadata.last_hash = snapshot->last_hash;
    positions.push_back({id, safe.offset, EncodePositionMetadata(metadata)});
  }
  if (positions.empty()) return Status::OK();
  return input_->Commit(positions);
}

void Reader::OnFinish(const FinishReading& finish, ReaderHost* host) {
  if (finished_) return;
  OnOpenEpoch(finish.epoch, host);
  finished_ = true;
  // What the end makes due was waiting for no reading: its latency is not measured.
  if (finish.drain) host->ForwardWatermark(kEventTimeMax, MonotonicTime(0));
  for (auto& [id, partition] : partitions_) partition.held.clear();
  host->Broadcast(EndFrame{});
  host->Done();
}

void Reader::Stop() { input_->Stop(); }

}  // namespace millrace
