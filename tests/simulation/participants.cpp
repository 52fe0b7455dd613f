#include "tests/simulation/participants.h"

#include <algorithm>

#include "tests/simulation/simulated_job.h"

namespace millrace::simulation {
namespace {

constexpr int kFramesOfTurn = 3;
constexpr MonotonicTime kLookAgain = std::chrono::milliseconds(100);

}  // namespace

void Participant::Connect(Participant* receiver, std::vector<int32_t> sinks) {
  receiver->senders_.push_back({this, channels_.size()});
  channels_.push_back({receiver, receiver->senders_.size() - 1, std::move(sinks), 0});
}

bool Participant::SomeCredit() const {
  return std::ranges::all_of(
      channels_, [&](const Channel& channel) { return channel.on_the_way < credit_bytes_; });
}

void Participant::Send(size_t index, FrameBody body, int64_t bytes) {
  Channel& channel = channels_[index];
  channel.on_the_way += bytes;
  const bool overtaking =
      world()->bug == Bug::kForgetInFlight && std::holds_alternative<BarrierFrame>(body);
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(body);
  frame->bytes = bytes;
  Participant* const receiver = channel.receiver;
  receiver->Post(
      id(), "frame", [receiver, input = channel.input, frame] { receiver->OnFrame(input, frame); },
      overtaking);
}

void Participant::TakeCredit(size_t output, int64_t bytes) {
  channels_[output].on_the_way -= bytes;
  OnCredit();
}

void Participant::GiveCreditBack(size_t input, const Frame& frame) {
  if (frame.bytes == 0) return;
  const Sender& from = senders_[input];
  from.sender->Post(id(), "credit",
                    [from, bytes = frame.bytes] { from.sender->TakeCredit(from.output, bytes); });
}

void Participant::ToWindow(NodeId node, const Rows& rows,
                           std::shared_ptr<const std::vector<uint64_t>> hashes,
                           std::span<const uint32_t> selection) {
  std::vector<size_t> tasks;
  for (size_t index = 0; index < channels_.size(); ++index) {
    if (channels_[index].sinks.empty()) tasks.push_back(index);
  }
  std::vector<std::vector<uint32_t>> split(tasks.size());
  for (const uint32_t row : selection) {
    const KeyGroup group = KeyGroupOf((*hashes)[row]);
    split[size_t(TaskOf(group, int32_t(tasks.size())).value())].push_back(row);
  }
  for (size_t task = 0; task < tasks.size(); ++task) {
    if (split[task].empty()) continue;
    const int64_t bytes = 50 * int64_t(split[task].size());
    Send(tasks[task], DataFrame{node, rows, hashes, split[task], -1, MonotonicTime(0)}, bytes);
  }
}

void Participant::ToSink(NodeId node, int sink_index, const Rows& rows) {
  for (size_t index = 0; index < channels_.size(); ++index) {
    if (std::ranges::count(channels_[index].sinks, sink_index) == 0) continue;
    Send(index, DataFrame{node, rows, nullptr, {}, sink_index, MonotonicTime(0)}, 50 * rows.size());
  }
}

void Participant::ToDeadLetters(std::vector<DeadLetter> letters) {
  const int64_t bytes = 50 * int64_t(letters.size());
  for (size_t index = 0; index < channels_.size(); ++index) {
    if (std::ranges::count(channels_[index].sinks, kDeadLetterSink) == 0) continue;
    return Send(index, DeadLetterFrame{std::move(letters)}, bytes);
  }
}

void Participant::BroadcastFrame(const FrameBody& body) {
  for (size_t index = 0; index < channels_.size(); ++index) Send(index, body, 0);
}

void Participant::ForwardToTasks(EventTime watermark) {
  for (size_t index = 0; index < channels_.size(); ++index) {
    if (channels_[index].sinks.empty()) Send(index, WatermarkFrame{watermark, MonotonicTime(0)}, 0);
  }
}

void Participant::TellAcknowledged(Epoch epoch, proto::Acknowledgement what) {
  if (site_->dead()) return;
  leader_->TellTwice(*this, millrace::Acknowledge{
                                participant(), epoch,
                                std::make_shared<const proto::Acknowledgement>(std::move(what))});
}

bool Participant::Check(const Status& status) {
  if (status.ok()) return true;
  if (!std::exchange(failed_, true) && !site_->dead()) {
    leader_->Tell(*this, ParticipantFailed{name(), std::make_shared<Status>(status)});
  }
  return false;
}

void ReaderActor::Begin(std::unique_ptr<Reader> reader, const StartReading& start) {
  reader_ = std::move(reader);
  if (Check(reader_->Start(start))) Schedule();
}

void ReaderActor::Take(const PauseReading& pause) {
  reader_->OnPause(pause);
  Schedule();
}

void ReaderActor::Take(const PartitionFloor& floor) {
  if (Check(reader_->OnFloor(floor, this))) Schedule();
}

void ReaderActor::Done() {
  ended_ = true;
  TellDone();
}

void ReaderActor::Turn() {
  if (ended_ || failed()) return;
  const auto more = reader_->Step(world()->now, this);
  if (!Check(more.status())) return;
  *more ? Schedule() : ScheduleAt(world()->now + kLookAgain);
}

void TaskActor::OnFrame(size_t input, std::shared_ptr<const Frame> frame) {
  parts_->task->Push(input, std::move(frame));
  Schedule();
}

void TaskActor::Turn() {
  if (failed()) return;
  const auto more = parts_->task->Run(this, kFramesOfTurn);
  if (Check(more.status()) && *more) Schedule();
}

void TaskActor::OnBarrier(Epoch epoch) {
  if (world()->bug == Bug::kAcknowledgeBeforeWrite) Gather(epoch);
}

void TaskActor::GatherState(Epoch epoch) {
  if (world()->bug != Bug::kAcknowledgeBeforeWrite) Gather(epoch);
}

void TaskActor::Gather(Epoch epoch) {
  const auto done = [this](Epoch of, Result<proto::TaskState> state) {
    if (site_->dead()) return;
    Post(-2, "gathered", [this, of, state] {
      if (!failed()) Check(parts_->task->OnGathered(of, state, this));
    });
  };
  parts_->state->Gather(epoch, parts_->task->Fingerprint(), done);
}

void OutboxActor::OnFrame(size_t input, std::shared_ptr<const Frame> frame) {
  outbox_->Push(input, std::move(frame));
  Schedule();
}

void OutboxActor::Turn() {
  if (failed()) return;
  const auto more = outbox_->Run(this, kFramesOfTurn);
  if (Check(more.status()) && *more) Schedule();
}

}  // namespace millrace::simulation
