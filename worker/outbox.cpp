#include "worker/outbox.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api.h>

#include "engine/env/crash_point.h"
#include "engine/layout/sink_routes.h"

namespace millrace {
namespace {

// Runs of rows kept for latency between two barriers; more rows share the last run.
constexpr size_t kRunsMax = 4096;

constexpr const char* kLettersName = "dead_letters";

// The rows of a batch that are not listed in `refused` (ascending).
Result<std::shared_ptr<arrow::RecordBatch>> Without(
    const std::shared_ptr<arrow::RecordBatch>& batch, const std::vector<uint32_t>& refused) {
  arrow::Int64Builder kept;
  size_t next = 0;
  for (int64_t row = 0; row < batch->num_rows(); ++row) {
    if (next < refused.size() && refused[next] == uint64_t(row)) {
      ++next;
    } else {
      ARROW_RETURN_NOT_OK(kept.Append(row));
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto indices, kept.Finish());
  ARROW_ASSIGN_OR_RAISE(auto taken, arrow::compute::Take(batch, indices));
  return taken.record_batch();
}

}  // namespace

Outbox::Outbox(OutboxOptions options, CheckpointStorage* storage, const Clock* clock,
               JobAccount* account)
    : options_(std::move(options)),
      storage_(storage),
      clock_(clock),
      account_(account),
      aligner_(options_.inputs),
      next_row_(options_.next_row) {
  const auto state = [this](const OutboxFileSink& sink) {
    FileState file;
    file.sink = sink;
    file.gathered_bytes = sink.restored_bytes;
    if (sink.restored_bytes > 0) file.gathered_since = clock_->Monotonic();
    return file;
  };
  for (const auto& [index, sink] : options_.files) files_.emplace(index, state(sink));
  if (options_.letter_files.has_value()) letter_file_ = state(*options_.letter_files);
}

void Outbox::Push(size_t input, std::shared_ptr<const Frame> frame) {
  aligner_.Push(input, std::move(frame));
}

Result<bool> Outbox::Run(OutboxHost* host, int frames_max) {
  for (int taken = 0; !done_; ++taken) {
    if (!host->HasCredit()) return false;  // dead letters to the shard that has them
    if (taken >= frames_max) return true;
    ARROW_ASSIGN_OR_RAISE(auto ready, aligner_.Next());
    if (!ready.has_value()) return false;
    switch (ready->kind) {
      case FrameAligner::Ready::Kind::kItem:
        ARROW_RETURN_NOT_OK(Take(**ready->item, host));
        host->ReturnCredit(ready->input, **ready->item);
        break;
      case FrameAligner::Ready::Kind::kBarrier:
        ARROW_RETURN_NOT_OK(ReachBarrier(ready->epoch, host));
        break;
      case FrameAligner::Ready::Kind::kAllEnded:
        done_ = true;
        host->Broadcast(EndFrame{});
        host->Done();
        break;
    }
  }
  return false;
}

Status Outbox::Take(const Frame& frame, OutboxHost* host) {
  Status status = InternalError("unexpected_frame", "an outbox received a frame meant for a task");
  if (const auto* data = std::get_if<DataFrame>(&frame.body)) status = TakeRows(*data, host);
  if (const auto* letters = std::get_if<DeadLetterFrame>(&frame.body)) {
    status = TakeLetters(letters->letters);
  }
  const int64_t bytes = unsealed_bytes();
  if (bytes / kGrowthTold != told_bytes_ / kGrowthTold) host->Grew(bytes);
  told_bytes_ = bytes;
  return status;
}

Status Outbox::TakeRows(const DataFrame& data, OutboxHost* host) {
  if (options_.tap != nullptr) options_.tap->Offer(data.sink, data.rows);
  std::vector<DeadLetter> refused;
  const int64_t bytes_before = unsealed_bytes();
  if (const auto encoder = options_.records.find(data.sink); encoder != options_.records.end()) {
    ARROW_RETURN_NOT_OK(encoder->second->Encode(
        data.rows, clock_->Wall(), &refused,
        [this](const OutboxRecord& record) { return AppendRecord(record); }));
  } else {
    const auto file = files_.find(data.sink);
    if (file == files_.end()) return InternalError("unexpected_frame", "rows of an unknown sink");
    ARROW_RETURN_NOT_OK(AppendToFile(&file->second, data.rows, &refused));
  }
  const std::string name = SinkName(data.sink);
  const int64_t rows = data.rows.size() - int64_t(refused.size());
  account_->AddSinkRows(name, rows);
  // Rows of files are counted by who writes the files.
  if (options_.records.contains(data.sink)) {
    auto& runs = sealed_rows_.runs;
    if (runs.size() < kRunsMax) runs.push_back({name, 0, 0, data.fetched});
    runs.back().rows += rows;
    runs.back().bytes += unsealed_bytes() - bytes_before;
  }
  if (refused.empty()) return Status::OK();
  for (const DeadLetter& letter : refused) account_->AddOutputDeadLetters(name, letter.reason, 1);
  host->Rejected(name, refused);
  // Of this shard or of the one that has them, but of this epoch: the barrier follows.
  if (options_.letter_records == nullptr && !letter_file_.has_value()) {
    host->outlet()->ToDeadLetters(std::move(refused));
    return Status::OK();
  }
  return TakeLetters(refused);
}

Status Outbox::TakeLetters(const std::vector<DeadLetter>& letters) {
  account_->AddSinkRows(kLettersName, int64_t(letters.size()));
  if (options_.letter_records != nullptr) {
    for (const DeadLetter& letter : letters) {
      ARROW_RETURN_NOT_OK(options_.letter_records->Encode(
          letter, [this](const OutboxRecord& record) { return AppendRecord(record); }));
    }
    return Status::OK();
  }
  if (!letter_file_.has_value()) {
    return InternalError("unexpected_frame", "dead letters reached a shard that has none");
  }
  arrow::StringBuilder lines;
  for (const DeadLetter& letter : letters) {
    ARROW_RETURN_NOT_OK(lines.Append(DeadLetterLine(letter)));
  }
  ARROW_ASSIGN_OR_RAISE(auto column, lines.Finish());
  return AppendBatch(&*letter_file_,
                     *arrow::RecordBatch::Make(LineSchema(), column->length(), {column}));
}

Status Outbox::AppendRecord(const OutboxRecord& record) {
  if (records_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto file, storage_->Create(NextName("records")));
    records_ = std::make_unique<RecordSegmentWriter>(std::move(file));
  }
  return records_->Append(record);
}

Status Outbox::AppendToFile(FileState* file, const Rows& rows, std::vector<DeadLetter>* refused) {
  std::vector<uint32_t> indexes;
  if (file->sink.checker != nullptr) {
    ARROW_RETURN_NOT_OK(file->sink.checker->Check(rows, &indexes, refused));
  }
  if (indexes.empty()) return AppendBatch(file, *rows.batch);
  ARROW_ASSIGN_OR_RAISE(const auto kept, Without(rows.batch, indexes));
  return kept->num_rows() == 0 ? Status::OK() : AppendBatch(file, *kept);
}

Status Outbox::AppendBatch(FileState* file, const arrow::RecordBatch& batch) {
  if (file->writer == nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto stored, storage_->Create(NextName("rows")));
    ARROW_ASSIGN_OR_RAISE(file->writer,
                          RowSegmentWriter::Make(std::move(stored), file->sink.schema));
  }
  if (!file->gathered_since.has_value()) file->gathered_since = clock_->Monotonic();
  return file->writer->Append(batch);
}

Status Outbox::ReachBarrier(Epoch epoch, OutboxHost* host) {
  CrashPoint("outbox_seal");
  proto::Acknowledgement what;
  proto::ShardState* const state = what.mutable_shard();
  state->set_shard(options_.shard);
  ARROW_RETURN_NOT_OK(SealRecords(epoch, state));
  for (auto& [index, file] : files_) ARROW_RETURN_NOT_OK(SealFile(&file, epoch, state));
  if (letter_file_.has_value()) ARROW_RETURN_NOT_OK(SealFile(&*letter_file_, epoch, state));
  state->set_next_row(next_row_);
  *what.mutable_account() = account_->Counts();
  sealed_rows_.epoch = epoch;
  host->Sealed(std::move(sealed_rows_));
  sealed_rows_ = SealedRows();
  told_bytes_ = 0;
  CrashPoint("outbox_sealed");
  host->Broadcast(BarrierFrame{epoch});
  host->Acknowledge(epoch, std::move(what));
  return Status::OK();
}

Status Outbox::SealRecords(Epoch epoch, proto::ShardState* state) {
  if (records_ == nullptr) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(proto::Segment segment, records_->Finish());
  records_.reset();
  segment.set_epoch(epoch.value());
  segment.set_first_row(next_row_);
  next_row_ += segment.rows();
  *state->add_segments() = std::move(segment);
  return Status::OK();
}

Status Outbox::SealFile(FileState* file, Epoch epoch, proto::ShardState* state) {
  if (file->writer == nullptr && file->gathered_bytes == 0) return Status::OK();
  proto::FileSinkState* const sealed = state->add_files();
  sealed->set_sink(file->sink.id);
  if (file->writer != nullptr) {
    ARROW_ASSIGN_OR_RAISE(proto::Segment segment, file->writer->Finish());
    file->writer.reset();
    segment.set_epoch(epoch.value());
    file->gathered_bytes += segment.file().bytes();
    *sealed->add_open() = std::move(segment);
  }
  const MonotonicTime age = clock_->Monotonic() - file->gathered_since.value_or(MonotonicTime(0));
  if (file->gathered_bytes < file->sink.roll_bytes && age < file->sink.roll_interval) {
    return Status::OK();
  }
  sealed->add_rolls()->set_epoch(epoch.value());
  file->gathered_bytes = 0;
  file->gathered_since.reset();
  return Status::OK();
}

int64_t Outbox::unsealed_bytes() const {
  int64_t bytes = records_ == nullptr ? 0 : records_->bytes();
  for (const auto& [index, file] : files_) {
    if (file.writer != nullptr) bytes += file.writer->bytes();
  }
  if (letter_file_.has_value() && letter_file_->writer != nullptr) {
    bytes += letter_file_->writer->bytes();
  }
  return bytes;
}

int64_t Outbox::non_finite_values() const {
  int64_t values = 0;
  for (const auto& [sink, encoder] : options_.records) values += encoder->non_finite_values();
  return values;
}

std::string Outbox::NextName(const char* ending) {
  return "outbox/" + options_.file_prefix + "-" + std::to_string(next_file_++) + "." + ending;
}

}  // namespace millrace
