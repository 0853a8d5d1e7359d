#include "ops/elementwise.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {

Activation activation_from(std::string_view name) {
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "gelu") return Activation::kGelu;
  if (name == "silu") return Activation::kSilu;
  fail(ErrorCode::kUnsupported, "[activation] \"{}\" is not one of gelu_pytorch_tanh, gelu, silu", name);
}

Tensor activation(Context& context, const Tensor& x, Activation kind) {
  check_devices(context, "activation", {{"x", x}});
  if (kind == Activation::kNone) return x;
  Tensor y = context.empty(x.shape());
  implementation(context, "activation", cpu::activation)(context, x, kind, y);
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x, kind](Context& c, Tape& t, const Tensor& dy) {
      Tensor dx = c.empty(x.shape());
      implementation(c, "activation", cpu::activation_backward)(c, x, dy, kind, dx);
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

Tensor swiglu(Context& context, const Tensor& gate, const Tensor& up) {
  require(gate.shape() == up.shape(), ErrorCode::kInvalidArgument, "[swiglu] gate {} and up {} differ",
          to_string(gate.shape()), to_string(up.shape()));
  check_devices(context, "swiglu", {{"gate", gate}, {"up", up}});
  Tensor y = context.empty(gate.shape());
  implementation(context, "swiglu", cpu::swiglu)(context, gate, up, y);
  if (Tape* tape = tape_for(context, {&gate, &up})) {
    tape->record(y, [gate, up](Context& c, Tape& t, const Tensor& dy) {
      Tensor dgate = c.empty(gate.shape()), dup = c.empty(up.shape());
      implementation(c, "swiglu", cpu::swiglu_backward)(c, gate, up, dy, dgate, dup);
      t.add_gradient(c, gate, dgate);
      t.add_gradient(c, up, dup);
    });
  }
  return y;
}

Tensor add(Context& context, const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), ErrorCode::kInvalidArgument, "[add] {} and {} differ", to_string(a.shape()),
          to_string(b.shape()));
  check_devices(context, "add", {{"a", a}, {"b", b}});
  Tensor y = context.empty(a.shape());
  implementation(context, "add", cpu::add)(context, a, b, y);
  if (Tape* tape = tape_for(context, {&a, &b})) {
    tape->record(y, [a = Variable(a), b = Variable(b)](Context& c, Tape& t, const Tensor& dy) {
      t.add_gradient(c, a, dy);
      t.add_gradient(c, b, dy);
    });
  }
  return y;
}

}  // namespace vl3::ops
