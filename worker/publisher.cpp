#include "worker/publisher.h"

namespace millrace {
namespace {

// Latencies kept between two flushes; more rows share the last entry.
constexpr size_t kWrittenMax = 4096;

}  // namespace

Publisher::Publisher(std::unique_ptr<SinkWriter> writer, size_t inputs, const Clock* clock,
                     RowTap* tap)
    : writer_(std::move(writer)), aligner_(inputs), clock_(clock), tap_(tap) {}

void Publisher::Push(size_t input, std::shared_ptr<const Frame> frame) {
  aligner_.Push(input, std::move(frame));
}

Result<bool> Publisher::Run(PublisherHost* host, int frames_max) {
  for (int taken = 0; !done_; ++taken) {
    if (!host->HasCredit()) return false;  // resumes when credit comes back
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
        ARROW_RETURN_NOT_OK(Finish(host));
        break;
    }
  }
  return false;
}

Status Publisher::Take(const Frame& frame, PublisherHost* host) {
  const auto* data = std::get_if<DataFrame>(&frame.body);
  if (data == nullptr) {
    return InternalError("unexpected_frame", "a publisher received a frame meant for a task");
  }
  if (tap_ != nullptr) tap_->Offer(data->sink, data->rows);
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
  return Status::OK();
}

Status Publisher::FlushWritten(PublisherHost* host) {
  if (written_.empty()) return Status::OK();
  ARROW_RETURN_NOT_OK(writer_->Flush());
  const MonotonicTime now = clock_->Monotonic();
  for (const Written& written : written_) {
    if (written.fetched.count() > 0) host->Delivered(written.rows, now - written.fetched);
  }
  written_.clear();
  return Status::OK();
}

Status Publisher::ReachBarrier(Epoch epoch, PublisherHost* host) {
  ARROW_RETURN_NOT_OK(FlushWritten(host));
  host->Broadcast(BarrierFrame{epoch});
  host->Acknowledge(epoch, proto::Acknowledgement());
  return Status::OK();
}

Status Publisher::Finish(PublisherHost* host) {
  done_ = true;
  ARROW_RETURN_NOT_OK(FlushWritten(host));
  ARROW_RETURN_NOT_OK(writer_->Finish());
  host->Broadcast(EndFrame{});
  host->Done();
  return Status::OK();
}

}  // namespace millrace
