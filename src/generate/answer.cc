#include "generate/answer.h"

#include <algorithm>

#include "base/check.h"

namespace vl3 {

StopRules::StopRules(const GenerationConfig& settings, const GenerationHooks& hooks, int64_t prompt_length)
    : strings_after(settings.stop_strings_after), limit(settings.new_token_limit(prompt_length)) {
  const auto add = [&](int64_t id) {
    if (!is_stop_token(id)) tokens.push_back(id);
  };
  for (const int64_t id : settings.eos_token_id) add(id);
  for (const int64_t id : settings.stop_token_ids) add(id);
  require(settings.stop_strings.empty() || hooks.make_text != nullptr, ErrorCode::kInvalidArgument,
          "[settings] stop_strings need a tokenizer, and this call has none");
  for (const std::string& text : settings.stop_strings) {
    const auto id = hooks.special_token ? hooks.special_token(text) : std::nullopt;
    if (!id) {
      strings.push_back(text);
      continue;
    }
    add(*id);
    named.emplace_back(*id, text);
  }
}

void StopRules::start_clock(const GenerationConfig& settings) {
  if (!settings.max_time) return;
  // Beyond some years the clock's own range would be left.
  const std::chrono::duration<double> seconds(std::min(*settings.max_time, 1e8));
  deadline = std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(seconds);
}

bool StopRules::is_stop_token(int64_t id) const {
  return std::find(tokens.begin(), tokens.end(), id) != tokens.end();
}

std::string StopRules::name_of(int64_t id) const {
  for (const auto& [token, text] : named) {
    if (token == id) return text;
  }
  return {};
}

bool StopRules::no_more(int64_t new_tokens) const {
  return new_tokens >= limit || (deadline && std::chrono::steady_clock::now() >= *deadline);
}

AnswerText::AnswerText(const GenerationHooks& hooks, const StopRules& rules)
    : AnswerText(hooks.make_text ? hooks.make_text() : nullptr, StopMatcher(rules.strings),
                 rules.strings_after, {}) {}

AnswerText::AnswerText(std::unique_ptr<TextStream> stream, StopMatcher matcher, int64_t tokens_to_pass,
                       std::string text)
    : stream_(std::move(stream)),
      matcher_(std::move(matcher)),
      tokens_to_pass_(tokens_to_pass),
      text_(std::move(text)) {}

AnswerText AnswerText::clone() const {
  return {stream_ ? stream_->clone() : nullptr, matcher_, tokens_to_pass_, text_};
}

std::string AnswerText::show(std::string piece) {
  text_ += piece;
  return piece;
}

std::string AnswerText::push(int64_t id) {
  if (!stream_) return {};
  const std::string piece = stream_->push(id);
  return show(tokens_to_pass_-- > 0 ? matcher_.pass(piece) : matcher_.push(piece));
}

std::string AnswerText::finish() {
  if (!stream_ || stop_string() != nullptr) return {};
  const std::string rest = stream_->finish();  // of the last token
  std::string piece = tokens_to_pass_ >= 0 ? matcher_.pass(rest) : matcher_.push(rest);
  if (stop_string() == nullptr) piece += matcher_.finish();
  return show(std::move(piece));
}

}  // namespace vl3
