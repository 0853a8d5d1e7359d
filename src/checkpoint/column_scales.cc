#include "checkpoint/column_scales.h"

#include <algorithm>
#include <cmath>

#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr double kMostExponent = 12;

// Matrices that read the same inputs, and the norm that those come from, if one does.
struct Readers {
  std::string norm;
  std::vector<std::string> matrices;
};

std::vector<Readers> readers_of(const Config& config) {
  std::vector<Readers> result;
  for (int64_t i = 0; i < config.vision.num_hidden_layers; ++i) {
    const std::string layer = "model.vision_model.encoder.layers." + std::to_string(i) + ".",
                      attention = layer + "self_attn.";
    result.push_back(
        {layer + "layer_norm1", {attention + "q_proj", attention + "k_proj", attention + "v_proj"}});
    result.push_back({"", {attention + "out_proj"}});
    result.push_back({layer + "layer_norm2", {layer + "mlp.fc1"}});
    result.push_back({"", {layer + "mlp.fc2"}});
  }
  for (const char* name : {"model.projector.readout.0", "model.projector.readout.2"})
    result.push_back({"", {name}});
  for (int64_t i = 0; i < config.text.num_hidden_layers; ++i) {
    const std::string layer = "model.language_model.layers." + std::to_string(i) + ".",
                      attention = layer + "self_attn.";
    result.push_back(
        {layer + "input_layernorm", {attention + "q_proj", attention + "k_proj", attention + "v_proj"}});
    result.push_back({"", {attention + "o_proj"}});
    result.push_back({layer + "post_attention_layernorm", {layer + "mlp.gate_proj", layer + "mlp.up_proj"}});
    result.push_back({"", {layer + "mlp.down_proj"}});
  }
  return result;
}

// How large the inputs are, column by column; empty where nothing is known.
std::vector<double> input_sizes(const Checkpoint& checkpoint, const Calibration& calibration,
                                const Readers& readers) {
  std::vector<double> sizes;
  if (const auto found = calibration.find(readers.matrices[0] + ".weight"); found != calibration.end()) {
    const InputMoments& moments = *found->second;
    for (int64_t i = 0; i < moments.k; ++i) {
      const int64_t at = (i / kQuantGroup * kQuantGroup + i % kQuantGroup) * kQuantGroup + i % kQuantGroup;
      sizes.push_back(std::sqrt(moments.products[static_cast<size_t>(at)] /
                                static_cast<double>(std::max<int64_t>(moments.rows, 1))));
    }
    return sizes;
  }
  if (readers.norm.empty()) return sizes;
  const auto read = [&](const std::string& name) { return as_f32(checkpoint.get(name)); };
  const std::vector<float> weight = read(readers.norm + ".weight");
  const std::string bias_name = readers.norm + ".bias";
  const std::vector<float> bias =
      checkpoint.contains(bias_name) ? read(bias_name) : std::vector<float>(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) sizes.push_back(std::hypot(weight[i], bias[i]));
  return sizes;
}

// √ of the mean square of every column of all matrices.
std::vector<double> column_sizes(ThreadPool& threads, const Checkpoint& checkpoint, const Readers& readers) {
  std::vector<double> squares;
  int64_t rows = 0;
  for (const std::string& name : readers.matrices) {
    const Tensor w = checkpoint.get(name + ".weight");
    squares.resize(static_cast<size_t>(w.dim(1)));
    add_column_squares(threads, w, squares);
    rows += w.dim(0);
  }
  for (double& x : squares) x = std::sqrt(x / static_cast<double>(std::max<int64_t>(rows, 1)));
  return squares;
}

std::vector<int8_t> exponents_for(const std::vector<double>& inputs, const std::vector<double>& columns) {
  std::vector<double> wanted(inputs.size());
  double mean = 0, count = 0;
  const auto known = [&](size_t i) {
    return inputs[i] > 0 && columns[i] > 0 && std::isfinite(inputs[i]) && std::isfinite(columns[i]);
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!known(i)) continue;
    wanted[i] = std::log2(inputs[i] / columns[i]) / 2;
    mean += wanted[i];
    ++count;
  }
  std::vector<int8_t> exponents(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (known(i))
      exponents[i] = static_cast<int8_t>(
          std::nearbyint(std::clamp(wanted[i] - mean / count, -kMostExponent, kMostExponent)));
  }
  return exponents;
}

}  // namespace

std::map<std::string, std::shared_ptr<const std::vector<int8_t>>> column_exponents(
    ThreadPool& threads, const Checkpoint& checkpoint, const Calibration& calibration) {
  std::map<std::string, std::shared_ptr<const std::vector<int8_t>>> result;
  for (const Readers& readers : readers_of(checkpoint.config())) {
    const auto inputs = input_sizes(checkpoint, calibration, readers);
    if (inputs.empty()) continue;
    const auto shared = std::make_shared<const std::vector<int8_t>>(
        exponents_for(inputs, column_sizes(threads, checkpoint, readers)));
    for (const std::string& name : readers.matrices) result.emplace(name + ".weight", shared);
  }
  return result;
}

}  // namespace vl3
