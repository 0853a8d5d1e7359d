#pragma once
// A checkpoint with int8 or int4 weights, made of one with f32, bf16 or f16 weights. docs/quantization.md
// says what it costs and how to choose.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "vl3/tensor.h"

namespace vl3 {

class ThreadPool;

struct QuantizeOptions {
  DType to = DType::kInt8;  // or kInt4
  // Parts that stay as they are: "vision", "projector", "text", "head" (the head and the embedding).
  std::set<std::string> keep;
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;  // bytes of the source's tensors
  std::function<bool()> cancelled;
};

struct QuantizeReport {
  int64_t tensors = 0, quantized = 0;
  int64_t bytes_before = 0, bytes_after = 0;  // of tensors
};

// Writes the folder out: one model.safetensors, config.json with a "quantization_config", and copies of the
// other files of the source folder. Matrices of products and the embedding are quantised; biases, norms and
// the convolution of patches keep their type. One tensor at a time is in memory. out appears whole or not at
// all. Throws what Checkpoint::open throws; kInvalidArgument where out is there already and for parts that do
// not exist, kUnsupported where the source is quantised already, kCancelled, kIo (a full disk).
QuantizeReport quantize_checkpoint(ThreadPool& threads, const std::filesystem::path& source,
                                   const std::filesystem::path& out, const QuantizeOptions& options);

}  // namespace vl3
