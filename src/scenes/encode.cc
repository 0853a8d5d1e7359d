#include "scenes/encode.h"

#include <png.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <cstring>
#include <memory>

#include "base/check.h"
#include "media/quiet.h"

namespace vl3::scenes {
namespace {

void check_av(int status, const char* what) {
  if (status >= 0) return;
  char words[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(status, words, sizeof words);
  fail(ErrorCode::kIo, "[scenes] {}: {}", what, words);
}

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const {
    Free(&p);
  }
};
using Codec = std::unique_ptr<AVCodecContext, FreeBy<avcodec_free_context>>;
using Frame = std::unique_ptr<AVFrame, FreeBy<av_frame_free>>;
using Packet = std::unique_ptr<AVPacket, FreeBy<av_packet_free>>;

Codec open_encoder(int width, int height, AVRational rate, bool global_header) {
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_H264);
  if (codec == nullptr) codec = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
  require(codec != nullptr, ErrorCode::kUnsupported, "[scenes] FFmpeg has no encoder for H.264 or MPEG-4");
  Codec encoder(avcodec_alloc_context3(codec));
  keep_quiet(*encoder);
  encoder->width = width;
  encoder->height = height;
  encoder->time_base = av_inv_q(rate);
  encoder->framerate = rate;
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->gop_size = 12;
  encoder->max_b_frames = 0;
  encoder->thread_count = 1;  // more of them change the bits
  encoder->flags |= AV_CODEC_FLAG_QSCALE | (global_header ? AV_CODEC_FLAG_GLOBAL_HEADER : 0);
  encoder->global_quality = 2 * FF_QP2LAMBDA;
  av_opt_set(encoder->priv_data, "preset", "veryfast", 0);
  av_opt_set(encoder->priv_data, "crf", "14", 0);
  check_av(avcodec_open2(encoder.get(), codec, nullptr), "the video encoder does not start");
  return encoder;
}

// A file in memory that is being written.
class Muxer {
 public:
  Muxer() {
    check_av(avformat_alloc_output_context2(&format_, nullptr, "mp4", nullptr), "no MP4 writer");
    keep_quiet(*format_);
    check_av(avio_open_dyn_buf(&format_->pb), "no memory for a clip");
  }
  ~Muxer() {
    if (format_->pb != nullptr) finish();
    avformat_free_context(format_);
  }
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;
  AVFormatContext* format() { return format_; }
  std::vector<uint8_t> finish() {
    uint8_t* data = nullptr;
    const int size = avio_close_dyn_buf(format_->pb, &data);
    format_->pb = nullptr;
    std::vector<uint8_t> bytes(data, data + size);
    av_free(data);
    return bytes;
  }

 private:
  AVFormatContext* format_ = nullptr;
};

// Hands a frame to the encoder (null: no more are coming) and writes what comes out.
void encode(AVCodecContext* encoder, const AVFrame* frame, AVFormatContext* format, AVPacket* packet) {
  check_av(avcodec_send_frame(encoder, frame), "a frame cannot be encoded");
  while (true) {
    const int status = avcodec_receive_packet(encoder, packet);
    if (status == AVERROR(EAGAIN) || status == AVERROR_EOF) return;
    check_av(status, "a frame cannot be encoded");
    packet->duration = 1;
    av_packet_rescale_ts(packet, encoder->time_base, format->streams[0]->time_base);
    packet->stream_index = 0;
    check_av(av_interleaved_write_frame(format, packet), "a frame cannot be written");
  }
}

}  // namespace

std::vector<uint8_t> encode_png(const Image& image) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  bool ok = png_image_write_to_memory(&png, nullptr, &size, 0, image.rgb.data(), 0, nullptr) != 0;
  std::vector<uint8_t> bytes(size);
  ok = ok && png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) != 0;
  require(ok, ErrorCode::kInternal, "[scenes] a picture cannot be encoded: {}", png.message);
  return bytes;
}

std::vector<uint8_t> encode_mp4(const std::vector<Image>& frames, double fps) {
  const int width = static_cast<int>(frames[0].width), height = static_cast<int>(frames[0].height);
  Muxer muxer;
  AVFormatContext* format = muxer.format();
  const Codec encoder =
      open_encoder(width, height, av_d2q(fps, 1000), (format->oformat->flags & AVFMT_GLOBALHEADER) != 0);
  AVStream* stream = avformat_new_stream(format, nullptr);
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = encoder->framerate;
  check_av(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "no description of the clip");
  format->flags |= AVFMT_FLAG_BITEXACT;
  check_av(avformat_write_header(format, nullptr), "the head of a clip cannot be written");
  const std::unique_ptr<SwsContext, decltype(&sws_freeContext)> scale(
      sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P, SWS_BICUBIC, nullptr,
                     nullptr, nullptr),
      &sws_freeContext);
  const Packet packet(av_packet_alloc());
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame frame(av_frame_alloc());
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = width;
    frame->height = height;
    frame->pts = static_cast<int64_t>(i);
    check_av(av_frame_get_buffer(frame.get(), 0), "no memory for a frame");
    const uint8_t* source[] = {frames[i].rgb.data()};
    const int stride[] = {3 * width};
    sws_scale(scale.get(), source, stride, 0, height, frame->data, frame->linesize);
    encode(encoder.get(), frame.get(), format, packet.get());
  }
  encode(encoder.get(), nullptr, format, packet.get());
  check_av(av_write_trailer(format), "the end of a clip cannot be written");
  return muxer.finish();
}

}  // namespace vl3::scenes
