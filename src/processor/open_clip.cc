#include "processor/open_clip.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <span>
#include <string_view>

#include "media/webp_clip.h"
#include "vl3/video_processor.h"

namespace vl3 {
namespace {

uint32_t load_be32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// Whether a PNG says, before its pixels, that it has more than one frame.
bool is_animated_png(std::ifstream& file) {
  constexpr std::streamoff kSignature = 8;
  constexpr int kMostChunks = 4096;
  file.clear();
  file.seekg(kSignature);
  for (int i = 0; i < kMostChunks; ++i) {
    std::array<char, 12> chunk{};  // length, type, the first four bytes
    if (!file.read(chunk.data(), chunk.size())) return false;
    const std::string_view type(chunk.data() + 4, 4);
    if (type == "acTL") return load_be32(chunk.data() + 8) > 1;
    if (type == "IDAT") return false;
    file.seekg(std::streamoff{load_be32(chunk.data())}, std::ios::cur);  // the rest of it and the checksum
  }
  return false;
}

// A GIF may be animated: that is for the decoder of clips to say.
bool is_still_picture(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 64> head{};
  file.read(head.data(), head.size());
  const auto bytes = std::as_bytes(std::span(head.data(), static_cast<size_t>(file.gcount())));
  ImageFormat format{};
  if (!sniff_image(bytes, &format) || format == ImageFormat::kGif) return false;
  if (format == ImageFormat::kPng) return !is_animated_png(file);
  return format != ImageFormat::kWebp || !is_animated_webp(path);
}

std::string words_of(const ClipTurn& turn) {
  constexpr std::string_view kTurns[] = {"", "turned a quarter to the right", "turned upside down",
                                         "turned a quarter to the left"};
  std::string words(turn.mirrored ? "mirrored" : "");
  if (turn.mirrored && turn.quarters != 0) words += " and ";
  return words.append(kTurns[turn.quarters]);
}

}  // namespace

std::unique_ptr<VideoReader> open_clip(const std::vector<std::filesystem::path>& paths,
                                       const MediaLimits& limits, const VideoOptions& options) {
  if (paths.size() > 1 || is_still_picture(paths[0]))
    return VideoReader::open_pictures(paths, limits, options.pictures_rate);
  auto reader = VideoReader::open(paths[0], limits, options.pictures_rate);
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
  if (options.pictures_rate && info.format != "pictures") {
    notes.push_back(
        fmt::format("[{}] has a rate of its own: pictures_rate is for clips that are pictures", name));
  }
  return notes;
}

std::unique_ptr<VideoReader> OpenClips::take(const std::vector<std::filesystem::path>& paths,
                                             const MediaLimits& limits, const VideoOptions& options) {
  for (auto clip = clips_.begin(); clip != clips_.end(); ++clip) {
    if (clip->paths != paths || clip->rotate != options.rotate ||
        clip->pictures_rate != options.pictures_rate)
      continue;
    std::unique_ptr<VideoReader> reader = std::move(clip->reader);
    clips_.erase(clip);
    return reader;
  }
  return open_clip(paths, limits, options);
}

void OpenClips::keep(const std::vector<std::filesystem::path>& paths, std::unique_ptr<VideoReader> reader,
                     const VideoOptions& options) {
  constexpr size_t kMost = 16;  // each holds a file and its index
  if (clips_.size() < kMost)
    clips_.push_back({paths, options.rotate, options.pictures_rate, std::move(reader)});
}

}  // namespace vl3
