// Packs of the RFC and of the form before it, as they resolve.
#include "engine/connectors/message/senml.h"

#include <gmock/gmock.h>

#include "engine/connectors/message/message_decoder.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SourceStreamSpec Spec(const std::vector<std::string>& keys) {
  SourceStreamSpec spec;
  spec.format = Format::kSenml;
  for (const std::string& key : keys) {
    SourceColumn column;
    column.field.name = key;
    column.field.type = Type::kText;
    column.from = key;
    spec.columns.push_back(std::move(column));
  }
  return spec;
}

// Resolved records; of a refused one "!reason: message"; of a broken pack "!!reason: message".
std::vector<std::string> Resolve(const std::string& pack,
                                 const std::vector<std::string>& keys = {"n", "v", "t"}) {
  std::vector<int> used;
  for (size_t i = 0; i < keys.size(); ++i) used.push_back(int(i));
  SenmlReader reader(Spec(keys), used);
  JsonFailure failure;
  std::vector<std::string> found;
  const auto told = [&](const char* mark) {
    found.push_back(mark + failure.reason + ": " + failure.message);
  };
  if (!reader.Open(pack, &failure)) {
    told("!!");
    return found;
  }
  for (;;) {
    switch (reader.Next(&failure)) {
      case SenmlReader::Found::kReading:
        found.push_back(reader.resolved());
        break;
      case SenmlReader::Found::kRefused:
        told("!");
        break;
      case SenmlReader::Found::kBroken:
        told("!!");
        return found;
      case SenmlReader::Found::kEnd:
        return found;
    }
  }
}

// RFC 8428, 5.1.2 (multiple data points), and what 5.1.4 resolves it to.
TEST(Senml, BaseValuesArePutIntoEachRecord) {
  EXPECT_THAT(
      Resolve(R"([
        {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,
         "bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
        {"n":"current","t":-5,"v":1.2},
        {"n":"current","t":-4,"v":1.3},
        {"n":"current","v":1.7}])"),
      ElementsAre(
          R"({"n":"urn:dev:ow:10e2073a0108006:voltage","u":"V","v":120.1,"t":1.276020076001e+09})",
          R"({"n":"urn:dev:ow:10e2073a0108006:current","u":"A","v":1.2,"t":1276020071.001})",
          R"({"n":"urn:dev:ow:10e2073a0108006:current","u":"A","v":1.3,"t":1276020072.001})",
          R"({"n":"urn:dev:ow:10e2073a0108006:current","u":"A","v":1.7,"t":1.276020076001e+09})"));
}

TEST(Senml, LaterBaseValuesReplaceEarlierOnesAndValuesAddUp) {
  EXPECT_THAT(Resolve(R"([{"bn":"a/"},{"bv":20,"bs":100,"n":"x","v":0.5,"s":1},
                          {"bn":"b/","n":"y","v":-1},{"n":"z","vs":"on","x":[1, 2]},
                          {"n":"w","vb":true,"t":1.5e9}])"),
              ElementsAre(R"({"n":"a/x","v":20.5,"s":101})", R"({"n":"b/y","v":19,"s":100})",
                          R"({"n":"b/z","s":100,"vs":"on","x":[1, 2]})",
                          R"({"n":"b/w","s":100,"t":1.5e9,"vb":true})"));
}

TEST(Senml, TheFormBeforeTheRfcIsRead) {
  EXPECT_THAT(Resolve(R"({"e":[{"u":"string","n":"source","sv":"ci4"},
                               {"v":"6.16","u":"lon","n":"longitude"},
                               {"n":"open","bv":true,"t":5}],
                          "bt":1422748800000,"bn":"s/"})"),
              ElementsAre(R"({"n":"s/source","u":"string","t":1422748800000,"sv":"ci4"})",
                          R"({"n":"s/longitude","u":"lon","v":"6.16","t":1422748800000})",
                          R"({"n":"s/open","t":1422748800005,"bv":true})"));
}

TEST(Senml, ARecordThatCannotBeUsedIsRefusedAlone) {
  EXPECT_THAT(Resolve(R"([{"v":1},{"n":"a","v":1,"t":5},{"n":"a","v":1,"odd_":2},7,
                          {"n":"a","v":1,"t":1e9},{"n":5,"v":1},{"n":"a","v":1,"t":"x"}])"),
              ElementsAre("!missing_name: the record has no name, and there is no base name",
                          "!relative_time: the time is relative to when the message came",
                          "!unknown_label: the label 'odd_' must be understood",
                          "!malformed: not an object", R"({"n":"a","v":1,"t":1e9})",
                          "!type_mismatch: n is no text", "!type_mismatch: t is no number"));
  // Where no column is read from it, a time means nothing.
  EXPECT_THAT(Resolve(R"([{"n":"a","v":1,"t":5}])", {"n"}),
              ElementsAre(R"({"n":"a","v":1,"t":5})"));
}

TEST(Senml, WhatIsNoPackIsRefusedAsAWhole) {
  EXPECT_THAT(Resolve(R"([{"n":"a","v":1})"),
              ElementsAre("!!malformed: cut off, or followed by something else"));
  EXPECT_THAT(Resolve(R"([{"n":"a","v":1},])"), ElementsAre("!!malformed: not JSON"));
  EXPECT_THAT(Resolve(R"({"n":"a"})"),
              ElementsAre("!!malformed: neither an array of records nor an object with 'e'"));
  EXPECT_THAT(Resolve(R"([{"bver":11,"n":"a","v":1}])"),
              ElementsAre("!!malformed: SenML of version 11; up to 10 are read"));
  EXPECT_THAT(Resolve(R"([{"bn":5,"n":"a","v":1}])"), ElementsAre("!!malformed: bn is no text"));
  EXPECT_THAT(Resolve(R"([{"bt":"x","n":"a","v":1}])"),
              ElementsAre("!!malformed: bt is no number"));
  EXPECT_THAT(Resolve("[]"), IsEmpty());
}

TEST(Senml, APackBecomesRows) {
  SourceStreamSpec spec = Spec({"n"});
  MessageDecoder decoder(spec, {0});
  DecodedMessage decoded;
  decoder.Append(R"([{"bn":"a/"},{"n":"x","v":1},{"v":1,"n":7},{"n":"y","v":2}])", &decoded);
  ASSERT_EQ(decoded.rows.size(), 2u);
  EXPECT_EQ(decoded.rows[0].index, 1);
  EXPECT_EQ(decoded.rows[0].value, R"({"n":"x","v":1})");
  EXPECT_EQ(decoded.rows[1].index, 3);
  ASSERT_EQ(decoded.refused.size(), 1u);
  EXPECT_EQ(decoded.refused[0].reading.index, 2);
  EXPECT_EQ(decoder.rows(), 2);
  decoder.Append("[{}", &decoded);
  EXPECT_EQ(decoded.refused.size(), 1u);
  EXPECT_EQ(decoder.rows(), 2);
}

}  // namespace
}  // namespace millrace
