// For tables of texts that are looked up by a view.
#pragma once

#include <functional>
#include <string_view>

namespace millrace {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace millrace
