#pragma once
// Which files of a checkpoint folder hold its weights.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "vl3/safetensors.h"

namespace vl3 {

struct WeightFiles {
  std::filesystem::path index;                               // of a sharded checkpoint; else empty
  std::vector<std::filesystem::path> files;                  // sorted, each once
  std::vector<std::pair<std::string, std::string>> entries;  // tensor → file, as the index says
};

// model.safetensors, else model.safetensors.index.json. Nothing is opened but the index.
// Throws kNotFound (no weights, or shards that are not there, all named), kFormat for a broken index or one
// that names files outside the folder, kUnsupported where there are only pickle files.
WeightFiles find_weight_files(const std::filesystem::path& folder);

}  // namespace vl3
