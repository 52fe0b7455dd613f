#include "engine/exchange/exchange.h"

#include "engine/metrics/log.h"

namespace millrace {
namespace {

// A control message begins with this byte, and seven of zero; an actor's message with a protocol.
constexpr uint8_t kControlMark = 0xC0;
constexpr int64_t kControlPrefixBytes = 8;

bool IsControl(const LinkBytes& frame) {
  return frame->size() >= kControlPrefixBytes && frame->data()[0] == kControlMark;
}

// The handlers of every message that can pass between processes.
template <typename Send, typename... Messages>
caf::behavior ProxyBehavior(caf::event_based_actor* self, Send send,
                            const std::variant<Messages...>*) {
  return {[send](const Messages& message) { send(WireMessage(message)); }...,
          [self](millrace::Stop) { self->quit(); }};
}

}  // namespace

Result<std::unique_ptr<Exchange>> Exchange::Start(LinkOptions options, ExchangeObserver* observer,
                                                  const Clock* clock) {
  std::unique_ptr<Exchange> exchange(new Exchange(observer, clock));
  ARROW_ASSIGN_OR_RAISE(exchange->network_, LinkNetwork::Start(std::move(options), exchange.get()));
  return exchange;
}

Exchange::~Exchange() {
  if (network_ != nullptr) network_->Stop();
}

std::shared_ptr<Exchange::Session> Exchange::Find(LinkSessionId session) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second;
}

Status Exchange::SendControl(LinkSessionId session, const proto::ClusterMessage& message) {
  std::string bytes(size_t(kControlPrefixBytes), '\0');
  bytes[0] = char(kControlMark);
  if (!message.AppendToString(&bytes)) {
    return InternalError("unsendable_message", "a control message could not be encoded");
  }
  return network_->Send(session, arrow::Buffer::FromString(std::move(bytes)));
}

void Exchange::Register(const AttemptId& id, std::map<Address, caf::actor> actors) {
  const std::lock_guard lock(mutex_);
  attempts_[id] = std::move(actors);
}

void Exchange::Unregister(const AttemptId& id) {
  std::map<Address, caf::actor> actors;
  const std::lock_guard lock(mutex_);
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  actors = std::move(found->second);
  attempts_.erase(found);
}

caf::actor Exchange::MakeProxy(caf::actor_system& system, LinkSessionId session,
                               const AttemptId& id, Address address) {
  MessageEnvelope envelope;
  envelope.job = id.job;
  envelope.attempt = id.attempt;
  envelope.receiver = address;
  return system.spawn([this, session, envelope](caf::event_based_actor* self) -> caf::behavior {
    const auto send = [this, session, envelope](const WireMessage& message) {
      SendToActor(session, envelope, message);
    };
    return ProxyBehavior(self, send, static_cast<const WireMessage*>(nullptr));
  });
}

void Exchange::SendToActor(LinkSessionId id, const MessageEnvelope& envelope,
                           const WireMessage& message) {
  const std::shared_ptr<Session> session = Find(id);
  if (session == nullptr) return;  // its loss was told
  Status status;
  {
    const std::lock_guard lock(session->sending);
    auto bytes = session->encoder.Encode(envelope, message, clock_->Monotonic());
    status = bytes.ok() ? network_->Send(id, *std::move(bytes)) : bytes.status();
  }
  if (status.ok()) {
    ++messages_out_;
    return;
  }
  // A message that is not sent is missing at the other end: nothing may go on as if it were there.
  OnWarning(WithContext(status, "sending to '" + session->peer.identity.node + "'"));
  network_->Close(id);
}

ExchangeCounters Exchange::counters() const {
  return {messages_in_, messages_out_, stale_messages_, bad_messages_};
}

void Exchange::OnOpened(LinkSessionId session, const LinkPeer& peer) {
  {
    const std::lock_guard lock(mutex_);
    sessions_[session] = std::make_shared<Session>(peer);
  }
  observer_->OnPeerOpened(session, peer);
}

void Exchange::OnLost(LinkSessionId id, const Status& why) {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    session = std::move(found->second);
    sessions_.erase(found);
  }
  observer_->OnPeerLost(id, session->peer, why);
}

void Exchange::OnFrame(LinkSessionId session, LinkBytes frame) {
  if (IsControl(frame)) return TakeControl(session, frame);
  TakeActorMessage(session, frame);
}

void Exchange::TakeControl(LinkSessionId session, const LinkBytes& frame) {
  proto::ClusterMessage message;
  const int64_t bytes = frame->size() - kControlPrefixBytes;
  if (!message.ParseFromArray(frame->data() + kControlPrefixBytes, int(bytes))) {
    return CloseForBadMessage(
        session, ExternalError("bad_message", "a control message cannot be read", Retry::kNo));
  }
  observer_->OnControl(session, std::move(message));
}

void Exchange::TakeActorMessage(LinkSessionId id, const LinkBytes& frame) {
  const std::shared_ptr<Session> session = Find(id);
  if (session == nullptr) return;
  auto opened = session->decoder.Open(frame);
  if (!opened.ok()) return CloseForBadMessage(id, opened.status());
  const caf::actor receiver = ReceiverOf(opened->envelope());
  if (!receiver) {
    ++stale_messages_;
    return;
  }
  auto message = session->decoder.Decode(*opened, clock_->Monotonic());
  if (!message.ok()) return CloseForBadMessage(id, message.status());
  ++messages_in_;
  std::visit([&](auto& what) { caf::anon_send(receiver, std::move(what)); }, *message);
}

caf::actor Exchange::ReceiverOf(const MessageEnvelope& envelope) const {
  const std::lock_guard lock(mutex_);
  const auto attempt = attempts_.find({envelope.job, envelope.attempt});
  if (attempt == attempts_.end()) return nullptr;
  const auto found = attempt->second.find(envelope.receiver);
  return found == attempt->second.end() ? nullptr : found->second;
}

void Exchange::OnRefused(const std::string& address, const Status& why) {
  refusals_.OnRefused(address, why, clock_->Monotonic());
}

void Exchange::OnWarning(const Status& warning) { LogStatus(LogLevel::kWarn, "link", warning); }

void Exchange::CloseForBadMessage(LinkSessionId session, const Status& why) {
  ++bad_messages_;
  OnWarning(why);
  network_->Close(session);
}

}  // namespace millrace
