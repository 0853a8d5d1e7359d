#pragma once
// Quantised weights in a safetensors file: U8 entries of raw blocks (src/tensor/quantized.h), and in the
// file's metadata what they stand for. docs/quantization.md has the format to the byte.

#include <string>
#include <vector>

#include "checkpoint/safetensors_header.h"

namespace vl3 {

// Gives the entries that metadata calls quantised their logical dtype and shape. Throws kFormat for metadata
// that does not fit the entries, kUnsupported for a version or a dtype that is not known.
void read_quantized_entries(SafetensorsHeader& header, const std::string& origin);

// metadata with what a reader needs to know about the quantised ones among tensors; without any, as it is.
Metadata with_quantized_entries(const std::vector<TensorInfo>& tensors, const Metadata& metadata);

// Whether a key of metadata is one of an entry's.
bool is_quantized_entry(std::string_view key) noexcept;

}  // namespace vl3
