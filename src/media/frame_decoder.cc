#include "media/frame_decoder.h"

#include "base/check.h"
#include "media/clip_formats.h"
#include "media/demuxer.h"
#include "media/quiet.h"

namespace vl3 {
namespace {

constexpr int kDecodeThreads = 2;

// Of these the decoder knows which frames no other refers to, and leaves them out whole. HEVC says it of
// frames that others of a higher layer refer to.
bool knows_unreferenced(AVCodecID codec) {
  return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_MPEG4 || codec == AV_CODEC_ID_MPEG1VIDEO ||
         codec == AV_CODEC_ID_MPEG2VIDEO;
}

// These say of a frame that it is damaged, and conceal it, when its decoding ends. By then a thread that
// decodes the next one has copied the frame without that mark and may have read from it: which frames are
// told, and how those behind them look, would be different each time.
bool marks_damage(AVCodecID codec) { return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_MPEG4; }

}  // namespace

FrameDecoder::FrameDecoder(const AVStream& stream, const MediaLimits& limits, bool conceals,
                           const std::string& name, const std::string& format) {
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  require(codec != nullptr, ErrorCode::kUnsupported, "[{}] no decoder for {}", name, format);
  context_.reset(avcodec_alloc_context3(codec));
  require(context_ != nullptr, ErrorCode::kOutOfMemory, "[{}] no memory for a decoder", name);
  require(avcodec_parameters_to_context(context_.get(), stream.codecpar) >= 0, ErrorCode::kFormat,
          "[{}] has bad codec parameters", name);
  keep_quiet(*context_);
  const bool frames_at_once = (codec->capabilities & AV_CODEC_CAP_FRAME_THREADS) != 0;
  context_->thread_count = frames_at_once && (conceals || marks_damage(codec->id)) ? 1 : kDecodeThreads;
  context_->max_pixels = limits.max_pixels;
  context_->pkt_timebase = stream.time_base;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "codec_whitelist", kClipCodecs, 0);
  const int opened = avcodec_open2(context_.get(), codec, &options);
  av_dict_free(&options);
  require(opened >= 0, ErrorCode::kUnsupported, "[{}] cannot decode {}: {}", name, format, av_words(opened));
  // Threads of frames: a result is that of the packet sent so many before.
  if (context_->active_thread_type == FF_THREAD_FRAME)
    behind_ = static_cast<size_t>(context_->thread_count) - 1;
}

int FrameDecoder::send(AVPacket& packet, int64_t number, bool needed) {
  sent_.push_back(number);
  if (sent_.size() > behind_ + 1) sent_.pop_front();
  packet.pts = packet.dts = number;
  context_->skip_frame =
      needed || !knows_unreferenced(context_->codec_id) ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
  return avcodec_send_packet(context_.get(), &packet);
}

int FrameDecoder::send_end() {
  ended_ = true;
  return avcodec_send_packet(context_.get(), nullptr);
}

int FrameDecoder::receive(AVFrame& frame) { return avcodec_receive_frame(context_.get(), &frame); }

int64_t FrameDecoder::blamed() const noexcept {
  if (sent_.empty()) return 0;
  return ended_ ? sent_.back() : sent_.front();
}

void FrameDecoder::flush() {
  avcodec_flush_buffers(context_.get());
  sent_.clear();
  ended_ = false;
}

}  // namespace vl3
