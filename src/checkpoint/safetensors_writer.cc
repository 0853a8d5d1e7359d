#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "checkpoint/safetensors_header.h"

namespace vl3 {

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorInfo> tensors,
                                     const Metadata& metadata)
    : tensors_(std::move(tensors)), path_(std::move(path)) {
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    const bool blocks_a = is_quantized(a.dtype), blocks_b = is_quantized(b.dtype);
    if (blocks_a != blocks_b) return blocks_a;
    const uint64_t wide_a = blocks_a ? bytes_of(a) : size_of(a.dtype);
    const uint64_t wide_b = blocks_b ? bytes_of(b) : size_of(b.dtype);
    return wide_a != wide_b ? wide_a > wide_b : a.name < b.name;
  });
  std::set<std::string_view> names;
  for (const TensorInfo& tensor : tensors_) {
    require(!tensor.name.empty() && tensor.name != "__metadata__", ErrorCode::kInvalidArgument,
            "[{}] cannot hold a tensor named \"{}\"", path_.string(), tensor.name);
    require(names.insert(tensor.name).second, ErrorCode::kInvalidArgument,
            "[{}] cannot hold two tensors named \"{}\"", path_.string(), tensor.name);
    left_ = static_cast<uint64_t>(checked_add(
        static_cast<int64_t>(left_), bytes_of(tensor.dtype, tensor.shape), "[safetensors] bytes of a file"));
  }
  const std::string header = write_header(tensors_, metadata);
  require(header.size() - 8 <= kMaxHeaderBytes, ErrorCode::kLimitExceeded,
          "[{}] a header of {} bytes is above the format's limit of {}", path_.string(), header.size() - 8,
          kMaxHeaderBytes);
  file_ = std::make_unique<AtomicFile>(path_);
  file_->write(header);
}

SafetensorsWriter::~SafetensorsWriter() = default;
SafetensorsWriter::SafetensorsWriter(SafetensorsWriter&&) noexcept = default;

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  require(bytes.size() <= left_, ErrorCode::kInvalidArgument,
          "[{}] {} bytes more than the {} its tensors still take", path_.string(), bytes.size() - left_,
          left_);
  left_ -= bytes.size();
  while (!bytes.empty()) {
    const TensorInfo& tensor = tensors_[current_];
    const auto whole = static_cast<uint64_t>(bytes_of(tensor.dtype, tensor.shape));
    const size_t piece = static_cast<size_t>(std::min<uint64_t>(bytes.size(), whole - of_current_));
    file_->write(bytes.first(piece));
    bytes = bytes.subspan(piece);
    of_current_ += piece;
    if (of_current_ < whole) continue;
    constexpr std::byte kFill[kQuantizedAlignment] = {};
    file_->write(std::span(kFill, static_cast<size_t>(bytes_of(tensor) - whole)));
    ++current_;
    of_current_ = 0;
  }
}

void SafetensorsWriter::commit() {
  require(left_ == 0, ErrorCode::kInvalidArgument, "[{}] {} bytes of its tensors were not written",
          path_.string(), left_);
  file_->commit();
}

void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors, const Metadata& metadata) {
  std::vector<TensorInfo> infos;
  std::map<std::string_view, const Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) {
    require(tensor.defined(), ErrorCode::kInvalidArgument, "[{}] tensor \"{}\" is undefined", path.string(),
            name);
    infos.push_back({name, tensor.dtype(), tensor.shape()});
    by_name.emplace(name, &tensor);
  }
  SafetensorsWriter writer(path, std::move(infos), metadata);
  for (const TensorInfo& info : writer.order()) {
    const Tensor& tensor = *by_name.at(info.name);
    writer.write({tensor.raw(), tensor.bytes()});
  }
  writer.commit();
}

}  // namespace vl3
