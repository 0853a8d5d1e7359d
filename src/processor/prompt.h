#pragma once
// From a rendered template to ids: every placeholder becomes as many tokens as its picture or clip has.

#include <string>
#include <utility>
#include <vector>

#include "vl3/chat_template.h"
#include "vl3/tokenizer.h"

namespace vl3 {

struct Placeholders {
  std::string image_token, video_token;
  std::vector<std::string> images, videos;  // what replaces each of them, in order
};

struct ExpandedPrompt {
  std::string text;
  std::vector<int64_t> ids;
  std::vector<int64_t> labels;  // ids in the ranges that were asked for, -100 elsewhere
};

// Bytes [first, second) of a rendered prompt, before placeholders are expanded.
using TextRange = std::pair<size_t, size_t>;

// messages_too: special tokens count in text that came from messages as well, as in the reference.
// answers: ascending ranges that are tokenised by themselves, and labelled.
// Throws kInvalidArgument, with both counts, where placeholders and media disagree.
ExpandedPrompt expand_prompt(const Tokenizer& tokenizer, const std::vector<ChatTemplate::Piece>& pieces,
                             const Placeholders& placeholders, bool messages_too,
                             const std::vector<TextRange>& answers = {});

// "Time 0.0s:" and a token for every kept one, frame by frame. Reference: replace_video_token.
std::string clip_text(const std::vector<double>& timestamps, const std::vector<int64_t>& kept,
                      const std::string& video_token);

}  // namespace vl3
