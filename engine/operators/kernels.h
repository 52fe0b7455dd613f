// Kernels: what runs one function of the catalogue, or one cast, over the selected rows of a batch.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/operators/column.h"
#include "engine/plan/functions.h"

namespace millrace {

// What a kernel keeps from batch to batch (a parsed LIKE pattern).
class KernelState {
 public:
  virtual ~KernelState() = default;
};

// The memory of one call in an expression tree.
struct CallMemory {
  Scratch values;
  Scratch nulls;
  TextArena text;
  std::unique_ptr<KernelState> state;
  bool is_local_time = false;  // the first argument is a wall clock's time (Expr::is_local_time)
};

struct KernelCall {
  Frame* frame = nullptr;
  Selection rows;
  std::span<const Column> args;
  CallMemory* memory = nullptr;
  std::string_view where;  // the expression, for errors
  Type result = Type::kNull;
};

// Evaluates for call.rows only. Never null-checks its arguments' types: FindKernel did.
using Kernel = Status (*)(const KernelCall& call, Column* out);

// Null where the catalogue's entry has none (a defect, which a test looks for).
Kernel FindKernel(const FunctionSignature& signature);
// Null where PostgreSQL has no such cast. Not for equal types.
Kernel FindCast(Type from, Type to);
// Whether a cast may fail on a row.
bool CastIsFallible(Type from, Type to);

// One entry of the tables below.
struct NamedKernel {
  std::string_view name;
  std::vector<Type> args;
  Kernel kernel = nullptr;
};

// One table a file; FindKernel searches them all.
std::vector<NamedKernel> ArithmeticKernels();
std::vector<NamedKernel> ComparisonKernels();
std::vector<NamedKernel> MathematicsKernels();
std::vector<NamedKernel> TextKernels();
std::vector<NamedKernel> TextSearchKernels();
std::vector<NamedKernel> RegularExpressionKernels();
std::vector<NamedKernel> TimeKernels();
std::vector<NamedKernel> TimeFormatKernels();
std::vector<NamedKernel> IntervalKernels();
std::vector<NamedKernel> JsonKernels();

}  // namespace millrace
