#pragma once
// Tensors in and out without copies, by DLPack and Python's buffers: numpy's, torch's, and whatever else
// speaks either. Neither library is needed.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>
#include <string_view>

#include "vl3/tensor.h"

namespace vl3::python {

// What Python gets: an object with __dlpack__ and a buffer, which numpy.from_dlpack and torch.from_dlpack
// take as it is.
using Array = nanobind::ndarray<nanobind::array_api, nanobind::device::cpu>;

// The same memory, which the array keeps. An undefined tensor is None. Memory that is read only, such as
// mapped weights, is so in Python too. Throws kUnsupported for quantised tensors.
nanobind::object to_python(const Tensor& tensor);

// The same memory, which the tensor keeps, where the array is dense and of this dtype; else a copy that is.
// dtype: none takes it as it is. Integers become other integers, floating-point numbers f32; a bool is u8
// where that is asked for. None gives an undefined tensor. Throws TypeError for what is no array of the
// host's memory, and kInvalidArgument for a dtype that cannot become the one that is asked for; both name it.
Tensor from_python(nanobind::handle array, std::string_view name, std::optional<DType> dtype = {});

}  // namespace vl3::python
