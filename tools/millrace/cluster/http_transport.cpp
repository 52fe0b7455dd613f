#include "tools/millrace/cluster/http_transport.h"

#include <httplib.h>
#include <netdb.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <thread>

namespace millrace {
namespace {

// Most that an answer may have.
constexpr size_t kAnswerBytesMax = size_t(64) << 20;
constexpr Micros kConnectTimeout = std::chrono::seconds(2);

// httplib's own time-outs are those of a read or a write: a server that sends a byte a second would
// never exceed them. Ends the connection once the time for all of it is over.
class Watchdog {
 public:
  Watchdog(httplib::ClientImpl* client, Micros timeout)
      : thread_([this, client, timeout](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          if (ended_.wait_for(lock, stop, timeout, [] { return false; })) return;
          if (stop.stop_requested()) return;
          fired_ = true;
          client->stop();
        }) {}

  // Whether it has ended the connection. It does not any more.
  bool Stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    return fired_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any ended_;
  bool fired_ = false;
  std::jthread thread_;
};

bool IsKnownHost(const std::string& host) {
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

Status Unreachable(const ServerAddress& server, httplib::Error error) {
  std::string why = "the connection is refused";
  if (error == httplib::Error::ConnectionTimeout) {
    why = "it takes no connection";
  } else if (!IsKnownHost(server.host)) {
    why = "there is no host '" + server.host + "'";
  }
  return ExternalError("unreachable", server.ToString() + ": " + why, Retry::kYes);
}

// The client of one request, and what TLS knows of it (null without).
struct Client {
  std::unique_ptr<httplib::ClientImpl> http;
  httplib::SSLClient* tls = nullptr;
};

Client MakeClient(const ServerAddress& server, const std::string& ca_file, Micros timeout) {
  Client client;
  if (server.tls) {
    auto secured = std::make_unique<httplib::SSLClient>(server.host, server.port);
    client.tls = secured.get();
    SSL_CTX_set_min_proto_version(secured->ssl_context(), TLS1_2_VERSION);
    if (!ca_file.empty()) secured->set_ca_cert_path(ca_file);
    client.http = std::move(secured);
  } else {
    client.http = std::make_unique<httplib::ClientImpl>(server.host, server.port);
  }
  client.http->set_connection_timeout(std::min(timeout, kConnectTimeout));
  // Longer than the watchdog waits.
  client.http->set_read_timeout(timeout + kConnectTimeout);
  client.http->set_write_timeout(timeout + kConnectTimeout);
  client.http->set_url_encode(false);
  client.http->set_decompress(false);
  client.http->set_tcp_nodelay(true);
  return client;
}

Status TlsFailed(const ServerAddress& server, const Client& client, httplib::Error error) {
  std::string why = "the TLS handshake failed: is it http://?";
  if (error == httplib::Error::SSLServerVerification) {
    const long result = client.tls->get_openssl_verify_result();
    why = result == X509_V_OK ? "its certificate is not for '" + server.host + "'"
                              : std::string("its certificate is not trusted: ") +
                                    X509_verify_cert_error_string(result) +
                                    "; --ca or MILLRACE_CA says who signs it";
  } else if (error == httplib::Error::SSLLoadingCerts) {
    why = "the certificates of --ca cannot be read";
  }
  return ExternalError("tls_failed", server.ToString() + ": " + why, Retry::kNo);
}

Status FailureOf(const ServerAddress& server, const Client& client, httplib::Error error,
                 Micros took) {
  using enum httplib::Error;
  switch (error) {
    case Connection:
    case ConnectionTimeout:
    case BindIPAddress:
      return Unreachable(server, error);
    case SSLConnection:
      // A process that stands still: the system takes its connections all the same.
      if (took >= kConnectTimeout) return Unreachable(server, ConnectionTimeout);
      [[fallthrough]];
    case SSLLoadingCerts:
    case SSLServerVerification:
      return TlsFailed(server, client, error);
    default:
      return ExternalError("connection_broken",
                           server.ToString() + ": it closed the connection without an HTTP answer" +
                               (server.tls ? "" : "; does it want https://?"),
                           Retry::kYes);
  }
}

}  // namespace

Result<HttpAnswer> NetworkTransport::Send(const ServerAddress& server, const HttpRequest& request,
                                          Micros timeout) {
  // A write to a connection that the server has closed is an error like others.
  (void)std::signal(SIGPIPE, SIG_IGN);
  const Client client = MakeClient(server, ca_file_, timeout);
  HttpAnswer answer;
  bool too_large = false;
  httplib::Request sent;
  sent.method = request.method;
  sent.path = server.prefix + request.path;
  sent.body = request.body;
  for (const auto& [name, value] : request.headers) sent.set_header(name, value);
  sent.content_receiver = [&](const char* data, size_t bytes, uint64_t, uint64_t) {
    too_large = answer.body.size() + bytes > kAnswerBytesMax;
    if (!too_large) answer.body.append(data, bytes);
    return !too_large;
  };
  bool unchanged = false;  // 304: httplib would wait for a body
  sent.response_handler = [&](const httplib::Response& head) {
    unchanged = head.status == 304;
    return !unchanged;
  };
  httplib::Response received;
  auto error = httplib::Error::Success;
  const auto began = std::chrono::steady_clock::now();
  Watchdog watchdog(client.http.get(), timeout);
  const bool answered = client.http->send(sent, received, error);
  if (watchdog.Stop()) {
    // A body without a length ends with its connection, also where the watchdog ended that.
    return ExternalError("no_answer",
                         server.ToString() + ": no answer in " +
                             FormatDuration(std::chrono::ceil<std::chrono::milliseconds>(timeout)),
                         Retry::kYes);
  }
  if (too_large) {
    return ExternalError("answer_too_large",
                         server.ToString() + ": an answer of more than " +
                             std::to_string(kAnswerBytesMax >> 20) + " MiB",
                         Retry::kNo);
  }
  if (!answered && !unchanged) {
    return FailureOf(server, client, error,
                     std::chrono::duration_cast<Micros>(std::chrono::steady_clock::now() - began));
  }
  answer.status = received.status;
  answer.etag = received.get_header_value("ETag");
  answer.retry_after_seconds = std::atoi(received.get_header_value("Retry-After").c_str());
  return answer;
}

}  // namespace millrace
