#pragma once
// JSON from strangers: RFC 8259 to the letter, no key twice, bounded in depth. Time is linear in the text.

#include <string_view>

#include "base/json.h"

namespace vl3::serve {

// Throws ApiError 400: "invalid_json" for bad syntax (with the byte where it broke), text that is not UTF-8
// and numbers that no double holds; "duplicate_key"; "too_deep" beyond kMaxJsonDepth levels.
Json parse_strictly(std::string_view text);

}  // namespace vl3::serve
