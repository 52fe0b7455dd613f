// What window aggregates have in common that know of each (key, pane) or session, a *piece*, in
// memory: sessions, and panes of keys that have a clock each. A key closes what is due of it
// without a look at any other key, and the accumulators of a piece may be in memory, in the store
// or both.
// - pieces of one key are linked in order of time;
// - with clocks, keys of which something is open are linked in a list of their clock's.
//
// With a store (piece_state.cpp): what is known of a piece besides its accumulators stays in
// memory, also where those were written and forgotten: so Evict frees accumulators and no keys.
// - entries stand under a piece's `place`, which no other piece of the key has;
// - what is in memory is of the current chunk; `lower` has the places of which lower chunks have
//   entries: more than one where evicted sessions became one.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/windows/key_clocks.h"
#include "engine/windows/stored_window_aggregate.h"

namespace millrace {

class PieceAggregate : public StoredWindowAggregate {
 public:
  ~PieceAggregate() override;

  void AdvanceTo(EventTime watermark) override;
  Result<WindowOutput> NextOutput(int64_t rows_max) override;
  bool HasOutput() const override { return clocks_.has_value() && clocks_->HasReady(); }
  EventTime OutputWatermark() const override;
  void SetSource(const TopicPartition& source) override {
    if (clocks_.has_value()) clocks_->SetSource(source);
  }
  std::span<const LateRow> late_rows() const override { return late_; }
  Result<bool> WriteSealed(int64_t entries_max) override;
  WindowAggregateStats stats() const override;
  KeyCensus Census() const override;

 protected:
  static constexpr uint32_t kNone = UINT32_MAX;
  // A piece with so many images in lower chunks is put together when memory is emptied again, so
  // that one which never ends does not gather them.
  static constexpr uint32_t kImagesMax = 8;

  struct Piece {
    int64_t first = 0;  // sessions: event times of its rows, in microseconds; panes: their index
    int64_t last = 0;
    int64_t place = 0;
    uint32_t key = KeyTable::kNone;
    uint32_t slot = kNone;  // of its accumulators; none: all of them are in lower chunks
    uint32_t next = kNone;  // of its key: the one before it in time
    uint32_t previous = kNone;
    uint32_t version = 0;     // how many were here before: tells who is meant
    bool is_written = false;  // the store has entries of the current chunk
    uint32_t images = 0;      // of it in lower chunks
    std::vector<int64_t> lower;
  };
  // A piece as it was when it was written down.
  struct Reference {
    uint32_t piece;
    uint32_t version;
  };
  // What is here of a key, by its id.
  struct KeyPieces {
    uint32_t recent = kNone;  // the piece last joined; none: it has none
    uint32_t oldest = kNone;
    int64_t next_window = INT64_MIN;  // of panes: those before it have been given out
    uint32_t clock = kNone;
    uint32_t next = kNone;  // of its clock's keys
    uint32_t previous = kNone;
  };
  using Columns = std::span<arrow::ArrayBuilder* const>;

  PieceAggregate(const WindowAggregateNode& node, std::shared_ptr<arrow::Schema> output,
                 AccumulatorLayout layout);

  bool IsThere(Reference of) const { return pieces_[of.piece].version == of.version; }
  KeyPieces& PiecesOf(uint32_t key) {
    if (key >= keys_pieces_.size()) keys_pieces_.resize(key + 1);
    return keys_pieces_[key];
  }
  // The clocks of the batch for the calls that follow; no row of it is late yet.
  Status BindClocks(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes);
  // Whether the row counts; otherwise it only moves its key's clock.
  bool Passes(uint32_t row) const {
    return !passes_.has_value() || (!passes_->IsNull(row) && passes_->Fixed(row) != 0);
  }
  // A new one of the key; `clock`: the key's, where keys have one.
  uint32_t NewPiece(uint32_t key, int64_t first, int64_t last, int64_t place, uint32_t clock);
  // Frees it, and the key with the last one.
  void Release(uint32_t piece);
  // The accumulators in memory, made where there are none, as about to be changed.
  char* RowOf(uint32_t piece);

  // Gives out what is due of the keys of a clock, at most `*left` rows, less which is left; and
  // says when it is due again.
  virtual Status GiveClock(uint32_t clock, int64_t* left, Columns columns) { return Status::OK(); }
  // All of the piece, into an initialised row; what lower chunks have of it is deleted in `batch`
  // (null: stays).
  Status MergeStored(const Piece& piece, StateBatch* batch, char* row);

  // piece_state.cpp
  void BeginState() override {
    if (clocks_.has_value()) clocks_->Open(store_, format_, &writer_);
  }
  Status TakeOver(StateIterator* entries) override;
  Status SealChanges() override;
  Status EvictAll() override;
  // What an image's accumulators tell of a piece: by default nothing.
  virtual Status MeasureImage(std::string_view accumulators, int64_t* first, int64_t* last);
  // A place that the store has images of, in lower chunks.
  struct Stored {
    int64_t place;
    uint32_t key;
    uint32_t clock;
    int64_t first;  // by MeasureImage
    int64_t last;
  };
  // The piece that it belongs to. "state_damaged".
  virtual Result<uint32_t> TakeOverPlace(const Stored& stored) = 0;
  // Everything is taken over.
  virtual Status SettleTaken() { return Status::OK(); }
  bool IsSealed(const Piece& piece) const;
  void WritePiece(uint32_t piece);
  // What the store has of it in the current chunk, into `batch`.
  void DeleteCurrent(const Piece& piece, StateBatch* batch);
  // The bytes of a clock's key, for people.
  std::string KeyText(const std::string& bytes) const;
  // Of the fingerprint, what tells of the clocks.
  std::string ClockCut() const;

  std::vector<KeyPieces> keys_pieces_;  // by id of key
  std::vector<Piece> pieces_;
  std::optional<KeyClocks> clocks_;
  std::optional<ColumnReader> passes_;  // of the batch: which rows count
  std::vector<LateRow> late_;
  int64_t lower_places_ = 0;  // of all pieces
  StateBatch deleted_;        // with the next epoch

 private:
  // Among those of its key.
  void Link(uint32_t piece);
  void Unlink(uint32_t piece);
  void LinkKey(uint32_t key, uint32_t clock);
  void UnlinkKey(uint32_t key);

  // piece_state.cpp
  // Of the key where the entries stand, all chunks of a place. Goes past them.
  Status TakeOverEntries(StateIterator* entries);
  void Touch(uint32_t piece);
  // Its images in lower chunks and in memory become one, in memory.
  Status Fold(uint32_t piece);
  void ForgetMemory();

  std::vector<uint32_t> free_;
  std::vector<Reference> dirty_;     // touched since they were last written
  std::vector<Reference> to_write_;  // of the epoch being written; those touched since are written
};

}  // namespace millrace
