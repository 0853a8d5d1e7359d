#pragma once
// A way of computing for as long as something lives.

#include "vl3/context.h"

namespace vl3 {

class ComputeScope {
 public:
  ComputeScope(Context& context, Compute compute) : context_(context), before_(context.compute()) {
    context.set_compute(compute);
  }
  ~ComputeScope() { context_.set_compute(before_); }
  ComputeScope(const ComputeScope&) = delete;
  ComputeScope& operator=(const ComputeScope&) = delete;

 private:
  Context& context_;
  const Compute before_;
};

}  // namespace vl3
