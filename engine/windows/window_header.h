// The own entry of a keyed operator among its saved state. Format: docs/state-format.md, "Windows".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/state/state_store.h"
#include "engine/windows/keyed_operator.h"

namespace millrace {

struct WindowHeader {
  std::string fingerprint;  // KeyedOperator::Fingerprint
  EventTime watermark = kEventTimeMin;
  uint32_t chunk = 0;  // no entry is of a later one
  int64_t rows_added = 0;
  int64_t rows_counted = 0;
  int64_t rows_too_late = 0;
  int64_t results_out_of_range = 0;

  static WindowHeader Of(std::string fingerprint, EventTime watermark, uint32_t chunk,
                         const KeyedOperatorStats& stats);
  // The counts that a header keeps.
  void CountsTo(KeyedOperatorStats* stats) const;

  std::string Encode() const;
  // "state_damaged", "state_version".
  static Result<WindowHeader> Decode(std::string_view bytes);
};

struct SavedState {
  WindowHeader header;
  std::unique_ptr<StateIterator> entries;  // behind the header; null: nothing is saved
};
// What an operator of this number and fingerprint takes over. `other` says what state of another
// one belongs to. "state_damaged", "state_version", "state_of_another_query".
Result<SavedState> OpenSavedState(StateStore* store, uint16_t operator_number,
                                  const std::string& fingerprint, const std::string& other);

// The header of a new task whose key groups come from several old ones, from all headers (values
// under StateOperatorKey) that one node's tasks have in one checkpoint: another parallelism.
//
// All must have the same watermark, and of one checkpoint they have: watermarks go to every task of
// a node, a barrier stands at the same place among them for each, and a task takes the least of its
// inputs. (With different ones no answer would be right: the greater loses windows, the least gives
// some out twice.) Chunks that two tasks gave the same number do not meet, for no key is in both.
//
// Counts cannot be told apart by key group. Exactly one new task is asked for `with_counts` and
// gets all, the others none: sums over tasks are right, and a single task's rows_open() may be less
// than 0. "state_damaged", "state_version", "state_of_another_query" (they differ).
Result<std::string> MergeWindowHeaders(std::span<const std::string> headers, bool with_counts);

}  // namespace millrace
