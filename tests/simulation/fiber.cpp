#include "tests/simulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace millrace::simulation {
namespace {

constexpr size_t kStackBytes = 512 << 10;

// Stacks are used again: a run makes hundreds of fibers.
std::vector<void*>& FreeStacks() {
  static std::vector<void*> stacks;
  return stacks;
}

// Of the thread: what a fiber waits for may run on others.
thread_local Fiber* current = nullptr;

#if defined(__SANITIZE_ADDRESS__)
void BeginSwitch(void** save, const void* bottom, size_t bytes) {
  __sanitizer_start_switch_fiber(save, bottom, bytes);
}
void EndSwitch(void* save, const void** bottom, size_t* bytes) {
  __sanitizer_finish_switch_fiber(save, bottom, bytes);
}
#else
void BeginSwitch(void**, const void*, size_t) {}
void EndSwitch(void*, const void**, size_t*) {}
#endif

}  // namespace

struct Fiber::Stack {
  Stack() {
    if (!FreeStacks().empty()) {
      memory = FreeStacks().back();
      FreeStacks().pop_back();
      return;
    }
    memory = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
  }
  ~Stack() { FreeStacks().push_back(memory); }
  void* memory = nullptr;
};

Fiber::Fiber() = default;

Fiber::~Fiber() {
  if (busy_) std::abort();
}

Fiber* Fiber::Current() { return current; }

void Fiber::Start(std::function<void()> function) {
  if (busy_) std::abort();
  function_ = std::move(function);
  busy_ = true;
  if (!begun_) {
    begun_ = true;
    stack_ = std::make_unique<Stack>();
    ::getcontext(&context_);
    context_.uc_stack.ss_sp = stack_->memory;
    context_.uc_stack.ss_size = kStackBytes;
    context_.uc_link = nullptr;
    const auto self = reinterpret_cast<uintptr_t>(this);
    ::makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::Main), 2, unsigned(self),
                  unsigned(self >> 32));
  }
  SwitchIn();
}

void Fiber::Resume() {
  if (!busy_) std::abort();
  SwitchIn();
}

void Fiber::Yield() { current->SwitchOut(); }

void Fiber::Main(unsigned low, unsigned high) {
  Fiber* const self = reinterpret_cast<Fiber*>(uintptr_t(low) | uintptr_t(high) << 32);
  EndSwitch(nullptr, &self->caller_stack_, &self->caller_bytes_);
  self->Loop();
}

void Fiber::Loop() {
  while (true) {
    function_();
    function_ = nullptr;
    busy_ = false;
    SwitchOut();
  }
}

void Fiber::SwitchIn() {
  Fiber* const outer = current;
  current = this;
  void* save = nullptr;
  BeginSwitch(&save, stack_->memory, kStackBytes);
  ::swapcontext(&caller_, &context_);
  EndSwitch(save, nullptr, nullptr);
  current = outer;
}

void Fiber::SwitchOut() {
  BeginSwitch(&fake_stack_, caller_stack_, caller_bytes_);
  ::swapcontext(&context_, &caller_);
  EndSwitch(fake_stack_, &caller_stack_, &caller_bytes_);
}

}  // namespace millrace::simulation
