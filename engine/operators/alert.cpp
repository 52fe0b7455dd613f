#include "engine/operators/alert.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type_traits.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "engine/operators/cell_text.h"

namespace millrace {
namespace {

// A field of what an id is hashed from: its length first, so that no two lists of fields agree.
void AppendHashed(std::string_view field, std::string* out) {
  const uint64_t size = field.size();
  for (int shift = 0; shift < 64; shift += 8) out->push_back(char(size >> shift));
  out->append(field);
}

void AppendHashed(int64_t number, std::string* out) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = char(uint64_t(number) >> (8 * i));
  AppendHashed(std::string_view(bytes.data(), bytes.size()), out);
}

std::string HashText(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

struct Rule {
  const AlertRule* spec;
  std::unique_ptr<Evaluator> condition;
};

// The columns of AlertSchema().
struct AlertBuilders {
  arrow::StringBuilder id, alert, stream, key, labels, annotations;
  arrow::TimestampBuilder event_time{ArrowType(Type::kTimestamp), arrow::default_memory_pool()};

  Result<std::shared_ptr<arrow::RecordBatch>> Finish() {
    const int64_t rows = id.length();
    arrow::ArrayVector arrays;
    for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
             &id, &alert, &stream, &key, &labels, &annotations, &event_time}) {
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> array, builder->Finish());
      arrays.push_back(std::move(array));
    }
    return arrow::RecordBatch::Make(AlertSchema().ToArrow(), rows, std::move(arrays));
  }
};

class AlertOperatorImpl final : public AlertOperator {
 public:
  Status Init(const AlertNode& node, const std::string& job, const std::string& stream,
              const Schema& input) {
    node_ = node;
    job_ = job;
    stream_ = stream;
    input_ = input;
    if (node_.windowed && node_.time_column < 0) {
      return InternalError("malformed_plan", "windowed alerts without a window end");
    }
    for (const AlertRule& rule : node_.rules) {
      ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Evaluator> condition,
                            Evaluator::Make(rule.condition, input));
      rules_.push_back({&rule, std::move(condition)});
    }
    return Status::OK();
  }

  Result<Alerted> Apply(const Rows& input) override {
    Alerted alerted;
    if (input.batch == nullptr) return InternalError("no_batch", "rows without a batch");
    ARROW_RETURN_NOT_OK(EvaluateConditions(*input.batch, &alerted.errors));
    const int64_t rows = input.size();
    auto origins = input.origins == nullptr ? nullptr : std::make_shared<Origins>();
    if (origins != nullptr) origins->source = input.origins->source;
    for (int64_t row = 0; row < rows; ++row) {
      if (raised_[size_t(row)] == 0) continue;
      key_.clear();
      AppendObject(node_.keys, *input.batch, row);
      for (size_t rule = 0; rule < rules_.size(); ++rule) {
        if (!IsTrue(*conditions_[rule], row)) continue;
        ARROW_RETURN_NOT_OK(Append(*rules_[rule].spec, input, row));
        if (origins != nullptr) origins->Append(*input.origins, row);
      }
    }
    ARROW_ASSIGN_OR_RAISE(alerted.rows.batch, builders_.Finish());
    alerted.rows.origins = std::move(origins);
    return alerted;
  }

 private:
  static bool IsTrue(const arrow::Array& values, int64_t row) {
    return values.type_id() == arrow::Type::BOOL && values.IsValid(row) &&
           static_cast<const arrow::BooleanArray&>(values).Value(row);
  }

  // Fills conditions_ and raised_ (rows where any holds). A row has its first rule's error.
  Status EvaluateConditions(const arrow::RecordBatch& batch, std::vector<RowError>* errors) {
    raised_.assign(size_t(batch.num_rows()), 0);
    conditions_.clear();
    for (const Rule& rule : rules_) {
      ARROW_ASSIGN_OR_RAISE(Evaluated evaluated, rule.condition->Evaluate(batch));
      for (RowError& error : evaluated.errors) {
        error.message = "alert " + rule.spec->alert + ": " + error.message;
        errors->push_back(std::move(error));
      }
      if (evaluated.values->type_id() == arrow::Type::BOOL) {
        const auto& flags = static_cast<const arrow::BooleanArray&>(*evaluated.values);
        if (flags.true_count() > 0) {
          for (int64_t row = 0; row < batch.num_rows(); ++row) {
            raised_[size_t(row)] |= uint8_t(IsTrue(flags, row));
          }
        }
      }
      conditions_.push_back(std::move(evaluated.values));
    }
    std::ranges::stable_sort(*errors, {}, &RowError::row);
    const auto repeated = std::ranges::unique(*errors, {}, &RowError::row);
    errors->erase(repeated.begin(), repeated.end());
    return Status::OK();
  }

  // {"device_id":"d1"} into key_.
  void AppendObject(const std::vector<int>& columns, const arrow::RecordBatch& batch, int64_t row) {
    key_.push_back('{');
    for (const int column : columns) {
      if (key_.size() > 1) key_.push_back(',');
      AppendJsonString(input_.fields[size_t(column)].name, &key_);
      key_.push_back(':');
      AppendCellJson(*batch.columns()[size_t(column)], row, &key_);
    }
    key_.push_back('}');
  }

  void Render(const Template& text, const arrow::RecordBatch& batch, int64_t row) {
    rendered_.clear();
    for (size_t i = 0; i < text.literals.size(); ++i) {
      rendered_.append(text.literals[i]);
      if (i >= text.columns.size()) continue;
      AppendCellText(*batch.columns()[size_t(text.columns[i])], row, &rendered_);
    }
  }

  Status AppendTemplates(const std::vector<std::pair<std::string, Template>>& templates,
                         const arrow::RecordBatch& batch, int64_t row,
                         arrow::StringBuilder* builder) {
    object_ = "{";
    for (const auto& [name, text] : templates) {
      if (object_.size() > 1) object_.push_back(',');
      AppendJsonString(name, &object_);
      object_.push_back(':');
      Render(text, batch, row);
      AppendJsonString(rendered_, &object_);
    }
    object_.push_back('}');
    return builder->Append(object_);
  }

  // Never of anything that a restart changes: see docs, "Alerts", for what makes an id.
  std::string IdOf(const AlertRule& rule, const Rows& input, int64_t row) {
    hashed_.clear();
    AppendHashed(job_, &hashed_);
    AppendHashed(rule.alert, &hashed_);
    AppendHashed(key_, &hashed_);
    if (!node_.windowed && input.origins != nullptr) {
      AppendHashed(input.origins->source.topic, &hashed_);
      AppendHashed(int64_t(input.origins->source.partition), &hashed_);
      AppendHashed(input.origins->offsets[size_t(row)], &hashed_);
      if (const int32_t index = input.origins->IndexOf(row); index >= 0) {
        AppendHashed(int64_t(index), &hashed_);
      }
    } else if (node_.of_row) {
      for (const auto& column : input.batch->columns()) {
        // Of a sum a restart may change the last digit.
        if (arrow::is_floating(column->type_id())) continue;
        rendered_.clear();
        AppendCellText(*column, row, &rendered_);
        AppendHashed(int64_t(column->IsNull(row)), &hashed_);
        AppendHashed(rendered_, &hashed_);
      }
    } else if (node_.time_column >= 0) {
      rendered_.clear();
      AppendCellText(*input.batch->columns()[size_t(node_.time_column)], row, &rendered_);
      AppendHashed(rendered_, &hashed_);
    }
    // Items of one reading, or of one window's row, are apart.
    if (input.items != nullptr) AppendHashed(int64_t((*input.items)[size_t(row)]), &hashed_);
    return HashText(hashed_);
  }

  Status Append(const AlertRule& rule, const Rows& input, int64_t row) {
    const arrow::RecordBatch& batch = *input.batch;
    ARROW_RETURN_NOT_OK(builders_.id.Append(IdOf(rule, input, row)));
    ARROW_RETURN_NOT_OK(builders_.alert.Append(rule.alert));
    ARROW_RETURN_NOT_OK(builders_.stream.Append(stream_));
    ARROW_RETURN_NOT_OK(builders_.key.Append(key_));
    ARROW_RETURN_NOT_OK(AppendTemplates(rule.labels, batch, row, &builders_.labels));
    ARROW_RETURN_NOT_OK(AppendTemplates(rule.annotations, batch, row, &builders_.annotations));
    if (node_.time_column < 0) return builders_.event_time.AppendNull();
    const arrow::Array& time = *batch.columns()[size_t(node_.time_column)];
    if (time.IsNull(row)) return builders_.event_time.AppendNull();
    return builders_.event_time.Append(static_cast<const arrow::TimestampArray&>(time).Value(row));
  }

  AlertNode node_;
  std::string job_;
  std::string stream_;
  Schema input_;
  std::vector<Rule> rules_;
  AlertBuilders builders_;
  // Of the current batch and row; kept for their memory.
  std::vector<std::shared_ptr<arrow::Array>> conditions_;
  std::vector<uint8_t> raised_;
  std::string key_;
  std::string object_;
  std::string rendered_;
  std::string hashed_;
};

}  // namespace

Result<std::unique_ptr<AlertOperator>> AlertOperator::Make(const AlertNode& node,
                                                           const std::string& job,
                                                           const std::string& stream,
                                                           const Schema& input) {
  auto alert = std::make_unique<AlertOperatorImpl>();
  ARROW_RETURN_NOT_OK(alert->Init(node, job, stream, input));
  return alert;
}

}  // namespace millrace
