#pragma once
// JSON in which no key comes twice in an object.

#include "base/json.h"

namespace vl3 {

// parse_json for what people ask for: rows, requests, settings. Of a key that comes twice one value would be
// dropped in silence, as in the files of a checkpoint, which are read as other programs read them: here it
// throws kFormat and names the key.
Json parse_json_once(std::string_view text, std::string_view origin);

}  // namespace vl3
