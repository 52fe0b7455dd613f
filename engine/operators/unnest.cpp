#include "engine/operators/unnest.h"

#include <arrow/array.h>
#include <arrow/builder.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "engine/json/json_text.h"
#include "engine/operators/column.h"
#include "engine/operators/take_rows.h"
#include "engine/operators/used_columns.h"

namespace millrace {
namespace {

// A piece ends at about so much.
constexpr int64_t kPieceRows = 16'384;
constexpr int64_t kPieceBytes = 4 << 20;

// An item's number among those of all arrays that it is inside of.
uint64_t NumberOf(uint64_t outer, size_t item) {
  return outer * (kUnnestItemsMax + 1) + uint64_t(item);
}

std::string ElementText(size_t item) { return " (element " + std::to_string(item) + ")"; }

// Rows under construction: input rows with one item each.
class Piece {
 public:
  Piece(bool as_text, bool numbered) : as_text_(as_text), numbered_(numbered) {}

  int64_t rows() const { return int64_t(input_rows_.size()); }
  int64_t bytes() const { return bytes_; }
  const RowIndexes& input_rows() const { return input_rows_; }
  const std::vector<size_t>& items() const { return items_; }

  // The row without items.
  Status AddNone(int32_t input_row) {
    input_rows_.push_back(input_row);
    items_.push_back(0);
    ARROW_RETURN_NOT_OK(elements_.AppendNull());
    return numbered_ ? numbers_.AppendNull() : Status::OK();
  }

  Status Add(int32_t input_row, std::span<const std::string_view> items) {
    ARROW_RETURN_NOT_OK(elements_.Reserve(int64_t(items.size())));
    for (size_t i = 0; i < items.size(); ++i) {
      input_rows_.push_back(input_row);
      items_.push_back(i + 1);
      ARROW_RETURN_NOT_OK(AddElement(items[i]));
      if (numbered_) ARROW_RETURN_NOT_OK(numbers_.Append(int64_t(i + 1)));
    }
    return Status::OK();
  }
  void CountBytes(int64_t bytes) { bytes_ += bytes; }

  // The element's column, and that of its number.
  Status Finish(arrow::ArrayVector* columns) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> array, elements_.Finish());
    columns->push_back(std::move(array));
    if (!numbered_) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(array, numbers_.Finish());
    columns->push_back(std::move(array));
    return Status::OK();
  }

 private:
  Status AddElement(std::string_view item) {
    if (!as_text_) return elements_.Append(item);
    std::string_view text;
    if (ReadJsonAsText(item, &scratch_, &text) == JsonAsText::kNull) return elements_.AppendNull();
    return elements_.Append(text);
  }

  const bool as_text_;
  const bool numbered_;
  RowIndexes input_rows_;
  std::vector<size_t> items_;
  int64_t bytes_ = 0;
  arrow::StringBuilder elements_;
  arrow::Int64Builder numbers_;
  std::string scratch_;
};

// The items of one reading's rows, until they are in a piece. Views into the arrays' text.
struct Reading {
  int64_t begin = -1;  // rows of the arrays
  int64_t end = -1;
  std::vector<std::string_view> items;
  std::vector<size_t> ends;  // in items, a row
  int64_t bytes = 0;
  int64_t failed = -1;  // the row that failed
  std::string reason;
  std::string message;
};

class UnnestOperatorImpl final : public UnnestOperator {
 public:
  Status Init(const ProjectNode& node, const Schema& input, const Schema& output) {
    const Unnest& unnest = *node.unnest;
    as_text_ = unnest.element.type == Type::kText;
    numbered_ = !unnest.ordinality.empty();
    keeps_empty_ = unnest.keeps_empty;
    where_ = unnest.array.text.empty() ? FormatExpr(unnest.array, input) : unnest.array.text;
    ARROW_ASSIGN_OR_RAISE(arrays_of_,
                          ProjectOperator::Make(ProjectNode{unnest.filter, {unnest.array}}, input,
                                                Schema{{{"array", Type::kJson, "", false}}}));
    // Only the columns that stand beside the items are repeated.
    ProjectNode below{node.filter, node.columns};
    const int added = int(input.fields.size());
    const auto compact = [&](Expr* expr) { CompactColumns(expr, &used_); };
    if (below.filter.has_value()) compact(&*below.filter);
    for (Expr& column : below.columns) compact(&column);
    SplitAdded(added, &below);
    Schema unfolded;
    for (const int column : used_) unfolded.fields.push_back(input.fields[size_t(column)]);
    unfolded = UnnestedSchema(unnest, unfolded);
    unfolded_ = unfolded.ToArrow();
    for (size_t i = 0; i < used_.size(); ++i) {
      if (IsTextual(unfolded.fields[i].type)) texts_.push_back(used_[i]);
    }
    ARROW_ASSIGN_OR_RAISE(project_, ProjectOperator::Make(below, unfolded, output));
    return Status::OK();
  }

  Status Begin(const Rows& input, std::span<const int32_t> readings) override {
    input_ = input;
    readings_.assign(readings.begin(), readings.end());
    next_ = 0;
    reading_.begin = -1;
    ARROW_ASSIGN_OR_RAISE(arrays_, arrays_of_->Apply(input));
    return readings_.empty() ? Status::OK() : FailWholeReadings(readings_, &arrays_);
  }

  Result<std::optional<Projected>> Next() override {
    const int64_t count = arrays_.rows.size();
    const bool told_all = arrays_.errors.empty() && arrays_.filtered_out == 0;
    if (next_ >= count && told_all) return std::optional<Projected>();
    Projected projected;
    projected.errors = std::exchange(arrays_.errors, {});
    projected.filtered_out = std::exchange(arrays_.filtered_out, 0);
    Piece piece(as_text_, numbered_);
    ARROW_RETURN_NOT_OK(Fill(&piece, &projected));
    ARROW_RETURN_NOT_OK(Project(&piece, &projected));
    std::ranges::stable_sort(projected.errors, {}, &RowError::row);
    return std::optional<Projected>(std::move(projected));
  }

 private:
  // Moves what unfolding adds behind the columns that are repeated.
  void SplitAdded(int added, ProjectNode* below) {
    std::vector<int> repeated;
    std::vector<int> moved;
    moved.reserve(used_.size());
    for (const int column : used_) {
      if (column < added) repeated.push_back(column);
    }
    int next = 0;
    for (const int column : used_) {
      moved.push_back(column < added ? next++ : int(repeated.size()) + column - added);
    }
    used_ = std::move(repeated);
    if (below->filter.has_value()) RenameColumns(&*below->filter, moved);
    for (Expr& column : below->columns) RenameColumns(&column, moved);
  }

  int32_t InputRow(int64_t array_row) const {
    return arrays_.source_rows.empty() ? int32_t(array_row)
                                       : arrays_.source_rows[size_t(array_row)];
  }

  int32_t ReadingOf(int64_t input_row) const {
    return readings_.empty() ? int32_t(input_row) : readings_[size_t(input_row)];
  }

  // Readings from next_ on, as many as belong together.
  Status Fill(Piece* piece, Projected* projected) {
    const auto& arrays = static_cast<const arrow::StringArray&>(*arrays_.rows.batch->column(0));
    for (; next_ < arrays.length(); next_ = reading_.end) {
      if (reading_.begin != next_) Read(arrays);
      if (reading_.failed >= 0) {
        TellFailed(projected);
        continue;
      }
      if (piece->rows() > 0 && (piece->rows() + int64_t(reading_.items.size()) > kPieceRows ||
                                piece->bytes() + reading_.bytes > kPieceBytes)) {
        return Status::OK();
      }
      ARROW_RETURN_NOT_OK(AddTo(piece, projected));
    }
    return Status::OK();
  }

  // Fills reading_ with the rows of the reading at next_.
  void Read(const arrow::StringArray& arrays) {
    reading_.begin = reading_.end = next_;
    reading_.items.clear();
    reading_.ends.clear();
    reading_.bytes = 0;
    reading_.failed = -1;
    const int32_t reading = ReadingOf(InputRow(next_));
    for (; reading_.end < arrays.length(); ++reading_.end) {
      if (ReadingOf(InputRow(reading_.end)) != reading) return;
      if (reading_.failed < 0) ReadRow(arrays, reading_.end);
    }
  }

  void ReadRow(const arrow::StringArray& arrays, int64_t row) {
    const std::string_view array = arrays.IsNull(row) ? "null" : arrays.GetView(row);
    const std::string_view kind = JsonKind(array);
    items_.clear();
    if (kind != "null" && !json_.Items(array, kUnnestItemsMax, &items_)) {
      return Fail(row, "invalid_argument",
                  kind == "object" ? "cannot extract elements from an object"
                                   : "cannot extract elements from a scalar");
    }
    if (reading_.items.size() + items_.size() > kUnnestItemsMax) {
      return Fail(row, "too_many_elements",
                  "more than " + std::to_string(kUnnestItemsMax) + " elements");
    }
    reading_.bytes += BytesOf(InputRow(row));
    if (reading_.bytes > kUnnestBytesMax) {
      return Fail(row, "too_large",
                  "the elements with the columns beside them would take more than " +
                      std::to_string(kUnnestBytesMax >> 20) + " MiB");
    }
    if (as_text_ && !CheckTexts(row)) return;
    reading_.items.insert(reading_.items.end(), items_.begin(), items_.end());
    reading_.ends.push_back(reading_.items.size());
  }

  // Whether every item of items_ can be text.
  bool CheckTexts(int64_t row) {
    std::string_view text;
    for (size_t i = 0; i < items_.size(); ++i) {
      const JsonAsText outcome = ReadJsonAsText(items_[i], &scratch_, &text);
      if (outcome != JsonAsText::kHoldsNul && outcome != JsonAsText::kInvalid) continue;
      const Fault fault =
          outcome == JsonAsText::kHoldsNul ? Fault::kNulInText : Fault::kInvalidJson;
      Fail(row, std::string(FaultReason(fault)), std::string(FaultMessage(fault)));
      reading_.message += ElementText(i + 1);
      return false;
    }
    return true;
  }

  void Fail(int64_t row, std::string reason, std::string message) {
    reading_.failed = row;
    reading_.reason = std::move(reason);
    reading_.message = std::move(message) + " in " + where_;
  }

  void TellFailed(Projected* projected) {
    for (int64_t row = reading_.begin; row < reading_.end; ++row) {
      projected->errors.push_back({InputRow(row), reading_.reason,
                                   row == reading_.failed ? reading_.message : std::string()});
    }
  }

  Status AddTo(Piece* piece, Projected* projected) {
    size_t begin = 0;
    for (size_t i = 0; i < reading_.ends.size(); ++i) {
      const int32_t row = InputRow(reading_.begin + int64_t(i));
      const size_t count = reading_.ends[i] - begin;
      if (count > 0) {
        ARROW_RETURN_NOT_OK(piece->Add(row, std::span(reading_.items).subspan(begin, count)));
      } else if (keeps_empty_) {
        ARROW_RETURN_NOT_OK(piece->AddNone(row));
      } else {
        ++projected->filtered_out;
      }
      begin = reading_.ends[i];
    }
    piece->CountBytes(reading_.bytes);
    return Status::OK();
  }

  // What the items of a row take, with the texts beside them.
  int64_t BytesOf(int32_t row) const {
    int64_t beside = 8 * int64_t(used_.size());
    for (const int column : texts_) {
      const auto& texts = static_cast<const arrow::StringArray&>(*input_.batch->column(column));
      beside += texts.value_length(row);
    }
    int64_t bytes = beside * int64_t(items_.size());
    for (const std::string_view item : items_) bytes += int64_t(item.size());
    return bytes;
  }

  Status Project(Piece* piece, Projected* projected) {
    const RowIndexes& rows = piece->input_rows();
    Rows unfolded;
    arrow::ArrayVector columns;
    const std::shared_ptr<arrow::Array> indexes = Borrow(rows);
    for (const int column : used_) {
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> repeated,
                            TakeValues(input_.batch->column(column), indexes));
      columns.push_back(std::move(repeated));
    }
    ARROW_RETURN_NOT_OK(piece->Finish(&columns));
    unfolded.batch = arrow::RecordBatch::Make(unfolded_, piece->rows(), std::move(columns));
    unfolded.kind = input_.kind;
    unfolded.origins = TakeOrigins(input_.origins, rows);
    auto items = std::make_shared<std::vector<uint64_t>>(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const uint64_t outer = input_.items == nullptr ? 0 : (*input_.items)[size_t(rows[i])];
      (*items)[i] = NumberOf(outer, piece->items()[i]);
    }
    unfolded.items = std::move(items);
    ARROW_ASSIGN_OR_RAISE(Projected below, project_->Apply(unfolded));
    for (RowError& error : below.errors) {
      const size_t item = piece->items()[size_t(error.row)];
      if (item > 0) error.message += ElementText(item);
    }
    RowIndexes reading_of(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) reading_of[i] = ReadingOf(rows[i]);
    ARROW_RETURN_NOT_OK(FailWholeReadings(reading_of, &below));
    return Gather(rows, std::move(below), projected);
  }

  // From unfolded rows to rows of the input.
  static Status Gather(const RowIndexes& rows, Projected below, Projected* projected) {
    if (below.source_rows.empty() && below.rows.size() > 0) {
      projected->source_rows = rows;
    } else {
      for (const int32_t row : below.source_rows) {
        projected->source_rows.push_back(rows[size_t(row)]);
      }
    }
    for (RowError& error : below.errors) {
      const int64_t row = rows[size_t(error.row)];
      if (!projected->errors.empty() && projected->errors.back().row == row) {
        if (projected->errors.back().message.empty()) {
          projected->errors.back() = {row, std::move(error.reason), std::move(error.message)};
        }
        continue;
      }
      projected->errors.push_back({row, std::move(error.reason), std::move(error.message)});
    }
    CountFiltered(rows, below.errors, projected);
    projected->rows = std::move(below.rows);
    return Status::OK();
  }

  // Rows of the input of which nothing is left and that did not fail.
  static void CountFiltered(const RowIndexes& rows, const std::vector<RowError>& errors,
                            Projected* projected) {
    auto kept = projected->source_rows.begin();
    auto failed = errors.begin();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i > 0 && rows[i] == rows[i - 1]) continue;
      while (kept != projected->source_rows.end() && *kept < rows[i]) ++kept;
      while (failed != errors.end() && rows[size_t(failed->row)] < rows[i]) ++failed;
      const bool is_kept = kept != projected->source_rows.end() && *kept == rows[i];
      const bool is_failed = failed != errors.end() && rows[size_t(failed->row)] == rows[i];
      if (!is_kept && !is_failed) ++projected->filtered_out;
    }
  }

  bool as_text_ = false;
  bool numbered_ = false;
  bool keeps_empty_ = false;
  std::string where_;
  std::unique_ptr<ProjectOperator> arrays_of_;  // filter before, and the array
  std::unique_ptr<ProjectOperator> project_;    // over unfolded rows
  std::vector<int> used_;                       // columns of the input that are repeated
  std::vector<int> texts_;                      // those of them that are text
  std::shared_ptr<arrow::Schema> unfolded_;
  // The batch under way.
  Rows input_;
  RowIndexes readings_;                  // of each row; empty: every row is one
  Projected arrays_;                     // one array a row that passes the filter
  int64_t next_ = 0;                     // row of arrays_
  Reading reading_;                      // from there on, where its begin says so
  std::vector<std::string_view> items_;  // of one row
  std::string scratch_;
  JsonText json_;
};

}  // namespace

Result<std::unique_ptr<UnnestOperator>> UnnestOperator::Make(const ProjectNode& node,
                                                             const Schema& input,
                                                             const Schema& output) {
  if (!node.unnest.has_value()) return InternalError("malformed_plan", "nothing to unfold");
  auto unnest = std::make_unique<UnnestOperatorImpl>();
  ARROW_RETURN_NOT_OK(unnest->Init(node, input, output));
  return unnest;
}

Status FailWholeReadings(const std::vector<int32_t>& reading_of, Projected* projected) {
  if (projected->errors.empty()) return Status::OK();
  const auto reading = [&](int64_t row) { return reading_of[size_t(row)]; };
  RowIndexes kept;
  RowIndexes kept_source_rows;
  std::vector<RowError> dropped;
  auto error = projected->errors.begin();
  for (int64_t i = 0; i < projected->rows.size(); ++i) {
    const int32_t row =
        projected->source_rows.empty() ? int32_t(i) : projected->source_rows[size_t(i)];
    while (error != projected->errors.end() && reading(error->row) < reading(row)) ++error;
    if (error != projected->errors.end() && reading(error->row) == reading(row)) {
      dropped.push_back({row, error->reason, ""});
      continue;
    }
    kept.push_back(int32_t(i));
    kept_source_rows.push_back(row);
  }
  if (dropped.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(projected->rows, TakeRows(projected->rows, kept));
  projected->source_rows = std::move(kept_source_rows);
  std::ranges::move(dropped, std::back_inserter(projected->errors));
  std::ranges::stable_sort(projected->errors, {}, &RowError::row);
  return Status::OK();
}

}  // namespace millrace
