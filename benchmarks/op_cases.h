#pragma once
// One list of what benchmark_ops measures: a case for every operation, at the sizes of the 2B model.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

struct OpCase {
  std::string op;    // as in docs/ops.md
  std::string name;  // of the line
  double amount;     // operations, two a multiply-add, or bytes that have to be read and written
  bool products;     // which of the two; their share is of the peak of this type, or of the memory's
  DType type;
  std::function<void()> work;
};

// The cases that this context's type of computing concerns; operands live as long as the list.
std::vector<OpCase> op_cases(Context& context);

}  // namespace vl3
