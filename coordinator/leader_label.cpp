#include "coordinator/leader_label.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/metrics/log.h"

namespace millrace {
namespace {

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr int kTimeoutSeconds = 1;
constexpr auto kPauseMin = std::chrono::milliseconds(500);
constexpr auto kPauseMax = std::chrono::seconds(10);

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    return UserError("not_in_kubernetes",
                     "--leader-label is for pods of Kubernetes with a service "
                     "account: cannot read " +
                         path);
  }
  std::string found = text.str();
  while (!found.empty() && found.back() == '\n') found.pop_back();
  return found;
}

Result<std::string> Variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  if (value == nullptr || *value == '\0') {
    return UserError("not_in_kubernetes",
                     std::string("--leader-label is for pods of Kubernetes: there is no ") + name);
  }
  return std::string(value);
}

// A label's key, and what may stand in JSON and in a path as it is.
bool IsPlain(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '.' || letter == '-' || letter == '_' ||
           letter == '/';
  });
}

}  // namespace

Result<LeaderLabelOptions> LeaderLabelInPod(const std::string& label, const std::string& pod) {
  if (!IsPlain(label) || !IsPlain(pod)) {
    return UserError("bad_label",
                     "--leader-label is a label's key, such as millrace.dev/leads, and "
                     "--name the pod's: \"" +
                         label + "\", \"" + pod + "\"");
  }
  LeaderLabelOptions options;
  options.label = label;
  options.pod = pod;
  ARROW_ASSIGN_OR_RAISE(options.host, Variable("KUBERNETES_SERVICE_HOST"));
  ARROW_ASSIGN_OR_RAISE(const std::string port, Variable("KUBERNETES_SERVICE_PORT"));
  options.port = std::atoi(port.c_str());
  const std::string folder = kServiceAccount;
  options.token_file = folder + "/token";
  options.ca_file = folder + "/ca.crt";
  ARROW_ASSIGN_OR_RAISE(options.pod_namespace, ReadFile(folder + "/namespace"));
  ARROW_RETURN_NOT_OK(ReadFile(options.token_file).status());
  ARROW_RETURN_NOT_OK(ReadFile(options.ca_file).status());
  return options;
}

LeaderLabel::LeaderLabel(LeaderLabelOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

LeaderLabel::~LeaderLabel() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    if (said_.has_value()) said_ = false;
  }
  changed_.notify_all();
  thread_.join();
}

void LeaderLabel::Say(bool leads) {
  {
    std::lock_guard lock(mutex_);
    said_ = leads;
  }
  changed_.notify_all();
}

void LeaderLabel::Run() {
  std::optional<bool> heard;
  std::string last_error;
  std::chrono::milliseconds pause = kPauseMin;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || said_ != heard; });
    if (said_ == heard) return;
    const bool leads = *said_;
    const bool last = ending_;
    lock.unlock();
    const Status status = Tell(leads);
    lock.lock();
    if (status.ok()) {
      heard = leads;
      pause = kPauseMin;
      last_error.clear();
      LogInfo("Kubernetes knows whether this coordinator leads", {{"leads", leads}});
      continue;
    }
    // The same reason is told once.
    if (status.message() != last_error) LogStatus(LogLevel::kWarn, "no leader label", status);
    last_error = status.message();
    if (last) return;
    changed_.wait_for(lock, pause, [&] { return ending_ || said_ != leads; });
    pause = std::min<std::chrono::milliseconds>(pause * 2, kPauseMax);
  }
}

Status LeaderLabel::Tell(bool leads) const {
  ARROW_ASSIGN_OR_RAISE(const std::string token, ReadFile(options_.token_file));
  httplib::SSLClient client(options_.host, options_.port);
  client.set_ca_cert_path(options_.ca_file.c_str());
  client.enable_server_certificate_verification(true);
  client.set_connection_timeout(kTimeoutSeconds);
  client.set_read_timeout(kTimeoutSeconds);
  client.set_write_timeout(kTimeoutSeconds);
  const std::string path = "/api/v1/namespaces/" + options_.pod_namespace + "/pods/" + options_.pod;
  const std::string body = R"({"metadata":{"labels":{")" + options_.label + R"(":")" +
                           (leads ? "true" : "false") + R"("}}})";
  const httplib::Result answer = client.Patch(path, {{"Authorization", "Bearer " + token}}, body,
                                              "application/merge-patch+json");
  const std::string to = "Kubernetes at " + options_.host + ":" + std::to_string(options_.port);
  if (!answer) {
    return ExternalError("unreachable", to + ": " + httplib::to_string(answer.error()),
                         Retry::kYes);
  }
  if (answer->status != 200) {
    return ExternalError("refused",
                         to + " answers PATCH " + path + " with " + std::to_string(answer->status) +
                             ": " + answer->body.substr(0, 300),
                         Retry::kYes);
  }
  return Status::OK();
}

}  // namespace millrace
