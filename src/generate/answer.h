#pragma once
// When an answer ends, and its text.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "generate/stop_strings.h"
#include "vl3/generation.h"

namespace vl3 {

// What ends the answers to one prompt.
struct StopRules {
  // Throws kInvalidArgument for stop strings without a way to make text, and for a length that leaves
  // nothing.
  StopRules(const GenerationConfig& settings, const GenerationHooks& hooks, int64_t prompt_length);

  bool is_stop_token(int64_t id) const;
  // The stop string that this token spells, or empty.
  std::string name_of(int64_t id) const;
  // max_time runs from here on.
  void start_clock(const GenerationConfig& settings);
  // Whether an answer of this many tokens has to end, or time is up.
  bool no_more(int64_t new_tokens) const;

  std::vector<int64_t> tokens;  // eos_token_id, stop_token_ids, and special tokens that stop strings name
  std::vector<std::string> strings;  // the rest of stop_strings
  std::vector<std::pair<int64_t, std::string>> named;
  int64_t strings_after = 0;  // stop_strings_after
  int64_t limit = 0;          // new tokens
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// The text of one answer while it grows. Does nothing where the hooks make no text.
class AnswerText {
 public:
  AnswerText(const GenerationHooks& hooks, const StopRules& rules);
  AnswerText(AnswerText&&) = default;
  AnswerText& operator=(AnswerText&&) = default;
  AnswerText clone() const;

  // Adds a token; returns what may be shown now.
  std::string push(int64_t id);
  // No more tokens: what was held back. Not after a stop string.
  std::string finish();
  const std::string* stop_string() const noexcept { return matcher_.matched(); }
  const std::string& text() const noexcept { return text_; }

 private:
  AnswerText(std::unique_ptr<TextStream> stream, StopMatcher matcher, int64_t tokens_to_pass,
             std::string text);
  std::string show(std::string piece);

  std::unique_ptr<TextStream> stream_;
  StopMatcher matcher_;
  int64_t tokens_to_pass_;  // before stop strings count
  std::string text_;        // shown so far
};

}  // namespace vl3
