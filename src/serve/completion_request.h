#pragma once
// POST /v1/completions: what a body asks for.

#include <string>

#include "serve/answer_job.h"

namespace vl3::serve {

// Throws ApiError. docs/api.md lists the fields.
AnswerSetup completion_setup(Service& service, const Json& body, const std::string& client);

// A text, ids, or a list of either, as ids; text is plain text all over. Refuses what is empty, and ids that
// stand for pictures and clips. param: "prompt" or "input".
std::vector<std::vector<int64_t>> read_prompts(const Service& service, const FieldReader& fields,
                                               const std::string& param, size_t most);

}  // namespace vl3::serve
