// Schemas of rows between processes: as bytes, and (protocol 2) known by numbers. Both ends of a
// session and direction hold the same list: a schema that is sent takes the next number, and the
// oldest are forgotten by the same rule.
#pragma once

#include <arrow/type.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/status.h"

namespace millrace {

inline constexpr size_t kSchemaBytesMax = 1 << 20;
// Of all schemas that are known by numbers, and how many they may be.
inline constexpr size_t kKnownSchemaBytesMax = 4 << 20;
inline constexpr size_t kKnownSchemasMax = 1024;

// Columns of the engine's types (engine/model/types.h) and of panes, with names and properties.
// "unsendable_rows" (internal): another type, or more than kSchemaBytesMax.
Result<std::string> EncodeSchema(const arrow::Schema& schema);
// Takes any bytes: "bad_message".
Result<std::shared_ptr<arrow::Schema>> DecodeSchema(std::string_view bytes);

// The sender's list.
class SentSchemas {
 public:
  struct Sent {
    int64_t number = 0;
    // To be sent with this frame, which gives it its number; null: it is known. Valid until the
    // next call.
    const std::string* bytes = nullptr;
  };
  Result<Sent> NumberOf(const std::shared_ptr<arrow::Schema>& schema);
  // The last number was given to bytes that were not sent after all.
  void TakeBack();

 private:
  struct Entry {
    std::shared_ptr<arrow::Schema> schema;  // the last that was met with these bytes; kept alive
    const std::string* bytes = nullptr;     // key in by_bytes_
  };
  Entry& At(int64_t number) { return entries_[size_t(number - first_)]; }
  void Forget(const Entry& entry);

  int64_t first_ = 0;  // number of entries_.front()
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
  std::unordered_map<std::string, int64_t> by_bytes_;
  std::unordered_map<const arrow::Schema*, int64_t> by_address_;
};

// The receiver's.
class ReceivedSchemas {
 public:
  Status Add(std::string_view bytes);
  // "bad_message" where there is none of this number (any more).
  Result<std::shared_ptr<arrow::Schema>> Get(int64_t number) const;

 private:
  struct Entry {
    std::shared_ptr<arrow::Schema> schema;
    size_t bytes = 0;
  };
  int64_t first_ = 0;
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
};

}  // namespace millrace
