#pragma once
// The tokens that stand for a picture and for a clip in a prompt.

#include <cstdint>
#include <filesystem>
#include <optional>

#include "vl3/chat_template.h"
#include "vl3/tokenizer.h"

namespace vl3 {

// As the reference finds them: "image_token" and "video_token" of tokenizer_config.json (or of its
// "extra_special_tokens"), else <|image_pad|> and <|video_pad|>. Where the tokenizer has no such token: the
// ones with the ids that config.json gives ("image_token_id", "video_token_id"; "image_token_index" for
// both), so that a language model without tokens of its own for pictures can be given some. Throws kFormat
// where there are none.
MediaTokens find_media_tokens(const std::filesystem::path& folder, const Tokenizer& tokenizer);

// The ids under which a model takes pictures and clips, as its config.json says: "image_token_index" for both
// (the original release), or "image_token_id" and "video_token_id", whose defaults are those of the
// reference. Nothing without such a file, or where it is of another kind of model.
struct MediaTokenIds {
  std::optional<int64_t> image, video;
};
MediaTokenIds read_media_token_ids(const std::filesystem::path& folder);

}  // namespace vl3
