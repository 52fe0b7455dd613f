// Unfolding: a ProjectNode with Unnest over batches. Each row of the input becomes one row for
// every item of its array, and filter and columns are computed of these.
//
// What fails on an item fails its row of the input as a whole: none of the row's items come out,
// and one error tells of it. Rows come out in pieces of bounded size; a row's items are all in one.
// Used by one actor at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/operators/project.h"

namespace millrace {

// A reading with more items, or whose items with the columns that stand beside them take more
// memory, fails: "too_many_elements", "too_large".
inline constexpr size_t kUnnestItemsMax = 100'000;
inline constexpr int64_t kUnnestBytesMax = 16 << 20;

class UnnestOperator {
 public:
  // `node` has an unnest.
  static Result<std::unique_ptr<UnnestOperator>> Make(const ProjectNode& node, const Schema& input,
                                                      const Schema& output);
  virtual ~UnnestOperator() = default;
  // Begins with a batch; what was left of the one before is gone. `readings`: the reading of each
  // row, ascending, where rows of a reading fail together; empty: every row fails alone.
  virtual Status Begin(const Rows& input, std::span<const int32_t> readings) = 0;
  // The next piece, nothing after the last. Its source_rows always name a row of the input for each
  // of its rows, its errors are of rows of the input (without a message where another row of the
  // reading has one), and filtered_out counts those of which
  // nothing comes out: that have no items, or none that the filter takes.
  virtual Result<std::optional<Projected>> Next() = 0;
};

// What fails of a reading fails all of it, where its items are rows of their own already: takes the
// other rows of readings with an error out of `projected`. `reading_of`: the reading of each row of
// the input, ascending. Rows that are taken out have an error without a message.
Status FailWholeReadings(const std::vector<int32_t>& reading_of, Projected* projected);

}  // namespace millrace
