#include "engine/link/link_io.h"

#define ASIO_STANDALONE
#define ASIO_NO_DEPRECATED
#include <asio/connect.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <charconv>

namespace millrace {
namespace {

using asio::ip::tcp;
using ErrorCode = asio::error_code;

// After accepting failed (no descriptor is left): until the next try.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
// The kernel takes no more than this of what it cannot send, so that a ping does not wait behind
// megabytes.
constexpr int kUnsentBytesMax = 1 << 20;

Status TlsRequired(const std::string& address) {
  return UserError("tls_required", address +
                                       " is not a loopback address: between machines TLS is "
                                       "required (CA, certificate and key)");
}

Status ConnectionClosed(const ErrorCode& error) {
  return ExternalError("connection_closed",
                       error == asio::error::eof ? "the peer closed the connection"
                                                 : "the connection broke: " + error.message(),
                       Retry::kYes);
}

std::string ToText(const tcp::endpoint& endpoint) {
  return LinkAddress{endpoint.address().to_string(), endpoint.port()}.ToString();
}

void SetOptions(tcp::socket& socket) {
  ErrorCode ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const int unsent = kUnsentBytesMax;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

class AsioSocket final : public LinkSocket {
 public:
  explicit AsioSocket(tcp::socket socket) : state_(std::make_shared<State>(std::move(socket))) {
    SetOptions(state_->socket);
    ErrorCode error;
    const tcp::endpoint peer = state_->socket.remote_endpoint(error);
    peer_ = error ? "a peer that has gone" : ToText(peer);
  }
  ~AsioSocket() override {
    state_->closed = true;
    ErrorCode ignored;
    state_->socket.close(ignored);
  }

  void Read(std::span<char> into, std::function<void(Result<size_t>)> done) override {
    state_->socket.async_read_some(
        asio::buffer(into.data(), into.size()),
        [state = state_, done = std::move(done)](const ErrorCode& error, size_t bytes) {
          if (state->closed) return;
          if (error) {
            done(ConnectionClosed(error));
          } else {
            done(bytes);
          }
        });
  }

  void Write(const std::vector<std::string_view>& parts,
             std::function<void(Status)> done) override {
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(parts.size());
    for (const std::string_view part : parts) buffers.emplace_back(part.data(), part.size());
    asio::async_write(state_->socket, buffers,
                      [state = state_, done = std::move(done)](const ErrorCode& error, size_t) {
                        if (state->closed) return;
                        done(error ? ConnectionClosed(error) : Status::OK());
                      });
  }

  void ShutDownWriting() override {
    ErrorCode ignored;
    state_->socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  const std::string& peer() const override { return peer_; }

 private:
  struct State {
    explicit State(tcp::socket given) : socket(std::move(given)) {}
    tcp::socket socket;
    bool closed = false;
  };
  std::shared_ptr<State> state_;
  std::string peer_;
};

// One Connect: resolves, connects, and gives up in time; whatever ends first ends all.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  using Done = std::function<void(Result<std::unique_ptr<LinkSocket>>)>;

  Dial(asio::io_context& context, LinkAddress address, bool loopback_only, Done done)
      : address_(std::move(address)),
        loopback_only_(loopback_only),
        done_(std::move(done)),
        resolver_(context),
        socket_(context),
        timer_(context) {}

  void Start(MonotonicTime timeout) {
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this(), timeout](const ErrorCode& error) {
      if (error) return;
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
      self->End(ExternalError(
          "connect_timeout",
          "no connection to " + self->address_.ToString() + " within " + std::to_string(ms) + " ms",
          Retry::kYes));
    });
    resolver_.async_resolve(address_.host, std::to_string(address_.port),
                            tcp::resolver::numeric_service,
                            [self = shared_from_this()](const ErrorCode& error,
                                                        const tcp::resolver::results_type& found) {
                              self->OnResolved(error, found);
                            });
  }

 private:
  void OnResolved(const ErrorCode& error, const tcp::resolver::results_type& found) {
    if (ended_) return;
    if (error) return End(Unreachable(error));
    std::vector<tcp::endpoint> endpoints;
    for (const auto& entry : found) {
      if (loopback_only_ && !entry.endpoint().address().is_loopback()) {
        return End(TlsRequired(address_.ToString()));
      }
      endpoints.push_back(entry.endpoint());
    }
    endpoints_ = std::move(endpoints);
    asio::async_connect(socket_, endpoints_,
                        [self = shared_from_this()](const ErrorCode& failed, const tcp::endpoint&) {
                          if (self->ended_) return;
                          if (failed) return self->End(self->Unreachable(failed));
                          self->End(std::make_unique<AsioSocket>(std::move(self->socket_)));
                        });
  }

  Status Unreachable(const ErrorCode& error) const {
    return ExternalError("unreachable", address_.ToString() + ": " + error.message(), Retry::kYes);
  }

  void End(Result<std::unique_ptr<LinkSocket>> result) {
    if (ended_) return;
    ended_ = true;
    timer_.cancel();
    resolver_.cancel();
    ErrorCode ignored;
    socket_.close(ignored);
    const Done done = std::move(done_);
    done(std::move(result));
  }

  const LinkAddress address_;
  const bool loopback_only_;
  Done done_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::vector<tcp::endpoint> endpoints_;
  bool ended_ = false;
};

}  // namespace

struct LinkLoop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  tcp::acceptor acceptor{context};
  std::function<void(std::unique_ptr<LinkSocket>)> accepted;

  void Accept(LinkLoop* loop) {
    acceptor.async_accept([this, loop](const ErrorCode& error, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (error) {
        loop->After(kAcceptPause, [this, loop] {
          if (acceptor.is_open()) Accept(loop);
        });
        return;
      }
      accepted(std::make_unique<AsioSocket>(std::move(socket)));
      if (acceptor.is_open()) Accept(loop);
    });
  }
};

std::string LinkAddress::ToString() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<LinkAddress> ParseLinkAddress(std::string_view text) {
  const auto bad = [&] {
    return UserError("bad_address", "\"" + std::string(text) +
                                        "\" is no address; expected host:port, such as "
                                        "coordinator-0:7400 or [::1]:7400");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || error != std::errc() || end != digits.data() + digits.size()) return bad();
  return LinkAddress{std::string(host), port};
}

bool IsForeignAddress(const std::string& host) {
  ErrorCode error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  return !error && !address.is_loopback();
}

LinkLoop::LinkLoop() : impl_(std::make_unique<Impl>()) {}
LinkLoop::~LinkLoop() = default;

void LinkLoop::Run() { impl_->context.run(); }
void LinkLoop::Stop() { impl_->context.stop(); }
void LinkLoop::Post(std::function<void()> what) { asio::post(impl_->context, std::move(what)); }

void LinkLoop::After(MonotonicTime delay, std::function<void()> what) {
  auto timer = std::make_shared<asio::steady_timer>(impl_->context, delay);
  timer->async_wait([timer, what = std::move(what)](const ErrorCode& error) {
    if (!error) what();
  });
}

Result<uint16_t> LinkLoop::Listen(const LinkAddress& address, bool loopback_only,
                                  std::function<void(std::unique_ptr<LinkSocket>)> accepted) {
  ErrorCode error;
  tcp::resolver resolver(impl_->context);
  const auto found =
      resolver.resolve(address.host, std::to_string(address.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return UserError("bad_address",
                     "cannot listen on " + address.ToString() + ": " + error.message());
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  if (loopback_only && !endpoint.address().is_loopback()) return TlsRequired(address.ToString());
  tcp::acceptor& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    ErrorCode ignored;
    acceptor.close(ignored);
    return UserError(error == asio::error::address_in_use ? "port_taken" : "bad_address",
                     "cannot listen on " + address.ToString() + ": " + error.message());
  }
  impl_->accepted = std::move(accepted);
  impl_->Accept(this);
  return acceptor.local_endpoint(error).port();
}

void LinkLoop::StopListening() {
  ErrorCode ignored;
  impl_->acceptor.close(ignored);
}

void LinkLoop::Connect(const LinkAddress& address, MonotonicTime timeout, bool loopback_only,
                       std::function<void(Result<std::unique_ptr<LinkSocket>>)> done) {
  std::make_shared<Dial>(impl_->context, address, loopback_only, std::move(done))->Start(timeout);
}

}  // namespace millrace
