// AND, OR, CASE and COALESCE: results gathered from arguments that run on parts of the rows.
#include <algorithm>

#include "engine/operators/nodes.h"

namespace millrace {
namespace {

using Nodes = std::vector<std::unique_ptr<Node>>;

bool AnyFallible(const Nodes& nodes) {
  return std::ranges::any_of(nodes, [](const auto& node) { return node->fallible(); });
}

// Rows set aside, kept from batch to batch.
class RowList {
 public:
  void Clear(int64_t rows_max) {
    if (int64_t(rows_.size()) < rows_max) rows_.resize(size_t(rows_max));
    count_ = 0;
  }
  void AddIf(int64_t row, bool wanted) {
    rows_[size_t(count_)] = int32_t(row);
    count_ += wanted;
  }
  // `of`: what the rows were picked from. All rows stay all rows: loops over them are faster.
  Selection ToSelection(const Selection& of) const {
    return of.all() && count_ == of.count ? of : Selection{rows_.data(), count_};
  }

 private:
  std::vector<int32_t> rows_;
  int64_t count_ = 0;
};

// Values of one type at their rows' places, written a part of the rows at a time.
class Gathered {
 public:
  Status Begin(Type type, int64_t rows) {
    type_ = type;
    has_nulls_ = false;
    ARROW_ASSIGN_OR_RAISE(nulls_, null_memory_.Allocate<uint8_t>(rows));
    ARROW_ASSIGN_OR_RAISE(values_, values_memory_.Allocate<char>(rows * WidthOf(type)));
    return Status::OK();
  }

  void Write(const Column& column, const Selection& rows) {
    switch (type_) {
      case Type::kBoolean:
        return WriteAs<uint8_t>(column, rows);
      case Type::kReal:
        return WriteAs<float>(column, rows);
      case Type::kInteger:
      case Type::kDate:
        return WriteAs<int32_t>(column, rows);
      case Type::kBigint:
      case Type::kTimestamp:
        return WriteAs<int64_t>(column, rows);
      case Type::kDouble:
        return WriteAs<double>(column, rows);
      case Type::kText:
      case Type::kJson:
        return WriteAs<std::string_view>(column, rows);
      case Type::kInterval:
        return WriteAs<Interval>(column, rows);
      case Type::kNull:
        return WriteNulls(rows);
    }
  }

  void Finish(Column* out) {
    *out = Column();
    out->type = type_;
    out->values = values_;
    out->nulls = has_nulls_ ? nulls_ : nullptr;
    if (!IsTextual(type_) && type_ != Type::kBoolean) out->scratch = &values_memory_;
  }

 private:
  static int64_t WidthOf(Type type) {
    switch (type) {
      case Type::kText:
      case Type::kJson:
        return sizeof(std::string_view);
      case Type::kInterval:
        return sizeof(Interval);
      default:
        return 8;
    }
  }

  template <typename T>
  void WriteAs(const Column& column, const Selection& rows) {
    T* const values = reinterpret_cast<T*>(values_);
    if (column.type == Type::kNull || column.AlwaysNull()) {
      rows.ForEach([&](int64_t row) { values[row] = T(); });
      return WriteNulls(rows);
    }
    const T* const from = column.Values<T>();
    if (column.constant) {
      rows.ForEach([&](int64_t row) { values[row] = *from; });
    } else {
      rows.ForEach([&](int64_t row) { values[row] = from[row]; });
    }
    if (column.nulls == nullptr || column.constant) {
      rows.ForEach([&](int64_t row) { nulls_[row] = 0; });
    } else {
      has_nulls_ = true;
      rows.ForEach([&](int64_t row) { nulls_[row] = column.nulls[row]; });
    }
  }

  void WriteNulls(const Selection& rows) {
    has_nulls_ = true;
    rows.ForEach([&](int64_t row) { nulls_[row] = 1; });
  }

  Type type_ = Type::kNull;
  bool has_nulls_ = false;
  char* values_ = nullptr;
  uint8_t* nulls_ = nullptr;
  Scratch values_memory_;
  Scratch null_memory_;
};

// Kleene logic. For AND a false settles a row, for OR a true.
class LogicNode final : public Node {
 public:
  LogicNode(bool is_and, Nodes args)
      : Node(Type::kBoolean, AnyFallible(args)), settles_(is_and ? 0 : 1), args_(std::move(args)) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    ARROW_ASSIGN_OR_RAISE(uint8_t * values, values_memory_.Allocate<uint8_t>(frame->rows()));
    ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, null_memory_.Allocate<uint8_t>(frame->rows()));
    const uint8_t settled = settles_;
    rows.ForEach([&](int64_t row) {
      values[row] = settled ^ 1;
      nulls[row] = 0;
    });
    bool has_nulls = false;
    for (const std::unique_ptr<Node>& arg : args_) {
      Selection open = rows;
      if (arg->fallible()) {
        open_rows_.Clear(rows.count);
        rows.ForEach([&](int64_t row) {
          open_rows_.AddIf(row, (nulls[row] != 0) | (values[row] != settled));
        });
        open = open_rows_.ToSelection(rows);
      }
      if (open.count == 0) break;
      Column column;
      ARROW_RETURN_NOT_OK(arg->Evaluate(frame, open, &column));
      Merge(column, open, values, nulls, &has_nulls);
    }
    *out = Column();
    out->type = Type::kBoolean;
    out->values = values;
    out->nulls = has_nulls ? nulls : nullptr;
    return Status::OK();
  }

 private:
  void Merge(const Column& column, const Selection& rows, uint8_t* values, uint8_t* nulls,
             bool* has_nulls) const {
    const uint8_t settled = settles_;
    const uint8_t* const next = column.Values<uint8_t>();
    const int64_t step = column.constant ? 0 : 1;
    if (column.nulls == nullptr && !*has_nulls) {
      rows.ForEach([&](int64_t row) {
        const uint8_t value = next[row * step];
        values[row] = settled != 0 ? values[row] | value : values[row] & value;
      });
      return;
    }
    *has_nulls = true;
    rows.ForEach([&](int64_t row) {
      const bool next_null = column.IsNull(row);
      const bool is_settled = (nulls[row] == 0 && values[row] == settled) ||
                              (!next_null && next[row * step] == settled);
      nulls[row] = !is_settled && (nulls[row] != 0 || next_null);
      values[row] = is_settled ? settled : settled ^ 1;
    });
  }

  const uint8_t settles_;
  Nodes args_;
  RowList open_rows_;
  Scratch values_memory_;
  Scratch null_memory_;
};

class CaseNode final : public Node {
 public:
  CaseNode(Type type, Nodes args) : Node(type, AnyFallible(args)), args_(std::move(args)) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    ARROW_RETURN_NOT_OK(result_.Begin(type(), frame->rows()));
    Selection open = rows;
    Column column;
    size_t i = 0;
    for (; i + 1 < args_.size() && open.count > 0; i += 2) {
      ARROW_RETURN_NOT_OK(args_[i]->Evaluate(frame, open, &column));
      // `open` may stand in one list of the two while the other is written.
      RowList& others = other_rows_[i / 2 % 2];
      chosen_rows_.Clear(open.count);
      others.Clear(open.count);
      const uint8_t* const holds = column.Values<uint8_t>();
      const int64_t step = column.constant ? 0 : 1;
      open.ForEach([&](int64_t row) {
        const bool chosen = !column.IsNull(row) && holds[row * step] != 0;
        chosen_rows_.AddIf(row, chosen);
        others.AddIf(row, !chosen);
      });
      const Selection chosen = chosen_rows_.ToSelection(open);
      if (chosen.count > 0) {
        ARROW_RETURN_NOT_OK(args_[i + 1]->Evaluate(frame, chosen, &column));
        result_.Write(column, chosen);
      }
      open = others.ToSelection(open);
    }
    if (open.count > 0) {
      ARROW_RETURN_NOT_OK(args_.back()->Evaluate(frame, open, &column));
      result_.Write(column, open);
    }
    result_.Finish(out);
    return Status::OK();
  }

 private:
  Nodes args_;
  Gathered result_;
  RowList chosen_rows_;
  RowList other_rows_[2];
};

class CoalesceNode final : public Node {
 public:
  CoalesceNode(Type type, Nodes args) : Node(type, AnyFallible(args)), args_(std::move(args)) {}

 protected:
  Status Run(Frame* frame, const Selection& rows, Column* out) override {
    ARROW_RETURN_NOT_OK(args_.front()->Evaluate(frame, rows, out));
    if (out->nulls == nullptr && out->type == type()) return Status::OK();
    if (out->constant && !out->AlwaysNull() && out->type == type()) return Status::OK();
    ARROW_RETURN_NOT_OK(result_.Begin(type(), frame->rows()));
    Selection open = rows;
    Column column = *out;
    for (size_t i = 0;;) {
      result_.Write(column, open);
      RowList& rest = open_rows_[i % 2];
      rest.Clear(open.count);
      const bool all_null = column.type == Type::kNull;
      open.ForEach([&](int64_t row) { rest.AddIf(row, all_null || column.IsNull(row)); });
      open = rest.ToSelection(open);
      if (open.count == 0 || ++i == args_.size()) break;
      ARROW_RETURN_NOT_OK(args_[i]->Evaluate(frame, open, &column));
    }
    result_.Finish(out);
    return Status::OK();
  }

 private:
  Nodes args_;
  Gathered result_;
  RowList open_rows_[2];
};

}  // namespace

std::unique_ptr<Node> MakeLogicNode(bool is_and, Nodes args) {
  return std::make_unique<LogicNode>(is_and, std::move(args));
}

std::unique_ptr<Node> MakeCaseNode(Type type, Nodes args) {
  return std::make_unique<CaseNode>(type, std::move(args));
}

std::unique_ptr<Node> MakeCoalesceNode(Type type, Nodes args) {
  return std::make_unique<CoalesceNode>(type, std::move(args));
}

}  // namespace millrace
