#pragma once
// Counting without answering: /tokenize, /detokenize and /v1/chat/completions/input_tokens.

#include <functional>
#include <string>

#include "base/json.h"
#include "serve/service.h"

namespace vl3::serve {

// {"content" or "prompt": text} or {"messages": […]} as a chat has them, media and all → {"tokens", "count",
// "max_model_len"}. May download. Throws ApiError.
Json tokenize(Service& service, const Json& body, const std::string& client,
              const std::function<bool()>& cancelled);
// {"tokens": […]} → {"content", "prompt"}, which are the same.
Json detokenize(const Service& service, const Json& body);
// A chat's body → {"object": "chat.completion.input_tokens", "input_tokens"}.
Json input_tokens(Service& service, const Json& body, const std::string& client,
                  const std::function<bool()>& cancelled);

}  // namespace vl3::serve
