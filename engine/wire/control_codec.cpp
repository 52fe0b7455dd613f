#include "engine/wire/control_codec.h"

#include <utility>

#include "engine/wire/bad_message.h"

namespace millrace {
namespace {

int64_t Count(EventTime time) { return time.time_since_epoch().count(); }
EventTime Time(int64_t micros) { return EventTime(Micros(micros)); }

// ---- to Protobuf -----------------------------------------------------------------------------

void Put(const TopicPartition& from, proto::ExchangePartition* to) {
  const auto& [topic, partition] = from;
  to->set_topic(topic);
  to->set_partition(partition);
}

void Put(const StartPosition& from, proto::ExchangeStart* to) {
  const auto& [partition, offset] = from;
  Put(partition, to->mutable_partition());
  if (offset.has_value()) to->set_offset(*offset);
}

void Put(NodeId source, const TopicPartition& partition, proto::ExchangeSourcePartition* to) {
  to->set_source(source.value());
  Put(partition, to->mutable_partition());
}

static_assert(std::is_empty_v<Permitted> && std::is_empty_v<EndFrame>);

struct Encoder {
  MonotonicTime now;
  proto::ExchangeMessage* to;

  void Watermark(EventTime watermark, MonotonicTime fetched, proto::ExchangeWatermark* moved) {
    moved->set_watermark(Count(watermark));
    if (fetched.count() > 0) EncodeAge(fetched, now, moved->mutable_fetched());
  }

  Status operator()(const ChannelFrame& from) {
    const auto& [input, frame] = from;
    if (frame == nullptr) return InternalError("unsendable_message", "no frame");
    const auto& [body, bytes] = *frame;
    proto::ExchangeFrame* const made = to->mutable_frame();
    made->set_input(input);
    made->set_bytes(bytes);
    if (const auto* moved = std::get_if<WatermarkFrame>(&body)) {
      const auto& [watermark, fetched] = *moved;
      Watermark(watermark, fetched, made->mutable_watermark());
    } else if (const auto* barrier = std::get_if<BarrierFrame>(&body)) {
      const auto& [epoch] = *barrier;
      made->mutable_barrier()->set_epoch(epoch.value());
    } else if (std::holds_alternative<EndFrame>(body)) {
      made->mutable_end();
    } else {
      return InternalError("unsendable_message", "rows in a control message");
    }
    return Status::OK();
  }

  Status operator()(const Credit& from) {
    const auto& [output, bytes] = from;
    to->mutable_credit()->set_output(output);
    to->mutable_credit()->set_bytes(bytes);
    return Status::OK();
  }

  Status operator()(const StartReading& from) {
    const auto& [partitions, forwarded] = from;
    proto::ExchangeStartReading* const made = to->mutable_start_reading();
    for (const StartReading::Partition& each : partitions) {
      const auto& [start, watermark, last_offset, last_hash] = each;
      auto* const partition = made->add_partitions();
      Put(start, partition->mutable_start());
      partition->set_watermark(Count(watermark));
      partition->set_last_offset(last_offset);
      partition->set_last_hash(last_hash);
    }
    made->set_forwarded(Count(forwarded));
    return Status::OK();
  }

  Status operator()(const AddPartition& from) {
    const auto& [start] = from;
    Put(start, to->mutable_add_partition()->mutable_start());
    return Status::OK();
  }

  Status operator()(const OpenEpoch& from) {
    const auto& [epoch] = from;
    to->mutable_open_epoch()->set_epoch(epoch.value());
    return Status::OK();
  }

  Status operator()(const StreamWatermarkMoved& from) {
    const auto& [watermark, fetched] = from;
    Watermark(watermark, fetched, to->mutable_stream_watermark_moved());
    return Status::OK();
  }

  Status operator()(const PartitionFloor& from) {
    const auto& [partition, floor] = from;
    Put(partition, to->mutable_partition_floor()->mutable_partition());
    to->mutable_partition_floor()->set_floor(Count(floor));
    return Status::OK();
  }

  Status operator()(const CheckpointCompleted& from) {
    const auto& [epoch] = from;
    to->mutable_checkpoint_completed()->set_epoch(epoch.value());
    return Status::OK();
  }

  Status operator()(const PauseReading& from) {
    const auto& [paused] = from;
    to->mutable_pause_reading()->set_paused(paused);
    return Status::OK();
  }

  Status operator()(const FinishReading& from) {
    const auto& [epoch, drain] = from;
    to->mutable_finish_reading()->set_epoch(epoch.value());
    to->mutable_finish_reading()->set_drain(drain);
    return Status::OK();
  }

  Status operator()(const WatermarkReport& from) {
    const auto& [source, partitions, fetched] = from;
    proto::ExchangeWatermarkReport* const made = to->mutable_watermark_report();
    made->set_source(source.value());
    for (const auto& [partition, watermark] : partitions) {
      auto* const reported = made->add_partitions();
      Put(partition, reported->mutable_partition());
      reported->set_watermark(Count(watermark));
    }
    if (fetched.count() > 0) EncodeAge(fetched, now, made->mutable_fetched());
    return Status::OK();
  }

  Status operator()(const PartitionIdle& from) {
    const auto& [source, partition] = from;
    Put(source, partition, to->mutable_partition_idle());
    return Status::OK();
  }

  Status operator()(const PartitionActive& from) {
    const auto& [source, partition] = from;
    Put(source, partition, to->mutable_partition_active());
    return Status::OK();
  }

  Status operator()(const PartitionEnded& from) {
    const auto& [source, partition] = from;
    Put(source, partition, to->mutable_partition_ended());
    return Status::OK();
  }

  Status operator()(const PartitionFound& from) {
    const auto& [source, start] = from;
    to->mutable_partition_found()->set_source(source.value());
    Put(start, to->mutable_partition_found()->mutable_start());
    return Status::OK();
  }

  Status operator()(const Acknowledge& from) {
    const auto& [participant, epoch, what] = from;
    if (what == nullptr) return InternalError("unsendable_message", "an empty acknowledgement");
    proto::ExchangeAcknowledge* const made = to->mutable_acknowledge();
    made->set_participant(participant.value());
    made->set_epoch(epoch.value());
    *made->mutable_what() = *what;
    return Status::OK();
  }

  Status operator()(const OutboxGrew& from) {
    const auto& [shard, unsealed_bytes] = from;
    to->mutable_outbox_grew()->set_shard(shard);
    to->mutable_outbox_grew()->set_unsealed_bytes(unsealed_bytes);
    return Status::OK();
  }

  Status operator()(const ParticipantDone& from) {
    const auto& [participant] = from;
    to->mutable_participant_done()->set_participant(participant.value());
    return Status::OK();
  }

  Status operator()(const ReleaseSegments& from) {
    const auto& [released] = from;
    const auto& [shard, epoch, segments] = released;
    proto::ExchangeReleaseSegments* const made = to->mutable_release_segments();
    made->set_shard(shard);
    made->set_epoch(epoch.value());
    made->mutable_segments()->Assign(segments.begin(), segments.end());
    return Status::OK();
  }

  Status operator()(const ReleaseRoll& from) {
    const auto& [released] = from;
    const auto& [shard, sink, roll] = released;
    proto::ExchangeReleaseRoll* const made = to->mutable_release_roll();
    made->set_shard(shard);
    made->set_sink(sink);
    *made->mutable_roll() = roll;
    return Status::OK();
  }

  Status operator()(const AskPermission& from) {
    const auto& [shard] = from;
    to->mutable_ask_permission()->set_shard(shard);
    return Status::OK();
  }

  Status operator()(const Permitted& from) {
    to->mutable_permitted();
    return Status::OK();
  }

  Status operator()(const SegmentsPublished& from) {
    const auto& [shard, epoch, next_row] = from;
    proto::ExchangeSegmentsPublished* const made = to->mutable_segments_published();
    made->set_shard(shard);
    made->set_epoch(epoch.value());
    made->set_next_row(next_row);
    return Status::OK();
  }

  Status operator()(const RollPublished& from) {
    const auto& [shard, sink, epoch] = from;
    proto::ExchangeRollPublished* const made = to->mutable_roll_published();
    made->set_shard(shard);
    made->set_sink(sink);
    made->set_epoch(epoch.value());
    return Status::OK();
  }

  Status operator()(const ParticipantFailed& from) {
    const auto& [who, status] = from;
    if (status == nullptr) return InternalError("unsendable_message", "a failure without a status");
    to->mutable_participant_failed()->set_who(who);
    EncodeStatus(*status, to->mutable_participant_failed()->mutable_status());
    return Status::OK();
  }
};

// ---- from Protobuf ---------------------------------------------------------------------------

// Keeps the first thing that was wrong.
class Decoder {
 public:
  explicit Decoder(MonotonicTime now) : now_(now) {}

  WireMessage Read(proto::ExchangeMessage* from);
  const Status& status() const { return status_; }

 private:
  template <typename Number>
  Number NotNegative(Number number, const char* what) {
    if (number < 0 && status_.ok()) {
      status_ = BadMessage(std::string("a negative ") + what + " (" + std::to_string(number) + ")");
    }
    return number;
  }
  Epoch ReadEpoch(int64_t number) { return Epoch(NotNegative(number, "epoch")); }
  NodeId Node(int32_t number) { return NodeId(NotNegative(number, "node")); }
  int32_t Shard(int32_t number) { return NotNegative(number, "shard"); }
  ParticipantId Participant(int32_t number) {
    return ParticipantId(NotNegative(number, "participant"));
  }
  TopicPartition Partition(proto::ExchangePartition* from) {
    return {std::move(*from->mutable_topic()), NotNegative(from->partition(), "partition")};
  }
  StartPosition Start(proto::ExchangeStart* from) {
    StartPosition start;
    start.partition = Partition(from->mutable_partition());
    if (from->has_offset()) start.offset = from->offset();
    return start;
  }
  template <typename Message>
  MonotonicTime Fetched(const Message& from) {
    return from.has_fetched() ? DecodeAge(from.fetched(), now_) : MonotonicTime(0);
  }

  WireMessage Read(const proto::ExchangeFrame& from);
  WireMessage Read(proto::ExchangeStartReading* from);
  WireMessage Read(proto::ExchangeWatermarkReport* from);
  WireMessage Read(proto::ExchangeAcknowledge* from);
  WireMessage Read(proto::ExchangeReleaseSegments* from);

  const MonotonicTime now_;
  Status status_;
};

WireMessage Decoder::Read(const proto::ExchangeFrame& from) {
  auto frame = std::make_shared<Frame>();
  frame->bytes = NotNegative(from.bytes(), "size of a frame");
  switch (from.body_case()) {
    case proto::ExchangeFrame::kWatermark:
      frame->body = WatermarkFrame{Time(from.watermark().watermark()), Fetched(from.watermark())};
      break;
    case proto::ExchangeFrame::kBarrier:
      frame->body = BarrierFrame{ReadEpoch(from.barrier().epoch())};
      break;
    case proto::ExchangeFrame::kEnd:
      frame->body = EndFrame{};
      break;
    default:
      if (status_.ok()) status_ = BadMessage("a frame of an unknown kind");
  }
  return ChannelFrame{NotNegative(from.input(), "input"), std::move(frame)};
}

WireMessage Decoder::Read(proto::ExchangeStartReading* from) {
  StartReading start;
  start.partitions.reserve(size_t(from->partitions_size()));
  for (auto& each : *from->mutable_partitions()) {
    start.partitions.push_back({Start(each.mutable_start()), Time(each.watermark()),
                                each.last_offset(), each.last_hash()});
  }
  start.forwarded = Time(from->forwarded());
  return start;
}

WireMessage Decoder::Read(proto::ExchangeWatermarkReport* from) {
  WatermarkReport report;
  report.source = Node(from->source());
  report.partitions.reserve(size_t(from->partitions_size()));
  for (auto& each : *from->mutable_partitions()) {
    report.partitions.emplace_back(Partition(each.mutable_partition()), Time(each.watermark()));
  }
  report.fetched = Fetched(*from);
  return report;
}

WireMessage Decoder::Read(proto::ExchangeAcknowledge* from) {
  return Acknowledge{
      Participant(from->participant()), ReadEpoch(from->epoch()),
      std::make_shared<const proto::Acknowledgement>(std::move(*from->mutable_what()))};
}

WireMessage Decoder::Read(proto::ExchangeReleaseSegments* from) {
  ReleaseSegments release;
  release.released.shard = Shard(from->shard());
  release.released.epoch = ReadEpoch(from->epoch());
  release.released.segments.reserve(size_t(from->segments_size()));
  for (auto& segment : *from->mutable_segments()) {
    release.released.segments.push_back(std::move(segment));
  }
  return release;
}

WireMessage Decoder::Read(proto::ExchangeMessage* from) {
  using Message = proto::ExchangeMessage;
  switch (from->kind_case()) {
    case Message::kFrame:
      return Read(from->frame());
    case Message::kCredit:
      return Credit{NotNegative(from->credit().output(), "output"),
                    NotNegative(from->credit().bytes(), "credit")};
    case Message::kStartReading:
      return Read(from->mutable_start_reading());
    case Message::kAddPartition:
      return AddPartition{Start(from->mutable_add_partition()->mutable_start())};
    case Message::kOpenEpoch:
      return OpenEpoch{ReadEpoch(from->open_epoch().epoch())};
    case Message::kStreamWatermarkMoved: {
      const proto::ExchangeWatermark& moved = from->stream_watermark_moved();
      return StreamWatermarkMoved{Time(moved.watermark()), Fetched(moved)};
    }
    case Message::kPartitionFloor: {
      auto* const floor = from->mutable_partition_floor();
      return PartitionFloor{Partition(floor->mutable_partition()), Time(floor->floor())};
    }
    case Message::kCheckpointCompleted:
      return CheckpointCompleted{ReadEpoch(from->checkpoint_completed().epoch())};
    case Message::kPauseReading:
      return PauseReading{from->pause_reading().paused()};
    case Message::kFinishReading:
      return FinishReading{ReadEpoch(from->finish_reading().epoch()),
                           from->finish_reading().drain()};
    case Message::kWatermarkReport:
      return Read(from->mutable_watermark_report());
    case Message::kPartitionIdle: {
      auto* const idle = from->mutable_partition_idle();
      return PartitionIdle{Node(idle->source()), Partition(idle->mutable_partition())};
    }
    case Message::kPartitionActive: {
      auto* const active = from->mutable_partition_active();
      return PartitionActive{Node(active->source()), Partition(active->mutable_partition())};
    }
    case Message::kPartitionEnded: {
      auto* const ended = from->mutable_partition_ended();
      return PartitionEnded{Node(ended->source()), Partition(ended->mutable_partition())};
    }
    case Message::kPartitionFound: {
      auto* const found = from->mutable_partition_found();
      return PartitionFound{Node(found->source()), Start(found->mutable_start())};
    }
    case Message::kAcknowledge:
      return Read(from->mutable_acknowledge());
    case Message::kOutboxGrew:
      return OutboxGrew{Shard(from->outbox_grew().shard()),
                        NotNegative(from->outbox_grew().unsealed_bytes(), "size of an outbox")};
    case Message::kParticipantDone:
      return ParticipantDone{Participant(from->participant_done().participant())};
    case Message::kReleaseSegments:
      return Read(from->mutable_release_segments());
    case Message::kReleaseRoll: {
      auto* const roll = from->mutable_release_roll();
      return ReleaseRoll{{Shard(roll->shard()), std::move(*roll->mutable_sink()),
                          std::move(*roll->mutable_roll())}};
    }
    case Message::kAskPermission:
      return AskPermission{Shard(from->ask_permission().shard())};
    case Message::kPermitted:
      return Permitted{};
    case Message::kSegmentsPublished: {
      const proto::ExchangeSegmentsPublished& published = from->segments_published();
      return SegmentsPublished{Shard(published.shard()), ReadEpoch(published.epoch()),
                               NotNegative(published.next_row(), "row")};
    }
    case Message::kRollPublished: {
      auto* const published = from->mutable_roll_published();
      return RollPublished{Shard(published->shard()), std::move(*published->mutable_sink()),
                           ReadEpoch(published->epoch())};
    }
    case Message::kParticipantFailed: {
      auto* const failed = from->mutable_participant_failed();
      return ParticipantFailed{std::move(*failed->mutable_who()),
                               std::make_shared<Status>(DecodeStatus(failed->status()))};
    }
    case Message::KIND_NOT_SET:
      break;
  }
  if (status_.ok()) status_ = BadMessage("a message of an unknown kind");
  return Permitted{};
}

// Codes that Arrow does not know become kUnknownError.
arrow::StatusCode StatusCodeOf(int32_t code) {
  switch (const auto known = arrow::StatusCode(char(code)); known) {
    case arrow::StatusCode::OutOfMemory:
    case arrow::StatusCode::KeyError:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::IOError:
    case arrow::StatusCode::CapacityError:
    case arrow::StatusCode::IndexError:
    case arrow::StatusCode::Cancelled:
    case arrow::StatusCode::NotImplemented:
    case arrow::StatusCode::SerializationError:
    case arrow::StatusCode::RError:
    case arrow::StatusCode::CodeGenError:
    case arrow::StatusCode::ExpressionValidationError:
    case arrow::StatusCode::ExecutionError:
    case arrow::StatusCode::AlreadyExists:
      if (int32_t(known) == code) return known;
      break;
    default:
      break;
  }
  return arrow::StatusCode::UnknownError;
}

}  // namespace

void EncodeAge(MonotonicTime time, MonotonicTime now, proto::ExchangeAge* age) {
  age->set_nanoseconds(std::max<int64_t>(0, (now - time).count()));
}

MonotonicTime DecodeAge(const proto::ExchangeAge& age, MonotonicTime now) {
  const int64_t nanoseconds = std::max<int64_t>(0, age.nanoseconds());
  return now.count() > nanoseconds ? now - MonotonicTime(nanoseconds) : MonotonicTime(1);
}

void EncodeStatus(const Status& status, proto::ExchangeStatus* to) {
  to->set_arrow_code(int32_t(status.code()));
  if (status.ok()) return;
  to->set_message(status.message());
  if (const ErrorDetail* const detail = ErrorDetail::Of(status)) {
    to->set_has_detail(true);
    to->set_domain(int32_t(detail->domain()));
    to->set_retry(detail->retry() == Retry::kYes);
    to->set_code(detail->code());
  } else if (status.detail() != nullptr) {
    // Another library's: its words are what can be carried.
    to->set_message(status.message() + " (" + status.detail()->ToString() + ")");
  }
}

Status DecodeStatus(const proto::ExchangeStatus& from) {
  if (from.arrow_code() == int32_t(arrow::StatusCode::OK)) return Status::OK();
  std::shared_ptr<arrow::StatusDetail> detail;
  if (from.has_detail()) {
    ErrorDomain domain = ErrorDomain::kInternal;
    if (from.domain() == int32_t(ErrorDomain::kUser)) domain = ErrorDomain::kUser;
    if (from.domain() == int32_t(ErrorDomain::kExternal)) domain = ErrorDomain::kExternal;
    detail =
        std::make_shared<ErrorDetail>(domain, from.retry() ? Retry::kYes : Retry::kNo, from.code());
  }
  return Status(StatusCodeOf(from.arrow_code()), from.message(), std::move(detail));
}

Status EncodeControl(const WireMessage& message, MonotonicTime now, proto::ExchangeMessage* to) {
  return std::visit(Encoder{now, to}, message);
}

Result<WireMessage> DecodeControl(proto::ExchangeMessage* from, MonotonicTime now) {
  Decoder decoder(now);
  WireMessage message = decoder.Read(from);
  ARROW_RETURN_NOT_OK(decoder.status());
  return message;
}

}  // namespace millrace
