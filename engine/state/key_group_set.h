// Some of the key groups: what a task owns, what a store holds. A value.
#pragma once

#include <bitset>
#include <string>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

class KeyGroupSet {
 public:
  KeyGroupSet() = default;
  // [first, last), within 0 to kKeyGroupCount.
  static KeyGroupSet Range(int32_t first, int32_t last);
  // Those of a task, as TaskOf places them.
  static KeyGroupSet OfTask(int32_t index, int32_t parallelism);

  // Of any number, also of none that is a key group.
  bool Contains(KeyGroup group) const {
    return group.value() >= 0 && group.value() < kKeyGroupCount && groups_[size_t(group.value())];
  }
  int32_t count() const { return int32_t(groups_.count()); }
  bool empty() const { return groups_.none(); }
  // The first one at or after `group`; kKeyGroupCount: there is none.
  KeyGroup FirstFrom(KeyGroup group) const;

  KeyGroupSet& operator|=(const KeyGroupSet& other);
  friend KeyGroupSet operator&(const KeyGroupSet& left, const KeyGroupSet& right);
  friend bool operator==(const KeyGroupSet&, const KeyGroupSet&) = default;

  // "0-179,240-240": first and last of each range.
  std::string ToString() const;
  // "state_damaged".
  static Result<KeyGroupSet> Parse(std::string_view text);

 private:
  std::bitset<size_t(kKeyGroupCount)> groups_;
};

}  // namespace millrace
