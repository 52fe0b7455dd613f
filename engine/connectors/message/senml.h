// SenML (RFC 8428) packs of records as JSON objects that stand for themselves: base name, time,
// unit, value and sum are put into each record, as the RFC says ("resolved records"), and all else
// is kept as it is written. So the columns of a stream are read from a record's keys: n, u, v, vs,
// vb, vd, s, t, ut.
//
// A pack is an array of records. The form before the RFC is read too: an object whose `e` holds the
// records and which has the base values itself, wherever they stand in it; there the numbers may be
// written as text, and the time is in whatever unit the producer uses.
//
// A record without any value carries base values only and is no reading. Refused are: labels that
// end in '_' and are not known ("unknown_label": the RFC forbids to pass over them), a version
// beyond 10, a time that is relative to when the message came (below 2^28), where a column is read
// from it ("relative_time").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connectors/json/json_decoder.h"
#include "engine/json/json_document.h"

namespace millrace {

// One thread at a time.
class SenmlReader {
 public:
  enum class Found {
    kReading,
    kRefused,  // this record; `failure` says why
    kEnd,
    kBroken,  // the message is no SenML: nothing of it may count
  };

  SenmlReader(const SourceStreamSpec& spec, const std::vector<int>& used_columns);

  // False where `message` is no pack: "malformed", "too_deep". It must live until the last Next.
  bool Open(std::string_view message, JsonFailure* failure);
  Found Next(JsonFailure* failure);

  // Of what Next found: the record as it is written; its place in the pack, from 0; as an object
  // of its own, valid until the next call.
  std::string_view record() const { return record_; }
  int32_t index() const { return index_; }
  const std::string& resolved() const { return resolved_; }

 private:
  struct Number {
    std::string_view text;  // as it is written in the message
    double value = 0;
  };
  // Base values; texts are the inside of the JSON string, escapes unresolved.
  struct Base {
    std::string name;
    std::string unit;
    std::optional<Number> time;
    std::optional<Number> value;
    std::optional<Number> sum;
  };
  // Of the record at hand: values as they are written.
  struct Record {
    std::string_view name;
    std::string_view unit;
    bool has_value = false;  // of any kind
    std::string_view value;  // `v`
    std::string_view time;
    std::string_view sum;
    std::vector<std::pair<std::string_view, std::string_view>> others;
  };

  bool TakeBase(std::string_view key, std::string_view value, JsonFailure* failure);
  bool ReadRecord(uint32_t token, JsonFailure* failure);
  bool Resolve(JsonFailure* failure);
  bool AppendSum(std::string_view key, const std::optional<Number>& base, std::string_view own,
                 bool is_time, JsonFailure* failure);
  void AppendMember(std::string_view key, std::string_view value);

  bool reads_time_ = false;
  JsonDocument document_;
  uint32_t token_ = 0;  // of the next record; 0: none
  bool older_form_ = false;
  Base base_;
  Record of_record_;
  std::string_view record_;
  int32_t index_ = -1;
  std::string resolved_;
};

}  // namespace millrace
