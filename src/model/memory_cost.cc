// How much memory passes take: the formulas of model/cost.h.

#include <algorithm>
#include <numeric>

#include "model/cost.h"
#include "model/kv_cache.h"
#include "model/packed_batch.h"

namespace vl3 {
namespace {

constexpr int64_t kWord = sizeof(float);

int64_t block_bytes(const TextConfig& config, CacheType type) {
  return KvPool::block_bytes_of({config.num_hidden_layers, config.num_key_value_heads, config.head_dim},
                                type);
}

// Numbers a patch takes in one layer of the encoder, at most: in attention what came in, queries, keys and
// values before and after rotation, packed keys and values, and the result; or in the middle, where bf16
// products also have it in half its size.
int64_t vision_layer_row(const VisionConfig& v) {
  const int64_t d = v.hidden_size, f = v.intermediate_size;
  return std::max(9 * d, 3 * d + f + f / 2);
}

// Likewise a token in a layer of the language model. Keys and values that attention reads lie in the cache.
int64_t text_layer_row(const TextConfig& t) {
  const int64_t h = t.hidden_size, a = t.num_attention_heads * t.head_dim,
                k = t.num_key_value_heads * t.head_dim, g = t.intermediate_size;
  return std::max(2 * h + 3 * a + 3 * k, 3 * h + 2 * g + g / 2);
}

}  // namespace

int64_t cache_bytes(const TextConfig& config, CacheType type, int64_t tokens) {
  return KvPool::blocks_for(tokens) * block_bytes(config, type);
}

int64_t cache_bytes(const TextConfig& config, CacheType type, int64_t prompt_tokens, int64_t new_tokens,
                    int64_t sequences) {
  const int64_t shared = prompt_tokens / KvCache::kBlockTokens;
  const int64_t own = KvPool::blocks_for(prompt_tokens + new_tokens) - shared;
  return (shared + sequences * own) * block_bytes(config, type);
}

int64_t answer_activation_bytes(const Config& config, const AnswerShape& shape) {
  const VisionConfig& v = config.vision;
  const TextConfig& t = config.text;
  int64_t largest = 0, patches = 0, visual = 0;
  for (const VisualShape& seen : shape.visuals) {
    largest = std::max(largest, seen.patches_a_frame);
    patches += seen.frames * seen.patches_a_frame;
    visual += seen.tokens;
  }
  const int64_t group = std::max(largest, std::min(patches, kVisionRowsAtOnce));
  const int64_t encoding =
      group * (v.patch_width() + v.head_dim() + vision_layer_row(v)) + visual * v.hidden_size;
  const int64_t projecting = visual * (2 * v.hidden_size + 2 * t.hidden_size);
  const int64_t tokens = std::accumulate(shape.prompts.begin(), shape.prompts.end(), int64_t{0});
  const int64_t longest =
      shape.prompts.empty() ? 0 : *std::max_element(shape.prompts.begin(), shape.prompts.end());
  const auto conversations = static_cast<int64_t>(shape.prompts.size());
  const int64_t prefilling = visual * t.hidden_size + 2 * tokens * t.hidden_size +
                             std::min(longest, kTextRowsAtOnce) * (t.head_dim + text_layer_row(t));
  const int64_t logits = (conversations * shape.sequences + 2) * t.vocab_size;
  return kWord * (std::max({encoding, projecting, prefilling}) + logits);
}

PassShape shape_of(const ForwardInput& pass) {
  PassShape shape;
  const PackedBatch packed = pack(pass);
  shape.tokens = packed.rows();
  shape.targets = static_cast<int64_t>(packed.targets.size()) -
                  std::count(packed.targets.begin(), packed.targets.end(), kIgnoredLabel);
  const auto add = [&](const Tensor& pixels, const Tensor& grids, const Tensor& merges, const Tensor& keep) {
    if (!pixels.defined()) return;
    shape.patches += pixels.dim(0);
    if (keep.defined()) {
      shape.visual_tokens +=
          keep.numel() - std::count(keep.data<uint8_t>(), keep.data<uint8_t>() + keep.numel(), uint8_t{0});
      return;
    }
    for (int64_t i = 0; i < grids.dim(0); ++i) {
      const int64_t *grid = grids.data<int64_t>() + 3 * i, merge = merges.data<int64_t>()[i];
      shape.visual_tokens += grid[0] * grid[1] * grid[2] / (merge * merge);
    }
  };
  add(pass.pixel_values, pass.image_grid_thw, pass.image_merge_sizes, {});
  add(pass.pixel_values_videos, pass.video_grid_thw, pass.video_merge_sizes, pass.video_compression_mask);
  return shape;
}

namespace {

// Floats of layers, each with `row` a row, of which `width` come in.
struct Layers {
  int64_t kept = 0;      // until the backward pass
  int64_t one_time = 0;  // by one layer while it runs

  Layers(bool back, bool recompute, int64_t rows, int64_t layers, int64_t row, int64_t width) {
    if (back) kept = rows * layers * (recompute ? width : row);
    if (!back || recompute) one_time = rows * row;
  }
};

}  // namespace

int64_t training_activation_bytes(const Config& config, const TrainingShape& training,
                                  const PassShape& pass) {
  const VisionConfig& v = config.vision;
  const TextConfig& t = config.text;
  const auto [vision, projector, llm] = training.trains;
  const bool text = llm || (pass.visual_tokens > 0 && (vision || projector));
  // What goes back needs the inputs of norms, attention and activations, and of linear layers that train (as
  // bf16 where the hardware multiplies those: half of it, which is not counted on here).
  const int64_t vision_row =
      5 * v.hidden_size + v.intermediate_size + (vision ? 3 * v.hidden_size + v.intermediate_size : 0);
  const int64_t queries = t.num_attention_heads * t.head_dim, keys = t.num_key_value_heads * t.head_dim;
  const int64_t text_row = 2 * t.hidden_size + queries + 2 * keys + 2 * t.intermediate_size +
                           (llm ? 2 * t.hidden_size + queries + t.intermediate_size : 0);
  const Layers of_vision(vision, training.recompute, pass.patches, v.num_hidden_layers, vision_row,
                         v.hidden_size);
  const Layers of_text(text, training.recompute, pass.tokens, t.num_hidden_layers, text_row, t.hidden_size);
  // Embeddings and norms; of the vision encoder they are gone before the text's layers where it has no way
  // back.
  const int64_t around_vision = pass.patches * 3 * v.hidden_size;
  int64_t floats = of_vision.kept + std::max(of_vision.one_time + (vision ? 0 : around_vision),
                                             of_text.kept + of_text.one_time);
  floats += (vision ? around_vision : 0) + pass.visual_tokens * (v.hidden_size + 3 * t.hidden_size) +
            pass.tokens * 5 * t.hidden_size;  // and what is merged and projected
  const int64_t at_once =
      std::clamp<int64_t>((int64_t{64} << 20) / std::max<int64_t>(4 * t.vocab_size, 1), 64, 4096);
  floats += 2 * std::min(pass.targets, at_once) * t.vocab_size;
  if (llm && !training.lora) floats += t.vocab_size * t.hidden_size;
  return 4 * floats;
}

}  // namespace vl3
