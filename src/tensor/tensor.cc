#include "vl3/tensor.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "tensor/quantized.h"

namespace vl3 {

size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kU8:
    case DType::kBool:
      return 1;
    case DType::kInt8:
    case DType::kInt4:
      return 0;
  }
  return 0;
}

bool is_quantized(DType dtype) noexcept { return dtype == DType::kInt8 || dtype == DType::kInt4; }

namespace {
struct DTypeName {
  DType dtype;
  const char* name;
  const char* safetensors;
};
constexpr DTypeName kDTypeNames[] = {
    {DType::kF32, "f32", "F32"},     {DType::kBF16, "bf16", "BF16"}, {DType::kF16, "f16", "F16"},
    {DType::kF64, "f64", "F64"},     {DType::kI64, "i64", "I64"},    {DType::kI32, "i32", "I32"},
    {DType::kU8, "u8", "U8"},        {DType::kBool, "bool", "BOOL"}, {DType::kInt8, "int8", nullptr},
    {DType::kInt4, "int4", nullptr},
};
}  // namespace

const char* to_string(DType dtype) noexcept {
  for (const auto& entry : kDTypeNames) {
    if (entry.dtype == dtype) return entry.name;
  }
  return "unknown";
}

DType dtype_from_string(const std::string& name) {
  for (const auto& entry : kDTypeNames) {
    if (name == entry.name || (entry.safetensors != nullptr && name == entry.safetensors)) return entry.dtype;
  }
  fail(ErrorCode::kUnsupported,
       "dtype \"{}\" is not one of f32, bf16, f16, f64, i64, i32, u8, bool, int8, int4", name);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

int64_t num_elements(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) {
    // The words of a shape are made only for the message: these checks run for every row of every tensor.
    if (extent < 0) [[unlikely]]
      fail(ErrorCode::kInvalidArgument, "[tensor] negative extent in shape {}", to_string(shape));
    count = checked_mul(count, extent, "[tensor] elements of a shape");
  }
  return count;
}

int64_t bytes_of(DType dtype, const Shape& shape) {
  const int64_t elements = num_elements(shape);
  if (!is_quantized(dtype)) {
    return checked_mul(elements, static_cast<int64_t>(size_of(dtype)), "[tensor] bytes");
  }
  if (elements == 0) return 0;
  return quantized_bytes(dtype, shape[0], elements / shape[0]);
}

Storage::Storage(void* data, size_t bytes, bool read_only, std::function<void()> release,
                 std::shared_ptr<Backend> backend)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      read_only_(read_only),
      release_(std::move(release)),
      backend_(std::move(backend)) {
  static std::atomic<uint64_t> last = 0;
  id_ = ++last;
}

Storage::~Storage() {
  if (release_) release_();
}

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  constexpr size_t kAlignment = 64, kHugePage = 2 << 20;
  const bool huge = bytes >= kHugePage;
  void* data = nullptr;  // not rounded up, so that AddressSanitizer sees the first byte too many
  const bool allocated =
      posix_memalign(&data, huge ? kHugePage : kAlignment, std::max<size_t>(bytes, 1)) == 0;
  require(allocated, ErrorCode::kOutOfMemory, "[tensor] cannot allocate {} bytes", bytes);
  if (huge) ::madvise(data, bytes, MADV_HUGEPAGE);  // a hint: fewer misses of the page table's cache
  return wrap(data, bytes, false, [data] { std::free(data); });
}

std::shared_ptr<Storage> Storage::wrap(void* data, size_t bytes, bool read_only,
                                       std::function<void()> release, std::shared_ptr<Backend> backend) {
  return std::shared_ptr<Storage>(
      new Storage(data, bytes, read_only, std::move(release), std::move(backend)));
}

const std::byte* Storage::data() const {
  if (!device().is_host()) [[unlikely]]
    fail(ErrorCode::kInvalidArgument, "[storage] {} bytes on {}: the host cannot read them there", bytes_,
         to_string(device()));
  return data_;
}

std::byte* Storage::mutable_data() {
  if (!device().is_host() || read_only_) [[unlikely]]
    fail(ErrorCode::kInvalidArgument, "[storage] {} bytes on {}{}: the host cannot write them", bytes_,
         to_string(device()), read_only_ ? ", read-only" : "");
  return data_;
}

Tensor::Tensor(std::shared_ptr<Storage> storage, size_t byte_offset, Shape shape, DType dtype)
    : storage_(std::move(storage)), shape_(std::move(shape)), numel_(num_elements(shape_)), dtype_(dtype) {
  const size_t needed = static_cast<size_t>(bytes_of(dtype, shape_));
  const bool fits =
      storage_ != nullptr && byte_offset <= storage_->bytes() && needed <= storage_->bytes() - byte_offset;
  if (!fits) [[unlikely]]
    fail(ErrorCode::kInvalidArgument, "[tensor] {} of {} at byte {} does not fit a storage of {} bytes",
         to_string(shape_), to_string(dtype), byte_offset, storage_ ? storage_->bytes() : 0);
  data_ = storage_->address() + byte_offset;
  on_host_ = storage_->device().is_host();
  writable_ = !storage_->read_only();
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  const int64_t bytes = bytes_of(dtype, shape);
  return {Storage::allocate(static_cast<size_t>(bytes)), 0, std::move(shape), dtype};
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor tensor = empty(std::move(shape), dtype);
  std::memset(tensor.mutable_raw(), 0, tensor.bytes());
  return tensor;
}

template <class T>
Tensor Tensor::from(Shape shape, std::span<const T> values) {
  Tensor tensor = empty(std::move(shape), kDTypeOf<T>);
  require(tensor.numel() == static_cast<int64_t>(values.size()), ErrorCode::kInvalidArgument,
          "[tensor] {} values for shape {}", values.size(), to_string(tensor.shape()));
  if (!values.empty()) std::memcpy(tensor.mutable_raw(), values.data(), values.size_bytes());
  return tensor;
}
template Tensor Tensor::from<float>(Shape, std::span<const float>);
template Tensor Tensor::from<bf16>(Shape, std::span<const bf16>);
template Tensor Tensor::from<f16>(Shape, std::span<const f16>);
template Tensor Tensor::from<double>(Shape, std::span<const double>);
template Tensor Tensor::from<int64_t>(Shape, std::span<const int64_t>);
template Tensor Tensor::from<int32_t>(Shape, std::span<const int32_t>);
template Tensor Tensor::from<uint8_t>(Shape, std::span<const uint8_t>);

int64_t Tensor::dim(int axis) const {
  const int index = axis < 0 ? axis + rank() : axis;
  if (index < 0 || index >= rank()) [[unlikely]]
    fail(ErrorCode::kInvalidArgument, "[tensor] no dimension {} in shape {}", axis, to_string(shape_));
  return shape_[static_cast<size_t>(index)];
}

void Tensor::refuse(DType wanted, bool writing) const {
  require(on_host_, ErrorCode::kInvalidArgument,
          "[tensor] {} {} lies on {}, where the host cannot {} it; to_host gives a copy", to_string(dtype_),
          to_string(shape_), to_string(device()), writing ? "write" : "read");
  require(dtype_ == wanted, ErrorCode::kInvalidArgument, "[tensor] elements are {}, not {}",
          to_string(dtype_), to_string(wanted));
  fail(ErrorCode::kInvalidArgument,
       "[tensor] {} {} is read-only, as mapped weights are; clone() can be written", to_string(dtype_),
       to_string(shape_));
}

Tensor Tensor::reshape(Shape shape) const {
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& extent : shape) {
    if (extent == -1 && open == nullptr) {
      open = &extent;
    } else {
      known = checked_mul(known, extent, "[tensor] reshape");
    }
  }
  if (open != nullptr) *open = known > 0 ? numel_ / known : 0;
  require(num_elements(shape) == numel_, ErrorCode::kInvalidArgument, "[tensor] cannot reshape {} to {}",
          to_string(shape_), to_string(shape));
  require(!is_quantized(dtype_) || (!shape.empty() && shape[0] == shape_[0]), ErrorCode::kInvalidArgument,
          "[tensor] a reshape of {} weights {} to {} would cut rows", to_string(dtype_), to_string(shape_),
          to_string(shape));
  Tensor result = *this;
  result.shape_ = std::move(shape);
  return result;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  if (rank() < 1 || begin < 0 || begin > end || end > shape_[0]) [[unlikely]]
    fail(ErrorCode::kInvalidArgument, "[tensor] rows {} to {} of shape {}", begin, end, to_string(shape_));
  const int64_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  Tensor result = *this;
  result.shape_[0] = end - begin;
  result.numel_ = row * (end - begin);
  if (is_quantized(dtype_)) {
    require(begin == 0 && end == shape_[0], ErrorCode::kInvalidArgument,
            "[tensor] rows {} to {} of {} weights {}: they cannot be cut", begin, end, to_string(dtype_),
            to_string(shape_));
  } else {
    result.data_ = data_ + static_cast<size_t>(row * begin) * size_of(dtype_);
  }
  return result;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  if (on_host_) {
    Tensor copy = empty(shape_, dtype_);
    if (numel_ > 0) std::memcpy(copy.data_, data_, bytes());
    return copy;
  }
  Backend& backend = *storage_->backend();
  Tensor copy(backend.allocate(bytes()), 0, shape_, dtype_);
  if (numel_ > 0) backend.copy(*storage_, byte_offset(), *copy.storage_, 0, bytes());
  return copy;
}

}  // namespace vl3
