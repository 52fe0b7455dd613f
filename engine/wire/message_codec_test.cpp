// Control messages, envelopes and what is no message. Rows: rows_codec_test.cpp.
#include "engine/wire/message_codec.h"

#include <gtest/gtest.h>

#include "engine/wire/control_codec.h"
#include "engine/wire/wire_testing.h"

namespace millrace {
namespace {

// Two processes whose clocks have nothing in common: a message takes no time here.
constexpr MonotonicTime kSent = std::chrono::seconds(5000);
constexpr MonotonicTime kReceived = std::chrono::seconds(70);
// What was fetched 3 s before it was sent.
constexpr MonotonicTime kFetched = kSent - std::chrono::seconds(3);
constexpr MonotonicTime kFetchedThere = kReceived - std::chrono::seconds(3);

const MessageEnvelope kEnvelope = {"meters", 7, Address(12), kCoordinatorAddress};

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

// ---- every member of every message: structured bindings that do not compile with one more
// --------

bool Same(const TopicPartition& a, const TopicPartition& b) {
  const auto& [topic, partition] = a;
  return topic == b.topic && partition == b.partition;
}

bool Same(const StartPosition& a, const StartPosition& b) {
  const auto& [partition, offset] = a;
  return Same(partition, b.partition) && offset == b.offset;
}

bool Same(const Frame& a, const Frame& b) {
  const auto& [body, bytes] = a;
  if (bytes != b.bytes || body.index() != b.body.index()) return false;
  if (const auto* moved = std::get_if<WatermarkFrame>(&body)) {
    const auto& [watermark, fetched] = *moved;
    const auto& there = std::get<WatermarkFrame>(b.body);
    return watermark == there.watermark && fetched == kFetched && there.fetched == kFetchedThere;
  }
  if (const auto* barrier = std::get_if<BarrierFrame>(&body)) {
    const auto& [epoch] = *barrier;
    return epoch == std::get<BarrierFrame>(b.body).epoch;
  }
  return std::holds_alternative<EndFrame>(body);
}

struct SameMessage {
  const WireMessage& other;

  template <typename Message>
  const Message& There(const Message&) const {
    return std::get<Message>(other);
  }

  bool operator()(const ChannelFrame& a) const {
    const auto& [input, frame] = a;
    return input == There(a).input && Same(*frame, *There(a).frame);
  }
  bool operator()(const Credit& a) const {
    const auto& [output, bytes] = a;
    return output == There(a).output && bytes == There(a).bytes;
  }
  bool operator()(const StartReading& a) const {
    const auto& [partitions, forwarded] = a;
    const StartReading& b = There(a);
    if (forwarded != b.forwarded || partitions.size() != b.partitions.size()) return false;
    for (size_t i = 0; i < partitions.size(); ++i) {
      const auto& [start, watermark, last_offset, last_hash] = partitions[i];
      if (!Same(start, b.partitions[i].start) || watermark != b.partitions[i].watermark ||
          last_offset != b.partitions[i].last_offset || last_hash != b.partitions[i].last_hash) {
        return false;
      }
    }
    return true;
  }
  bool operator()(const AddPartition& a) const {
    const auto& [start] = a;
    return Same(start, There(a).start);
  }
  bool operator()(const OpenEpoch& a) const {
    const auto& [epoch] = a;
    return epoch == There(a).epoch;
  }
  bool operator()(const StreamWatermarkMoved& a) const {
    const auto& [watermark, fetched] = a;
    return watermark == There(a).watermark && fetched == kFetched &&
           There(a).fetched == kFetchedThere;
  }
  bool operator()(const PartitionFloor& a) const {
    const auto& [partition, floor] = a;
    return Same(partition, There(a).partition) && floor == There(a).floor;
  }
  bool operator()(const CheckpointCompleted& a) const {
    const auto& [epoch] = a;
    return epoch == There(a).epoch;
  }
  bool operator()(const PauseReading& a) const {
    const auto& [paused] = a;
    return paused == There(a).paused;
  }
  bool operator()(const FinishReading& a) const {
    const auto& [epoch, drain] = a;
    return epoch == There(a).epoch && drain == There(a).drain;
  }
  bool operator()(const WatermarkReport& a) const {
    const auto& [source, partitions, fetched] = a;
    return source == There(a).source && partitions == There(a).partitions && fetched == kFetched &&
           There(a).fetched == kFetchedThere;
  }
  template <typename Message>
  bool SamePartition(const Message& a) const {
    const auto& [source, partition] = a;
    return source == There(a).source && Same(partition, There(a).partition);
  }
  bool operator()(const PartitionIdle& a) const { return SamePartition(a); }
  bool operator()(const PartitionActive& a) const { return SamePartition(a); }
  bool operator()(const PartitionEnded& a) const { return SamePartition(a); }
  bool operator()(const PartitionFound& a) const {
    const auto& [source, start] = a;
    return source == There(a).source && Same(start, There(a).start);
  }
  bool operator()(const Acknowledge& a) const {
    const auto& [participant, epoch, what] = a;
    return participant == There(a).participant && epoch == There(a).epoch &&
           what->SerializeAsString() == There(a).what->SerializeAsString();
  }
  bool operator()(const OutboxGrew& a) const {
    const auto& [shard, unsealed_bytes] = a;
    return shard == There(a).shard && unsealed_bytes == There(a).unsealed_bytes;
  }
  bool operator()(const ParticipantDone& a) const {
    const auto& [participant] = a;
    return participant == There(a).participant;
  }
  bool operator()(const ReleaseSegments& a) const {
    const auto& [released] = a;
    const auto& [shard, epoch, segments] = released;
    const ReleasedSegments& b = There(a).released;
    if (shard != b.shard || epoch != b.epoch || segments.size() != b.segments.size()) return false;
    for (size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].SerializeAsString() != b.segments[i].SerializeAsString()) return false;
    }
    return true;
  }
  bool operator()(const ReleaseRoll& a) const {
    const auto& [released] = a;
    const auto& [shard, sink, roll] = released;
    const ReleasedRoll& b = There(a).released;
    return shard == b.shard && sink == b.sink &&
           roll.SerializeAsString() == b.roll.SerializeAsString();
  }
  bool operator()(const AskPermission& a) const {
    const auto& [shard] = a;
    return shard == There(a).shard;
  }
  bool operator()(const Permitted& a) const { return true; }
  bool operator()(const SegmentsPublished& a) const {
    const auto& [shard, epoch, next_row] = a;
    return shard == There(a).shard && epoch == There(a).epoch && next_row == There(a).next_row;
  }
  bool operator()(const RollPublished& a) const {
    const auto& [shard, sink, epoch] = a;
    return shard == There(a).shard && sink == There(a).sink && epoch == There(a).epoch;
  }
  bool operator()(const ParticipantFailed& a) const {
    const auto& [who, status] = a;
    return who == There(a).who && *status == *There(a).status &&
           status->ToString() == There(a).status->ToString();
  }
};

// ---- one of each, with a value of its own in every member ---------------------------------------

proto::Segment MakeSegment(int64_t first) {
  proto::Segment segment;
  segment.mutable_file()->set_path("outbox/" + std::to_string(first));
  segment.mutable_file()->set_bytes(first + 1);
  segment.mutable_file()->set_checksum(~uint64_t(first));
  segment.set_epoch(first + 2);
  segment.set_first_row(first + 3);
  segment.set_rows(first + 4);
  return segment;
}

Acknowledge MakeAcknowledge() {
  auto what = std::make_shared<proto::Acknowledgement>();
  what->mutable_reader()->set_source("taps");
  auto* const position = what->mutable_reader()->add_partitions();
  position->set_topic("readings");
  position->set_next_offset(61);
  position->set_watermark(INT64_MIN);
  what->mutable_task()->set_operator_id("minutes");
  what->mutable_task()->add_files()->set_local_name("000012.sst");
  what->mutable_shard()->set_next_row(62);
  what->mutable_account()->add_streams()->set_rows_in(63);
  return {ParticipantId(64), Epoch(65), std::move(what)};
}

std::vector<WireMessage> OneOfEach() {
  using testing::MakeFrame;
  ReleaseSegments segments{{71, Epoch(72), {MakeSegment(73), MakeSegment(80)}}};
  ReleaseRoll roll{{75, "minutes>parquet:lake", {}}};
  roll.released.roll.set_epoch(76);
  *roll.released.roll.add_segments() = MakeSegment(77);
  const Status failed = ExternalError("disk_full", "task 3: /state: no space left", Retry::kYes);
  return {
      ChannelFrame{1, MakeFrame(WatermarkFrame{At(2), kFetched}, 3)},
      ChannelFrame{4, MakeFrame(WatermarkFrame{kEventTimeMin, kFetched}, 0)},
      ChannelFrame{5, MakeFrame(BarrierFrame{Epoch(6)}, 0)},
      ChannelFrame{7, MakeFrame(EndFrame{}, 0)},
      Credit{8, int64_t(9) << 40},
      StartReading{{{{{"a", 10}, 11}, At(12), 13, uint64_t(14) << 60},
                    {{{"b", 15}, std::nullopt}, kEventTimeMin, -1, 0}},
                   At(16)},
      AddPartition{{{"c", 17}, 18}},
      AddPartition{{{"c\xff", 17}, std::nullopt}},
      OpenEpoch{Epoch(19)},
      StreamWatermarkMoved{kEventTimeMax, kFetched},
      PartitionFloor{{"d", 20}, At(-21)},
      CheckpointCompleted{Epoch(22)},
      PauseReading{true},
      FinishReading{Epoch(23), true},
      WatermarkReport{NodeId(24), {{{"e", 25}, At(26)}, {{"f", 27}, At(28)}}, kFetched},
      PartitionIdle{NodeId(29), {"g", 30}},
      PartitionActive{NodeId(31), {"h", 32}},
      PartitionEnded{NodeId(33), {"i", 34}},
      PartitionFound{NodeId(35), {{"j", 36}, 37}},
      MakeAcknowledge(),
      OutboxGrew{38, 39},
      ParticipantDone{ParticipantId(40)},
      segments,
      roll,
      AskPermission{41},
      Permitted{},
      SegmentsPublished{42, Epoch(43), 44},
      RollPublished{45, "minutes>json:out", Epoch(46)},
      ParticipantFailed{"task 3", std::make_shared<Status>(failed)},
  };
}

Result<WireMessage> Pass(const WireMessage& message, int32_t protocol) {
  MessageEncoder encoder(protocol);
  MessageDecoder decoder(protocol);
  ARROW_ASSIGN_OR_RAISE(const auto bytes, encoder.Encode(kEnvelope, message, kSent));
  ARROW_ASSIGN_OR_RAISE(const OpenedMessage opened, decoder.Open(bytes));
  EXPECT_EQ(opened.envelope(), kEnvelope);
  return decoder.Decode(opened, kReceived);
}

std::shared_ptr<arrow::Buffer> Changed(const arrow::Buffer& from, size_t at, uint8_t value) {
  std::string bytes = from.ToString();
  bytes[at] = char(value);
  return arrow::Buffer::FromString(std::move(bytes));
}

// Of a message that was made by hand.
std::shared_ptr<arrow::Buffer> Wrapped(const proto::ExchangeMessage& control,
                                       const MessageEnvelope& envelope = kEnvelope) {
  proto::Envelope made;
  made.set_job(envelope.job);
  made.set_attempt(envelope.attempt);
  made.set_sender(envelope.sender.value());
  made.set_receiver(envelope.receiver.value());
  const std::string parts[] = {made.SerializeAsString(), control.SerializeAsString()};
  std::string bytes(32, '\0');
  bytes[0] = 2;
  const auto set = [&](size_t at, uint32_t size) { std::memcpy(bytes.data() + at, &size, 4); };
  set(4, uint32_t(parts[0].size()));
  set(12, uint32_t(parts[1].size()));
  for (const std::string& part : parts) {
    bytes += part;
    bytes.resize((bytes.size() + 7) / 8 * 8);
  }
  return arrow::Buffer::FromString(std::move(bytes));
}

Status DecodeOf(const std::shared_ptr<arrow::Buffer>& bytes) {
  MessageDecoder decoder(2);
  ARROW_ASSIGN_OR_RAISE(const OpenedMessage opened, decoder.Open(bytes));
  return decoder.Decode(opened, kReceived).status();
}

TEST(MessageCodec, CarriesEveryMemberOfEveryMessage) {
  std::vector<bool> seen(std::variant_size_v<WireMessage>);
  for (const int32_t protocol : {kProtocolMin, kProtocolMax}) {
    for (const WireMessage& message : OneOfEach()) {
      const auto passed = Pass(message, protocol);
      ASSERT_TRUE(passed.ok()) << passed.status();
      ASSERT_EQ(passed->index(), message.index());
      EXPECT_TRUE(std::visit(SameMessage{*passed}, message)) << "message " << message.index();
      seen[message.index()] = true;
    }
  }
  EXPECT_EQ(std::ranges::count(seen, false), 0) << "a message that is not tried";
}

TEST(MessageCodec, AnAgeStaysAsLongAsItWas) {
  const auto pass = [](MonotonicTime fetched, MonotonicTime now, MonotonicTime now_there) {
    MessageEncoder encoder(2);
    MessageDecoder decoder(2);
    const auto bytes =
        encoder.Encode(kEnvelope, StreamWatermarkMoved{At(1), fetched}, now).ValueOrDie();
    const auto message = decoder.Decode(decoder.Open(bytes).ValueOrDie(), now_there).ValueOrDie();
    return std::get<StreamWatermarkMoved>(message).fetched.count();
  };
  using Nanos = MonotonicTime;
  EXPECT_EQ(pass(Nanos(100), Nanos(130), Nanos(5000)), 4970);
  EXPECT_EQ(pass(Nanos(0), Nanos(130), Nanos(5000)), 0);       // not known
  EXPECT_EQ(pass(Nanos(140), Nanos(130), Nanos(5000)), 5000);  // later than now: now
  EXPECT_EQ(pass(Nanos(100), Nanos(1000), Nanos(50)), 1);      // before the receiver's clock began
  proto::ExchangeAge age;
  age.set_nanoseconds(-5);
  EXPECT_EQ(DecodeAge(age, Nanos(70)).count(), 70);
  age.set_nanoseconds(INT64_MAX);
  EXPECT_EQ(DecodeAge(age, Nanos(70)).count(), 1);
}

TEST(MessageCodec, AStatusKeepsWhatAProgramCompares) {
  const auto pass = [](const Status& status) {
    proto::ExchangeStatus made;
    EncodeStatus(status, &made);
    return DecodeStatus(made);
  };
  EXPECT_TRUE(pass(Status::OK()).ok());
  for (const Status& status :
       {UserError("bad_flag", "x.yaml:3: no such column"), InternalError("broken", "y"),
        ExternalError("gone", "\xff", Retry::kNo), ExternalError("slow", "", Retry::kYes),
        Status::CapacityError("plain")}) {
    EXPECT_EQ(pass(status).ToString(), status.ToString());
    EXPECT_EQ(pass(status).code(), status.code());
  }
  class Other final : public arrow::StatusDetail {
   public:
    const char* type_id() const override { return "other"; }
    std::string ToString() const override { return "errno 28"; }
  };
  const Status other(arrow::StatusCode::IOError, "cannot write", std::make_shared<Other>());
  EXPECT_EQ(pass(other).message(), "cannot write (errno 28)");
}

TEST(MessageCodec, AStatusOfANewerBuildIsInternal) {
  proto::ExchangeStatus made;
  made.set_message("from the future");
  made.set_arrow_code(256 + int32_t(arrow::StatusCode::IOError));
  made.set_has_detail(true);
  made.set_domain(99);
  made.set_code("new_code");
  const Status status = DecodeStatus(made);
  EXPECT_EQ(status.code(), arrow::StatusCode::UnknownError);
  EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kInternal);
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "new_code");
  EXPECT_EQ(status.message(), "from the future");
}

TEST(MessageCodec, WhatIsNotWholeIsNotSent) {
  MessageEncoder encoder(2);
  const auto code = [&](const WireMessage& message) {
    return CodeOf(encoder.Encode(kEnvelope, message, kSent).status());
  };
  EXPECT_EQ(code(ChannelFrame{1, nullptr}), "unsendable_message");
  EXPECT_EQ(code(Acknowledge{ParticipantId(1), Epoch(1), nullptr}), "unsendable_message");
  EXPECT_EQ(code(ParticipantFailed{"task", nullptr}), "unsendable_message");
  EXPECT_EQ(code(RollPublished{1, std::string(size_t(kControlBytesMax), 'x'), Epoch(1)}),
            "message_too_large");
  const MessageEnvelope long_name = {std::string(size_t(kEnvelopeBytesMax), 'x'), 1, Address(2),
                                     Address(3)};
  EXPECT_EQ(CodeOf(encoder.Encode(long_name, Permitted{}, kSent).status()), "message_too_large");
  EXPECT_EQ(code(Permitted{}), "OK");
}

TEST(MessageCodec, AMessageOfAnotherProtocolIsRefused) {
  for (const auto& [ours, theirs] : {std::pair(1, 2), std::pair(2, 1)}) {
    MessageEncoder encoder(theirs);
    MessageDecoder decoder(ours);
    const auto bytes = encoder.Encode(kEnvelope, Permitted{}, kSent).ValueOrDie();
    EXPECT_EQ(CodeOf(decoder.Open(bytes).status()), "bad_message");
  }
}

TEST(MessageCodec, NumbersThatCannotBeAreRefused) {
  const auto code = [](const auto& set) {
    proto::ExchangeMessage control;
    set(&control);
    return CodeOf(DecodeOf(Wrapped(control)));
  };
  using Message = proto::ExchangeMessage;
  EXPECT_EQ(code([](Message* m) { m->mutable_credit()->set_bytes(4); }), "OK");
  EXPECT_EQ(code([](Message* m) { m->mutable_credit()->set_bytes(-1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_credit()->set_output(-1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_open_epoch()->set_epoch(-1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_ask_permission()->set_shard(-1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_participant_done()->set_participant(-1); }),
            "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_segments_published()->set_next_row(-1); }),
            "bad_message");
  EXPECT_EQ(
      code([](Message* m) { m->mutable_partition_idle()->mutable_partition()->set_partition(-1); }),
      "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_watermark_report()->set_source(-1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) { m->mutable_frame()->mutable_end(); }), "OK");
  EXPECT_EQ(code([](Message* m) { m->mutable_frame()->set_input(1); }), "bad_message");
  EXPECT_EQ(code([](Message* m) {
              m->mutable_frame()->mutable_end();
              m->mutable_frame()->set_input(-1);
            }),
            "bad_message");
  EXPECT_EQ(code([](Message* m) {
              m->mutable_frame()->mutable_barrier();
              m->mutable_frame()->set_bytes(-1);
            }),
            "bad_message");
  EXPECT_EQ(code([](Message* m) {}), "bad_message");  // of no kind: a newer build's
}

TEST(MessageCodec, EnvelopesWithNegativeNumbersAreRefused) {
  proto::ExchangeMessage control;
  control.mutable_permitted();
  EXPECT_TRUE(DecodeOf(Wrapped(control)).ok());
  for (const MessageEnvelope& envelope : {MessageEnvelope{"j", -1, Address(0), Address(0)},
                                          MessageEnvelope{"j", 0, Address(-2), Address(0)},
                                          MessageEnvelope{"j", 0, Address(0), Address(-2)}}) {
    EXPECT_EQ(CodeOf(DecodeOf(Wrapped(control, envelope))), "bad_message");
  }
}

// Whatever the bytes: refused, or some message.
TEST(MessageCodec, DamagedMessagesAreRefused) {
  MessageEncoder encoder(2);
  testing::FrameMaker random(3);
  for (const WireMessage& message : OneOfEach()) {
    const auto bytes = encoder.Encode(kEnvelope, message, kSent).ValueOrDie();
    for (int64_t size = 0; size < bytes->size(); ++size) {
      const auto cut = arrow::Buffer::FromString(bytes->ToString().substr(0, size_t(size)));
      EXPECT_EQ(CodeOf(DecodeOf(cut)), "bad_message") << size;
    }
    const auto longer = arrow::Buffer::FromString(bytes->ToString() + std::string(8, '\0'));
    EXPECT_EQ(CodeOf(DecodeOf(longer)), "bad_message");
    for (size_t at = 0; at < size_t(bytes->size()); ++at) {
      const Status status = DecodeOf(Changed(*bytes, at, uint8_t(random.Next())));
      EXPECT_TRUE(status.ok() || CodeOf(status) == "bad_message") << status;
    }
  }
}

}  // namespace
}  // namespace millrace
