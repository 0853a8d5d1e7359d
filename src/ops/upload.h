#pragma once
// Numbers that the host made, such as positions and index lists, where operations can read them.

#include <span>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// values [numel of shape] → a tensor of the context's device.
template <class T>
Tensor upload(Context& context, Shape shape, std::span<const T> values) {
  return to_device(context, Tensor::from<T>(std::move(shape), values));
}

}  // namespace vl3::ops
