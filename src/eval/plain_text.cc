#include "eval/plain_text.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstdlib>

#include "text/unicode.h"

namespace vl3::eval {

std::string plain(std::string_view text) {
  const std::string valid = to_utf8(text);
  std::string folded;
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                                 static_cast<utf8proc_ssize_t>(valid.size()), &mapped,
                                 static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE));
  if (size >= 0) folded.assign(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
  std::free(mapped);
  std::string result;
  for (const char c : folded) {
    if (!is_space(c))
      result += c;
    else if (!result.empty() && result.back() != ' ')
      result += ' ';
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

std::string words(std::string_view text) {
  std::string result = plain(text);
  const size_t last = result.find_last_not_of(" .,;:!?");
  if (last != std::string::npos) result.resize(last + 1);
  return result;
}

std::string without(std::string text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at))
    text.erase(at, word.size());
  return text;
}

}  // namespace vl3::eval
