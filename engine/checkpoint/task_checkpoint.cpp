#include "engine/checkpoint/task_checkpoint.h"

namespace millrace {

Status TaskCheckpoint::OnBarrier(Epoch epoch) {
  if (epoch <= epoch_ || writing_) {
    return InternalError("barrier_out_of_order", "barrier " + std::to_string(epoch.value()) +
                                                     " while epoch " +
                                                     std::to_string(epoch_.value()) +
                                                     (writing_ ? " is written" : " was sealed"));
  }
  epoch_ = epoch;
  writing_ = true;
  return Status::OK();
}

void TaskCheckpoint::OnWritten() {
  writing_ = false;
  gathering_ = epoch_;
}

TaskCheckpoint::Gathered TaskCheckpoint::OnGathered(Epoch epoch) {
  if (gathering_ == epoch) gathering_.reset();
  return epoch == epoch_ ? Gathered::kAcknowledge : Gathered::kStale;
}

}  // namespace millrace
