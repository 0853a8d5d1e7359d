#pragma once
// A checkpoint with int8 or int4 weights, made of one with f32, bf16 or f16 weights. docs/quantization.md
// says what it costs and how to choose.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/tensor.h"

namespace vl3 {

class Context;
class ForConditionalGeneration;
class ThreadPool;

// What calibration knows of the inputs x of a layer: for every group of 256 columns Σ x xᵀ.
struct InputMoments {
  int64_t k = 0, rows = 0;
  std::vector<float> products;  // [⌈k/256⌉][256][256], symmetric; zero beyond k
};
// By the canonical name of the weight; layers that read the same inputs share them.
using Calibration = std::map<std::string, std::shared_ptr<const InputMoments>>;

// Gathers the inputs of the model's linear layers while run() computes with the context, whose products
// should be in f32.
VL3_API Calibration calibrate(Context& context, const ForConditionalGeneration& model,
                              const std::function<void()>& run);

// A text for calibration where nothing better is at hand, a prompt on every line.
VL3_API std::string_view calibration_text();

struct QuantizeOptions {
  DType to = DType::kInt8;  // or kInt4
  // Parts that stay as they are: "vision", "projector", "text", "head" (the head and the embedding).
  std::set<std::string> keep;
  // int4: bits a weight that the language model may take on average. What 4 5/16 leave of them makes values
  // and outputs of attention int8, which change answers most for what they weigh.
  double bits = 4.7;
  // Columns are scaled and weights are rounded for these inputs; a layer without any is rounded to nearest,
  // its columns scaled by what its norm's weights say.
  Calibration calibration;
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
VL3_API QuantizeReport quantize_checkpoint(ThreadPool& threads, const std::filesystem::path& source,
                                           const std::filesystem::path& out, const QuantizeOptions& options);

}  // namespace vl3
