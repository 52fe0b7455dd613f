// The calls with OVER of one query: their windows read and checked by PostgreSQL's rules, each call
// computed once. What tells a sensor's health is put together from them (over_health.cpp).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/plan/expression_binder.h"
#include "engine/plan/over_functions.h"
#include "engine/plan/query_binder.h"

namespace millrace {

class OverCollector : public OverBinder {
 public:
  // `row_scope` is the scope of what stands before OVER and in it. All must outlive it.
  OverCollector(const SqlText& sql, const Syntax& select, const FromClause& from,
                const BindScope& row_scope, BoundOver* over)
      : sql_(sql), select_(select), from_(from), row_scope_(row_scope), over_(over) {}

  // Reads WINDOW; called once, before any BindOver. False after an error.
  bool ReadWindows();

  // A reference to pseudo-column (input columns + index of the call).
  std::optional<Bound> BindOver(const Syntax& call, const std::string& name) override;

 private:
  struct Window {
    std::vector<Expr> partition;
    bool is_partitioned = false;  // PARTITION BY is given
    bool is_ordered = false;
    bool is_framed = false;  // a frame is given
    OverFrame frame;
  };

  std::optional<Window> ReadWindow(const Syntax& syntax);
  void NoSuchWindow(const Syntax& syntax, const std::string& name) const;
  bool ReadPartition(const Syntax& syntax, Window* window);
  bool ReadOrder(const Syntax& item);
  bool ReadFrame(const Syntax& syntax, Window* window);
  std::optional<int64_t> ReadOffset(const Syntax& node, bool is_range);
  // `what` begins messages: "the length of a RANGE".
  std::optional<int64_t> ReadLength(const Syntax& node, const std::string& what);
  std::optional<int64_t> ReadRows(const Syntax& node, const std::string& what, int64_t least,
                                  int64_t most);
  bool TakePartition(const Syntax& over, const Window& window);
  bool BindAggregate(const Syntax& call, const std::string& name, BoundOverCall* bound,
                     Expr* shape);
  bool CheckArguments(const Syntax& call, const OverFunctionInfo& info) const;
  bool BindArguments(const Syntax& call, const OverFunctionInfo& info, BoundOverCall* bound);
  // The pseudo-column of a call, which may be there already.
  int Add(BoundOverCall bound);
  bool BindOtherwise(const Syntax& node, const std::string& name, BoundOverCall* bound);
  std::string FrameText(const OverFrame& frame) const;

  // over_health.cpp: what stands for an expression over other calls.
  std::optional<Bound> BindForm(const Syntax& call, const OverFunctionInfo& info);
  std::optional<Expr> BindStuck(const std::vector<Syntax>& args);
  std::optional<Expr> BindSilent(const Syntax& node);
  std::optional<Expr> BindNumber(const Syntax& node, const std::string& name);
  std::optional<Expr> BindComparable(const Syntax& node);
  Expr Time() const;
  Expr Before(const Expr& value);
  Expr Unchanged(OverFunction function, Expr value);

  const SqlText& sql_;
  const Syntax& select_;
  const FromClause& from_;
  const BindScope& row_scope_;
  BoundOver* over_;
  std::map<std::string, std::optional<Window>> windows_;  // nothing: read with a mistake
  bool has_partition_ = false;                            // over_->partition is settled
};

}  // namespace millrace
