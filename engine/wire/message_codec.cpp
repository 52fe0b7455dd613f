#include "engine/wire/message_codec.h"

#include <cstring>

#include "engine/wire/bad_message.h"
#include "engine/wire/body_parts.h"
#include "engine/wire/control_codec.h"
#include "engine/wire/rows_decoder.h"

namespace millrace {
namespace {

// The first bytes of a message, little-endian; then envelope, schema, control message, metadata of
// the record batch and body, each at a multiple of 8.
struct Header {
  uint8_t protocol = 0;
  uint8_t reserved[3] = {0, 0, 0};
  uint32_t envelope_bytes = 0;
  uint32_t schema_bytes = 0;
  uint32_t control_bytes = 0;
  uint32_t metadata_bytes = 0;
  uint32_t reserved2 = 0;
  uint64_t body_bytes = 0;
};
static_assert(sizeof(Header) == 32 && std::is_trivially_copyable_v<Header>);

Status TooLarge(std::string_view what, int64_t bytes, int64_t bytes_max) {
  return InternalError("message_too_large", std::string(what) + " of " + std::to_string(bytes) +
                                                " bytes; at most " + std::to_string(bytes_max) +
                                                " pass between processes");
}

// Splits a message at the places that its header says.
class Parts {
 public:
  Parts(const std::shared_ptr<arrow::Buffer>& bytes, int64_t at) : bytes_(bytes), at_(at) {}

  std::shared_ptr<arrow::Buffer> Take(int64_t bytes) {
    auto part = arrow::SliceBuffer(bytes_, at_, bytes);
    at_ += Padded(bytes);
    return part;
  }

 private:
  const std::shared_ptr<arrow::Buffer>& bytes_;
  int64_t at_;
};

bool IsAligned(const arrow::Buffer& bytes) {
  return reinterpret_cast<uintptr_t>(bytes.data()) % 8 == 0;
}

}  // namespace

// ---- MessageEncoder ----------------------------------------------------------------------------

MessageEncoder::MessageEncoder(int32_t protocol) : protocol_(protocol) {}

Result<std::shared_ptr<arrow::Buffer>> MessageEncoder::Encode(const MessageEnvelope& envelope,
                                                              const WireMessage& message,
                                                              MonotonicTime now) {
  const auto& [job, attempt, sender, receiver] = envelope;
  envelope_.set_job(job);
  envelope_.set_attempt(attempt);
  envelope_.set_sender(sender.value());
  envelope_.set_receiver(receiver.value());
  control_.Clear();
  body_.Clear();
  schema_bytes_ = nullptr;
  const auto* const frame = std::get_if<ChannelFrame>(&message);
  ARROW_RETURN_NOT_OK(frame == nullptr ? EncodeControl(message, now, &control_)
                                       : EncodeFrame(*frame, now));
  auto assembled = Assemble();
  if (!assembled.ok() && protocol_ >= 2 && schema_bytes_ != nullptr) schemas_.TakeBack();
  body_.Clear();  // lets go of the rows
  return assembled;
}

Status MessageEncoder::EncodeFrame(const ChannelFrame& message, MonotonicTime now) {
  if (message.frame == nullptr) return InternalError("unsendable_message", "no frame");
  const auto& [body, bytes] = *message.frame;
  const auto* const data = std::get_if<DataFrame>(&body);
  const auto* const letters = std::get_if<DeadLetterFrame>(&body);
  if (data == nullptr && letters == nullptr) return EncodeControl(message, now, &control_);
  proto::ExchangeFrame* const to = control_.mutable_frame();
  to->set_input(message.input);
  to->set_bytes(bytes);
  if (data != nullptr) return EncodeData(*data, now, to->mutable_data());
  const auto& [list] = *letters;
  return body_.LayOut(list, to->mutable_letters());
}

Status MessageEncoder::EncodeData(const DataFrame& data, MonotonicTime now,
                                  proto::ExchangeData* to) {
  const auto& [node, rows, hashes, selection, sink, fetched] = data;
  to->set_node(node.value());
  to->set_sink(sink);
  if (fetched.count() > 0) EncodeAge(fetched, now, to->mutable_fetched());
  ARROW_RETURN_NOT_OK(body_.LayOut(data, to->mutable_rows()));
  if (protocol_ >= 2) {
    ARROW_ASSIGN_OR_RAISE(const SentSchemas::Sent sent, schemas_.NumberOf(rows.batch->schema()));
    to->mutable_rows()->set_schema(sent.number);
    schema_bytes_ = sent.bytes;
    return Status::OK();
  }
  if (last_schema_ != rows.batch->schema()) {
    ARROW_ASSIGN_OR_RAISE(last_schema_bytes_, EncodeSchema(*rows.batch->schema()));
    last_schema_ = rows.batch->schema();
  }
  schema_bytes_ = &last_schema_bytes_;
  return Status::OK();
}

Result<std::shared_ptr<arrow::Buffer>> MessageEncoder::Assemble() const {
  const auto envelope_bytes = int64_t(envelope_.ByteSizeLong());
  const auto control_bytes = int64_t(control_.ByteSizeLong());
  const std::string_view schema = schema_bytes_ == nullptr ? std::string_view() : *schema_bytes_;
  const std::string_view metadata = body_.metadata();
  if (envelope_bytes > kEnvelopeBytesMax) {
    return TooLarge("an envelope", envelope_bytes, kEnvelopeBytesMax);
  }
  if (control_bytes > kControlBytesMax) {
    return TooLarge("a message", control_bytes, kControlBytesMax);
  }
  const int64_t total = int64_t(sizeof(Header)) + Padded(envelope_bytes) +
                        Padded(int64_t(schema.size())) + Padded(control_bytes) +
                        Padded(int64_t(metadata.size())) + body_.body_bytes();
  if (total > kMessageBytesMax) return TooLarge("a message", total, kMessageBytesMax);

  Header header;
  header.protocol = uint8_t(protocol_);
  header.envelope_bytes = uint32_t(envelope_bytes);
  header.schema_bytes = uint32_t(schema.size());
  header.control_bytes = uint32_t(control_bytes);
  header.metadata_bytes = uint32_t(metadata.size());
  header.body_bytes = uint64_t(body_.body_bytes());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> message, arrow::AllocateBuffer(total));
  uint8_t* at = message->mutable_data();
  const auto pad = [&](int64_t bytes) {
    std::memset(at + bytes, 0, size_t(Padded(bytes) - bytes));
    at += Padded(bytes);
  };
  const auto append = [&](const void* data, size_t bytes) {
    if (bytes > 0) std::memcpy(at, data, bytes);
    pad(int64_t(bytes));
  };
  append(&header, sizeof(header));
  envelope_.SerializeWithCachedSizesToArray(at);
  pad(envelope_bytes);
  append(schema.data(), schema.size());
  control_.SerializeWithCachedSizesToArray(at);
  pad(control_bytes);
  append(metadata.data(), metadata.size());
  body_.Write(at);
  return message;
}

// ---- MessageDecoder ----------------------------------------------------------------------------

MessageDecoder::MessageDecoder(int32_t protocol) : protocol_(protocol) {}

Result<OpenedMessage> MessageDecoder::Open(const std::shared_ptr<arrow::Buffer>& bytes) {
  Header header;
  if (bytes->size() < int64_t(sizeof(header))) return BadMessage("a message without a header");
  if (bytes->size() > kMessageBytesMax) return BadMessage("a message that is too long");
  std::memcpy(&header, bytes->data(), sizeof(header));
  if (header.protocol != protocol_) {
    return BadMessage("a message of protocol " + std::to_string(header.protocol) +
                      " in a session of protocol " + std::to_string(protocol_));
  }
  // No sum of these overflows: each is less than 2^33 or was compared.
  if (header.envelope_bytes > kEnvelopeBytesMax || header.schema_bytes > kSchemaBytesMax ||
      header.control_bytes > kControlBytesMax || header.body_bytes > uint64_t(kMessageBytesMax)) {
    return BadMessage("a part of a message that is too long");
  }
  const int64_t total = int64_t(sizeof(header)) + Padded(header.envelope_bytes) +
                        Padded(header.schema_bytes) + Padded(header.control_bytes) +
                        Padded(header.metadata_bytes) + int64_t(header.body_bytes);
  if (total != bytes->size()) return BadMessage("a message of another length than its parts");

  OpenedMessage message;
  Parts parts(bytes, sizeof(header));
  const auto envelope_bytes = parts.Take(header.envelope_bytes);
  proto::Envelope envelope;
  if (!envelope.ParseFromArray(envelope_bytes->data(), int(envelope_bytes->size()))) {
    return BadMessage("an envelope that cannot be read");
  }
  if (envelope.attempt() < 0 || envelope.sender() < kCoordinatorAddress.value() ||
      envelope.receiver() < kCoordinatorAddress.value()) {
    return BadMessage("an envelope with a negative number");
  }
  message.envelope_ = {std::move(*envelope.mutable_job()), envelope.attempt(),
                       Address(envelope.sender()), Address(envelope.receiver())};
  const auto schema = parts.Take(header.schema_bytes);
  if (schema->size() > 0) {
    ARROW_RETURN_NOT_OK(Learn(std::string_view(*schema), &message));
  }
  message.control_ = parts.Take(header.control_bytes);
  message.metadata_ = parts.Take(header.metadata_bytes);
  message.body_ = parts.Take(int64_t(header.body_bytes));
  return message;
}

Status MessageDecoder::Learn(std::string_view schema, OpenedMessage* message) {
  if (protocol_ >= 2) return schemas_.Add(schema);
  if (last_schema_ == nullptr || schema != last_schema_bytes_) {
    ARROW_ASSIGN_OR_RAISE(last_schema_, DecodeSchema(schema));
    last_schema_bytes_ = schema;
  }
  message->schema_ = last_schema_;
  return Status::OK();
}

Result<WireMessage> MessageDecoder::Decode(const OpenedMessage& message, MonotonicTime now) const {
  proto::ExchangeMessage control;
  if (!control.ParseFromArray(message.control_->data(), int(message.control_->size()))) {
    return BadMessage("a control message that cannot be read");
  }
  if (control.frame().has_data() || control.frame().has_letters()) {
    return DecodeData(message, control.frame(), now);
  }
  if (message.metadata_->size() > 0 || message.body_->size() > 0) {
    return BadMessage("a control message with a body");
  }
  return DecodeControl(&control, now);
}

Result<WireMessage> MessageDecoder::DecodeData(const OpenedMessage& message,
                                               const proto::ExchangeFrame& control,
                                               MonotonicTime now) const {
  if (control.input() < 0 || control.bytes() < 0) {
    return BadMessage("a frame with a negative number");
  }
  std::shared_ptr<arrow::Buffer> metadata = message.metadata_;
  std::shared_ptr<arrow::Buffer> body = message.body_;
  // Both or none, since their distance is a multiple of 8.
  if (!IsAligned(*body)) {
    ARROW_ASSIGN_OR_RAISE(metadata, metadata->CopySlice(0, metadata->size()));
    ARROW_ASSIGN_OR_RAISE(body, body->CopySlice(0, body->size()));
  }
  auto frame = std::make_shared<Frame>();
  frame->bytes = control.bytes();
  if (control.has_letters()) {
    ARROW_ASSIGN_OR_RAISE(std::vector<DeadLetter> letters,
                          DecodeLetters(control.letters(), metadata, body));
    frame->body = DeadLetterFrame{std::move(letters)};
    return ChannelFrame{control.input(), std::move(frame)};
  }
  const proto::ExchangeData& from = control.data();
  DataFrame data;
  data.node = NodeId(from.node());
  data.sink = from.sink();
  if (from.node() < 0 || from.sink() < -1) return BadMessage("rows for a negative node or sink");
  if (from.has_fetched()) data.fetched = DecodeAge(from.fetched(), now);
  std::shared_ptr<arrow::Schema> schema = message.schema_;
  if (protocol_ >= 2) {
    ARROW_ASSIGN_OR_RAISE(schema, schemas_.Get(from.rows().schema()));
  } else if (schema == nullptr) {
    return BadMessage("rows without a schema");
  }
  ARROW_RETURN_NOT_OK(DecodeRows(from.rows(), schema, metadata, body, &data));
  frame->body = std::move(data);
  return ChannelFrame{control.input(), std::move(frame)};
}

}  // namespace millrace
