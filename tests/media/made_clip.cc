#include "media/made_clip.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
}

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>

#include "media/fnv.h"
#include "support/support.h"

namespace vl3::test {
namespace {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* p) const {
    kFree(&p);
  }
};
void close_output(AVFormatContext** p) {
  if (*p != nullptr) avio_closep(&(*p)->pb);
  avformat_free_context(*p);
}
using Codec = std::unique_ptr<AVCodecContext, FreeBy<avcodec_free_context>>;
using Output = std::unique_ptr<AVFormatContext, FreeBy<close_output>>;
using Input = std::unique_ptr<AVFormatContext, FreeBy<avformat_close_input>>;
using Packet = std::unique_ptr<AVPacket, FreeBy<av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, FreeBy<av_frame_free>>;

Output open_output(const std::filesystem::path& path, const char* container) {
  AVFormatContext* raw = nullptr;
  if (avformat_alloc_output_context2(&raw, nullptr, container, nullptr) < 0) return nullptr;
  Output output(raw);
  if (avio_open(&raw->pb, path.c_str(), AVIO_FLAG_WRITE) < 0) return nullptr;
  return output;
}

void draw(AVFrame& frame, int number) {
  uint32_t noise = static_cast<uint32_t>(number) * 2654435761u;
  for (int y = 0; y < frame.height; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      noise = noise * 1664525u + 1013904223u;
      frame.data[0][y * frame.linesize[0] + x] = static_cast<uint8_t>(
          (x * 3 + number * 5 + (y + number) / 4 * 7 + static_cast<int>(noise >> 29)) & 255);
    }
  }
  for (int y = 0; y < frame.height / 2; ++y) {
    for (int x = 0; x < frame.width / 2; ++x) {
      frame.data[1][y * frame.linesize[1] + x] = static_cast<uint8_t>((x * 4 + number * 2) & 255);
      frame.data[2][y * frame.linesize[2] + x] = static_cast<uint8_t>((y * 5 + number * 3) & 255);
    }
  }
}

// Of the formats that the encoder takes the one that is drawn, if it is there.
AVPixelFormat choose_format(const AVCodec& encoder) {
  const AVPixelFormat* formats = encoder.pix_fmts;
  if (formats == nullptr) return AV_PIX_FMT_YUV420P;
  for (const AVPixelFormat* format = formats; *format != AV_PIX_FMT_NONE; ++format) {
    if (*format == AV_PIX_FMT_YUV420P) return *format;
  }
  return formats[0];
}

Codec open_encoder(const ClipRecipe& recipe, bool global_header) {
  const AVCodec* known = avcodec_find_encoder_by_name(recipe.encoder);
  if (known == nullptr) return nullptr;
  Codec codec(avcodec_alloc_context3(known));
  codec->width = 64;
  codec->height = 48;
  codec->pix_fmt = choose_format(*known);
  codec->time_base = {1, 25};
  codec->framerate = {25, 1};
  codec->gop_size = recipe.group;
  codec->max_b_frames = recipe.b_frames;
  codec->bit_rate = 200000;
  codec->thread_count = 1;
  if (global_header) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  for (const auto& [name, value] : recipe.options)
    av_opt_set(codec.get(), name, value, AV_OPT_SEARCH_CHILDREN);
  if (avcodec_open2(codec.get(), known, nullptr) < 0) return nullptr;
  return codec;
}

// What the encoder has ready, into the file.
bool write_ready(AVCodecContext& codec, AVFormatContext& output) {
  const Packet packet(av_packet_alloc());
  while (avcodec_receive_packet(&codec, packet.get()) >= 0) {
    packet->stream_index = 0;
    if (packet->duration == 0) packet->duration = 1;
    av_packet_rescale_ts(packet.get(), codec.time_base, output.streams[0]->time_base);
    if (av_interleaved_write_frame(&output, packet.get()) < 0) return false;
  }
  return true;
}

// A packet of zeros, or of a letter.
bool write_packet(AVFormatContext& output, int stream, double time_s, double duration_s, int bytes,
                  char fill) {
  const Packet packet(av_packet_alloc());
  if (av_new_packet(packet.get(), bytes) < 0) return false;
  std::fill_n(packet->data, bytes, static_cast<uint8_t>(fill));
  const double tick_s = av_q2d(output.streams[stream]->time_base);
  packet->pts = packet->dts = std::llround(time_s / tick_s);
  packet->duration = std::llround(duration_s / tick_s);
  packet->stream_index = stream;
  return av_write_frame(&output, packet.get()) >= 0;
}

// The video stream of a file behind `others`, which fill() gives packets, with its own packets changed.
bool put_behind(const std::filesystem::path& from, const std::filesystem::path& to, const char* container,
                int others, const AVCodecParameters& other, const std::function<void(AVPacket&)>& change,
                const std::function<bool(AVFormatContext&)>& fill) {
  AVFormatContext* raw = nullptr;
  if (avformat_open_input(&raw, from.c_str(), nullptr, nullptr) < 0) return false;
  const Input input(raw);
  const Output output = open_output(to, container);
  if (output == nullptr || avformat_find_stream_info(raw, nullptr) < 0) return false;
  output->max_streams = others + 1;
  for (int i = 0; i <= others; ++i) {
    AVStream* stream = avformat_new_stream(output.get(), nullptr);
    avcodec_parameters_copy(stream->codecpar, i == others ? raw->streams[0]->codecpar : &other);
    stream->codecpar->codec_tag = 0;
    if (i == others) stream->time_base = raw->streams[0]->time_base;
  }
  if (avformat_write_header(output.get(), nullptr) < 0 || !fill(*output)) return false;
  const AVRational tick = output->streams[others]->time_base;
  const Packet packet(av_packet_alloc());
  while (av_read_frame(raw, packet.get()) >= 0) {
    packet->stream_index = others;
    change(*packet);
    av_packet_rescale_ts(packet.get(), raw->streams[0]->time_base, tick);
    packet->pos = -1;
    if (av_write_frame(output.get(), packet.get()) < 0) return false;
    av_packet_unref(packet.get());
  }
  return av_write_trailer(output.get()) >= 0;
}

}  // namespace

bool make_clip(const std::filesystem::path& path, const ClipRecipe& recipe) {
  av_log_set_level(AV_LOG_QUIET);
  if (kSanitized && std::string_view(recipe.encoder) == "libx265") return false;  // it loses memory
  const Output output = open_output(path, recipe.container);
  if (output == nullptr) return false;
  const Codec codec = open_encoder(recipe, (output->oformat->flags & AVFMT_GLOBALHEADER) != 0);
  AVStream* stream = codec == nullptr ? nullptr : avformat_new_stream(output.get(), nullptr);
  if (stream == nullptr || codec->pix_fmt != AV_PIX_FMT_YUV420P) return false;
  avcodec_parameters_from_context(stream->codecpar, codec.get());
  stream->time_base = codec->time_base;
  if (recipe.times.empty()) stream->avg_frame_rate = codec->framerate;
  AVDictionary* options = nullptr;
  for (const auto& [name, value] : recipe.file_options) av_dict_set(&options, name, value, 0);
  const int begun = avformat_write_header(output.get(), &options);
  av_dict_free(&options);
  if (begun < 0) return false;
  const Frame frame(av_frame_alloc());
  for (int i = 0; i < recipe.frames; ++i) {
    frame->format = codec->pix_fmt;
    frame->width = codec->width;
    frame->height = codec->height;
    if (av_frame_get_buffer(frame.get(), 0) < 0) return false;
    draw(*frame, i);
    frame->pts = recipe.times.empty() ? i : recipe.times[static_cast<size_t>(i)];
    if (avcodec_send_frame(codec.get(), frame.get()) < 0 || !write_ready(*codec, *output)) return false;
    av_frame_unref(frame.get());
  }
  avcodec_send_frame(codec.get(), nullptr);
  return write_ready(*codec, *output) && av_write_trailer(output.get()) >= 0;
}

bool put_into(const std::filesystem::path& from, const std::filesystem::path& to, const char* container,
              const std::vector<int>& joined, int left_out) {
  AVFormatContext* raw = nullptr;
  if (avformat_open_input(&raw, from.c_str(), nullptr, nullptr) < 0) return false;
  const Input input(raw);
  const Output output = open_output(to, container);
  if (output == nullptr || avformat_find_stream_info(raw, nullptr) < 0) return false;
  AVStream* stream = avformat_new_stream(output.get(), nullptr);
  avcodec_parameters_copy(stream->codecpar, raw->streams[0]->codecpar);
  stream->codecpar->codec_tag = 0;
  stream->time_base = raw->streams[0]->time_base;
  stream->avg_frame_rate = raw->streams[0]->avg_frame_rate;
  if (left_out > 0) output->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  if (avformat_write_header(output.get(), nullptr) < 0) return false;
  const Packet packet(av_packet_alloc()), behind(av_packet_alloc());
  int64_t shift = 0;
  for (int number = 0; av_read_frame(raw, packet.get()) >= 0; ++number) {
    if (packet->stream_index != 0 || number < left_out) {
      av_packet_unref(packet.get());
      continue;
    }
    if (left_out > 0 && number == left_out) shift = packet->pts;
    packet->pts -= shift;
    packet->dts -= shift;
    if (std::find(joined.begin(), joined.end(), number) != joined.end()) {
      const int size = packet->size;
      if (av_read_frame(raw, behind.get()) < 0 || av_grow_packet(packet.get(), behind->size) < 0)
        return false;
      std::copy_n(behind->data, behind->size, packet->data + size);
      av_packet_unref(behind.get());
    }
    av_packet_rescale_ts(packet.get(), raw->streams[0]->time_base, stream->time_base);
    packet->pos = -1;
    if (av_interleaved_write_frame(output.get(), packet.get()) < 0) return false;
  }
  return av_write_trailer(output.get()) >= 0;
}

bool put_behind_subtitles(const std::filesystem::path& from, const std::filesystem::path& to,
                          const char* container, int subtitles) {
  AVCodecParameters text{};
  text.codec_type = AVMEDIA_TYPE_SUBTITLE;
  text.codec_id = AV_CODEC_ID_SUBRIP;
  return put_behind(
      from, to, container, subtitles, text, [](AVPacket&) {},
      [&](AVFormatContext& output) {
        for (int i = 0; i < subtitles; ++i) {
          if (!write_packet(output, i, 0, 0.001, 1, 'a')) return false;
        }
        return true;
      });
}

bool put_behind_silence(const std::filesystem::path& from, const std::filesystem::path& to,
                        const char* container, int seconds) {
  constexpr int kRate = 11025, kParts = 25;  // of a second
  AVCodecParameters sound{};
  sound.codec_type = AVMEDIA_TYPE_AUDIO;
  sound.codec_id = AV_CODEC_ID_PCM_S16LE;
  sound.sample_rate = kRate;
  sound.bits_per_coded_sample = 16;
  av_channel_layout_default(&sound.ch_layout, 1);
  const auto later = [&](AVPacket& packet) {  // ticks of FLV are milliseconds
    packet.pts += seconds * 1000;
    packet.dts += seconds * 1000;
  };
  return put_behind(from, to, container, 1, sound, later, [&](AVFormatContext& output) {
    for (int i = 0; i < seconds * kParts; ++i) {
      if (!write_packet(output, 0, i / double{kParts}, 1 / double{kParts}, kRate / kParts * 2, '\0'))
        return false;
    }
    return true;
  });
}

bool put_at_decoding_times(const std::filesystem::path& from, const std::filesystem::path& to,
                           const char* container) {
  std::optional<int64_t> first;
  const auto flatten = [&](AVPacket& packet) {
    if (!first) first = packet.dts;
    packet.dts -= *first;
    packet.pts = packet.dts;
  };
  return put_behind(from, to, container, 0, {}, flatten, [](AVFormatContext&) { return true; });
}

bool put_late(const std::filesystem::path& from, const std::filesystem::path& to, const char* container,
              int number, int seconds) {
  int seen = 0;
  const auto delay = [&](AVPacket& packet) {
    if (seen++ >= number) packet.pts += packet.duration * 25 * seconds;
  };
  return put_behind(from, to, container, 0, {}, delay, [](AVFormatContext&) { return true; });
}

std::vector<std::string> hashes_of(VideoReader& reader) {
  std::vector<int64_t> all(static_cast<size_t>(reader.info().total_frames));
  std::iota(all.begin(), all.end(), int64_t{0});
  std::vector<std::string> hashes;
  reader.read(all, [&](size_t, const Image& frame) { hashes.push_back(fnv(frame.rgb)); });
  return hashes;
}

int64_t frames_decoded(const std::filesystem::path& path) {
  AVFormatContext* raw = nullptr;
  if (avformat_open_input(&raw, path.c_str(), nullptr, nullptr) < 0) return -1;
  const Input input(raw);
  if (avformat_find_stream_info(raw, nullptr) < 0 || raw->nb_streams != 1) return -1;
  const AVCodec* known = avcodec_find_decoder(raw->streams[0]->codecpar->codec_id);
  const Codec codec(avcodec_alloc_context3(known));
  if (codec == nullptr || avcodec_parameters_to_context(codec.get(), raw->streams[0]->codecpar) < 0 ||
      avcodec_open2(codec.get(), known, nullptr) < 0)
    return -1;
  const Packet packet(av_packet_alloc());
  const Frame frame(av_frame_alloc());
  int64_t count = 0;
  for (bool more = true; more;) {
    more = av_read_frame(raw, packet.get()) >= 0;
    avcodec_send_packet(codec.get(), more ? packet.get() : nullptr);
    av_packet_unref(packet.get());
    while (avcodec_receive_frame(codec.get(), frame.get()) == 0) ++count;
  }
  return count;
}

}  // namespace vl3::test
