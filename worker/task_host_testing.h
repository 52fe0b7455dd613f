// For tests of one task: keeps the rows that reach a sink as text, watermarks, and checkpoints.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/state/memory_state_store.h"
#include "worker/fixture.h"
#include "worker/task.h"

namespace millrace::test {

class RowsHost final : public TaskHost, public Outlet {
 public:
  std::vector<std::string> lines;
  std::vector<std::string> rows;  // columns with a blank between, times in seconds
  MemoryStateStore* store = nullptr;
  std::map<Epoch, std::string> gathered;

  Outlet* outlet() override { return this; }
  bool HasCredit() override { return true; }
  void SetFetched(MonotonicTime) override {}
  void Broadcast(const FrameBody&) override {}
  void ForwardWatermark(EventTime watermark, MonotonicTime) override {
    lines.push_back("forward " + std::to_string(watermark.time_since_epoch().count() / 1'000'000));
  }
  void ReturnCredit(size_t, const Frame&) override {}
  void GatherState(Epoch epoch) override { gathered[epoch] = store->Serialise(); }
  void Acknowledge(Epoch, proto::Acknowledgement) override {}
  void Done() override { lines.emplace_back("done"); }
  void ToWindow(NodeId, const Rows&, std::shared_ptr<const std::vector<uint64_t>>,
                std::span<const uint32_t>) override {}
  void ToSink(NodeId, int, const Rows& out) override {
    for (int64_t row = 0; row < out.size(); ++row) {
      std::string text;
      for (const auto& column : out.batch->columns()) {
        if (column->type_id() == arrow::Type::TIMESTAMP && column->IsValid(row)) {
          const auto& times = static_cast<const arrow::TimestampArray&>(*column);
          text += " " + std::to_string(times.Value(row) / 1'000'000);
        } else {
          text += " " + (*column->GetScalar(row))->ToString();
        }
      }
      rows.push_back(text.substr(1));
    }
  }
  void ToDeadLetters(std::vector<DeadLetter>) override {}
};

}  // namespace millrace::test
