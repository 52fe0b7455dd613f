#include "engine/connectors/kafka/kafka_reader.h"

#include <cstdlib>
#include <cstring>

namespace millrace {
namespace {

constexpr int64_t kMessagesPerReadMax = 2048;
constexpr size_t kQueuedForFetching = 2 * kMessagesPerReadMax;
constexpr int kStartTimeoutMs = 5000;
constexpr int kStopTimeoutMs = 2000;
constexpr size_t kCommitMetadataBytesMax = 4096;  // the brokers' default limit

std::string Name(const TopicPartition& partition) {
  return "topic " + partition.topic + ", partition " + std::to_string(partition.partition);
}

// An error object of librdkafka's; consumed.
Status FromKafka(rd_kafka_error_t* error, const std::string& context) {
  if (error == nullptr) return Status::OK();
  const Status status =
      KafkaError(rd_kafka_error_code(error), context + ": " + rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
  return status;
}

SourceEvent MakeEvent(SourceEvent::Kind kind, const TopicPartition& partition, int64_t offset,
                      std::string message) {
  SourceEvent event;
  event.kind = kind;
  event.partition = partition;
  event.offset = offset;
  event.message = std::move(message);
  return event;
}

}  // namespace

Result<std::unique_ptr<SourceReader>> KafkaReader::Make(KafkaClientOptions client,
                                                        Options options) {
  std::unique_ptr<KafkaReader> reader(new KafkaReader(std::move(options)));
  client.on_statistics = [raw = reader.get()](std::string_view json) { raw->TakeStatistics(json); };
  ARROW_ASSIGN_OR_RAISE(reader->client_, KafkaClient::Make(std::move(client)));
  rd_kafka_t* const handle = reader->client_->handle();
  // Events (statistics, errors) come through the queue of records, so that Poll serves them.
  rd_kafka_poll_set_consumer(handle);
  reader->queue_ = rd_kafka_queue_get_consumer(handle);
  reader->commit_queue_ = rd_kafka_queue_new(handle);
  return reader;
}

KafkaReader::~KafkaReader() {
  if (client_ == nullptr) return;  // was never made
  Stop();
  rd_kafka_queue_destroy(commit_queue_);
  rd_kafka_queue_destroy(queue_);
}

void KafkaReader::SetWakeUp(std::function<void()> wake_up) { wake_up_ = std::move(wake_up); }

Status KafkaReader::Start(const std::vector<StartPosition>& positions) {
  if (wake_up_) {
    rd_kafka_queue_cb_event_enable(
        queue_, [](rd_kafka_t*, void* opaque) { static_cast<KafkaReader*>(opaque)->wake_up_(); },
        this);
  }
  TopicWatch::Options watch;
  watch.topics = spec().topics;
  if (options_.announces) watch.discovery_interval = spec().partition_discovery;
  watch.known = {options_.known_partitions.begin(), options_.known_partitions.end()};
  for (const StartPosition& position : positions) watch.known.insert(position.partition);
  watch_ = std::make_unique<TopicWatch>(client_, std::move(watch), [this] {
    if (wake_up_) wake_up_();
  });
  for (const StartPosition& position : positions) ARROW_RETURN_NOT_OK(Read(position));
  return Status::OK();
}

// Of those that several processes find, only the one that reads it says so.
Status KafkaReader::AddPartition(const StartPosition& position) {
  ARROW_RETURN_NOT_OK(Read(position));
  client_->Tell(Name(position.partition) + " is new: it is read from its start");
  return Status::OK();
}

Status KafkaReader::Read(const StartPosition& position) {
  if (partitions_.contains(position.partition)) {
    return InternalError("assigned_twice", Name(position.partition) + " is read already");
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t offset, ResolveStart(position));
  partitions_[position.partition] = std::make_unique<Partition>(Partition{
      .name = position.partition,
      .maker = RecordBatchMaker(client_, options_.node.spec, options_.node.used_columns,
                                position.partition),
      .health = {},
      .position = offset >= 0 ? offset : -1,
      // What start_from came to is told by a batch without records.
      .read = offset >= 0 && !position.offset.has_value(),
  });
  if (options_.tells_tombstones) partitions_[position.partition]->maker.TellTombstones();
  return Assign(position.partition, offset);
}

// An offset, or librdkafka's own names for the beginning and the end.
Result<int64_t> KafkaReader::ResolveStart(const StartPosition& position) const {
  if (position.offset.has_value()) return *position.offset;
  const StartFrom& from = spec().start_from;
  switch (from.kind) {
    case StartFrom::Kind::kEarliest:
      return RD_KAFKA_OFFSET_BEGINNING;
    case StartFrom::Kind::kLatest:
      return EndOffset(position.partition);
    case StartFrom::Kind::kTimestamp:
      return OffsetForTime(position.partition, from.timestamp);
    case StartFrom::Kind::kOffsets: {
      const auto entry = from.offsets.find(position.partition.partition);
      return entry == from.offsets.end() ? int64_t(RD_KAFKA_OFFSET_BEGINNING) : entry->second;
    }
  }
  return RD_KAFKA_OFFSET_BEGINNING;
}

Result<int64_t> KafkaReader::OffsetForTime(const TopicPartition& partition, EventTime time) const {
  const KafkaPartitions list = MakeKafkaPartitions({partition});
  list->elems[0].offset =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  auto error = rd_kafka_offsets_for_times(client_->handle(), list.get(), kStartTimeoutMs);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(error, Name(partition) + ": finding the offset of a timestamp");
  }
  // Nothing at or after it: what comes from now on.
  return list->elems[0].offset < 0 ? EndOffset(partition) : list->elems[0].offset;
}

// A number, not librdkafka's name for the end: a checkpoint that is made before the first record
// comes must hold where "the end" was.
Result<int64_t> KafkaReader::EndOffset(const TopicPartition& partition) const {
  int64_t first = 0, end = 0;
  const auto error =
      rd_kafka_query_watermark_offsets(client_->handle(), partition.topic.c_str(),
                                       partition.partition, &first, &end, kStartTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(error, Name(partition) + ": finding its end");
  }
  return end;
}

Status KafkaReader::Assign(const TopicPartition& partition, int64_t offset) {
  const KafkaPartitions list = MakeKafkaPartitions({partition});
  list->elems[0].offset = offset;
  return FromKafka(rd_kafka_incremental_assign(client_->handle(), list.get()),
                   Name(partition) + ": assigning it");
}

KafkaReader::Partition* KafkaReader::Find(const TopicPartition& name) {
  const auto entry = partitions_.find(name);
  return entry == partitions_.end() ? nullptr : entry->second.get();
}

KafkaReader::Partition* KafkaReader::Find(const rd_kafka_message_t& message) {
  if (message.rkt == nullptr) return nullptr;
  Partition*& partition = by_handle_[{message.rkt, message.partition}];
  if (partition == nullptr) {
    partition = Find(TopicPartition{rd_kafka_topic_name(message.rkt), message.partition});
  }
  return partition;
}

Result<Polled> KafkaReader::Poll(int64_t rows_max) {
  ARROW_RETURN_NOT_OK(failed_);
  Polled polled;
  Read(std::clamp<int64_t>(rows_max, 1, kMessagesPerReadMax), &polled);
  for (const auto& [name, partition] : partitions_) {
    if (std::exchange(partition->end_told, false) && partition->at_end) {
      events_.push_back(MakeEvent(SourceEvent::Kind::kEndConfirmed, name, partition->position, ""));
    }
    if (!std::exchange(partition->read, false)) continue;
    ARROW_ASSIGN_OR_RAISE(SourceBatch batch, partition->maker.Finish(partition->position));
    polled.batches.push_back(std::move(batch));
  }
  // What was found is of a position behind the messages that wait.
  if (failed_.ok() && !HasWaiting()) failed_ = TakeFindings(&polled);
  if (commit_under_way_) TakeCommitResults(0);
  // Events come after the batches that were read before them.
  polled.events.insert(polled.events.end(), std::make_move_iterator(events_.begin()),
                       std::make_move_iterator(events_.end()));
  events_.clear();
  // What was read is handed over first; the failure comes with the next call.
  if (!failed_.ok() && polled.batches.empty() && polled.events.empty()) return failed_;
  polled.more |= !failed_.ok();
  return polled;
}

void KafkaReader::Read(int64_t rows_max, Polled* polled) {
  if (HasWaiting()) return Take(rows_max, polled);
  messages_.resize(size_t(rows_max));
  const ssize_t count = rd_kafka_consume_batch_queue(queue_, 0, messages_.data(), size_t(rows_max));
  messages_.resize(size_t(std::max<ssize_t>(count, 0)));
  taken_ = 0;
  polled->more = count == rows_max;
  caught_up_ = caught_up_ || !polled->more;
  Take(rows_max, polled);
}

// Messages that hold several readings may have more rows than were asked for: then the messages
// behind them wait.
void KafkaReader::Take(int64_t rows_max, Polled* polled) {
  const void* last_topic = nullptr;
  int32_t last_number = -1;
  Partition* partition = nullptr;
  int64_t rows = 0;
  while (HasWaiting() && rows < rows_max) {
    rd_kafka_message_t* const message = messages_[taken_++];
    if (message->rkt != last_topic || message->partition != last_number) {
      partition = Find(*message);
      last_topic = message->rkt;
      last_number = message->partition;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || partition == nullptr) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) ReadError(*message, partition, polled);
      rd_kafka_message_destroy(message);
      continue;
    }
    partition->position = message->offset + 1;
    partition->at_end = false;
    partition->read = true;
    partition->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
    const int64_t before = partition->maker.rows();
    partition->maker.Add(message);
    rows += partition->maker.rows() - before;
  }
  polled->more = polled->more || HasWaiting();
  KeepFetching(partition);
}

// When the queue has halved it may have been full, and fetching may have stopped.
void KafkaReader::KeepFetching(const Partition* partition) {
  const size_t queued = rd_kafka_queue_length(queue_);
  queued_most_ = std::max(queued_most_, queued);
  if (partition == nullptr || queued_most_ < kQueuedForFetching || queued * 2 > queued_most_)
    return;
  queued_most_ = queued;
  watch_->KeepFetching(partition->name);
}

void KafkaReader::ReadError(const rd_kafka_message_t& message, Partition* partition,
                            Polled* polled) {
  if (partition == nullptr) return;  // the client's as a whole: statistics tell what it means
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      // Its offset counts transaction markers and what compaction removed.
      if (message.offset > partition->position) {
        partition->position = message.offset;
        partition->read = true;
      }
      partition->at_end = true;
      partition->end_told = true;
      return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      partition->at_end = false;
      if (!partition->range_asked) watch_->AskRange(partition->name);
      partition->range_asked = true;
      return;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      watch_->SuspectDeleted(partition->name.topic);
      break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      failed_ = KafkaError(message.err, Name(partition->name));
      return;
    default:
      break;
  }
  partition->at_end = false;
  if (partition->last_error == message.err) return;
  partition->last_error = message.err;
  events_.push_back(MakeEvent(SourceEvent::Kind::kInterrupted, partition->name, partition->position,
                              Name(partition->name) + ": " + rd_kafka_message_errstr(&message)));
}

Status KafkaReader::TakeFindings(Polled* polled) {
  TopicWatch::Findings findings;
  if (watch_ == nullptr || !watch_->Take(&findings)) return Status::OK();
  for (const TopicPartition& added : findings.added) {
    polled->events.push_back(
        MakeEvent(SourceEvent::Kind::kPartitionAdded, added, 0, Name(added) + " is new"));
  }
  for (const TopicWatch::Range& range : findings.ranges) {
    ARROW_RETURN_NOT_OK(ResumeLost(range, polled));
  }
  if (findings.deleted_topics.empty()) return Status::OK();
  return ExternalError(
      "topic_deleted",
      "topic " + findings.deleted_topics.front() + " was deleted while it was read", Retry::kNo);
}

Status KafkaReader::ResumeLost(const TopicWatch::Range& range, Polled* polled) {
  Partition* const partition = Find(range.partition);
  if (partition == nullptr) return Status::OK();
  const int64_t wanted = partition->position;
  int64_t resume = range.low;
  if (wanted >= range.low && wanted <= range.high) {
    resume = wanted;  // passing: a new leader had not caught up
  } else if (wanted >= 0) {
    const bool overtaken = wanted < range.low;
    std::string message = Name(range.partition) + ": offset " + std::to_string(wanted) +
                          " is wanted, but offsets " + std::to_string(range.low) + " to " +
                          std::to_string(range.high) + " exist: " +
                          (overtaken ? std::to_string(range.low - wanted) +
                                           " offsets were deleted (retention) before they were read"
                                     : "the topic was cut off or made again");
    if (spec().on_data_loss == OnDataLoss::kFail) {
      return ExternalError("data_lost", message, Retry::kNo);
    }
    SourceEvent event = MakeEvent(SourceEvent::Kind::kDataLost, range.partition, wanted, message);
    event.until = overtaken ? range.low : wanted;
    polled->events.push_back(std::move(event));
  }
  partition->position = resume;
  partition->range_asked = false;
  const KafkaPartitions list = MakeKafkaPartitions({range.partition});
  ARROW_RETURN_NOT_OK(FromKafka(rd_kafka_incremental_unassign(client_->handle(), list.get()),
                                Name(range.partition) + ": leaving it"));
  return Assign(range.partition, resume);
}

// Called by rd_kafka_consume_batch_queue, on the reader's thread.
void KafkaReader::TakeStatistics(std::string_view json) {
  const auto statistics = ParseKafkaStatistics(json, options_.read_committed);
  if (!statistics.ok()) {
    failed_ = statistics.status();
    return;
  }
  const bool caught_up = std::exchange(caught_up_, false);
  for (const auto& [name, partition] : partitions_) {
    switch (partition->health.Report(*statistics, name, partition->position, partition->at_end,
                                     caught_up)) {
      case PartitionHealth::Change::kNone:
        break;
      case PartitionHealth::Change::kEndConfirmed:
        events_.push_back(
            MakeEvent(SourceEvent::Kind::kEndConfirmed, name, partition->position, ""));
        break;
      case PartitionHealth::Change::kInterrupted:
        events_.push_back(MakeEvent(SourceEvent::Kind::kInterrupted, name, partition->position,
                                    Name(name) + ": " + partition->health.reason()));
        break;
      case PartitionHealth::Change::kRecovered:
        events_.push_back(MakeEvent(SourceEvent::Kind::kWarning, name, partition->position,
                                    Name(name) + " is read again"));
        break;
    }
  }
}

Status KafkaReader::Commit(const std::vector<CommittedPosition>& positions) {
  for (const CommittedPosition& position : positions) {
    if (position.metadata.size() > kCommitMetadataBytesMax) {
      return InternalError(
          "commit_metadata_too_large",
          Name(position.partition) + ": " + std::to_string(position.metadata.size()) + " bytes");
    }
  }
  commit_next_ = positions;
  if (commit_under_way_) TakeCommitResults(0);
  if (!commit_under_way_) SendCommit();
  return Status::OK();
}

void KafkaReader::SendCommit() {
  const KafkaPartitions list(rd_kafka_topic_partition_list_new(int(commit_next_->size())));
  for (const CommittedPosition& position : *commit_next_) {
    rd_kafka_topic_partition_t* const element = rd_kafka_topic_partition_list_add(
        list.get(), position.partition.topic.c_str(), position.partition.partition);
    element->offset = position.offset;
    element->metadata = std::malloc(position.metadata.size());  // librdkafka frees it
    element->metadata_size = position.metadata.size();
    std::memcpy(element->metadata, position.metadata.data(), position.metadata.size());
  }
  commit_next_.reset();
  const auto error =
      rd_kafka_commit_queue(client_->handle(), list.get(), commit_queue_, nullptr, nullptr);
  commit_under_way_ = error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void KafkaReader::TakeCommitResults(int timeout_ms) {
  rd_kafka_event_t* const event = rd_kafka_queue_poll(commit_queue_, timeout_ms);
  if (event == nullptr) return;
  const auto error = rd_kafka_event_error(event);
  rd_kafka_event_destroy(event);
  commit_under_way_ = false;
  const bool failing = error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__NO_OFFSET;
  if (failing && !commit_failing_) {
    events_.push_back(
        MakeEvent(SourceEvent::Kind::kWarning, {}, 0,
                  std::string("positions could not be committed: ") + rd_kafka_err2str(error)));
  }
  commit_failing_ = failing;
  if (commit_next_.has_value()) SendCommit();
}

int64_t KafkaReader::LagRecords() const {
  int64_t lag = 0;
  for (const auto& [name, partition] : partitions_) {
    int64_t low = -1, high = -1;
    const auto error = rd_kafka_get_watermark_offsets(client_->handle(), name.topic.c_str(),
                                                      name.partition, &low, &high);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0 || partition->position < 0) return -1;
    lag += std::max<int64_t>(0, high - partition->position);
  }
  return lag;
}

void KafkaReader::Stop() {
  if (stopped_) return;
  stopped_ = true;
  rd_kafka_queue_cb_event_enable(queue_, nullptr, nullptr);
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kStopTimeoutMs);
  while (commit_under_way_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    TakeCommitResults(int(left.count()));
  }
  if (watch_ != nullptr) watch_->Stop();
  for (; HasWaiting(); ++taken_) rd_kafka_message_destroy(messages_[taken_]);
  rd_kafka_assign(client_->handle(), nullptr);
}

}  // namespace millrace
