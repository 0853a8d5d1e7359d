#pragma once
// From a rendered template to ids: every placeholder becomes as many ids as its picture or clip has tokens.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vl3/chat_template.h"
#include "vl3/tokenizer.h"

namespace vl3 {

// What replaces a placeholder: text before each run of visual tokens. A picture is one run without text.
struct VisualRun {
  std::string text;
  int64_t tokens = 0;
};
using Replacement = std::vector<VisualRun>;

// Every frame's "Time 0.0s:" and its kept tokens. Reference: replace_video_token.
Replacement clip_runs(const std::vector<double>& timestamps, const std::vector<int64_t>& kept);

struct Placeholders {
  MediaTokens tokens;                       // as the template writes them; both may be the same
  int64_t image_id = 0, video_id = 0;       // what the model calls them
  std::vector<Replacement> images, videos;  // of each, in order
  std::vector<bool> is_video;  // of each of both kinds, in order: counts where the tokens are the same
};

struct ExpandedPrompt {
  std::vector<int64_t> ids;
  std::vector<int64_t> labels;  // ids in the ranges that were asked for, -100 elsewhere
  std::string text;             // with every visual token spelt out, where that was asked for
};

// Bytes [first, second) of a rendered prompt, before placeholders are expanded.
using TextRange = std::pair<size_t, size_t>;

struct PromptOptions {
  bool messages_too =
      false;  // special tokens count in text that came from messages as well, as in the reference
  bool with_text = false;
  std::vector<TextRange> answers = {};  // ascending ranges that are tokenised by themselves, and labelled
};

// Only one token of each run is tokenised; ids are those of the prompt with all of them spelt out.
// Throws kInvalidArgument, with both counts, where placeholders and media disagree; kFormat where the
// tokenizer does not recognise a placeholder as a whole.
ExpandedPrompt expand_prompt(const Tokenizer& tokenizer, const std::vector<ChatTemplate::Piece>& pieces,
                             const Placeholders& placeholders, const PromptOptions& options = {});

}  // namespace vl3
