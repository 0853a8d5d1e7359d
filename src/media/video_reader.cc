// Which reader a clip has.

#include <filesystem>

#include "media/avif_clip.h"
#include "media/picture_frames.h"
#include "media/video_file.h"
#include "media/webp_clip.h"

namespace vl3 {

std::unique_ptr<VideoReader> VideoReader::open(const MediaSource& source, const MediaLimits& limits,
                                               std::optional<double> pictures_rate) {
  if (source.kind() == MediaSource::Kind::kFrames) return open_frames(source, limits, pictures_rate);
  if (source.kind() == MediaSource::Kind::kFile && std::filesystem::is_directory(source.path()))
    return open_folder(source.path(), limits, pictures_rate);
  if (is_animated_webp(source)) return open_animated_webp(source, limits);
  if (is_animated_avif(source)) return open_animated_avif(source, limits);
  return std::make_unique<VideoFile>(source, limits, pictures_rate);
}

}  // namespace vl3
