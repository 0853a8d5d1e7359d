#include "text/jinja_text.h"

#include <utf8proc.h>

#include <algorithm>

namespace vl3::jinja {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Characters through a mapping of code points; bytes that are no UTF-8 stay.
template <class F>
Text mapped(const Text& text, F&& f) {
  Text out;
  for (const Value& value : characters(text)) {
    const Text& character = value.text();
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

Text replace(const Text& text, const Text& old_text, const Text& new_text, int64_t count) {
  Text out;
  size_t at = 0;
  if (old_text.bytes.empty()) {  // between all characters, as Python does
    for (const Value& character : characters(text)) {
      if (count != 0) out += new_text;
      count -= count != 0;
      out += character.text();
    }
    if (count != 0) out += new_text;
    return out;
  }
  while (count != 0) {
    const size_t found = text.bytes.find(old_text.bytes, at);
    if (found == std::string::npos) break;
    out += text.slice(at, found - at);
    out += new_text;
    at = found + old_text.bytes.size();
    --count;
  }
  return out += text.slice(at, std::string::npos);
}

List split(const Text& text, const std::string& separator, int64_t limit, bool from_right) {
  List parts;
  const std::string& s = text.bytes;
  if (separator.empty()) {
    size_t at = 0;
    for (;;) {
      while (at < s.size() && is_space(s[at])) ++at;
      if (at == s.size()) return parts;
      if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
        parts.emplace_back(strip(text.slice(at, std::string::npos), "", false, true));
        return parts;
      }
      size_t end = at;
      while (end < s.size() && !is_space(s[end])) ++end;
      parts.emplace_back(text.slice(at, end - at));
      at = end;
    }
  }
  if (from_right && limit >= 0) {
    size_t end = s.size();
    while (static_cast<int64_t>(parts.size()) < limit && end >= separator.size()) {
      const size_t found = s.rfind(separator, end - separator.size());
      if (found == std::string::npos) break;
      parts.insert(parts.begin(),
                   Value(text.slice(found + separator.size(), end - found - separator.size())));
      end = found;
    }
    parts.insert(parts.begin(), Value(text.slice(0, end)));
    return parts;
  }
  size_t at = 0;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t found = s.find(separator, at);
    if (found == std::string::npos) break;
    parts.emplace_back(text.slice(at, found - at));
    at = found + separator.size();
  }
  parts.emplace_back(text.slice(at, std::string::npos));
  return parts;
}

Text join(const List& items, const Text& separator) {
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += separator;
    out += items[i].str();
  }
  return out;
}

Text escape_html(const Text& text) {
  Text out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const char* entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '\'' ? "&#39;"
                         : c == '"'  ? "&#34;"
                                     : nullptr;
    out += entity == nullptr ? text.slice(i, 1) : Text(entity, text.tainted[i] != 0);
  }
  return out;
}

Text indent(const Text& text, const std::string& width, bool first, bool blank) {
  Text out;
  const List lines = split(text, "\n", -1, false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if ((i > 0 || first) && (blank || !lines[i].text().bytes.empty() || (i == 0 && first)))
      out += Text(width);
    out += lines[i].text();
  }
  return out;
}

}  // namespace vl3::jinja
