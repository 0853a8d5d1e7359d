#pragma once
// A prompt, with the new tokens that are wanted, for which the model's context is too short.

#include <cstdint>
#include <string>

#include "vl3/error.h"
#include "vl3/export.h"

namespace vl3 {

class VL3_API ContextExceeded : public Error {
 public:
  // prompt_tokens: at least so many. message: empty for one of these numbers.
  ContextExceeded(int64_t prompt_tokens, int64_t new_tokens, int64_t context_tokens,
                  const std::string& message = {});
  int64_t prompt_tokens() const noexcept { return prompt_tokens_; }
  int64_t new_tokens() const noexcept { return new_tokens_; }
  int64_t context_tokens() const noexcept { return context_tokens_; }

 private:
  int64_t prompt_tokens_, new_tokens_, context_tokens_;
};

}  // namespace vl3
