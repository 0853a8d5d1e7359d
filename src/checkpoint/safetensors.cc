#include "vl3/safetensors.h"

#include <sys/mman.h>

#include <unordered_map>

#include "base/check.h"
#include "base/file.h"
#include "checkpoint/safetensors_header.h"

namespace vl3 {

struct SafetensorsFile::Contents {
  std::filesystem::path path;
  std::shared_ptr<MappedFile> mapping;
  std::shared_ptr<Storage> storage;  // the whole mapping
  SafetensorsHeader header;
  std::unordered_map<std::string_view, size_t> index;  // views of the names in header
};

SafetensorsFile::SafetensorsFile(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  auto contents = std::make_shared<Contents>();
  contents->path = path;
  contents->mapping = MappedFile::open(resolve_link_stub(path));
  const auto bytes = contents->mapping->bytes();
  contents->header = read_header(bytes, path.string());
  // Tensors are handed out as read only; nothing writes through this pointer.
  contents->storage = Storage::wrap(const_cast<std::byte*>(bytes.data()), bytes.size(), true,
                                    [mapping = contents->mapping]() mutable { mapping.reset(); });
  for (size_t i = 0; i < contents->header.tensors.size(); ++i) {
    contents->index.emplace(contents->header.tensors[i].name, i);
  }
  return SafetensorsFile(std::move(contents));
}

const std::filesystem::path& SafetensorsFile::path() const noexcept { return contents_->path; }
const std::vector<TensorInfo>& SafetensorsFile::tensors() const noexcept { return contents_->header.tensors; }
const Metadata& SafetensorsFile::metadata() const noexcept { return contents_->header.metadata; }
uint64_t SafetensorsFile::file_bytes() const noexcept { return contents_->storage->bytes(); }

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors()) names.push_back(tensor.name);
  return names;
}

bool SafetensorsFile::contains(std::string_view name) const noexcept {
  return contents_->index.contains(name);
}

Tensor SafetensorsFile::get(std::string_view name) const {
  const auto found = contents_->index.find(name);
  require(found != contents_->index.end(), ErrorCode::kNotFound, "[{}] has no tensor \"{}\"", path().string(),
          name);
  const TensorInfo& info = contents_->header.tensors[found->second];
  const uint64_t offset = contents_->header.offsets[found->second];
  const std::byte* data = contents_->storage->data() + offset;
  const size_t alignment = is_quantized(info.dtype) ? sizeof(float) : size_of(info.dtype);
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0) {
    return {contents_->storage, offset, info.shape, info.dtype};
  }
  Tensor copy = Tensor::empty(info.shape, info.dtype);
  std::copy_n(data, copy.bytes(), copy.mutable_raw());
  return copy;
}

void SafetensorsFile::read_ahead() const noexcept {
  const auto bytes = contents_->mapping->bytes();
  ::madvise(const_cast<std::byte*>(bytes.data()), bytes.size(),
            MADV_WILLNEED);  // a hint: failure costs only time
}

void SafetensorsFile::let_go() const noexcept {
  const auto bytes = contents_->mapping->bytes();
  ::madvise(const_cast<std::byte*>(bytes.data()), bytes.size(), MADV_DONTNEED);
}

}  // namespace vl3
