#include "engine/connectors/json/json_decoder.h"

#include <arrow/api.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "engine/model/number.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

// Arrow's libraries export the symbols of another version of simdjson (cmake/dependencies.cmake).
TEST(JsonDecoder, RunsTheSimdjsonThatItWasCompiledAgainst) {
  Dl_info info;
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&simdjson::get_active_implementation), &info), 0);
  EXPECT_NE(std::string_view(info.dli_fname).find("libsimdjson"), std::string_view::npos)
      << info.dli_fname;
}

struct ColumnOptions {
  std::string from = "";
  TimestampUnit unit = TimestampUnit::kIso8601;
  bool accept_text = false;
  bool is_json = false;
};

SourceColumn MakeColumn(std::string name, Type type, ColumnOptions options = {}) {
  SourceColumn column;
  column.from = options.from.empty() ? name : options.from;
  column.field.name = std::move(name);
  column.field.type = type;
  column.field.is_json = options.is_json;
  column.timestamp_unit = options.unit;
  column.accept_text = options.accept_text;
  return column;
}

JsonDecoder MakeDecoder(std::vector<SourceColumn> columns, std::string event_time = "") {
  SourceStreamSpec spec;
  std::vector<int> used;
  for (size_t i = 0; i < columns.size(); ++i) used.push_back(int(i));
  spec.columns = std::move(columns);
  if (!event_time.empty()) {
    spec.event_time.emplace();
    spec.event_time->column = std::move(event_time);
  }
  return JsonDecoder(spec, used);
}

// In a buffer of exactly its size, so that a sanitizer sees every byte read beyond the end.
bool Append(JsonDecoder* decoder, std::string_view message, JsonFailure* failure) {
  const std::vector<char> exact(message.begin(), message.end());
  return decoder->Append({exact.data(), exact.size()}, failure);
}

std::string Reason(JsonDecoder* decoder, std::string_view message) {
  JsonFailure failure;
  return Append(decoder, message, &failure) ? "" : failure.reason;
}

// The value of the only column after one message: "null", a reason, or the value printed.
std::string Decode(SourceColumn column, const std::string& value) {
  column.from = "v";
  JsonDecoder decoder = MakeDecoder({std::move(column)});
  JsonFailure failure;
  if (!Append(&decoder, "{\"v\":" + value + "}", &failure)) return failure.reason;
  const auto batch = decoder.Finish().ValueOrDie();
  EXPECT_EQ(batch->num_rows(), 1);
  return batch->column(0)->GetScalar(0).ValueOrDie()->ToString();
}

int64_t DecodeMicros(TimestampUnit unit, const std::string& value) {
  JsonDecoder decoder = MakeDecoder({MakeColumn("v", Type::kTimestamp, {.unit = unit})});
  JsonFailure failure;
  if (!Append(&decoder, "{\"v\":" + value + "}", &failure)) return INT64_MIN;
  const auto batch = decoder.Finish().ValueOrDie();
  return static_cast<const arrow::TimestampArray&>(*batch->column(0)).Value(0);
}

TEST(JsonDecoder, DecodesEveryTypeIntoTheColumnsInOrder) {
  JsonDecoder decoder = MakeDecoder(
      {MakeColumn("device", Type::kText), MakeColumn("at", Type::kTimestamp, {.from = "time"}),
       MakeColumn("t", Type::kDouble, {.from = "Temperature[C]"}), MakeColumn("n", Type::kBigint),
       MakeColumn("i", Type::kInteger), MakeColumn("ok", Type::kBoolean)},
      "at");
  JsonFailure failure;
  ASSERT_TRUE(
      Append(&decoder,
             R"({"time":"2022-06-13T14:14:45.000001Z","unused":[1,{"a":"}"}],"device":"d1",)"
             R"("Temperature[C]":21.25,"n":9223372036854775807,"i":-2147483648,"ok":true})",
             &failure))
      << failure.message;
  // Another order, white space, and keys that are missing or null.
  ASSERT_TRUE(
      Append(&decoder, " {\n \"n\" : null ,\t\"time\" : \"2022-06-13 14:14:45\" } ", &failure))
      << failure.message;
  const auto batch = decoder.Finish().ValueOrDie();
  ASSERT_TRUE(batch->ValidateFull().ok());
  ASSERT_EQ(batch->num_rows(), 2);
  EXPECT_EQ(batch->schema()->field(2)->name(), "t");
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(0), "d1");
  const auto& at = static_cast<const arrow::TimestampArray&>(*batch->column(1));
  EXPECT_EQ(at.Value(0), 1'655'129'685'000'001);
  EXPECT_EQ(at.Value(1), 1'655'129'685'000'000);
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(2)).Value(0), 21.25);
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->column(3)).Value(0), INT64_MAX);
  EXPECT_EQ(static_cast<const arrow::Int32Array&>(*batch->column(4)).Value(0), INT32_MIN);
  EXPECT_TRUE(static_cast<const arrow::BooleanArray&>(*batch->column(5)).Value(0));
  for (int column : {0, 2, 3, 4, 5}) EXPECT_TRUE(batch->column(column)->IsNull(1)) << column;
}

TEST(JsonDecoder, ARefusedMessageLeavesNoTrace) {
  JsonDecoder decoder = MakeDecoder({MakeColumn("a", Type::kText), MakeColumn("b", Type::kDouble)});
  EXPECT_EQ(Reason(&decoder, R"({"a":"x","b":1})"), "");
  EXPECT_EQ(Reason(&decoder, R"({"a":"lost","b":"text"})"), "type_mismatch");
  EXPECT_EQ(Reason(&decoder, R"({"a":"lost","b":2)"), "malformed");
  EXPECT_EQ(decoder.rows(), 1);
  EXPECT_EQ(Reason(&decoder, R"({"b":3})"), "");
  const auto batch = decoder.Finish().ValueOrDie();
  ASSERT_TRUE(batch->ValidateFull().ok());
  ASSERT_EQ(batch->num_rows(), 2);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(0), "x");
  EXPECT_TRUE(batch->column(0)->IsNull(1));
  EXPECT_EQ(static_cast<const arrow::DoubleArray&>(*batch->column(1)).Value(1), 3.0);
  // The decoder goes on after Finish.
  EXPECT_EQ(decoder.rows(), 0);
  EXPECT_EQ(Reason(&decoder, R"({"b":4})"), "");
  EXPECT_EQ(decoder.Finish().ValueOrDie()->num_rows(), 1);
}

// Wherever the damage is, also in and behind what the job does not use.
TEST(JsonDecoder, RefusesWhatIsNotOneJsonObject) {
  JsonDecoder decoder = MakeDecoder({MakeColumn("a", Type::kDouble)});
  for (const char* bad : {"",
                          " ",
                          "null",
                          "1",
                          "[]",
                          "[{\"a\":1}]",
                          "\"a\"",
                          "{",
                          "}",
                          "{}}",
                          "{}{}",
                          "{},",
                          "{} x",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{,\"a\":1}",
                          "{\"a\":1 \"b\":2}",
                          "{a:1}",
                          "{'a':1}",
                          "{\"a\":01}",
                          "{\"a\":1.}",
                          "{\"a\":.5}",
                          "{\"a\":+1}",
                          "{\"a\":1e}",
                          "{\"a\":1e+}",
                          "{\"a\":-}",
                          "{\"a\":NaN}",
                          "{\"a\":1x}",
                          "{\"a\":1\"\"}",
                          "{\"a\":tru}",
                          "{\"a\":truex}",
                          "{\"a\":nul}",
                          "{\"a\":nullx}",
                          "{\"a\":1,\"u\":01}",
                          "{\"a\":1,\"u\":truth}",
                          "{\"a\":1,\"u\":[1,]}",
                          "{\"a\":1,\"u\":[1 2]}",
                          "{\"a\":1,\"u\":[1}",
                          "{\"a\":1,\"u\":{\"x\"}}",
                          "{\"a\":1,\"u\":{\"x\":1]}",
                          "{\"a\":1,\"u\":\"\\q\"}",
                          "{\"a\":1,\"u\":\"\\u12g4\"}",
                          "{\"a\":1,\"u\":\"\\ud800\"}",
                          "{\"a\":1,\"u\":\"tab\t\"}",
                          "{\"a\":1,\"u\":\"\xff\"}",
                          "{\"a\":1,\"u\":\"\xc0\xaf\"}",
                          "{\"a\":1,\"\\q\":2}",
                          "{\"a\":1,\"u\":\"x}",
                          "{\"a\":1,\"u\":\"x\"",
                          "{\"a\":1,\"u\":",
                          "{\"a\":1}garbage",
                          "{\"a\":1}]",
                          "{\\\"a\":1}",
                          "{\"a\":1,\"u\":\"x\"y}"}) {
    EXPECT_EQ(Reason(&decoder, bad), "malformed") << bad;
  }
  EXPECT_EQ(decoder.rows(), 0);
  EXPECT_EQ(Reason(&decoder, "{}"), "");
  EXPECT_EQ(Reason(&decoder, "\r\n{ }\t"), "");
}

TEST(JsonDecoder, EveryProperPrefixOfAMessageIsRefused) {
  const std::string message =
      R"({"a":1.5,"t":"x\"y\\","u":[1,-2e3,"]",{"k":null}],"b":true,"d":{"e":{}},"z":12})";
  JsonDecoder decoder = MakeDecoder({MakeColumn("a", Type::kDouble)});
  for (size_t size = 0; size < message.size(); ++size) {
    EXPECT_EQ(Reason(&decoder, message.substr(0, size)), "malformed") << message.substr(0, size);
  }
  EXPECT_EQ(Reason(&decoder, message), "");
}

TEST(JsonDecoder, RefusesDeepNesting) {
  JsonDecoder decoder = MakeDecoder({MakeColumn("a", Type::kDouble)});
  const auto nested = [](int depth) {
    return "{\"u\":" + std::string(size_t(depth), '[') + std::string(size_t(depth), ']') + "}";
  };
  EXPECT_EQ(Reason(&decoder, nested(63)), "");
  EXPECT_EQ(Reason(&decoder, nested(64)), "too_deep");
  EXPECT_EQ(Reason(&decoder, nested(100'000)), "too_deep");
}

TEST(JsonDecoder, SaysWhatWasExpectedAndFound) {
  JsonDecoder decoder = MakeDecoder(
      {MakeColumn("temperature", Type::kDouble, {.from = "T"}), MakeColumn("at", Type::kTimestamp)},
      "at");
  JsonFailure failure;
  const auto message = [&](std::string_view text) {
    EXPECT_FALSE(Append(&decoder, text, &failure));
    return failure.reason + ": " + failure.message;
  };
  EXPECT_EQ(message(R"({"T" : "warm" , "at":"2022-06-13"})"),
            "type_mismatch: column 'temperature': expected double precision, found text \"warm\"");
  EXPECT_EQ(message(R"({"at":1655129685})"),
            "type_mismatch: column 'at': expected an ISO 8601 timestamp, found number 1655129685");
  EXPECT_EQ(message(R"({"T":[1],"at":"2022-06-13"})"),
            "type_mismatch: column 'temperature': expected double precision, found array");
  EXPECT_EQ(message(R"({"T":1e999,"at":"2022-06-13"})"),
            "number_out_of_range: column 'temperature': number 1e999 is out of range for double "
            "precision");
  EXPECT_EQ(message(R"({"T":1})"), "missing_event_time: column 'at': key 'at' is missing");
  EXPECT_EQ(message(R"({"at":null})"), "missing_event_time: column 'at': key 'at' is null");
  EXPECT_EQ(message(R"({"T":1,"at":)"), "malformed: cut off, or followed by something else");
  EXPECT_EQ(message(R"({"T":1,,"at":2})"), "malformed: not JSON near byte 7");
  EXPECT_EQ(message("{\"at\":\"\xc3\"}"), "malformed: not valid UTF-8");
  EXPECT_EQ(message("{\"at\":\"" + std::string(33, 'x') + "\xc3\xa9 and more than that\"}"),
            "type_mismatch: column 'at': expected an ISO 8601 timestamp, found text \"" +
                std::string(33, 'x') + "\xc3\xa9 and...");
}

TEST(JsonDecoder, TheLastOfDuplicateKeysWins) {
  const SourceColumn column = MakeColumn("a", Type::kBigint);
  const auto decode = [&](std::string_view message) -> std::string {
    JsonDecoder decoder = MakeDecoder({column});
    JsonFailure failure;
    if (!Append(&decoder, message, &failure)) return failure.reason;
    return decoder.Finish().ValueOrDie()->column(0)->GetScalar(0).ValueOrDie()->ToString();
  };
  EXPECT_EQ(decode(R"({"a":1,"a":2})"), "2");
  EXPECT_EQ(decode(R"({"a":"x","b":0,"a":2})"), "2");
  EXPECT_EQ(decode(R"({"a":1,"a":null})"), "null");
  EXPECT_EQ(decode(R"({"a":1,"a":"x"})"), "type_mismatch");
  EXPECT_EQ(decode(R"({"a":1,"\u0061":3})"), "3");
}

TEST(JsonDecoder, SeveralColumnsMayReadOneKey) {
  JsonDecoder decoder =
      MakeDecoder({MakeColumn("text", Type::kText, {.from = "t"}),
                   MakeColumn("time", Type::kTimestamp, {.from = "t"}),
                   MakeColumn("json", Type::kText, {.from = "t", .is_json = true})});
  ASSERT_EQ(Reason(&decoder, R"({"t":"1970-01-01T00:00:01Z"})"), "");
  const auto batch = decoder.Finish().ValueOrDie();
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(0),
            "1970-01-01T00:00:01Z");
  EXPECT_EQ(static_cast<const arrow::TimestampArray&>(*batch->column(1)).Value(0), 1'000'000);
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(2)).GetView(0),
            "\"1970-01-01T00:00:01Z\"");
}

TEST(JsonDecoder, ResolvesEscapes) {
  EXPECT_EQ(Decode(MakeColumn("v", Type::kText), R"("a\"\\\/\b\f\n\r\té\u20AC\ud83d\ude00z")"),
            "a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
  EXPECT_EQ(Decode(MakeColumn("v", Type::kText), R"("\ud83d")"), "malformed");
  EXPECT_EQ(Decode(MakeColumn("v", Type::kText), R"("\ude00\ud83d")"), "malformed");
  EXPECT_EQ(Decode(MakeColumn("v", Type::kText), R"("\ud83dx")"), "malformed");
}

TEST(JsonDecoder, TakesIntegersOnlyWithoutFraction) {
  const SourceColumn bigint = MakeColumn("v", Type::kBigint);
  const SourceColumn integer = MakeColumn("v", Type::kInteger);
  EXPECT_EQ(Decode(bigint, "21.0"), "21");
  EXPECT_EQ(Decode(bigint, "2e3"), "2000");
  EXPECT_EQ(Decode(bigint, "1500e-2"), "15");
  EXPECT_EQ(Decode(bigint, "-0"), "0");
  EXPECT_EQ(Decode(bigint, "1.5"), "type_mismatch");
  EXPECT_EQ(Decode(bigint, "15e-1"), "type_mismatch");
  EXPECT_EQ(Decode(bigint, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Decode(bigint, "9223372036854775808"), "number_out_of_range");
  EXPECT_EQ(Decode(bigint, "-9223372036854775809"), "number_out_of_range");
  EXPECT_EQ(Decode(bigint, "18446744073709551617"), "number_out_of_range");
  EXPECT_EQ(Decode(bigint, "1e100000000000"), "number_out_of_range");
  EXPECT_EQ(Decode(bigint, "true"), "type_mismatch");
  EXPECT_EQ(Decode(integer, "2147483647"), "2147483647");
  EXPECT_EQ(Decode(integer, "2147483648"), "number_out_of_range");
}

TEST(JsonDecoder, TakesTextAsNumberOnlyWhereDeclared) {
  const auto column = [](Type type, bool accept_text) {
    return MakeColumn("v", type, {.accept_text = accept_text});
  };
  EXPECT_EQ(Decode(column(Type::kDouble, false), "\"21.5\""), "type_mismatch");
  EXPECT_EQ(Decode(column(Type::kDouble, true), "\"21.5\""), "21.5");
  EXPECT_EQ(Decode(column(Type::kDouble, true), "21.5"), "21.5");
  EXPECT_EQ(Decode(column(Type::kDouble, true), "\"21.5 C\""), "type_mismatch");
  EXPECT_EQ(Decode(column(Type::kDouble, true), "\"\""), "type_mismatch");
  EXPECT_EQ(Decode(column(Type::kBigint, true), "\"-7\""), "-7");
  EXPECT_EQ(Decode(column(Type::kInteger, true), "\"2147483648\""), "number_out_of_range");
  EXPECT_EQ(Decode(column(Type::kBoolean, true), "\"true\""), "true");
  EXPECT_EQ(Decode(column(Type::kBoolean, false), "\"true\""), "type_mismatch");
  EXPECT_EQ(Decode(column(Type::kText, true), "1"), "type_mismatch");
}

TEST(JsonDecoder, KeepsJsonAsItIsWritten) {
  const SourceColumn column = MakeColumn("v", Type::kText, {.is_json = true});
  EXPECT_EQ(Decode(column, "{\"a\" : [1, 2.50]}"), "{\"a\" : [1, 2.50]}");
  EXPECT_EQ(Decode(column, "1.50"), "1.50");
  EXPECT_EQ(Decode(column, "\"a\\n\""), "\"a\\n\"");
  EXPECT_EQ(Decode(column, "false"), "false");
  EXPECT_EQ(Decode(column, "null"), "null");
}

TEST(JsonDecoder, ReadsEpochNumbersInTheDeclaredUnit) {
  EXPECT_EQ(DecodeMicros(TimestampUnit::kSeconds, "1655129685"), 1'655'129'685'000'000);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kSeconds, "1655129685.1234567"), 1'655'129'685'123'456);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kSeconds, "-0.0000001"), -1);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kMillis, "1655129685123"), 1'655'129'685'123'000);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kMicros, "1655129685123456"), 1'655'129'685'123'456);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kNanos, "1655129685123456789"), 1'655'129'685'123'456);
  EXPECT_EQ(DecodeMicros(TimestampUnit::kSeconds, "1.655129685e9"), 1'655'129'685'000'000);
  const auto reason = [](TimestampUnit unit, const std::string& value, bool accept_text = false) {
    return Decode(MakeColumn("v", Type::kTimestamp, {.unit = unit, .accept_text = accept_text}),
                  value);
  };
  // Milliseconds taken for seconds would be the year 54000.
  EXPECT_EQ(reason(TimestampUnit::kSeconds, "1655129685123"), "number_out_of_range");
  EXPECT_EQ(reason(TimestampUnit::kSeconds, "1e300"), "number_out_of_range");
  EXPECT_EQ(reason(TimestampUnit::kIso8601, "1655129685"), "type_mismatch");
  EXPECT_EQ(reason(TimestampUnit::kSeconds, "\"1655129685\""), "type_mismatch");
  EXPECT_EQ(reason(TimestampUnit::kSeconds, "\"1655129685\"", true), "2022-06-13 14:14:45.000000Z");
  EXPECT_EQ(reason(TimestampUnit::kSeconds, "\"16551x\"", true), "type_mismatch");
}

// strtod is glibc's, correctly rounded.
TEST(JsonDecoder, DoublesAreCorrectlyRounded) {
  std::mt19937_64 random(7);
  JsonDecoder decoder = MakeDecoder({MakeColumn("v", Type::kDouble)});
  std::vector<double> expected;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = random() % 2 ? "-" : "";
    text += std::to_string(random() >> (random() % 64));
    if (random() % 2) text += "." + std::to_string(random() >> (random() % 64));
    if (random() % 3 == 0) text += "e" + std::to_string(int(random() % 600) - 300);
    const double value = std::strtod(text.c_str(), nullptr);
    const std::string reason = Reason(&decoder, "{\"v\":" + text + "}");
    ASSERT_EQ(reason, std::isfinite(value) ? "" : "number_out_of_range") << text;
    if (std::isfinite(value)) expected.push_back(value);
  }
  const auto batch = decoder.Finish().ValueOrDie();
  const auto& values = static_cast<const arrow::DoubleArray&>(*batch->column(0));
  ASSERT_EQ(values.length(), int64_t(expected.size()));
  for (int64_t i = 0; i < values.length(); ++i) ASSERT_EQ(values.Value(i), expected[size_t(i)]);
}

// Producers that differ in order, keys that come and go: the same values as without learning.
TEST(JsonDecoder, ChangingOrdersOfKeysDecodeAlike) {
  std::mt19937_64 random(11);
  const std::vector<std::string> keys = {
      "a",   "b",          "humidity", "device_id", "ab", "humidit", "a long key of 24 letters",
      "abc", "humidity[%]"};
  std::vector<SourceColumn> columns;
  columns.reserve(keys.size());
  for (const auto& key : keys) columns.push_back(MakeColumn(key, Type::kBigint));
  JsonDecoder decoder = MakeDecoder(columns);
  std::vector<std::vector<std::optional<int64_t>>> expected;
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (int i = 0; i < 2'000; ++i) {
    if (i % 20 == 0) std::shuffle(order.begin(), order.end(), random);
    std::vector<std::optional<int64_t>> row(keys.size());
    std::string message = "{";
    for (const size_t k : order) {
      if (random() % 10 == 0) continue;
      if (random() % 10 == 0) message += (message.size() > 1 ? ",\"x\":[]" : "\"x\":{}");
      row[k] = int64_t(random() % 1000);
      if (message.size() > 1) message += ",";
      message += "\"" + keys[k] + "\":" + std::to_string(*row[k]);
    }
    ASSERT_EQ(Reason(&decoder, message + "}"), "") << message;
    expected.push_back(row);
  }
  const auto batch = decoder.Finish().ValueOrDie();
  for (size_t k = 0; k < keys.size(); ++k) {
    const auto& column = static_cast<const arrow::Int64Array&>(*batch->column(int(k)));
    for (size_t row = 0; row < expected.size(); ++row) {
      ASSERT_EQ(column.IsValid(int64_t(row)), expected[row][k].has_value());
      if (!expected[row][k].has_value()) continue;
      ASSERT_EQ(column.Value(int64_t(row)), *expected[row][k]);
    }
  }
}

TEST(JsonDecoder, LargeMessagesDecode) {
  JsonDecoder decoder = MakeDecoder({MakeColumn("a", Type::kText), MakeColumn("b", Type::kBigint)});
  const std::string text(5'000'000, 'x');
  ASSERT_EQ(Reason(&decoder, "{\"a\":\"" + text + "\",\"b\":1}"), "");
  const auto batch = decoder.Finish().ValueOrDie();
  EXPECT_EQ(static_cast<const arrow::StringArray&>(*batch->column(0)).GetView(0), text);
}

TEST(ParseTimestamp, ReadsIso8601) {
  const auto parse = [](std::string_view text) {
    EventTime time(Micros(INT64_MIN));
    return ParseTimestamp(text, &time) ? time.time_since_epoch().count() : INT64_MIN;
  };
  // From date -u -d ... +%s.
  EXPECT_EQ(parse("2022-06-13T14:14:45.123Z"), 1'655'129'685'123'000);
  EXPECT_EQ(parse("2022-06-13 14:14:45,5"), 1'655'129'685'500'000);
  EXPECT_EQ(parse("2022-06-13T16:14:45+02:00"), 1'655'129'685'000'000);
  EXPECT_EQ(parse("2022-06-13T10:44:45.000001999-0330"), 1'655'129'685'000'001);
  EXPECT_EQ(parse("2022-06-13t14:14z"), 1'655'129'640'000'000);
  EXPECT_EQ(parse("2022-06-13"), 1'655'078'400'000'000);
  EXPECT_EQ(parse("2022-06-13 14:14:45+00"), 1'655'129'685'000'000);
  EXPECT_EQ(parse("1969-12-31T23:59:59.999999"), -1);
  EXPECT_EQ(parse("2000-02-29T00:00:00Z"), 951'782'400'000'000);
  EXPECT_EQ(parse("2016-12-31T23:59:60Z"), 1'483'228'800'000'000);
  EXPECT_EQ(parse("2016-12-31T24:00:00Z"), 1'483'228'800'000'000);
  EXPECT_EQ(parse("0001-01-01T00:00:00Z"), -62'135'596'800'000'000);
  EXPECT_EQ(parse("9999-12-31T23:59:59.999999Z"), 253'402'300'799'999'999);
  for (const char* bad : {"",
                          "2022",
                          "2022-06",
                          "2022-6-13",
                          "2022-13-01",
                          "2022-00-01",
                          "2022-02-29",
                          "1900-02-29",
                          "2022-04-31",
                          "0000-01-01",
                          "2022-06-13T",
                          "2022-06-13T14",
                          "2022-06-13T14:14:4",
                          "2022-06-13T25:00:00",
                          "2022-06-13T24:00:01",
                          "2022-06-13T14:60:00",
                          "2022-06-13T14:14:61",
                          "2022-06-13T14:14:45.",
                          "2022-06-13T14:14:45.1234567890",
                          "2022-06-13T14:14:45+2",
                          "2022-06-13T14:14:45+02:0",
                          "2022-06-13T14:14:45+16:00",
                          "2022-06-13T14:14:45+02:60",
                          "2022-06-13T14:14:45Zx",
                          "2022-06-13T14:14:45 Z",
                          " 2022-06-13",
                          "2022-06-13  14:14:45",
                          "2022/06/13",
                          "20220613T141445Z",
                          "2022-06-13T14-14-45",
                          "2022-06-13T14:14:45+02-00"}) {
    EXPECT_EQ(parse(bad), INT64_MIN) << bad;
  }
}

TEST(ParseNumber, ReadsTheWholeTextOrNothing) {
  const auto parse = [](std::string_view text) {
    double value = -99;
    return ParseDouble(text, &value) ? value : -99;
  };
  EXPECT_EQ(parse("21.5"), 21.5);
  EXPECT_EQ(parse("+1e3"), 1000);
  EXPECT_EQ(parse("1e-400"), 0);
  EXPECT_TRUE(std::isnan(parse("NaN")));
  EXPECT_TRUE(std::isinf(parse("-Infinity")));
  for (const char* bad : {"", "+", "-", "+-1", " 1", "1 ", "1,5", "1e999", "abc", "0x10"}) {
    EXPECT_EQ(parse(bad), -99) << bad;
  }
  const auto integer = [](std::string_view text) {
    int64_t value = -99;
    return ParseInt64(text, &value) ? value : -99;
  };
  EXPECT_EQ(integer("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(integer("+7"), 7);
  for (const char* bad : {"", "+", "+-1", "1.0", "9223372036854775808", " 1", "1 "}) {
    EXPECT_EQ(integer(bad), -99) << bad;
  }
}

// The values of columns read from these places of one message: "null", a reason, or as printed.
std::vector<std::string> Read(const std::vector<std::string>& from, const std::string& message) {
  std::vector<SourceColumn> columns;
  columns.reserve(from.size());
  for (const std::string& place : from) {
    columns.push_back(MakeColumn("c" + std::to_string(columns.size()), Type::kBigint, {place}));
  }
  JsonDecoder decoder = MakeDecoder(std::move(columns));
  JsonFailure failure;
  if (!Append(&decoder, message, &failure)) return {failure.reason, failure.message};
  const auto batch = decoder.Finish().ValueOrDie();
  EXPECT_TRUE(batch->ValidateFull().ok());
  std::vector<std::string> values;
  values.reserve(from.size());
  for (const auto& column : batch->columns()) {
    values.push_back(column->GetScalar(0).ValueOrDie()->ToString());
  }
  return values;
}

using Values = std::vector<std::string>;

TEST(JsonDecoder, PathsLeadToKeysAndItems) {
  const std::vector<std::string> from = {"$.a.b", "$.a.list[1]", "$['x.y'][0][1].z", "c", "$.d"};
  EXPECT_EQ(Read(from, R"({"a":{"b":1,"list":[2,3,4]},"x.y":[[5,{"z":6}]],"c":7,"d":8})"),
            (Values{"1", "3", "6", "7", "8"}));
  EXPECT_EQ(Read(from, R"( { "d" : 8 , "a" : { "list" : [ {"b": 9} , 3 ] , "\u0062" : 1 } } )"),
            (Values{"1", "3", "null", "null", "8"}));
  EXPECT_EQ(Read(from, R"({"$.a.b":1,"b":2,"list":[1,2]})"),
            (Values{"null", "null", "null", "null", "null"}));
}

TEST(JsonDecoder, WhatHasNoSuchPartIsNull) {
  const std::vector<std::string> from = {"$.a.b", "$.a[0]"};
  for (const char* value :
       {"null", "5", "\"b\"", "true", "{}", "[]", "{\"c\":{\"b\":1}}", "[null]"}) {
    EXPECT_EQ(Read(from, "{\"a\":" + std::string(value) + "}"), (Values{"null", "null"})) << value;
  }
}

// As of a doubled key: jsonb keeps the last, with what it has and lacks.
TEST(JsonDecoder, TheLastOfSeveralValuesCountsAsAWhole) {
  const std::vector<std::string> from = {"$.a.b", "$.a.c"};
  EXPECT_EQ(Read(from, R"({"a":{"b":1},"a":{"c":2}})"), (Values{"null", "2"}));
  EXPECT_EQ(Read(from, R"({"a":{"b":1,"c":2,"b":3}})"), (Values{"3", "2"}));
  EXPECT_EQ(Read(from, R"({"a":{"b":1},"a":5})"), (Values{"null", "null"}));
  EXPECT_EQ(Read(from, R"({"a":{"b":"x"},"a":{"b":4}})"), (Values{"4", "null"}));
}

TEST(JsonDecoder, APathAndWhatHoldsItAreBothRead) {
  JsonDecoder decoder =
      MakeDecoder({MakeColumn("whole", Type::kText, {.from = "a", .is_json = true}),
                   MakeColumn("part", Type::kBigint, {.from = "$.a.b"}),
                   MakeColumn("again", Type::kDouble, {.from = "$['a'].b"})});
  JsonFailure failure;
  ASSERT_TRUE(Append(&decoder, R"({"a":{"b":1, "c":[]}})", &failure));
  ASSERT_TRUE(Append(&decoder, R"({"a":"b"})", &failure));
  const auto batch = decoder.Finish().ValueOrDie();
  EXPECT_EQ(batch->column(0)->GetScalar(0).ValueOrDie()->ToString(), R"({"b":1, "c":[]})");
  EXPECT_EQ(batch->column(1)->GetScalar(0).ValueOrDie()->ToString(), "1");
  EXPECT_EQ(batch->column(2)->GetScalar(0).ValueOrDie()->ToString(), "1");
  EXPECT_EQ(batch->column(0)->GetScalar(1).ValueOrDie()->ToString(), "\"b\"");
  EXPECT_TRUE(batch->column(1)->IsNull(1));
}

TEST(JsonDecoder, WhatIsWrongInsideAPathIsTold) {
  const std::vector<std::string> from = {"$.a.b"};
  EXPECT_EQ(Read(from, R"({"a":{"b":"x"}})"),
            (Values{"type_mismatch", "column 'c0': expected bigint, found text \"x\""}));
  EXPECT_EQ(Read(from, R"({"a":{"b":{}}})"),
            (Values{"type_mismatch", "column 'c0': expected bigint, found object"}));
  for (const char* message :
       {R"({"a":{"b":1,}})", R"({"a":{"b" 1}})", R"({"a":{"b":1]})", R"({"a":{b:1}})",
        R"({"a":{"b":})", R"({"a":{"b":01}})", R"({"a":{"\q":1}})", R"({"a":{"c":tru}})",
        R"({"a":{"b":1})", R"({"a":[1,]})", R"({"a":[1 2]})", R"({"a":{"b":1}}})"}) {
    EXPECT_EQ(Read(from, message).front(), "malformed") << message;
  }
  // As deep as a message may be, wherever a path is in it.
  const auto nested = [](int depth) {
    return "{\"a\":{\"x\":" + std::string(size_t(depth), '[') + std::string(size_t(depth), ']') +
           "}}";
  };
  for (const std::string place : {"$.a.b", "$.a.x[0][0]", "y"}) {
    EXPECT_EQ(Read({place}, nested(kJsonDepthMax - 2)).front(),
              place == "$.a.x[0][0]" ? "type_mismatch" : "null")
        << place;
    EXPECT_EQ(Read({place}, nested(kJsonDepthMax - 1)).front(), "too_deep") << place;
  }
}

}  // namespace
}  // namespace millrace
