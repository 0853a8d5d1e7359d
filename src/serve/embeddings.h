#pragma once
// POST /v1/embeddings: vectors of texts, of pictures and clips, and of conversations.

#include <functional>
#include <string>

#include "base/json.h"
#include "serve/service.h"

namespace vl3::serve {

// {"input": text, texts or ids} or {"messages": […]} → {"object": "list", "data": […], "model", "usage"}. May
// download, and waits for the engine. Throws ApiError. docs/api.md says what is pooled.
Json embeddings(Service& service, const Json& body, const std::string& client,
                const std::function<bool()>& cancelled);

}  // namespace vl3::serve
