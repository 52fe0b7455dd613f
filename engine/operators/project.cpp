#include "engine/operators/project.h"

#include <arrow/array.h>
#include <arrow/compute/initialize.h>

#include <algorithm>

#include "engine/operators/take_rows.h"
#include "engine/operators/used_columns.h"
#include "engine/plan/shared_expressions.h"

namespace millrace {
namespace {

// The rows where `values` is true.
RowIndexes TrueRows(const arrow::BooleanArray& values) {
  RowIndexes rows(size_t(values.length()));
  size_t count = 0;
  const bool nullable = values.null_count() > 0;
  for (int64_t row = 0; row < values.length(); ++row) {
    rows[count] = int32_t(row);
    count += values.Value(row) && !(nullable && values.IsNull(row));
  }
  rows.resize(count);
  return rows;
}

// Adds `error` unless its row has one.
void AddErrors(std::vector<RowError> added, std::vector<RowError>* errors) {
  if (added.empty()) return;
  errors->insert(errors->end(), std::make_move_iterator(added.begin()),
                 std::make_move_iterator(added.end()));
  std::ranges::stable_sort(*errors, {}, &RowError::row);
  const auto repeated = std::ranges::unique(*errors, {}, &RowError::row);
  errors->erase(repeated.begin(), repeated.end());
}

class ProjectOperatorImpl final : public ProjectOperator {
 public:
  Status Init(const ProjectNode& node, const Schema& input, const Schema& output) {
    if (node.columns.size() != output.fields.size()) {
      return InternalError("malformed_plan",
                           "a projection of " + std::to_string(node.columns.size()) +
                               " columns to " + std::to_string(output.fields.size()));
    }
    static const Status initialized = arrow::compute::Initialize();
    ARROW_RETURN_NOT_OK(initialized);
    output_ = output.ToArrow();
    if (node.filter.has_value()) {
      ARROW_ASSIGN_OR_RAISE(filter_, Evaluator::Make(*node.filter, input));
    }
    std::vector<Expr> columns = node.columns;
    identity_ = columns.size() == input.fields.size() && input == output;
    for (size_t i = 0; i < columns.size(); ++i) {
      identity_ =
          identity_ && columns[i].kind == Expr::Kind::kColumn && columns[i].column == int(i);
      CompactColumns(&columns[i], &used_);
    }
    Schema known;  // the used columns, and what is shared
    for (const int column : used_) known.fields.push_back(input.fields[size_t(column)]);
    used_schema_ = known.ToArrow();
    SharedExpressions made = ShareExpressions(std::move(columns), int(used_.size()));
    for (const Expr& expr : made.shared) {
      ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Evaluator> evaluator, Evaluator::Make(expr, known));
      shared_.push_back({std::move(evaluator), known.ToArrow()});
      Field field;
      field.name = FormatOperand(expr, known);  // as errors say it
      field.type = expr.type;
      known.fields.push_back(std::move(field));
    }
    known_ = known.ToArrow();
    for (const Expr& column : made.columns) {
      ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Evaluator> evaluator, Evaluator::Make(column, known));
      columns_.push_back(std::move(evaluator));
    }
    return Status::OK();
  }

  Result<Projected> Apply(const Rows& input) override {
    Projected projected;
    if (input.batch == nullptr) return InternalError("no_batch", "rows without a batch");
    bool all_kept = true;
    if (filter_ != nullptr) {
      ARROW_RETURN_NOT_OK(Filter(input, &all_kept, &projected));
    }
    if (identity_ && all_kept) {
      projected.rows = input;
      return projected;
    }
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::RecordBatch> kept,
                          KeptColumns(*input.batch, all_kept, projected.source_rows));
    arrow::ArrayVector arrays;
    std::vector<RowError> errors;  // rows of `kept`
    ARROW_RETURN_NOT_OK(AddShared(&kept, &errors));
    for (size_t i = 0; i < columns_.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(Evaluated evaluated, columns_[i]->Evaluate(*kept));
      AddErrors(std::move(evaluated.errors), &errors);
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> array,
                            Typed(std::move(evaluated.values), int(i)));
      arrays.push_back(std::move(array));
    }
    int64_t rows = kept->num_rows();
    if (!errors.empty()) {
      ARROW_RETURN_NOT_OK(LeaveOut(errors, rows, &all_kept, &arrays, &projected));
      rows = int64_t(projected.source_rows.size());
    }
    projected.rows.kind = input.kind;
    projected.rows.batch = arrow::RecordBatch::Make(output_, rows, std::move(arrays));
    const RowIndexes& taken = projected.source_rows;
    projected.rows.origins = all_kept ? input.origins : TakeOrigins(input.origins, taken);
    projected.rows.items = all_kept ? input.items : TakeItems(input.items, taken);
    return projected;
  }

 private:
  // Sets source_rows, filtered_out and the filter's errors; `all_kept` where every row passes.
  Status Filter(const Rows& input, bool* all_kept, Projected* projected) {
    ARROW_ASSIGN_OR_RAISE(Evaluated passed, filter_->Evaluate(*input.batch));
    if (passed.values->type_id() == arrow::Type::NA) {
      *all_kept = input.size() == 0;
    } else {
      const auto& flags = static_cast<const arrow::BooleanArray&>(*passed.values);
      *all_kept = flags.true_count() == input.size();
      if (!*all_kept) projected->source_rows = TrueRows(flags);
    }
    if (*all_kept) return Status::OK();
    projected->filtered_out =
        input.size() - int64_t(projected->source_rows.size()) - int64_t(passed.errors.size());
    projected->errors = std::move(passed.errors);
    return Status::OK();
  }

  Status AddShared(std::shared_ptr<arrow::RecordBatch>* kept, std::vector<RowError>* errors) {
    if (shared_.empty()) return Status::OK();
    arrow::ArrayVector arrays = (*kept)->columns();
    for (const Shared& shared : shared_) {
      *kept = arrow::RecordBatch::Make(shared.input, (*kept)->num_rows(), arrays);
      ARROW_ASSIGN_OR_RAISE(Evaluated evaluated, shared.evaluator->Evaluate(**kept));
      AddErrors(std::move(evaluated.errors), errors);
      arrays.push_back(std::move(evaluated.values));
    }
    *kept = arrow::RecordBatch::Make(known_, (*kept)->num_rows(), std::move(arrays));
    return Status::OK();
  }

  // The columns that expressions read, of the kept rows.
  Result<std::shared_ptr<arrow::RecordBatch>> KeptColumns(const arrow::RecordBatch& batch,
                                                          bool all_kept, const RowIndexes& rows) {
    arrow::ArrayVector arrays;
    const std::shared_ptr<arrow::Array> indexes = all_kept ? nullptr : Borrow(rows);
    for (const int column : used_) {
      std::shared_ptr<arrow::Array> array = batch.column(column);
      if (!all_kept) {
        ARROW_ASSIGN_OR_RAISE(array, TakeValues(array, indexes));
      }
      arrays.push_back(std::move(array));
    }
    const int64_t count = all_kept ? batch.num_rows() : int64_t(rows.size());
    return arrow::RecordBatch::Make(used_schema_, count, std::move(arrays));
  }

  // A column of untyped nulls takes the type of its field.
  Result<std::shared_ptr<arrow::Array>> Typed(std::shared_ptr<arrow::Array> array, int field) {
    const std::shared_ptr<arrow::DataType>& wanted = output_->field(field)->type();
    if (array->type_id() == wanted->id()) return array;
    if (array->type_id() == arrow::Type::NA) {
      return arrow::MakeArrayOfNull(wanted, array->length());
    }
    return InternalError("malformed_plan", "column " + output_->field(field)->name() + " is " +
                                               array->type()->ToString() + ", not " +
                                               wanted->ToString());
  }

  // Takes failed rows out of `arrays` and names them by the rows of the input.
  static Status LeaveOut(const std::vector<RowError>& errors, int64_t rows, bool* all_kept,
                         arrow::ArrayVector* arrays, Projected* projected) {
    RowIndexes good;
    RowIndexes good_source_rows;
    std::vector<RowError> renamed;
    auto next_error = errors.begin();
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t source_row = *all_kept ? int32_t(row) : projected->source_rows[size_t(row)];
      if (next_error != errors.end() && next_error->row == row) {
        renamed.push_back(*next_error++);
        renamed.back().row = source_row;
        continue;
      }
      good.push_back(int32_t(row));
      good_source_rows.push_back(source_row);
    }
    const std::shared_ptr<arrow::Array> indexes = Borrow(good);
    for (std::shared_ptr<arrow::Array>& array : *arrays) {
      ARROW_ASSIGN_OR_RAISE(array, TakeValues(array, indexes));
    }
    projected->source_rows = std::move(good_source_rows);
    AddErrors(std::move(renamed), &projected->errors);
    *all_kept = false;
    return Status::OK();
  }

  struct Shared {
    std::unique_ptr<Evaluator> evaluator;
    std::shared_ptr<arrow::Schema> input;  // the used columns and what is shared before it
  };

  std::unique_ptr<Evaluator> filter_;
  std::vector<int> used_;  // columns of the input
  std::shared_ptr<arrow::Schema> used_schema_;
  std::vector<Shared> shared_;
  std::vector<std::unique_ptr<Evaluator>> columns_;
  std::shared_ptr<arrow::Schema> known_;  // what columns_ read
  std::shared_ptr<arrow::Schema> output_;
  bool identity_ = false;
};

}  // namespace

Result<std::unique_ptr<ProjectOperator>> ProjectOperator::Make(const ProjectNode& node,
                                                               const Schema& input,
                                                               const Schema& output) {
  auto project = std::make_unique<ProjectOperatorImpl>();
  ARROW_RETURN_NOT_OK(project->Init(node, input, output));
  return project;
}

}  // namespace millrace
