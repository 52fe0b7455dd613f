// The short way to read a number against the long one, and blocks of bytes against single bytes.
#include "engine/json/json_number.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace millrace {
namespace {

// What stands behind a number is there to be read, not part of it.
const std::string kBehind = ",\"next\":1234567890.1234567}";

// Where the short way reads it, it is what the long way reads.
void ExpectSame(const std::string& text, bool* was_read) {
  const std::string all = text + kBehind;
  JsonNumber number;
  const char* const end = ReadJsonNumber(all.data(), &number);
  ShortJsonNumber parts;
  const bool found = FindShortJsonNumber(all.data(), &parts);
  if (found) {
    EXPECT_EQ(all.data() + parts.end, end) << text;
  }
  JsonNumber read;
  const char* const short_end = ReadShortJsonNumber(all.data(), &read);
  *was_read = short_end != nullptr;
  if (!*was_read) return;
  EXPECT_TRUE(found) << text;
  EXPECT_EQ(short_end, end) << text;
  EXPECT_EQ(read.mantissa, number.mantissa) << text;
  EXPECT_EQ(read.exponent, number.exponent) << text;
  EXPECT_EQ(read.negative, number.negative) << text;
  EXPECT_EQ(read.exact, number.exact) << text;
  EXPECT_EQ(read.text, number.text) << text;
}

TEST(JsonNumber, TheShortWayReadsUpToEightDigits) {
  for (const char* text : {"0", "-0", "7", "-7", "20.50", "0.001", "-0.5", "12345678", "-12345678",
                           "1234.5678", "0.1234567", "1.0"}) {
    bool was_read = false;
    ExpectSame(text, &was_read);
    EXPECT_TRUE(was_read) << text;
  }
}

TEST(JsonNumber, TheShortWayLeavesAllElse) {
  for (const char* text :
       {"",          "-",          ".",     ".5",   "-.5",    "5.",  "01",
        "-01",       "00.5",       "1.2.3", "1..2", "1-2",    "--1", "1/2",
        "123456789", "1234.56789", "1e3",   "1E3",  "1.5e-3", "+1",  "1234567890123456",
        "\"1\""}) {
    bool was_read = true;
    ExpectSame(text, &was_read);
    EXPECT_FALSE(was_read) << text;
  }
}

TEST(JsonNumber, BothWaysAgreeAboutAnyBytes) {
  std::mt19937 random(7);
  const std::string bytes = "0123456789012345678900--..eE+/, :}\xff";
  int read = 0;
  for (int i = 0; i < 500'000; ++i) {
    std::string text(1 + random() % 18, ' ');
    for (char& c : text) c = bytes[random() % (random() % 4 == 0 ? bytes.size() : 22)];
    bool was_read = false;
    ExpectSame(text, &was_read);
    read += was_read;
  }
  EXPECT_GT(read, 50'000);
}

TEST(JsonBlock, ABitIsAByte) {
  const std::string text = "a1\"\\\x1f\x7f\x80\xff-./09:z\n";
  ASSERT_EQ(text.size(), JsonBlock::kSize);
  const JsonBlock block(text.data());
  for (int byte = 0; byte < 256; ++byte) {
    uint32_t is = 0;
    for (uint32_t i = 0; i < JsonBlock::kSize; ++i) is |= uint32_t(text[i] == char(byte)) << i;
    EXPECT_EQ(block.Is(char(byte)), is) << byte;
  }
  EXPECT_EQ(block.Within('-', '9'), 0b0001111100000010u);
  EXPECT_EQ(block.Within('0', '9'), 0b0001100000000010u);
  EXPECT_EQ(block.Within('\0', '\x1f'), 0b1000000000010000u);
  EXPECT_EQ(block.High(), 0b0000000011000000u);
  std::string other = text;
  other[0] = 'b';
  other[15] = 'b';
  EXPECT_EQ(block.Same(JsonBlock(other.data())), 0b0111111111111110u);
}

TEST(JsonWords, TextsAreComparedToTheirEnds) {
  const std::string text = ",\"temperature of the second oven [C]\": 0123456789abcdef";
  for (size_t size = 0; size + JsonBlock::kSize <= text.size(); ++size) {
    for (size_t at = 0; at < text.size(); ++at) {
      std::string other = text;
      other[at] = '?';
      EXPECT_EQ(SameBytesWithRoom(text.data(), other.data(), size), at >= size);
      EXPECT_EQ(SameBytes(text.data(), other.data(), size), at >= size);
    }
  }
}

}  // namespace
}  // namespace millrace
