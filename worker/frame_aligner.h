// BarrierAligner over frames: what a task, an outbox and a publisher have at their inputs.
#pragma once

#include <memory>
#include <utility>
#include <variant>

#include "engine/checkpoint/aligner.h"
#include "engine/wire/frame.h"

namespace millrace {

class FrameAligner : public BarrierAligner<std::shared_ptr<const Frame>> {
 public:
  using BarrierAligner::BarrierAligner;

  void Push(size_t input, std::shared_ptr<const Frame> frame) {
    if (const auto* barrier = std::get_if<BarrierFrame>(&frame->body)) {
      PushBarrier(input, barrier->epoch);
    } else if (std::holds_alternative<EndFrame>(frame->body)) {
      PushEnd(input);
    } else {
      PushItem(input, std::move(frame));
    }
  }
};

}  // namespace millrace
