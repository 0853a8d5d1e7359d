#pragma once
// The header of a safetensors file, parsed and checked whole before any tensor is touched.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vl3/safetensors.h"

namespace vl3 {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their data
  std::vector<uint64_t> offsets;    // of each tensor's first byte, from the start of the file
  Metadata metadata;
};

// bytes: the whole file. Quantised tensors come with their logical dtype and shape. origin begins the error
// messages. Throws kFormat, kUnsupported, kLimitExceeded.
SafetensorsHeader read_header(std::span<const std::byte> bytes, const std::string& origin);

// The first bytes of a file of the given tensors, in their order: length, JSON, padding.
std::string write_header(const std::vector<TensorInfo>& tensors, const Metadata& metadata);

// The spelling of the format: "F32", "BF16", ….
const char* safetensors_name(DType dtype) noexcept;

// Bytes of a tensor in a file, where quantised ones are filled up to a multiple of kQuantizedAlignment;
// throws kLimitExceeded where they overflow.
uint64_t bytes_of(const TensorInfo& tensor);
inline constexpr int64_t kQuantizedAlignment = 64;

}  // namespace vl3
