// The bytes of a connection after its handshake: frames, and what cuts them out of what arrives.
// Pure. docs/cluster-protocol.md has the layout.
//
// What a header claims is compared with the limit before anything is allocated, and then costs no
// memory either: a frame's buffer grows with the bytes that have come, at most four times as large.
#pragma once

#include <arrow/buffer.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace millrace {

// Bytes that are shared, and never changed once sent or delivered.
using LinkBytes = std::shared_ptr<arrow::Buffer>;

enum class LinkFrameType : uint8_t {
  kData = 1,
  kPing = 2,   // also an acknowledgement; payload: milliseconds since its sender has heard anything
  kClose = 3,  // the session ends; payload: code, a line feed, a message
};

struct LinkFrameHeader {
  uint32_t payload_bytes = 0;
  LinkFrameType type = LinkFrameType::kData;
  uint64_t sequence = 0;      // of data: from 1, without gaps; else 0
  uint64_t acknowledged = 0;  // every data frame of the other side up to it has come
};

inline constexpr size_t kLinkHeaderBytes = 24;
inline constexpr size_t kLinkPingBytes = 4;
inline constexpr size_t kLinkCloseBytesMax = 1024;
// Of a handshake: eight bytes, a length of four bytes, a message of at most this.
inline constexpr std::string_view kLinkMagic = "millrace";
inline constexpr size_t kLinkHandshakeBytesMax = 64 << 10;

struct LinkFrame {
  LinkFrameHeader header;
  LinkBytes payload;
};

// A frame (or, with header_bytes 0, other bytes) on its way to a connection.
struct LinkOutput {
  std::array<char, kLinkHeaderBytes> header;
  size_t header_bytes = 0;
  LinkBytes payload;  // null: none

  size_t bytes() const { return header_bytes + (payload ? size_t(payload->size()) : 0); }
};

LinkOutput MakeLinkOutput(LinkFrameHeader header, LinkBytes payload);
LinkOutput MakeLinkPing(uint64_t acknowledged, uint32_t heard_ago_ms);
LinkOutput MakeLinkClose(std::string_view code, std::string_view message);
// `message` as the bytes of a handshake.
LinkOutput MakeLinkHandshake(const std::string& message);

// Errors: "garbage", "oversize_frame".
Result<LinkFrameHeader> DecodeLinkHeader(std::string_view bytes, size_t frame_bytes_max);

// Errors of NextHandshake and Next are final: the connection must be closed.
class LinkFrameReader {
 public:
  explicit LinkFrameReader(size_t frame_bytes_max);

  // Where the next bytes are to be put; never empty. Valid until the next call of anything here.
  // Call it when Next (or NextHandshake) has nothing left.
  std::span<char> Prepare();
  // So many bytes of Prepare() have come.
  void Commit(size_t bytes);

  // Nothing: more bytes are needed. Errors: "bad_magic", "tls_failed" (the other side speaks TLS),
  // "oversize_handshake".
  Result<std::optional<std::string>> NextHandshake();
  // Nothing: more bytes are needed. Errors: "garbage", "oversize_frame", out of memory.
  Result<std::optional<LinkFrame>> Next();

  // A large frame is under way, so that its sender can send nothing else.
  bool inside_large_frame() const { return large_ != nullptr; }
  // Memory that is held for what has come.
  size_t held_bytes() const;

 private:
  size_t available() const { return end_ - begin_; }
  std::string_view View() const { return {buffer_.data() + begin_, available()}; }
  Status BeginLarge(const LinkFrameHeader& header);
  Status GrowLarge();

  const size_t frame_bytes_max_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  // A frame that does not go through buffer_.
  std::unique_ptr<arrow::ResizableBuffer> large_;
  LinkFrameHeader large_header_;
  size_t large_filled_ = 0;
  Status large_failure_;
};

}  // namespace millrace
