// What is committed beside an offset, so that a restart without saved state neither loses a window
// nor publishes a part of one. Text in the commit's metadata field; docs/architecture.md,
// "Restart".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace millrace {

struct PositionMetadata {
  // The partition's watermark just before the committed offset.
  EventTime watermark = kEventTimeMin;
  // Every window that ends at or before it has been published.
  EventTime horizon = kEventTimeMin;
  // Rows below this offset have been published wherever no window is in the way; they are read
  // again only for windows that are still open.
  int64_t published_before = 0;
  // What the stream's watermark was for the partition at that offset: new readings are judged
  // against at least this. Not the horizon, which partitions share after a restart.
  EventTime floor = kEventTimeMin;
  // Offset and hash of the last record read: another record there means that the topic was
  // re-created. -1: none.
  int64_t last_offset = -1;
  uint64_t last_hash = 0;

  friend bool operator==(const PositionMetadata&, const PositionMetadata&) = default;
};

// "millrace/1 WATERMARK HORIZON PUBLISHED FLOOR LAST_OFFSET LAST_HASH", times in microseconds.
std::string EncodePositionMetadata(const PositionMetadata& metadata);
// None where the text is not of this form: then only the offset counts.
std::optional<PositionMetadata> DecodePositionMetadata(std::string_view text);

}  // namespace millrace
