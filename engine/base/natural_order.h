// Names in the order in which people count: "worker-2" before "worker-10".
#pragma once

#include <string_view>

namespace millrace {

// Runs of digits compare as numbers of any length, all else byte by byte. A strict weak order in
// which only equal names are equivalent: "w-01" comes after "w-1".
bool NaturalLess(std::string_view a, std::string_view b);

}  // namespace millrace
