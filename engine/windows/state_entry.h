// Entries of saved windows: one part of what one chunk holds for a (key, pane). Format:
// docs/state-format.md, "Windows".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace millrace {

// Appends what follows the bytes of a key.
void AppendEntryPart(uint32_t chunk, uint32_t part, std::string* key);

// The end of the entries whose keys are `first` and a part: no key is the beginning of another.
std::string EntriesEnd(std::string first);

struct EntryKey {
  std::string_view group_and_key;  // what the entries of one key begin with, after the time
  std::string_view key;            // as KeyTable has it
  uint32_t chunk = 0;
  uint32_t part = 0;
};
// `is_text`: of each key column. "state_damaged".
Result<EntryKey> ParseEntryKey(std::string_view key, const std::vector<bool>& is_text);

// A value is its version, what is in it, and a check over both and the key, so that no damage, and
// no entry under another's key, is read as state.
void BeginValue(std::string* value);
void EndValue(std::string_view key, std::string* value);
// What is in it. "state_damaged", "state_version".
Result<std::string_view> OpenValue(std::string_view key, std::string_view value);

Status StateDamaged(std::string_view what);

}  // namespace millrace
