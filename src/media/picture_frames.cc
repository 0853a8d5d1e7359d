#include "media/picture_frames.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include "base/check.h"
#include "base/one_of.h"
#include "media/source_bytes.h"

namespace vl3 {
namespace {

class PictureFrames final : public VideoReader {
 public:
  PictureFrames(std::vector<MediaSource> pictures, const MediaLimits& limits, std::optional<double> rate,
                std::vector<std::string> notes)
      : pictures_(std::move(pictures)), limits_(limits) {
    require(!pictures_.empty(), ErrorCode::kInvalidArgument, "[clip] no pictures were given as frames");
    require(static_cast<int64_t>(pictures_.size()) <= limits.max_frames, ErrorCode::kLimitExceeded,
            "[clip] {} pictures are more than max_frames, {}", pictures_.size(), limits.max_frames);
    notes_ = std::move(notes);
    const Size first = size_of(pictures_[0]);
    info_.height = first.height;
    info_.width = first.width;
    info_.total_frames = static_cast<int64_t>(pictures_.size());
    info_.format = "pictures";
    info_.fps = rate;
    if (rate) info_.duration_s = static_cast<double>(info_.total_frames) / *rate;
    require(info_.duration_s <= limits.max_duration_s, ErrorCode::kLimitExceeded,
            "[clip] {} pictures at {} per second, {:.1f} s, are more than max_duration_s, {:.1f}",
            info_.total_frames, rate.value_or(0), info_.duration_s, limits.max_duration_s);
  }

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    for (size_t i = 0; i < indices.size(); ++i) {
      require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[clip] cancelled");
      require(indices[i] >= 0 && indices[i] < info_.total_frames, ErrorCode::kInvalidArgument,
              "[clip] frame {} of {}", indices[i], info_.total_frames);
      const MediaSource& picture = pictures_[static_cast<size_t>(indices[i])];
      const bool decoded = picture.kind() == MediaSource::Kind::kFrames;
      const Image read = decoded ? Image() : read_one(picture);
      const Image& image = decoded ? picture.pictures()[0] : read;
      require(image.height == info_.height && image.width == info_.width, ErrorCode::kFormat,
              "[{}] has {} x {} pixels; the clip's first frame has {} x {}", picture.name(), image.width,
              image.height, info_.width, info_.height);
      sink(i, image);
    }
  }

 private:
  struct Size {
    int64_t height, width;
  };
  Size size_of(const MediaSource& picture) {
    if (picture.kind() == MediaSource::Kind::kFrames) {
      require(picture.pictures().size() == 1, ErrorCode::kInvalidArgument,
              "[{}] is one of several pictures that are a clip and has {} frames", picture.name(),
              picture.pictures().size());
      return {picture.pictures()[0].height, picture.pictures()[0].width};
    }
    const ImageInfo info = probe_image(bytes_of(picture, limits_).bytes, limits_, picture.name(), false);
    if (info.frames > 1 && pictures_.size() == 1) {
      notes_.push_back(fmt::format("[{}] holds {} pictures, and the first one alone is looked at",
                                   picture.name(), info.frames));
    }
    return {info.height, info.width};
  }
  Image read_one(const MediaSource& picture) const {
    return decode_image(bytes_of(picture, limits_).bytes, limits_, picture.name(), false);
  }

  std::vector<MediaSource> pictures_;
  MediaLimits limits_;
};

class DecodedFrames final : public VideoReader {
 public:
  DecodedFrames(MediaSource source, const MediaLimits& limits, std::optional<double> rate)
      : source_(std::move(source)) {
    const std::vector<Image>& frames = source_.pictures();
    info_.height = frames[0].height;
    info_.width = frames[0].width;
    require(info_.height <= limits.max_pixels / info_.width, ErrorCode::kLimitExceeded,
            "[{}] frames of {} x {} pixels are above max_pixels, {}", source_.name(), info_.width,
            info_.height, limits.max_pixels);
    info_.total_frames = static_cast<int64_t>(frames.size());
    require(info_.total_frames <= limits.max_frames, ErrorCode::kLimitExceeded,
            "[{}] {} frames are more than max_frames, {}", source_.name(), info_.total_frames,
            limits.max_frames);
    info_.format = source_.times_s().empty() ? "pictures" : "frames";
    tell_times(rate);
    require(info_.duration_s <= limits.max_duration_s, ErrorCode::kLimitExceeded,
            "[{}] {:.1f} s are more than max_duration_s, {:.1f}", source_.name(), info_.duration_s,
            limits.max_duration_s);
  }

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    for (size_t i = 0; i < indices.size(); ++i) {
      require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", source_.name());
      require(indices[i] >= 0 && indices[i] < info_.total_frames, ErrorCode::kInvalidArgument,
              "[{}] frame {} of {}", source_.name(), indices[i], info_.total_frames);
      sink(i, source_.pictures()[static_cast<size_t>(indices[i])]);
    }
  }

 private:
  void tell_times(std::optional<double> rate) {
    constexpr double kSameTime_s = 0.001;
    const std::vector<double>& times = source_.times_s();
    const double count = static_cast<double>(info_.total_frames);
    if (times.empty()) {
      info_.fps = rate;
      if (rate) info_.duration_s = count / *rate;
      return;
    }
    const double span_s = times.back() - times.front();
    // The last frame is shown as long as the others are on average.
    if (span_s > 0) info_.fps = (count - 1) / span_s;
    info_.duration_s = times.back() + (span_s > 0 ? 1 / *info_.fps : 0);
    bool even = span_s > 0 && times.front() == 0;
    for (size_t i = 0; i < times.size() && even; ++i)
      even = std::abs(times[i] - static_cast<double>(i) / *info_.fps) <= kSameTime_s;
    if (!even) info_.times_s = times;
  }

  MediaSource source_;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The row of digits at the beginning, without leading zeros.
std::string_view number_of(std::string_view text) {
  size_t end = 0, begin = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  while (begin + 1 < end && text[begin] == '0') ++begin;
  return text.substr(begin, end - begin);
}

bool is_picture(const std::filesystem::path& path) {
  std::array<char, 64> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  ImageFormat format{};
  if (sniff_image(std::as_bytes(std::span(head.data(), static_cast<size_t>(file.gcount()))), &format))
    return true;
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kEnds[] = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif",
                                        ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
                                        ".jxl", ".jp2", ".ppm",  ".pgm",  ".tga",  ".qoi"};
  return is_one_of(end, kEnds);
}

// "a, b, c and 4 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

}  // namespace

bool in_natural_order(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view x = number_of(a.substr(i)), y = number_of(b.substr(j));
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      while (i < a.size() && is_digit(a[i])) ++i;
      while (j < b.size() && is_digit(b[j])) ++j;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i;
      ++j;
    }
  }
  const bool a_left = i < a.size(), b_left = j < b.size();
  if (a_left != b_left) return b_left;
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

FolderPictures folder_pictures(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> pictures;
  std::vector<std::string> others;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::error_code unknown;
    // A link that leads nowhere is what its name says: if a picture's, a frame that cannot be read.
    const bool dangles = entry.is_symlink(unknown) && !entry.exists(unknown);
    if (!dangles && !entry.is_regular_file(unknown)) continue;
    const std::string name = entry.path().filename().string();
    if (name[0] != '.' && is_picture(entry.path())) {
      pictures.push_back(entry.path());
    } else {
      others.push_back(name);
    }
  }
  std::sort(others.begin(), others.end(), in_natural_order);
  require(!pictures.empty(), ErrorCode::kInvalidArgument, "[{}] is a folder without pictures{}",
          folder.string(), others.empty() ? "" : "; it has " + listed(others));
  std::sort(pictures.begin(), pictures.end(), [](const auto& a, const auto& b) {
    return in_natural_order(a.filename().string(), b.filename().string());
  });
  return {{pictures.begin(), pictures.end()}, std::move(others)};
}

std::unique_ptr<VideoReader> open_folder(const std::filesystem::path& folder, const MediaLimits& limits,
                                         std::optional<double> pictures_rate) {
  auto [pictures, others] = folder_pictures(folder);
  std::vector<std::string> notes;
  if (!others.empty()) {
    notes.push_back(fmt::format("[{}] files that are no pictures are left out of the {} frames: {}",
                                folder.string(), pictures.size(), listed(others)));
  }
  return std::make_unique<PictureFrames>(std::move(pictures), limits, pictures_rate, std::move(notes));
}

std::unique_ptr<VideoReader> open_frames(const MediaSource& source, const MediaLimits& limits,
                                         std::optional<double> pictures_rate) {
  return std::make_unique<DecodedFrames>(source, limits, pictures_rate);
}

std::unique_ptr<VideoReader> VideoReader::open_pictures(std::vector<MediaSource> pictures,
                                                        const MediaLimits& limits,
                                                        std::optional<double> pictures_rate) {
  return std::make_unique<PictureFrames>(std::move(pictures), limits, pictures_rate,
                                         std::vector<std::string>());
}

}  // namespace vl3
