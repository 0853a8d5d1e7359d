#include "jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>

namespace vl3::jinja {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Characters through a mapping of code points; bytes that are no UTF-8 stay.
template <class F>
Text mapped(const Text& text, F&& f) {
  Text out;
  const std::vector<size_t> starts = character_starts(text);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const Text character = text.slice(starts[i], starts[i + 1] - starts[i]);
    utf8proc_int32_t code = -1;
    utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.bytes.data()),
                     static_cast<utf8proc_ssize_t>(character.bytes.size()), &code);
    const utf8proc_int32_t changed = code < 0 ? code : f(code);
    if (changed == code) {
      out += character;
      continue;
    }
    utf8proc_uint8_t buffer[4];
    const auto length = utf8proc_encode_char(changed, buffer);
    out += Text(std::string(reinterpret_cast<char*>(buffer), static_cast<size_t>(length)),
                character.any_tainted());
  }
  return out;
}

bool is_letter(utf8proc_int32_t code) {
  const auto category = utf8proc_category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

}  // namespace

Text upper(const Text& text) { return mapped(text, utf8proc_toupper); }
Text lower(const Text& text) { return mapped(text, utf8proc_tolower); }

Text capitalize(const Text& text) {
  bool first = true;
  return mapped(text, [&](utf8proc_int32_t code) {
    return std::exchange(first, false) ? utf8proc_totitle(code) : utf8proc_tolower(code);
  });
}

Text title(const Text& text) {
  bool inside = false;
  return mapped(text, [&](utf8proc_int32_t code) {
    const bool letter = is_letter(code);
    const utf8proc_int32_t result = !letter ? code : inside ? utf8proc_tolower(code) : utf8proc_totitle(code);
    inside = letter;
    return result;
  });
}

Text strip(const Text& text, const std::string& characters, bool left, bool right) {
  const auto drops = [&](char c) {
    return characters.empty() ? is_space(c) : characters.find(c) != std::string::npos;
  };
  size_t begin = 0, end = text.bytes.size();
  while (left && begin < end && drops(text.bytes[begin])) ++begin;
  while (right && end > begin && drops(text.bytes[end - 1])) --end;
  return text.slice(begin, end - begin);
}

Text replace(const Text& text, const Text& old_text, const Text& new_text, int64_t count, int64_t max_bytes) {
  Text out;
  size_t at = 0;
  if (old_text.bytes.empty()) {  // between all characters, as Python does
    const std::vector<size_t> starts = character_starts(text);
    for (size_t i = 0; i + 1 < starts.size(); ++i) {
      if (count != 0) append(out, new_text, max_bytes);
      count -= count != 0;
      append(out, text.slice(starts[i], starts[i + 1] - starts[i]), max_bytes);
    }
    if (count != 0) append(out, new_text, max_bytes);
    return out;
  }
  while (count != 0) {
    const size_t found = text.bytes.find(old_text.bytes, at);
    if (found == std::string::npos) break;
    append(out, text.slice(at, found - at), max_bytes);
    append(out, new_text, max_bytes);
    at = found + old_text.bytes.size();
    --count;
  }
  append(out, text.slice(at, std::string::npos), max_bytes);
  return out;
}

namespace {

void add_part(List& parts, Text part) {
  require(parts.size() < kMaxCharacters, ErrorCode::kLimitExceeded,
          "[chat template] a text is split into more than {} parts", kMaxCharacters);
  parts.emplace_back(std::move(part));
}

List split_at_spaces(const Text& text, int64_t limit) {
  List parts;
  const std::string& s = text.bytes;
  for (size_t at = 0;;) {
    while (at < s.size() && is_space(s[at])) ++at;
    if (at == s.size()) return parts;
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      add_part(parts, strip(text.slice(at, std::string::npos), "", false, true));
      return parts;
    }
    size_t end = at;
    while (end < s.size() && !is_space(s[end])) ++end;
    add_part(parts, text.slice(at, end - at));
    at = end;
  }
}

List split_from_right(const Text& text, const std::string& separator, int64_t limit) {
  List parts;
  size_t end = text.bytes.size();
  while (static_cast<int64_t>(parts.size()) < limit && end >= separator.size()) {
    const size_t found = text.bytes.rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    add_part(parts, text.slice(found + separator.size(), end - found - separator.size()));
    end = found;
  }
  add_part(parts, text.slice(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

List split(const Text& text, const std::string& separator, int64_t limit, bool from_right) {
  if (separator.empty()) return split_at_spaces(text, limit);
  if (from_right && limit >= 0) return split_from_right(text, separator, limit);
  List parts;
  size_t at = 0;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t found = text.bytes.find(separator, at);
    if (found == std::string::npos) break;
    add_part(parts, text.slice(at, found - at));
    at = found + separator.size();
  }
  add_part(parts, text.slice(at, std::string::npos));
  return parts;
}

Text join(const List& items, const Text& separator, int64_t max_bytes) {
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) append(out, separator, max_bytes);
    append(out, items[i].str(), max_bytes);
  }
  return out;
}

Text escape_html(const Text& text, int64_t max_bytes) {
  Text out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const char* entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '\'' ? "&#39;"
                         : c == '"'  ? "&#34;"
                                     : nullptr;
    append(out, entity == nullptr ? text.slice(i, 1) : Text(entity, text.tainted[i] != 0), max_bytes);
  }
  return out;
}

Text indent(const Text& text, const std::string& width, bool first, bool blank, int64_t max_bytes) {
  Text out;
  const List lines = split(text, "\n", -1, false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) append(out, "\n", max_bytes);
    if ((i > 0 || first) && (blank || !lines[i].text().bytes.empty() || (i == 0 && first)))
      append(out, Text(width), max_bytes);
    append(out, lines[i].text(), max_bytes);
  }
  return out;
}

}  // namespace vl3::jinja
