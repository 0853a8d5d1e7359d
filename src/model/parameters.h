#pragma once
// Every weight of the network, in structs that mirror it, and one visit per struct. Loading, saving,
// counting, freezing and optimising all walk visit(), so that the list of tensors exists once. Names are
// those of the video_llama_3 layout.

#include <concepts>
#include <memory>
#include <string>
#include <vector>

#include "ops/attention.h"
#include "ops/linear.h"
#include "vl3/config.h"
#include "vl3/tensor.h"

namespace vl3 {

// The parts that training treats apart, each with a rate of its own.
enum class Part { kVisionEncoder, kProjector, kLanguageModel };

struct LinearWeights {
  Tensor weight;                                 // [N, K]
  Tensor bias;                                   // [N], or undefined
  std::shared_ptr<const ops::LowRank> low_rank;  // what an adapter adds; null: nothing
};

inline ops::LinearOperand operand(const LinearWeights& w) { return {w.weight, w.bias, w.low_rank.get()}; }

// Heads of this width that a projection makes: all of the model's, or those of one rank where its rows are
// cut. The network counts heads by its weights and never by config.json.
inline int64_t heads_of(const LinearWeights& projection, int64_t width) {
  return projection.weight.dim(0) / width;
}

struct LayerNormWeights {
  Tensor weight, bias;  // [D]
};

struct VisionLayerWeights {
  LayerNormWeights layer_norm1, layer_norm2;       // [D]
  LinearWeights q_proj, k_proj, v_proj, out_proj;  // [D, D]
  LinearWeights fc1;                               // [F, D]
  LinearWeights fc2;                               // [D, F]
};

struct VisionWeights {
  LinearWeights patch_embedding;  // [D, C, p, p], used as [D, C·p·p]
  std::vector<VisionLayerWeights> layers;
  LayerNormWeights post_layernorm;  // [D]
};

struct ProjectorWeights {
  LinearWeights linear1;  // [H, D]
  LinearWeights linear2;  // [H, H]
};

struct TextLayerWeights {
  Tensor input_layernorm, post_attention_layernorm;  // [H]
  LinearWeights q_proj;                              // [Hq·d, H]
  LinearWeights k_proj, v_proj;                      // [Hkv·d, H]
  LinearWeights o_proj;                              // [H, Hq·d], no bias
  LinearWeights gate_proj, up_proj;                  // [F, H], no bias
  LinearWeights down_proj;                           // [H, F], no bias
};

struct TextWeights {
  Tensor embed_tokens;  // [vocabulary, H]
  std::vector<TextLayerWeights> layers;
  Tensor norm;     // [H]
  Tensor lm_head;  // [vocabulary, H]; the same tensor as embed_tokens where the two are tied
};

struct ModelWeights {
  VisionWeights vision;
  ProjectorWeights projector;
  TextWeights text;
};

// Attention between layers of these weights may round as their products do: f32 and f16 weights keep f32.
inline ops::Precision precision_for(const Tensor& weight) {
  const DType dtype = weight.dtype();
  return dtype == DType::kF32 || dtype == DType::kF16 ? ops::Precision::kF32 : ops::Precision::kBF16;
}

namespace detail {

template <class F>
void visit_linear(LinearWeights& w, const std::string& name, bool with_bias, F&& f) {
  if constexpr (std::invocable<F, const std::string&, LinearWeights&>) {
    f(name, w);
  } else {
    f(name + ".weight", w.weight);
    if (with_bias) f(name + ".bias", w.bias);
  }
}

template <class F>
void visit_norm(LayerNormWeights& w, const std::string& name, F&& f) {
  f(name + ".weight", w.weight);
  f(name + ".bias", w.bias);
}

}  // namespace detail

// f(name, tensor) for every tensor, in the order of the network. Layers are created as the configuration
// says, so that the same walk fills an empty struct.
template <class F>
void visit(VisionWeights& w, const VisionConfig& config, const std::string& prefix, F&& f) {
  w.layers.resize(static_cast<size_t>(config.num_hidden_layers));
  detail::visit_linear(w.patch_embedding, prefix + "embeddings.patch_embedding", true, f);
  for (size_t i = 0; i < w.layers.size(); ++i) {
    const std::string layer = prefix + "encoder.layers." + std::to_string(i) + ".";
    VisionLayerWeights& l = w.layers[i];
    detail::visit_norm(l.layer_norm1, layer + "layer_norm1", f);
    detail::visit_linear(l.q_proj, layer + "self_attn.q_proj", true, f);
    detail::visit_linear(l.k_proj, layer + "self_attn.k_proj", true, f);
    detail::visit_linear(l.v_proj, layer + "self_attn.v_proj", true, f);
    detail::visit_linear(l.out_proj, layer + "self_attn.out_proj", true, f);
    detail::visit_norm(l.layer_norm2, layer + "layer_norm2", f);
    detail::visit_linear(l.fc1, layer + "mlp.fc1", true, f);
    detail::visit_linear(l.fc2, layer + "mlp.fc2", true, f);
  }
  detail::visit_norm(w.post_layernorm, prefix + "post_layernorm", f);
}

template <class F>
void visit(ProjectorWeights& w, const std::string& prefix, F&& f) {
  detail::visit_linear(w.linear1, prefix + "readout.0", true, f);
  detail::visit_linear(w.linear2, prefix + "readout.2", true, f);
}

template <class F>
void visit(TextWeights& w, const TextConfig& config, const std::string& prefix, F&& f) {
  w.layers.resize(static_cast<size_t>(config.num_hidden_layers));
  f(prefix + "embed_tokens.weight", w.embed_tokens);
  for (size_t i = 0; i < w.layers.size(); ++i) {
    const std::string layer = prefix + "layers." + std::to_string(i) + ".";
    TextLayerWeights& l = w.layers[i];
    f(layer + "input_layernorm.weight", l.input_layernorm);
    detail::visit_linear(l.q_proj, layer + "self_attn.q_proj", true, f);
    detail::visit_linear(l.k_proj, layer + "self_attn.k_proj", true, f);
    detail::visit_linear(l.v_proj, layer + "self_attn.v_proj", true, f);
    detail::visit_linear(l.o_proj, layer + "self_attn.o_proj", false, f);
    f(layer + "post_attention_layernorm.weight", l.post_attention_layernorm);
    detail::visit_linear(l.gate_proj, layer + "mlp.gate_proj", false, f);
    detail::visit_linear(l.up_proj, layer + "mlp.up_proj", false, f);
    detail::visit_linear(l.down_proj, layer + "mlp.down_proj", false, f);
  }
  f(prefix + "norm.weight", w.norm);
}

// f(name, tensor, part). The head is visited only where it has weights of its own; tied heads follow the
// embedding.
template <class F>
void visit(ModelWeights& w, const Config& config, F&& f) {
  const auto in = [&f](Part part) {
    return [&f, part ]<class T>(const std::string& n,
                                T& t) requires std::invocable<F&, const std::string&, T&, Part> {
      f(n, t, part);
    };
  };
  visit(w.vision, config.vision, "model.vision_model.", in(Part::kVisionEncoder));
  visit(w.projector, "model.projector.", in(Part::kProjector));
  visit(w.text, config.text, "model.language_model.", in(Part::kLanguageModel));
  if (config.tie_word_embeddings) {
    w.text.lm_head = w.text.embed_tokens;
  } else {
    f(std::string("lm_head.weight"), w.text.lm_head, Part::kLanguageModel);
  }
}

// f(name, layer, part) for every linear layer but the head; the name is that of its weight without ".weight".
template <class F>
void visit_linears(ModelWeights& w, const Config& config, F&& f) {
  struct Linears {
    F& f;
    void operator()(const std::string& name, LinearWeights& layer, Part part) { f(name, layer, part); }
    void operator()(const std::string&, Tensor&, Part) {}
  };
  visit(w, config, Linears{f});
}

}  // namespace vl3
