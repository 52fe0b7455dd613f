// What several threads have for one to do, in order.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>

namespace millrace {

class EventQueue {
 public:
  using Event = std::function<void()>;

  // Any thread.
  void Post(Event event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    changed_.notify_one();
  }

  // By one thread: does what is there, or what comes within `timeout`, or until `stop`.
  void RunWithin(std::chrono::milliseconds timeout, const std::stop_token& stop = {}) {
    std::deque<Event> events;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, timeout, [this] { return !events_.empty(); });
      events.swap(events_);
    }
    for (const Event& event : events) event();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Event> events_;  // guarded by mutex_
};

}  // namespace millrace
