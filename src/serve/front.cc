#include "serve/front.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "http/refusal.h"
#include "serve/api_error.h"

namespace vl3::serve {
namespace {

bool is_health(std::string_view path) { return path == "/health" || path == "/v1/health"; }

// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(std::string_view value) {
  std::string type(value.substr(0, std::min(value.find(';'), value.size())));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

std::optional<http::Reply> check_body(const http::Head& head, const Route& route) {
  if (!route.reads_body) return std::nullopt;
  const std::string* type = head.fields.find("content-type");
  if (type != nullptr && media_type(*type) != "application/json") {
    return http::refusal(415, "unsupported_media_type",
                         "The body must be JSON and say so: Content-Type: application/json.");
  }
  const std::string* coding = head.fields.find("content-encoding");
  if (coding != nullptr && media_type(*coding) != "identity")
    return http::refusal(415, "unsupported_content_encoding", "The body must come as it is, not compressed.");
  return std::nullopt;
}

http::Reply not_allowed(const Routes::Match& match) {
  http::Reply reply =
      http::refusal(405, "method_not_allowed",
                    fmt::format("This route is asked with {}.", fmt::join(match.allowed, " or ")));
  reply.fields.add("allow", fmt::format("{}", fmt::join(match.allowed, ", ")));
  return reply;
}

http::Reply json_reply(const Json& body) {
  return {200, {{"content-type", "application/json"}}, body.dump() + "\n"};
}

}  // namespace

Front::Front(const KeyRing& keys, const HostRules& hosts, Log& log, bool log_requests)
    : keys_(keys), hosts_(hosts), log_(log), log_requests_(log_requests) {}

void Front::open(const Routes& routes, Metrics& metrics) {
  routes_ = &routes;
  metrics_ = &metrics;
  open_ = true;
}

std::optional<http::Reply> Front::admit(const http::Head& head) const {
  // What came over HTTP/1.0 may have no Host; no browser sends that.
  const std::string* host = head.fields.find("host");
  if (host != nullptr && !hosts_.answers_to(*host) && !is_health(head.path)) {
    return http::refusal(
        403, "unknown_host",
        "This server does not go by the name in the field Host. Whoever runs it can allow the "
        "name with --allow-host.");
  }
  for (const auto& [name, value] : head.fields) {
    if (name == "origin" && (host == nullptr || !HostRules::same_origin(value, *host)))
      return http::refusal(403, "foreign_origin", "Pages of other servers may not use this one.");
  }
  if (!open_) {
    http::Reply reply = http::refusal(503, "loading", "The model is being loaded; try again in a moment.");
    reply.fields.add("retry-after", "2");
    return reply;
  }
  const Routes::Match match = routes_->find(head.method, head.path);
  const bool open = match.route != nullptr && !match.route->needs_key;
  if (!open && keys_.wanted() && !client_of(head)) {
    http::Reply reply =
        http::refusal(401, "invalid_api_key", "A valid key is wanted: Authorization: Bearer KEY.");
    reply.fields.add("www-authenticate", "Bearer realm=\"videollama3\"");
    return reply;
  }
  if (match.allowed.empty()) return http::refusal(404, "route_not_found", "There is no such route.");
  if (match.route == nullptr) return not_allowed(match);
  if (draining_ && match.route->needs_key) {
    http::Reply reply = http::refusal(503, "shutting_down", "The server is shutting down.");
    reply.fields.add("retry-after", "5");
    return reply;
  }
  return check_body(head, *match.route);
}

// Whose it is; none where a key is wanted and not given, or given twice.
std::optional<std::string> Front::client_of(const http::Head& head) const {
  if (!keys_.wanted()) return "";
  const std::string* field = head.fields.find("authorization");
  if (field == nullptr || head.fields.count("authorization") > 1) return std::nullopt;
  const std::optional<std::string_view> key = bearer_key(*field);
  return key ? keys_.client_of(*key) : std::nullopt;
}

void Front::handle(http::Request request, std::shared_ptr<http::Exchange> exchange) const {
  Routes::Match match = routes_->find(request.method, request.path);
  // Keys may have been replaced since it was admitted: then it is nobody's.
  const std::optional<std::string> client = client_of(request);
  if (match.route == nullptr || (match.route->needs_key && !client))
    return exchange->send(http::refusal(401, "invalid_api_key", "The key is no longer valid."));
  const std::string id = request.id;
  try {
    match.route->handler({std::move(request), exchange, client.value_or(""), std::move(match.id)});
  } catch (const std::exception& error) {
    const ApiError told = to_api_error(std::current_exception());
    if (told.status == 500) log_.add(Level::kError, "failed", error.what(), {{"id", id}});
    exchange->send(error_reply(told));
  }
}

void Front::served(const http::Served& served) const {
  const Routes::Match match = open_ ? routes_->find(served.head.method, served.head.path) : Routes::Match{};
  const bool known = match.route != nullptr;
  const std::string route = known ? match.route->path : "none";
  const int status = served.status != 0 ? served.status : 499;
  if (open_) metrics_->count_http(known && !match.route->listed ? "page" : route, status);
  // Health is asked every few seconds, and nobody's news.
  if (!log_requests_ || (is_health(served.head.path) && status == 200)) return;
  const std::optional<std::string> client = client_of(served.head);
  log_.add(Level::kInfo, "request", "",
           {{"id", served.head.id},
            {"peer", served.head.peer},
            {"client", client.value_or("")},
            {"method", served.head.method},
            {"path", known ? route : served.head.path},
            {"status", status},
            {"seconds", std::round(served.seconds * 1e6) / 1e6},
            {"bytes_in", served.body_bytes},
            {"bytes_out", served.reply_bytes},
            {"cut_off", served.cut_off}});
}

http::Fields careful_fields() {
  return {{"x-content-type-options", "nosniff"},
          {"referrer-policy", "no-referrer"},
          {"cross-origin-resource-policy", "same-origin"},
          {"x-frame-options", "DENY"},
          {"content-security-policy", "default-src 'none'; frame-ancestors 'none'"},
          {"cache-control", "no-store"}};
}

void add_own_routes(Routes& routes, const Front& front, Metrics& metrics, OwnRoutes own) {
  const auto health = [&front](const Call& call) {
    if (!front.draining()) return call.exchange->send(json_reply({{"status", "ok"}}));
    http::Reply reply = json_reply({{"status", "shutting_down"}});
    reply.status = 503;
    call.exchange->send(std::move(reply));
  };
  for (const char* path : {"/health", "/v1/health"}) {
    routes.add({.method = "GET",
                .path = path,
                .handler = health,
                .summary = "200 while requests are taken, 503 when the server is shutting down.",
                .needs_key = false});
  }
  routes.add({.method = "GET",
              .path = "/version",
              .handler =
                  [own](const Call& call) {
                    call.exchange->send(json_reply({{"version", own.version}, {"commit", own.commit}}));
                  },
              .summary = "The program's version."});
  routes.add(
      {.method = "GET",
       .path = "/openapi.json",
       .handler = [&routes,
                   own](const Call& call) { call.exchange->send(json_reply(routes.openapi(own.version))); },
       .summary = "This document."});
  routes.add({.method = "GET",
              .path = "/metrics",
              .handler =
                  [&metrics, own](const Call& call) {
                    if (own.update_gauges) own.update_gauges();
                    if (own.connections) metrics.http_connections.set(static_cast<double>(own.connections()));
                    call.exchange->send({200, {{"content-type", Metrics::kContentType}}, metrics.text()});
                  },
              .summary = "Counters and measures, for Prometheus."});
}

}  // namespace vl3::serve
