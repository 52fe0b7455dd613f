#include "engine/link/link_frame.h"

#include <arrow/memory_pool.h>

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr size_t kBufferBytesMin = 4 << 10;
constexpr size_t kBufferBytesMax = 128 << 10;
// A frame of at most this is cut out of the buffer; a larger one is read to where it stays.
constexpr size_t kSmallFrameBytes = 32 << 10;
constexpr size_t kLargeFrameBytesFirst = 128 << 10;
constexpr size_t kLargeFrameGrowth = 4;
constexpr size_t kHandshakeHeaderBytes = 12;
// First bytes of TLS records: an alert, a handshake.
constexpr char kTlsAlert = 0x15;
constexpr char kTlsHandshake = 0x16;

template <typename Number>
void Put(Number number, char* into) {
  for (size_t i = 0; i < sizeof(Number); ++i) into[i] = char(number >> (8 * i) & 0xFF);
}

template <typename Number>
Number Get(const char* from) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number |= Number(Number(static_cast<unsigned char>(from[i])) << (8 * i));
  }
  return number;
}

Status Garbage(std::string_view what) {
  return ExternalError("garbage", "the peer sent no frame: " + std::string(what), Retry::kNo);
}

Status CheckKind(const LinkFrameHeader& header) {
  switch (header.type) {
    case LinkFrameType::kData:
      if (header.sequence == 0) return Garbage("data without a sequence number");
      return Status::OK();
    case LinkFrameType::kPing:
      if (header.payload_bytes != kLinkPingBytes) return Garbage("a ping of another length");
      break;
    case LinkFrameType::kClose:
      if (header.payload_bytes > kLinkCloseBytesMax) return Garbage("a close that is too long");
      break;
    default:
      return Garbage("type " + std::to_string(int(header.type)));
  }
  return header.sequence == 0 ? Status::OK() : Garbage("a sequence number that is not data's");
}

}  // namespace

LinkOutput MakeLinkOutput(LinkFrameHeader header, LinkBytes payload) {
  LinkOutput output;
  header.payload_bytes = payload ? uint32_t(payload->size()) : 0;
  char* const bytes = output.header.data();
  Put(header.payload_bytes, bytes);
  Put(uint32_t(header.type), bytes + 4);
  Put(header.sequence, bytes + 8);
  Put(header.acknowledged, bytes + 16);
  output.header_bytes = kLinkHeaderBytes;
  output.payload = std::move(payload);
  return output;
}

LinkOutput MakeLinkPing(uint64_t acknowledged, uint32_t heard_ago_ms) {
  std::string payload(kLinkPingBytes, '\0');
  Put(heard_ago_ms, payload.data());
  return MakeLinkOutput({.type = LinkFrameType::kPing, .acknowledged = acknowledged},
                        arrow::Buffer::FromString(std::move(payload)));
}

LinkOutput MakeLinkClose(std::string_view code, std::string_view message) {
  std::string payload = std::string(code) + "\n" + std::string(message);
  payload.resize(std::min(payload.size(), kLinkCloseBytesMax));
  return MakeLinkOutput({.type = LinkFrameType::kClose},
                        arrow::Buffer::FromString(std::move(payload)));
}

LinkOutput MakeLinkHandshake(const std::string& message) {
  std::string bytes(kHandshakeHeaderBytes, '\0');
  std::memcpy(bytes.data(), kLinkMagic.data(), kLinkMagic.size());
  Put(uint32_t(message.size()), bytes.data() + kLinkMagic.size());
  LinkOutput output;
  output.payload = arrow::Buffer::FromString(bytes + message);
  return output;
}

Result<LinkFrameHeader> DecodeLinkHeader(std::string_view bytes, size_t frame_bytes_max) {
  LinkFrameHeader header;
  header.payload_bytes = Get<uint32_t>(bytes.data());
  header.type = LinkFrameType(bytes[4]);
  if (bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0) return Garbage("bytes that must be zero");
  header.sequence = Get<uint64_t>(bytes.data() + 8);
  header.acknowledged = Get<uint64_t>(bytes.data() + 16);
  ARROW_RETURN_NOT_OK(CheckKind(header));
  if (header.payload_bytes > frame_bytes_max) {
    return ExternalError("oversize_frame",
                         "the peer sent a frame of " + std::to_string(header.payload_bytes) +
                             " bytes; at most " + std::to_string(frame_bytes_max) + " are taken",
                         Retry::kNo);
  }
  return header;
}

LinkFrameReader::LinkFrameReader(size_t frame_bytes_max)
    : frame_bytes_max_(frame_bytes_max), buffer_(kBufferBytesMin) {}

size_t LinkFrameReader::held_bytes() const {
  return buffer_.size() + (large_ ? size_t(large_->capacity()) : 0);
}

std::span<char> LinkFrameReader::Prepare() {
  if (large_) {
    return {reinterpret_cast<char*>(large_->mutable_data()) + large_filled_,
            size_t(large_->size()) - large_filled_};
  }
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0 && buffer_.size() - end_ < buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, available());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(std::min(kBufferBytesMax, buffer_.size() * 2));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void LinkFrameReader::Commit(size_t bytes) {
  if (!large_) {
    end_ += bytes;
    // A buffer that was filled at once is too small for what comes.
    if (begin_ == 0 && end_ == buffer_.size() && end_ < kBufferBytesMax) buffer_.resize(end_ * 2);
    return;
  }
  large_filled_ += bytes;
  large_failure_ = GrowLarge();
}

Result<std::optional<std::string>> LinkFrameReader::NextHandshake() {
  const std::string_view bytes = View();
  const size_t compared = std::min(bytes.size(), kLinkMagic.size());
  if (bytes.substr(0, compared) != kLinkMagic.substr(0, compared)) {
    if (bytes[0] == kTlsHandshake || bytes[0] == kTlsAlert) {
      return ExternalError("tls_failed", "one of the two speaks TLS, the other one does not",
                           Retry::kNo);
    }
    return ExternalError("bad_magic", "what the peer sent is not Millrace's protocol", Retry::kNo);
  }
  if (bytes.size() < kHandshakeHeaderBytes) return std::nullopt;
  const size_t message_bytes = Get<uint32_t>(bytes.data() + kLinkMagic.size());
  if (message_bytes > kLinkHandshakeBytesMax) {
    return ExternalError("oversize_handshake",
                         "the peer's handshake has " + std::to_string(message_bytes) +
                             " bytes; at most " + std::to_string(kLinkHandshakeBytesMax) +
                             " are taken",
                         Retry::kNo);
  }
  if (bytes.size() < kHandshakeHeaderBytes + message_bytes) return std::nullopt;
  begin_ += kHandshakeHeaderBytes + message_bytes;
  return std::string(bytes.substr(kHandshakeHeaderBytes, message_bytes));
}

Result<std::optional<LinkFrame>> LinkFrameReader::Next() {
  if (large_) {
    ARROW_RETURN_NOT_OK(large_failure_);
    if (large_filled_ < large_header_.payload_bytes) return std::nullopt;
    return LinkFrame{large_header_, LinkBytes(std::move(large_))};
  }
  if (available() < kLinkHeaderBytes) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(const LinkFrameHeader header, DecodeLinkHeader(View(), frame_bytes_max_));
  if (available() < kLinkHeaderBytes + header.payload_bytes) {
    if (header.payload_bytes > kSmallFrameBytes) ARROW_RETURN_NOT_OK(BeginLarge(header));
    return std::nullopt;
  }
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::Buffer> payload,
                        arrow::AllocateBuffer(header.payload_bytes));
  if (header.payload_bytes > 0) {
    std::memcpy(payload->mutable_data(), View().data() + kLinkHeaderBytes, header.payload_bytes);
  }
  begin_ += kLinkHeaderBytes + header.payload_bytes;
  return LinkFrame{header, LinkBytes(std::move(payload))};
}

Status LinkFrameReader::BeginLarge(const LinkFrameHeader& header) {
  const size_t first = std::min(size_t(header.payload_bytes), kLargeFrameBytesFirst);
  ARROW_ASSIGN_OR_RAISE(large_, arrow::AllocateResizableBuffer(int64_t(first)));
  large_header_ = header;
  large_filled_ = available() - kLinkHeaderBytes;
  std::memcpy(large_->mutable_data(), View().data() + kLinkHeaderBytes, large_filled_);
  begin_ = end_ = 0;
  return GrowLarge();
}

Status LinkFrameReader::GrowLarge() {
  const size_t size = size_t(large_->size());
  if (large_filled_ < size || size == large_header_.payload_bytes) return Status::OK();
  const size_t grown = std::min(size_t(large_header_.payload_bytes), size * kLargeFrameGrowth);
  return large_->Resize(int64_t(grown), /*shrink_to_fit=*/false);
}

}  // namespace millrace
