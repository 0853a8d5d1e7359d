#pragma once
// Contents of messages that are lists of parts, for templates that take only text.

#include "jinja/value.h"
#include "vl3/chat_template.h"

namespace vl3 {

// Parts one behind the other: texts as they are, marked as from a message; for each picture and clip its
// token and a new line, as the published template writes them, which are the program's own. Throws
// kInvalidArgument for a part that is none of these; where begins the message.
jinja::Text text_of_parts(const Json& parts, const MediaTokens& tokens, const std::string& where);

bool has_media(const Json& parts);

}  // namespace vl3
