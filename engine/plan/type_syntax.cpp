#include "engine/plan/type_syntax.h"

#include <utility>

namespace millrace {
namespace {

// PostgreSQL's bit masks of interval fields (utils/timestamp.h: INTERVAL_MASK), one field only.
std::string IntervalUnit(int64_t mask) {
  switch (mask) {
    case 1 << 2:
      return "year";
    case 1 << 1:
      return "month";
    case 1 << 3:
      return "day";
    case 1 << 10:
      return "hour";
    case 1 << 11:
      return "minute";
    case 1 << 12:
      return "second";
    default:
      return "";
  }
}

}  // namespace

std::optional<CastTarget> ReadTypeName(const SqlText& sql, const Syntax& type_name) {
  const std::vector<Syntax>& names = type_name.List("names");
  const std::string name = names.empty() ? "" : StringOf(names.back());
  CastTarget target;
  const std::optional<Type> type = TypeFromName(name);
  const bool known_schema =
      names.size() == 1 || (names.size() == 2 && StringOf(names[0]) == "pg_catalog");
  if (!type.has_value() || !known_schema) {
    sql.Error(type_name, "type '" + name + "' is not supported", TypeNameHint(name));
    return std::nullopt;
  }
  target.type = *type;
  target.is_local_time = name == "timestamp";
  const std::vector<Syntax>& modifiers = type_name.List("typmods");
  if (*type != Type::kInterval || modifiers.empty()) {
    if (!RefuseOtherFields(sql, type_name, {"names", "typemod"})) return std::nullopt;
    return target;
  }
  if (!RefuseOtherFields(sql, type_name, {"names", "typemod", "typmods"})) return std::nullopt;
  const Syntax* mask = modifiers[0].Find("ival");
  if (modifiers.size() == 1 && mask != nullptr)
    target.interval_unit = IntervalUnit(mask->Integer("ival"));
  if (target.interval_unit.empty()) {
    sql.Error(type_name, "an interval of several fields or with a precision is not supported",
              "write INTERVAL '1 day 2 hours'");
    return std::nullopt;
  }
  return target;
}

std::string TypeNameHint(std::string_view name) {
  const std::string nearest = NearestName(name, ColumnTypeNames());
  if (!nearest.empty()) return "did you mean '" + nearest + "'?";
  std::string known;
  for (const std::string& type : ColumnTypeNames()) {
    known += (known.empty() ? "known: " : ", ") + type;
  }
  return known;
}

bool CanCast(Type from, Type to) {
  if (from == to || from == Type::kNull) return true;
  if (from == Type::kText || to == Type::kText) return true;
  if (from == Type::kJson) return to == Type::kBoolean || IsNumeric(to);
  if (IsNumeric(from) && IsNumeric(to)) return true;
  if (from == Type::kDate || to == Type::kDate) {
    return from == Type::kTimestamp || to == Type::kTimestamp;
  }
  return (from == Type::kBoolean && to == Type::kInteger) ||
         (from == Type::kInteger && to == Type::kBoolean);
}

bool IsImplicitCast(Type from, Type to) {
  if (from == to || from == Type::kNull) return true;
  switch (from) {
    case Type::kInteger:
      return to == Type::kBigint || to == Type::kDouble;
    case Type::kBigint:
    case Type::kReal:
      return to == Type::kDouble;
    case Type::kDate:
      return to == Type::kTimestamp;
    default:
      return false;
  }
}

std::optional<Type> CommonTypeOf(Type a, Type b) {
  if (IsImplicitCast(a, b)) return b;
  if (IsImplicitCast(b, a)) return a;
  if (IsNumeric(a) && IsNumeric(b)) return Type::kReal;
  return std::nullopt;
}

}  // namespace millrace
