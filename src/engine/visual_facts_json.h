#pragma once
// What a prompt says of a picture or clip, as text in a file.

#include "vl3/json.h"
#include "vl3/visual_stream.h"

namespace vl3 {

Json facts_to_json(const VisualFacts& facts);
// Throws kFormat, naming origin and field, for what facts_to_json does not write.
VisualFacts facts_from_json(const Json& json, const std::string& origin);

}  // namespace vl3
