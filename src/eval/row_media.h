#pragma once
// Pictures and clips of a row, and the parts of its message.

#include <filesystem>

#include "base/json.h"
#include "eval/tasks.h"

namespace vl3::eval {

// "image" or "images" and "video" or "videos", pictures first, with what a row says of its clips: into the
// sample's message, and for the record into its media. Paths are resolved in the folder. Throws kFormat, and
// kNotFound for a file that is not there.
void read_media(const JsonView& row, const std::filesystem::path& folder, Sample& sample);

// "content": the parts of the message, in their order; the sample's question is their texts. Throws likewise.
void read_content(const JsonView& row, const std::filesystem::path& folder, Sample& sample);

}  // namespace vl3::eval
