#include "engine/input_encoder.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "model/frame_plan.h"
#include "model/vision_encoder.h"

namespace vl3 {

void InputEncoder::begin(Context&) {
  require(!input_.pixel_values.defined() || !input_.image_features.defined(), ErrorCode::kInvalidArgument,
          "[forward] give pixel_values or image_features, not both");
  require(!input_.pixel_values_videos.defined() || !input_.video_features.defined(),
          ErrorCode::kInvalidArgument, "[forward] give pixel_values_videos or video_features, not both");
  if (input_.pixel_values.defined())
    add_part(false, std::exchange(input_.pixel_values, {}), input_.image_grid_thw, input_.image_merge_sizes,
             {});
  if (input_.pixel_values_videos.defined())
    add_part(true, std::exchange(input_.pixel_values_videos, {}), input_.video_grid_thw,
             input_.video_merge_sizes, input_.video_compression_mask);
}

void InputEncoder::add_part(bool clips, Tensor pixels, const Tensor& grid_thw, const Tensor& merge_sizes,
                            const Tensor& keep) {
  const int64_t width = model_.config().vision.patch_width();
  require(pixels.rank() == 2 && pixels.dim(1) == width, ErrorCode::kInvalidArgument,
          "[vision] pixel values {} should be [patches, {}]", to_string(pixels.shape()), width);
  std::vector<Grid> grids = read_grids(grid_thw, merge_sizes, pixels.dim(0));
  int64_t tokens = 0;
  for (const Grid& grid : grids) tokens += grid.tokens();
  std::vector<uint8_t> wanted(static_cast<size_t>(tokens), keep.defined() ? 0 : 1);
  if (keep.defined()) {
    for (const int64_t row : kept_rows(keep, tokens)) wanted[static_cast<size_t>(row)] = 1;
  }
  patches_ += pixels.dim(0);
  FrameEncoder encoder(model_, clips && input_.reuse_static_frames);
  parts_.push_back({std::move(encoder), clips, std::move(pixels), std::move(wanted), std::move(grids)});
}

void InputEncoder::take_group(Context& context, Part& part, int64_t at_once) {
  const Grid& whole = part.grids[part.grid];
  Grid group{1, whole.h, whole.w, whole.merge};
  group.t = std::clamp<int64_t>(at_once / group.patches(), 1, whole.t - part.frame);
  const int64_t patches = group.patches(), tokens = group.tokens();
  const auto keep =
      std::span(part.keep).subspan(static_cast<size_t>(part.tokens), static_cast<size_t>(tokens));
  part.encoder.set_patches_at_once(at_once);
  part.encoder.add(context, part.pixels.rows(part.patches, part.patches + patches), group, keep,
                   part.frame == 0);
  part.patches += patches;
  part.tokens += tokens;
  part.frame += group.t;
  if (part.frame == whole.t) {
    ++part.grid;
    part.frame = 0;
  }
  tell_progress(patches);
}

bool InputEncoder::encode_next(Context& context, int64_t at_once) {
  context.check_cancelled();
  const double begun = now_s();
  const bool more = encode_some(context, at_once);
  encode_s_ += now_s() - begun;
  return more;
}

bool InputEncoder::encode_some(Context& context, int64_t at_once) {
  for (Part& part : parts_) {
    if (!part.done()) {
      take_group(context, part, at_once);
      return true;
    }
    part.pixels = {};
    if (part.encoder.waiting()) {
      part.encoder.encode_waiting(context);
      return true;
    }
  }
  return false;
}

// The features take the place of the pixels.
EncodedRequest InputEncoder::finish(Context& context) {
  EncodedRequest request;
  // Features, from here or from elsewhere, have no numbers.
  request.named = parts_.empty() && !input_.image_features.defined() && !input_.video_features.defined();
  request.forward = std::move(input_);
  for (Part& part : parts_) {
    (part.clips ? request.forward.video_features : request.forward.image_features) =
        part.encoder.finish(context);
  }
  return request;
}

}  // namespace vl3
