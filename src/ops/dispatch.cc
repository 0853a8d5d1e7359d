#include "ops/dispatch.h"

#include "base/check.h"

namespace vl3::ops {

void check_devices(const Context& context, const char* op, std::initializer_list<Argument> arguments) {
  const Device computes = context.device();
  for (const auto& [name, tensor] : arguments) {
    if (!tensor.defined() || tensor.device() == computes) continue;
    fail(ErrorCode::kInvalidArgument, "[{}] {} {} {} lies on {}; the context computes on {}", op, name,
         to_string(tensor.dtype()), to_string(tensor.shape()), to_string(tensor.device()),
         to_string(computes));
  }
}

void no_implementation(const Context& context, const char* op) {
  fail(ErrorCode::kUnsupported, "[{}] is not there for {}", op, to_string(context.device()));
}

}  // namespace vl3::ops
