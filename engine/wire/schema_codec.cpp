#include "engine/wire/schema_codec.h"

#include <arrow/util/key_value_metadata.h>

#include "engine/wire/bad_message.h"
#include "proto/exchange.pb.h"

namespace millrace {
namespace {

// Part of the protocol: numbers are only ever added.
enum class ColumnType : int32_t {
  kNull = 1,
  kBoolean = 2,
  kInt32 = 3,
  kInt64 = 4,
  kUint64 = 5,
  kFloat = 6,
  kDouble = 7,
  kUtf8 = 8,
  kBinary = 9,
  kDate32 = 10,
  kTimestamp = 11,  // microseconds, UTC
  kFixedBinary = 12,
};

constexpr int32_t kFormat = 1;
// Of columns with a fixed number of bytes: accumulators of a pane.
constexpr int32_t kFixedWidthMax = 16 << 20;

const std::shared_ptr<arrow::DataType>& TimestampType() {
  static const auto type = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  return type;
}

// False: no type of the engine's.
bool EncodeType(const arrow::DataType& type, proto::ExchangeField* field) {
  const auto set = [&](ColumnType column) {
    field->set_type(int32_t(column));
    return true;
  };
  switch (type.id()) {
    case arrow::Type::NA:
      return set(ColumnType::kNull);
    case arrow::Type::BOOL:
      return set(ColumnType::kBoolean);
    case arrow::Type::INT32:
      return set(ColumnType::kInt32);
    case arrow::Type::INT64:
      return set(ColumnType::kInt64);
    case arrow::Type::UINT64:
      return set(ColumnType::kUint64);
    case arrow::Type::FLOAT:
      return set(ColumnType::kFloat);
    case arrow::Type::DOUBLE:
      return set(ColumnType::kDouble);
    case arrow::Type::STRING:
      return set(ColumnType::kUtf8);
    case arrow::Type::BINARY:
      return set(ColumnType::kBinary);
    case arrow::Type::DATE32:
      return set(ColumnType::kDate32);
    case arrow::Type::TIMESTAMP:
      return type.Equals(*TimestampType()) && set(ColumnType::kTimestamp);
    case arrow::Type::FIXED_SIZE_BINARY: {
      const int32_t width = static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width();
      field->set_width(width);
      return width <= kFixedWidthMax && set(ColumnType::kFixedBinary);
    }
    default:
      return false;
  }
}

// Null: not known.
std::shared_ptr<arrow::DataType> DecodeType(const proto::ExchangeField& field) {
  switch (ColumnType(field.type())) {
    case ColumnType::kNull:
      return arrow::null();
    case ColumnType::kBoolean:
      return arrow::boolean();
    case ColumnType::kInt32:
      return arrow::int32();
    case ColumnType::kInt64:
      return arrow::int64();
    case ColumnType::kUint64:
      return arrow::uint64();
    case ColumnType::kFloat:
      return arrow::float32();
    case ColumnType::kDouble:
      return arrow::float64();
    case ColumnType::kUtf8:
      return arrow::utf8();
    case ColumnType::kBinary:
      return arrow::binary();
    case ColumnType::kDate32:
      return arrow::date32();
    case ColumnType::kTimestamp:
      return TimestampType();
    case ColumnType::kFixedBinary:
      if (field.width() < 0 || field.width() > kFixedWidthMax) return nullptr;
      return arrow::fixed_size_binary(field.width());
  }
  return nullptr;
}

template <typename Message>
void EncodeProperties(const std::shared_ptr<const arrow::KeyValueMetadata>& properties,
                      Message* message) {
  if (properties == nullptr) return;
  for (int64_t i = 0; i < properties->size(); ++i) {
    proto::ExchangeProperty* const property = message->add_properties();
    property->set_name(properties->key(i));
    property->set_value(properties->value(i));
  }
}

template <typename Message>
std::shared_ptr<const arrow::KeyValueMetadata> DecodeProperties(const Message& message) {
  if (message.properties().empty()) return nullptr;
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const proto::ExchangeProperty& property : message.properties()) {
    names.push_back(property.name());
    values.push_back(property.value());
  }
  return arrow::key_value_metadata(std::move(names), std::move(values));
}

// Whether the oldest makes room for one more of `bytes`: the rule that both ends follow.
template <typename Entries>
bool MustForget(const Entries& entries, size_t known_bytes, size_t bytes) {
  return !entries.empty() &&
         (entries.size() >= kKnownSchemasMax || known_bytes + bytes > kKnownSchemaBytesMax);
}

}  // namespace

Result<std::string> EncodeSchema(const arrow::Schema& schema) {
  proto::ExchangeSchema message;
  message.set_format(kFormat);
  for (const auto& field : schema.fields()) {
    proto::ExchangeField* const made = message.add_fields();
    made->set_name(field->name());
    made->set_nullable(field->nullable());
    if (!EncodeType(*field->type(), made)) {
      return InternalError("unsendable_rows", "column " + field->name() + " is of type " +
                                                  field->type()->ToString() +
                                                  ", which no process sends another");
    }
    EncodeProperties(field->metadata(), made);
  }
  EncodeProperties(schema.metadata(), &message);
  if (message.ByteSizeLong() > kSchemaBytesMax) {
    return InternalError("unsendable_rows", "the rows have too many columns to be sent (" +
                                                std::to_string(schema.num_fields()) + ")");
  }
  return message.SerializeAsString();
}

Result<std::shared_ptr<arrow::Schema>> DecodeSchema(std::string_view bytes) {
  if (bytes.size() > kSchemaBytesMax) return BadMessage("a schema of too many bytes");
  proto::ExchangeSchema message;
  if (!message.ParseFromArray(bytes.data(), int(bytes.size()))) {
    return BadMessage("a schema that cannot be read");
  }
  if (message.format() != kFormat) return BadMessage("a schema of an unknown format");
  arrow::FieldVector fields;
  fields.reserve(size_t(message.fields_size()));
  for (const proto::ExchangeField& field : message.fields()) {
    std::shared_ptr<arrow::DataType> type = DecodeType(field);
    if (type == nullptr) return BadMessage("a column of an unknown type");
    fields.push_back(
        arrow::field(field.name(), std::move(type), field.nullable(), DecodeProperties(field)));
  }
  return arrow::schema(std::move(fields), DecodeProperties(message));
}

Result<SentSchemas::Sent> SentSchemas::NumberOf(const std::shared_ptr<arrow::Schema>& schema) {
  if (const auto known = by_address_.find(schema.get()); known != by_address_.end()) {
    return Sent{known->second};
  }
  ARROW_ASSIGN_OR_RAISE(std::string bytes, EncodeSchema(*schema));
  const auto [place, is_new] = by_bytes_.try_emplace(std::move(bytes), 0);
  if (!is_new) {
    // The same made again: its new address takes the place of the old one.
    Entry& entry = At(place->second);
    by_address_.erase(entry.schema.get());
    entry.schema = schema;
    by_address_.emplace(schema.get(), place->second);
    return Sent{place->second};
  }
  while (MustForget(entries_, bytes_, place->first.size())) {
    Forget(entries_.front());
    entries_.pop_front();
    ++first_;
  }
  place->second = first_ + int64_t(entries_.size());
  entries_.push_back({schema, &place->first});
  bytes_ += place->first.size();
  by_address_.emplace(schema.get(), place->second);
  return Sent{place->second, &place->first};
}

// The receiver may know what was forgotten for its sake a little longer; it is not asked for.
void SentSchemas::TakeBack() {
  Forget(entries_.back());
  entries_.pop_back();
}

void SentSchemas::Forget(const Entry& entry) {
  bytes_ -= entry.bytes->size();
  by_address_.erase(entry.schema.get());
  by_bytes_.erase(by_bytes_.find(*entry.bytes));
}

Status ReceivedSchemas::Add(std::string_view bytes) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Schema> schema, DecodeSchema(bytes));
  while (MustForget(entries_, bytes_, bytes.size())) {
    bytes_ -= entries_.front().bytes;
    entries_.pop_front();
    ++first_;
  }
  entries_.push_back({std::move(schema), bytes.size()});
  bytes_ += bytes.size();
  return Status::OK();
}

Result<std::shared_ptr<arrow::Schema>> ReceivedSchemas::Get(int64_t number) const {
  if (number < first_ || uint64_t(number) - uint64_t(first_) >= entries_.size()) {
    return BadMessage("rows of a schema that was not sent");
  }
  return entries_[size_t(number - first_)].schema;
}

}  // namespace millrace
