// A function that can stop in the middle, so that a call which blocks in the product can be
// interrupted in a simulation: its process is stopped or dies between two steps of it. One thread;
// who runs next is the caller's decision, so a run can be repeated exactly.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>

namespace millrace::simulation {

class Fiber {
 public:
  Fiber();
  // Not while busy().
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs `function` until it ends or yields. Not while busy().
  void Start(std::function<void()> function);
  // Goes on where it yielded.
  void Resume();
  // Started and not ended.
  bool busy() const { return busy_; }

  // Back to whoever started or resumed this fiber.
  static void Yield();
  // The one that runs; null outside of all.
  static Fiber* Current();

 private:
  struct Stack;
  static void Main(unsigned low, unsigned high);
  void Loop();
  void SwitchIn();
  void SwitchOut();

  std::unique_ptr<Stack> stack_;
  ucontext_t context_;
  ucontext_t caller_;
  std::function<void()> function_;
  bool busy_ = false;
  bool begun_ = false;
  // What the address sanitizer wants to know of a switch.
  void* fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_bytes_ = 0;
};

}  // namespace millrace::simulation
