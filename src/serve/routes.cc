#include "serve/routes.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"

namespace vl3::serve {
namespace {

constexpr std::string_view kId = "{id}";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Whether this path is the route's, and what stands for its {id}.
bool fits(const Route& route, std::string_view path, std::string& id) {
  std::string_view pattern = route.path;
  if (!pattern.ends_with(kId)) return pattern == path;
  pattern.remove_suffix(kId.size());
  if (!path.starts_with(pattern) || path.size() == pattern.size()) return false;
  std::optional<std::string> decoded = percent_decoded(path.substr(pattern.size()));
  if (!decoded) return false;
  id = std::move(*decoded);
  return true;
}

Json operation(const Route& route) {
  const Json error = {
      {"description", "a refusal"},
      {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}};
  Json told = {{"summary", route.summary}, {"responses", {{"200", {{"description", "the answer"}}}}}};
  if (route.reads_body)
    told["requestBody"] = {{"required", true},
                           {"content", {{"application/json", {{"schema", {{"type", "object"}}}}}}}};
  if (route.path.ends_with(kId)) {
    told["parameters"] =
        Json::array({{{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
  }
  if (route.openapi.is_object()) told.update(route.openapi);
  told["responses"]["default"] = error;
  if (!route.needs_key) told["security"] = Json::array();
  return told;
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

void Routes::add(Route route) {
  for (const auto& other : routes_) {
    require(other->method != route.method || other->path != route.path, ErrorCode::kInvalidArgument,
            "[routes] {} {} is there twice", route.method, route.path);
  }
  routes_.push_back(std::make_unique<Route>(std::move(route)));
}

Routes::Match Routes::find(std::string_view method, std::string_view path) const {
  Match match;
  for (const auto& route : routes_) {
    std::string id;
    if (!fits(*route, path, id)) continue;
    match.allowed.push_back(route->method);
    if (route->method == "GET") match.allowed.emplace_back("HEAD");
    // A whole path goes before one with {id}, whichever was added first.
    const bool wanted = route->method == method || (method == "HEAD" && route->method == "GET");
    if (wanted && (match.route == nullptr || match.route->path.ends_with(kId))) {
      match.route = route.get();
      match.id = std::move(id);
    }
  }
  std::sort(match.allowed.begin(), match.allowed.end());
  match.allowed.erase(std::unique(match.allowed.begin(), match.allowed.end()), match.allowed.end());
  return match;
}

Json Routes::openapi(std::string_view version) const {
  Json paths = Json::object();
  for (const auto& route : routes_) {
    if (route->listed) paths[route->path][ascii_lower(route->method)] = operation(*route);
  }
  const Json text = {{"type", "string"}}, text_or_null = {{"type", {"string", "null"}}};
  Json error = {{"type", "object"}, {"required", {"error"}}};
  error["properties"]["error"] = {
      {"type", "object"},
      {"required", {"message", "type", "param", "code"}},
      {"properties", {{"message", text}, {"type", text}, {"param", text_or_null}, {"code", text_or_null}}}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "videollama3"}, {"version", version}}},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", {{"Error", std::move(error)}}},
            {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
          {"security", Json::array({{{"key", Json::array()}}})}};
}

}  // namespace vl3::serve
