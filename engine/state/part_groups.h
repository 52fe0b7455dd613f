// Which key groups of its files are a store's own, and the file beside them that says so. Format:
// docs/state-format.md, "Parts".
//
// A store that was cut from an older one by linking its files holds entries of other key groups as
// well. They are as good as deleted: not read, and gone with the next compaction that meets them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/state/key_group_set.h"
#include "engine/state/state_store.h"

namespace millrace {

struct PartGroups {
  static constexpr std::string_view kFileName = "GROUPS";

  KeyGroupSet own;
  // Of how many key groups there are entries in the files, about.
  int32_t held = 0;

  std::string Encode() const;
  // "state_damaged", "state_version".
  static Result<PartGroups> Decode(std::string_view bytes);

  friend bool operator==(const PartGroups&, const PartGroups&) = default;
};

// Whether the entry is of one of `own`, or an operator's own.
bool IsOfGroups(std::string_view key, const KeyGroupSet& own);

// Of the entries of `all` those of which that is true.
std::unique_ptr<StateIterator> OnlyGroups(std::unique_ptr<StateIterator> all, KeyGroupSet own);

}  // namespace millrace
