#pragma once
// Rotary position embeddings: cosines and sines per token, for the language model (1-D) and the vision
// encoder (2-D).

#include <span>
#include <vector>

#include "ops/rotary_table.h"
#include "vl3/config.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

using ops::RotaryTable;

// Inverse frequencies [D/2] and the factor on cosines and sines for a sequence of seq_len tokens (only
// `dynamic` depends on it). Reference: modeling_rope_utils.py, types default, linear, dynamic and yarn. f32
// arithmetic, as there.
struct RotaryFrequencies {
  std::vector<float> inverse;
  float attention_scaling = 1.0f;
};
RotaryFrequencies text_frequencies(const TextConfig& config, int64_t seq_len);

// positions [T]; the sequences are the ranges of cu_seqlens (each has its own largest position).
RotaryTable text_rotary(Context& context, const TextConfig& config, std::span<const int64_t> positions,
                        std::span<const int64_t> cu_seqlens);

struct Grid {
  int64_t t = 0, h = 0, w = 0, merge = 1;  // in patches; merge divides h and w
  int64_t patches() const { return t * h * w; }
  int64_t tokens() const { return t * (h / merge) * (w / merge); }
};

// Rows and columns of the patches of every grid in merge-block order: first half of the angles by row, second
// by column. Reference: VideoLlama3VisionRotaryEmbedding, get_vision_position_ids.
RotaryTable vision_rotary(Context& context, const VisionConfig& config, std::span<const Grid> grids);

}  // namespace vl3
