#include "worker/roll_publisher.h"

#include "engine/env/crash_point.h"

namespace millrace {

// An older state folder was put back: names of files would be taken by other rows.
Status RollPublisher::CheckNotBeyond(const proto::Register& found) const {
  const bool own = found.generation() == options_.lineage.generation;
  if (!own || Epoch(found.epoch()) <= options_.sealed_epoch) return Status::OK();
  return ExternalError(
      "published_beyond",
      writer_->description() + ": files up to epoch " + std::to_string(found.epoch()) +
          " are there; the checkpoint is of epoch " + std::to_string(options_.sealed_epoch.value()),
      Retry::kNo);
}

Status RollPublisher::NoteEpoch(int64_t epoch) {
  if (!noted_.has_value()) {
    ARROW_ASSIGN_OR_RAISE(noted_, ReadFileRegister(writer_));
    if (noted_.has_value()) {
      ARROW_RETURN_NOT_OK(
          CheckDescent(options_.lineage, writer_->description(), noted_->generation()));
      ARROW_RETURN_NOT_OK(CheckNotBeyond(*noted_));
    }
  }
  const std::string& generation = options_.lineage.generation;
  if (noted_.has_value() && noted_->generation() == generation && noted_->epoch() >= epoch) {
    return Status::OK();
  }
  proto::Register state;
  state.set_format(1);
  state.set_generation(generation);
  state.set_epoch(epoch);
  ARROW_RETURN_NOT_OK(writer_->WriteRegister(state.SerializeAsString()));
  noted_ = std::move(state);
  return Status::OK();
}

Result<RollResult> RollPublisher::Publish(const ReleasedRoll& released) {
  CrashPoint("roll_write");
  ARROW_RETURN_NOT_OK(NoteEpoch(released.roll.epoch()));
  CrashPoint("roll_noted");
  const Lineage& lineage = options_.lineage;
  const RollName name{lineage.job, lineage.generation, options_.sink_name, released.shard,
                      released.roll.epoch()};
  const auto each = [&](const RollWriter::Visit& visit) {
    for (const proto::Segment& segment : released.roll.segments()) {
      ARROW_RETURN_NOT_OK(ReadRowSegment(
          storage_, segment,
          [&](const std::shared_ptr<arrow::RecordBatch>& batch) { return visit(*batch); }));
    }
    return Status::OK();
  };
  auto result = writer_->Write(name, each);
  CrashPoint("roll_written");
  return result;
}

}  // namespace millrace
