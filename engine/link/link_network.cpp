#include "engine/link/link_network.h"

#include <pthread.h>

#include <thread>

#include "engine/link/link_node.h"

namespace millrace {
namespace {

// What a frame's length field and memory are good for.
constexpr size_t kFrameBytesLimit = 1 << 30;

Status CheckLimits(const LinkOptions& options) {
  const auto bad = [](const std::string& what) { return UserError("bad_limits", what); };
  if (options.frame_bytes_max == 0 || options.frame_bytes_max > kFrameBytesLimit) {
    return bad("frame_bytes_max must be 1 to " + std::to_string(kFrameBytesLimit));
  }
  if (options.session.unacknowledged_bytes_max < int64_t(options.frame_bytes_max) + 64) {
    return bad("unacknowledged_bytes_max must hold a frame of frame_bytes_max and 64 bytes more");
  }
  for (const MonotonicTime time :
       {options.session.session_timeout, options.session.silence_max, options.session.ping_interval,
        options.connect_timeout, options.handshake_timeout, options.backoff_min}) {
    if (time <= MonotonicTime(0)) return bad("a time must be more than 0");
  }
  if (options.session.silence_max < 2 * options.session.ping_interval) {
    return bad("silence_max must be at least two ping_intervals");
  }
  if (options.backoff_max < options.backoff_min) {
    return bad("backoff_max must not be less than backoff_min");
  }
  return Status::OK();
}

}  // namespace

class LinkNetwork::Impl {
 public:
  Impl(LinkOptions options, std::unique_ptr<LinkTls> tls, LinkObserver* observer)
      : options_(std::move(options)), node_(options_, std::move(tls), observer) {}
  ~Impl() { Stop(); }

  Status Start() {
    if (options_.listen) {
      ARROW_ASSIGN_OR_RAISE(port_, node_.Listen());
    }
    node_.Start();
    thread_ = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), "link");
      node_.loop().Run();
    });
    return Status::OK();
  }

  void Stop() {
    if (!thread_.joinable()) return;
    node_.loop().Post([this] { node_.Stop(); });
    thread_.join();
  }

  Status Send(LinkSessionId session, LinkBytes frame) {
    if (size_t(frame->size()) > options_.frame_bytes_max) {
      return InternalError("frame_too_large", "a frame of " + std::to_string(frame->size()) +
                                                  " bytes; at most " +
                                                  std::to_string(options_.frame_bytes_max));
    }
    const std::shared_ptr<LinkOutbox> outbox = node_.OutboxOf(session);
    const auto lost = [] {
      return ExternalError("session_lost", "the session is lost", Retry::kNo);
    };
    if (!outbox) return lost();
    std::lock_guard lock(outbox->mutex);
    if (outbox->closed) return lost();
    const int64_t cost = LinkFrameCost(*frame);
    outbox->overflowed =
        outbox->overflowed || outbox->bytes + cost > options_.session.unacknowledged_bytes_max;
    if (!outbox->overflowed) {
      outbox->bytes += cost;
      outbox->frames.push_back(std::move(frame));
    }
    if (!outbox->scheduled) {
      outbox->scheduled = true;
      node_.loop().Post([this, session] { node_.TakeOutbox(session); });
    }
    if (!outbox->overflowed) return Status::OK();
    return ExternalError("peer_too_slow",
                         "more than " + std::to_string(options_.session.unacknowledged_bytes_max) +
                             " bytes wait for the peer's acknowledgement",
                         Retry::kNo);
  }

  void Post(std::function<void(LinkNode&)> what) {
    node_.loop().Post([this, what = std::move(what)] { what(node_); });
  }

  const LinkOptions& options() const { return options_; }
  const LinkNode& node() const { return node_; }
  uint16_t port() const { return port_; }

 private:
  const LinkOptions options_;
  LinkNode node_;
  std::thread thread_;
  uint16_t port_ = 0;
};

LinkNetwork::LinkNetwork(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinkNetwork::~LinkNetwork() { Stop(); }

Result<std::unique_ptr<LinkNetwork>> LinkNetwork::Start(LinkOptions options,
                                                        LinkObserver* observer) {
  options.self.incarnation = MakeLinkId();
  ARROW_RETURN_NOT_OK(CheckLinkIdentity(options.self));
  ARROW_RETURN_NOT_OK(CheckLimits(options));
  std::unique_ptr<LinkTls> tls;
  if (options.tls) {
    ARROW_ASSIGN_OR_RAISE(tls, LinkTls::Load(*options.tls));
  }
  auto impl = std::make_shared<Impl>(std::move(options), std::move(tls), observer);
  ARROW_RETURN_NOT_OK(impl->Start());
  return std::unique_ptr<LinkNetwork>(new LinkNetwork(std::move(impl)));
}

void LinkNetwork::Stop() { impl_->Stop(); }

Status LinkNetwork::Connect(const LinkAddress& address, LinkRole role) {
  if (!impl_->options().tls && IsForeignAddress(address.host)) {
    return UserError("tls_required", address.ToString() +
                                         " is not a loopback address: between machines TLS is "
                                         "required (CA, certificate and key)");
  }
  impl_->Post([address, role](LinkNode& node) { node.Connect(address, role); });
  return Status::OK();
}

void LinkNetwork::Disconnect(const LinkAddress& address) {
  impl_->Post([address](LinkNode& node) { node.Disconnect(address); });
}

void LinkNetwork::Close(LinkSessionId session) {
  impl_->Post([session](LinkNode& node) { node.Close(session); });
}

Status LinkNetwork::Send(LinkSessionId session, LinkBytes frame) {
  return impl_->Send(session, std::move(frame));
}

uint16_t LinkNetwork::port() const { return impl_->port(); }
const std::string& LinkNetwork::incarnation() const { return impl_->options().self.incarnation; }
LinkCounters LinkNetwork::counters() const { return impl_->node().counters(); }

}  // namespace millrace
