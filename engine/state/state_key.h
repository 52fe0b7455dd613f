// Keys of saved state: [operator 2][time 8][key group 2][rest].
//
// Time leads, because what a window frees is then one range, gone with one range deletion whatever
// the number of key groups, and firing scans one range a pane; moving key groups seeks to its
// groups within each time (docs/decisions.md, "Time before key group"). Numbers are big-endian, so
// that they sort; the sign bit of the time is flipped.
//
// An operator's own entry, of no time or key group, stands under [operator 2] alone, before all
// others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

inline constexpr size_t kStateKeyPrefixBytes = 2 + 8 + 2;

// Appends the prefix.
void AppendStateKey(uint16_t operator_number, int64_t time, KeyGroup group, std::string* key);
// The first key of a time; of the time after it; of everything after the operator.
std::string StateTimeBegin(uint16_t operator_number, int64_t time);
std::string StateTimeEnd(uint16_t operator_number, int64_t time);
std::string StateOperatorKey(uint16_t operator_number);
std::string StateOperatorEnd(uint16_t operator_number);

struct StateKeyParts {
  uint16_t operator_number = 0;
  int64_t time = 0;
  KeyGroup group;
  std::string_view rest;
};
// "state_damaged" where it is too short.
Result<StateKeyParts> ParseStateKey(std::string_view key);
// Whether it is that of an operator's own entry.
constexpr bool IsOperatorKey(std::string_view key) { return key.size() < kStateKeyPrefixBytes; }
// Of any other key.
constexpr KeyGroup GroupOfStateKey(std::string_view key) {
  return KeyGroup(uint8_t(key[10]) << 8 | uint8_t(key[11]));
}

class StateStore;
// Copies the entries of operator_number whose key group is in [first, last) (not the operator's
// own entry): what a restore at another parallelism does.
Status CopyKeyGroups(StateStore* from, StateStore* to, uint16_t operator_number, KeyGroup first,
                     KeyGroup last);

}  // namespace millrace
