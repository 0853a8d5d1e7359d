#include "path_words.h"

#include <algorithm>
#include <cstdlib>

namespace vl3::cli {
namespace {

constexpr std::string_view kSpaces = " \t\n";

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 32);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool coded =
        text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    plain += coded ? static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
    if (coded) i += 2;
  }
  return plain;
}

}  // namespace

std::string as_path(const std::string& text) {
  for (const std::string_view start : {"file://localhost/", "file:///", "file:/"}) {
    if (text.starts_with(start)) return percent_decoded(std::string_view(text).substr(start.size() - 1));
  }
  const char* home = std::getenv("HOME");
  if ((text == "~" || text.starts_with("~/")) && home != nullptr) return home + text.substr(1);
  return text;
}

std::optional<PathWord> path_word(std::string_view text, size_t begin) {
  PathWord word{.begin = begin, .end = begin, .path = "", .quoted = false};
  std::string plain;
  char quote = 0;
  size_t at = begin;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == 0 && kSpaces.find(c) != std::string_view::npos) break;
    const bool escapes = c == '\\' && quote != '\'' && at + 1 < text.size();
    if (escapes && (quote == 0 || text[at + 1] == '"' || text[at + 1] == '\\')) {
      plain += text[++at];
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      word.quoted = word.quoted || at == begin;
    } else {
      plain += c;
    }
  }
  if (quote != 0 || at == begin) return std::nullopt;
  word.end = at;
  word.path = as_path(plain);
  return word;
}

std::optional<PathWord> spaced_path(std::string_view text, size_t begin,
                                    bool (*exists)(const std::string& path)) {
  const size_t line_end = std::min(text.find('\n', begin), text.size());
  size_t end = text.find_last_not_of(kSpaces, line_end == 0 ? 0 : line_end - 1);
  while (end != std::string_view::npos && end >= begin) {
    std::string path = as_path(std::string(text.substr(begin, end + 1 - begin)));
    if (exists(path)) return PathWord{.begin = begin, .end = end + 1, .path = path, .quoted = false};
    const size_t space = text.find_last_of(kSpaces, end);
    if (space == std::string_view::npos || space <= begin) break;
    end = text.find_last_not_of(kSpaces, space);
  }
  return std::nullopt;
}

}  // namespace vl3::cli
