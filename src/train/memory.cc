#include "train/memory.h"

#include <algorithm>

#include "model/packed_batch.h"

namespace vl3 {

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
  int64_t kept = 0;      // until the way back
  int64_t one_time = 0;  // by one layer while it runs

  Layers(bool back, bool recompute, int64_t rows, int64_t layers, int64_t row, int64_t width) {
    if (back) kept = rows * layers * (recompute ? width : row);
    if (!back || recompute) one_time = rows * row;
  }
};

}  // namespace

int64_t activation_bytes(const Config& config, const TrainConfig& train, const PassShape& pass) {
  const VisionConfig& v = config.vision;
  const TextConfig& t = config.text;
  const bool vision = train.rates.vision_encoder.has_value(), projector = train.rates.projector.has_value();
  const bool text = train.rates.llm.has_value() || (pass.visual_tokens > 0 && (vision || projector));
  // What goes back needs the inputs of norms, attention and activations, and of linear layers that train (as
  // bf16 where the hardware multiplies those: half of it, which is not counted on here).
  const int64_t vision_row =
      5 * v.hidden_size + v.intermediate_size + (vision ? 3 * v.hidden_size + v.intermediate_size : 0);
  const int64_t queries = t.num_attention_heads * t.head_dim, keys = t.num_key_value_heads * t.head_dim;
  const int64_t text_row = 2 * t.hidden_size + queries + 2 * keys + 2 * t.intermediate_size +
                           (train.rates.llm ? 2 * t.hidden_size + queries + t.intermediate_size : 0);
  const Layers of_vision(vision, train.recompute, pass.patches, v.num_hidden_layers, vision_row,
                         v.hidden_size);
  const Layers of_text(text, train.recompute, pass.tokens, t.num_hidden_layers, text_row, t.hidden_size);
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
  if (train.rates.llm && !train.lora) floats += t.vocab_size * t.hidden_size;
  return 4 * floats;
}

}  // namespace vl3
