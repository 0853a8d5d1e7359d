// Clips through FFmpeg's libraries: demuxed and decoded as a stream, one frame converted at a time.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
}

#include <algorithm>

#include "base/check.h"
#include "media/clip_formats.h"
#include "media/clip_turn.h"
#include "media/file_source.h"
#include "media/frame_converter.h"
#include "media/frame_index.h"
#include "media/picture_frames.h"
#include "media/webp_clip.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr int kDecodeThreads = 2;
// Below so many frames that nobody wants, all are decoded: indexing would not pay.
constexpr int64_t kWorthIndexing = 128;
constexpr int64_t kWorthSeeking = 16;  // frames that a leap leaves out: it empties the decoder

std::string av_words(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  return text;
}

std::string_view name_or(const char* name) { return name != nullptr ? name : "unknown"; }

struct FreeCodec {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
};
struct FreePacket {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};
struct FreeFrame {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};

class VideoFile final : public VideoReader {
 public:
  using Sink = std::function<void(size_t, const Image&)>;

  VideoFile(const fs::path& path, const MediaLimits& limits) : path_(path), limits_(limits), source_(path) {
    av_log_set_level(AV_LOG_QUIET);  // what goes wrong comes back as an error, not on stderr
    open_container();
    describe();
  }

  void read(std::span<const int64_t> indices, const Sink& sink,
            const std::function<bool()>& cancelled) override;
  void turn_upright() override;

 private:
  template <class... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kFormat, "[{}] {}", path_.string(), fmt::format(format, std::forward<Args>(args)...));
  }
  void open_container();
  void describe();
  bool can_seek() const;
  bool find_index(const std::function<bool()>& cancelled);
  void keep(FrameIndex index);
  FrameIndex index_frames(const std::function<bool()>& cancelled);
  void open_decoder();
  void rewind();
  bool seek_to_frame(int64_t frame);
  bool next_packet(AVPacket* packet);
  bool next_frame();
  void convert();
  size_t read_by_index(std::span<const int64_t> indices, const Sink& sink,
                       const std::function<bool()>& cancelled);
  void check(const std::function<bool()>& cancelled) const {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", path_.string());
  }

  fs::path path_;
  MediaLimits limits_;
  FileSource source_;
  std::unique_ptr<AVFormatContext, CloseContainer> container_;
  std::unique_ptr<AVCodecContext, FreeCodec> decoder_;
  std::unique_ptr<AVFrame, FreeFrame> frame_{av_frame_alloc()};
  std::unique_ptr<AVPacket, FreePacket> packet_{av_packet_alloc()};
  AVStream* stream_ = nullptr;
  int64_t decoded_ = 0;  // the number of the frame that comes next: how many lie before it
  bool draining_ = false;
  bool used_ = false;     // the stream is no longer at its start
  bool indexed_ = false;  // or tried
  std::optional<FrameIndex> index_;
  // Where not empty, frames of other times that no frame refers to are skipped.
  std::vector<int64_t> wanted_times_;
  FrameConverter converter_;
  Image image_;
};

void VideoFile::open_container() {
  ClipStream clip = open_clip_stream(source_, path_.string());
  container_ = std::move(clip.container);
  stream_ = clip.stream;
}

void VideoFile::describe() {
  const AVCodecParameters& codec = *stream_->codecpar;
  info_.height = codec.height;
  info_.width = codec.width;
  info_.turn = clip_turn(*stream_);
  info_.format = fmt::format("{}/{}", container_->iformat->name, avcodec_get_name(codec.codec_id));
  if (info_.height <= 0 || info_.width <= 0)
    broken("says its frames have {} x {} pixels", info_.width, info_.height);
  require(info_.height <= limits_.max_pixels / info_.width, ErrorCode::kLimitExceeded,
          "[{}] frames of {} x {} pixels are above max_pixels, {}", path_.string(), info_.width, info_.height,
          limits_.max_pixels);
  if (stream_->avg_frame_rate.num > 0 && stream_->avg_frame_rate.den > 0)
    info_.fps = av_q2d(stream_->avg_frame_rate);
  info_.total_frames = stream_->nb_frames;
  if (info_.total_frames <= 0) {  // not said: the packets are counted, which decodes nothing
    FrameIndex index = index_frames({});
    info_.total_frames = index.size();
    keep(std::move(index));
  }
  if (info_.total_frames == 0) broken("has no frames");
  require(info_.total_frames <= limits_.max_frames, ErrorCode::kLimitExceeded,
          "[{}] {} frames are more than max_frames, {}", path_.string(), info_.total_frames,
          limits_.max_frames);
  info_.duration_s = info_.fps ? static_cast<double>(info_.total_frames) / *info_.fps : 0;
  require(info_.duration_s <= limits_.max_duration_s, ErrorCode::kLimitExceeded,
          "[{}] {:.1f} s are more than max_duration_s, {:.1f}", path_.string(), info_.duration_s,
          limits_.max_duration_s);
}

// Containers that say where decoding can begin, and codecs of which each packet shows one frame.
bool VideoFile::can_seek() const {
  const std::string_view container = container_->iformat->name;
  const AVCodecID codec = stream_->codecpar->codec_id;
  return (container.starts_with("mov") || container.starts_with("matroska")) &&
         (codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC || codec == AV_CODEC_ID_VP9 ||
          codec == AV_CODEC_ID_AV1);
}

FrameIndex VideoFile::index_frames(const std::function<bool()>& cancelled) {
  rewind();
  FrameIndex index;
  while (index.size() <= limits_.max_frames && next_packet(packet_.get())) {
    if (index.size() % 1024 == 0) check(cancelled);
    const AVPacket& packet = *packet_;
    index.add(packet.pts == AV_NOPTS_VALUE ? std::nullopt : std::optional(packet.pts),
              (packet.flags & AV_PKT_FLAG_KEY) != 0, (packet.flags & AV_PKT_FLAG_DISCARD) != 0);
    av_packet_unref(packet_.get());
  }
  return index;
}

// Where it can be trusted.
void VideoFile::keep(FrameIndex index) {
  indexed_ = true;
  if (can_seek() && index.size() == info_.total_frames && index.finish()) index_ = std::move(index);
}

bool VideoFile::find_index(const std::function<bool()>& cancelled) {
  if (indexed_ || !can_seek()) return index_.has_value();
  try {
    keep(index_frames(cancelled));
  } catch (const Error& error) {  // decoding all says what is wrong, or that what is wanted lies before it
    if (error.code() == ErrorCode::kCancelled) throw;
    indexed_ = true;
  }
  return index_.has_value();
}

// The next packet of the video stream; false at the end.
bool VideoFile::next_packet(AVPacket* packet) {
  for (;;) {
    const int got = av_read_frame(container_.get(), packet);
    if (got == AVERROR_EOF) return false;
    if (got < 0) broken("cannot be read behind frame {}: {}", decoded_, av_words(got));
    if (packet->stream_index == stream_->index) break;
    av_packet_unref(packet);
  }
  if ((packet->flags & AV_PKT_FLAG_CORRUPT) != 0) {
    av_packet_unref(packet);
    broken("is cut off or corrupt behind frame {}", decoded_);
  }
  require(packet->size <= limits_.max_packet_bytes, ErrorCode::kLimitExceeded,
          "[{}] a packet of {} bytes is above max_packet_bytes, {}", path_.string(), packet->size,
          limits_.max_packet_bytes);
  return true;
}

void VideoFile::rewind() {
  if (used_) {
    const int back = avformat_seek_file(container_.get(), -1, INT64_MIN, 0, INT64_MAX, 0);
    if (back < 0 && av_seek_frame(container_.get(), stream_->index, 0, AVSEEK_FLAG_BACKWARD) < 0) {
      broken("cannot be read from the start again: {}", av_words(back));
    }
  }
  used_ = true;
  decoded_ = 0;
}

void VideoFile::open_decoder() {
  rewind();
  draining_ = false;
  const AVCodec* codec = avcodec_find_decoder(stream_->codecpar->codec_id);
  require(codec != nullptr, ErrorCode::kUnsupported, "[{}] no decoder for {}", path_.string(), info_.format);
  decoder_.reset(avcodec_alloc_context3(codec));
  require(decoder_ != nullptr, ErrorCode::kOutOfMemory, "[{}] no memory for a decoder", path_.string());
  if (avcodec_parameters_to_context(decoder_.get(), stream_->codecpar) < 0)
    broken("has bad codec parameters");
  decoder_->thread_count = kDecodeThreads;
  decoder_->max_pixels = limits_.max_pixels;
  decoder_->pkt_timebase = stream_->time_base;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "codec_whitelist", kClipCodecs, 0);
  const int opened = avcodec_open2(decoder_.get(), codec, &options);
  av_dict_free(&options);
  require(opened >= 0, ErrorCode::kUnsupported, "[{}] cannot decode {}: {}", path_.string(), info_.format,
          av_words(opened));
}

bool VideoFile::seek_to_frame(int64_t frame) {
  avcodec_flush_buffers(decoder_.get());
  draining_ = false;
  return av_seek_frame(container_.get(), stream_->index, index_->time(frame), AVSEEK_FLAG_BACKWARD) >= 0;
}

// The next frame in frame_; false at the end.
bool VideoFile::next_frame() {
  for (;;) {
    const int got = avcodec_receive_frame(decoder_.get(), frame_.get());
    if (got == 0) {
      if (frame_->decode_error_flags != 0) broken("frame {} is broken", decoded_);
      ++decoded_;
      ++frames_decoded_;
      return true;
    }
    if (got == AVERROR_EOF) return false;
    if (got != AVERROR(EAGAIN)) broken("frame {} cannot be decoded: {}", decoded_, av_words(got));
    if (draining_) return false;
    draining_ = !next_packet(packet_.get());
    // Only H.264 says of a frame that no other refers to it: HEVC says it of those of the same layer.
    const bool needed = wanted_times_.empty() || decoder_->codec_id != AV_CODEC_ID_H264 ||
                        std::binary_search(wanted_times_.begin(), wanted_times_.end(), packet_->pts);
    decoder_->skip_frame = needed ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
    const int sent = avcodec_send_packet(decoder_.get(), draining_ ? nullptr : packet_.get());
    if (!draining_) av_packet_unref(packet_.get());
    if (sent < 0 && sent != AVERROR_EOF) broken("frame {} cannot be decoded: {}", decoded_, av_words(sent));
  }
}

// frame_ → image_
void VideoFile::convert() {
  const int height = frame_->height, width = frame_->width;
  require(height > 0 && width > 0 && height <= limits_.max_pixels / width, ErrorCode::kLimitExceeded,
          "[{}] frame {} has {} x {} pixels, above max_pixels, {}", path_.string(), decoded_ - 1, width,
          height, limits_.max_pixels);
  const AVCodecParameters& said = *stream_->codecpar;
  if (height != said.height || width != said.width) {
    broken("frame {} has {} x {} pixels; the clip says {} x {}", decoded_ - 1, width, height, said.width,
           said.height);
  }
  require(converter_(*frame_, image_), ErrorCode::kUnsupported,
          "[{}] frame {}: colours of pixel format {} and matrix {} cannot be converted", path_.string(),
          decoded_ - 1, name_or(av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame_->format))),
          name_or(av_color_space_name(frame_->colorspace)));
  if (info_.upright) turn(info_.turn, image_);
}

void VideoFile::turn_upright() {
  if (info_.upright || !info_.turn) return;
  info_.upright = true;
  if (info_.turn.quarters % 2 != 0) std::swap(info_.height, info_.width);
}

// Leaps from one wanted frame to the next. How many of the indices were served: not all of them where the
// clip is not as its packets say, or broken.
size_t VideoFile::read_by_index(std::span<const int64_t> indices, const Sink& sink,
                                const std::function<bool()>& cancelled) {
  const FrameIndex& index = *index_;
  wanted_times_.clear();
  for (const int64_t i : indices) wanted_times_.push_back(index.time(i));
  open_decoder();
  int64_t reached = -1;  // the frame that came last
  for (size_t i = 0; i < indices.size();) {
    const int64_t frame = indices[i], key = index.key_before(frame);
    if (key > reached + kWorthSeeking && !seek_to_frame(key)) return i;
    while (reached < frame) {
      check(cancelled);
      try {
        if (!next_frame()) return i;
      } catch (const Error&) {
        return i;
      }
      const auto here = index.frame_at(frame_->pts);
      if (!here || *here > frame) return i;
      reached = *here;
      if (reached < frame) av_frame_unref(frame_.get());
    }
    decoded_ = reached + 1;
    convert();
    for (; i < indices.size() && indices[i] == frame; ++i) sink(i, image_);
    av_frame_unref(frame_.get());
  }
  return indices.size();
}

void VideoFile::read(std::span<const int64_t> indices, const Sink& sink,
                     const std::function<bool()>& cancelled) {
  require(std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices[0] >= 0),
          ErrorCode::kInvalidArgument, "[{}] frames are read in ascending order", path_.string());
  frames_decoded_ = 0;
  if (indices.empty()) return;
  size_t i = 0;
  const int64_t unwanted = indices.back() + 1 - static_cast<int64_t>(indices.size());
  if (unwanted >= kWorthIndexing && indices.back() < info_.total_frames && find_index(cancelled)) {
    i = read_by_index(indices, sink, cancelled);
    if (i == indices.size()) return;
  }
  wanted_times_.clear();
  open_decoder();
  while (i < indices.size()) {
    check(cancelled);
    if (!next_frame()) {
      broken("ends after {} frames ({:.2f} s); it says it has {}, and frame {} was asked for", decoded_,
             static_cast<double>(decoded_) / info_.fps.value_or(1.0), info_.total_frames, indices[i]);
    }
    if (decoded_ - 1 == indices[i]) {
      convert();
      for (; i < indices.size() && indices[i] == decoded_ - 1; ++i) sink(i, image_);
    }
    av_frame_unref(frame_.get());
  }
}

}  // namespace

std::unique_ptr<VideoReader> VideoReader::open(const fs::path& path, const MediaLimits& limits,
                                               std::optional<double> pictures_rate) {
  if (fs::is_directory(path)) return open_folder(path, limits, pictures_rate);
  if (is_animated_webp(path)) return open_animated_webp(path, limits);
  return std::make_unique<VideoFile>(path, limits);
}

}  // namespace vl3
