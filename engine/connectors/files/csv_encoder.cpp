#include "engine/connectors/files/csv_encoder.h"

#include <arrow/array.h>

#include <cmath>

#include "engine/connectors/files/partition_path.h"

namespace millrace {

void AppendCsvCell(std::string_view text, std::string* line, char delimiter, char quote) {
  const bool space_at_end = !text.empty() && (text.front() == ' ' || text.back() == ' ');
  const char special[] = {delimiter, quote, '\r', '\n'};
  if (!text.empty() && !space_at_end &&
      text.find_first_of({special, sizeof(special)}) == std::string_view::npos) {
    line->append(text);
    return;
  }
  line->push_back(quote);
  for (const char c : text) {
    if (c == quote) line->push_back(quote);
    line->push_back(c);
  }
  line->push_back(quote);
}

std::string CsvRowEncoder::Header() const {
  std::string line;
  for (size_t i = 0; i < schema_.fields.size(); ++i) {
    if (i != 0) line.push_back(',');
    AppendCsvCell(schema_.fields[i].name, &line);
  }
  line.push_back('\n');
  return line;
}

void CsvRowEncoder::Encode(const arrow::RecordBatch& batch, std::string* buffer,
                           std::vector<size_t>* ends) {
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    for (int i = 0; i < int(schema_.fields.size()); ++i) {
      if (i != 0) buffer->push_back(',');
      const arrow::Array& column = *batch.column(i);
      if (column.IsNull(row)) continue;
      const Type type = schema_.fields[size_t(i)].type;
      const bool is_finite =
          type == Type::kDouble
              ? std::isfinite(static_cast<const arrow::DoubleArray&>(column).Value(row))
              : type != Type::kReal ||
                    std::isfinite(static_cast<const arrow::FloatArray&>(column).Value(row));
      if (!is_finite) {
        ++non_finite_values_;
      } else if (type == Type::kText) {
        AppendCsvCell(static_cast<const arrow::StringArray&>(column).GetView(row), buffer);
      } else {
        AppendCellText(column, type, row, buffer);
      }
    }
    buffer->push_back('\n');
    ends->push_back(buffer->size());
  }
}

}  // namespace millrace
