#pragma once
// The safetensors format: a JSON header, then the bytes of every tensor. Reading maps the file and copies
// nothing.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vl3/export.h"
#include "vl3/tensor.h"

namespace vl3 {

class AtomicFile;

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;  // of quantised tensors int8 or int4, though the file says U8
  Shape shape;
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

// An open file, cheap to copy; it and every tensor taken from it keep the mapping alive. Do not shorten the
// file meanwhile: touching a page that is gone kills the process.
class VL3_API SafetensorsFile {
 public:
  // Maps the file and checks everything its header says before any of it is used: length, JSON, names,
  // dtypes, shapes, and offsets that follow one another without gap or overlap and end where the file ends.
  // Throws kNotFound, kIo, kFormat; kUnsupported for dtypes the engine has not and for files that are
  // something else (pickle, GGUF), with a hint; kLimitExceeded for a header above 100 MB.
  static SafetensorsFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept;
  const std::vector<TensorInfo>& tensors() const noexcept;  // in the order of the file
  const Metadata& metadata() const noexcept;                // "__metadata__", in the order of the file
  uint64_t file_bytes() const noexcept;

  std::vector<std::string> names() const;  // likewise
  bool contains(std::string_view name) const noexcept;
  // The tensor on the mapping, read only; a copy of its own where the file has it at an address that is not a
  // multiple of its element's size (quantised: of 4). Throws kNotFound, naming file and tensor.
  Tensor get(std::string_view name) const;

  // Asks the system to read the whole file now; returns at once.
  void read_ahead() const noexcept;
  // Lets go of the memory that touched pages take; they are read again when they are touched again. For
  // passes over files larger than memory.
  void let_go() const noexcept;

 private:
  struct Contents;
  explicit SafetensorsFile(std::shared_ptr<const Contents> contents);
  std::shared_ptr<const Contents> contents_;
};

// Writes a file tensor after tensor, so that no more than a piece of one needs to be in memory. Nothing is
// seen at path before commit(); without it nothing stays. The order of tensors is fixed by what they are
// (quantised ones first, the largest first; then wider elements first, then by name), so equal contents give
// equal files, and every tensor is aligned to its element, quantised ones to 64 bytes. The data begins at a
// multiple of 64. Quantised tensors are told of in the metadata (docs/quantization.md).
class VL3_API SafetensorsWriter {
 public:
  // Throws kInvalidArgument for names that are empty, twice there or "__metadata__"; kIo.
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorInfo> tensors,
                    const Metadata& metadata = {{"format", "pt"}});
  ~SafetensorsWriter();
  SafetensorsWriter(SafetensorsWriter&&) noexcept;

  const std::vector<TensorInfo>& order() const noexcept { return tensors_; }
  // The next bytes of the tensors in order(); what fills quantised ones up is added. Throws kInvalidArgument
  // past the end, kIo (a full disk) naming the file.
  void write(std::span<const std::byte> bytes);
  void commit();  // throws kInvalidArgument when bytes are still missing

 private:
  std::vector<TensorInfo> tensors_;
  std::filesystem::path path_;
  uint64_t left_ = 0;        // bytes still to come
  size_t current_ = 0;       // the tensor that is being written
  uint64_t of_current_ = 0;  // its bytes written
  std::unique_ptr<AtomicFile> file_;
};

// The same for tensors at hand. {"format": "pt"} is what the reference's loaders ask for.
VL3_API void write_safetensors(const std::filesystem::path& path,
                               std::span<const std::pair<std::string, Tensor>> tensors,
                               const Metadata& metadata = {{"format", "pt"}});

}  // namespace vl3
