#include "vl3/forward_input.h"

namespace vl3 {

ForwardInput forward_input(const Processor& processor, const Config& config, ProcessorOutput& inputs) {
  ForwardInput forward;
  forward.input_ids = inputs.input_ids.clone();
  for (int64_t& id : forward.input_ids.mutable_span<int64_t>()) {
    if (id == processor.image_token_id())
      id = config.image_token_id;
    else if (id == processor.video_token_id())
      id = config.video_token_id;
  }
  forward.attention_mask = inputs.attention_mask;
  forward.pixel_values = std::move(inputs.images.pixel_values);
  forward.image_grid_thw = inputs.images.image_grid_thw;
  forward.image_merge_sizes = inputs.images.image_merge_sizes;
  forward.pixel_values_videos = std::move(inputs.videos.pixel_values_videos);
  forward.video_grid_thw = inputs.videos.video_grid_thw;
  forward.video_merge_sizes = inputs.videos.video_merge_sizes;
  forward.video_compression_mask = inputs.videos.video_compression_mask;
  return forward;
}

}  // namespace vl3
