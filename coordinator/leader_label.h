// In Kubernetes: a label of the coordinator's own pod that says whether it leads, so that a Service
// can choose the one that does. It decides nothing: who leads is in the cluster's log.
//
// A thread tells Kubernetes' API what was said last, and tries again until it has been heard. What
// it needs of the API is to patch its own pod.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "engine/base/status.h"

namespace millrace {

struct LeaderLabelOptions {
  std::string label;  // "millrace.dev/leads"
  std::string pod;
  std::string pod_namespace;
  std::string host;  // of the API
  int port = 443;
  std::string token_file;  // read again for each request: it is replaced while the pod runs
  std::string ca_file;
};

// From what Kubernetes puts into each pod: its environment and the folder of its service account.
// User errors: "bad_label", "not_in_kubernetes" (says what is missing).
Result<LeaderLabelOptions> LeaderLabelInPod(const std::string& label, const std::string& pod);

class LeaderLabel {
 public:
  explicit LeaderLabel(LeaderLabelOptions options);
  // Says "false" once more, within three seconds.
  ~LeaderLabel();
  LeaderLabel(const LeaderLabel&) = delete;
  LeaderLabel& operator=(const LeaderLabel&) = delete;

  // Any thread; does not block.
  void Say(bool leads);

 private:
  void Run();
  Status Tell(bool leads) const;

  const LeaderLabelOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<bool> said_;  // by mutex_
  bool ending_ = false;       // by mutex_
  std::thread thread_;
};

}  // namespace millrace
