// Type names in SQL and the explicit casts between types.
#pragma once

#include <optional>
#include <string>

#include "engine/model/types.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

struct CastTarget {
  Type type = Type::kNull;
  std::string interval_unit;  // INTERVAL '5' MINUTE: "minute"; empty otherwise
};

// Nothing after an error.
std::optional<CastTarget> ReadTypeName(const SqlText& sql, const Syntax& type_name);

// Whether CAST (from AS to) exists in PostgreSQL and here.
bool CanCast(Type from, Type to);

}  // namespace millrace
