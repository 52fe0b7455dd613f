#include "engine/operators/kernels.h"

#include <iterator>

namespace millrace {
namespace {

const std::vector<NamedKernel>& AllKernels() {
  static const std::vector<NamedKernel> all = [] {
    std::vector<NamedKernel> kernels;
    for (auto* table : {&ArithmeticKernels, &ComparisonKernels, &MathematicsKernels, &TextKernels,
                        &TextSearchKernels, &RegularExpressionKernels, &TimeKernels,
                        &TimeFormatKernels, &IntervalKernels, &JsonKernels}) {
      std::vector<NamedKernel> part = table();
      kernels.insert(kernels.end(), std::make_move_iterator(part.begin()),
                     std::make_move_iterator(part.end()));
    }
    return kernels;
  }();
  return all;
}

}  // namespace

Kernel FindKernel(const FunctionSignature& signature) {
  for (const NamedKernel& entry : AllKernels()) {
    if (entry.name == signature.name && entry.args == signature.args) return entry.kernel;
  }
  return nullptr;
}

}  // namespace millrace
