// Task side of a barrier: holds back what follows a barrier on one input until every other input
// has brought the same barrier, so that what a task has seen at epoch e is the same everywhere.
// Pure; used by tasks and publishers alike. docs/architecture.md, "Barriers".
//
// Invariants: items of one input leave in the order in which they came; nothing that came after
// barrier e on any input leaves before barrier e has left; each barrier leaves exactly once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

// Item: whatever an input carries besides barriers and its end. Held items are bounded by the
// senders' credits, which are given back only when an item has been processed.
template <typename Item>
class BarrierAligner {
 public:
  explicit BarrierAligner(size_t inputs) : inputs_(inputs) {}

  struct Ready {
    enum class Kind { kItem, kBarrier, kAllEnded };
    Kind kind;
    size_t input = 0;          // kItem
    std::optional<Item> item;  // kItem
    Epoch epoch;               // kBarrier
  };

  void PushItem(size_t input, Item item) {
    inputs_[input].held.push_back({std::move(item), Epoch(), false});
  }
  void PushBarrier(size_t input, Epoch epoch) {
    inputs_[input].held.push_back({std::nullopt, epoch, false});
  }
  void PushEnd(size_t input) { inputs_[input].held.push_back({std::nullopt, Epoch(), true}); }

  // The item that came last on `input` and still waits; null where none does, or where what came
  // last is a barrier or the end. Lets the caller fold items that supersede each other.
  Item* LastHeld(size_t input) {
    std::deque<Entry>& held = inputs_[input].held;
    return held.empty() || !held.back().item.has_value() ? nullptr : &*held.back().item;
  }

  // What may be processed next; none when every input waits. kAllEnded comes once, last.
  // A barrier that does not fit (epochs out of order) is an internal error.
  Result<std::optional<Ready>> Next() {
    if (finished_) return std::optional<Ready>();
    for (size_t turn = 0; turn < inputs_.size(); ++turn) {
      const size_t index = (next_input_ + turn) % inputs_.size();
      Input& input = inputs_[index];
      if (input.ended || input.at_barrier || input.held.empty()) continue;
      Entry& front = input.held.front();
      if (front.item.has_value()) {
        Ready ready{Ready::Kind::kItem, index, std::move(front.item), Epoch()};
        input.held.pop_front();
        next_input_ = (index + 1) % inputs_.size();
        return std::optional<Ready>(std::move(ready));
      }
      if (front.is_end) {
        input.ended = true;
        input.held.pop_front();
      } else {
        ARROW_RETURN_NOT_OK(ArriveAtBarrier(index, front.epoch));
      }
    }
    return Complete();
  }

  bool aligning() const { return epoch_.has_value(); }
  // Items held back, over all inputs: for the alignment metric.
  size_t held() const {
    size_t count = 0;
    for (const Input& input : inputs_) count += input.held.size();
    return count;
  }

 private:
  struct Entry {
    std::optional<Item> item;
    Epoch epoch;
    bool is_end = false;
  };
  struct Input {
    std::deque<Entry> held;
    bool at_barrier = false;
    bool ended = false;
  };

  Status ArriveAtBarrier(size_t index, Epoch epoch) {
    if (epoch <= last_ || (epoch_.has_value() && *epoch_ != epoch)) {
      return InternalError("barrier_out_of_order",
                           "barrier " + std::to_string(epoch.value()) + " after " +
                               std::to_string(epoch_.value_or(last_).value()));
    }
    epoch_ = epoch;
    inputs_[index].at_barrier = true;
    inputs_[index].held.pop_front();
    return Status::OK();
  }

  // An input that has ended counts as having brought every barrier.
  std::optional<Ready> Complete() {
    bool all_ended = true;
    for (const Input& input : inputs_) {
      if (!input.ended) all_ended = false;
      if (!input.ended && !input.at_barrier) return std::nullopt;
    }
    if (epoch_.has_value()) {
      const Epoch epoch = *epoch_;
      epoch_.reset();
      last_ = epoch;
      for (Input& input : inputs_) input.at_barrier = false;
      return Ready{Ready::Kind::kBarrier, 0, std::nullopt, epoch};
    }
    if (!all_ended) return std::nullopt;
    finished_ = true;
    return Ready{Ready::Kind::kAllEnded, 0, std::nullopt, Epoch()};
  }

  std::vector<Input> inputs_;
  std::optional<Epoch> epoch_;  // being aligned
  Epoch last_;
  size_t next_input_ = 0;
  bool finished_ = false;
};

}  // namespace millrace
