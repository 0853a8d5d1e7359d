#include "vl3/device.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "vl3/tensor.h"

namespace vl3 {
namespace {

class CpuBackend final : public Backend {
 public:
  Device device() const noexcept override { return {}; }
  std::shared_ptr<Storage> allocate(size_t bytes) override { return Storage::allocate(bytes); }
  void copy(const Storage& from, size_t from_byte, Storage& to, size_t to_byte, size_t bytes) override {
    if (bytes > 0) std::memcpy(to.mutable_data() + to_byte, from.data() + from_byte, bytes);
  }
};

}  // namespace

std::string to_string(const Device& device) {
  return device.is_host() ? std::string(device.name) : fmt::format("{}:{}", device.name, device.index);
}

std::shared_ptr<Backend> make_cpu_backend() { return std::make_shared<CpuBackend>(); }

std::shared_ptr<Backend> backend_named(std::string_view name,
                                       std::span<const std::shared_ptr<Backend>> others) {
  std::vector<std::string_view> known = {Device{}.name};
  if (name == known[0]) return make_cpu_backend();
  for (const auto& backend : others) {
    known.push_back(backend->device().name);
    if (name == known.back()) return backend;
  }
  fail(ErrorCode::kInvalidArgument, "[device] \"{}\" is not one of {}", name, fmt::join(known, ", "));
}

Tensor to_host(const Tensor& tensor) {
  if (tensor.device().is_host()) return tensor;
  Tensor result = Tensor::empty(tensor.shape(), tensor.dtype());
  if (tensor.numel() > 0) {
    tensor.storage()->backend()->copy(*tensor.storage(), tensor.byte_offset(), *result.storage(), 0,
                                      tensor.bytes());
  }
  return result;
}

Tensor to_device(Backend& backend, const Tensor& tensor) {
  if (!tensor.defined() || tensor.device() == backend.device()) return tensor;
  const Tensor source = to_host(tensor);
  if (backend.device().is_host()) return source;
  Tensor result(backend.allocate(source.bytes()), 0, source.shape(), source.dtype());
  if (source.numel() > 0)
    backend.copy(*source.storage(), source.byte_offset(), *result.storage(), 0, source.bytes());
  return result;
}

}  // namespace vl3
