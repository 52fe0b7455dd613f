#include "engine/model/types.h"

#include <arrow/util/key_value_metadata.h>

#include <array>
#include <cctype>

namespace millrace {
namespace {

struct TypeSynonym {
  std::string_view name;
  Type type;
};

// PostgreSQL's names and its parser's internal ones, plus `double` and `string`. Types that would
// be something else here (smallint, char(n) with its padding) are not among them.
constexpr std::array<TypeSynonym, 26> kSynonyms = {{
    {"boolean", Type::kBoolean},
    {"bool", Type::kBoolean},
    {"integer", Type::kInteger},
    {"int", Type::kInteger},
    {"int4", Type::kInteger},
    {"bigint", Type::kBigint},
    {"int8", Type::kBigint},
    {"real", Type::kReal},
    {"float4", Type::kReal},
    {"double precision", Type::kDouble},
    {"double", Type::kDouble},
    {"float", Type::kDouble},
    {"float8", Type::kDouble},
    {"numeric", Type::kDouble},
    {"decimal", Type::kDouble},
    {"text", Type::kText},
    {"varchar", Type::kText},
    {"character varying", Type::kText},
    {"string", Type::kText},
    {"date", Type::kDate},
    {"timestamp", Type::kTimestamp},
    {"timestamptz", Type::kTimestamp},
    {"timestamp with time zone", Type::kTimestamp},
    {"timestamp without time zone", Type::kTimestamp},
    {"interval", Type::kInterval},
    {"json", Type::kJson},
}};

// Lower case, with single spaces between words and none around them.
std::string Normalized(std::string_view name) {
  std::string normalized;
  for (const char raw : name) {
    const auto byte = static_cast<unsigned char>(raw);
    if (std::isspace(byte)) {
      if (!normalized.empty() && normalized.back() != ' ') normalized += ' ';
    } else {
      normalized += char(std::tolower(byte));
    }
  }
  if (!normalized.empty() && normalized.back() == ' ') normalized.pop_back();
  return normalized;
}

}  // namespace

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kNull:
      return "null";
    case Type::kBoolean:
      return "boolean";
    case Type::kInteger:
      return "integer";
    case Type::kBigint:
      return "bigint";
    case Type::kDouble:
      return "double precision";
    case Type::kText:
      return "text";
    case Type::kTimestamp:
      return "timestamp";
    case Type::kInterval:
      return "interval";
    case Type::kReal:
      return "real";
    case Type::kDate:
      return "date";
    case Type::kJson:
      return "json";
  }
  return "unknown";
}

std::optional<Type> TypeFromName(std::string_view name) {
  const std::string wanted = Normalized(name);
  for (const TypeSynonym& synonym : kSynonyms) {
    if (synonym.name == wanted) return synonym.type;
  }
  return std::nullopt;
}

std::span<const std::string> ColumnTypeNames() {
  static const std::vector<std::string> names = {
      "boolean", "integer", "bigint", "real", "double", "text", "date", "timestamp", "json"};
  return names;
}

std::shared_ptr<arrow::DataType> ArrowType(Type type) {
  switch (type) {
    case Type::kBoolean:
      return arrow::boolean();
    case Type::kInteger:
      return arrow::int32();
    case Type::kBigint:
      return arrow::int64();
    case Type::kDouble:
      return arrow::float64();
    case Type::kText:
    case Type::kJson:
      return arrow::utf8();
    case Type::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Type::kReal:
      return arrow::float32();
    case Type::kDate:
      return arrow::date32();
    case Type::kNull:
    case Type::kInterval:
      break;
  }
  return arrow::null();
}

int Schema::IndexOf(std::string_view name) const {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return int(i);
  }
  return -1;
}

std::vector<std::string> Schema::Names() const {
  std::vector<std::string> names;
  names.reserve(fields.size());
  for (const Field& field : fields) names.push_back(field.name);
  return names;
}

std::shared_ptr<arrow::Schema> Schema::ToArrow() const {
  arrow::FieldVector arrow_fields;
  arrow_fields.reserve(fields.size());
  for (const Field& field : fields) {
    std::shared_ptr<const arrow::KeyValueMetadata> metadata;
    if (!field.unit.empty()) metadata = arrow::key_value_metadata({"unit"}, {field.unit});
    arrow_fields.push_back(
        arrow::field(field.name, ArrowType(field.type), /*nullable=*/true, metadata));
  }
  return arrow::schema(std::move(arrow_fields));
}

}  // namespace millrace
