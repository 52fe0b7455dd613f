#include "engine/http/http_service.h"

#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <vector>

namespace millrace {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kWaitingMax = 32;
constexpr size_t kBusyWaiting = kWaitingMax / 2;

// Whether what this thread serves was taken from a queue that is too long.
thread_local bool is_busy = false;

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
        is_busy = tasks_.size() >= kBusyWaiting;
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

}  // namespace

HttpService::HttpService(HttpServiceOptions options) : options_(std::move(options)) {}

HttpService::~HttpService() { Stop(); }

Status HttpService::Start(const std::function<void(httplib::Server*)>& route) {
  if (options_.certificate == nullptr) {
    server_ = std::make_unique<httplib::Server>();
  } else {
    server_ = std::make_unique<httplib::SSLServer>([this](SSL_CTX& context) {
      options_.certificate->Serve(&context);
      return true;
    });
  }
  server_->new_task_queue = [] { return new BoundedTaskQueue(); };
  // httplib's default, SO_REUSEPORT, would let two processes share the port unnoticed.
  server_->set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server_->set_keep_alive_max_count(1);
  server_->set_keep_alive_timeout(options_.timeout_seconds);
  server_->set_read_timeout(options_.timeout_seconds);
  server_->set_write_timeout(options_.timeout_seconds);
  server_->set_payload_max_length(options_.body_bytes_max);
  route(server_.get());
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

bool HttpService::busy() { return is_busy; }

void HttpService::Stop() {
  if (!thread_.joinable()) return;
  server_->stop();
  EndConnections(port_);
  thread_.join();
}

std::string HttpService::address() const {
  const bool v6 = options_.host.find(':') != std::string::npos;
  const std::string scheme = options_.certificate == nullptr ? "http://" : "https://";
  return scheme + (v6 ? "[" + options_.host + "]" : options_.host) + ":" + std::to_string(port_);
}

}  // namespace millrace
