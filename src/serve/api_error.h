#pragma once
// How a request is refused over the API: {"error": {"message", "type", "param", "code"}} with a status.

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "http/message.h"
#include "vl3/json.h"

namespace vl3::serve {

struct ApiError : std::runtime_error {
  // code: in words, e.g. "context_length_exceeded"; param: e.g. "messages[0].content[1].image_url"; may be
  // empty
  ApiError(int http_status, std::string in_words, const std::string& message, std::string where = "")
      : std::runtime_error(message),
        status(http_status),
        code(std::move(in_words)),
        param(std::move(where)) {}
  int status;
  std::string code, param;
  std::optional<int> retry_after_s;  // of 429 and 503
};

// "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
// "unprocessable_entity", "rate_limit_error", "server_error", "unavailable_error"
std::string type_of_status(int status);
Json error_json(const ApiError& error);          // the whole envelope
http::Reply error_reply(const ApiError& error);  // with Retry-After where there is one
// An ApiError as it is; a vl3::Error by its code (bad input and limits 400, with the field that its message
// begins with as param; the rest 500 with a fixed text that tells nothing of the inside); anything else 500
// likewise.
ApiError to_api_error(const std::exception_ptr& error);

}  // namespace vl3::serve
