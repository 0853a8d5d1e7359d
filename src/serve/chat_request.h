#pragma once
// POST /v1/chat/completions: what a body asks for.

#include <string>

#include "serve/answer_job.h"
#include "serve/conversation.h"

namespace vl3::serve {

// Throws ApiError. docs/api.md lists the fields.
AnswerSetup chat_setup(Service& service, const Json& body, const std::string& client);

// log-probabilities as chat asks for them: the number of alternatives, none where they are not wanted.
std::optional<int64_t> read_chat_logprobs(const FieldReader& fields);

// Refuses fields that would change an answer and that nothing here heeds.
void refuse_unsupported(const FieldReader& fields);
void refuse_echo(const FieldReader& fields);  // which completions have, and conversations have not

// A prepare() that shows a conversation.
std::function<Prompted(const std::function<bool()>&)> preparing(Service& service, Conversation conversation,
                                                                std::string client);

}  // namespace vl3::serve
