#pragma once
// Messages as clients write them, taken apart: what the processor gets, and the pictures and clips that have
// to be fetched before. No text of a client ever names a file: names of media are made up here.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "serve/media_intake.h"

namespace vl3::serve {

// A picture or clip of a request.
struct MediaSlot {
  MediaKind kind = MediaKind::kImage;
  std::vector<std::string> urls;      // one, or the frames of a clip; none: what `uuid` stands for
  std::string uuid;                   // under which it is remembered, or was; empty: none
  std::string param;                  // "messages[0].content[1].image_url"
  size_t message = 0, part = 0;       // where it stands
  Json options;                       // of the part, under the processor's names
  std::optional<int64_t> max_tokens;  // visual tokens it may have
  bool frames = false;                // a list, even of one
  std::optional<double> frames_fps;   // at which the frames of a list follow each other
  std::vector<double> timestamps;     // or when each of them is shown, in seconds
};

struct ReadMessages {
  // [{"role", "content"}…]: contents are texts, or parts {"type": "text", "text"} and, in place of each
  // medium, null.
  Json messages = Json::array();
  std::vector<MediaSlot> media;  // in the order of the messages
};

inline constexpr size_t kMostMedia = 256;      // of a request
inline constexpr size_t kMostFrames = 4096;    // of a list
inline constexpr size_t kMostMessages = 8192;  // of a request

// Throws ApiError 400 naming message, part and key. param: "messages", or "input" of responses.
ReadMessages read_messages(const Json& messages, const std::string& param);

// Names of options of clips, and of pictures.
bool is_clip_option(std::string_view key);
bool is_picture_option(std::string_view key);

}  // namespace vl3::serve
