#include "processor/open_clip.h"

#include <array>
#include <fstream>
#include <span>

#include "vl3/video_processor.h"

namespace vl3 {
namespace {

// A GIF may be animated: that is for the decoder of clips to say.
bool is_still_picture(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 64> head{};
  file.read(head.data(), head.size());
  const auto bytes = std::as_bytes(std::span(head.data(), static_cast<size_t>(file.gcount())));
  ImageFormat format{};
  return sniff_image(bytes, &format) && format != ImageFormat::kGif;
}

}  // namespace

std::unique_ptr<VideoReader> open_clip(const std::vector<std::filesystem::path>& paths,
                                       const MediaLimits& limits) {
  if (paths.size() > 1 || is_still_picture(paths[0])) return VideoReader::open_pictures(paths, limits);
  return VideoReader::open(paths[0], limits);
}

std::unique_ptr<VideoReader> OpenClips::take(const std::vector<std::filesystem::path>& paths,
                                             const MediaLimits& limits) {
  for (auto clip = clips_.begin(); clip != clips_.end(); ++clip) {
    if (clip->first != paths) continue;
    std::unique_ptr<VideoReader> reader = std::move(clip->second);
    clips_.erase(clip);
    return reader;
  }
  return open_clip(paths, limits);
}

void OpenClips::keep(const std::vector<std::filesystem::path>& paths, std::unique_ptr<VideoReader> reader) {
  constexpr size_t kMost = 16;  // each holds a file and its index
  if (clips_.size() < kMost) clips_.emplace_back(paths, std::move(reader));
}

}  // namespace vl3
