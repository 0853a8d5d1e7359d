#pragma once
// Tensor: a cheap value that names a piece of memory, its shape and its dtype. Storage: who owns that memory.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vl3/device.h"
#include "vl3/export.h"

namespace vl3 {

// kInt8 and kInt4 are matrices of quantised weights, stored in blocks of rows: src/tensor/quantized.h.
enum class DType : uint8_t { kF32, kBF16, kF16, kF64, kI64, kI32, kU8, kBool, kInt8, kInt4 };

VL3_API size_t size_of(DType dtype) noexcept;         // bytes per element; 0 where blocks have no such number
VL3_API bool is_quantized(DType dtype) noexcept;      // stored in blocks
VL3_API const char* to_string(DType dtype) noexcept;  // "f32", "bf16", …
VL3_API DType dtype_from_string(
    const std::string& name);  // also safetensors' spelling ("F32", "BF16"); throws kUnsupported

// Bytes of a bf16 or f16 number; arithmetic happens in float.
struct VL3_API bf16 {
  uint16_t bits;
};
struct VL3_API f16 {
  uint16_t bits;
};

template <class T>
inline constexpr DType kDTypeOf = [] {
  if constexpr (std::is_same_v<T, float>)
    return DType::kF32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::kBF16;
  else if constexpr (std::is_same_v<T, f16>)
    return DType::kF16;
  else if constexpr (std::is_same_v<T, double>)
    return DType::kF64;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::kI64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::kI32;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::kU8;
  else if constexpr (std::is_same_v<T, bool>)
    return DType::kBool;
}();

// Memory with an owner: an aligned heap buffer, a slice of a file mapping, memory of another device, or
// anything else with a deleter.
class VL3_API Storage {
 public:
  // Of the host: 64-byte aligned, not initialised. Throws kOutOfMemory with the size asked for.
  static std::shared_ptr<Storage> allocate(size_t bytes);
  // Memory owned by somebody else; release runs once, when the last tensor lets go. read_only memory, such as
  // a mapping of a file of weights, gives no address to write to. backend: of the device the memory lies on;
  // null: the host's.
  static std::shared_ptr<Storage> wrap(void* data, size_t bytes, bool read_only,
                                       std::function<void()> release, std::shared_ptr<Backend> backend = {});

  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  // For the host to read, and to write. Throw kInvalidArgument for memory of another device, the second for
  // read-only memory as well.
  const std::byte* data() const;
  std::byte* mutable_data();
  // The same where it may not be dereferenced: on whatever device, for comparing and for backends.
  std::byte* address() const noexcept { return data_; }
  size_t bytes() const noexcept { return bytes_; }
  uint64_t id() const noexcept { return id_; }  // from 1 on; no other storage of this process ever has it
  bool read_only() const noexcept { return read_only_; }
  Device device() const noexcept { return backend_ == nullptr ? Device{} : backend_->device(); }
  const std::shared_ptr<Backend>& backend() const noexcept { return backend_; }  // null: the host's

 private:
  Storage(void* data, size_t bytes, bool read_only, std::function<void()> release,
          std::shared_ptr<Backend> backend);
  std::byte* data_;
  size_t bytes_;
  uint64_t id_;
  bool read_only_;
  std::function<void()> release_;
  std::shared_ptr<Backend> backend_;
};

using Shape = std::vector<int64_t>;
VL3_API std::string to_string(const Shape& shape);  // "[2, 3]"
VL3_API int64_t num_elements(
    const Shape& shape);  // throws kInvalidArgument for a negative extent, kLimitExceeded on overflow
VL3_API int64_t bytes_of(DType dtype, const Shape& shape);  // of a tensor; throws as num_elements does

// Dense and row-major, always: a tensor is its first element's address, a shape and a dtype. Copies share the
// memory. Views are made by rows (a range of the first dimension) and by reshape, both of which stay dense.
// A tensor is a handle: const says that it goes on naming the same memory, data() against mutable_data()
// whether that is read or written.
class VL3_API Tensor {
 public:
  Tensor() = default;  // empty: defined() is false
  Tensor(std::shared_ptr<Storage> storage, size_t byte_offset, Shape shape, DType dtype);

  static Tensor empty(Shape shape, DType dtype);  // not initialised
  static Tensor zeros(Shape shape, DType dtype);
  template <class T>
  static Tensor from(Shape shape, std::span<const T> values);  // copies
  template <class T>
  static Tensor from(Shape shape, const std::vector<T>& values) {
    return from<T>(std::move(shape), std::span<const T>(values));
  }

  bool defined() const noexcept { return storage_ != nullptr; }
  const Shape& shape() const noexcept { return shape_; }
  int64_t dim(int axis) const;  // negative axes count from the end
  int rank() const noexcept { return static_cast<int>(shape_.size()); }
  int64_t numel() const noexcept { return numel_; }
  size_t bytes() const { return static_cast<size_t>(bytes_of(dtype_, shape_)); }
  DType dtype() const noexcept { return dtype_; }
  const std::shared_ptr<Storage>& storage() const noexcept { return storage_; }

  Device device() const noexcept { return storage_ == nullptr ? Device{} : storage_->device(); }

  // The bytes and the elements, for the host to read. Throw kInvalidArgument when T is not the dtype and for
  // memory of another device, which to_host copies.
  const std::byte* raw() const {
    if (!on_host_) [[unlikely]]
      refuse(dtype_, false);
    return data_;
  }
  template <class T>
  const T* data() const {
    if (dtype_ != kDTypeOf<T> || !on_host_) [[unlikely]]
      refuse(kDTypeOf<T>, false);
    return reinterpret_cast<const T*>(data_);
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  // The same to write. Throw for read-only memory, such as mapped weights, as well.
  std::byte* mutable_raw() const {
    if (!on_host_ || !writable_) [[unlikely]]
      refuse(dtype_, true);
    return data_;
  }
  template <class T>
  T* mutable_data() const {
    if (dtype_ != kDTypeOf<T> || !on_host_ || !writable_) [[unlikely]]
      refuse(kDTypeOf<T>, true);
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  std::span<T> mutable_span() const {
    return {mutable_data<T>(), static_cast<size_t>(numel_)};
  }
  // Where it lies, for comparing and for backends; never to be read or written through.
  const void* address() const noexcept { return data_; }
  // The first byte's place in the storage.
  size_t byte_offset() const noexcept {
    return storage_ == nullptr ? 0 : static_cast<size_t>(data_ - storage_->address());
  }

  // Same memory; one extent may be -1. Quantised tensors keep their first extent.
  Tensor reshape(Shape shape) const;
  // Same memory; the range [begin, end) of the first dimension. Quantised tensors are cut between blocks.
  Tensor rows(int64_t begin, int64_t end) const;
  Tensor clone() const;  // own memory on the same device, same bytes

 private:
  [[noreturn]] void refuse(DType wanted, bool writing) const;
  std::shared_ptr<Storage> storage_;
  std::byte* data_ = nullptr;
  Shape shape_;
  int64_t numel_ = 0;
  DType dtype_ = DType::kF32;
  bool on_host_ = true, writable_ = true;  // what the storage says, at hand
};

// The same bytes where the host can reach them: the tensor itself if it lies there, else a copy.
VL3_API Tensor to_host(const Tensor& tensor);
// The same bytes on a backend's device: the tensor itself if it lies there, else a copy, by way of the host
// from a third device. Undefined tensors stay so.
VL3_API Tensor to_device(Backend& backend, const Tensor& tensor);

}  // namespace vl3
