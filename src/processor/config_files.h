#pragma once
// The processors' part of a checkpoint folder.

#include <filesystem>
#include <optional>

#include "base/json.h"
#include "vl3/image_processor.h"
#include "vl3/video_processor.h"

namespace vl3 {

// A file of a checkpoint folder as JSON; nothing where it is absent.
std::optional<Json> read_config_file(const std::filesystem::path& folder, const std::string& name);

// The objects "image_processor" and "video_processor" of processor_config.json (the newer nesting), else
// preprocessor_config.json and video_preprocessor_config.json; for clips, where that is absent too,
// preprocessor_config.json, as the reference does. The reference's defaults where there is no file at all.
// Files of the original release count areas in tokens ("min_tokens", "max_tokens") and serve for both. Keys
// that are none of the processors' are passed over: such files carry names of classes and settings of other
// programs.
PixelOptions read_image_options(const std::filesystem::path& folder);
VideoOptions read_video_options(const std::filesystem::path& folder);

}  // namespace vl3
