#pragma once
// The words by which parts of messages say what they are and which medium they show.

#include <array>
#include <string_view>

#include "base/one_of.h"

namespace vl3 {

enum class PartKind { kNone, kText, kImage, kVideo };

struct Spelling {
  std::string_view name;
  PartKind kind;
};
// Types of parts; all but "output_text" are also keys that tell a part's kind where it has no type.
inline constexpr Spelling kTypes[] = {
    {"text", PartKind::kText},   {"input_text", PartKind::kText}, {"output_text", PartKind::kText},
    {"image", PartKind::kImage}, {"image_url", PartKind::kImage}, {"input_image", PartKind::kImage},
    {"video", PartKind::kVideo}, {"video_url", PartKind::kVideo}, {"input_video", PartKind::kVideo}};

// Under which keys a part names its medium, and an object in it the same again.
inline constexpr std::array<std::string_view, 8> kImageKeys = {
    "image", "image_url", "input_image", "image_path", "path", "url", "data", "base64"};
inline constexpr std::array<std::string_view, 8> kVideoKeys = {
    "video", "video_url", "input_video", "video_path", "path", "url", "data", "base64"};
inline const auto& source_keys(bool video) { return video ? kVideoKeys : kImageKeys; }

inline bool is_base64_key(std::string_view key) { return key == "data" || key == "base64"; }

inline bool is_source_key(std::string_view key, bool video) { return is_one_of(key, source_keys(video)); }

}  // namespace vl3
