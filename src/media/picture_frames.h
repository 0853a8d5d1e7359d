#pragma once
// Pictures that are the frames of a clip.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/media_limits.h"
#include "vl3/video.h"

namespace vl3 {

// Whether a comes before b where a row of digits counts as a number: "frame_2" before "frame_10". Equal
// numbers written with fewer digits come first, and everything else goes by bytes.
bool in_natural_order(std::string_view a, std::string_view b);

// Frames that are decoded already, with their times. A rate that is constant, to a millisecond, and begins at
// 0 is one as a file's is; other times are the frames' own.
std::unique_ptr<VideoReader> open_frames(const MediaSource& source, const MediaLimits& limits,
                                         std::optional<double> pictures_rate);

// The pictures of a folder in their order, and what else it has. Throws kInvalidArgument where there is none.
struct FolderPictures {
  std::vector<MediaSource> pictures;
  std::vector<std::string> others;
};
FolderPictures folder_pictures(const std::filesystem::path& folder);

// The pictures of a folder, as VideoReader says. A file is a picture by its content, or by the end of its
// name if nothing else: a frame that is broken is an error when it is read, and not left out. Throws
// kInvalidArgument where there is no picture.
std::unique_ptr<VideoReader> open_folder(const std::filesystem::path& folder, const MediaLimits& limits,
                                         std::optional<double> pictures_rate);

}  // namespace vl3
