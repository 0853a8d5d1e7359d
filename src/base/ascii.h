#pragma once
// Words of protocols, whose letters are those of ASCII whatever the locale is.

#include <string>
#include <string_view>

namespace vl3 {

// "Content-Type" → "content-type"; other bytes stay.
inline std::string ascii_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// Without the characters of blanks at both ends.
inline std::string_view trimmed(std::string_view text, std::string_view blanks) {
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

}  // namespace vl3
