#include "tensors.h"

#include <nanobind/stl/string.h>

#include <cstring>
#include <memory>
#include <string>

#include "base/check.h"
#include "gil.h"
#include "vl3/error.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

using AnyArray = nb::ndarray<nb::ro>;

struct DTypePair {
  DType ours;
  nb::dlpack::dtype theirs;
};

constexpr uint8_t code(nb::dlpack::dtype_code code) { return static_cast<uint8_t>(code); }

constexpr DTypePair kDTypes[] = {
    {DType::kF32, {code(nb::dlpack::dtype_code::Float), 32, 1}},
    {DType::kF64, {code(nb::dlpack::dtype_code::Float), 64, 1}},
    {DType::kF16, {code(nb::dlpack::dtype_code::Float), 16, 1}},
    {DType::kBF16, {code(nb::dlpack::dtype_code::Bfloat), 16, 1}},
    {DType::kI64, {code(nb::dlpack::dtype_code::Int), 64, 1}},
    {DType::kI32, {code(nb::dlpack::dtype_code::Int), 32, 1}},
    {DType::kU8, {code(nb::dlpack::dtype_code::UInt), 8, 1}},
    {DType::kBool, {code(nb::dlpack::dtype_code::Bool), 8, 1}},
};

[[noreturn]] void refuse(std::string_view name, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "[" + std::string(name) + "] " + what);
}

DType dtype_of(const AnyArray& array, std::string_view name) {
  for (const DTypePair& pair : kDTypes) {
    if (pair.theirs == array.dtype()) return pair.ours;
  }
  refuse(name,
         "arrays of this dtype (DLPack's code " + std::to_string(array.dtype().code) + ", " +
             std::to_string(array.dtype().bits) +
             " bits) are not taken: float16, bfloat16, float32, float64, int32, int64, uint8, bool are");
}

bool is_dense(const AnyArray& array) {
  int64_t stride = 1;
  for (size_t axis = array.ndim(); axis-- > 0;) {
    if (array.shape(axis) != 1 && array.stride(axis) != stride) return false;
    stride *= static_cast<int64_t>(array.shape(axis));
  }
  return true;
}

// Rows of the last axis, one by one.
void copy_strided(const AnyArray& array, size_t axis, const std::byte* from, size_t size, std::byte*& to) {
  if (axis == array.ndim()) {
    std::memcpy(to, from, size);
    to += size;
    return;
  }
  for (size_t i = 0; i < array.shape(axis); ++i) {
    copy_strided(array, axis + 1,
                 from + static_cast<int64_t>(i) * array.stride(axis) * static_cast<int64_t>(size), size, to);
  }
}

Tensor shared(AnyArray array, const Shape& shape, DType dtype) {
  auto* data = const_cast<void*>(array.data());
  const auto bytes = static_cast<size_t>(bytes_of(dtype, shape));
  // Let go on whatever thread is the last to hold it.
  auto* kept = new AnyArray(std::move(array));
  const auto release = [kept] {
    if (!nb::is_alive()) return;
    const WithGil acquire;
    delete kept;
  };
  return {Storage::wrap(data, bytes, true, release), 0, shape, dtype};
}

template <class To, class From>
Tensor converted(const Tensor& tensor) {
  Tensor out = Tensor::empty(tensor.shape(), kDTypeOf<To>);
  To* to = out.mutable_data<To>();
  for (const From value : tensor.span<From>()) *to++ = static_cast<To>(value);
  return out;
}

float widened(bf16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

float widened(f16 value) {
  const uint32_t sign = uint32_t{value.bits & 0x8000U} << 16, exponent = (value.bits >> 10) & 0x1FU;
  const uint32_t fraction = value.bits & 0x3FFU;
  uint32_t bits = sign;
  if (exponent == 0x1F) {
    bits |= 0x7F800000U | fraction << 13;
  } else if (exponent != 0) {
    bits |= (exponent + 112) << 23 | fraction << 13;
  } else {
    const float tiny = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -tiny : tiny;
  }
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

template <class Half>
Tensor widened_all(const Tensor& tensor) {
  Tensor out = Tensor::empty(tensor.shape(), DType::kF32);
  float* to = out.mutable_data<float>();
  for (const Half value : tensor.span<Half>()) *to++ = widened(value);
  return out;
}

Tensor as(const Tensor& tensor, DType dtype, std::string_view name) {
  const DType from = tensor.dtype();
  if (from == dtype) return tensor;
  if (from == DType::kBool && dtype == DType::kU8)
    return {tensor.storage(), tensor.byte_offset(), tensor.shape(), dtype};
  if (dtype == DType::kI64 && from == DType::kI32) return converted<int64_t, int32_t>(tensor);
  if (dtype == DType::kI64 && from == DType::kU8) return converted<int64_t, uint8_t>(tensor);
  if (dtype == DType::kI64 && from == DType::kBool) return converted<int64_t, bool>(tensor);
  if (dtype == DType::kU8 && from == DType::kI64) return converted<uint8_t, int64_t>(tensor);
  if (dtype == DType::kU8 && from == DType::kI32) return converted<uint8_t, int32_t>(tensor);
  if (dtype == DType::kF32 && from == DType::kF64) return converted<float, double>(tensor);
  if (dtype == DType::kF32 && from == DType::kBF16) return widened_all<bf16>(tensor);
  if (dtype == DType::kF32 && from == DType::kF16) return widened_all<f16>(tensor);
  refuse(name, std::string("is ") + to_string(from) + ", which does not become " + to_string(dtype));
}

}  // namespace

nb::object to_python(const Tensor& tensor) {
  if (!tensor.defined()) return nb::none();
  const Tensor host = to_host(tensor);
  const DTypePair* pair = nullptr;
  for (const DTypePair& known : kDTypes) {
    if (known.ours == host.dtype()) pair = &known;
  }
  if (pair == nullptr) {
    throw Error(ErrorCode::kUnsupported, std::string("[tensor] quantised weights (") +
                                             to_string(host.dtype()) +
                                             ") are no array: dequantise them first");
  }
  const nb::capsule owner(new std::shared_ptr<Storage>(host.storage()),
                          [](void* kept) noexcept { delete static_cast<std::shared_ptr<Storage>*>(kept); });
  const std::vector<size_t> shape(host.shape().begin(), host.shape().end());
  auto* data = const_cast<std::byte*>(host.raw());
  if (host.storage()->read_only()) {
    using ReadOnly = nb::ndarray<nb::array_api, nb::device::cpu, nb::ro>;
    return nb::cast(ReadOnly(data, shape.size(), shape.data(), owner, nullptr, pair->theirs));
  }
  return nb::cast(Array(data, shape.size(), shape.data(), owner, nullptr, pair->theirs));
}

Tensor from_python(nb::handle object, std::string_view name, std::optional<DType> dtype) {
  if (object.is_none()) return {};
  AnyArray array;
  if (!nb::try_cast<AnyArray>(object, array, false) || array.device_type() != nb::device::cpu::value) {
    const std::string type = nb::cast<std::string>(nb::str(object.type()));
    throw nb::type_error(("[" + std::string(name) +
                          "] takes an array of the host's memory (numpy, torch, DLPack), not " + type)
                             .c_str());
  }
  const DType own = dtype_of(array, name);
  Shape shape(array.ndim());
  for (size_t axis = 0; axis < shape.size(); ++axis) shape[axis] = static_cast<int64_t>(array.shape(axis));
  Tensor tensor;
  if (is_dense(array)) {
    tensor = shared(std::move(array), shape, own);
  } else {
    tensor = Tensor::empty(shape, own);
    std::byte* to = tensor.mutable_raw();
    copy_strided(array, 0, static_cast<const std::byte*>(array.data()), size_of(own), to);
  }
  return dtype ? as(tensor, *dtype, name) : tensor;
}

}  // namespace vl3::python
