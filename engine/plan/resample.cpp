#include "engine/plan/resample.h"

#include <set>

namespace millrace {
namespace {

// As SQL reads it, whatever it holds.
std::string Name(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += c;
    quoted += c;
  }
  return quoted + "\"";
}

std::string IntervalText(Micros length) {
  return "INTERVAL '" + std::to_string(length.count()) + " microseconds'";
}

// No column of a stream has such a name.
std::string NextName(const std::string& name) { return Name(name + "#next"); }

}  // namespace

bool CheckResampled(const SqlText& sql, const TableRef& resample, const Schema& input, int time) {
  std::set<std::string> seen = {input.fields[size_t(time)].name};
  const auto check = [&](const PlacedName& column, bool is_value) {
    const int index = input.IndexOf(column.name);
    if (index < 0) {
      sql.Error(column.offset, "unknown column '" + column.name + "'",
                SuggestName(column.name, input.Names()));
      return false;
    }
    if (!seen.insert(column.name).second) {
      sql.Error(column.offset,
                "column '" + column.name + "' is in resample() twice, or is the event time");
      return false;
    }
    const Type type = input.fields[size_t(index)].type;
    if (is_value && resample.is_linear && !IsNumeric(type)) {
      sql.Error(column.offset,
                "method 'linear' of resample() takes numbers, and '" + column.name + "' is " +
                    std::string(TypeName(type)),
                "write method => 'last'");
      return false;
    }
    if (!is_value && type == Type::kJson) {
      sql.Error(column.offset, "could not identify an equality operator for type json",
                "take a part of it as text: x->>'key'");
      return false;
    }
    return true;
  };
  bool good = true;
  for (const PlacedName& key : resample.keys) good = check(key, false) && good;
  for (const PlacedName& value : resample.values) good = check(value, true) && good;
  return good;
}

std::string NeighboursSql(const TableRef& resample, const std::string& time) {
  std::string partition = "PARTITION BY ";
  std::string items;
  for (const PlacedName& key : resample.keys) {
    partition += (&key == resample.keys.data() ? "" : ", ") + Name(key.name);
    items += Name(key.name) + ", ";
  }
  partition += " ORDER BY " + Name(time);
  items += Name(time);
  for (const PlacedName& value : resample.values) items += ", " + Name(value.name);
  items += ", first_value(" + Name(time) + ") OVER ahead AS " + NextName(time);
  if (resample.is_linear) {
    for (const PlacedName& value : resample.values) {
      items += ", first_value(" + Name(value.name) + ") OVER ahead AS " + NextName(value.name);
    }
  }
  return "SELECT " + items +
         ", row_number() OVER every_row = rank() OVER every_row AS \"first#\" FROM input WINDOW "
         "every_row AS (" +
         partition + "), ahead AS (" + partition +
         " RANGE BETWEEN INTERVAL '1 microsecond' FOLLOWING AND " +
         IntervalText(resample.largest_gap) + " FOLLOWING)";
}

std::string ResampleSql(const TableRef& resample, const Schema& rows) {
  const std::string& time_name = rows.fields[resample.keys.size()].name;
  const std::string time = Name(time_name);
  const std::string next = NextName(time_name);
  const std::string on_grid = "\"grid#\"::timestamp";
  std::string items;
  for (const PlacedName& key : resample.keys) items += Name(key.name) + ", ";
  items += on_grid + " AS " + time;
  for (const PlacedName& value : resample.values) {
    const std::string name = Name(value.name);
    items += ", ";
    if (!resample.is_linear) {
      items += name;
      continue;
    }
    const std::string last = name + "::double precision";
    items += "CASE WHEN " + on_grid + " = " + time + " THEN " + last + " ELSE " + last + " + (" +
             NextName(value.name) + "::double precision - " + last + ") * (extract(epoch FROM " +
             on_grid + " - " + time + ") / extract(epoch FROM " + next + " - " + time +
             ")) END AS " + name;
  }
  // Up to the next row, or to the end of the gap; of linear ones where there is no next, only the
  // row's own time.
  const Micros alone = resample.is_linear ? Micros(1) : resample.largest_gap + Micros(1);
  return "SELECT " + items + " FROM input, json_array_elements_text(time_grid(" + time +
         ", coalesce(" + next + ", " + time + " + " + IntervalText(alone) + "), " +
         IntervalText(resample.every) + ")) AS \"grid#\"(\"grid#\") WHERE \"first#\"";
}

}  // namespace millrace
