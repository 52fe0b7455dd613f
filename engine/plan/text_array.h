// Array literals of texts, `{a,"b c",0,NULL}`: PostgreSQL's input syntax of text[], one dimension.
// The paths of #> and #>>.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

// An item that is NULL has no value. None where it is no array literal.
std::optional<std::vector<std::optional<std::string>>> ParseTextArray(std::string_view text);

}  // namespace millrace
