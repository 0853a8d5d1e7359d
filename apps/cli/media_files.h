#pragma once
// What words of a command line or a chat mean: pictures, clips, or text.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3::cli {

enum class MediaKind { kNone, kPicture, kClip };

// By content: what decodes as a picture, unless it is animated; a folder that can be read as a clip, and what
// FFmpeg opens as one. kNone also for what does not exist.
MediaKind media_kind(const std::filesystem::path& path, const MediaLimits& limits);

// Whether it ends like a picture's or clip's name ("a.jpg").
bool has_media_ending(std::string_view name);

// Whether the word can only be meant as a file: one word that ends like a picture's or clip's name, or begins
// like a path ("/", "./", "../", "~/", "file:") or an address ("http://", "https://", "data:").
bool looks_like_file(std::string_view word);

// Throws kInvalidArgument for a clip among images and for a still picture among videos, saying which option
// fits (mark: what options begin with, "/" in a chat). What is neither is left to decoding, which says what
// is wrong with it.
void check_media_options(const std::vector<std::string>& images, const std::vector<std::string>& videos,
                         const MediaLimits& limits, std::string_view mark = "--");

// The same of what was fetched for a clip, without a mark.
void check_fetched_clip(const MediaSource& source, const MediaLimits& limits);

// A file of a checkpoint (model.safetensors, a shard or its index, config.json, an adapter's) stands for its
// folder; any other path comes back as it is.
std::string checkpoint_folder(const std::string& path);

}  // namespace vl3::cli
