// The names and shapes of all weights, and how the layouts spell them.

#include "base/check.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

struct Prefix {
  std::string_view file, canonical;
};

// The first prefix that fits is replaced. Canonical names come first, because "model." begins them too.
constexpr Prefix kPrefixes[] = {
    {"model.vision_model.", "model.vision_model."},
    {"model.projector.", "model.projector."},
    {"model.language_model.", "model.language_model."},
    // The original release.
    {"model.vision_encoder.", "model.vision_model."},
    {"model.mm_projector.", "model.projector."},
    {"model.", "model.language_model."},
    // Saved from the reference's model without its head.
    {"vision_model.", "model.vision_model."},
    {"projector.", "model.projector."},
    {"language_model.", "model.language_model."},
};

constexpr Prefix kOriginalPrefixes[] = {
    {"model.vision_encoder.", "model.vision_model."},
    {"model.mm_projector.", "model.projector."},
    {"model.", "model.language_model."},
};

class List {
 public:
  void add(std::string name, Shape shape) { tensors.push_back({std::move(name), std::move(shape)}); }
  void linear(const std::string& name, int64_t out, int64_t in, bool bias) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  }
  void layer_norm(const std::string& name, int64_t width) {
    add(name + ".weight", {width});
    add(name + ".bias", {width});
  }
  std::vector<ExpectedTensor> tensors;
};

void add_vision(List& list, const VisionConfig& c) {
  const std::string root = "model.vision_model.";
  list.add(root + "embeddings.patch_embedding.weight",
           {c.hidden_size, c.num_channels, c.patch_size, c.patch_size});
  list.add(root + "embeddings.patch_embedding.bias", {c.hidden_size});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("{}encoder.layers.{}.", root, i);
    list.layer_norm(layer + "layer_norm1", c.hidden_size);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      list.linear(layer + "self_attn." + name, c.hidden_size, c.hidden_size, true);
    }
    list.layer_norm(layer + "layer_norm2", c.hidden_size);
    list.linear(layer + "mlp.fc1", c.intermediate_size, c.hidden_size, true);
    list.linear(layer + "mlp.fc2", c.hidden_size, c.intermediate_size, true);
  }
  list.layer_norm(root + "post_layernorm", c.hidden_size);
}

void add_text(List& list, const TextConfig& c) {
  const std::string root = "model.language_model.";
  const int64_t queries = c.num_attention_heads * c.head_dim, keys = c.num_key_value_heads * c.head_dim;
  list.add(root + "embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", root, i);
    list.add(layer + "input_layernorm.weight", {c.hidden_size});
    list.linear(layer + "self_attn.q_proj", queries, c.hidden_size, true);
    list.linear(layer + "self_attn.k_proj", keys, c.hidden_size, true);
    list.linear(layer + "self_attn.v_proj", keys, c.hidden_size, true);
    list.linear(layer + "self_attn.o_proj", c.hidden_size, queries, false);
    list.add(layer + "post_attention_layernorm.weight", {c.hidden_size});
    list.linear(layer + "mlp.gate_proj", c.intermediate_size, c.hidden_size, false);
    list.linear(layer + "mlp.up_proj", c.intermediate_size, c.hidden_size, false);
    list.linear(layer + "mlp.down_proj", c.hidden_size, c.intermediate_size, false);
  }
  list.add(root + "norm.weight", {c.hidden_size});
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Config& config) {
  List list;
  add_vision(list, config.vision);
  list.linear("model.projector.readout.0", config.text.hidden_size, config.vision.hidden_size, true);
  list.linear("model.projector.readout.2", config.text.hidden_size, config.text.hidden_size, true);
  add_text(list, config.text);
  if (!config.tie_word_embeddings)
    list.add("lm_head.weight", {config.text.vocab_size, config.text.hidden_size});
  return std::move(list.tensors);
}

namespace {

// What programs that wrap a model put before its names: data parallelism, compilation, an adapter's frame. A
// compiled part of a model has its mark within the name.
std::string unwrapped(std::string_view name) {
  constexpr std::string_view kWrappers[] = {"module.", "base_model.model.", "_orig_mod."};
  constexpr std::string_view kWithin = "._orig_mod.";
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view wrapper : kWrappers) {
      if (!name.starts_with(wrapper)) continue;
      name.remove_prefix(wrapper.size());
      found = true;
    }
  }
  std::string result(name);
  for (size_t at = result.find(kWithin); at != std::string::npos; at = result.find(kWithin))
    result.erase(at, kWithin.size() - 1);
  return result;
}

}  // namespace

std::string canonical_name(std::string_view given) {
  const std::string whole = unwrapped(given);
  const std::string_view name = whole;
  for (const auto& [file, canonical] : kPrefixes) {
    if (name.starts_with(file)) return std::string(canonical).append(name.substr(file.size()));
  }
  return std::string(name);
}

std::string layout_name(std::string_view name, Layout layout) {
  if (layout == Layout::kOriginal) {
    for (const auto& [file, canonical] : kOriginalPrefixes) {
      if (name.starts_with(canonical)) return std::string(file).append(name.substr(canonical.size()));
    }
  }
  return std::string(name);
}

bool is_ignorable_tensor(std::string_view name) {
  for (const std::string_view ending : {"rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", ".position_ids"}) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace vl3
