#include "model/vision_encoder.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "ops/ops.h"

namespace vl3 {
namespace {

// Frames are encoded together until they have this many patches: enough rows for the products to run at full
// speed, few enough for the activations of a layer to stay in the last-level cache.
constexpr int64_t kPatchesAtOnce = 1024;

ops::Prologue layer_norm(const LayerNormWeights& w, const VisionConfig& config) {
  return {ops::Prologue::Norm::kLayerNorm, &w.weight, &w.bias, static_cast<float>(config.layer_norm_eps)};
}

Tensor self_attention(Context& context, const VisionLayerWeights& l, const VisionConfig& config,
                      const Tensor& x, const RotaryTable& rotary, std::span<const int64_t> cu_seqlens) {
  const int64_t patches = x.dim(0), heads = config.num_attention_heads, width = config.head_dim();
  const ops::LinearOperand projections[] = {
      {l.q_proj.weight, l.q_proj.bias}, {l.k_proj.weight, l.k_proj.bias}, {l.v_proj.weight, l.v_proj.bias}};
  std::vector<Tensor> qkv = ops::linears(context, x, projections, layer_norm(l.layer_norm1, config));
  for (Tensor& t : qkv) t = t.reshape({patches, heads, width});
  const Tensor q = ops::rope(context, qkv[0], rotary.cos, rotary.sin);
  const Tensor k = ops::rope(context, qkv[1], rotary.cos, rotary.sin);
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  const Tensor y = ops::attention(context, q, k, qkv[2], cu_seqlens, cu_seqlens, scale, false,
                                  products_for(l.q_proj.weight));
  return ops::linear(context, y.reshape({patches, config.hidden_size}), l.out_proj.weight, l.out_proj.bias,
                     {ops::Activation::kNone, &x});
}

Tensor encoder_layer(Context& context, const VisionLayerWeights& l, const VisionConfig& config,
                     const Tensor& x, const RotaryTable& rotary, std::span<const int64_t> cu_seqlens) {
  const Tensor attended = self_attention(context, l, config, x, rotary, cu_seqlens);
  const Tensor up = ops::linear(context, attended, l.fc1.weight, l.fc1.bias,
                                {ops::activation_from(config.hidden_act)}, layer_norm(l.layer_norm2, config));
  return ops::linear(context, up, l.fc2.weight, l.fc2.bias, {ops::Activation::kNone, &attended});
}

// Some frames, each {1, h, w}: [P, C·p·p] → [V, D].
Tensor encode_frames(Context& context, const VisionWeights& weights, const VisionConfig& config,
                     const Tensor& pixels, std::span<const Grid> frames, const Probe* probe) {
  std::vector<int64_t> cu_seqlens = {0};
  for (const Grid& frame : frames) cu_seqlens.push_back(cu_seqlens.back() + frame.patches());
  const RotaryTable rotary = vision_rotary(context, config, frames);
  const auto show = [&](const std::string& name, const Tensor& value) {
    if (probe != nullptr && probe->stage) probe->stage(name, value);
  };

  const Tensor kernel = weights.patch_embedding.weight.reshape({config.hidden_size, config.patch_width()});
  Tensor x = ops::linear(context, pixels, kernel, weights.patch_embedding.bias);  // [P, D]
  show("vision.embed", x);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    context.check_cancelled();
    x = encoder_layer(context, weights.layers[i], config, x, rotary, cu_seqlens);
    show("vision.layer" + std::to_string(i), x);
  }
  x = ops::layer_norm(context, x, weights.post_layernorm.weight, weights.post_layernorm.bias,
                      static_cast<float>(config.layer_norm_eps));

  std::vector<Tensor> merged;  // runs of frames of one merge size
  int64_t begin = 0, end = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    end += frames[i].patches();
    if (i + 1 < frames.size() && frames[i + 1].merge == frames[i].merge) continue;
    const std::vector<int64_t> rows = [&] {
      std::vector<int64_t> r(static_cast<size_t>(end - begin));
      for (size_t j = 0; j < r.size(); ++j) r[j] = begin + static_cast<int64_t>(j);
      return r;
    }();
    const bool all = begin == 0 && end == x.dim(0);
    merged.push_back(
        ops::bilinear_merge(context, all ? x : ops::gather_rows(context, x, rows), frames[i].merge));
    begin = end;
  }
  return merged.size() == 1 ? merged[0] : ops::concat_rows(context, merged);
}

}  // namespace

std::vector<Grid> read_grids(const Tensor& grid_thw, const Tensor& merge_sizes, int64_t patches) {
  require(grid_thw.defined() && grid_thw.rank() == 2 && grid_thw.dim(1) == 3 && merge_sizes.defined() &&
              merge_sizes.numel() == grid_thw.dim(0),
          ErrorCode::kInvalidArgument, "[vision] grids {} and merge sizes {} should be [n, 3] and [n]",
          to_string(grid_thw.shape()), to_string(merge_sizes.shape()));
  std::vector<Grid> grids;
  int64_t total = 0;
  for (int64_t i = 0; i < grid_thw.dim(0); ++i) {
    const int64_t* thw = grid_thw.data<int64_t>() + i * 3;
    const Grid grid{thw[0], thw[1], thw[2], merge_sizes.data<int64_t>()[i]};
    require(grid.t > 0 && grid.h > 0 && grid.w > 0 && grid.merge > 0 && grid.h % grid.merge == 0 &&
                grid.w % grid.merge == 0,
            ErrorCode::kInvalidArgument, "[vision] grid {} is {} x {} x {} patches with merge size {}", i,
            grid.t, grid.h, grid.w, grid.merge);
    const int64_t area = checked_mul(grid.h, grid.w, "[vision] patches of a frame");
    total = checked_add(total, checked_mul(grid.t, area, "[vision] patches of a clip"), "[vision] patches");
    grids.push_back(grid);
  }
  require(total == patches, ErrorCode::kInvalidArgument, "[vision] {} patches were given, the grids say {}",
          patches, total);
  return grids;
}

Tensor encode_vision(Context& context, const VisionWeights& weights, const VisionConfig& config,
                     const Tensor& pixel_values, std::span<const Grid> grids, const Probe* probe) {
  const int64_t patch_width = config.patch_width();
  require(pixel_values.rank() == 2 && pixel_values.dim(1) == patch_width, ErrorCode::kInvalidArgument,
          "[vision] pixel values {} should be [patches, {}]", to_string(pixel_values.shape()), patch_width);
  std::vector<Grid> frames;
  int64_t tokens = 0;
  for (const Grid& grid : grids) {
    for (int64_t t = 0; t < grid.t; ++t) frames.push_back({1, grid.h, grid.w, grid.merge});
    tokens += grid.tokens();
  }
  if (context.tape() != nullptr || (probe != nullptr && probe->stage)) {
    return encode_frames(context, weights, config, pixel_values, frames, probe);
  }

  Tensor result = context.empty({tokens, config.hidden_size});
  int64_t row = 0, patch = 0;
  for (size_t begin = 0; begin < frames.size();) {
    size_t end = begin;
    int64_t patches = 0;
    while (end < frames.size() && (end == begin || patches + frames[end].patches() <= kPatchesAtOnce)) {
      patches += frames[end++].patches();
    }
    const Tensor part = encode_frames(context, weights, config, pixel_values.rows(patch, patch + patches),
                                      std::span(frames).subspan(begin, end - begin), nullptr);
    std::memcpy(result.rows(row, row + part.dim(0)).raw(), part.raw(), part.bytes());
    row += part.dim(0);
    patch += patches;
    begin = end;
    if (probe != nullptr && probe->progress) probe->progress("encode", patch, pixel_values.dim(0));
  }
  return result;
}

}  // namespace vl3
