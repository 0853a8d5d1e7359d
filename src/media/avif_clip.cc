#include "media/avif_clip.h"

#ifdef VL3_HAVE_AVIF

#include <algorithm>

#include "base/check.h"
#include "media/animation.h"
#include "media/avif_reader.h"
#include "media/source_bytes.h"

namespace vl3 {
namespace {

class AnimatedAvif final : public VideoReader {
 public:
  AnimatedAvif(const MediaSource& source, const MediaLimits& limits)
      : name_(source.name()),
        limits_(limits),
        bytes_(bytes_of(source, limits)),
        source_{{reinterpret_cast<const uint8_t*>(bytes_.bytes.data()), bytes_.bytes.size()}, limits_, name_},
        reader_(source_) {
    info_ = describe_animation(reader_.info(), limits, name_, "avif");
    std::vector<double> ends_s;
    for (int64_t i = 0; i < info_.total_frames; ++i) ends_s.push_back(reader_.end_s(i));
    tell_animation_times(ends_s, limits, name_, info_);
  }

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    require(std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices[0] >= 0),
            ErrorCode::kInvalidArgument, "[{}] frames are read in ascending order", name_);
    frames_decoded_ = 0;
    int64_t here = -1;
    for (size_t i = 0; i < indices.size(); ++i) {
      require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", name_);
      require(indices[i] < info_.total_frames, ErrorCode::kInvalidArgument,
              "[{}] frame {} was asked for; there are {}", name_, indices[i], info_.total_frames);
      if (indices[i] != here) {
        reader_.read(indices[i], &image_);
        ++frames_decoded_;
      }
      here = indices[i];
      sink(i, image_);
    }
  }

 private:
  std::string name_;
  MediaLimits limits_;
  SourceBytes bytes_;
  media::Source source_;
  media::AvifReader reader_;
  Image image_;
};

}  // namespace

bool is_animated_avif(const MediaSource& source) { return part_of(source, 4, 8) == "ftypavis"; }

std::unique_ptr<VideoReader> open_animated_avif(const MediaSource& source, const MediaLimits& limits) {
  return std::make_unique<AnimatedAvif>(source, limits);
}

}  // namespace vl3

#else

namespace vl3 {

// A picture then, which says what it lacks.
bool is_animated_avif(const MediaSource&) { return false; }
std::unique_ptr<VideoReader> open_animated_avif(const MediaSource&, const MediaLimits&) { return nullptr; }

}  // namespace vl3

#endif
