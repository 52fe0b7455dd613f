#include "engine/metrics/http_server.h"

#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>

namespace millrace {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kWaitingMax = 32;
constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// httplib's own queue is unbounded. Here the accepting thread waits while the queue is full.
class BoundedTaskQueue final : public httplib::TaskQueue {
 public:
  BoundedTaskQueue() {
    for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
  }

  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.size() < kWaitingMax; });
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }

  void shutdown() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  void Run() {
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      changed_.notify_all();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // by mutex_
  bool stopping_ = false;                    // by mutex_
  std::vector<std::thread> threads_;
};

int LocalPort(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return -1;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return -1;
}

// httplib tells nobody which connections it serves, and a slow one would hold Stop for its read
// timeout: end every socket of this process whose own port is ours.
void EndConnections(int port) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int descriptor = std::atoi(entry.path().filename().c_str());
    if (descriptor > 2 && LocalPort(descriptor) == port) ::shutdown(descriptor, SHUT_RDWR);
  }
}

// Whether `host` can be bound at all (on any port), to tell a bad address from a taken port.
bool CanBind(const std::string& host) {
  httplib::Server probe;
  return probe.bind_to_any_port(host) > 0;
}

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text.append(line).append("\n");
  return text;
}

}  // namespace

HttpServer::HttpServer(HttpServerOptions options, const Metrics* metrics, Readiness readiness)
    : options_(std::move(options)), metrics_(metrics), readiness_(std::move(readiness)) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Route() {
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_->Text(), kMetricsType);
  });
  server_->Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain; charset=utf-8");
  });
  server_->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
    const std::vector<std::string> reasons = readiness_();
    response.status = reasons.empty() ? 200 : 503;
    response.set_content(reasons.empty() ? "ok\n" : Join(reasons), "text/plain; charset=utf-8");
  });
}

Status HttpServer::Start() {
  server_ = std::make_unique<httplib::Server>();
  server_->new_task_queue = [] { return new BoundedTaskQueue(); };
  // httplib's default, SO_REUSEPORT, would let two processes share the port unnoticed.
  server_->set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server_->set_keep_alive_max_count(1);
  server_->set_keep_alive_timeout(2);
  server_->set_read_timeout(2);
  server_->set_write_timeout(2);
  server_->set_payload_max_length(4096);
  Route();
  const std::string wanted = options_.host + ":" + std::to_string(options_.port);
  if (options_.port == 0) {
    port_ = server_->bind_to_any_port(options_.host);
    if (port_ <= 0) return UserError("bad_address", "cannot listen on " + wanted);
  } else if (server_->bind_to_port(options_.host, options_.port)) {
    port_ = options_.port;
  } else if (!CanBind(options_.host)) {
    return UserError("bad_address", "cannot listen on " + wanted + ": not an address of this host");
  } else {
    return UserError("port_taken", "cannot listen on " + wanted +
                                       ": the port is taken or not allowed; choose another, or 0 "
                                       "for any free one");
  }
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  // stop() before the loop runs would be forgotten.
  while (!server_->is_running()) std::this_thread::yield();
  return Status::OK();
}

void HttpServer::Stop() {
  if (!thread_.joinable()) return;
  server_->stop();
  EndConnections(port_);
  thread_.join();
}

std::string HttpServer::address() const {
  const bool v6 = options_.host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + options_.host + "]" : options_.host) + ":" + std::to_string(port_);
}

}  // namespace millrace
