// Messages from anywhere, one a line, read by learned layouts and by the walk over tokens: both
// must give the same columns to the bit, or the same reason for refusal.
#include <arrow/api.h>

#include "engine/connectors/json/json_decoder.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

constexpr int kMessagesMax = 64;

SourceStreamSpec Spec() {
  SourceStreamSpec spec;
  const auto add = [&](std::string from, Type type, TimestampUnit unit = TimestampUnit::kIso8601,
                       bool accept_text = false, bool is_json = false) {
    SourceColumn column;
    column.field.name = from;
    column.field.type = type;
    column.field.is_json = is_json;
    column.from = std::move(from);
    column.timestamp_unit = unit;
    column.accept_text = accept_text;
    spec.columns.push_back(std::move(column));
  };
  add("id", Type::kText);
  add("at", Type::kTimestamp);
  add("t", Type::kDouble);
  add("h", Type::kDouble, TimestampUnit::kIso8601, true);
  add("n", Type::kInteger);
  add("b", Type::kBigint);
  add("ms", Type::kTimestamp, TimestampUnit::kMillis);
  add("ns", Type::kTimestamp, TimestampUnit::kNanos, true);
  add("ok", Type::kBoolean);
  add("$.p.x", Type::kDouble);
  add("$.p.l[1]", Type::kText);
  add("$.q", Type::kText, TimestampUnit::kIso8601, false, true);
  spec.event_time.emplace();
  spec.event_time->column = "at";
  return spec;
}

// Equal to the bit: NaN is NaN, 0 is not -0.
bool Same(const arrow::RecordBatch& a, const arrow::RecordBatch& b) {
  return a.Equals(b, false,
                  arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false));
}

void Compare(JsonDecoder* fast, JsonDecoder* slow) {
  const auto by_fast = fast->Finish().ValueOrDie();
  const auto by_slow = slow->Finish().ValueOrDie();
  const Status valid = by_fast->ValidateFull();
  if (!valid.ok()) fuzz::Fail("a batch that is none: " + valid.ToString());
  if (!Same(*by_fast, *by_slow)) {
    fuzz::Fail("columns differ:\n" + by_fast->ToString() + by_slow->ToString());
  }
}

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  const std::string one =
      R"({"id":"dev-0007","at":"2022-06-09T00:08:51.123","t":20.117,"h":"57.36","n":400,)"
      R"("b":1654733331,"ms":1654733331123,"ns":"1654733331123456789","ok":true,)"
      R"("p":{"x":47.37,"l":["a","b",null]},"q":{"a":[1,{}]}})";
  const std::string other =
      R"({ "at": "2022-06-09 23:59:59.999999Z", "id": "zürich", "t": -0.5, "n": null, "x": [] })";
  const std::string bad =
      R"({"id":"\u00e9\n","at":"2022-06-09T24:00:01","t":1e999,"n":2147483648})";
  return {one,
          one + "\n" + one + "\n" + one,
          one + "\n" + other + "\n" + one + "\n" + bad + "\n" + other,
          other + "\n" + other + "\n" + bad,
          R"({"at":"2022-06-09T00:08:51+02:00","t":0.1,"t":12345678901234567890.123e-7})",
          R"({"at":"2022-06-09T00:08:51","q":"\ud83d\ude00","p":{"l":[]},"p":{"x":1}})"};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  static const SourceStreamSpec spec = Spec();
  static const std::vector<int> used = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  JsonDecoder fast(spec, used);
  JsonDecoder slow(spec, used);
  slow.set_templates(false);
  std::string_view rest = fuzz::View(data, size);
  for (int i = 0; i < kMessagesMax && !rest.empty(); ++i) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    // In a buffer of its size, so that every byte read beyond the end is seen.
    const std::vector<char> exact(rest.begin(), rest.begin() + int64_t(end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::string_view message(exact.data(), exact.size());
    JsonFailure by_fast;
    JsonFailure by_slow;
    const bool read = fast.Append(message, &by_fast);
    if (read != slow.Append(message, &by_slow)) fuzz::Fail("only one way reads a message");
    if (read) continue;
    if (by_fast.reason != by_slow.reason || by_fast.message != by_slow.message) {
      fuzz::Fail("reasons differ: " + by_fast.message + ", " + by_slow.message);
    }
  }
  Compare(&fast, &slow);
  return 0;
}
