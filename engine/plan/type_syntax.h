// Type names in SQL and the explicit casts between types.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/model/types.h"
#include "engine/plan/syntax_tree.h"

namespace millrace {

struct CastTarget {
  Type type = Type::kNull;
  std::string interval_unit;   // INTERVAL '5' MINUTE: "minute"; empty otherwise
  bool is_local_time = false;  // timestamp without time zone
};

// Nothing after an error.
std::optional<CastTarget> ReadTypeName(const SqlText& sql, const Syntax& type_name);

// What to say of a name that is no type: the nearest, or all that there are.
std::string TypeNameHint(std::string_view name);

// Whether CAST (from AS to) exists here: as in PostgreSQL, with the casts of jsonb for json.
bool CanCast(Type from, Type to);

// Whether `from` becomes `to` where a function or an operator wants that. Whole numbers do not
// become real by themselves: as in PostgreSQL, real and integer meet as double precision.
bool IsImplicitCast(Type from, Type to);

// The one type of CASE's results, of COALESCE, greatest and their kin; nothing where there is none.
// kNull of two open ones.
std::optional<Type> CommonTypeOf(Type a, Type b);

}  // namespace millrace
