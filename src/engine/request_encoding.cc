#include "engine/request_encoding.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "model/projector.h"

namespace vl3 {
namespace {

// A number for every row of features, the same for the same row of the same content.
void append_row_numbers(const FeatureCache::Result& features, std::vector<int64_t>& numbers) {
  constexpr int64_t kMostRows = int64_t{1} << 24;
  for (size_t i = 0; i < features.serials.size(); ++i) {
    for (int64_t row = 0; row < features.rows[i]; ++row)
      numbers.push_back(-(features.serials[i] * kMostRows + row));
  }
}

}  // namespace

RequestEncoding::RequestEncoding(Context& context, const ForConditionalGeneration& model, ForwardInput input,
                                 FeatureCache* cache, const Probe* probe)
    : model_(model), cache_(cache), probe_(probe) {
  ForwardInput& forward = result_.forward = std::move(input);
  // Features from elsewhere have no numbers.
  result_.named =
      !forward.image_features.defined() && !forward.video_features.defined() &&
      (cache != nullptr || (!forward.pixel_values.defined() && !forward.pixel_values_videos.defined()));
  require(!forward.pixel_values.defined() || !forward.image_features.defined(), ErrorCode::kInvalidArgument,
          "[forward] give pixel_values or image_features, not both");
  require(!forward.pixel_values_videos.defined() || !forward.video_features.defined(),
          ErrorCode::kInvalidArgument, "[forward] give pixel_values_videos or video_features, not both");
  if (forward.pixel_values.defined()) {
    Part part;
    part.input = {std::exchange(forward.pixel_values, {}),
                  forward.image_grid_thw,
                  forward.image_merge_sizes,
                  {},
                  false};
    parts_.push_back(std::move(part));
  }
  if (forward.pixel_values_videos.defined()) {
    Part part;
    part.clips = true;
    part.input = {std::exchange(forward.pixel_values_videos, {}), forward.video_grid_thw,
                  forward.video_merge_sizes, forward.video_compression_mask, forward.reuse_static_frames};
    parts_.push_back(std::move(part));
  }
  if (!parts_.empty()) open(context, parts_[0]);
}

void RequestEncoding::open(Context& context, Part& part) {
  VisualInput input = std::exchange(part.input, {});
  if (cache_ != nullptr) {
    part.lookup = cache_->begin(context, input);
    if (part.lookup->complete()) return;
    input = part.lookup->missing(context);
  }
  require(input.pixel_values.rank() == 2, ErrorCode::kInvalidArgument,
          "[vision] pixel values {} should be [patches, values]", to_string(input.pixel_values.shape()));
  const std::vector<Grid> grids = read_grids(input.grid_thw, input.merge_sizes, input.pixel_values.dim(0));
  part.encoding =
      std::make_unique<VisionEncoding>(model_.weights().vision, model_.config().vision, input.pixel_values,
                                       grids, FrameOptions{input.keep, input.reuse_static_frames});
  patches_ += part.encoding->patches();
}

// The features take the place of the pixels, which are let go.
void RequestEncoding::close(Context& context, Part& part) {
  Tensor features;
  if (part.encoding != nullptr) {
    features = project(context, model_.weights().projector, part.encoding->result(context));
    part.encoding.reset();
  }
  std::vector<int64_t>& numbers = part.clips ? result_.video_rows : result_.image_rows;
  if (part.lookup) {
    const FeatureCache::Result found = cache_->finish(context, std::move(*part.lookup), features);
    part.lookup.reset();
    features = found.features;
    append_row_numbers(found, numbers);
  }
  (part.clips ? result_.forward.video_features : result_.forward.image_features) = features;
}

bool RequestEncoding::encode_next(Context& context, int64_t patches) {
  if (current_ == parts_.size()) return false;
  Part& part = parts_[current_];
  const int64_t until = encoded_ + patches;
  while (part.encoding != nullptr && !part.encoding->done() && encoded_ < until) {
    const int64_t before = part.encoding->encoded();
    part.encoding->step(context, std::min(patches, VisionEncoding::kPatchesAtOnce));
    encoded_ += part.encoding->encoded() - before;
    if (probe_ != nullptr && probe_->progress)
      probe_->progress("encode", part.encoding->encoded(), part.encoding->patches());
  }
  if (part.encoding != nullptr && !part.encoding->done()) return true;
  close(context, part);
  if (++current_ < parts_.size()) open(context, parts_[current_]);
  return current_ < parts_.size();
}

EncodedRequest RequestEncoding::finish() { return std::move(result_); }

}  // namespace vl3
