#pragma once
// POST /v1/responses: OpenAI's newer form of a chat. Nothing is stored.

#include <cstdint>
#include <optional>
#include <string>

#include "serve/answer_job.h"

namespace vl3::serve {

// Throws ApiError. docs/api.md lists the fields.
AnswerSetup responses_setup(Service& service, const Json& body, const std::string& client);

}  // namespace vl3::serve
