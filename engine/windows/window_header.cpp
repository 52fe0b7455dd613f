#include "engine/windows/window_header.h"

#include <algorithm>

#include "engine/state/state_key.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {
namespace {

// The check of a header is over its value alone; two bytes stand for any operator's number.
constexpr std::string_view kNoKey("\0\0", 2);

// Rows of a task since its job began; those of all tasks are added up.
constexpr uint64_t kRowsMax = uint64_t(1) << 53;

}  // namespace

WindowHeader WindowHeader::Of(std::string fingerprint, EventTime watermark, uint32_t chunk,
                              const KeyedOperatorStats& stats) {
  return {.fingerprint = std::move(fingerprint),
          .watermark = watermark,
          .chunk = chunk,
          .rows_added = stats.rows_added,
          .rows_counted = stats.rows_counted,
          .rows_too_late = stats.rows_too_late,
          .results_out_of_range = stats.results_out_of_range};
}

void WindowHeader::CountsTo(KeyedOperatorStats* stats) const {
  stats->rows_added = rows_added;
  stats->rows_counted = rows_counted;
  stats->rows_too_late = rows_too_late;
  stats->results_out_of_range = results_out_of_range;
}

std::string WindowHeader::Encode() const {
  std::string value;
  BeginValue(&value);
  StateEncoder out(&value);
  out.PutText(fingerprint);
  out.Put64(uint64_t(watermark.time_since_epoch().count()));
  out.Put32(chunk);
  for (const int64_t count : {rows_added, rows_counted, rows_too_late, results_out_of_range}) {
    out.Put64(uint64_t(count));
  }
  EndValue(kNoKey, &value);
  return value;
}

Result<WindowHeader> WindowHeader::Decode(std::string_view bytes) {
  ARROW_ASSIGN_OR_RAISE(std::string_view value, OpenValue(kNoKey, bytes));
  StateDecoder in(&value);
  WindowHeader header;
  header.fingerprint = in.TakeText();
  header.watermark = EventTime(Micros(int64_t(in.Take64())));
  header.chunk = in.Take32();
  for (int64_t* count : {&header.rows_added, &header.rows_counted, &header.rows_too_late,
                         &header.results_out_of_range}) {
    *count = in.TakeTally(kRowsMax);
  }
  ARROW_RETURN_NOT_OK(in.status());
  if (!value.empty()) return StateDamaged("the header is longer than it should be");
  if (header.chunk == UINT32_MAX) return StateDamaged("the header's chunk is the last there is");
  return header;
}

Result<SavedState> OpenSavedState(StateStore* store, uint16_t operator_number,
                                  const std::string& fingerprint, const std::string& other) {
  const std::string own = StateOperatorKey(operator_number);
  ARROW_ASSIGN_OR_RAISE(auto entries, store->Scan(own, StateOperatorEnd(operator_number)));
  SavedState saved;
  if (!entries->Valid()) {
    ARROW_RETURN_NOT_OK(entries->status());
    return saved;
  }
  if (entries->key() != own) return StateDamaged("the header is missing");
  ARROW_ASSIGN_OR_RAISE(saved.header, WindowHeader::Decode(entries->value()));
  if (saved.header.fingerprint != fingerprint) {
    return UserError("state_of_another_query", "the saved state belongs to " + other);
  }
  entries->Next();
  saved.entries = std::move(entries);
  return saved;
}

Result<std::string> MergeWindowHeaders(std::span<const std::string> headers, bool with_counts) {
  if (headers.empty()) return InternalError("no_headers", "no header of window state to merge");
  ARROW_ASSIGN_OR_RAISE(WindowHeader merged, WindowHeader::Decode(headers.front()));
  for (const std::string& bytes : headers.subspan(1)) {
    ARROW_ASSIGN_OR_RAISE(const WindowHeader header, WindowHeader::Decode(bytes));
    if (header.fingerprint != merged.fingerprint) {
      return UserError("state_of_another_query", "tasks have saved the state of different queries");
    }
    if (header.watermark != merged.watermark) {
      return StateDamaged("tasks have different watermarks at one checkpoint");
    }
    merged.chunk = std::max(merged.chunk, header.chunk);
    merged.rows_added += header.rows_added;
    merged.rows_counted += header.rows_counted;
    merged.rows_too_late += header.rows_too_late;
    merged.results_out_of_range += header.results_out_of_range;
  }
  if (!with_counts) {
    merged.rows_added = 0;
    merged.rows_counted = 0;
    merged.rows_too_late = 0;
    merged.results_out_of_range = 0;
  }
  return merged.Encode();
}

}  // namespace millrace
