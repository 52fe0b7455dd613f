// The panes of one window as the store has them, merged: key after key, in the order of key group
// and bytes, what all chunks and panes hold for it. Reads one entry a pane at a time, so memory
// does not depend on how many keys there are.
//
// Entries of the current chunk are passed over: they are older images of what is in memory. What is
// written while it is open is of that chunk, so that it may stay open between calls.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/state/state_store.h"
#include "engine/windows/accumulator_layout.h"
#include "engine/windows/state_entry.h"

namespace millrace {

struct StoredPane {
  int64_t time = 0;        // of its entries
  bool is_last = false;    // whether the window is the pane's last one: its rows are counted
  std::string entries_of;  // what the keys of one key's entries begin with; empty: of all keys
};

struct StoredFormat {
  uint16_t operator_number = 0;
  const AccumulatorLayout* layout = nullptr;
  std::vector<bool> is_text;  // of each key column
};

class StoredMerge {
 public:
  // `format` must outlive it. `chunk`: the current one.
  static Result<std::unique_ptr<StoredMerge>> Make(StateStore* store, const StoredFormat* format,
                                                   uint32_t chunk,
                                                   const std::vector<StoredPane>& panes);

  // Whether there is another key.
  bool Valid() const { return !heap_.empty(); }
  // Goes to the next key and merges what the store has of it into `row`. "state_damaged".
  Status Next(char* row);

  // Deletes what Next merges, in `batch`.
  void DeleteMerged(StateBatch* batch) { deleted_ = batch; }

  // Of the key that Next came to.
  std::string_view key() const;
  uint64_t hash() const { return hash_; }

  // Rows of panes of which this is the last window, up to here.
  int64_t rows_counted() const { return rows_counted_; }

 private:
  struct Cursor {
    std::unique_ptr<StateIterator> iterator;
    StoredPane pane;
    EntryKey entry;  // where the iterator stands, while it is valid
  };
  // As a heap: the least key first, and of one key the earliest pane.
  static bool IsAfter(const Cursor* left, const Cursor* right);

  StoredMerge(const StoredFormat* format, uint32_t chunk);
  // Parses where the cursor stands and passes over what is of the current chunk.
  Status Settle(Cursor* cursor);
  // Into the heap, unless it is at its end.
  void Return(Cursor* cursor);
  // What the pane has of the current key, chunk by chunk.
  Status MergePane(Cursor* cursor, char* row);
  Status MergeChunk(Cursor* cursor, char* row);
  Result<uint32_t> MergeFixed(const Cursor& cursor, char* row);
  Status MergeValues(const Cursor& cursor, char* row);

  const StoredFormat* format_;
  uint32_t chunk_;
  std::vector<Cursor> cursors_;
  std::vector<Cursor*> heap_;
  std::unique_ptr<char[]> scratch_;
  std::string key_;  // with its group
  uint64_t hash_ = 0;
  bool has_hash_ = false;
  int64_t rows_counted_ = 0;
  StateBatch* deleted_ = nullptr;
};

}  // namespace millrace
