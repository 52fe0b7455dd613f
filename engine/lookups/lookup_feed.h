// What keeps a lookup up to date: reads it once before the job begins, and then, where it changes,
// on a thread of its own until it is destroyed.
#pragma once

#include <arrow/filesystem/filesystem.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/connectors/source.h"
#include "engine/env/clock.h"
#include "engine/lookups/lookup.h"

namespace millrace {

class LookupFeed {
 public:
  // Ends the thread.
  virtual ~LookupFeed() = default;
};

struct LookupFeedOptions {
  LookupLimits limits;
  const Clock* clock = nullptr;  // outlives the feed
  // A line for people; called from the thread that reads.
  std::function<void(const std::string& message)> warn;
  // Makes the first reading give up.
  const std::atomic<bool>* stopping = nullptr;
};

// The rows of a lookup's files. Errors name the file, and the row (from 0) where one can not be
// read: "path_missing", "bad_file", "bad_lookup_row", "duplicate_key", "lookup_too_large", ...
Result<std::shared_ptr<const LookupTable>> ReadLookupFiles(const LookupSpec& spec,
                                                           const LookupLayout& layout,
                                                           const LookupLimits& limits,
                                                           arrow::fs::FileSystem* filesystem,
                                                           const std::atomic<bool>* stopping);

// Reads the files, and again every `spec.refresh`; a refresh that fails leaves the lookup as it is,
// is told, and is tried again when the next one is due. Fails as ReadLookupFiles does.
Result<std::unique_ptr<LookupFeed>> OpenFileLookup(
    std::shared_ptr<Lookup> lookup, std::shared_ptr<arrow::fs::FileSystem> filesystem,
    LookupFeedOptions options);

// A topic, and where its partitions end: read before the job begins.
struct LookupTopic {
  std::unique_ptr<Source> source;  // tells tombstones (tombstone.h)
  // Offsets behind the last record that can be read now. Blocks; may be retried.
  std::function<Result<std::map<TopicPartition, int64_t>>()> ends;
};

// Reads the topic to its end, then follows it. Records that can not be read fail it, unless a later
// one of the same Kafka key stands for them ("bad_lookup_row"); those that come later are told and
// change nothing. What ends a reader (a deleted topic, lost records), and a table that has grown
// beyond its limits, breaks the lookup. Waits for brokers that are away until `stopping`.
Result<std::unique_ptr<LookupFeed>> OpenTopicLookup(std::shared_ptr<Lookup> lookup,
                                                    LookupTopic topic, LookupFeedOptions options);

}  // namespace millrace
