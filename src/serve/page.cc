#include "serve/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/sha256.h"
#include "http/content_coding.h"

namespace vl3::serve {
namespace {

// Everything comes from this server; scripts and styles are files, so that none that is written into a page
// by somebody else runs; nobody may frame it; the pictures and clips that people choose are blob: and data:.
constexpr const char* kPolicy =
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
constexpr const char* kPermissions =
    "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()";

std::string type_of(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, const char*>, 11> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".ico", "image/x-icon"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"},
  }};
  const auto at = std::find_if(kTypes.begin(), kTypes.end(),
                               [path](const auto& type) { return path.ends_with(type.first); });
  return at == kTypes.end() ? "application/octet-stream" : at->second;
}

// Whether a field If-None-Match names it: a list, or "*"; a proxy may have made it a weak one.
bool names(std::string_view list, std::string_view etag) {
  return list == "*" || list.find(etag) != std::string_view::npos;
}

struct Served {
  std::string_view bytes;
  std::string type, etag;
  std::string packed = {};  // by gzip; empty where that is not smaller
};

std::string packed(std::string_view bytes) {
  std::string smaller = http::gzip(bytes);
  return smaller.size() < bytes.size() ? smaller : std::string();
}

void add(Routes& routes, std::string path, const Served& file) {
  Route route;
  route.method = "GET";
  route.path = std::move(path);
  route.needs_key = false;
  route.listed = false;
  route.handler = [file = std::make_shared<const Served>(file)](const Call& call) {
    const bool as_gzip = !file->packed.empty() && http::accepts_gzip(call.request.fields);
    const std::string etag = fmt::format("\"{}{}\"", file->etag, as_gzip ? "-gzip" : "");
    http::Reply reply;
    reply.fields = {{"content-type", file->type},
                    {"content-security-policy", kPolicy},
                    {"permissions-policy", kPermissions},
                    {"cross-origin-opener-policy", "same-origin"},
                    {"etag", etag},
                    {"cache-control", "no-cache"}};  // kept, but asked for: the next program has another page
    if (!file->packed.empty()) reply.fields.add("vary", "accept-encoding");
    const std::string* known = call.request.fields.find("if-none-match");
    if (known != nullptr && names(*known, etag)) {
      reply.status = 304;
    } else {
      if (as_gzip) reply.fields.add("content-encoding", "gzip");
      reply.body = as_gzip ? std::string_view(file->packed) : file->bytes;
    }
    call.exchange->send(std::move(reply));
  };
  routes.add(std::move(route));
}

}  // namespace

void add_page(Routes& routes, const std::vector<PageFile>& files) {
  bool index = false;
  for (const PageFile& file : files) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(file.bytes.data(), file.bytes.size())));
    const Served served{file.bytes, type_of(file.path), hash.hex().substr(0, 32), packed(file.bytes)};
    add(routes, "/" + file.path, served);
    if (file.path != "index.html") continue;
    add(routes, "/", served);
    index = true;
  }
  if (!index) {
    constexpr std::string_view kNone =
        "This videollama3 was built without its page. The API is there: /v1/chat/completions.\n";
    add(routes, "/", {kNone, "text/plain; charset=utf-8", "none"});
  }
}

}  // namespace vl3::serve
