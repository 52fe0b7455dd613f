#include "worker/account.h"

namespace millrace {

JobAccount::JobAccount(const JobPlan& plan) {
  for (const PlanNode& node : plan.nodes) {
    auto& stream = streams_[node.stream];
    if (stream == nullptr) stream = std::make_unique<StreamAccount>();
  }
}

void JobAccount::AddDeadLetters(const std::string& stream, const std::string& reason,
                                int64_t count) {
  const std::lock_guard lock(mutex_);
  dead_letters_[{stream, reason}] += count;
}

void JobAccount::AddOutputDeadLetters(const std::string& origin, const std::string& reason,
                                      int64_t count) {
  const std::lock_guard lock(mutex_);
  output_dead_letters_[{origin, reason}] += count;
}

std::map<std::pair<std::string, std::string>, int64_t> JobAccount::DeadLetters() const {
  const std::lock_guard lock(mutex_);
  auto all = dead_letters_;
  for (const auto& [key, count] : output_dead_letters_) all[key] += count;
  return all;
}

void JobAccount::AddAlerts(const std::string& alert, int64_t count) {
  const std::lock_guard lock(mutex_);
  alerts_[alert] += count;
}

std::map<std::string, int64_t> JobAccount::Alerts() const {
  const std::lock_guard lock(mutex_);
  return alerts_;
}

int64_t JobAccount::DeadLettersOf(const std::string& stream) const {
  const std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const auto& [key, count] : dead_letters_) {
    if (key.first == stream) sum += count;
  }
  return sum;
}

int64_t JobAccount::Difference(const std::string& stream) const {
  const StreamAccount& account = *streams_.at(stream);
  return account.rows_in - account.filtered - account.counted - account.open -
         DeadLettersOf(stream);
}

}  // namespace millrace
