// Pictures that are the frames of a clip.

#include <algorithm>

#include "base/check.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

class PictureFrames final : public VideoReader {
 public:
  PictureFrames(std::vector<std::filesystem::path> paths, const MediaLimits& limits)
      : paths_(std::move(paths)), limits_(limits) {
    require(!paths_.empty(), ErrorCode::kInvalidArgument, "[clip] no pictures were given as frames");
    require(static_cast<int64_t>(paths_.size()) <= limits.max_frames, ErrorCode::kLimitExceeded,
            "[clip] {} pictures are more than max_frames, {}", paths_.size(), limits.max_frames);
    const ImageInfo first = probe_image(paths_[0], limits_, false);
    info_.height = first.height;
    info_.width = first.width;
    info_.total_frames = static_cast<int64_t>(paths_.size());
    info_.format = "pictures";
  }

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    for (size_t i = 0; i < indices.size(); ++i) {
      require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[clip] cancelled");
      require(indices[i] >= 0 && indices[i] < info_.total_frames, ErrorCode::kInvalidArgument,
              "[clip] frame {} of {}", indices[i], info_.total_frames);
      const std::filesystem::path& path = paths_[static_cast<size_t>(indices[i])];
      const Image image = read_image(path, limits_, false);
      require(image.height == info_.height && image.width == info_.width, ErrorCode::kFormat,
              "[{}] has {} x {} pixels; the clip's first frame has {} x {}", path.string(), image.width,
              image.height, info_.width, info_.height);
      sink(i, image);
    }
  }

 private:
  std::vector<std::filesystem::path> paths_;
  MediaLimits limits_;
};

}  // namespace

std::unique_ptr<VideoReader> VideoReader::open_pictures(std::vector<std::filesystem::path> paths,
                                                        const MediaLimits& limits) {
  return std::make_unique<PictureFrames>(std::move(paths), limits);
}

}  // namespace vl3
