#include "processor/item_sizes.h"

#include <fmt/format.h>

#include <string_view>

#include "vl3/error.h"
#include "vl3/image_processor.h"
#include "vl3/video_processor.h"

namespace vl3 {
namespace {

// "[name] …" for "[sampling] …" and "[resize] …": these operations do not know whose sizes they are given.
template <class Compute>
int64_t under_name(const MediaItem& item, const Compute& compute) {
  try {
    return compute();
  } catch (const Error& error) {
    const std::string_view message = error.what();
    for (const std::string_view operation : {"[sampling]", "[resize]"}) {
      if (message.starts_with(operation))
        throw Error(error.code(), fmt::format("[{}]{}", item.name(), message.substr(operation.size())));
    }
    throw;
  }
}

}  // namespace

int64_t frames_of(const MediaItem& clip, const VideoInfo& info) {
  return under_name(clip,
                    [&] { return static_cast<int64_t>(sample_frames(info, clip.options).indices.size()); });
}

int64_t clip_patches(const MediaItem& clip, const VideoInfo& info, int64_t frames) {
  return under_name(clip, [&] {
    return VideoProcessor::get_num_of_video_patches(clip.options, frames, info.height, info.width);
  });
}

int64_t picture_patches(const MediaItem& picture, Size size, ResizeBackend backend) {
  return under_name(picture, [&] {
    return ImageProcessor(picture.options, backend).get_number_of_image_patches(size.height, size.width);
  });
}

}  // namespace vl3
