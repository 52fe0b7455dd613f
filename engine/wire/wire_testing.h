// Rows for tests of what passes between processes: batches of all types with nulls, slices and
// selections, from a seed.
#pragma once

#include <arrow/api.h>

#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/connectors/source.h"
#include "engine/wire/message_codec.h"

namespace millrace::testing {

inline void Must(const Status& status) {
  if (!status.ok()) status.Abort();
}

class TestOriginals final : public OriginalRecords {
 public:
  explicit TestOriginals(std::vector<std::pair<std::string, std::string>> records)
      : records_(std::move(records)) {}
  std::string_view ValueOfRow(int64_t row) const override { return records_.at(size_t(row)).first; }
  std::string_view KeyOfRow(int64_t row) const override { return records_.at(size_t(row)).second; }
  int64_t bytes() const override { return 7; }

 private:
  const std::vector<std::pair<std::string, std::string>> records_;
};

class FrameMaker {
 public:
  explicit FrameMaker(uint64_t seed) : random_(seed) {}

  uint64_t Next() { return random_(); }
  uint64_t Below(uint64_t end) { return random_() % end; }
  bool Chance(int percent) { return Below(100) < uint64_t(percent); }
  std::string Bytes(size_t size_max) {
    std::string bytes(Below(size_max + 1), '\0');
    for (char& byte : bytes) byte = char(Next());
    return bytes;
  }

  // Every type that rows have, in any number of columns, with any share of nulls.
  std::shared_ptr<arrow::Array> Column(const std::shared_ptr<arrow::DataType>& type, int64_t rows) {
    const int nulls = Chance(50) ? 0 : Chance(10) ? 100 : int(Below(60));
    auto builder = arrow::MakeBuilder(type).ValueOrDie();
    for (int64_t row = 0; row < rows; ++row) {
      if (Chance(nulls)) {
        Must(builder->AppendNull());
      } else {
        Append(type->id(), builder.get());
      }
    }
    return builder->Finish().ValueOrDie();
  }

  std::shared_ptr<arrow::RecordBatch> Batch(int64_t rows) {
    static const arrow::DataTypeVector types = {arrow::null(),
                                                arrow::boolean(),
                                                arrow::int32(),
                                                arrow::int64(),
                                                arrow::uint64(),
                                                arrow::float32(),
                                                arrow::float64(),
                                                arrow::utf8(),
                                                arrow::binary(),
                                                arrow::date32(),
                                                arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                                arrow::fixed_size_binary(5)};
    const int columns = Chance(20) ? int(types.size()) : int(Below(6));
    const int64_t before = Chance(50) ? 0 : int64_t(Below(20));
    const int64_t behind = Chance(50) ? 0 : int64_t(Below(20));
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    for (int i = 0; i < columns; ++i) {
      const auto& type =
          columns == int(types.size()) ? types[size_t(i)] : types[Below(types.size())];
      auto metadata = Chance(20) ? arrow::key_value_metadata({"unit"}, {Bytes(4)}) : nullptr;
      fields.push_back(
          arrow::field("c" + std::to_string(Below(1000)), type, Chance(80), std::move(metadata)));
      arrays.push_back(Column(type, before + rows + behind));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), before + rows + behind,
                                    std::move(arrays))
        ->Slice(before, rows);
  }

  template <typename Number>
  std::vector<Number> Numbers(int64_t count) {
    std::vector<Number> numbers(static_cast<size_t>(count));
    for (Number& number : numbers) number = Number(Next());
    return numbers;
  }

  DataFrame Data() {
    const int64_t rows = Chance(10) ? 0 : int64_t(Below(Chance(20) ? 3000 : 80));
    const bool to_sink = Chance(30);
    DataFrame data;
    data.node = NodeId(int32_t(Below(50)));
    data.sink = to_sink ? int32_t(Below(9)) : -1;
    data.fetched = MonotonicTime(1'000'000 + int64_t(Below(1000)));
    data.rows.batch = Batch(rows);
    data.rows.kind = RowKind(Below(3));
    data.rows.are_panes = Chance(20);
    if (!to_sink || Chance(10)) {
      data.hashes = std::make_shared<std::vector<uint64_t>>(Numbers<uint64_t>(rows));
    }
    if (Chance(30)) {
      data.rows.items = std::make_shared<std::vector<uint64_t>>(Numbers<uint64_t>(rows));
    }
    if (Chance(60)) Origin(rows, &data.rows);
    if (!to_sink) data.selection = Selection(rows);
    return data;
  }

  std::vector<DeadLetter> Letters() {
    std::vector<DeadLetter> letters(Below(5));
    for (DeadLetter& letter : letters) {
      letter.value = Bytes(300);
      letter.key = Bytes(20);
      letter.reason = Bytes(20);
      letter.message = Bytes(100);
      letter.stream = Bytes(20);
      letter.source = {Bytes(20), int32_t(Below(100))};
      letter.offset = int64_t(Next());
      letter.index = int32_t(Next());
    }
    return letters;
  }

 private:
  template <typename Builder, typename Value>
  static void AppendTo(arrow::ArrayBuilder* builder, const Value& value) {
    Must(static_cast<Builder*>(builder)->Append(value));
  }

  void Append(arrow::Type::type type, arrow::ArrayBuilder* to) {
    switch (type) {
      case arrow::Type::BOOL:
        return AppendTo<arrow::BooleanBuilder>(to, Chance(50));
      case arrow::Type::INT32:
        return AppendTo<arrow::Int32Builder>(to, int32_t(Next()));
      case arrow::Type::INT64:
        return AppendTo<arrow::Int64Builder>(to, int64_t(Next()));
      case arrow::Type::UINT64:
        return AppendTo<arrow::UInt64Builder>(to, Next());
      case arrow::Type::FLOAT:  // not-a-numbers of all kinds among them
        return AppendTo<arrow::FloatBuilder>(to, std::bit_cast<float>(uint32_t(Next())));
      case arrow::Type::DOUBLE:
        return AppendTo<arrow::DoubleBuilder>(to, std::bit_cast<double>(Next()));
      case arrow::Type::STRING:
        return AppendTo<arrow::StringBuilder>(to, std::string(Below(12), 'x') + "\u00e4");
      case arrow::Type::BINARY:
        return AppendTo<arrow::BinaryBuilder>(to, Bytes(20));
      case arrow::Type::DATE32:
        return AppendTo<arrow::Date32Builder>(to, int32_t(Next()));
      case arrow::Type::TIMESTAMP:
        return AppendTo<arrow::TimestampBuilder>(to, int64_t(Next()));
      case arrow::Type::FIXED_SIZE_BINARY:
        return AppendTo<arrow::FixedSizeBinaryBuilder>(to, std::string(5, char(Next())));
      default:
        return Must(to->AppendNull());
    }
  }

  void Origin(int64_t rows, Rows* to) {
    auto origins = std::make_shared<Origins>();
    origins->source = {Bytes(10), int32_t(Below(100))};
    origins->offsets = Numbers<int64_t>(rows);
    if (Chance(50)) origins->indexes = Numbers<int32_t>(rows);
    to->origins = std::move(origins);
    if (Chance(50)) return;
    const bool is_shared = Chance(50);
    const int64_t records = is_shared ? 1 + int64_t(Below(40)) : rows;
    std::vector<std::pair<std::string, std::string>> texts;
    for (int64_t i = 0; i < records; ++i) {
      std::string value = Bytes(30);
      texts.emplace_back(std::move(value), Bytes(8));
    }
    to->originals = std::make_shared<TestOriginals>(std::move(texts));
    if (!is_shared) return;
    auto original_rows = std::make_shared<std::vector<int32_t>>(size_t(rows));
    for (int32_t& row : *original_rows) row = int32_t(Below(uint64_t(records)));
    to->original_rows = std::move(original_rows);
  }

  std::vector<uint32_t> Selection(int64_t rows) {
    std::vector<uint32_t> selection;
    const int share = Chance(30) ? 100 : int(Below(101));
    const int64_t first = Chance(20) && rows > 0 ? int64_t(Below(uint64_t(rows))) : 0;
    for (int64_t row = first; row < rows; ++row) {
      if (Chance(share)) selection.push_back(uint32_t(row));
    }
    return selection;
  }

  std::mt19937_64 random_;
};

// The bytes of a cell, as they are in memory; none: null.
inline std::optional<std::string> Cell(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  if (column.type_id() == arrow::Type::BOOL) {
    return static_cast<const arrow::BooleanArray&>(column).Value(row) ? "t" : "f";
  }
  if (arrow::is_binary_like(column.type_id())) {
    return std::string(static_cast<const arrow::BinaryArray&>(column).GetView(row));
  }
  const auto width =
      size_t(static_cast<const arrow::FixedWidthType&>(*column.type()).bit_width() / 8);
  const auto* const values = column.data()->buffers[1]->data();
  return std::string(reinterpret_cast<const char*>(values) + size_t(column.offset() + row) * width,
                     width);
}

inline std::shared_ptr<const Frame> MakeFrame(FrameBody body, int64_t bytes) {
  auto frame = std::make_shared<Frame>();
  frame->body = std::move(body);
  frame->bytes = bytes;
  return frame;
}

}  // namespace millrace::testing
