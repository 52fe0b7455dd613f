// Records that say that a key is gone: those without a value (not: with an empty one).
#pragma once

#include <string_view>

namespace millrace {

// RejectedRecord::reason of one, where a reader was asked to tell them; it has its key and offset.
inline constexpr std::string_view kTombstone = "tombstone";

}  // namespace millrace
