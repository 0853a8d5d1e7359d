#pragma once
// From an operation's contract to what computes it: the one place that knows which devices there are. A
// backend brings one function per operation (ops/cpu/cpu_ops.h is the list) and one more line below.

#include <initializer_list>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

struct Argument {
  const char* name;
  const Tensor& tensor;
};

// Throws kInvalidArgument, naming operation, operand and both devices, where an operand lies elsewhere than
// where the context computes. Undefined tensors lie nowhere.
void check_devices(const Context& context, const char* op, std::initializer_list<Argument> arguments);

[[noreturn]] void no_implementation(const Context& context, const char* op);

// The function of the context's device. Throws kUnsupported, naming operation and device, where there is
// none.
template <class Function>
Function& implementation(const Context& context, const char* op, Function& cpu) {
  if (!context.device().is_host()) [[unlikely]]
    no_implementation(context, op);
  return cpu;
}

}  // namespace vl3::ops
