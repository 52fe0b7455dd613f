#include "engine/connectors/files/partition_path.h"

#include <arrow/array.h>

#include <charconv>
#include <set>

#include "engine/base/diagnostics.h"
#include "engine/base/time.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

constexpr std::string_view kNullPartition = "__HIVE_DEFAULT_PARTITION__";
constexpr size_t kNameBytesMax = 255;
// Of all folders of a row together: with the sink's own folder and the file's name, what a system
// call takes (4,096 bytes).
constexpr size_t kPathBytesMax = 3000;

void AppendNumber(auto number, std::string* text) {
  char digits[40];
  text->append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

void AppendEscaped(std::string_view value, std::string* path) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
        c == '_' || c == '.' || c == '~') {
      path->push_back(c);
    } else {
      path->push_back('%');
      path->push_back(kDigits[byte >> 4]);
      path->push_back(kDigits[byte & 15]);
    }
  }
}

EventTime TimeAt(const arrow::Array& array, int64_t row) {
  return EventTime(Micros(static_cast<const arrow::TimestampArray&>(array).Value(row)));
}

}  // namespace

void AppendCellText(const arrow::Array& array, Type type, int64_t row, std::string* text) {
  if (array.IsNull(row)) return;
  switch (type) {
    case Type::kBoolean:
      text->append(static_cast<const arrow::BooleanArray&>(array).Value(row) ? "true" : "false");
      break;
    case Type::kInteger:
      AppendNumber(static_cast<const arrow::Int32Array&>(array).Value(row), text);
      break;
    case Type::kBigint:
      AppendNumber(static_cast<const arrow::Int64Array&>(array).Value(row), text);
      break;
    case Type::kDouble:
      AppendNumber(static_cast<const arrow::DoubleArray&>(array).Value(row), text);
      break;
    case Type::kReal:
      AppendNumber(static_cast<const arrow::FloatArray&>(array).Value(row), text);
      break;
    case Type::kDate:
      text->append(FormatDate(static_cast<const arrow::Date32Array&>(array).Value(row)));
      break;
    case Type::kText:
    case Type::kJson:
      text->append(static_cast<const arrow::StringArray&>(array).GetView(row));
      break;
    case Type::kTimestamp:
      text->append(FormatTimestamp(TimeAt(array, row)));
      break;
    case Type::kNull:
    case Type::kInterval:
      break;
  }
}

Result<PartitionPath> PartitionPath::Make(const Schema& schema,
                                          const std::vector<std::string>& names, int time_column) {
  PartitionPath made;
  std::set<int> left_out;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      return UserError("bad_partition", "partition_by names '" + name + "' twice");
    }
    Part part;
    AppendEscaped(name, &part.prefix);
    part.prefix.push_back('=');
    part.column = schema.IndexOf(name);
    if (part.column >= 0) {
      left_out.insert(part.column);
      part.type = schema.fields[size_t(part.column)].type;
    } else if (name == "date" && time_column >= 0) {
      part.column = time_column;
      part.date = true;
    } else if (name == "date") {
      return UserError("bad_partition",
                       "partition_by: date needs rows with a time, and these have "
                       "neither a window nor an event time");
    } else {
      const std::vector<std::string> known = schema.Names();
      const std::string hint = SuggestName(name, known);
      return UserError("bad_partition", "partition_by: no column '" + name + "'" +
                                            (hint.empty() ? "" : "; " + hint));
    }
    made.parts_.push_back(std::move(part));
  }
  for (int i = 0; i < int(schema.fields.size()); ++i) {
    if (!left_out.contains(i)) made.file_columns_.push_back(i);
  }
  if (made.file_columns_.empty()) {
    return UserError("bad_partition", "partition_by leaves no column for the files");
  }
  return made;
}

bool PartitionPath::Build(const arrow::RecordBatch& batch, int64_t row, std::string* path) {
  path->clear();
  for (const Part& part : parts_) {
    const size_t begin = path->empty() ? 0 : path->size() + 1;
    if (begin != 0) path->push_back('/');
    path->append(part.prefix);
    const arrow::Array& array = *batch.column(part.column);
    value_.clear();
    if (part.date && array.IsValid(row)) {
      const auto day = std::chrono::floor<std::chrono::days>(TimeAt(array, row));
      value_ = FormatDate(int32_t(day.time_since_epoch().count()));
    } else if (!part.date) {
      AppendCellText(array, part.type, row, &value_);
    }
    if (value_.empty()) {
      path->append(kNullPartition);
    } else {
      AppendEscaped(value_, path);
    }
    if (path->size() - begin > kNameBytesMax) return false;
  }
  return path->size() <= kPathBytesMax;
}

}  // namespace millrace
