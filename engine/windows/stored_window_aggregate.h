// What window aggregates have in common, however they cut time: keys, accumulators and their store.
// They say which windows there are and what of them has to be written; the order of sealing,
// writing and evicting, and the header, are here. Format: docs/state-format.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_slab.h"
#include "engine/windows/accumulator_update.h"
#include "engine/windows/column_reader.h"
#include "engine/windows/key_table.h"
#include "engine/windows/state_writer.h"
#include "engine/windows/window_aggregate.h"

namespace millrace {

class StoredWindowAggregate : public WindowAggregate {
 public:
  Status Open(StateStore* store, uint16_t operator_number) final;
  Status Seal() final;
  EventTime OutputWatermark() const override { return final_watermark(); }
  Status Evict() final;
  bool StoreIsBehind() const final { return store_ != nullptr && store_->IsBehind(); }
  std::string Fingerprint() const final;

 protected:
  // Rows are worked on in blocks that stay in the first-level cache.
  static constexpr size_t kBlockRows = 512;
  static constexpr size_t kPrefetchAhead = 12;

  StoredWindowAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                        AccumulatorLayout layout);

  // How time is cut: the beginning of the fingerprint.
  virtual std::string Cut() const = 0;
  // There is a store; nothing is taken over yet.
  virtual void BeginState() {}
  // The entries behind the header, whose watermark and counts are taken over.
  virtual Status TakeOver(StateIterator* entries) = 0;
  // What has changed is the epoch's; what was freed before goes with it.
  virtual Status SealChanges() = 0;
  virtual Status EvictAll() = 0;

  // The batch for the calls that follow; returns its event times.
  Result<ColumnReader> Bind(const arrow::RecordBatch& batch);
  // Writes the accumulators of the key under `time`; they are in the store then.
  void Write(int64_t time, uint32_t key, char* row);
  // Once all that is sealed is written.
  Status FinishSealed();
  // Up to where windows are final.
  EventTime final_watermark() const { return MovedBack(watermark_, node_.allowed_lateness); }

  const WindowAggregateNode node_;
  const std::shared_ptr<arrow::Schema> output_;
  const AccumulatorLayout layout_;

  KeyTable keys_;
  AccumulatorSlab slab_;
  int64_t object_bytes_ = 0;
  EventTime watermark_ = kEventTimeMin;
  WindowAggregateStats counts_;

  // Of the current block.
  AccumulatorUpdate update_;
  std::vector<uint32_t> rows_;  // of the batch: those of the block that are not refused
  std::vector<uint32_t> row_keys_;
  std::vector<char*> row_accumulators_;
  std::unique_ptr<char[]> merged_;

  StateStore* store_ = nullptr;
  StoredFormat format_;
  StateWriter writer_;
  uint32_t chunk_ = 0;
  uint32_t seal_number_ = 2;  // so that the one before it is not 0

 private:
  std::string sealed_header_;
};

}  // namespace millrace
