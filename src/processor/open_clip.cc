#include "processor/open_clip.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "media/avif_clip.h"
#include "media/jpeg_row.h"
#include "media/source_bytes.h"
#include "media/webp_clip.h"
#include "vl3/media_decoder.h"
#include "vl3/video_processor.h"

namespace vl3 {
namespace {

uint32_t load_be32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// Whether a PNG says, before its pixels, that it has more than one frame.
bool is_animated_png(const MediaSource& source) {
  constexpr uint64_t kSignature = 8, kAround = 12;  // length, type and checksum of a chunk
  constexpr int kMostChunks = 4096;
  uint64_t at = kSignature;
  for (int i = 0; i < kMostChunks; ++i) {
    const std::string chunk = part_of(source, at, 12);  // length, type, the first four bytes
    if (chunk.size() < 12) return false;
    const std::string_view type(chunk.data() + 4, 4);
    if (type == "acTL") return load_be32(chunk.data() + 8) > 1;
    if (type == "IDAT") return false;
    at += kAround + load_be32(chunk.data());
  }
  return false;
}

// A GIF may be animated: that is for the decoder of clips to say.
bool is_still_picture(const MediaSource& source) {
  constexpr size_t kSniffed = 64;
  const std::string head = part_of(source, 0, kSniffed);
  ImageFormat format{};
  if (!sniff_image(std::as_bytes(std::span(head)), &format)) return false;
  switch (format) {
    case ImageFormat::kGif:
      return false;
    case ImageFormat::kPng:
      return !is_animated_png(source);
    case ImageFormat::kWebp:
      return !is_animated_webp(source);
    case ImageFormat::kAvif:
      return !is_animated_avif(source);
    case ImageFormat::kJpeg:
      return !is_row_of_jpegs(source);
    default:
      return true;
  }
}

std::string words_of(const ClipTurn& turn) {
  constexpr std::string_view kTurns[] = {"", "turned a quarter to the right", "turned upside down",
                                         "turned a quarter to the left"};
  std::string words(turn.mirrored ? "mirrored" : "");
  if (turn.mirrored && turn.quarters != 0) words += " and ";
  return words.append(kTurns[turn.quarters]);
}

}  // namespace

std::unique_ptr<VideoReader> open_clip(const std::vector<MediaSource>& sources, const MediaLimits& limits,
                                       const VideoOptions& options) {
  if (const auto& decoder = sources[0].decoder(); decoder && sources[0].kind() != MediaSource::Kind::kFrames)
    return decoder->open_clip(sources, limits, options.rotate, options.pictures_rate);
  if (sources.size() > 1 || is_still_picture(sources[0]))
    return VideoReader::open_pictures(sources, limits, options.pictures_rate);
  auto reader = VideoReader::open(sources[0], limits, options.pictures_rate);
  if (options.rotate) reader->turn_upright();
  return reader;
}

std::vector<std::string> clip_notes(const std::string& name, const VideoReader& reader,
                                    const VideoOptions& options) {
  std::vector<std::string> notes = reader.notes();
  const VideoInfo& info = reader.info();
  if (info.turn) {
    const std::string words = words_of(info.turn);
    notes.push_back(
        info.upright
            ? fmt::format("[{}] its frames are {}, as its container says", name, words)
            : fmt::format("[{}] its frames should be {} to stand upright, as its container says, and "
                          "are looked at as stored, as in the reference; rotate \"auto\" turns them",
                          name, words));
  }
  if (options.pictures_rate && info.format != "pictures" && info.fps != options.pictures_rate) {
    notes.push_back(
        fmt::format("[{}] has a rate of its own: pictures_rate is for clips that are pictures", name));
  }
  return notes;
}

}  // namespace vl3
