#pragma once
// Pictures and clips of a row, and the places in its turns that they belong to.

#include <filesystem>
#include <string>
#include <vector>

#include "train/data/row_keys.h"

namespace vl3 {

bool is_url(const std::string& path);  // an address or data: URL

// A path of a row from where its media begin; URLs stay what they are.
std::string resolved(const std::string& path, const std::filesystem::path& media);

// Pictures or clips that a row lists beside its turns, as parts of a message.
struct RowMedia {
  std::vector<Json> parts;
  size_t next = 0;        // the first that has no place yet
  bool may_lack = false;  // what has no place comes first
  const char* kind = "";  // "image" or "video"
};

// What the row has under `kind` or its plural. Throws kFormat for both, and for what is no path.
RowMedia listed_media(RowKeys& row, const char* kind, const std::filesystem::path& media);

// Throws kFormat for a word in a user's turn that stands for a file in other programs and for nothing here:
// "<img>", "<|image_1|>", "<ImageHere>", …
void require_no_foreign_marks(const std::string& text, const std::string& origin);

// Puts the media where messages ({"role", "content"}) have marks or parts without a file, resolves the paths
// of the other parts, and gives every clip `clip_options`. Content without any of that stays as it is. Throws
// kFormat where places and media do not match, for a mark or a medium in what an assistant or the system
// says, and for marks of other programs.
void place_media(Json& messages, RowMedia images, RowMedia videos, const Json& clip_options,
                 const std::filesystem::path& media, const std::string& origin);

// Whether messages have a part that shows something.
bool holds_media(const Json& messages);

}  // namespace vl3
