#include "hub/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/ascii.h"
#include "base/check.h"
#include "base/file.h"
#include "base/web_address.h"
#include "download/url.h"
#include "hub/name.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr uint64_t kMaxTokenBytes = 4096;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool is_set(const char* name) {
  const std::string value = ascii_lower(from_environment(name));
  return value == "1" || value == "on" || value == "yes" || value == "true";
}

std::chrono::seconds seconds_from(const char* name, std::chrono::seconds fallback) {
  const std::string text = from_environment(name);
  if (text.empty()) return fallback;
  constexpr int kMost = 24 * 3600;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  require(whole && seconds >= 0 && seconds <= kMost, ErrorCode::kInvalidArgument,
          "[{}] \"{}\" should be a number of seconds from 0 to {}", name, printable(text), kMost);
  return seconds == 0 ? fallback : std::chrono::seconds(seconds);
}

fs::path home_of_hub() {
  const std::string home = from_environment("HF_HOME");
  if (!home.empty()) return expanded(home);
  const std::string caches = from_environment("XDG_CACHE_HOME");
  return fs::path(expanded(caches.empty() ? "~/.cache" : caches)) / "huggingface";
}

fs::path cache_of(const HubOptions& options) {
  if (!options.cache_dir.empty()) return expanded(options.cache_dir.string());
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    const std::string folder = from_environment(name);
    if (!folder.empty()) return expanded(folder);
  }
  return home_of_hub() / "hub";
}

// Without the line ends and blanks that editors leave. Refuses what would end a line of a request.
std::string cleaned(const std::string& token, const std::string& source) {
  std::string text;
  std::copy_if(token.begin(), token.end(), std::back_inserter(text),
               [](char c) { return c != '\r' && c != '\n'; });
  text = trimmed(text, " \t");
  const bool fine = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  require(fine, ErrorCode::kInvalidArgument, "[{}] the token has a character that no token has", source);
  return text;
}

void find_token(const HubOptions& options, Settings& settings) {
  if (options.token.has_value()) {
    settings.token = cleaned(*options.token, "token");
    settings.token_source = "the token of the options";
    return;
  }
  if (is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return;
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    settings.token = cleaned(from_environment(name), name);
    settings.token_source = name;
    if (!settings.token.empty()) return;
  }
  const std::string named = from_environment("HF_TOKEN_PATH");
  const fs::path file = named.empty() ? home_of_hub() / "token" : fs::path(expanded(named));
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return;
  settings.token = cleaned(read_file(file, kMaxTokenBytes), file.string());
  settings.token_source = file.string();
}

}  // namespace

std::string expanded(const std::string& text) {
  std::string result;
  size_t at = 0;
  if (text == "~" || text.starts_with("~/")) {
    result = from_environment("HOME");
    at = 1;
  }
  while (at < text.size()) {
    if (text[at] != '$') {
      result += text[at++];
      continue;
    }
    const bool braces = at + 1 < text.size() && text[at + 1] == '{';
    const size_t begin = at + (braces ? 2 : 1);
    size_t end = begin;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      ++end;
    const std::string name = text.substr(begin, end - begin);
    const bool closed = !braces || (end < text.size() && text[end] == '}');
    const char* value = name.empty() || !closed ? nullptr : std::getenv(name.c_str());
    const size_t after = braces && closed ? end + 1 : end;
    result += value != nullptr ? value : text.substr(at, after - at);
    at = after;
  }
  return result;
}

Settings settings_of(const HubOptions& options) {
  Settings settings;
  const std::string named = options.endpoint.empty() ? from_environment("HF_ENDPOINT") : options.endpoint;
  settings.endpoint = named.empty() ? kDefaultEndpoint : named;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  try {
    static_cast<void>(download::Url(settings.endpoint));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    fail(ErrorCode::kInvalidArgument, "[HF_ENDPOINT] \"{}\" {}", shown_address(settings.endpoint),
         error.what());
  }
  settings.cache = fs::absolute(cache_of(options));
  settings.offline = options.local_files_only || is_set("HF_HUB_OFFLINE") ||
                     (from_environment("HF_HUB_OFFLINE").empty() && is_set("TRANSFORMERS_OFFLINE"));
  settings.links = !is_set("HF_HUB_DISABLE_SYMLINKS");
  settings.shared_blobs = !is_set("HF_HUB_DISABLE_SHARED_BLOBS") && !is_set("HF_HUB_DISABLE_XET");
  settings.answer_timeout = seconds_from("HF_HUB_ETAG_TIMEOUT", settings.answer_timeout);
  settings.stall_timeout = seconds_from("HF_HUB_DOWNLOAD_TIMEOUT", settings.stall_timeout);
  if (!settings.offline) find_token(options, settings);
  return settings;
}

}  // namespace vl3::hub
