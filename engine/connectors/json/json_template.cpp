#include "engine/connectors/json/json_template.h"

#include <algorithm>
#include <cstring>

#include "engine/json/json_number.h"
#include "engine/json/json_words.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

constexpr size_t kStepsMax = 1024;
constexpr size_t kLiteralBytesMax = 64 << 10;
constexpr size_t kMinuteBytes = 16;  // "2022-06-13T14:14"

// Where the scalar at `token` ends.
const char* ScalarEnd(const JsonDocument& document, uint32_t token) {
  const char* at = document.At(token);
  if (*at == '"') {
    std::string_view raw;
    document.RawString(token, &raw);
    return raw.data() + raw.size() + 1;
  }
  while (!EndsJsonScalar(*at)) ++at;
  return at;
}

// Which place the values of a document are at, token by token.
class PlaceTracker {
 public:
  PlaceTracker(const JsonDocument& document, JsonPlaces* places)
      : document_(document), places_(places), seen_(places->size(), false) {}

  // Whether `token` begins a scalar value. `twice` afterwards: a place stands there again.
  bool IsScalar(uint32_t token) {
    switch (const char c = document_.Char(token)) {
      case '{':
      case '[':
        open_.push_back({c == '[', place_, 0});
        if (c == '[' && document_.Char(token + 1) != ']') {
          GoTo(places_->OfItem(open_.back().place, 0));
        }
        return false;
      case '}':
      case ']':
        open_.pop_back();
        return false;
      case ',':
        if (open_.back().is_array) {
          GoTo(places_->OfItem(open_.back().place, ++open_.back().index));
        }
        return false;
      case ':':
        return false;
      case '"':
        if (document_.Char(token + 1) != ':') return true;
        std::string_view key;
        document_.RawString(token, &key);
        GoTo(places_->OfKey(open_.back().place, key));
        return false;
    }
    return true;
  }

  // Of the value that comes next.
  int place() const { return place_; }
  bool twice() const { return twice_; }
  bool has_seen(int place) const { return seen_[size_t(place)]; }

 private:
  struct Open {
    bool is_array;
    int place;
    int64_t index;
  };

  void GoTo(int place) {
    place_ = place;
    if (place < 0) return;
    twice_ = twice_ || seen_[size_t(place)];
    seen_[size_t(place)] = true;
  }

  const JsonDocument& document_;
  JsonPlaces* places_;
  std::vector<Open> open_;
  std::vector<bool> seen_;
  int place_ = JsonPlaces::kMessage;
  bool twice_ = false;
};

// "45", "45.123" or "45.123456", with or without a Z, of at least two bytes. False for everything
// else, times included.
bool ReadSeconds(std::string_view text, int64_t* micros) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const uint32_t tens = JsonDigit(at[0]), ones = JsonDigit(at[1]);
  if (tens > 5 || ones > 9) return false;
  *micros = int64_t(tens * 10 + ones) * 1'000'000;
  at += 2;
  if (at < end && *at == '.') {
    int64_t unit = 100'000;
    const char* const fraction = ++at;
    for (; at < end && JsonDigit(*at) <= 9; ++at, unit /= 10) *micros += JsonDigit(*at) * unit;
    if (at == fraction || at - fraction > 6) return false;
  }
  if (at < end && *at == 'Z') ++at;
  return at == end;
}

}  // namespace

std::optional<JsonTemplate> JsonTemplate::Learn(const JsonDocument& document,
                                                std::string_view message, int columns,
                                                JsonPlaces* places, const TargetOf& target_of) {
  JsonTemplate learned;
  PlaceTracker tracker(document, places);
  const char* behind = message.data();
  for (uint32_t token = 0; token < document.count(); ++token) {
    const bool is_scalar = tracker.IsScalar(token);
    if (tracker.twice()) return std::nullopt;
    if (!is_scalar) continue;
    const char* const begin = document.At(token);
    Step step;
    step.literal = uint32_t(learned.literals_.size());
    step.size = uint32_t(begin - behind);
    if (tracker.place() >= 0) step.to = target_of(tracker.place());
    learned.literals_.append(behind, begin);
    learned.steps_.push_back(step);
    behind = ScalarEnd(document, token);
    if (learned.steps_.size() > kStepsMax || learned.literals_.size() > kLiteralBytesMax) {
      return std::nullopt;
    }
  }
  learned.literals_.append(JsonBlock::kSize, '\0');  // blocks of literals may be read to their end
  learned.tail_.assign(behind, message.data() + message.size());
  std::vector<bool> has_place(size_t(columns), false);
  for (int place = 0; place < int(places->size()); ++place) {
    if (!tracker.has_seen(place)) continue;
    const JsonTargetColumn target = target_of(place);
    if (target.target == JsonTarget::kOther) return std::nullopt;
    if (target.column >= 0) has_place[size_t(target.column)] = true;
  }
  for (int column = 0; column < columns; ++column) {
    if (!has_place[size_t(column)]) learned.missing_.push_back(column);
  }
  return learned;
}

bool JsonTemplate::Read(std::string_view message, int64_t row, std::span<ColumnWriter> writers) {
  const char* at = message.data();
  const char* const end = at + message.size();
  // What stands at the end ends numbers, so that no read goes beyond it.
  if (!message.ends_with(tail_)) return false;
  const char* const literals = literals_.data();
  for (Step& step : steps_) {
    if (size_t(end - at) > size_t(step.size) + JsonBlock::kSize) [[likely]] {
      if (!SameBytesWithRoom(at, literals + step.literal, step.size)) return false;
    } else if (size_t(end - at) <= step.size ||
               !SameBytes(at, literals + step.literal, step.size)) {
      return false;
    }
    at = ReadValue(&step, at + step.size, end, row, writers.data());
    if (at == nullptr) return false;
  }
  if (at != end - tail_.size()) return false;
  for (const int column : missing_) writers[size_t(column)].SetNull(row);
  return true;
}

inline const char* JsonTemplate::ReadValue(Step* step, const char* at, const char* end, int64_t row,
                                           ColumnWriter* writers) {
  switch (*at) {
    case '"':
      return ReadString(step, at + 1, end, row, writers);
    case 't':
    case 'f':
    case 'n':
      return ReadWord(*step, at, end, row, writers);
    default:
      return ReadNumber(*step, at, end, row, writers);
  }
}

inline const char* JsonTemplate::ReadNumber(const Step& step, const char* at, const char* end,
                                            int64_t row, ColumnWriter* writers) {
  if (step.to.target == JsonTarget::kSkip && end - at > kShortJsonNumberReads) {
    ShortJsonNumber skipped;
    if (FindShortJsonNumber(at, &skipped)) return at + skipped.end;
  }
  JsonNumber number;
  const char* behind = nullptr;
  if (end - at > kShortJsonNumberReads) behind = ReadShortJsonNumber(at, &number);
  if (behind == nullptr) behind = ReadJsonNumber(at, &number);
  if (behind == nullptr) return nullptr;
  if (step.to.target == JsonTarget::kSkip) return behind;
  ColumnWriter* const writer = writers + step.to.column;
  auto outcome = JsonNumberOutcome::kNotIntegral;
  switch (step.to.target) {
    case JsonTarget::kDouble: {
      double value;
      outcome = ToDouble(number, &value);
      writer->SetDouble(row, value);
      break;
    }
    case JsonTarget::kReal: {
      float value = 0;
      outcome = ToReal(number, &value);
      writer->SetReal(row, value);
      break;
    }
    case JsonTarget::kBigint: {
      int64_t value = 0;
      outcome = ToInt64(number, &value);
      writer->SetInt64(row, value);
      break;
    }
    case JsonTarget::kInteger: {
      int32_t value = 0;
      outcome = ToInt32(number, &value);
      writer->SetInteger(row, value);
      break;
    }
    case JsonTarget::kEpochTimestamp: {
      int64_t micros = 0;
      outcome = ToEpochMicros(number, step.to.shift, &micros);
      writer->SetInt64(row, micros);
      break;
    }
    case JsonTarget::kSkip:
    case JsonTarget::kBoolean:
    case JsonTarget::kText:
    case JsonTarget::kDate:
    case JsonTarget::kIsoTimestamp:
    case JsonTarget::kOther:
      break;
  }
  return outcome == JsonNumberOutcome::kOk ? behind : nullptr;
}

inline const char* JsonTemplate::ReadString(Step* step, const char* at, const char* end,
                                            int64_t row, ColumnWriter* writers) {
  bool ascii;
  const char* const quote = FindPlainStringEnd(at, end, &ascii);
  if (quote == nullptr) return nullptr;
  const std::string_view text(at, size_t(quote - at));
  if (!ascii && !simdjson::validate_utf8(text)) return nullptr;
  switch (step->to.target) {
    case JsonTarget::kSkip:
      return quote + 1;
    case JsonTarget::kText:
      return writers[step->to.column].SetText(row, text) ? quote + 1 : nullptr;
    case JsonTarget::kDate: {
      int32_t days;
      if (!ParseDate(text, &days)) return nullptr;
      writers[step->to.column].SetInteger(row, days);
      return quote + 1;
    }
    case JsonTarget::kIsoTimestamp: {
      int64_t micros;
      if (!ReadTime(step, text, &micros)) return nullptr;
      writers[step->to.column].SetInt64(row, micros);
      return quote + 1;
    }
    default:
      return nullptr;
  }
}

const char* JsonTemplate::ReadWord(const Step& step, const char* at, const char* end, int64_t row,
                                   ColumnWriter* writers) {
  const std::string_view rest(at, size_t(end - at));
  const JsonTarget target = step.to.target;
  if (rest.starts_with("null")) {
    if (step.to.required) return nullptr;
    if (target != JsonTarget::kSkip) writers[step.to.column].SetNull(row);
    return at + 4;
  }
  const bool value = rest.starts_with("true");
  if (!value && !rest.starts_with("false")) return nullptr;
  if (target != JsonTarget::kSkip && target != JsonTarget::kBoolean) return nullptr;
  if (target == JsonTarget::kBoolean) writers[step.to.column].SetBoolean(row, value);
  return at + (value ? 4 : 5);
}

// "2022-06-13T14:14:45.123Z": date, hour and minute are mostly the last reading's.
inline bool JsonTemplate::ReadTime(Step* step, std::string_view text, int64_t* micros) {
  const bool has_seconds = text.size() >= kMinuteBytes + 3 && text[kMinuteBytes] == ':';
  const bool same_minute = has_seconds && SameBytes(text.data(), step->minute, kMinuteBytes);
  int64_t since_minute;
  if (same_minute && ReadSeconds(text.substr(kMinuteBytes + 1), &since_minute)) {
    *micros = step->minute_micros + since_minute;
    return true;
  }
  EventTime time;
  if (!ParseTimestamp(text, &time)) return false;
  *micros = time.time_since_epoch().count();
  // Of the hour 24 only its first moment is a time.
  if (has_seconds && !same_minute && text.substr(11, 2) != "24" &&
      ParseTimestamp(text.substr(0, kMinuteBytes), &time)) {
    std::memcpy(step->minute, text.data(), kMinuteBytes);
    step->minute_micros = time.time_since_epoch().count();
  }
  return true;
}

}  // namespace millrace
