#include "download/reply_fields.h"

#include <charconv>

#include "base/ascii.h"

namespace vl3::download {
namespace {

constexpr std::string_view kBlanks = " \t";

}  // namespace

bool is_redirect(long status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_packed(const ReplyHead& head) {
  const std::string coding = ascii_lower(head.value("content-encoding"));
  return !coding.empty() && coding != "identity";
}

std::optional<uint64_t> byte_count(std::string_view field) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), count);
  const bool whole = error == std::errc() && end == field.data() + field.size();
  return whole && count <= uint64_t{INT64_MAX} ? std::optional(count) : std::nullopt;
}

std::optional<ContentRange> parse_content_range(std::string_view field) {
  constexpr std::string_view kUnit = "bytes ";
  if (ascii_lower(field.substr(0, kUnit.size())) != kUnit) return {};
  field = trimmed(field.substr(kUnit.size()), kBlanks);
  const size_t dash = field.find('-'), slash = field.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return {};
  const auto first = byte_count(field.substr(0, dash)),
             last = byte_count(field.substr(dash + 1, slash - dash - 1));
  const std::string_view all = field.substr(slash + 1);
  const auto total = byte_count(all);
  if (!first || !last || *last < *first || (!total && all != "*") || (total && *total <= *last)) return {};
  return ContentRange{*first, *last, total};
}

std::string entity_tag(std::string_view field) {
  field = trimmed(field, kBlanks);
  if (field.starts_with("W/")) field.remove_prefix(2);
  if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
    field = field.substr(1, field.size() - 2);
  return std::string(field);
}

std::string next_link(std::string_view link) {
  while (!link.empty()) {
    const size_t close = link.find('>');
    if (close == std::string_view::npos) return {};
    const size_t open = link.rfind('<', close);
    const size_t end = link.find('<', close);  // of this part: the next begins with its address
    const std::string_view about = link.substr(close, end == std::string_view::npos ? end : end - close);
    const bool next = about.find("rel=\"next\"") != std::string_view::npos ||
                      about.find("rel=next") != std::string_view::npos;
    if (next && open != std::string_view::npos) return std::string(link.substr(open + 1, close - open - 1));
    link = end == std::string_view::npos ? std::string_view() : link.substr(end);
  }
  return {};
}

}  // namespace vl3::download
