#pragma once
// JSON values in the public API (messages, settings). Objects keep the order of their keys, which templates
// can observe. Lookup is linear in the number of keys: tables of many keys (vocabularies) are read by other
// means.

#include <nlohmann/json_fwd.hpp>

namespace vl3 {
using Json = nlohmann::ordered_json;
}  // namespace vl3
