#include "model/vision_encoder.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "autograd/tape.h"
#include "base/check.h"
#include "model/frame_plan.h"
#include "ops/ops.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

// Frames are encoded together until they have this many patches: enough rows for the products to run at full
// speed, few enough for the activations of a layer to stay in the last-level cache.
constexpr int64_t kPatchesAtOnce = 1024;

ops::Prologue layer_norm(const LayerNormWeights& w, const VisionConfig& config) {
  return {ops::Prologue::Norm::kLayerNorm, &w.weight, &w.bias, static_cast<float>(config.layer_norm_eps)};
}

// Some frames on their way through the layers, one behind the other.
struct Frames {
  std::vector<Grid> grids;                // {1, h, w, merge}
  std::vector<int64_t> cu_seqlens = {0};  // of their patches
  std::vector<int64_t> wanted;            // patches that the last layer finishes, ascending; all: empty
  std::vector<int64_t> cu_wanted = {0};   // borders of the frames in wanted
};

Frames all_patches(std::vector<Grid> grids) {
  Frames frames;
  frames.grids = std::move(grids);
  for (const Grid& grid : frames.grids)
    frames.cu_seqlens.push_back(frames.cu_seqlens.back() + grid.patches());
  return frames;
}

// The patches of the tokens that are read: a token's patches lie one behind the other.
Frames wanted_patches(std::span<const FramePlan::Frame> plan) {
  std::vector<Grid> grids;
  for (const FramePlan::Frame& frame : plan) grids.push_back(frame.grid);
  Frames frames = all_patches(std::move(grids));
  for (size_t i = 0; i < plan.size(); ++i) {
    const int64_t block = plan[i].grid.merge * plan[i].grid.merge;
    for (const int64_t token : plan[i].tokens) {
      for (int64_t p = 0; p < block; ++p) frames.wanted.push_back(frames.cu_seqlens[i] + token * block + p);
    }
    frames.cu_wanted.push_back(static_cast<int64_t>(frames.wanted.size()));
  }
  if (frames.cu_wanted.back() == frames.cu_seqlens.back()) frames.wanted.clear();
  return frames;
}

// x [P, D] → [P, D], or the wanted rows alone.
Tensor self_attention(Context& context, const VisionLayerWeights& l, const VisionConfig& config,
                      const Tensor& x, const RotaryTable& rotary, const Frames& frames, bool wanted_only) {
  const int64_t width = config.head_dim(), heads = heads_of(l.q_proj, width);
  const ops::Prologue norm = layer_norm(l.layer_norm1, config);
  const ops::LinearOperand query = operand(l.q_proj), key = operand(l.k_proj), value = operand(l.v_proj);
  const auto in_heads = [&](const Tensor& t) { return t.reshape({t.dim(0), heads, width}); };
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  const auto attend = [&](const Tensor& q, const Tensor& k, const Tensor& v,
                          std::span<const int64_t> cu_seqlens_q) {
    const Tensor y =
        ops::attention(context, q, ops::rope(context, in_heads(k), rotary.cos, rotary.sin), in_heads(v),
                       cu_seqlens_q, frames.cu_seqlens, scale, false, precision_for(l.q_proj.weight));
    return y.reshape({y.dim(0), heads * width});
  };
  const auto finish = [&](const Tensor& y, const Tensor& residual) {
    return ops::row_parallel_linear(context, y, operand(l.out_proj), residual);
  };
  if (!wanted_only) {
    const ops::LinearOperand projections[] = {query, key, value};
    const std::vector<Tensor> qkv = ops::linears(context, x, projections, norm);
    const Tensor q = ops::rope(context, in_heads(qkv[0]), rotary.cos, rotary.sin);
    return finish(attend(q, qkv[1], qkv[2], frames.cu_seqlens), x);
  }
  const ops::IndexList wanted(context, frames.wanted);
  const Tensor rows = ops::gather_rows(context, x, wanted);
  const ops::LinearOperand projections[] = {key, value};
  const std::vector<Tensor> kv = ops::linears(context, x, projections, norm);
  const Tensor q =
      ops::rope(context, in_heads(ops::linears(context, rows, {&query, 1}, norm)[0]),
                ops::gather_rows(context, rotary.cos, wanted), ops::gather_rows(context, rotary.sin, wanted));
  return finish(attend(q, kv[0], kv[1], frames.cu_wanted), rows);
}

Tensor encoder_layer(Context& context, const VisionLayerWeights& l, const VisionConfig& config,
                     const Tensor& x, const RotaryTable& rotary, const Frames& frames, bool wanted_only) {
  const Tensor attended = self_attention(context, l, config, x, rotary, frames, wanted_only);
  const Tensor up = ops::linear(context, attended, operand(l.fc1), {ops::activation_from(config.hidden_act)},
                                layer_norm(l.layer_norm2, config));
  return ops::row_parallel_linear(context, up, operand(l.fc2), attended);
}

// Patches of whole tokens [·, D] → tokens, frames of one merge size at a time.
Tensor merge(Context& context, const Tensor& x, const Frames& frames) {
  const std::vector<int64_t>& borders = frames.wanted.empty() ? frames.cu_seqlens : frames.cu_wanted;
  std::vector<Tensor> merged;
  int64_t begin = 0;
  for (size_t i = 0; i < frames.grids.size(); ++i) {
    if (i + 1 < frames.grids.size() && frames.grids[i + 1].merge == frames.grids[i].merge) continue;
    const int64_t end = borders[i + 1];
    std::vector<int64_t> rows(static_cast<size_t>(end - begin));
    std::iota(rows.begin(), rows.end(), begin);
    const bool all = begin == 0 && end == x.dim(0);
    merged.push_back(
        ops::bilinear_merge(context, all ? x : ops::gather_rows(context, x, rows), frames.grids[i].merge));
    begin = end;
  }
  return merged.size() == 1 ? merged[0] : ops::concat_rows(context, merged);
}

// [P, C·p·p] → the tokens that are read [·, D].
Tensor encode_frames(Context& context, const VisionWeights& weights, const VisionConfig& config,
                     const Tensor& pixels, const Frames& frames, const Probe* probe) {
  const RotaryTable rotary = vision_rotary(context, config, frames.grids);
  const auto show = [&](const std::string& name, const Tensor& value) {
    if (probe != nullptr && probe->stage) probe->stage(name, value);
  };
  const Tensor kernel = weights.patch_embedding.weight.reshape({config.hidden_size, config.patch_width()});
  Tensor x = ops::linear(context, pixels, kernel, weights.patch_embedding.bias);  // [P, D]
  show("vision.embed", x);
  // On a tape layers may run again after this call: they hold what they need.
  const auto held = tape_of(context) == nullptr ? nullptr : std::make_shared<const Frames>(frames);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    context.check_cancelled();
    const bool wanted_only = i + 1 == weights.layers.size() && !frames.wanted.empty();
    x = segment(context, x, [&, rotary, held, wanted_only, &l = weights.layers[i]](const Tensor& input) {
      return encoder_layer(context, l, config, input, rotary, held ? *held : frames, wanted_only);
    });
    show("vision.layer" + std::to_string(i), x);
  }
  x = ops::layer_norm(context, x, weights.post_layernorm.weight, weights.post_layernorm.bias,
                      static_cast<float>(config.layer_norm_eps));
  return merge(context, x, frames);
}

// The pixels of frames, one behind the other: their own memory where they lie so.
Tensor pixels_of(Context& context, const Tensor& pixel_values, std::span<const FramePlan::Frame> frames) {
  std::vector<Tensor> parts;
  int64_t end = frames[0].first_patch;
  bool adjacent = true;
  for (const FramePlan::Frame& frame : frames) {
    adjacent = adjacent && frame.first_patch == end;
    end = frame.first_patch + frame.grid.patches();
    parts.push_back(pixel_values.rows(frame.first_patch, end));
  }
  return adjacent ? pixel_values.rows(frames[0].first_patch, end) : ops::concat_rows(context, parts);
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
                     const Tensor& pixel_values, std::span<const Grid> grids, const FrameOptions& options,
                     const Probe* probe) {
  const int64_t patch_width = config.patch_width();
  require(pixel_values.rank() == 2 && pixel_values.dim(1) == patch_width, ErrorCode::kInvalidArgument,
          "[vision] pixel values {} should be [patches, {}]", to_string(pixel_values.shape()), patch_width);
  if (probe != nullptr && probe->stage) {
    std::vector<Grid> frames;
    for (const Grid& grid : grids) {
      for (int64_t t = 0; t < grid.t; ++t) frames.push_back({1, grid.h, grid.w, grid.merge});
    }
    const Tensor all =
        encode_frames(context, weights, config, pixel_values, all_patches(std::move(frames)), probe);
    probe->stage("vision.out", all);
    return options.keep.defined() ? ops::gather_rows(context, all, kept_rows(options.keep, all.dim(0))) : all;
  }

  const FramePlan plan = plan_frames(pixel_values, grids, options);
  // What is kept for the backward pass lies in no cache: on a tape all frames are one batch.
  const int64_t at_once = tape_of(context) != nullptr ? std::numeric_limits<int64_t>::max() : kPatchesAtOnce;
  int64_t patches = 0, done = 0;
  for (const FramePlan::Frame& frame : plan.frames) patches += frame.grid.patches();
  std::vector<Tensor> parts;
  for (size_t begin = 0; begin < plan.frames.size();) {
    size_t end = begin;
    int64_t together = 0;
    while (end < plan.frames.size() &&
           (end == begin || together + plan.frames[end].grid.patches() <= at_once)) {
      together += plan.frames[end++].grid.patches();
    }
    const auto frames = std::span(plan.frames).subspan(begin, end - begin);
    parts.push_back(encode_frames(context, weights, config, pixels_of(context, pixel_values, frames),
                                  wanted_patches(frames), nullptr));
    done += together;
    begin = end;
    if (probe != nullptr && probe->progress) probe->progress("encode", done, patches);
  }
  if (parts.empty()) return context.empty({0, config.hidden_size});
  const Tensor result = parts.size() == 1 ? parts[0] : ops::concat_rows(context, parts);
  return plan.in_order() ? result : ops::gather_rows(context, result, plan.rows);
}

}  // namespace vl3
