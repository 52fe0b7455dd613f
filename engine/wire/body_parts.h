// The body of a message: rows are an Arrow IPC record batch, then vectors of what is known of each
// row; dead letters a record batch. Every part begins at a multiple of 8 bytes.
// docs/cluster-protocol.md, "Messages".
//
// What is sent as it is is copied once, into the message; what is received refers to its bytes.
#pragma once

#include <arrow/type.h>

#include <cstdint>
#include <memory>

namespace millrace {

// Of one frame; rows of any other number are neither sent nor taken.
inline constexpr int64_t kFrameRowsMax = int64_t(1) << 22;

constexpr int64_t Padded(int64_t bytes) { return (bytes + 7) / 8 * 8; }

// The columns of dead letters.
inline const std::shared_ptr<arrow::Schema>& LetterSchema() {
  static const auto schema = arrow::schema(
      {arrow::field("value", arrow::binary()), arrow::field("key", arrow::binary()),
       arrow::field("reason", arrow::binary()), arrow::field("message", arrow::binary()),
       arrow::field("stream", arrow::binary()), arrow::field("topic", arrow::binary()),
       arrow::field("partition", arrow::int32()), arrow::field("offset", arrow::int64()),
       arrow::field("index", arrow::int32())});
  return schema;
}

}  // namespace millrace
