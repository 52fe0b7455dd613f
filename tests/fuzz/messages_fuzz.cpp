// Messages that hold several readings, from anywhere: every reading becomes a row or is refused for
// itself, and what is refused as a whole leaves no trace. The first byte says the format.
#include <arrow/api.h>

#include "engine/connectors/message/message_decoder.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

SourceStreamSpec Spec(uint8_t choice) {
  SourceStreamSpec spec;
  const auto add = [&](std::string from, Type type) {
    SourceColumn column;
    column.field.name = from;
    column.field.type = type;
    column.from = std::move(from);
    column.timestamp_unit = TimestampUnit::kSeconds;
    column.accept_text = true;
    spec.columns.push_back(std::move(column));
  };
  add("n", Type::kText);
  add("v", Type::kDouble);
  add("t", Type::kTimestamp);
  add("x", Type::kInteger);
  add("j", Type::kJson);
  constexpr Format kFormats[] = {Format::kJson, Format::kCsv, Format::kSenml, Format::kCsv};
  spec.format = kFormats[choice % 4];
  spec.csv.fields = {"n", "v", "t", "x", "j"};
  spec.csv.rest = choice % 4 == 3;
  if (choice % 8 >= 4) {
    spec.event_time.emplace();
    spec.event_time->column = "t";
  }
  return spec;
}

bool IsInside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void Check(const DecodedMessage& decoded, std::string_view message, int64_t rows) {
  if (int64_t(decoded.rows.size()) != rows) fuzz::Fail("not as many rows as are told");
  int32_t last = -1;
  for (const DecodedMessage::Reading& row : decoded.rows) {
    if (!IsInside(row.value, message)) fuzz::Fail("a reading that is not of the message");
    if (row.index >= 0 && row.index <= last) fuzz::Fail("indexes do not rise");
    last = row.index;
  }
  for (const DecodedMessage::Refused& refused : decoded.refused) {
    if (!IsInside(refused.reading.value, message)) fuzz::Fail("a refusal that is of no reading");
    if (refused.failure.reason.empty()) fuzz::Fail("refused without a reason");
  }
}

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  const std::string object = R"({"n":"a","v":1.5,"t":1654733331,"x":3,"j":{"a":[1,null]}})";
  const std::string array = "[" + object + "," + object + R"(,{"n":5},7])";
  const std::string csv = "a,1.5,1654733331,3,\"{\"\"a\"\":1}\"\r\n\"b\"\"\",,1e9,x,5\n";
  const std::string pack =
      R"([{"bn":"a/","bt":1.654e9,"bu":"Cel","bv":20,"n":"x","v":0.5},{"n":"y","t":-5,"vs":"on"}])";
  const std::string older = R"({"e":[{"n":"s","sv":"x"},{"v":"6.1","n":"l"}],"bt":1422748800})";
  const std::string line = "a,1,1654733331,3,{\"a\": [1,2]}\n";
  std::vector<std::string> seeds;
  for (const char kind : {'\0', '\4'}) {
    seeds.push_back(std::string(1, kind) + object);
    seeds.push_back(std::string(1, kind) + array);
    seeds.push_back(std::string(1, char(kind + 1)) + csv);
    seeds.push_back(std::string(1, char(kind + 2)) + pack);
    seeds.push_back(std::string(1, char(kind + 2)) + older);
    seeds.push_back(std::string(1, char(kind + 3)) + line);
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  static const std::vector<int> used = {0, 1, 2, 3, 4};
  MessageDecoder decoder(Spec(data[0]), used);
  // In a buffer of its size, so that every byte read beyond the end is seen.
  const std::vector<char> exact(data + 1, data + size);
  const std::string_view message(exact.data(), exact.size());
  DecodedMessage decoded;
  for (int i = 0; i < 2; ++i) {
    const int64_t before = decoder.rows();
    decoder.Append(message, &decoded);
    Check(decoded, message, decoder.rows() - before);
  }
  const Status valid = decoder.Finish().ValueOrDie()->ValidateFull();
  if (!valid.ok()) fuzz::Fail("a batch that is none: " + valid.ToString());
  return 0;
}
