#pragma once
// Adapters: what was learned beside a model's weights, in the layout of Hugging Face PEFT (a folder with
// adapter_config.json and adapter_model.safetensors). docs/lora.md has the table of keys and names.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/config.h"
#include "vl3/export.h"
#include "vl3/tensor.h"

namespace vl3 {

class Context;

struct AdapterLayer {
  Tensor a;  // [r, K] f32
  Tensor b;  // [N, r] f32
};

// Layers and tensors go by canonical names (vl3/checkpoint.h), layers without ".weight".
struct VL3_API Adapter {
  int64_t rank = 64;
  double alpha = 16;
  bool rslora = false;     // scale alpha / √rank instead of alpha / rank
  double dropout = 0;      // of the layers' inputs, in training
  std::string base_model;  // what it says it was made for
  std::map<std::string, AdapterLayer> layers;
  // Weights that it has in place of the model's, in a type of weights: PEFT's modules_to_save.
  std::map<std::string, Tensor> whole;

  float scale() const;

  // Reads the folder and checks all of it against config: every layer has A and B in the shapes of its weight
  // and rank, every whole tensor its shape, and nothing else is there; one kFormat error lists what is wrong.
  // Throws kNotFound, kFormat, and kUnsupported for what would not be computed right: other methods, biases,
  // transposed weights, ranks or alphas of single layers, layers that are no linear ones, the head.
  static Adapter open(const std::filesystem::path& folder, const Config& config);
  // Writes both files, names in the model's layout. Throws kIo.
  void save(const std::filesystem::path& folder, const Config& config) const;
};

// A linear layer that can have an adapter: all but the convolution of patches and the head.
struct AdaptableLayer {
  std::string name;
  std::string_view part;  // "vision_encoder", "projector" or "llm"
  int64_t n = 0, k = 0;   // of its weight [N, K]
};
VL3_API std::vector<AdaptableLayer> adaptable_layers(const Config& config);

// Those that targets name: a part means all of its layers; "q_proj", "mlp.up_proj", "layers.0.mlp.up_proj",
// with the name of a part and a dot in front or else of the llm, mean the layers whose names end so. Throws
// kInvalidArgument for a target that names none.
VL3_API std::vector<AdaptableLayer> targeted_layers(const Config& config,
                                                    const std::vector<std::string>& targets);

struct MergeOptions {
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;  // of the model's tensors
};
struct MergeReport {
  int64_t tensors = 0, merged = 0, replaced = 0;
};

// Writes the model folder out: the model's weights with the adapter in them. W + scale · B A is computed in
// f32 and rounded once to W's type. One tensor at a time is in memory; out appears whole or not at all.
// Throws what opening both throws; kInvalidArgument where out is there already, kUnsupported for quantised
// weights under an adapter, kCancelled, kIo.
VL3_API MergeReport merge_adapter(Context& context, const std::filesystem::path& model,
                                  const std::filesystem::path& adapter, const std::filesystem::path& out,
                                  const MergeOptions& options = {});

}  // namespace vl3
