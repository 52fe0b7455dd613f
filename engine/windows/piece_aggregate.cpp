#include "engine/windows/piece_aggregate.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/scalar.h>
#include <arrow/table_builder.h>

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

// A vector of one place on the heap.
constexpr size_t kPlaceBytes = 16;

}  // namespace

PieceAggregate::PieceAggregate(const WindowAggregateNode& node,
                               std::shared_ptr<arrow::Schema> output, AccumulatorLayout layout)
    : StoredWindowAggregate(node, std::move(output), std::move(layout)) {
  if (node_.clock.has_value()) {
    clocks_.emplace(*node_.clock, node_.keys, node_.allowed_lateness, &keys_);
  }
}

PieceAggregate::~PieceAggregate() {
  if (!layout_.has_objects()) return;
  for (const Piece& piece : pieces_) {
    if (piece.slot != kNone) layout_.Destroy(slab_.Row(piece.slot));
  }
}

Status PieceAggregate::BindClocks(const arrow::RecordBatch& batch,
                                  std::span<const uint64_t> hashes) {
  late_.clear();
  passes_.reset();
  if (node_.clock->passes >= 0) {
    ARROW_ASSIGN_OR_RAISE(passes_, ColumnReader::Make(*batch.column(node_.clock->passes)));
  }
  return clocks_->Bind(batch, hashes);
}

// ---- Pieces ------------------------------------------------------------------------------------

uint32_t PieceAggregate::NewPiece(uint32_t key, int64_t first, int64_t last, int64_t place,
                                  uint32_t clock) {
  uint32_t index = uint32_t(pieces_.size());
  if (free_.empty()) {
    pieces_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Piece& piece = pieces_[index];
  piece.first = first;
  piece.last = last;
  piece.place = place;
  piece.key = key;
  if (clock != kNone && PiecesOf(key).recent == kNone) LinkKey(key, clock);
  Link(index);
  keys_.AddPane(key);
  return index;
}

// From the one that was last joined, which is where the next ones mostly are.
void PieceAggregate::Link(uint32_t index) {
  Piece& piece = pieces_[index];
  KeyPieces& of_key = PiecesOf(piece.key);
  uint32_t later = kNone;
  uint32_t earlier = std::exchange(of_key.recent, index);
  if (earlier != kNone) later = pieces_[earlier].previous;
  while (later != kNone && pieces_[later].first < piece.first) {
    earlier = later;
    later = pieces_[later].previous;
  }
  while (earlier != kNone && pieces_[earlier].first > piece.first) {
    later = earlier;
    earlier = pieces_[earlier].next;
  }
  piece.previous = later;
  piece.next = earlier;
  if (later != kNone) pieces_[later].next = index;
  if (earlier != kNone) {
    pieces_[earlier].previous = index;
  } else {
    of_key.oldest = index;
  }
}

void PieceAggregate::Unlink(uint32_t index) {
  const Piece& piece = pieces_[index];
  KeyPieces& of_key = keys_pieces_[piece.key];
  const uint32_t later = piece.previous;
  if (later != kNone) pieces_[later].next = piece.next;
  if (piece.next != kNone) pieces_[piece.next].previous = later;
  if (of_key.oldest == index) of_key.oldest = later;
  if (of_key.recent == index) of_key.recent = piece.next != kNone ? piece.next : later;
  if (of_key.recent == kNone && of_key.clock != kNone) UnlinkKey(piece.key);
}

void PieceAggregate::LinkKey(uint32_t key, uint32_t clock) {
  uint32_t& first = clocks_->first_key(clock);
  KeyPieces& of_key = keys_pieces_[key];
  of_key.clock = clock;
  of_key.next_window = INT64_MIN;
  of_key.previous = kNone;
  of_key.next = first;
  if (first != kNone) keys_pieces_[first].previous = key;
  first = key;
}

void PieceAggregate::UnlinkKey(uint32_t key) {
  KeyPieces& of_key = keys_pieces_[key];
  if (of_key.next != kNone) keys_pieces_[of_key.next].previous = of_key.previous;
  if (of_key.previous != kNone) {
    keys_pieces_[of_key.previous].next = of_key.next;
  } else {
    clocks_->first_key(of_key.clock) = of_key.next;
  }
  of_key.clock = kNone;
}

void PieceAggregate::Release(uint32_t index) {
  Piece& piece = pieces_[index];
  if (piece.slot != kNone) {
    object_bytes_ -= layout_.Destroy(slab_.Row(piece.slot));
    slab_.Free(piece.slot);
  }
  Unlink(index);
  keys_.RemovePane(piece.key);
  lower_places_ -= int64_t(piece.lower.size());
  const uint32_t version = piece.version + 1;
  piece = Piece();
  piece.version = version;
  free_.push_back(index);
}

char* PieceAggregate::RowOf(uint32_t index) {
  Piece& piece = pieces_[index];
  if (piece.slot != kNone) {
    char* const row = slab_.Row(piece.slot);
    if (store_ != nullptr && AccumulatorSlab::HeaderOf(row).touched != seal_number_) Touch(index);
    return row;
  }
  piece.slot = slab_.Take();
  char* const row = slab_.Row(piece.slot);
  layout_.Initialise(row);
  AccumulatorSlab::HeaderOf(row) = {
      .touched = seal_number_, .parts = 0, .is_changed = 0, .is_late = 0};
  if (store_ != nullptr) dirty_.push_back({index, piece.version});
  return row;
}

// ---- Giving out --------------------------------------------------------------------------------

void PieceAggregate::AdvanceTo(EventTime watermark) {
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  clocks_->AdvanceTo(watermark);
}

Result<WindowOutput> PieceAggregate::NextOutput(int64_t rows_max) {
  WindowOutput output;
  if (!HasOutput()) return output;
  ARROW_ASSIGN_OR_RAISE(const auto builder,
                        arrow::RecordBatchBuilder::Make(output_, arrow::default_memory_pool()));
  std::vector<arrow::ArrayBuilder*> columns(size_t(output_->num_fields()));
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = builder->GetField(int(i));
  for (int64_t left = std::max<int64_t>(rows_max, 1); left > 0 && clocks_->HasReady();) {
    const uint32_t clock = clocks_->ready();
    ARROW_RETURN_NOT_OK(GiveClock(clock, &left, columns));
    const bool is_done = !clocks_->HasDue(clock) || clocks_->due(clock) > clocks_->Reach(clock);
    if (is_done) clocks_->PopReady();
  }
  if (store_ != nullptr) ARROW_RETURN_NOT_OK(writer_.FlushIfLarge());
  ARROW_ASSIGN_OR_RAISE(output.batch, builder->Flush());
  return output;
}

EventTime PieceAggregate::OutputWatermark() const {
  return clocks_.has_value() ? clocks_->floor() : final_watermark();
}

// ---- Figures -----------------------------------------------------------------------------------

WindowAggregateStats PieceAggregate::stats() const {
  WindowAggregateStats stats = counts_;
  stats.open_panes = int64_t(pieces_.size() - free_.size());
  stats.keys = int64_t(keys_.size());
  stats.index_bytes =
      int64_t(keys_.MemoryBytes() + pieces_.capacity() * sizeof(Piece) +
              keys_pieces_.capacity() * sizeof(KeyPieces) + free_.capacity() * sizeof(uint32_t) +
              size_t(lower_places_) * kPlaceBytes);
  if (clocks_.has_value()) stats.index_bytes += int64_t(clocks_->MemoryBytes());
  stats.state_bytes =
      stats.index_bytes + object_bytes_ +
      int64_t(slab_.MemoryBytes() + (dirty_.size() + to_write_.size()) * sizeof(Reference) +
              writer_.bytes() + deleted_.bytes());
  return stats;
}

KeyCensus PieceAggregate::Census() const {
  if (!clocks_.has_value()) return {};
  KeyCensus census = clocks_->Census();
  for (KeyCensus::Behind& behind : census.furthest) behind.key = KeyText(behind.key);
  if (census.moved > 0) census.moved_key = KeyText(census.moved_key);
  return census;
}

std::string PieceAggregate::KeyText(const std::string& bytes) const {
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders;
  std::vector<arrow::ArrayBuilder*> columns;
  for (const int key : clocks_->is_of_key() ? node_.keys : node_.clock->keys) {
    const auto place = std::ranges::find(node_.keys, key) - node_.keys.begin();
    auto builder = arrow::MakeBuilder(output_->field(int(place) + 2)->type());
    if (!builder.ok()) return "";
    builders.push_back(*std::move(builder));
    columns.push_back(builders.back().get());
  }
  if (!KeyTable::Append(bytes, columns).ok()) return "";
  std::string text;
  for (arrow::ArrayBuilder* column : columns) {
    const auto array = column->Finish();
    if (!array.ok()) return "";
    const auto value = (*array)->GetScalar(0);
    text += (text.empty() ? "" : ", ") + (value.ok() ? (*value)->ToString() : "");
  }
  return text;
}

std::string PieceAggregate::ClockCut() const {
  if (!clocks_.has_value()) return "";
  std::string text = " clock of";
  for (const int key : node_.clock->keys) {
    text += " " + std::to_string(std::ranges::find(node_.keys, key) - node_.keys.begin());
  }
  return text + " offline for " + std::to_string(node_.clock->offline_for.count());
}

}  // namespace millrace
