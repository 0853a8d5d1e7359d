#include <cmath>
#include <numbers>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {
namespace {

double activated(double x, Activation kind) {
  switch (kind) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

}  // namespace

Values activation(const Values& x, Activation kind) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = activated(x[i], kind);
  return y;
}

Values swiglu(const Values& gate, const Values& up) {
  Values y(gate.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = activated(gate[i], Activation::kSilu) * up[i];
  return y;
}

Values add(const Values& a, const Values& b) {
  Values y(a.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = a[i] + b[i];
  return y;
}

}  // namespace vl3::ops::reference
