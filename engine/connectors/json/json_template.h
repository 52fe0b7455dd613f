// How a producer writes its messages, learned from one of them: the bytes between the values. A
// message in which exactly these bytes stand around values of the usual kinds is read in place,
// without looking for tokens first; this is what nearly every message of a topic is.
//
// A template only ever says "read" or "not mine". What it reads is what JsonDocument's walk would
// have read, to the bit; whatever it is not sure of (another layout, escapes, a value of another
// type or out of range, a broken message) is not its own, and the decoder reads it the long way.
// A message made of a template's bytes and of valid scalars is valid JSON, because the message
// that the template was learned from was.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/connectors/json/column_writer.h"
#include "engine/connectors/json/json_places.h"
#include "engine/json/json_document.h"

namespace millrace {

// What to do with the value of a key.
enum class JsonTarget : uint8_t {
  kSkip,  // no column's: only seen to be a scalar
  kBoolean,
  kInteger,
  kBigint,
  kReal,
  kDouble,
  kText,
  kDate,
  kIsoTimestamp,
  kEpochTimestamp,
  kOther,  // nothing that a template reads
};

struct JsonTargetColumn {
  JsonTarget target = JsonTarget::kSkip;
  bool required = false;  // a null is not the template's
  int column = -1;        // into the writers
  int32_t shift = 0;      // kEpochTimestamp: powers of ten from its unit to microseconds
};

// One thread at a time.
class JsonTemplate {
 public:
  // From a document that was accepted. `target_of` tells what a place is for. A place of kOther,
  // one that stands there twice, and a layout that is too long give none. `columns`: how many
  // writers there are; those whose place is not there become null.
  using TargetOf = std::function<JsonTargetColumn(int place)>;
  static std::optional<JsonTemplate> Learn(const JsonDocument& document, std::string_view message,
                                           int columns, JsonPlaces* places,
                                           const TargetOf& target_of);

  // Writes `row` of the writers, or returns false; then the row's values mean nothing.
  bool Read(std::string_view message, int64_t row, std::span<ColumnWriter> writers);

 private:
  struct Step {
    uint32_t literal = 0;  // where it begins in literals_
    uint32_t size = 0;
    JsonTargetColumn to;
    // kIsoTimestamp: the last text's date, hour and minute, and the time that they are.
    char minute[16] = {};
    int64_t minute_micros = 0;
  };

  const char* ReadValue(Step* step, const char* at, const char* end, int64_t row,
                        ColumnWriter* writers);
  const char* ReadNumber(const Step& step, const char* at, const char* end, int64_t row,
                         ColumnWriter* writers);
  const char* ReadString(Step* step, const char* at, const char* end, int64_t row,
                         ColumnWriter* writers);
  const char* ReadWord(const Step& step, const char* at, const char* end, int64_t row,
                       ColumnWriter* writers);
  static bool ReadTime(Step* step, std::string_view text, int64_t* micros);

  std::string literals_;
  std::vector<Step> steps_;
  std::string tail_;          // behind the last value
  std::vector<int> missing_;  // columns whose place is not there
};

}  // namespace millrace
