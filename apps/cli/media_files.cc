#include "media_files.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <span>

#include "address_options.h"
#include "base/check.h"
#include "base/one_of.h"
#include "vl3/image.h"
#include "vl3/video.h"

namespace vl3::cli {
namespace {

constexpr std::string_view kEndings[] = {
    "png",  "apng", "jpg",  "jpeg", "jfif", "webp", "gif", "bmp",  "dib",   "tif", "tiff", "avif",
    "heic", "heif", "jxl",  "jp2",  "j2k",  "ppm",  "pgm", "pbm",  "pnm",   "ico", "tga",  "qoi",
    "pcx",  "sgi",  "dds",  "mp4",  "m4v",  "mov",  "mkv", "webm", "avi",   "ts",  "mts",  "mpg",
    "m2ts", "flv",  "mpeg", "ogv",  "ogg",  "3gp",  "wmv", "asf",  "y4m",   "mxf", "dv",   "h264",
    "ivf",  "nut",  "hevc", "vob",  "obu",  "h265", "wtv", "rm",   "mjpeg", "mjpg"};

constexpr size_t kHead = 4096;  // of a file, enough to know its format

bool begins_like_picture(std::span<const std::byte> head) {
  ImageFormat format{};
  return sniff_image(head, &format);
}

bool begins_like_picture(const std::filesystem::path& path) {
  std::array<char, kHead> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), kHead);
  return begins_like_picture(std::as_bytes(std::span(head.data(), static_cast<size_t>(file.gcount()))));
}

// 0 where it is no clip.
int64_t frames_of(const MediaSource& source, const MediaLimits& limits) {
  try {
    return VideoReader::open(source, limits)->info().total_frames;
  } catch (const Error&) {
    return 0;
  }
}

bool exists_as_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

MediaKind media_kind(const std::filesystem::path& path, const MediaLimits& limits) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status))
    return frames_of(path, limits) > 0 ? MediaKind::kClip : MediaKind::kNone;
  if (!std::filesystem::is_regular_file(status)) return MediaKind::kNone;  // a pipe could be read only once
  if (begins_like_picture(path)) return frames_of(path, limits) > 1 ? MediaKind::kClip : MediaKind::kPicture;
  return frames_of(path, limits) > 0 ? MediaKind::kClip : MediaKind::kNone;
}

bool has_media_ending(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  std::string ending(name.substr(dot + 1));
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return is_one_of(ending, kEndings);
}

bool looks_like_file(std::string_view word) {
  if (word.empty() || word.find_first_of(" \t\n") != std::string_view::npos) return false;
  if (is_address(word)) return true;
  for (const std::string_view start : {"/", "./", "../", "~/", "file:"}) {
    if (word.starts_with(start)) return word.size() > start.size();
  }
  return has_media_ending(word);
}

void check_media_options(const std::vector<std::string>& images, const std::vector<std::string>& videos,
                         const MediaLimits& limits, std::string_view mark) {
  for (const std::string& path : images) {
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(path, ignored);
    if (!folder && (!exists_as_file(path) || begins_like_picture(path))) continue;
    require(media_kind(path, limits) != MediaKind::kClip, ErrorCode::kInvalidArgument,
            "[{}] is {}, no picture: give it as {}video", path,
            folder ? "a folder of pictures, which is a clip" : "a clip", mark);
  }
  for (const std::string& path : videos) {
    if (!exists_as_file(path) || !begins_like_picture(path)) continue;
    bool still = false;
    try {
      probe_image(std::filesystem::path(path), limits);
      still = frames_of(std::filesystem::path(path), limits) <= 1;
    } catch (const Error&) {  // a broken picture: decoding says how
    }
    require(!still, ErrorCode::kInvalidArgument, "[{}] is a picture, no clip: give it as {}image", path,
            mark);
  }
}

void check_fetched_clip(const MediaSource& source, const MediaLimits& limits) {
  std::array<std::byte, kHead> read{};
  std::span<const std::byte> head = source.data().first(std::min(kHead, source.data().size()));
  if (source.kind() == MediaSource::Kind::kOpenFile) {
    const ssize_t got = ::pread(source.descriptor(), read.data(), read.size(), 0);
    head = std::span(read).first(static_cast<size_t>(std::max<ssize_t>(0, got)));
  }
  const bool picture = source.kind() == MediaSource::Kind::kFile ? begins_like_picture(source.path())
                                                                 : begins_like_picture(head);
  require(!picture || frames_of(source, limits) > 1, ErrorCode::kInvalidArgument,
          "[{}] is a picture, no clip: give it as an image", source.name());
}

std::string checkpoint_folder(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string name = file.filename().string();
  const bool of_checkpoint = name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") ||
                             name == "config.json" || name == "adapter_config.json";
  if (!of_checkpoint || !exists_as_file(path)) return path;
  return file.has_parent_path() ? file.parent_path().string() : ".";
}

}  // namespace vl3::cli
