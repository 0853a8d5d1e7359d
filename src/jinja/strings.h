#pragma once
// Python's operations on strings, keeping track of where bytes came from. Those with max_bytes throw
// kLimitExceeded where the result would be longer.

#include "jinja/value.h"

namespace vl3::jinja {

Text upper(const Text& text);
Text lower(const Text& text);
Text capitalize(const Text& text);
Text title(const Text& text);
// characters: what to take off; empty: white space.
Text strip(const Text& text, const std::string& characters, bool left, bool right);
Text replace(const Text& text, const Text& old_text, const Text& new_text, int64_t count, int64_t max_bytes);
// separator empty: runs of white space. limit < 0: all.
List split(const Text& text, const std::string& separator, int64_t limit, bool from_right);
Text join(const List& items, const Text& separator, int64_t max_bytes);
Text escape_html(const Text& text, int64_t max_bytes);
Text indent(const Text& text, const std::string& width, bool first, bool blank, int64_t max_bytes);

}  // namespace vl3::jinja
