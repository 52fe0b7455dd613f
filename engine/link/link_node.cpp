#include "engine/link/link_node.h"

#include <algorithm>

#include "engine/link/link_refusals.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

// Of what is handed to a connection at once.
constexpr size_t kWriteBytes = 1 << 20;
// How long a connection that is being closed waits for the other side to close it.
constexpr MonotonicTime kFinishTime = milliseconds(300);

LinkOutput CloseOutput(const Status& why) { return MakeLinkClose(LinkCodeOf(why), why.message()); }

}  // namespace

// An address to which a connection is kept.
struct LinkNode::Dialer {
  LinkAddress address;
  LinkRole role = LinkRole::kCoordinator;
  MonotonicTime backoff{0};
  bool busy = false;     // connecting, or waiting for the time to
  bool stopped = false;  // by Disconnect
  std::weak_ptr<Link> link;
  SessionPointer session;  // open
  std::string told;        // the last reason that the observer was told
};

struct LinkNode::Session {
  Session(const LinkSessionLimits& limits, MonotonicTime now) : state(limits, now) {}

  LinkSessionId id;
  LinkPeer peer;
  LinkSession state;
  std::shared_ptr<LinkOutbox> outbox;
  std::shared_ptr<Link> link;     // attached; null: none
  std::weak_ptr<Dialer> dialer;   // none: accepted
  int64_t outbox_bytes_kept = 0;  // what outbox->bytes has of this session's state
  int64_t resent_counted = 0;
  int64_t duplicates_counted = 0;
};

// A connection on its way through its handshake, and what becomes of it.
class LinkNode::Link final : public LinkConnection::Handler,
                             public std::enable_shared_from_this<Link> {
 public:
  // kConfirm: accepted and answered; the other side's first frame says that it has the answer.
  enum class Phase { kHandshake, kConfirm, kOpen, kFinishing };

  Link(LinkNode* node, std::unique_ptr<LinkSocket> socket, std::unique_ptr<LinkTlsChannel> tls,
       std::shared_ptr<Dialer> given)
      : dialer(std::move(given)),
        node_(node),
        connection_(std::make_shared<LinkConnection>(std::move(socket), std::move(tls),
                                                     node->options_.frame_bytes_max, this)),
        deadline_(node->Now() + node->options_.handshake_timeout) {}
  ~Link() override { connection_->Close(); }

  void Start() { connection_->Start(); }
  Phase phase() const { return phase_; }
  LinkConnection& connection() { return *connection_; }
  const std::string& node_name() const { return peer_.identity.node; }
  void SetOpen() { phase_ = Phase::kOpen; }

  // Nothing more is sent but `last`.
  void Finish(std::optional<LinkOutput> last) {
    if (phase_ == Phase::kFinishing) return;
    phase_ = Phase::kFinishing;
    deadline_ = node_->Now() + kFinishTime;
    connection_->Finish(std::move(last));
  }

  void OnTime(MonotonicTime now) {
    if (phase_ == Phase::kOpen || now < deadline_) return;
    if (phase_ != Phase::kFinishing) {
      Refuse(ExternalError("handshake_timeout", "its handshake was not done in time", Retry::kYes));
    } else {
      node_->DropLink(shared_from_this());
    }
  }

  void OnReady() override {
    if (!dialer) return;
    const Status name =
        connection_->CheckPeerName(LinkTlsName(dialer->role, node_->options_.self.cluster));
    if (!name.ok()) return Refuse(name);
    proto::LinkHello hello = MakeLinkHello(node_->options_.self);
    hello.set_attempt(++node_->last_attempt_);
    session_name_ = dialer->session ? dialer->session->peer.session : MakeLinkId();
    hello.set_session(session_name_);
    if (dialer->session) {
      hello.set_resume(true);
      hello.set_received(dialer->session->state.received());
    }
    greeted_ = node_->Now();
    connection_->Write({MakeLinkHandshake(hello.SerializeAsString())});
  }

  void OnBytes() override {
    if (!session) return;
    const SessionPointer mine = session;
    mine->state.OnBytes(connection_->inside_large_frame(), node_->Now());
    node_->CheckLost(mine);
  }

  void OnHandshake(const std::string& message) override {
    const Status status = dialer ? TakeAnswer(message) : TakeHello(message);
    if (!status.ok()) Refuse(status);
  }

  void OnFrame(const LinkFrame& frame) override {
    const auto self = shared_from_this();
    if (phase_ == Phase::kConfirm) Confirm();
    if (!session) return;
    const SessionPointer mine = session;
    const LinkSession::Incoming incoming = mine->state.OnFrame(frame, node_->Now());
    if (incoming == LinkSession::Incoming::kLost) {
      node_->CheckLost(mine);
    } else if (incoming == LinkSession::Incoming::kDeliver) {
      node_->Count([&](LinkCounters& counters) {
        ++counters.frames_in;
        counters.bytes_in += frame.payload->size();
      });
      node_->observer_->OnFrame(mine->id, frame.payload);
    }
  }

  void OnRead() override {
    if (!session) return;
    const SessionPointer mine = session;
    node_->ReleaseOutbox(mine.get());
    node_->Flush(mine);
  }

  void OnWritten() override {
    if (session) node_->Flush(SessionPointer(session));
  }

  void OnRejected(const Status& why) override {
    const auto self = shared_from_this();
    if (session) {
      node_->CountRefusal(why);
      node_->Lose(session, why);
    } else {
      Refuse(why);
    }
  }

  void OnBroken(const Status& why) override {
    const auto self = shared_from_this();
    if (phase_ == Phase::kHandshake || phase_ == Phase::kConfirm) {
      node_->Count([](LinkCounters& counters) { ++counters.connections_failed; });
      if (dialer) node_->TellDialer(dialer.get(), why);
    }
    node_->DropLink(self);
  }

  std::shared_ptr<Dialer> dialer;  // null: accepted, or its dialer has left it
  SessionPointer session;          // attached

 private:
  Status TakeHello(const std::string& message) {
    ARROW_ASSIGN_OR_RAISE(hello_, ParseLinkHello(message));
    ARROW_ASSIGN_OR_RAISE(
        const JudgedHello judged,
        JudgeLinkHello(node_->options_.self, node_->options_.accept_roles, hello_));
    ARROW_RETURN_NOT_OK(
        connection_->CheckPeerName(LinkTlsName(judged.peer.role, node_->options_.self.cluster)));
    // What has expired meanwhile must not be gone on with.
    const SessionPointer asked = node_->FindAccepted(hello_.session());
    if (asked && asked->state.OnTime(node_->Now()) == LinkSession::Due::kLost) {
      node_->CheckLost(asked);
    }
    const LinkAdmission::Decision decision = node_->admission_.Admit(hello_);
    if (!decision.ends.empty()) End(decision);
    ARROW_RETURN_NOT_OK(decision.status);
    node_->DropUnconfirmed(hello_.node(), this);
    peer_ = {.identity = judged.peer,
             .protocol = judged.protocol,
             .address = connection_->peer(),
             .session = hello_.session()};
    proto::LinkAnswer answer;
    *answer.mutable_hello() = MakeLinkHello(node_->options_.self);
    answer.set_protocol(judged.protocol);
    if (decision.resume) {
      resumed_ = node_->FindAccepted(hello_.session());
      if (resumed_->link) node_->DropLink(resumed_->link);
      answer.mutable_hello()->set_received(resumed_->state.received());
    }
    phase_ = Phase::kConfirm;
    connection_->BeginFrames();
    connection_->Write({MakeLinkHandshake(answer.SerializeAsString())});
    return Status::OK();
  }

  void End(const LinkAdmission::Decision& decision) {
    const SessionPointer ended = node_->FindAccepted(decision.ends);
    if (!ended) return;
    node_->Lose(
        ended,
        decision.replaced
            ? ExternalError("peer_restarted", "the peer has started anew", Retry::kYes)
            : ExternalError("given_up_by_peer", "the peer begins a new session", Retry::kYes));
  }

  // The other side has the answer.
  void Confirm() {
    const auto self = shared_from_this();
    if (!hello_.resume()) {
      node_->admission_.OnOpened(hello_.node(), hello_.session());
      node_->Open(self, peer_);
    } else if (resumed_->state.lost().ok()) {
      node_->Attach(self, resumed_, hello_.received(), std::nullopt);
    } else {
      Finish(CloseOutput(resumed_->state.lost()));
    }
    resumed_.reset();
  }

  Status TakeAnswer(const std::string& message) {
    ARROW_ASSIGN_OR_RAISE(const proto::LinkAnswer answer, ParseLinkAnswer(message));
    if (!answer.refusal().empty()) {
      TakeRefusal(answer);
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const JudgedHello judged,
                          JudgeLinkHello(node_->options_.self, {dialer->role}, answer.hello()));
    if (answer.protocol() != judged.protocol) {
      return ExternalError("garbage", "answers with a protocol that was not agreed on",
                           Retry::kYes);
    }
    connection_->BeginFrames();
    dialer->backoff = MonotonicTime(0);
    dialer->told.clear();
    const auto self = shared_from_this();
    if (dialer->session && dialer->session->peer.session == session_name_) {
      node_->Attach(self, SessionPointer(dialer->session), answer.hello().received(), greeted_);
    } else if (dialer->session) {
      Finish(std::nullopt);
    } else {
      node_->Open(self, {.identity = judged.peer,
                         .protocol = judged.protocol,
                         .address = connection_->peer(),
                         .session = session_name_,
                         .dialed = true});
    }
    return Status::OK();
  }

  void TakeRefusal(const proto::LinkAnswer& answer) {
    const auto self = shared_from_this();
    const std::shared_ptr<Dialer> mine = dialer;
    const SessionPointer open = mine->session;
    if (answer.refusal() == "unknown_session") {
      // No mistake of anybody's: the next connection begins a new one.
      if (open) {
        const bool restarted = answer.hello().incarnation() != open->peer.identity.incarnation;
        node_->Lose(open,
                    restarted
                        ? ExternalError("peer_restarted", "the peer has started anew", Retry::kYes)
                        : ExternalError("given_up_by_peer", "the peer has given the session up",
                                        Retry::kYes));
      }
    } else {
      const Status why = RefusedByPeer(answer);
      node_->CountRefusal(why);
      node_->TellDialer(mine.get(), why);
    }
    node_->DropLink(self);
  }

  void Refuse(const Status& why) {
    const auto self = shared_from_this();
    node_->CountRefusal(why);
    if (dialer) {
      node_->TellDialer(dialer.get(), why);
    } else {
      node_->observer_->OnRefused(connection_->peer(), why);
    }
    std::optional<LinkOutput> last;
    if (!dialer) {
      proto::LinkAnswer answer;
      proto::LinkHello& hello = *answer.mutable_hello();
      hello = MakeLinkHello(node_->options_.self);
      hello.clear_attributes();
      answer.set_refusal(LinkCodeOf(why));
      answer.set_message(why.message());
      last = MakeLinkHandshake(answer.SerializeAsString());
    }
    // An answer that was given is not taken back by another one.
    if (phase_ == Phase::kConfirm) last = CloseOutput(why);
    Finish(std::move(last));
  }

  LinkNode* const node_;
  const std::shared_ptr<LinkConnection> connection_;
  Phase phase_ = Phase::kHandshake;
  MonotonicTime deadline_;    // of the handshake, or of closing
  LinkPeer peer_;             // accepted: who it is
  proto::LinkHello hello_;    // accepted: what it said
  SessionPointer resumed_;    // accepted: the session to be attached
  std::string session_name_;  // dialed: the session that was asked for
  MonotonicTime greeted_{0};  // dialed: when
};

LinkNode::LinkNode(LinkOptions options, std::unique_ptr<LinkTls> tls, LinkObserver* observer)
    : options_(std::move(options)),
      tls_(std::move(tls)),
      observer_(observer),
      random_(std::random_device()()) {}

LinkNode::~LinkNode() = default;

Result<uint16_t> LinkNode::Listen() {
  return loop_.Listen(
      *options_.listen, /*loopback_only=*/!tls_,
      [this](std::unique_ptr<LinkSocket> socket) { OnAccepted(std::move(socket)); });
}

void LinkNode::Start() { Tick(); }

void LinkNode::Stop() {
  stopping_ = true;
  loop_.StopListening();
  const auto links = links_;
  for (const std::shared_ptr<Link>& link : links) {
    if (link->phase() == Link::Phase::kOpen) {
      link->session.reset();
      link->Finish(MakeLinkClose("peer_stopped", ""));
    } else if (link->phase() != Link::Phase::kFinishing) {
      DropLink(link);
    }
  }
  if (links_.empty()) return loop_.Stop();
  loop_.After(kFinishTime, [this] { loop_.Stop(); });
}

void LinkNode::CountRefusal(const Status& why) {
  Count([&](LinkCounters& counters) {
    ++counters.refused[std::string(LinkRefusalOf(LinkCodeOf(why)))];
  });
}

LinkCounters LinkNode::counters() const {
  std::lock_guard lock(counters_mutex_);
  return counters_;
}

// ---- links ----

void LinkNode::OnAccepted(std::unique_ptr<LinkSocket> socket) {
  if (stopping_) return;
  Count([](LinkCounters& counters) { ++counters.connections_accepted; });
  if (unopened_links() >= options_.handshakes_max) {
    const Status why = ExternalError(
        "too_many_handshakes",
        "more than " + std::to_string(options_.handshakes_max) + " connections are not open yet",
        Retry::kYes);
    CountRefusal(why);
    observer_->OnRefused(socket->peer(), why);
    return;
  }
  AddLink(std::move(socket), nullptr);
}

size_t LinkNode::unopened_links() const {
  return size_t(std::ranges::count_if(links_, [](const std::shared_ptr<Link>& link) {
    return !link->dialer && link->phase() != Link::Phase::kOpen;
  }));
}

void LinkNode::AddLink(std::unique_ptr<LinkSocket> socket, const std::shared_ptr<Dialer>& dialer) {
  std::unique_ptr<LinkTlsChannel> channel;
  if (tls_) {
    Status warning;
    Result<std::unique_ptr<LinkTlsChannel>> made = tls_->MakeChannel(dialer != nullptr, &warning);
    if (!warning.ok()) observer_->OnWarning(warning);
    if (!made.ok()) {
      CountRefusal(made.status());
      observer_->OnRefused(socket->peer(), made.status());
      if (dialer) DialLater(dialer);
      return;
    }
    channel = std::move(made).ValueUnsafe();
  }
  const auto link = std::make_shared<Link>(this, std::move(socket), std::move(channel), dialer);
  links_.insert(link);
  if (dialer) dialer->link = link;
  link->Start();
}

// By value here and in Lose: what is given is often a member of what goes.
void LinkNode::DropLink(std::shared_ptr<Link> link) {
  link->connection().Close();
  links_.erase(link);
  if (link->session) {
    link->session->state.Detach();
    link->session->link.reset();
    link->session.reset();
  }
  if (const std::shared_ptr<Dialer> dialer = std::move(link->dialer)) DialLater(dialer);
  if (stopping_ && links_.empty()) loop_.Stop();
}

void LinkNode::DropUnconfirmed(const std::string& node, const Link* but) {
  const auto links = links_;
  for (const std::shared_ptr<Link>& link : links) {
    if (link.get() != but && link->phase() == Link::Phase::kConfirm && link->node_name() == node) {
      DropLink(link);
    }
  }
}

// ---- sessions ----

void LinkNode::Open(const std::shared_ptr<Link>& link, const LinkPeer& peer) {
  const auto session = std::make_shared<Session>(options_.session, Now());
  session->id = LinkSessionId(++last_session_);
  session->peer = peer;
  session->outbox = std::make_shared<LinkOutbox>();
  session->dialer = link->dialer;
  if (link->dialer) link->dialer->session = session;
  sessions_[session->id] = session;
  {
    std::lock_guard lock(outboxes_mutex_);
    outboxes_[session->id] = session->outbox;
  }
  Count([](LinkCounters& counters) { ++counters.sessions_opened; });
  session->link = link;
  link->session = session;
  link->SetOpen();
  session->state.Attach(0, std::nullopt, Now());
  observer_->OnOpened(session->id, peer);
  Flush(session);
}

void LinkNode::Attach(const std::shared_ptr<Link>& link, const SessionPointer& session,
                      uint64_t peer_received, std::optional<MonotonicTime> confirmed) {
  session->link = link;
  link->session = session;
  link->SetOpen();
  session->state.Attach(peer_received, confirmed, Now());
  if (CheckLost(session)) return;
  Count([](LinkCounters& counters) { ++counters.sessions_resumed; });
  ReleaseOutbox(session.get());
  Flush(session);
}

bool LinkNode::CheckLost(const SessionPointer& session) {
  if (session->state.lost().ok()) return false;
  if (LinkCodeOf(session->state.lost()) == "protocol_error") CountRefusal(session->state.lost());
  Lose(session, session->state.lost());
  return true;
}

void LinkNode::Lose(SessionPointer session, Status why) {
  if (sessions_.erase(session->id) == 0) return;
  session->state.Lose(why);
  {
    std::lock_guard lock(outboxes_mutex_);
    outboxes_.erase(session->id);
  }
  {
    std::lock_guard lock(session->outbox->mutex);
    session->outbox->closed = true;
    session->outbox->frames.clear();
  }
  if (!session->peer.dialed) {
    admission_.OnEnded(session->peer.identity.node, session->peer.session);
  }
  const std::shared_ptr<Dialer> dialer = session->dialer.lock();
  if (dialer && dialer->session == session) dialer->session.reset();
  if (const std::shared_ptr<Link> link = std::move(session->link)) {
    link->session.reset();
    link->Finish(CloseOutput(why));
    if (link->dialer) DialLater(std::exchange(link->dialer, nullptr));
  }
  Count([](LinkCounters& counters) { ++counters.sessions_lost; });
  observer_->OnLost(session->id, why);
}

void LinkNode::Flush(const SessionPointer& session) {
  if (!session->link || !session->link->connection().idle()) return;
  std::vector<LinkOutput> output = session->state.TakeOutput(kWriteBytes, Now());
  if (CheckLost(session) || output.empty()) return;
  Count([&](LinkCounters& counters) {
    for (const LinkOutput& frame : output) {
      if (LinkFrameType(frame.header[4]) != LinkFrameType::kData) continue;
      ++counters.frames_out;
      counters.bytes_out += frame.payload->size();
    }
    counters.resent_frames += session->state.resent_frames() - session->resent_counted;
    counters.duplicate_frames += session->state.duplicate_frames() - session->duplicates_counted;
  });
  session->resent_counted = session->state.resent_frames();
  session->duplicates_counted = session->state.duplicate_frames();
  session->link->connection().Write(std::move(output));
}

void LinkNode::ReleaseOutbox(Session* session) {
  const int64_t released = session->outbox_bytes_kept - session->state.kept_bytes();
  if (released == 0) return;
  session->outbox_bytes_kept = session->state.kept_bytes();
  std::lock_guard lock(session->outbox->mutex);
  session->outbox->bytes -= released;
}

void LinkNode::TakeOutbox(LinkSessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const SessionPointer session = found->second;
  std::vector<LinkBytes> frames;
  bool overflowed = false;
  {
    std::lock_guard lock(session->outbox->mutex);
    session->outbox->scheduled = false;
    overflowed = session->outbox->overflowed;
    frames.swap(session->outbox->frames);
  }
  ReleaseOutbox(session.get());
  for (LinkBytes& frame : frames) {
    session->outbox_bytes_kept += LinkFrameCost(*frame);
    session->state.Push(std::move(frame));
  }
  if (overflowed) {
    Lose(session,
         ExternalError("peer_too_slow",
                       "more than " + std::to_string(options_.session.unacknowledged_bytes_max) +
                           " bytes wait for the peer's acknowledgement",
                       Retry::kYes));
    return;
  }
  if (!CheckLost(session)) Flush(session);
}

std::shared_ptr<LinkOutbox> LinkNode::OutboxOf(LinkSessionId session) const {
  std::lock_guard lock(outboxes_mutex_);
  const auto found = outboxes_.find(session);
  return found == outboxes_.end() ? nullptr : found->second;
}

LinkNode::SessionPointer LinkNode::FindAccepted(const std::string& wire_id) const {
  const auto found = std::ranges::find_if(sessions_, [&](const auto& session) {
    return !session.second->peer.dialed && session.second->peer.session == wire_id;
  });
  return found == sessions_.end() ? nullptr : found->second;
}

void LinkNode::Close(LinkSessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  Lose(found->second, ExternalError("closed", "this node ended the session", Retry::kNo));
}

// ---- dialing ----

void LinkNode::Connect(const LinkAddress& address, LinkRole role) {
  std::shared_ptr<Dialer>& dialer = dialers_[address.ToString()];
  if (dialer || stopping_) return;
  dialer = std::make_shared<Dialer>();
  dialer->address = address;
  dialer->role = role;
  Dial(dialer);
}

void LinkNode::Disconnect(const LinkAddress& address) {
  const auto found = dialers_.find(address.ToString());
  if (found == dialers_.end()) return;
  const std::shared_ptr<Dialer> dialer = found->second;
  dialers_.erase(found);
  dialer->stopped = true;
  if (dialer->session) Close(dialer->session->id);
  if (const std::shared_ptr<Link> link = dialer->link.lock()) {
    if (link->phase() != Link::Phase::kFinishing) DropLink(link);
  }
}

void LinkNode::Dial(const std::shared_ptr<Dialer>& dialer) {
  dialer->busy = true;
  loop_.Connect(dialer->address, options_.connect_timeout, /*loopback_only=*/!tls_,
                [this, dialer](Result<std::unique_ptr<LinkSocket>> socket) {
                  dialer->busy = false;
                  OnDialed(dialer, std::move(socket));
                });
}

void LinkNode::OnDialed(const std::shared_ptr<Dialer>& dialer,
                        Result<std::unique_ptr<LinkSocket>> socket) {
  if (dialer->stopped || stopping_) return;
  if (!socket.ok()) {
    if (LinkCodeOf(socket.status()) == "tls_required") CountRefusal(socket.status());
    Count([](LinkCounters& counters) { ++counters.connections_failed; });
    TellDialer(dialer.get(), socket.status());
    return DialLater(dialer);
  }
  Count([](LinkCounters& counters) { ++counters.connections_dialed; });
  AddLink(std::move(socket).ValueUnsafe(), dialer);
}

void LinkNode::DialLater(const std::shared_ptr<Dialer>& dialer) {
  if (dialer->busy || dialer->stopped || stopping_) return;
  dialer->busy = true;
  dialer->backoff = std::clamp(dialer->backoff * 2, options_.backoff_min, options_.backoff_max);
  // Nodes that lost the same peer do not come back in step.
  const MonotonicTime delay = dialer->backoff * (75 + int(random_() % 50)) / 100;
  loop_.After(delay, [this, dialer] {
    dialer->busy = false;
    if (!dialer->stopped && !stopping_) Dial(dialer);
  });
}

void LinkNode::TellDialer(Dialer* dialer, const Status& why) {
  if (dialer->told == why.message()) return;
  dialer->told = why.message();
  observer_->OnRefused(dialer->address.ToString(), why);
}

// ---- time ----

void LinkNode::Tick() {
  const MonotonicTime now = Now();
  const auto links = links_;
  for (const std::shared_ptr<Link>& link : links) link->OnTime(now);
  const auto sessions = sessions_;
  for (const auto& [id, session] : sessions) {
    const LinkSession::Due due = session->state.OnTime(now);
    if (due == LinkSession::Due::kLost) {
      CheckLost(session);
    } else if (due == LinkSession::Due::kDead && session->link) {
      Count([](LinkCounters& counters) { ++counters.connections_silent; });
      DropLink(session->link);
    } else if (session->state.has_output()) {
      Flush(session);
    }
  }
  const MonotonicTime interval = std::clamp<MonotonicTime>(options_.session.ping_interval / 6,
                                                           milliseconds(1), milliseconds(50));
  loop_.After(interval, [this] { Tick(); });
}

}  // namespace millrace
