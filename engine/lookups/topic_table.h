// A compacted topic as a table. Records become rows by the key columns of their value; a later row
// replaces the one before it, a tombstone takes it away. A topic is not read into one table that is
// made anew for each change: what has changed since the last step is a small table over the ones
// before, and two are put together when the newer has a quarter of the older one's rows. So a row
// is copied a few times in all, and there are few tables to look into (about one for each power of
// four).
//
// Which key a tombstone takes away is read from its Kafka key: a JSON object with the key columns
// (format json) or a line of CSV with them; or, where the key is one column, its value as text.
//
// Used by one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connectors/message/message_decoder.h"
#include "engine/connectors/source.h"
#include "engine/lookups/lookup.h"

namespace millrace {

class TopicTable {
 public:
  // `layout` outlives it.
  TopicTable(const LookupSpec& spec, const LookupLayout& layout, const LookupLimits& limits);
  ~TopicTable();

  // A batch of the topic's rows and tombstones, each in order.
  Status Add(const SourceBatch& batch);
  // Rows and tombstones added since the last step.
  int64_t pending() const { return pending_rows_; }
  // Whether they are so many that a step is due.
  bool is_full() const;
  // What there is with what was added. "lookup_too_large" (user).
  Result<std::shared_ptr<const LookupSnapshot>> Step();

  // Records that could not be read, and that no later record of their Kafka key stands for, since
  // the last call of Forget: how many, and what is wrong with one of them ("" where there is none).
  int64_t bad_records() const { return int64_t(bad_.size()) + bad_without_key_; }
  std::string FirstBad() const;
  void ForgetBad();
  // Rows with a null in their key, in all.
  int64_t rows_without_key() const { return rows_without_key_; }

 private:
  // A row of a batch or a tombstone, in the order of the topic.
  struct Change {
    int64_t offset = 0;
    int32_t row = 0;  // of what is put together
    uint8_t deleted = 0;
  };
  struct Bad {
    TopicPartition partition;
    int64_t offset = 0;
    std::string told;
  };
  // Keys of tombstones, as they are read: columns of the key.
  class TombstoneKeys;

  Status TakeTombstones(const SourceBatch& batch, std::vector<Change>* changes,
                        arrow::RecordBatchVector* parts);
  void TellBad(const TopicPartition& partition, const RejectedRecord& record,
               const std::string& message);
  void Mend(const TopicPartition& partition, std::string_view kafka_key, int64_t offset);
  Status CountRows(const LookupTable& changes);
  Status Merge();
  Status CheckLimits() const;
  Status TooManyBytes() const;

  const LookupLayout& layout_;
  const LookupLimits limits_;
  const LookupLimits table_limits_;  // of one table, with rows that are to be replaced in it
  std::unique_ptr<TombstoneKeys> tombstone_keys_;
  arrow::RecordBatchVector pending_;
  std::vector<std::vector<uint8_t>> pending_deleted_;  // one a batch
  int64_t pending_rows_ = 0;
  int64_t pending_bytes_ = 0;
  std::vector<std::shared_ptr<const LookupTable>> tables_;  // the newest first
  int64_t rows_ = 0;                                        // that can be found
  int64_t rows_without_key_ = 0;
  std::map<std::string, Bad, std::less<>> bad_;  // by Kafka key
  int64_t bad_without_key_ = 0;
  std::string first_bad_without_key_;
};

}  // namespace millrace
