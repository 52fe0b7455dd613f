#include "engine/connectors/message/csv_line.h"

#include <gmock/gmock.h>

namespace millrace {
namespace {

using testing::ElementsAre;

// Each line as its cells between '|', or "!" and what is wrong; the line itself behind "<-".
std::vector<std::string> Lines(std::string_view text, const CsvSpec& spec = {}) {
  CsvLineReader reader(spec);
  std::vector<std::string> lines;
  while (reader.Next(&text)) {
    std::string& shown = lines.emplace_back();
    if (reader.error() != nullptr) {
      shown = std::string("!") + reader.error() + "<-" + std::string(reader.line());
      continue;
    }
    for (const std::string_view& cell : reader.cells()) {
      if (&cell != reader.cells().data()) shown += "|";
      shown += cell;
    }
  }
  return lines;
}

TEST(CsvLine, CellsAreSplitAndLinesEndAsTheyLike) {
  EXPECT_THAT(Lines("a,b\nc,,d\r\n,\n\n\r\ne"), ElementsAre("a|b", "c||d", "|", "e"));
  EXPECT_THAT(Lines(""), ElementsAre());
  EXPECT_THAT(Lines("\n\r\n"), ElementsAre());
  EXPECT_THAT(Lines("a\rb,c"), ElementsAre("a\rb|c"));
}

TEST(CsvLine, QuotedCellsHoldWhatTheyLike) {
  EXPECT_THAT(Lines("\"a,b\",\"c\nd\",\"\"\n\"e\"\"f\"\"\",g"),
              ElementsAre("a,b|c\nd|", "e\"f\"|g"));
  // Elsewhere a quote is a character.
  EXPECT_THAT(Lines("a\"b\",c"), ElementsAre("a\"b\"|c"));
  CsvSpec spec;
  spec.delimiter = ';';
  spec.quote = '\'';
  EXPECT_THAT(Lines("'a;b';'c''d'\n", spec), ElementsAre("a;b|c'd"));
  spec.quote.reset();
  EXPECT_THAT(Lines("\"a\";'b", spec), ElementsAre("\"a\"|'b"));
}

TEST(CsvLine, WhatIsBrokenIsToldAndTheNextLineIsRead) {
  EXPECT_THAT(Lines("\"a\"b,c\nd"),
              ElementsAre("!something stands between a closing quote and the end of its cell<-"
                          "\"a\"b,c",
                          "d"));
  EXPECT_THAT(Lines("a,\"b\nc"), ElementsAre("!a quote is not closed<-a,\"b\nc"));
}

TEST(CsvLine, TheRestOfALineMayBeOneCell) {
  CsvSpec spec;
  spec.fields = {"at", "payload"};
  spec.rest = true;
  EXPECT_THAT(Lines("1,{\"a\":[1,2]}\r\n2,\n3", spec), ElementsAre("1|{\"a\":[1,2]}", "2|", "3"));
}

}  // namespace
}  // namespace millrace
