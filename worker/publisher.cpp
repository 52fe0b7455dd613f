#include "worker/publisher.h"

namespace millrace {
namespace {

// Latencies kept between two flushes; more rows share the last entry.
constexpr size_t kWrittenMax = 4096;

}  // namespace

Publisher::Publisher(std::unique_ptr<SinkWriter> writer,
                     std::unique_ptr<DeadLetterWriter> dead_letters, size_t inputs,
                     Micros roll_interval, const Clock* clock)
    : writer_(std::move(writer)),
      dead_letters_(std::move(dead_letters)),
      aligner_(inputs),
      roll_interval_(roll_interval),
      clock_(clock) {}

Status Publisher::Open() { return writer_ != nullptr ? writer_->Open() : dead_letters_->Open(); }

void Publisher::Push(size_t input, std::shared_ptr<const Frame> frame) {
  if (const auto* barrier = std::get_if<BarrierFrame>(&frame->body)) {
    aligner_.PushBarrier(input, barrier->epoch);
  } else if (std::holds_alternative<EndFrame>(frame->body)) {
    aligner_.PushEnd(input);
  } else {
    aligner_.PushItem(input, std::move(frame));
  }
}

Result<bool> Publisher::Run(PublisherHost* host, int frames_max) {
  for (int taken = 0; !done_; ++taken) {
    if (!host->HasCredit()) return false;  // resumes when credit comes back
    if (taken >= frames_max) return true;
    ARROW_ASSIGN_OR_RAISE(auto ready, aligner_.Next());
    if (!ready.has_value()) return false;
    switch (ready->kind) {
      case BarrierAligner<Item>::Ready::Kind::kItem:
        ARROW_RETURN_NOT_OK(Take(**ready->item, host));
        host->ReturnCredit(ready->input, **ready->item);
        break;
      case BarrierAligner<Item>::Ready::Kind::kBarrier:
        ARROW_RETURN_NOT_OK(ReachBarrier(ready->epoch, host));
        break;
      case BarrierAligner<Item>::Ready::Kind::kAllEnded:
        ARROW_RETURN_NOT_OK(Finish(host));
        break;
    }
  }
  return false;
}

Status Publisher::Take(const Frame& frame, PublisherHost* host) {
  if (const auto* data = std::get_if<DataFrame>(&frame.body); data && writer_ != nullptr) {
    std::vector<DeadLetter> rejected;
    ARROW_RETURN_NOT_OK(writer_->Write(data->rows, &rejected));
    if (!rejected.empty()) {
      host->Rejected(rejected);
      host->outlet()->ToDeadLetters(std::move(rejected));
    }
    if (written_.size() < kWrittenMax) {
      written_.push_back({data->rows.size(), data->fetched});
    } else {
      written_.back().rows += data->rows.size();
    }
    if (!unfinished_since_.has_value() && unfinished()) {
      unfinished_since_ = clock_->Monotonic();
    }
    return Status::OK();
  }
  if (const auto* letters = std::get_if<DeadLetterFrame>(&frame.body);
      letters && dead_letters_ != nullptr) {
    return dead_letters_->Write(letters->letters);
  }
  return InternalError("unexpected_frame", "a publisher received a frame meant for a task");
}

bool Publisher::unfinished() const { return writer_ != nullptr && writer_->HasUnfinishedFiles(); }

bool Publisher::roll_is_due() const {
  return unfinished_since_.has_value() &&
         clock_->Monotonic() - *unfinished_since_ >= roll_interval_;
}

Status Publisher::RollIfDue(PublisherHost* host) {
  if (done_ || !held_epoch_.has_value() || !roll_is_due()) return Status::OK();
  ARROW_RETURN_NOT_OK(FlushWritten(host));
  ARROW_RETURN_NOT_OK(writer_->Flush(/*close_files=*/true));
  unfinished_since_.reset();
  host->EpochIsSafe(*held_epoch_);
  held_epoch_.reset();
  return Status::OK();
}

Status Publisher::FlushWritten(PublisherHost* host) {
  if (written_.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(writer_->Flush(/*close_files=*/false));
  const MonotonicTime now = clock_->Monotonic();
  for (const Written& written : written_) {
    if (written.fetched.count() > 0) host->Delivered(written.rows, now - written.fetched);
  }
  written_.clear();
  return Status::OK();
}

Status Publisher::ReachBarrier(Epoch epoch, PublisherHost* host) {
  if (dead_letters_ != nullptr) {
    ARROW_RETURN_NOT_OK(dead_letters_->Flush());
  } else {
    ARROW_RETURN_NOT_OK(FlushWritten(host));
    if (roll_is_due()) ARROW_RETURN_NOT_OK(writer_->Flush(/*close_files=*/true));
    if (!unfinished()) unfinished_since_.reset();
  }
  host->Broadcast(BarrierFrame{epoch});
  host->AcknowledgeBarrier(epoch);
  if (unfinished()) {
    held_epoch_ = epoch;
  } else {
    held_epoch_.reset();
    host->EpochIsSafe(epoch);
  }
  return Status::OK();
}

Status Publisher::Finish(PublisherHost* host) {
  done_ = true;
  if (dead_letters_ != nullptr) {
    ARROW_RETURN_NOT_OK(dead_letters_->Flush());
  } else {
    ARROW_RETURN_NOT_OK(FlushWritten(host));
    ARROW_RETURN_NOT_OK(writer_->Flush(/*close_files=*/true));
  }
  if (held_epoch_.has_value()) host->EpochIsSafe(*held_epoch_);
  held_epoch_.reset();
  host->Broadcast(EndFrame{});
  host->Done();
  return Status::OK();
}

SinkStats Publisher::stats() const { return writer_ != nullptr ? writer_->stats() : SinkStats{}; }

std::string Publisher::description() const {
  return writer_ != nullptr ? writer_->description() : dead_letters_->description();
}

}  // namespace millrace
