// Units of time and time zones that a kernel is given by name, mostly the same one for every row:
// the last is kept. One of these is the state of a call.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/operators/kernels.h"
#include "engine/plan/time_unit.h"
#include "engine/plan/time_zone.h"

namespace millrace {

class LastUnit : public KernelState {
 public:
  // Nothing where there is no such unit.
  static std::optional<TimeUnit> Of(CallMemory* memory, std::string_view name) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastUnit>();
    return static_cast<LastUnit*>(memory->state.get())->Find(name);
  }

  std::optional<TimeUnit> Find(std::string_view name) {
    if (!unit_.has_value() || name_ != name) {
      name_ = name;
      unit_ = TimeUnitFromName(name);
    }
    return unit_;
  }

 private:
  std::string name_;
  std::optional<TimeUnit> unit_;
};

class LastZone : public KernelState {
 public:
  // Null where there is no such zone.
  static const TimeZone* Of(CallMemory* memory, std::string_view name) {
    if (memory->state == nullptr) memory->state = std::make_unique<LastZone>();
    return static_cast<LastZone*>(memory->state.get())->Find(name);
  }

  const TimeZone* Find(std::string_view name) {
    if (zone_ == nullptr || name_ != name) {
      name_ = name;
      zone_ = TimeZone::Find(name);
    }
    return zone_;
  }

 private:
  std::string name_;
  const TimeZone* zone_ = nullptr;
};

struct LastUnitAndZone : KernelState {
  LastUnit unit;
  LastZone zone;
};

}  // namespace millrace
