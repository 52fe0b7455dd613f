#include "engine/operators/nodes.h"

#include <arrow/array.h>

#include <algorithm>

#include "engine/operators/kernels.h"
#include "engine/plan/functions.h"

namespace millrace {
namespace {

using Nodes = std::vector<std::unique_ptr<Node>>;

class ColumnNode final : public Node {
 public:
  ColumnNode(Type type, int index) : Node(type, false), index_(index) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    const std::shared_ptr<arrow::Array>& array = frame->batch().columns()[size_t(index_)];
    const arrow::ArrayData& data = *array->data();
    if (array->type_id() != ArrowType(type())->id()) {
      return InternalError("column_type", "a column is " + array->type()->ToString() + ", not " +
                                              std::string(TypeName(type())));
    }
    *out = Column();
    out->type = type();
    out->array = &array;
    ARROW_RETURN_NOT_OK(ReadValues(*array, rows, out));
    if (array->null_count() > 0 && type() != Type::kNull) {
      ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, null_memory_.Allocate<uint8_t>(data.length));
      ExpandBits(array->null_bitmap_data(), data.offset, data.length, /*inverted=*/true, nulls);
      out->nulls = nulls;
    }
    return Status::OK();
  }

 private:
  Status ReadValues(const arrow::Array& array, const Selection& rows, Column* out) {
    const arrow::ArrayData& data = *array.data();
    switch (type()) {
      case Type::kBoolean: {
        ARROW_ASSIGN_OR_RAISE(uint8_t * values, values_memory_.Allocate<uint8_t>(data.length));
        ExpandBits(data.buffers[1]->data(), data.offset, data.length, false, values);
        out->values = values;
        return Status::OK();
      }
      case Type::kReal:
        out->values = data.GetValues<float>(1);
        return Status::OK();
      case Type::kInteger:
      case Type::kDate:
        out->values = data.GetValues<int32_t>(1);
        return Status::OK();
      case Type::kBigint:
      case Type::kTimestamp:
        out->values = data.GetValues<int64_t>(1);
        return Status::OK();
      case Type::kDouble:
        out->values = data.GetValues<double>(1);
        return Status::OK();
      case Type::kText:
      case Type::kJson:
        return ReadText(static_cast<const arrow::StringArray&>(array), rows, out);
      case Type::kNull: {
        const std::shared_ptr<arrow::Array>* const own = out->array;
        *out = NullColumn(Type::kNull);
        out->array = own;
        return Status::OK();
      }
      case Type::kInterval:
        break;
    }
    return InternalError("interval_column", "an interval cannot be a column");
  }

  Status ReadText(const arrow::StringArray& array, const Selection& rows, Column* out) {
    ARROW_ASSIGN_OR_RAISE(std::string_view * views,
                          values_memory_.Allocate<std::string_view>(array.length()));
    const int32_t* const offsets = array.raw_value_offsets();
    const char* const text = array.value_data() == nullptr
                                 ? ""
                                 : reinterpret_cast<const char*>(array.value_data()->data());
    rows.ForEach([&](int64_t row) {
      views[row] = {text + offsets[row], size_t(offsets[row + 1] - offsets[row])};
    });
    out->values = views;
    return Status::OK();
  }

  int index_;
  Scratch values_memory_;
  Scratch null_memory_;
};

class LiteralNode final : public Node {
 public:
  LiteralNode(Type type, Literal literal) : Node(type, false), literal_(std::move(literal)) {
    column_ = NullColumn(type);
    HoldLiteral();
  }

  bool constant() const override { return true; }

 protected:
  Status Run(Frame*, const Selection&, Column* out) override {
    *out = column_;
    return Status::OK();
  }

 private:
  void HoldLiteral() {
    switch (type()) {
      case Type::kBoolean:
        if (const bool* value = std::get_if<bool>(&literal_)) return Hold(boolean_ = *value);
        break;
      case Type::kReal:
        if (const double* value = std::get_if<double>(&literal_))
          return Hold(real_ = float(*value));
        break;
      case Type::kInteger:
      case Type::kDate:
        if (const int64_t* value = std::get_if<int64_t>(&literal_)) {
          return Hold(integer_ = int32_t(*value));
        }
        break;
      case Type::kBigint:
      case Type::kTimestamp:
        if (const int64_t* value = std::get_if<int64_t>(&literal_)) return Hold(*value);
        break;
      case Type::kDouble:
        if (const double* value = std::get_if<double>(&literal_)) return Hold(*value);
        break;
      case Type::kText:
      case Type::kJson:
        if (const std::string* value = std::get_if<std::string>(&literal_)) {
          return Hold(text_ = *value);
        }
        break;
      case Type::kInterval:
        if (const Interval* value = std::get_if<Interval>(&literal_)) return Hold(*value);
        break;
      case Type::kNull:
        break;
    }
  }

  template <typename T>
  void Hold(const T& value) {
    column_.values = &value;
    column_.nulls = nullptr;
  }

  Literal literal_;
  Column column_;
  uint8_t boolean_ = 0;
  int32_t integer_ = 0;
  float real_ = 0;
  std::string_view text_;
};

// Whether the literal's value is of the kind that its type wants.
bool LiteralFits(const Expr& expr) {
  switch (expr.type) {
    case Type::kBoolean:
      return std::holds_alternative<bool>(expr.literal);
    case Type::kInteger:
    case Type::kBigint:
    case Type::kDate:
    case Type::kTimestamp:
      return std::holds_alternative<int64_t>(expr.literal);
    case Type::kReal:
    case Type::kDouble:
      return std::holds_alternative<double>(expr.literal);
    case Type::kText:
    case Type::kJson:
      return std::holds_alternative<std::string>(expr.literal);
    case Type::kInterval:
      return std::holds_alternative<Interval>(expr.literal);
    case Type::kNull:
      break;
  }
  return false;
}

// A function or a cast.
class KernelNode final : public Node {
 public:
  KernelNode(Type type, bool fallible, Kernel kernel, Nodes args, bool is_local_time,
             std::string where)
      : Node(type, fallible),
        kernel_(kernel),
        args_(std::move(args)),
        columns_(args_.size()),
        where_(std::move(where)) {
    memory_.is_local_time = is_local_time;
  }

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    for (size_t i = 0; i < args_.size(); ++i) {
      ARROW_RETURN_NOT_OK(args_[i]->Evaluate(frame, rows, &columns_[i]));
    }
    KernelCall call;
    call.frame = frame;
    call.rows = rows;
    call.args = columns_;
    call.memory = &memory_;
    call.where = where_;
    call.result = type();
    return kernel_(call, out);
  }

 private:
  const Kernel kernel_;
  Nodes args_;
  std::vector<Column> columns_;
  CallMemory memory_;
  const std::string where_;
};

// A cast whose failures are nulls. What its argument fails on stays.
class TryCastNode final : public Node {
 public:
  TryCastNode(Type type, Kernel kernel, std::unique_ptr<Node> arg)
      : Node(type, arg->fallible()), kernel_(kernel), arg_(std::move(arg)) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    ARROW_RETURN_NOT_OK(arg_->Evaluate(frame, rows, &column_));
    attempt_.Begin(frame->batch());
    KernelCall call;
    call.frame = &attempt_;
    call.rows = rows;
    call.args = {&column_, 1};
    call.memory = &memory_;
    call.result = type();
    return kernel_(call, out);
  }

 private:
  const Kernel kernel_;
  std::unique_ptr<Node> arg_;
  Column column_;
  Frame attempt_;  // its errors are dropped; the values of its rows are null
  CallMemory memory_;
};

class IsNullNode final : public Node {
 public:
  IsNullNode(bool negated, std::unique_ptr<Node> arg)
      : Node(Type::kBoolean, arg->fallible()), negated_(negated), arg_(std::move(arg)) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    Column column;
    ARROW_RETURN_NOT_OK(arg_->Evaluate(frame, rows, &column));
    ARROW_ASSIGN_OR_RAISE(uint8_t * values, memory_.Allocate<uint8_t>(frame->rows()));
    const uint8_t flip = negated_ ? 1 : 0;
    if (column.constant || column.nulls == nullptr) {
      const uint8_t value = uint8_t(column.AlwaysNull() ? 1 : 0) ^ flip;
      rows.ForEach([&](int64_t row) { values[row] = value; });
    } else {
      rows.ForEach([&](int64_t row) { values[row] = column.nulls[row] ^ flip; });
    }
    *out = Column();
    out->type = Type::kBoolean;
    out->values = values;
    return Status::OK();
  }

 private:
  const bool negated_;
  std::unique_ptr<Node> arg_;
  Scratch memory_;
};

Literal ToLiteral(const Column& column) {
  if (column.IsNull(0)) return {};
  switch (column.type) {
    case Type::kBoolean:
      return *column.Values<uint8_t>() != 0;
    case Type::kReal:
      return double(*column.Values<float>());
    case Type::kInteger:
    case Type::kDate:
      return int64_t(*column.Values<int32_t>());
    case Type::kBigint:
    case Type::kTimestamp:
      return *column.Values<int64_t>();
    case Type::kDouble:
      return *column.Values<double>();
    case Type::kText:
    case Type::kJson:
      return std::string(*column.Values<std::string_view>());
    case Type::kInterval:
      return *column.Values<Interval>();
    case Type::kNull:
      break;
  }
  return {};
}

// A literal in the node's place if it computes the same for every row and does not fail.
Result<std::unique_ptr<Node>> Folded(std::unique_ptr<Node> node, bool constant_args) {
  if (!constant_args) return node;
  const auto batch = arrow::RecordBatch::Make(arrow::schema({}), 1, arrow::ArrayVector());
  Frame frame;
  frame.Begin(*batch);
  Column column;
  ARROW_RETURN_NOT_OK(node->Evaluate(&frame, Selection{nullptr, 1}, &column));
  if (frame.failed() != nullptr) return node;
  return std::make_unique<LiteralNode>(node->type(), ToLiteral(column));
}

Status Defect(const Expr& expr, const Schema& input, std::string_view what) {
  return InternalError("malformed_expression", std::string(what) + ": " + FormatExpr(expr, input));
}

class Compiler {
 public:
  explicit Compiler(const Schema& input) : input_(input) {}

  Result<std::unique_ptr<Node>> Compile(const Expr& expr) const {
    switch (expr.kind) {
      case Expr::Kind::kColumn:
        return CompileColumn(expr);
      case Expr::Kind::kLiteral:
        return CompileLiteral(expr);
      case Expr::Kind::kCall:
      case Expr::Kind::kCast:
      case Expr::Kind::kTryCast:
      case Expr::Kind::kCase:
      case Expr::Kind::kCoalesce:
      case Expr::Kind::kAnd:
      case Expr::Kind::kOr:
      case Expr::Kind::kIsNull:
      case Expr::Kind::kIsNotNull:
        break;
    }
    Nodes args;
    for (const Expr& arg : expr.args) {
      ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Node> node, Compile(arg));
      args.push_back(std::move(node));
    }
    const bool constant_args =
        std::ranges::all_of(args, [](const auto& node) { return node->constant(); });
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Node> node, Combine(expr, std::move(args)));
    if (node->constant()) return node;
    return Folded(std::move(node), constant_args);
  }

 private:
  Result<std::unique_ptr<Node>> CompileColumn(const Expr& expr) const {
    if (expr.column < 0 || size_t(expr.column) >= input_.fields.size()) {
      return InternalError("malformed_expression", "no such column");
    }
    if (input_.fields[size_t(expr.column)].type != expr.type) {
      return Defect(expr, input_, "a column of another type");
    }
    return std::make_unique<ColumnNode>(expr.type, expr.column);
  }

  Result<std::unique_ptr<Node>> CompileLiteral(const Expr& expr) const {
    if (!std::holds_alternative<std::monostate>(expr.literal) && !LiteralFits(expr)) {
      return Defect(expr, input_, "a literal of another type");
    }
    return std::make_unique<LiteralNode>(expr.type, expr.literal);
  }

  Result<std::unique_ptr<Node>> Combine(const Expr& expr, Nodes args) const {
    switch (expr.kind) {
      case Expr::Kind::kCall:
        return CompileCall(expr, std::move(args));
      case Expr::Kind::kCast:
      case Expr::Kind::kTryCast:
        return CompileCast(expr, std::move(args));
      case Expr::Kind::kCase:
        if (args.size() < 3 || args.size() % 2 == 0 || !HaveType(args, expr.type, 1, 2) ||
            !IsOfType(*args.back(), expr.type) || !HaveType(args, Type::kBoolean, 0, 2, 1)) {
          return Defect(expr, input_, "a malformed CASE");
        }
        return MakeCaseNode(expr.type, std::move(args));
      case Expr::Kind::kCoalesce:
        if (args.empty() || !HaveType(args, expr.type, 0, 1)) {
          return Defect(expr, input_, "a malformed COALESCE");
        }
        return MakeCoalesceNode(expr.type, std::move(args));
      case Expr::Kind::kAnd:
      case Expr::Kind::kOr:
        if (args.empty() || !HaveType(args, Type::kBoolean, 0, 1)) {
          return Defect(expr, input_, "AND or OR of what is not boolean");
        }
        return MakeLogicNode(expr.kind == Expr::Kind::kAnd, std::move(args));
      case Expr::Kind::kIsNull:
      case Expr::Kind::kIsNotNull:
        if (args.size() != 1) return Defect(expr, input_, "a malformed IS NULL");
        return std::make_unique<IsNullNode>(expr.kind == Expr::Kind::kIsNotNull,
                                            std::move(args[0]));
      case Expr::Kind::kColumn:
      case Expr::Kind::kLiteral:
        break;
    }
    return Defect(expr, input_, "an unknown kind of expression");
  }

  Result<std::unique_ptr<Node>> CompileCall(const Expr& expr, Nodes args) const {
    const std::span<const FunctionSignature> catalog = FunctionCatalog();
    if (expr.function < 0 || size_t(expr.function) >= catalog.size()) {
      return InternalError("malformed_expression", "no such function");
    }
    const FunctionSignature& signature = catalog[size_t(expr.function)];
    const size_t expected = signature.args.size();
    if (signature.variadic ? args.size() < expected : args.size() != expected) {
      return Defect(expr, input_, "a wrong number of arguments");
    }
    bool fallible = signature.fallible;
    for (size_t i = 0; i < args.size(); ++i) {
      const Type wanted = signature.args[std::min(i, expected - 1)];
      if (!IsOfType(*args[i], wanted)) return Defect(expr, input_, "an argument of another type");
      if (args[i]->type() == Type::kNull) {
        args[i] = std::make_unique<LiteralNode>(wanted, Literal());
      }
      fallible |= args[i]->fallible();
    }
    const Kernel kernel = FindKernel(signature);
    if (kernel == nullptr || signature.result != expr.type) {
      return Defect(expr, input_, "a function without a kernel");
    }
    const bool is_local_time = !expr.args.empty() && expr.args[0].is_local_time;
    return std::make_unique<KernelNode>(expr.type, fallible, kernel, std::move(args), is_local_time,
                                        Where(expr));
  }

  Result<std::unique_ptr<Node>> CompileCast(const Expr& expr, Nodes args) const {
    if (args.size() != 1) return Defect(expr, input_, "a malformed cast");
    const Type from = args[0]->type();
    if (from == expr.type) return std::move(args[0]);
    if (from == Type::kNull) return std::make_unique<LiteralNode>(expr.type, Literal());
    const Kernel kernel = FindCast(from, expr.type);
    if (kernel == nullptr) return Defect(expr, input_, "a cast that does not exist");
    // To text only a batch that is too large fails, which is no matter of the value.
    if (expr.kind == Expr::Kind::kTryCast && expr.type != Type::kText) {
      return std::make_unique<TryCastNode>(expr.type, kernel, std::move(args[0]));
    }
    const bool fallible = CastIsFallible(from, expr.type) || args[0]->fallible();
    return std::make_unique<KernelNode>(expr.type, fallible, kernel, std::move(args),
                                        expr.args[0].is_local_time, Where(expr));
  }

  static bool IsOfType(const Node& node, Type type) {
    return node.type() == type || node.type() == Type::kNull;
  }

  // Every `step`-th from `first` on, leaving out the last `but`.
  static bool HaveType(const Nodes& nodes, Type type, size_t first, size_t step, size_t but = 0) {
    for (size_t i = first; i + but < nodes.size(); i += step) {
      if (!IsOfType(*nodes[i], type)) return false;
    }
    return true;
  }

  std::string Where(const Expr& expr) const {
    return expr.text.empty() ? FormatExpr(expr, input_) : expr.text;
  }

  const Schema& input_;
};

}  // namespace

Result<std::unique_ptr<Node>> CompileExpr(const Expr& expr, const Schema& input) {
  return Compiler(input).Compile(expr);
}

}  // namespace millrace
