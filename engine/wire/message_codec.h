// What actors of a job send each other as bytes, for links between processes: envelope, schema,
// control message (Protobuf), and rows (Arrow IPC). docs/cluster-protocol.md, "Messages".
//
// An encoder and a decoder belong to one direction of one session: whatever is encoded is opened at
// the other end, all of it, once, in order. Each is used by one thread at a time.
//
//   sender:    link.Send(encoder.Encode(envelope, message, now))
//   receiver:  opened = decoder.Open(bytes); if the envelope is of this attempt:
//              message = decoder.Decode(opened, now)
#pragma once

#include <arrow/buffer.h>

#include <memory>
#include <string>

#include "engine/layout/job_layout.h"
#include "engine/wire/body_layout.h"
#include "engine/wire/protocol.h"
#include "engine/wire/schema_codec.h"
#include "engine/wire/wire_message.h"
#include "proto/exchange.pb.h"

namespace millrace {

// Of one message. Nothing longer is sent or taken.
inline constexpr int64_t kMessageBytesMax = int64_t(512) << 20;
// Of its control part: the objects that Protobuf makes of it take up to about 30 times as much.
inline constexpr int64_t kControlBytesMax = int64_t(16) << 20;
inline constexpr int64_t kEnvelopeBytesMax = 4096;

struct MessageEnvelope {
  std::string job;
  int64_t attempt = 0;  // counts the starts of a job
  Address sender = kCoordinatorAddress;
  Address receiver = kCoordinatorAddress;
  friend bool operator==(const MessageEnvelope&, const MessageEnvelope&) = default;
};

class MessageEncoder {
 public:
  // kProtocolMin <= protocol <= kProtocolMax.
  explicit MessageEncoder(int32_t protocol);

  // The whole message in a buffer of its own. `now`: of the clock that `fetched` is of. Fails
  // (internal) with "unsendable_message" or "unsendable_rows" where a struct is not whole, and with
  // "message_too_large"; then nothing has changed, and the session may go on.
  Result<std::shared_ptr<arrow::Buffer>> Encode(const MessageEnvelope& envelope,
                                                const WireMessage& message, MonotonicTime now);

 private:
  Status EncodeFrame(const ChannelFrame& message, MonotonicTime now);
  Status EncodeData(const DataFrame& data, MonotonicTime now, proto::ExchangeData* to);
  Result<std::shared_ptr<arrow::Buffer>> Assemble() const;

  const int32_t protocol_;
  SentSchemas schemas_;  // protocol 2
  // Protocol 1: the last that was sent, as bytes.
  std::shared_ptr<arrow::Schema> last_schema_;
  std::string last_schema_bytes_;

  // Of the message being encoded.
  proto::Envelope envelope_;
  proto::ExchangeMessage control_;
  const std::string* schema_bytes_ = nullptr;
  BodyLayout body_;
};

// A message whose envelope was read. Holds its bytes.
class OpenedMessage {
 public:
  const MessageEnvelope& envelope() const { return envelope_; }

 private:
  friend class MessageDecoder;
  MessageEnvelope envelope_;
  std::shared_ptr<arrow::Schema> schema_;  // protocol 1
  std::shared_ptr<arrow::Buffer> control_;
  std::shared_ptr<arrow::Buffer> metadata_;
  std::shared_ptr<arrow::Buffer> body_;
};

class MessageDecoder {
 public:
  explicit MessageDecoder(int32_t protocol);

  // Takes any bytes; what is wrong with them is "bad_message", and then the session cannot go on.
  // Reads the envelope, and learns the schema that the message may bring: so every message must be
  // opened, also one that is not decoded. `bytes` are not copied if they lie at a multiple of 8;
  // rows that are decoded keep them alive.
  Result<OpenedMessage> Open(const std::shared_ptr<arrow::Buffer>& bytes);

  // Before the next Open. Rows of a frame are whole, in order and safe to work with
  // (rows_decoder.h says what is verified); indexes of channels, nodes and sinks are not negative
  // where they must not be, but may be of none that there is. `now`: of the receiver's clock.
  Result<WireMessage> Decode(const OpenedMessage& message, MonotonicTime now) const;

 private:
  Result<WireMessage> DecodeData(const OpenedMessage& message, const proto::ExchangeFrame& control,
                                 MonotonicTime now) const;
  Status Learn(std::string_view schema, OpenedMessage* message);

  const int32_t protocol_;
  ReceivedSchemas schemas_;  // protocol 2
  // Protocol 1: the last that came, with its bytes.
  std::shared_ptr<arrow::Schema> last_schema_;
  std::string last_schema_bytes_;
};

}  // namespace millrace
