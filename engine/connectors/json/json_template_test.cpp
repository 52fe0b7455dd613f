// A message that a learned layout reads must give what the walk over its tokens gives, to the bit,
// and one that is refused the same reason. Real messages are changed at random, a million times.
#include "engine/connectors/json/json_template.h"

#include <arrow/array.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "engine/connectors/json/json_decoder.h"

namespace millrace {
namespace {

struct Pair {
  std::string key;    // with its quotes
  std::string value;  // as it is written
};
using Message = std::vector<Pair>;

// One of each kind that the pipelines read: numbers, nested objects, arrays, texts and times.
const std::vector<Message>& RealMessages() {
  static const std::vector<Message> messages = {
      {{"\"UTC\"", "1654733331"},
       {"\"timestamp\"", "\"2022-06-09T00:08:51.123\""},
       {"\"device_id\"", "\"dev-0007\""},
       {"\"location\"", "\"building_a\""},
       {"\"Temperature[C]\"", "20.117"},
       {"\"Humidity[%]\"", "57.36"},
       {"\"TVOC[ppb]\"", "0"},
       {"\"eCO2[ppm]\"", "400"},
       {"\"Pressure[hPa]\"", "939.735"},
       {"\"ok\"", "true"},
       {"\"Fire Alarm\"", "0"}},
      {{"\"device_id\"", "\"z\xc3\xbcrich\""},
       {"\"timestamp\"", "\"2022-06-09 23:59:59.999999Z\""},
       {"\"millis\"", "1654733331123"},
       {"\"position\"", "{\"lat\":47.37,\"lon\":8.54,\"tags\":[\"a\",1,null]}"},
       {"\"Temperature[C]\"", "-0.5"},
       {"\"eCO2[ppm]\"", "12345678"},
       {"\"ok\"", "false"}},
      {{"\"timestamp\"", "\"2022-06-09T00:08:51+02:00\""},
       {"\"Fire Alarm\"", "null"},
       {"\"location\"", "\"\""},
       {"\"e\"", "{}"}},
  };
  return messages;
}

SourceStreamSpec Spec() {
  SourceStreamSpec spec;
  const auto add = [&](std::string from, Type type, TimestampUnit unit = TimestampUnit::kIso8601,
                       bool accept_text = false) {
    SourceColumn column;
    column.field.name = from;
    column.field.type = type;
    column.from = std::move(from);
    column.timestamp_unit = unit;
    column.accept_text = accept_text;
    spec.columns.push_back(std::move(column));
  };
  add("device_id", Type::kText);
  add("timestamp", Type::kTimestamp);
  add("location", Type::kText);
  add("Temperature[C]", Type::kDouble);
  add("Pressure[hPa]", Type::kDouble, TimestampUnit::kIso8601, true);
  add("eCO2[ppm]", Type::kInteger);
  add("Fire Alarm", Type::kBigint);
  add("millis", Type::kTimestamp, TimestampUnit::kMillis);
  add("ok", Type::kBoolean);
  add("$.position.lat", Type::kDouble);
  add("$.position.tags[0]", Type::kText);
  add("$['position'].tags[1]", Type::kBigint, TimestampUnit::kIso8601, true);
  add("$.e.position.lat", Type::kText);
  spec.event_time.emplace();
  spec.event_time->column = "timestamp";
  return spec;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  // Mostly a message as its producer writes it, with other values; else changed a little or badly.
  std::string Next() {
    Message message = RealMessages()[Below(RealMessages().size())];
    for (Pair& pair : message) {
      if (Below(3) == 0) pair.value = FreshValue(pair.value);
    }
    const uint64_t changes = Below(3) == 0 ? 1 + Below(3) : 0;
    for (uint64_t i = 0; i < changes; ++i) ChangePairs(&message);
    std::string text = Write(message);
    if (Below(5) == 0) ChangeBytes(&text);
    return text;
  }

 private:
  std::string Digits(uint64_t count) {
    std::string digits;
    for (uint64_t i = 0; i < count; ++i) digits += char('0' + Below(10));
    return digits;
  }

  std::string Number() {
    std::string number = Below(4) == 0 ? "-" : "";
    number += Below(6) == 0 ? "0" : char('1' + Below(9)) + Digits(Below(Below(4) == 0 ? 26 : 8));
    if (Below(2) == 0) number += "." + Digits(1 + Below(Below(4) == 0 ? 25 : 6));
    if (Below(12) == 0) {
      number += Below(2) == 0 ? "e" : "E";
      number += Below(3) == 0 ? "-" : Below(2) == 0 ? "+" : "";
      number += Digits(1 + Below(3));
    }
    return number;
  }

  std::string Time() {
    std::string time = Below(4) == 0 ? "20" + Digits(2) : "2022";
    const auto two = [&](uint64_t bound) {
      const uint64_t value = Below(bound);
      return std::string{char('0' + value / 10), char('0' + value % 10)};
    };
    time += "-" + two(14) + "-" + two(33) + (Below(4) == 0 ? " " : "T") + two(26) + ":" + two(61);
    if (Below(8) != 0) time += ":" + two(63);
    if (Below(2) == 0) time += "." + Digits(1 + Below(10));
    if (Below(2) == 0) time += Below(2) == 0 ? "Z" : "+0" + Digits(1) + ":30";
    return "\"" + time + "\"";
  }

  // Of the same kind.
  std::string FreshValue(const std::string& value) {
    switch (value[0]) {
      case '"':
        return value.size() > 18 ? Time() : "\"dev-" + Digits(Below(12)) + "\"";
      case 't':
      case 'f':
        return Below(2) == 0 ? "true" : "false";
      case '{':
        return "{\"lat\":" + Number() + ",\"lon\":8.54,\"tags\":[\"" + Digits(Below(5)) + "\"," +
               Digits(1) + ",null]}";
      default:
        return Number();
    }
  }

  // Keys and items that columns are read from, others, and doubled ones.
  std::string Nested(int depth) {
    static const std::vector<std::string> kKeys = {"lat", "tags", "position", "l\\u0061t", "x", ""};
    const auto value = [&] { return depth < 3 && Below(3) == 0 ? Nested(depth + 1) : AnyValue(); };
    const bool is_array = Below(3) == 0;
    std::string text = is_array ? "[" : "{";
    for (uint64_t left = Below(4); left > 0; --left) {
      if (!is_array) text += "\"" + kKeys[Below(kKeys.size())] + "\":";
      text += value();
      if (left > 1) text += ",";
    }
    return text + (is_array ? "]" : "}");
  }

  // Of any kind.
  std::string AnyValue() {
    static const std::vector<std::string> kValues = {"null",
                                                     "true",
                                                     "false",
                                                     "tru",
                                                     "nullx",
                                                     "{}",
                                                     "[]",
                                                     "[1,2]",
                                                     "[1,]",
                                                     "{\"a\":{}}",
                                                     "\"\\u0041\"",
                                                     "\"a\\\"b\"",
                                                     "\"\\q\"",
                                                     "\"\t\"",
                                                     "\"\xff\"",
                                                     "\"\xc3\xa9\"",
                                                     "\"\xc3\"",
                                                     "\"\xed\xa0\x80\"",
                                                     "1e999",
                                                     "1e-999",
                                                     "-0",
                                                     "-0.0",
                                                     "00",
                                                     "01.5",
                                                     "1.",
                                                     ".5",
                                                     "+1",
                                                     "-",
                                                     "1e",
                                                     "12345678",
                                                     "123456789",
                                                     "1234.56789",
                                                     "99999999.9",
                                                     "2147483648",
                                                     "-2147483649",
                                                     "9223372036854775808",
                                                     "\"21.5\"",
                                                     "\"nan\"",
                                                     "NaN",
                                                     "1 2",
                                                     "\"\"",
                                                     "\"2022-06-09T24:00:00\"",
                                                     "\"2022-06-09T24:00:01\"",
                                                     "\"2022-06-09T00:08\"",
                                                     "123456789012345678901234567890",
                                                     "0.000000000000000000000000000001",
                                                     "123456789012345.6",
                                                     "9007199254740993"};
    return Below(3) == 0 ? Number() : kValues[Below(kValues.size())];
  }

  void ChangePairs(Message* message) {
    if (message->empty()) return;
    const size_t at = Below(message->size());
    switch (Below(8)) {
      case 0:
        std::swap((*message)[at], (*message)[Below(message->size())]);
        break;
      case 1:
        message->erase(message->begin() + int64_t(at));
        break;
      case 2:
        message->insert(message->begin() + int64_t(at), {"\"extra\"", AnyValue()});
        break;
      case 3: {
        const Pair doubled = {(*message)[at].key, AnyValue()};
        message->insert(message->begin() + int64_t(Below(message->size())), doubled);
        break;
      }
      case 4:
        (*message)[at].key = "\"device\\u005fid\"";
        break;
      case 5:
        (*message)[at].key = Below(2) == 0 ? "\"position\"" : "\"e\"";
        (*message)[at].value = Nested(0);
        break;
      default:
        (*message)[at].value = AnyValue();
        break;
    }
  }

  std::string Space() { return Below(2) == 0 ? " " : Below(2) == 0 ? "\n" : "\t \r"; }

  std::string Write(const Message& message) {
    const uint64_t style = Below(12);  // 0: spaces anywhere; 1: as Python writes
    const auto space = [&] { return style == 0 && Below(3) == 0 ? Space() : std::string(); };
    std::string text = space() + "{";
    for (const Pair& pair : message) {
      if (&pair != message.data()) text += style == 1 ? ", " : "," + space();
      text += space() + pair.key + space() + ":" + (style == 1 ? " " : space()) + pair.value;
      text += space();
    }
    return text + "}" + space();
  }

  void ChangeBytes(std::string* text) {
    const size_t at = Below(text->size());
    switch (Below(4)) {
      case 0:
        text->resize(at);
        break;
      case 1:
        (*text)[at] = char(Below(256));
        break;
      case 2:
        text->insert(at, 1, "\"\\{}[]:,0-.eE \x01\x7f\x80"[Below(17)]);
        break;
      default:
        text->erase(at, 1);
        break;
    }
  }

  std::mt19937_64 random_;
};

// Values bit by bit: 0 and -0 differ.
std::string Dump(const arrow::RecordBatch& batch) {
  std::string dump;
  for (const auto& column : batch.columns()) {
    for (int64_t row = 0; row < column->length(); ++row) {
      dump += column->IsValid(row) ? '+' : '-';
      if (column->IsNull(row)) continue;
      switch (column->type_id()) {
        case arrow::Type::STRING:
          dump += static_cast<const arrow::StringArray&>(*column).GetView(row);
          break;
        case arrow::Type::BOOL:
          dump += static_cast<const arrow::BooleanArray&>(*column).Value(row) ? '1' : '0';
          break;
        default: {
          const auto& values = static_cast<const arrow::PrimitiveArray&>(*column);
          const int width = column->type()->byte_width();
          dump.append(reinterpret_cast<const char*>(values.values()->data()) +
                          (values.offset() + row) * width,
                      size_t(width));
        }
      }
    }
  }
  return dump;
}

TEST(JsonTemplate, ReadsAsTheWalkDoesAMillionChangedMessages) {
  constexpr int kMessages = 1'000'000;
  const SourceStreamSpec spec = Spec();
  const std::vector<int> used = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  JsonDecoder fast(spec, used), slow(spec, used);
  slow.set_templates(false);
  Mutator mutator(20261128);
  JsonFailure by_fast, by_slow;
  std::set<std::string> reasons;
  for (int i = 0; i < kMessages; ++i) {
    const std::string message = mutator.Next();
    // In a buffer of its size, so that a sanitizer sees every byte read beyond the end.
    const std::vector<char> exact(message.begin(), message.end());
    const bool read = fast.Append({exact.data(), exact.size()}, &by_fast);
    ASSERT_EQ(read, slow.Append(message, &by_slow)) << message;
    if (!read) {
      ASSERT_EQ(by_fast.reason, by_slow.reason) << message;
      ASSERT_EQ(by_fast.message, by_slow.message) << message;
      reasons.insert(by_fast.reason);
    }
    if (fast.rows() < 256 && i + 1 < kMessages) continue;
    const auto fast_batch = fast.Finish().ValueOrDie();
    const auto slow_batch = slow.Finish().ValueOrDie();
    ASSERT_TRUE(fast_batch->ValidateFull().ok());
    ASSERT_EQ(Dump(*fast_batch), Dump(*slow_batch)) << "before message " << i;
  }
  // Enough of them were the templates' for the comparison to mean something, and of every failure.
  EXPECT_GT(fast.rows_by_template(), kMessages / 4);
  EXPECT_EQ(slow.rows_by_template(), 0);
  EXPECT_EQ(reasons, (std::set<std::string>{"malformed", "missing_event_time",
                                            "number_out_of_range", "type_mismatch"}));
}

// What producers write all day is never walked, whatever the values.
TEST(JsonTemplate, ReadsEveryMessageOfAProducerButTheFirst) {
  JsonDecoder decoder(Spec(), {0, 1, 3, 5, 8, 9, 10});
  JsonFailure failure;
  for (int i = 0; i < 1000; ++i) {
    const std::string message = "{\"timestamp\":\"2022-06-09T2" + std::to_string(i % 4) +
                                ":08:51." + std::to_string(100 + i % 900) + "\",\"device_id\":\"" +
                                (i % 3 == 0 ? "z\xc3\xbcrich" : "d") + std::to_string(i) +
                                "\",\"Temperature[C]\":" + std::to_string(i * 1e-3) +
                                ",\"eCO2[ppm]\":" + (i % 7 == 0 ? "null" : std::to_string(-i)) +
                                ",\"position\":{\"lat\":" + std::to_string(i) + ",\"tags\":[\"t" +
                                std::to_string(i) +
                                "\",8.5]},\"ok\":" + (i % 2 == 0 ? "true" : "false") + "}";
    ASSERT_TRUE(decoder.Append(message, &failure)) << message << failure.message;
  }
  EXPECT_EQ(decoder.rows_by_template(), 999);
  const auto batch = decoder.Finish().ValueOrDie();
  ASSERT_TRUE(batch->ValidateFull().ok());
  const auto& level = static_cast<const arrow::Int32Array&>(*batch->column(3));
  EXPECT_EQ(level.null_count(), 143);
  EXPECT_EQ(level.Value(999), -999);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(3), "z\xc3\xbcrich3");
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(2)).Value(999), 0.999);
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(5)).Value(998), 998);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(6)).GetView(7), "t7");
}

// Several producers in one partition, each with its own order of keys.
TEST(JsonTemplate, KnowsSeveralLayoutsAtOnce) {
  const std::vector<std::string> layouts = {
      R"({"timestamp":"2022-06-09T00:08:51Z","device_id":"a","ok":true})",
      R"({"device_id":"b","timestamp":"2022-06-09T00:08:51Z","ok":true})",
      R"({"ok":true,"timestamp":"2022-06-09T00:08:51Z"})",
      R"({"timestamp": "2022-06-09T00:08:51Z", "n": [1, 2], "device_id": "c"})"};
  JsonDecoder decoder(Spec(), {0, 1, 8});
  JsonFailure failure;
  for (int i = 0; i < 4000; ++i) ASSERT_TRUE(decoder.Append(layouts[size_t(i) % 4], &failure));
  EXPECT_EQ(decoder.rows_by_template(), 4000 - 4);
  const auto batch = decoder.Finish().ValueOrDie();
  ASSERT_TRUE(batch->ValidateFull().ok());
  EXPECT_EQ(batch->column(0)->null_count(), 1000);
  EXPECT_EQ(batch->column(2)->null_count(), 1000);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(3999), "c");
}

}  // namespace
}  // namespace millrace
