#pragma once
// The tokens that stand for a picture and for a clip in a prompt.

#include <filesystem>

#include "vl3/chat_template.h"
#include "vl3/tokenizer.h"

namespace vl3 {

// As the reference finds them: "image_token" and "video_token" of tokenizer_config.json (or of its
// "extra_special_tokens"), else <|image_pad|> and <|video_pad|>. Where the tokenizer has no such token: the
// ones with the ids that config.json gives ("image_token_id", "video_token_id"; "image_token_index" for
// both), so that a language model without tokens of its own for pictures can be given some. Throws kFormat
// where there are none.
MediaTokens find_media_tokens(const std::filesystem::path& folder, const Tokenizer& tokenizer);

}  // namespace vl3
