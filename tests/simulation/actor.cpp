#include "tests/simulation/actor.h"

namespace millrace::simulation {

void Actor::Post(int queue, const char* what, std::function<void()> handler, bool overtaking) {
  if (site_->dead()) return;
  auto& messages = mail_[queue];
  Message message{what, std::move(handler)};
  if (overtaking) {
    messages.push_front(std::move(message));
  } else {
    messages.push_back(std::move(message));
  }
}

bool Actor::ready() const {
  return fiber_.busy() || scheduled_ || !mail_.empty() ||
         (at_.has_value() && *at_ <= site_->world->now);
}

void Actor::Step() {
  if (fiber_.busy()) return fiber_.Resume();
  const bool due = scheduled_ || (at_.has_value() && *at_ <= world()->now);
  int64_t choice = world()->random.Below(int64_t(mail_.size()) + (due ? 1 : 0));
  if (choice == int64_t(mail_.size())) {
    scheduled_ = false;
    at_.reset();
    fiber_.Start([this] { Turn(); });
    return;
  }
  auto queue = mail_.begin();
  std::advance(queue, choice);
  Message message = std::move(queue->second.front());
  queue->second.pop_front();
  if (queue->second.empty()) mail_.erase(queue);
  if (world()->tracing) world()->Trace(site_->name() + " " + name_ + ": " + message.what);
  fiber_.Start(std::move(message.handler));
}

void Actor::Unwind() {
  while (fiber_.busy()) fiber_.Resume();
  mail_.clear();
  scheduled_ = false;
  at_.reset();
}

}  // namespace millrace::simulation
