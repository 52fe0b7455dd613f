#include "worker/outputs.h"

namespace millrace {

Outputs::Outputs(caf::event_based_actor* self, const Connect& connect)
    : self_(self), inputs_(connect.inputs) {
  for (const Connect::Channel& output : connect.outputs) {
    const bool to_task = output.sinks.empty();
    if (to_task) {
      auto& tasks = tasks_[output.node];
      if (tasks.size() <= size_t(output.task.value()))
        tasks.resize(size_t(output.task.value()) + 1);
      tasks[size_t(output.task.value())] = channels_.size();
    } else {
      for (int32_t sink : output.sinks) sinks_[sink] = channels_.size();
    }
    channels_.push_back({output.receiver, output.input, to_task, 0});
  }
}

void Outputs::Send(size_t channel, FrameBody body, int64_t bytes) {
  Channel& to = channels_[channel];
  const bool had_credit = to.on_the_way < kChannelBytesMax;
  to.on_the_way += bytes;
  if (had_credit && to.on_the_way >= kChannelBytesMax) ++exhausted_;
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(body);
  frame->bytes = bytes;
  self_->send(to.receiver, ChannelFrame{to.input, std::move(frame)});
}

Status Outputs::OnCredit(const Credit& credit) {
  if (credit.output < 0 || size_t(credit.output) >= channels_.size()) {
    return InternalError("unexpected_credit", "credit came for output " +
                                                  std::to_string(credit.output) + " of " +
                                                  std::to_string(channels_.size()));
  }
  Channel& channel = channels_[size_t(credit.output)];
  if (credit.bytes < 0 || credit.bytes > channel.on_the_way) {
    return InternalError("unexpected_credit",
                         "credit of " + std::to_string(credit.bytes) + " bytes came, " +
                             std::to_string(channel.on_the_way) + " are on their way");
  }
  const bool had_credit = channel.on_the_way < kChannelBytesMax;
  channel.on_the_way -= credit.bytes;
  if (!had_credit && channel.on_the_way < kChannelBytesMax) --exhausted_;
  return Status::OK();
}

void Outputs::ReturnCredit(size_t input, const Frame& frame) {
  if (frame.bytes == 0) return;
  const Connect::Input& from = inputs_[input];
  self_->send(from.sender, Credit{from.output, frame.bytes});
}

void Outputs::ToWindow(NodeId node, const Rows& rows,
                       std::shared_ptr<const std::vector<uint64_t>> hashes,
                       std::span<const uint32_t> selection) {
  const std::vector<size_t>& tasks = tasks_.at(node);
  const int32_t parallelism = int32_t(tasks.size());
  split_.resize(tasks.size());
  for (auto& part : split_) part.clear();
  if (parallelism == 1) {
    split_[0].assign(selection.begin(), selection.end());
  } else {
    for (auto& part : split_) part.reserve(selection.size());
    const uint64_t* hash = hashes->data();
    for (uint32_t row : selection) {
      split_[size_t(TaskOf(KeyGroupOf(hash[row]), parallelism).value())].push_back(row);
    }
  }
  const int64_t bytes = ApproximateBytes(rows);
  for (size_t task = 0; task < tasks.size(); ++task) {
    if (split_[task].empty()) continue;
    const int64_t share =
        64 + bytes * int64_t(split_[task].size()) / std::max<int64_t>(1, rows.size());
    Send(tasks[task], DataFrame{node, rows, hashes, split_[task], -1, fetched_}, share);
  }
}

void Outputs::ToSink(NodeId node, int sink_index, const Rows& rows) {
  Send(sinks_.at(sink_index), DataFrame{node, rows, nullptr, {}, sink_index, fetched_},
       ApproximateBytes(rows));
}

void Outputs::ToDeadLetters(std::vector<DeadLetter> letters) {
  int64_t bytes = 0;
  for (const DeadLetter& letter : letters) {
    bytes += 128 + int64_t(letter.value.size() + letter.key.size() + letter.message.size());
  }
  Send(sinks_.at(kDeadLetterSink), DeadLetterFrame{std::move(letters)}, bytes);
}

void Outputs::Broadcast(const FrameBody& body) {
  for (size_t channel = 0; channel < channels_.size(); ++channel) Send(channel, body, 0);
}

void Outputs::ForwardWatermark(EventTime watermark, MonotonicTime fetched) {
  for (size_t channel = 0; channel < channels_.size(); ++channel) {
    if (channels_[channel].to_task) Send(channel, WatermarkFrame{watermark, fetched}, 0);
  }
}

}  // namespace millrace
