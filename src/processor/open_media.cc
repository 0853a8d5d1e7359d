#include "vl3/open_media.h"

#include <algorithm>

#include "base/check.h"
#include "media/source_bytes.h"
#include "processor/file_stamp.h"
#include "processor/open_clip.h"
#include "vl3/media_decoder.h"

namespace vl3 {
namespace {

constexpr size_t kMostClips = 16;                   // each holds a file and its index
constexpr int64_t kMostBytes = int64_t{256} << 20;  // of pictures' files

}  // namespace

OpenClip OpenMedia::take(const std::vector<MediaSource>& sources, const MediaLimits& limits,
                         const VideoOptions& options) {
  for (auto kept = clips_.begin(); kept != clips_.end(); ++kept) {
    if (kept->clip.sources != sources || kept->rotate != options.rotate ||
        kept->pictures_rate != options.pictures_rate)
      continue;
    OpenClip clip = std::move(kept->clip);
    clips_.erase(kept);
    return clip;
  }
  OpenClip clip{sources, nullptr, stamps_of(sources)};
  clip.reader = open_clip(sources, limits, options);
  return clip;
}

void OpenMedia::keep(OpenClip clip, const VideoOptions& options) {
  if (clips_.size() < kMostClips) clips_.push_back({std::move(clip), options.rotate, options.pictures_rate});
}

const OpenPicture& OpenMedia::picture(const MediaSource& source, const MediaLimits& limits) {
  for (const auto& known : pictures_) {
    if (known->source == source) return *known;
  }
  auto picture = std::make_unique<OpenPicture>(OpenPicture{source});
  if (source.kind() == MediaSource::Kind::kFrames) {
    require(source.pictures().size() == 1, ErrorCode::kInvalidArgument, "[{}] is a picture and has {} frames",
            source.name(), source.pictures().size());
    picture->height = source.pictures()[0].height;
    picture->width = source.pictures()[0].width;
    require(picture->height <= limits.max_pixels / picture->width, ErrorCode::kLimitExceeded,
            "[{}] {} x {} pixels are above max_pixels, {}", source.name(), picture->width, picture->height,
            limits.max_pixels);
  } else if (source.decoder()) {
    picture->stamps = stamps_of({source});
    const ImageInfo info = source.decoder()->probe_picture(source, limits);
    picture->height = info.height;
    picture->width = info.width;
  } else {
    picture->stamps = stamps_of({source});
    SourceBytes read = bytes_of(source, limits);
    const ImageInfo info = probe_image(read.bytes, limits, source.name());
    picture->height = info.height;
    picture->width = info.width;
    const auto bytes = static_cast<int64_t>(read.owned ? read.owned->size() : 0);
    if (held_bytes_ + bytes <= kMostBytes) {
      held_bytes_ += bytes;
      picture->bytes = std::move(read.owned);
    }
  }
  pictures_.push_back(std::move(picture));
  return *pictures_.back();
}

const std::vector<MediaSource>* OpenMedia::find_text(const std::string& hash) const {
  const auto found =
      std::find_if(texts_.begin(), texts_.end(), [&](const auto& t) { return t.first == hash; });
  return found == texts_.end() ? nullptr : &found->second;
}

void OpenMedia::keep_text(std::string hash, std::vector<MediaSource> parts) {
  texts_.emplace_back(std::move(hash), std::move(parts));
}

}  // namespace vl3
