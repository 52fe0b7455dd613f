#include "engine/connectors/json/json_decoder.h"

#include <algorithm>
#include <cstring>

#include "engine/json/json_words.h"
#include "engine/model/number.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

constexpr int kRelearnAfter = 8;      // messages in a row
constexpr size_t kLookAheadKeys = 8;  // an optional key that is missing
constexpr size_t kKeysLearnedMax = 1024;
constexpr size_t kFoundBytesMax = 40;
constexpr int64_t kRowsReservedMin = 1024;

// A topic whose producers write so many layouts in turn is still read by templates.
constexpr size_t kTemplatesMax = 4;
// So many messages in a row that no template read: they are tried now and then only.
constexpr int64_t kMissesMax = 32;
constexpr int64_t kRetryEvery = 64;

// Powers of ten from the unit to microseconds.
int32_t MicrosShift(TimestampUnit unit) {
  switch (unit) {
    case TimestampUnit::kIso8601:
    case TimestampUnit::kMicros:
      return 0;
    case TimestampUnit::kSeconds:
      return 6;
    case TimestampUnit::kMillis:
      return 3;
    case TimestampUnit::kNanos:
      return -3;
  }
  return 0;
}

JsonTarget TargetOfType(Type type, TimestampUnit unit) {
  switch (type) {
    case Type::kBoolean:
      return JsonTarget::kBoolean;
    case Type::kInteger:
      return JsonTarget::kInteger;
    case Type::kBigint:
      return JsonTarget::kBigint;
    case Type::kDouble:
      return JsonTarget::kDouble;
    case Type::kReal:
      return JsonTarget::kReal;
    case Type::kDate:
      return JsonTarget::kDate;
    case Type::kText:
      return JsonTarget::kText;
    case Type::kJson:
      break;
    case Type::kTimestamp:
      return unit == TimestampUnit::kIso8601 ? JsonTarget::kIsoTimestamp
                                             : JsonTarget::kEpochTimestamp;
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  return JsonTarget::kOther;
}

bool SameKey(std::string_view a, const std::string& b) {
  return a.size() == b.size() && SameBytes(a.data(), b.data(), a.size());
}

std::string_view KindOf(char first) {
  switch (first) {
    case '"':
      return "text";
    case '{':
      return "object";
    case '[':
      return "array";
    case 't':
    case 'f':
      return "boolean";
    default:
      return "number";
  }
}

// Cut to a few bytes, never inside a character.
std::string Shortened(std::string_view text) {
  if (text.size() <= kFoundBytesMax) return std::string(text);
  size_t size = kFoundBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return std::string(text.substr(0, size)) + "...";
}

}  // namespace

JsonDecoder::JsonDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns) {
  Schema schema;
  for (const int used : used_columns) {
    const SourceColumn& source = spec.columns[size_t(used)];
    Column column;
    column.type = source.field.type;
    column.is_json = source.field.is_json || source.field.type == Type::kJson;
    column.accept_text = source.accept_text;
    column.unit = source.timestamp_unit;
    column.name = source.field.name;
    column.from = source.from.empty() ? source.field.name : source.from;
    const int index = int(columns_.size());
    column.next_of_place = places_.Add(column.from, index);
    if (spec.event_time.has_value() && spec.event_time->column == column.name) event_time_ = index;
    schema.fields.push_back(source.field);
    columns_.push_back(std::move(column));
  }
  batch_ = BatchWriter(schema);
}

bool JsonDecoder::Append(std::string_view message, JsonFailure* failure) {
  if (const Status reserved = batch_.ReserveNext(kRowsReservedMin); !reserved.ok()) {
    *failure = {"too_large", reserved.message()};
    return false;
  }
  if (ReadByTemplate(message)) {
    batch_.KeepRow();
    ++rows_by_template_;
    return true;
  }
  if (const char* error = document_.Index(message)) {
    *failure = {"malformed", error};
    return false;
  }
  if (document_.Char(0) != '{') {
    *failure = {"malformed", "not an object"};
    return false;
  }
  for (Column& column : columns_) column.cell = Cell::kMissing;
  position_ = 0;
  surprised_ = false;
  too_deep_ = false;
  if (ReadMessage() == 0) {
    if (too_deep_) {
      *failure = {"too_deep", "nested more than " + std::to_string(kJsonDepthMax) + " deep"};
    } else {
      const size_t at = failed_token_ < document_.count()
                            ? size_t(document_.At(failed_token_) - message.data())
                            : message.size();
      *failure = {"malformed", "not JSON near byte " + std::to_string(at)};
    }
    return false;
  }
  if (!CheckCells(failure)) return false;
  if (!WriteCells()) {
    batch_.Rewind();
    *failure = {"too_large", "the batch has no room for the message's text"};
    return false;
  }
  batch_.KeepRow();
  if (!surprised_) {
    surprises_ = 0;
  } else if (expected_.empty() || ++surprises_ >= kRelearnAfter) {
    LearnOrder();
  }
  LearnTemplate(message);
  return true;
}

// The object is the whole document: its first and last tokens are braces (JsonDocument::Index).
uint32_t JsonDecoder::ReadMessage() {
  const uint32_t end = ReadObject(JsonPlaces::kMessage, 0, 0);
  return end == document_.count() ? end : 0;
}

uint32_t JsonDecoder::ReadPlace(int place, uint32_t token, int depth) {
  if (place < 0) return document_.SkipValue(token, depth, &too_deep_);
  if (token >= document_.count()) return 0;
  uint32_t next = 0;
  for (int index = places_.column(place); index >= 0;) {
    Column* const column = &columns_[size_t(index)];
    next = ReadValue(column, token, depth);
    if (next == 0) return 0;
    index = column->next_of_place;
  }
  const std::vector<int>& inner = places_.inner(place);
  if (inner.empty()) return next;
  // The last of several values counts, and with it what it lacks.
  for (const int index : inner) columns_[size_t(index)].cell = Cell::kMissing;
  if (document_.Char(token) == '{') return ReadObject(place, token, depth);
  if (document_.Char(token) == '[') return ReadArray(place, token, depth);
  return next != 0 ? next : document_.SkipValue(token, depth, &too_deep_);
}

uint32_t JsonDecoder::ReadObject(int place, uint32_t token, int depth) {
  ++token;
  if (document_.Char(token) == '}') {
    failed_token_ = token + 1;
    return token + 1;
  }
  for (;; ++token) {
    failed_token_ = token;
    std::string_view key;
    if (document_.Char(token) != '"' || document_.Char(token + 1) != ':' ||
        !document_.RawString(token, &key)) {
      return 0;
    }
    const int below = place == JsonPlaces::kMessage ? FindKey(key) : places_.OfKey(place, key);
    if (below == JsonPlaces::kBadKey) return 0;
    failed_token_ = token + 2;
    token = ReadPlace(below, token + 2, depth + 1);
    if (token == 0) return 0;
    if (document_.Char(token) == ',') continue;
    failed_token_ = token;
    return document_.Char(token) == '}' ? token + 1 : 0;
  }
}

uint32_t JsonDecoder::ReadArray(int place, uint32_t token, int depth) {
  ++token;
  if (document_.Char(token) == ']') return token + 1;
  for (int64_t index = 0;; ++token, ++index) {
    failed_token_ = token;
    token = ReadPlace(places_.OfItem(place, index), token, depth + 1);
    if (token == 0) return 0;
    if (document_.Char(token) == ',') continue;
    failed_token_ = token;
    return document_.Char(token) == ']' ? token + 1 : 0;
  }
}

uint32_t JsonDecoder::ReadValue(Column* column, uint32_t token, int depth) {
  column->token = token;
  switch (document_.Char(token)) {
    case '"':
      return ReadString(column, token);
    case '{':
    case '[':
      return ReadNested(column, token, depth);
    case 't':
    case 'f':
      return ReadBoolean(column, token);
    case 'n':
      column->cell = Cell::kNull;
      return IsJsonWord(document_.At(token), "null") ? token + 1 : 0;
    default:
      return ReadNumber(column, token);
  }
}

uint32_t JsonDecoder::ReadString(Column* column, uint32_t token) {
  std::string_view raw;
  if (!document_.RawString(token, &raw)) return 0;
  column->text = raw;
  if (std::memchr(raw.data(), '\\', raw.size()) != nullptr) {
    if (!UnescapeJson(raw, &column->unescaped)) return 0;
    column->text = column->unescaped;
  }
  if (column->is_json) {
    column->text = {raw.data() - 1, raw.size() + 2};
    column->cell = Cell::kValue;
  } else {
    TakeText(column);
  }
  return token + 1;
}

void JsonDecoder::TakeText(Column* column) {
  const std::string_view text = column->text;
  bool taken = false;
  switch (column->type) {
    case Type::kText:
    case Type::kJson:
      taken = true;
      break;
    case Type::kTimestamp:
      if (column->unit == TimestampUnit::kIso8601) {
        EventTime time;
        taken = ParseTimestamp(text, &time);
        column->integer = time.time_since_epoch().count();
      } else if (column->accept_text) {
        // Text is followed by a quote or, unescaped, by a zero byte.
        JsonNumber number;
        const char* const end = ReadJsonNumber(text.data(), &number);
        if (end == text.data() + text.size()) return TakeNumber(column, number);
      }
      break;
    case Type::kReal: {
      float value = 0;
      taken = column->accept_text && ParseReal(text, &value);
      column->number = double(value);
      break;
    }
    case Type::kDate: {
      int32_t days = 0;
      taken = ParseDate(text, &days);
      column->integer = days;
      break;
    }
    case Type::kDouble:
      taken = column->accept_text && ParseDouble(text, &column->number);
      break;
    case Type::kInteger:
    case Type::kBigint:
      taken = column->accept_text && ParseInt64(text, &column->integer);
      if (taken && column->type == Type::kInteger &&
          column->integer != int64_t(int32_t(column->integer))) {
        column->cell = Cell::kOutOfRange;
        return;
      }
      break;
    case Type::kBoolean:
      taken = column->accept_text && (text == "true" || text == "false");
      column->integer = text == "true";
      break;
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  column->cell = taken ? Cell::kValue : Cell::kMismatch;
}

uint32_t JsonDecoder::ReadNumber(Column* column, uint32_t token) {
  JsonNumber number;
  const char* const end = ReadJsonNumber(document_.At(token), &number);
  if (end == nullptr || !EndsJsonScalar(*end)) return 0;
  if (column->is_json) {
    column->text = number.text;
    column->cell = Cell::kValue;
  } else {
    TakeNumber(column, number);
  }
  return token + 1;
}

void JsonDecoder::TakeNumber(Column* column, const JsonNumber& number) {
  JsonNumberOutcome outcome = JsonNumberOutcome::kNotIntegral;
  switch (column->type) {
    case Type::kDouble:
      outcome = ToDouble(number, &column->number);
      break;
    case Type::kReal: {
      float value = 0;
      outcome = ToReal(number, &value);
      column->number = double(value);
      break;
    }
    case Type::kBigint:
      outcome = ToInt64(number, &column->integer);
      break;
    case Type::kInteger: {
      int32_t value = 0;
      outcome = ToInt32(number, &value);
      column->integer = value;
      break;
    }
    case Type::kTimestamp:
      if (column->unit == TimestampUnit::kIso8601) break;
      outcome = ToEpochMicros(number, MicrosShift(column->unit), &column->integer);
      break;
    default:
      break;
  }
  column->cell = outcome == JsonNumberOutcome::kOk           ? Cell::kValue
                 : outcome == JsonNumberOutcome::kOutOfRange ? Cell::kOutOfRange
                                                             : Cell::kMismatch;
}

uint32_t JsonDecoder::ReadBoolean(Column* column, uint32_t token) {
  const char* const at = document_.At(token);
  const bool value = *at == 't';
  const std::string_view word = value ? "true" : "false";
  if (!IsJsonWord(at, word)) return 0;
  column->integer = value;
  column->text = {at, word.size()};
  column->cell = column->type == Type::kBoolean || column->is_json ? Cell::kValue : Cell::kMismatch;
  return token + 1;
}

uint32_t JsonDecoder::ReadNested(Column* column, uint32_t token, int depth) {
  const uint32_t next = document_.SkipValue(token, depth, &too_deep_);
  if (next == 0) return 0;
  const char* const begin = document_.At(token);
  column->text = {begin, size_t(document_.At(next - 1) + 1 - begin)};
  column->cell = column->is_json ? Cell::kValue : Cell::kMismatch;
  return next;
}

int JsonDecoder::FindKey(std::string_view raw) {
  if (position_ < expected_.size() && SameKey(raw, expected_[position_].raw)) {
    return expected_[position_++].place;
  }
  return FindUnexpectedKey(raw);
}

int JsonDecoder::FindUnexpectedKey(std::string_view raw) {
  surprised_ = true;
  const size_t end = std::min(expected_.size(), position_ + kLookAheadKeys);
  for (size_t i = position_ + 1; i < end; ++i) {
    if (SameKey(raw, expected_[i].raw)) {
      position_ = i + 1;
      return expected_[i].place;
    }
  }
  return places_.OfKey(JsonPlaces::kMessage, raw);
}

// From the document at hand, which was accepted: all tokens are where they should be.
void JsonDecoder::LearnOrder() {
  expected_.clear();
  surprises_ = 0;
  uint32_t token = 1;
  while (document_.Char(token) == '"' && expected_.size() < kKeysLearnedMax) {
    std::string_view raw;
    document_.RawString(token, &raw);
    expected_.push_back({std::string(raw), places_.OfKey(JsonPlaces::kMessage, raw)});
    token = document_.SkipValue(token + 2, 1, &too_deep_) + 1;
  }
}

bool JsonDecoder::CheckCells(JsonFailure* failure) {
  for (const Column& column : columns_) {
    if (column.cell == Cell::kMismatch || column.cell == Cell::kOutOfRange) {
      Refuse(column, failure);
      return false;
    }
  }
  if (event_time_ < 0) return true;
  const Column& column = columns_[size_t(event_time_)];
  if (column.cell == Cell::kValue) return true;
  *failure = {"missing_event_time", "column '" + column.name + "': key '" + column.from + "' is " +
                                        (column.cell == Cell::kNull ? "null" : "missing")};
  return false;
}

bool JsonDecoder::WriteCells() {
  const int64_t row = batch_.rows();
  for (size_t index = 0; index < columns_.size(); ++index) {
    const Column& column = columns_[index];
    ColumnWriter& writer = batch_.columns()[index];
    if (column.cell != Cell::kValue) {
      writer.SetNull(row);
      continue;
    }
    switch (column.type) {
      case Type::kDouble:
        writer.SetDouble(row, column.number);
        break;
      case Type::kBigint:
      case Type::kTimestamp:
        writer.SetInt64(row, column.integer);
        break;
      case Type::kReal:
        writer.SetReal(row, float(column.number));
        break;
      case Type::kInteger:
      case Type::kDate:
        writer.SetInteger(row, int32_t(column.integer));
        break;
      case Type::kBoolean:
        writer.SetBoolean(row, column.integer != 0);
        break;
      case Type::kText:
      case Type::kJson:
        if (!writer.SetText(row, column.text)) return false;
        break;
      case Type::kNull:
      case Type::kInterval:
        break;
    }
  }
  return true;
}

// What was written to the row that comes next may have left nulls.
bool JsonDecoder::ReadByTemplate(std::string_view message) {
  if (misses_ >= kMissesMax && misses_ % kRetryEvery != 0) return false;
  for (size_t tried = 0; tried < templates_.size(); ++tried) {
    if (templates_[template_].Read(message, batch_.rows(), batch_.columns())) {
      misses_ = 0;
      return true;
    }
    batch_.Rewind();
    template_ = template_ + 1 < templates_.size() ? template_ + 1 : 0;
  }
  return false;
}

// From a message that no template read and that was accepted.
void JsonDecoder::LearnTemplate(std::string_view message) {
  const int64_t missed = misses_++;
  const bool full = templates_.size() == kTemplatesMax;
  if (!templates_used_ || (full && missed % kRelearnAfter != kRelearnAfter - 1)) return;
  if (missed > kMissesMax && missed % kRetryEvery != 0) return;
  auto learned = JsonTemplate::Learn(document_, message, int(columns_.size()), &places_,
                                     [this](int place) { return TargetOf(place); });
  if (!learned.has_value()) return;
  if (!full) {
    template_ = templates_.size();
    templates_.push_back(std::move(*learned));
    return;
  }
  template_ = next_template_;
  templates_[template_] = std::move(*learned);
  next_template_ = (next_template_ + 1) % kTemplatesMax;
}

JsonTargetColumn JsonDecoder::TargetOf(int place) const {
  JsonTargetColumn target;
  target.column = places_.column(place);
  if (target.column < 0) return JsonTargetColumn();
  const Column& column = columns_[size_t(target.column)];
  target.target = column.is_json || column.next_of_place >= 0
                      ? JsonTarget::kOther
                      : TargetOfType(column.type, column.unit);
  target.required = target.column == event_time_;
  target.shift = MicrosShift(column.unit);
  return target;
}

void JsonDecoder::Refuse(const Column& column, JsonFailure* failure) const {
  const std::string where = "column '" + column.name + "': ";
  if (column.cell == Cell::kOutOfRange) {
    *failure = {"number_out_of_range", where + Found(column.token) + " is out of range for " +
                                           std::string(TypeName(column.type))};
    return;
  }
  std::string expected(TypeName(column.type));
  if (column.type == Type::kDate) expected = "a date such as 2022-06-13";
  if (column.type == Type::kTimestamp) {
    expected = column.unit == TimestampUnit::kIso8601 ? "an ISO 8601 timestamp"
                                                      : "a number since the epoch";
  }
  *failure = {"type_mismatch", where + "expected " + expected + ", found " + Found(column.token)};
}

// "text \"abc\"", "number 1.5": the value as it is written, cut after a few bytes.
std::string JsonDecoder::Found(uint32_t token) const {
  const char first = document_.Char(token);
  std::string found(KindOf(first));
  if (first == '{' || first == '[') return found;
  // The next token exists: the object ends after every value in it.
  std::string_view text(document_.At(token), size_t(document_.At(token + 1) - document_.At(token)));
  while (!text.empty() && EndsJsonScalar(text.back())) text.remove_suffix(1);
  return found + " " + Shortened(text);
}

}  // namespace millrace
