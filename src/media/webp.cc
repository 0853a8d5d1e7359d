// WebP through libwebp: a still picture as it is, of an animation the first frame on its canvas. Pillow takes
// every picture for an animation, which gives the same colours.
#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "media/exif.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

// Checks that every chunk lies within the RIFF container and that within the file, which libwebp says only
// yes or no to.
void check_chunks(const Source& source) {
  const std::span<const uint8_t> header = source.slice(0, 12, "the RIFF header");
  const uint64_t declared = uint64_t{load_le32(&header[4])} + 8;
  require(declared <= source.bytes.size(), ErrorCode::kFormat,
          "[{}] WebP truncated: the RIFF header declares {} bytes, the file has {}", source.name, declared,
          source.bytes.size());
  for (uint64_t at = 12; at + 8 <= declared;) {
    const uint8_t* chunk = &source.bytes[at];
    const uint64_t size = load_le32(chunk + 4);
    require(size <= declared - at - 8, ErrorCode::kFormat,
            "[{}] broken WebP: the chunk at byte {} declares {} bytes, {} are left", source.name, at, size,
            declared - at - 8);
    at += 8 + size + (size & 1);
  }
}

using Demuxer = std::unique_ptr<WebPDemuxer, decltype([](WebPDemuxer* d) { WebPDemuxDelete(d); })>;

Demuxer demux(const Source& source) {
  check_chunks(source);
  const WebPData data{source.bytes.data(), source.bytes.size()};
  Demuxer demuxer(WebPDemux(&data));
  require(demuxer != nullptr, ErrorCode::kFormat,
          "[{}] broken WebP: its chunks do not make a picture (RIFF at byte 0)", source.name);
  return demuxer;
}

bool has_flag(const WebPDemuxer* demuxer, uint32_t flag) {
  return (WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & flag) != 0;
}

ImageInfo describe(const Source& source, const WebPDemuxer* demuxer) {
  ImageInfo info;
  info.width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
  info.height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
  info.frames = WebPDemuxGetI(demuxer, WEBP_FF_FRAME_COUNT);
  // The animation decoder holds two canvases of 4 bytes a pixel, and the picture is made beside them.
  check_size(source, info.width, info.height, has_flag(demuxer, ANIMATION_FLAG) ? 8 : 3);
  require(info.frames > 0, ErrorCode::kFormat, "[{}] WebP without a frame", source.name);
  info.mode = has_flag(demuxer, ALPHA_FLAG) ? "RGBA" : "RGB";
  const auto chunk_orientation = [&](const char* name, int (*read)(std::span<const uint8_t>)) {
    WebPChunkIterator chunk{};
    if (WebPDemuxGetChunk(demuxer, name, 1, &chunk) == 0) return 0;
    const int found = read({chunk.chunk.bytes, chunk.chunk.size});
    WebPDemuxReleaseChunkIterator(&chunk);
    return found;
  };
  info.orientation = choose_orientation(chunk_orientation("EXIF", exif_orientation),
                                        chunk_orientation("XMP ", xmp_orientation));
  return info;
}

// A picture that is no animation, rows as they come. Its bytes are given to libwebp little by little, for it
// says how far it is only between two calls.
void decode_still(const Source& source, Image* image) {
  using Decoder = std::unique_ptr<WebPIDecoder, decltype([](WebPIDecoder* d) { WebPIDelete(d); })>;
  constexpr size_t kSteps = 16;
  const int stride = static_cast<int>(image->width) * 3;
  const Decoder decoder(WebPINewRGB(MODE_RGB, image->rgb.data(), image->rgb.size(), stride));
  require(decoder != nullptr, ErrorCode::kOutOfMemory, "[{}] not enough memory to decode this WebP picture",
          source.name);
  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  for (size_t step = 1; step <= kSteps && status == VP8_STATUS_SUSPENDED; ++step) {
    status = WebPIUpdate(decoder.get(), source.bytes.data(), source.bytes.size() * step / kSteps);
    int rows = 0;
    if (WebPIDecGetRGB(decoder.get(), &rows, nullptr, nullptr, nullptr) != nullptr) source.rows_ready(rows);
  }
  require(status == VP8_STATUS_OK, ErrorCode::kFormat, "[{}] broken WebP: its data is corrupt", source.name);
}

// The first frame of an animation, on its canvas.
void decode_first_frame(const Source& source, Image* image) {
  using Decoder =
      std::unique_ptr<WebPAnimDecoder, decltype([](WebPAnimDecoder* d) { WebPAnimDecoderDelete(d); })>;
  WebPAnimDecoderOptions options;
  require(WebPAnimDecoderOptionsInit(&options) != 0, ErrorCode::kInternal, "[{}] libwebp of another version",
          source.name);
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const WebPData data{source.bytes.data(), source.bytes.size()};
  const Decoder decoder(WebPAnimDecoderNew(&data, &options));
  require(decoder != nullptr, ErrorCode::kFormat, "[{}] broken WebP: libwebp cannot read its first frame",
          source.name);
  uint8_t* rgba = nullptr;
  int timestamp_ms = 0;
  require(WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp_ms) != 0, ErrorCode::kFormat,
          "[{}] broken WebP: the data of frame 0 is corrupt", source.name);
  for (size_t i = 0; i < image->rgb.size() / 3; ++i) std::memcpy(&image->rgb[3 * i], rgba + 4 * i, 3);
}

}  // namespace

ImageInfo probe_webp(const Source& source) { return describe(source, demux(source).get()); }

void decode_webp(const Source& source, Image* image) {
  const Demuxer demuxer = demux(source);
  const ImageInfo info = describe(source, demuxer.get());
  *image = new_image(source, info.width, info.height, info.mode);
  if (has_flag(demuxer.get(), ANIMATION_FLAG)) {
    decode_first_frame(source, image);
  } else {
    decode_still(source, image);
  }
}

}  // namespace vl3::media
