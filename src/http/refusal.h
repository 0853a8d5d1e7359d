#pragma once
// The form in which every refusal is told, also those that no route ever sees:
// {"error": {"message", "type", "param", "code"}}.

#include <string>
#include <string_view>

#include "http/message.h"

namespace vl3::http {

// "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
// "unprocessable_entity", "rate_limit_error", "server_error", "unavailable_error"
std::string type_of_status(int status);

// code in words; param empty: null. Bytes that are no UTF-8 are replaced.
std::string refusal_text(int status, std::string_view code, std::string_view message,
                         std::string_view param = {});
Reply refusal(int status, std::string_view code, std::string_view message, std::string_view param = {});

// "Not Found", …; "" for one that is not known.
std::string_view reason_of_status(int status);

}  // namespace vl3::http
