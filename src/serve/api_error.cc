#include "serve/api_error.h"

#include <algorithm>
#include <new>
#include <string_view>

#include "base/json.h"
#include "http/refusal.h"
#include "vl3/error.h"

namespace vl3::serve {
namespace {

ApiError inside() {
  return {500, "internal_error",
          "The server could not answer this request; its log says more under the request's id."};
}

// The field that a message begins with, "[messages[0].content[1].video[2]] …"; empty where it begins with
// something else: an operation, or a file's name. A clip of several frames is named by its first one, "… (and
// 3 more)": the list is meant.
std::string field_of(std::string_view message) {
  if (!message.starts_with("[messages[") && !message.starts_with("[input[")) return {};
  std::string_view field = message.substr(1, message.find_first_of(" :") - 1);
  const bool several = message.substr(1 + field.size()).starts_with(" (and ");
  if (std::count(field.begin(), field.end(), ']') > std::count(field.begin(), field.end(), '['))
    field.remove_suffix(1);  // the end of the place
  constexpr std::string_view kFirst = "[0]";
  if (several && field.ends_with(kFirst)) field.remove_suffix(kFirst.size());
  return std::string(field);
}

// "[/folder/chat_template.jinja:3] …" without the folder, which is none of the client's business.
std::string without_folder(std::string text) {
  if (!text.starts_with("[/")) return text;
  const size_t end = std::min(text.find(']'), text.size());
  const size_t slash = text.rfind('/', end);
  return text.erase(1, slash);
}

// What is wrong with a request is told in the library's words. Messages of files and of the inside are not:
// they name paths.
ApiError of_error(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFormat:
    case ErrorCode::kUnsupported:
    case ErrorCode::kLimitExceeded:
      return {400, to_string(error.code()), without_folder(error.what()), field_of(error.what())};
    case ErrorCode::kOutOfMemory:
      return {503, "out_of_memory", "There is not enough memory for this request now."};
    case ErrorCode::kCancelled:
      return {503, "cancelled", "The request was cut off before it was answered."};
    case ErrorCode::kNotFound:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      break;
  }
  return inside();
}

}  // namespace

std::string type_of_status(int status) { return http::type_of_status(status); }

Json error_json(const ApiError& error) {
  Json inner = {{"message", error.what()},
                {"type", type_of_status(error.status)},
                {"param", nullptr},
                {"code", error.code}};
  if (!error.param.empty()) inner["param"] = error.param;
  return Json{{"error", std::move(inner)}};
}

http::Reply error_reply(const ApiError& error) {
  http::Reply reply = http::refusal(error.status, error.code, error.what(), error.param);
  if (error.retry_after_s) reply.fields.add("retry-after", std::to_string(*error.retry_after_s));
  return reply;
}

ApiError to_api_error(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ApiError& refused) {
    return refused;
  } catch (const Error& known) {
    return of_error(known);
  } catch (const std::bad_alloc&) {
    return {503, "out_of_memory", "There is not enough memory for this request now."};
  } catch (...) {
    return inside();
  }
}

}  // namespace vl3::serve
