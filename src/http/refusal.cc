#include "http/refusal.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "vl3/json.h"

namespace vl3::http {
namespace {

struct Reason {
  int status;
  std::string_view text;
};
constexpr Reason kReasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {204, "No Content"},
    {304, "Not Modified"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

}  // namespace

std::string type_of_status(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 422:
      return "unprocessable_entity";
    case 429:
      return "rate_limit_error";
    case 503:
      return "unavailable_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

std::string refusal_text(int status, std::string_view code, std::string_view message,
                         std::string_view param) {
  Json error = {{"message", message}, {"type", type_of_status(status)}, {"param", nullptr}, {"code", code}};
  if (!param.empty()) error["param"] = param;
  return Json{{"error", std::move(error)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Reply refusal(int status, std::string_view code, std::string_view message, std::string_view param) {
  return Reply{
      status, {{"content-type", "application/json"}}, refusal_text(status, code, message, param) + "\n"};
}

std::string_view reason_of_status(int status) {
  const auto* at = std::find_if(std::begin(kReasons), std::end(kReasons),
                                [status](const Reason& reason) { return reason.status == status; });
  return at == std::end(kReasons) ? std::string_view{} : at->text;
}

}  // namespace vl3::http
