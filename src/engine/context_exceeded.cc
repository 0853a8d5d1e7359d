#include "vl3/context_exceeded.h"

#include <fmt/format.h>

namespace vl3 {
namespace {

std::string or_numbers(const std::string& message, int64_t prompt_tokens, int64_t new_tokens,
                       int64_t context_tokens) {
  if (!message.empty()) return message;
  return fmt::format(
      "[scheduler] the prompt has {} tokens and {} new ones are wanted at least, but the "
      "model's context, or the memory for keys and values, holds {}",
      prompt_tokens, new_tokens, context_tokens);
}

}  // namespace

ContextExceeded::ContextExceeded(int64_t prompt_tokens, int64_t new_tokens, int64_t context_tokens,
                                 const std::string& message)
    : Error(ErrorCode::kLimitExceeded, or_numbers(message, prompt_tokens, new_tokens, context_tokens)),
      prompt_tokens_(prompt_tokens),
      new_tokens_(new_tokens),
      context_tokens_(context_tokens) {}

}  // namespace vl3
