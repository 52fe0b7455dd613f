// What stands for an actor of the product: a mailbox with a queue for each sender, and a fiber on
// which messages are taken one at a time. Messages of one sender keep their order; those of
// different ones come in any. All of a process end together.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/simulation/fiber.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

class Actor {
 public:
  // `id`: unique in its process.
  Actor(Site* site, int id, std::string name) : site_(site), id_(id), name_(std::move(name)) {}
  virtual ~Actor() = default;

  int id() const { return id_; }
  const std::string& name() const { return name_; }

  // `queue`: messages with the same one keep their order. `overtaking`: before all that wait there.
  void Post(int queue, const char* what, std::function<void()> handler, bool overtaking = false);

  // Something can be done now.
  bool ready() const;
  // When something can be done by itself, if nothing can now.
  std::optional<MonotonicTime> next() const { return at_; }
  // Takes a message or a turn, or goes on with what was interrupted, up to the next interruption.
  void Step();
  // Once the process is dead: what was interrupted comes to its end without effect.
  void Unwind();

 protected:
  // What it does by itself, after Schedule.
  virtual void Turn() {}
  void Schedule() { scheduled_ = true; }
  void ScheduleAt(MonotonicTime time) { at_ = time; }
  World* world() const { return site_->world; }

  Site* const site_;

 private:
  struct Message {
    const char* what;
    std::function<void()> handler;
  };
  const int id_;
  const std::string name_;
  Fiber fiber_;
  std::map<int, std::deque<Message>> mail_;  // no empty queues
  bool scheduled_ = false;
  std::optional<MonotonicTime> at_;
};

}  // namespace millrace::simulation
