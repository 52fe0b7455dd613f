#include "worker/segment_publisher.h"

#include "engine/env/crash_point.h"

namespace millrace {
namespace {

ShardPublisher::Outcome OutcomeOf(TransactionOutcome outcome) {
  switch (outcome) {
    case TransactionOutcome::kCommitted:
      return ShardPublisher::Outcome::kCommitted;
    case TransactionOutcome::kAborted:
      return ShardPublisher::Outcome::kAborted;
    case TransactionOutcome::kFenced:
      return ShardPublisher::Outcome::kFenced;
    case TransactionOutcome::kUnknown:
      break;
  }
  return ShardPublisher::Outcome::kUnknown;
}

// Trouble that no retry can end: it ends the job.
bool IsFinal(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return !status.ok() && detail != nullptr && detail->retry() == Retry::kNo;
}

}  // namespace

SegmentPublisher::SegmentPublisher(Lineage lineage, ShardKnowledge known,
                                   CheckpointStorage* storage, PublisherOutput* output,
                                   const Clock* clock)
    : lineage_(lineage),
      publisher_(std::move(lineage), known),
      storage_(storage),
      output_(output),
      clock_(clock) {}

Result<bool> SegmentPublisher::Step(SegmentPublisherHost* host) {
  const PublisherAction action = publisher_.Next(clock_->Monotonic());
  switch (action.kind) {
    case PublisherAction::Kind::kNone:
      wait_until_ = action.not_before;
      return false;
    case PublisherAction::Kind::kAskPermission:
      host->AskPermission();
      return false;
    case PublisherAction::Kind::kInitialise: {
      CrashPoint("publisher_initialise");
      const Status status = output_->Initialise();
      CrashPoint("publisher_initialised");
      if (IsFinal(status)) return status;
      if (!status.ok()) host->Warn("making a producer failed, trying again: " + status.message());
      publisher_.OnInitialised(status, clock_->Monotonic());
      return true;
    }
    case PublisherAction::Kind::kReadRegister: {
      const auto found = output_->ReadRegister();
      CrashPoint("register_read");
      if (!found.ok() && !IsFinal(found.status())) {
        host->Warn("reading the register failed, trying again: " + found.status().message());
      }
      ARROW_RETURN_NOT_OK(publisher_.OnRegister(found, clock_->Monotonic()));
      return true;
    }
    case PublisherAction::Kind::kPublish: {
      ARROW_ASSIGN_OR_RAISE(const Progress progress, PublishChunk(action));
      if (progress.result.outcome != TransactionOutcome::kCommitted) {
        reader_.reset();
        if (IsFinal(progress.result.status)) return progress.result.status;
        host->Warn("a transaction did not commit, " + progress.result.status.message());
      }
      publisher_.OnTransaction(OutcomeOf(progress.result.outcome), progress.next_row,
                               clock_->Monotonic());
      return true;
    }
    case PublisherAction::Kind::kTell:
      host->Published(action.epoch, action.first_row);
      return true;
  }
  return false;
}

Status SegmentPublisher::OpenReader(const proto::Segment& segment, int64_t first_row) {
  if (reader_ != nullptr && reader_path_ == segment.file().path() && reader_row_ == first_row) {
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(reader_, RecordSegmentReader::Open(storage_, segment));
  ARROW_RETURN_NOT_OK(reader_->Skip(first_row - segment.first_row()));
  reader_path_ = segment.file().path();
  reader_row_ = first_row;
  return Status::OK();
}

Result<SegmentPublisher::Progress> SegmentPublisher::PublishChunk(const PublisherAction& action) {
  ARROW_RETURN_NOT_OK(OpenReader(action.segment, action.first_row));
  CrashPoint("transaction_begin");
  if (TransactionResult begun = output_->Begin(); begun.outcome != TransactionOutcome::kCommitted) {
    return Progress{std::move(begun), action.first_row};
  }
  ARROW_ASSIGN_OR_RAISE(Progress progress, Produce(action));
  // A transaction that failed is open no more.
  if (progress.result.outcome != TransactionOutcome::kCommitted) return progress;
  CrashPoint("transaction_commit");
  progress.result = output_->Commit(publisher_.RegisterFor(progress.next_row));
  CrashPoint("transaction_committed");
  return progress;
}

// Queues records until the transaction is full or the segment ends.
Result<SegmentPublisher::Progress> SegmentPublisher::Produce(const PublisherAction& action) {
  const MonotonicTime until = clock_->Monotonic() + kTransactionTimeMax;
  const std::string epoch = std::to_string(action.segment.epoch());
  Progress progress{{TransactionOutcome::kCommitted, Status::OK()}, action.first_row};
  int64_t bytes = 0;
  while (bytes < kTransactionBytesMax && clock_->Monotonic() < until) {
    ARROW_ASSIGN_OR_RAISE(std::optional<OutboxRecord> record, reader_->Next());
    if (!record.has_value()) {
      if (progress.next_row > action.first_row) break;
      return ExternalError(
          "segment_damaged",
          action.segment.file().path() + " has fewer rows than its checkpoint says", Retry::kNo);
    }
    record->headers.emplace_back("millrace-generation", lineage_.generation);
    record->headers.emplace_back("millrace-epoch", epoch);
    progress.result = output_->Produce(*record);
    if (progress.result.outcome != TransactionOutcome::kCommitted) return progress;
    CrashPoint("transaction_produced");
    bytes += int64_t(record->key.size() + record->value.size());
    reader_row_ = ++progress.next_row;
  }
  return progress;
}

}  // namespace millrace
