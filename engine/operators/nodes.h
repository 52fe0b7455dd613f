// The tree that an expression is compiled to. Each node runs over the rows it is asked for;
// conditional nodes (AND, OR, CASE, COALESCE) ask their later arguments only for the rows that
// need them, where those arguments can fail at all.
#pragma once

#include <memory>
#include <vector>

#include "engine/operators/column.h"
#include "engine/plan/expression.h"

namespace millrace {

class Node {
 public:
  Node(Type type, bool fallible) : type_(type), fallible_(fallible) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // `out` lives until the next call.
  Status Evaluate(Frame* frame, const Selection& rows, Column* out) {
    if (rows.count == 0) {
      *out = NullColumn(type_);
      return Status::OK();
    }
    return Run(frame, rows, out);
  }

  Type type() const { return type_; }
  bool fallible() const { return fallible_; }
  virtual bool constant() const { return false; }

 protected:
  virtual Status Run(Frame* frame, const Selection& rows, Column* out) = 0;

 private:
  Type type_;
  bool fallible_;
};

// Parts without columns that do not fail are computed here, once.
Result<std::unique_ptr<Node>> CompileExpr(const Expr& expr, const Schema& input);

// The conditional nodes (conditional_nodes.cpp).
std::unique_ptr<Node> MakeLogicNode(bool is_and, std::vector<std::unique_ptr<Node>> args);
std::unique_ptr<Node> MakeCaseNode(Type type, std::vector<std::unique_ptr<Node>> args);
std::unique_ptr<Node> MakeCoalesceNode(Type type, std::vector<std::unique_ptr<Node>> args);

}  // namespace millrace
