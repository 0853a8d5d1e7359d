#pragma once
// What tells a checkpoint folder from another, without reading its weights.

#include <filesystem>

#include "vl3/json.h"

namespace vl3 {

// {"path", "files": {name: …}} with size and time of change of every file of weights and a hash of the
// content of every other one. Where the folder lies says nothing of what is in it. Throws kNotFound, kIo.
Json fingerprint(const std::filesystem::path& folder);

}  // namespace vl3
