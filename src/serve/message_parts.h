#pragma once
// Messages as clients write them, taken apart: what the processor gets, and the pictures and clips that have
// to be fetched before. No text of a client ever names a file: names of media are made up here.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "serve/field_reader.h"
#include "serve/media_intake.h"

namespace vl3::serve {

// How a picture or clip is looked at: what its part says, or a request of all its media of a kind.
struct MediaOptions {
  Json named = Json::object();        // under the processor's names
  std::optional<int64_t> max_tokens;  // visual tokens that one may have
};

// Takes `key` of `from`, if it is an option of clips (video) or of pictures: these are the same names for
// parts and for whole requests. False: it is none. Throws ApiError 400 for one that is given twice.
bool read_media_option(const FieldReader& from, const std::string& key, bool video, MediaOptions& options);
// The names that are options of clips, of pictures, or of either: "fps, max_frames, …".
std::string media_option_names(bool clips, bool pictures);

// A picture or clip of a request.
struct MediaSlot {
  MediaKind kind = MediaKind::kImage;
  std::vector<std::string> urls;   // one, or the frames of a clip; none: what `uuid` stands for
  std::string uuid;                // under which it is remembered, or was; empty: none
  std::string part_param;          // "messages[0].content[1]"
  std::string param;               // "messages[0].content[1].image_url"
  size_t message = 0, part = 0;    // where it stands
  MediaOptions options;            // of the part; of a list, "fps" is how its frames follow each other
  bool listed = false;             // each URL is a frame, even if there is but one
  bool joined = false;             // the one URL has all frames: data:video/jpeg
  std::vector<double> timestamps;  // when each frame of a list is shown, in seconds
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

[[noreturn]] void refuse_timestamps(const std::string& param);  // of what is no list of frames

// Keys under which somebody means a picture or clip, be they read or not.
bool is_medium_key(std::string_view key);

}  // namespace vl3::serve
