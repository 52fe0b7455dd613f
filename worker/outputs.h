// The sending side of an actor's channels: splits rows among a window's tasks, sends frames, and
// keeps count of what is on its way. A sender asks HasCredit before it makes more; one step may
// overshoot by what that step makes, so memory stays bounded by the channels' limits. Lives in its
// actor.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/wire/messages.h"
#include "worker/row_pipeline.h"

namespace millrace {

class Outputs final : public Outlet {
 public:
  // `self` sends; it outlives this.
  Outputs(caf::event_based_actor* self, const Connect& connect);

  // Outlet. `fetched` of the frames is what SetFetched said last.
  void ToWindow(NodeId node, const Rows& rows, std::shared_ptr<const std::vector<uint64_t>> hashes,
                std::span<const uint32_t> selection) override;
  void ToSink(NodeId node, int sink_index, const Rows& rows) override;
  void ToDeadLetters(std::vector<DeadLetter> letters) override;

  void SetFetched(MonotonicTime fetched) { fetched_ = fetched; }
  // To every channel, respectively to every channel to a task.
  void Broadcast(const FrameBody& body);
  void ForwardWatermark(EventTime watermark, MonotonicTime fetched);

  // Every channel has credit left.
  bool HasCredit() const { return exhausted_ == 0; }
  // "unexpected_credit" (internal): of a channel that is not there, or of more than is on its way.
  Status OnCredit(const Credit& credit);

  // Gives the sender of `input` back what `frame` cost.
  void ReturnCredit(size_t input, const Frame& frame);
  size_t input_count() const { return inputs_.size(); }

 private:
  struct Channel {
    caf::actor receiver;
    int32_t input = 0;
    bool to_task = false;
    int64_t on_the_way = 0;  // bytes
  };
  void Send(size_t channel, FrameBody body, int64_t bytes);

  caf::event_based_actor* self_;
  std::vector<Channel> channels_;
  std::vector<Connect::Input> inputs_;
  std::map<NodeId, std::vector<size_t>> tasks_;  // window node -> channel of each task
  std::map<int32_t, size_t> sinks_;              // sink index -> channel
  size_t exhausted_ = 0;
  MonotonicTime fetched_{0};
  std::vector<std::vector<uint32_t>> split_;  // scratch
};

}  // namespace millrace
