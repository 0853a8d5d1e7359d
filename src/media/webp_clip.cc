#include "media/webp_clip.h"

#include <webp/demux.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "media/animation.h"
#include "media/source_bytes.h"
#include "vl3/image.h"

namespace vl3 {
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype([](WebPDemuxer* d) { WebPDemuxDelete(d); })>;
using Decoder =
    std::unique_ptr<WebPAnimDecoder, decltype([](WebPAnimDecoder* d) { WebPAnimDecoderDelete(d); })>;

class AnimatedWebp final : public VideoReader {
 public:
  AnimatedWebp(const MediaSource& source, const MediaLimits& limits)
      : name_(source.name()), bytes_(bytes_of(source, limits)) {
    info_ = describe_animation(probe_image(bytes_.bytes, limits, name_, false), limits, name_, "webp");
    tell_animation_times(frame_ends(), limits, name_, info_);
    WebPAnimDecoderOptions options;
    require(WebPAnimDecoderOptionsInit(&options) != 0, ErrorCode::kInternal,
            "[{}] libwebp of another version", name_);
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    const WebPData data = whole();
    decoder_.reset(WebPAnimDecoderNew(&data, &options));
    require(decoder_ != nullptr, ErrorCode::kFormat, "[{}] broken WebP: libwebp cannot read its frames",
            name_);
  }

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    require(std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices[0] >= 0),
            ErrorCode::kInvalidArgument, "[{}] frames are read in ascending order", name_);
    frames_decoded_ = 0;
    WebPAnimDecoderReset(decoder_.get());
    int64_t here = -1;
    for (size_t i = 0; i < indices.size(); ++i) {
      require(indices[i] < info_.total_frames, ErrorCode::kFormat,
              "[{}] ends after {} frames, and frame {} was asked for", name_, info_.total_frames, indices[i]);
      for (; here < indices[i]; ++here) {
        require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", name_);
        next(here + 1, here + 1 == indices[i]);
      }
      sink(i, image_);
    }
  }

 private:
  WebPData whole() const {
    return {reinterpret_cast<const uint8_t*>(bytes_.bytes.data()), bytes_.bytes.size()};
  }

  std::vector<double> frame_ends() const {
    const WebPData data = whole();
    const Demuxer demuxer(WebPDemux(&data));
    require(demuxer != nullptr, ErrorCode::kFormat, "[{}] broken WebP: its chunks do not make frames", name_);
    std::vector<double> ends_s;
    int64_t end_ms = 0;
    WebPIterator frame{};
    for (int ok = WebPDemuxGetFrame(demuxer.get(), 1, &frame); ok != 0; ok = WebPDemuxNextFrame(&frame)) {
      end_ms += std::max(frame.duration, 0);
      ends_s.push_back(static_cast<double>(end_ms) / 1000);
    }
    WebPDemuxReleaseIterator(&frame);
    require(static_cast<int64_t>(ends_s.size()) == info_.total_frames, ErrorCode::kFormat,
            "[{}] broken WebP: {} frames where {} were counted", name_, ends_s.size(), info_.total_frames);
    return ends_s;
  }

  void next(int64_t number, bool wanted) {
    uint8_t* rgba = nullptr;
    int end_ms = 0;
    require(WebPAnimDecoderGetNext(decoder_.get(), &rgba, &end_ms) != 0, ErrorCode::kFormat,
            "[{}] frame {} cannot be decoded: its data is corrupt", name_, number);
    ++frames_decoded_;
    if (!wanted) return;
    image_.height = info_.height;
    image_.width = info_.width;
    image_.mode = "RGB";
    image_.rgb.resize(static_cast<size_t>(info_.height * info_.width * 3));
    for (size_t i = 0; i < image_.rgb.size() / 3; ++i) std::memcpy(&image_.rgb[3 * i], rgba + 4 * i, 3);
  }

  std::string name_;
  SourceBytes bytes_;
  Decoder decoder_;
  Image image_;
};

}  // namespace

bool is_animated_webp(const MediaSource& source) {
  constexpr size_t kFlags = 20;
  constexpr uint8_t kAnimation = 0x02;
  const std::string bytes = part_of(source, 0, kFlags + 1);
  return bytes.size() > kFlags && bytes.starts_with("RIFF") && bytes.compare(8, 8, "WEBPVP8X") == 0 &&
         (static_cast<uint8_t>(bytes[kFlags]) & kAnimation) != 0;
}

std::unique_ptr<VideoReader> open_animated_webp(const MediaSource& source, const MediaLimits& limits) {
  return std::make_unique<AnimatedWebp>(source, limits);
}

}  // namespace vl3
