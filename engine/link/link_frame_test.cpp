#include "engine/link/link_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/link/link_testing.h"

namespace millrace {
namespace {

constexpr size_t kMax = 1 << 20;

LinkOutput Data(uint64_t sequence, std::string payload, uint64_t acknowledged = 0) {
  return MakeLinkOutput(
      {.type = LinkFrameType::kData, .sequence = sequence, .acknowledged = acknowledged},
      arrow::Buffer::FromString(std::move(payload)));
}

// Gives `bytes` in pieces of `piece`; returns the frames.
std::vector<LinkFrame> ReadAll(LinkFrameReader* reader, std::string_view bytes, size_t piece) {
  std::vector<LinkFrame> frames;
  while (!bytes.empty()) {
    const std::span<char> into = reader->Prepare();
    EXPECT_FALSE(into.empty());
    const size_t taken = std::min({piece, into.size(), bytes.size()});
    std::copy_n(bytes.begin(), taken, into.begin());
    bytes.remove_prefix(taken);
    reader->Commit(taken);
    while (true) {
      auto frame = reader->Next().ValueOrDie();
      if (!frame) break;
      frames.push_back(*frame);
    }
  }
  return frames;
}

// The layout of docs/cluster-protocol.md, by hand.
TEST(LinkFrame, HeaderIsAsDocumented) {
  const std::string bytes = LinkBytesOf(Data(0x0102030405, "abc", 7));
  EXPECT_EQ(bytes,
            std::string("\x03\0\0\0\x01\0\0\0\x05\x04\x03\x02\x01\0\0\0\x07\0\0\0\0\0\0\0abc", 27));
  EXPECT_EQ(LinkBytesOf(MakeLinkHandshake("xy")), std::string("millrace\x02\0\0\0xy", 14));
  EXPECT_EQ(LinkBytesOf(MakeLinkPing(1, 258)),
            std::string("\x04\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x01\0\0", 28));
}

TEST(LinkFrame, FramesComeOutHoweverTheyAreCut) {
  std::string bytes;
  std::vector<std::string> payloads;
  for (const size_t size : {0, 1, 3000, 32768, 32769, 40000, 131072, 300000, 1048576, 5}) {
    payloads.emplace_back(size, char('a' + payloads.size()));
    bytes += LinkBytesOf(Data(payloads.size(), payloads.back(), size));
    bytes += LinkBytesOf(MakeLinkPing(1, 2));
  }
  for (const size_t piece : {1, 7, 4096, 100000, 10000000}) {
    LinkFrameReader reader(kMax);
    const std::vector<LinkFrame> frames = ReadAll(&reader, bytes, piece);
    ASSERT_EQ(frames.size(), 2 * payloads.size());
    for (size_t i = 0; i < payloads.size(); ++i) {
      EXPECT_EQ(frames[2 * i].header.sequence, i + 1);
      EXPECT_EQ(frames[2 * i].header.acknowledged, payloads[i].size());
      EXPECT_TRUE(frames[2 * i].payload->ToString() == payloads[i]) << i;
      EXPECT_EQ(frames[2 * i + 1].header.type, LinkFrameType::kPing);
    }
  }
}

TEST(LinkFrame, MemoryGrowsWithWhatComesNotWithWhatIsClaimed) {
  LinkFrameReader reader(64 << 20);
  const std::string whole = LinkBytesOf(Data(1, std::string(16 << 20, 'x')));
  EXPECT_EQ(ReadAll(&reader, std::string_view(whole).substr(0, 100), 100).size(), 0u);
  EXPECT_LE(reader.held_bytes(), 300u << 10);
  EXPECT_EQ(ReadAll(&reader, std::string_view(whole).substr(100, 1 << 20), 4096).size(), 0u);
  EXPECT_LE(reader.held_bytes(), 5u << 20);
  EXPECT_TRUE(reader.inside_large_frame());
  const auto rest = ReadAll(&reader, std::string_view(whole).substr(100 + (1 << 20)), 65536);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].payload->size(), 16 << 20);
  EXPECT_FALSE(reader.inside_large_frame());
}

TEST(LinkFrame, WhatIsNoFrameIsRefusedByItsHeader) {
  const auto code = [](const std::string& bytes) {
    LinkFrameReader reader(kMax);
    const std::span<char> into = reader.Prepare();
    std::ranges::copy(bytes, into.begin());
    reader.Commit(bytes.size());
    return LinkCodeOf(reader.Next().status());
  };
  const auto changed = [](LinkOutput output, size_t at, char to) {
    std::string bytes = LinkBytesOf(output);
    bytes[at] = to;
    return bytes;
  };
  EXPECT_EQ(code(changed(Data(1, ""), 4, 0)), "garbage");
  EXPECT_EQ(code(changed(Data(1, ""), 4, 4)), "garbage");
  EXPECT_EQ(code(changed(Data(1, ""), 6, 1)), "garbage");
  EXPECT_EQ(code(LinkBytesOf(Data(0, ""))), "garbage");
  EXPECT_EQ(code(changed(MakeLinkPing(0, 0), 0, 5)), "garbage");
  EXPECT_EQ(code(changed(MakeLinkPing(0, 0), 8, 1)), "garbage");
  EXPECT_EQ(code(changed(MakeLinkClose("a", "b"), 2, 1)), "garbage");
  // 1 MiB + 1: the header is enough.
  std::string longer = LinkBytesOf(Data(1, ""));
  longer[0] = 1;
  longer[2] = 0x10;
  EXPECT_EQ(code(longer), "oversize_frame");
  EXPECT_EQ(code(std::string(4, '\xFF') + LinkBytesOf(Data(1, "")).substr(4)), "oversize_frame");
}

TEST(LinkFrame, HandshakesAreCheckedAsTheyCome) {
  const auto next = [](const std::string& bytes) {
    LinkFrameReader reader(kMax);
    std::string_view rest = bytes;
    Result<std::optional<std::string>> message = std::nullopt;
    while (!rest.empty()) {
      const std::span<char> into = reader.Prepare();
      const size_t taken = std::min(into.size(), rest.size());
      std::copy_n(rest.begin(), taken, into.begin());
      rest.remove_prefix(taken);
      reader.Commit(taken);
      message = reader.NextHandshake();
      if (!message.ok()) break;
    }
    return message;
  };
  EXPECT_EQ(*next("mill"), std::nullopt);
  EXPECT_EQ(LinkCodeOf(next("milk").status()), "bad_magic");
  EXPECT_EQ(LinkCodeOf(next("GET / HTTP/1.1").status()), "bad_magic");
  EXPECT_EQ(LinkCodeOf(next("\x16\x03\x01").status()), "tls_failed");
  EXPECT_EQ(*next(LinkBytesOf(MakeLinkHandshake("hello"))), "hello");
  const std::string longest(kLinkHandshakeBytesMax, 'h');
  EXPECT_EQ(*next(LinkBytesOf(MakeLinkHandshake(longest))), longest);
  EXPECT_EQ(LinkCodeOf(next(LinkBytesOf(MakeLinkHandshake(longest + "h")).substr(0, 12)).status()),
            "oversize_handshake");
}

}  // namespace
}  // namespace millrace
